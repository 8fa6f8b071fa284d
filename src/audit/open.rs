//! Opening the file: its settings, its identity.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, query, query_scalar, raw_sql};
use ulid::Ulid;

use super::LedgerError;
use super::entry::timestamp;

/// `ajle`: tells ledgers from records and from other programs' databases.
const APPLICATION_ID: i64 = 0x616a_6c65;
const VERSION: i64 = 1;

/// Opens or creates the ledger at `path` for writing, and returns it with its id.
pub(super) async fn open(path: &Path, patience: Duration) -> Result<(SqliteConnection, String), LedgerError> {
    let failed = |error: sqlx::Error| LedgerError::opening(path, &error);
    create(path).map_err(|error| LedgerError::Open { path: path.to_owned(), why: error.to_string() })?;
    let mut conn = connect(path, patience).await.map_err(failed)?;
    // Takes the write lock at once: a file that cannot be written is found out now and not at the first request.
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *tx).await.map_err(failed)?;
    if tables == 0 {
        raw_sql(include_str!("schema.sql")).execute(&mut *tx).await.map_err(failed)?;
        let marks = format!("PRAGMA user_version = {VERSION}; PRAGMA application_id = {APPLICATION_ID}");
        raw_sql(AssertSqlSafe(marks)).execute(&mut *tx).await.map_err(failed)?;
        let named = query("INSERT INTO ledger (id, created) VALUES (?, ?)").bind(Ulid::generate().to_string());
        named.bind(timestamp(Timestamp::now())).execute(&mut *tx).await.map_err(failed)?;
    }
    tx.commit().await.map_err(failed)?;
    let id = identify(&mut conn, path).await?;
    Ok((conn, id))
}

/// Opens the ledger at `path` for reading, and returns it with its id. Works beside a gateway that writes it.
pub(super) async fn open_to_read(path: &Path) -> Result<(SqliteConnection, String), LedgerError> {
    if !path.exists() {
        // SQLite would say: unable to open database file.
        return Err(LedgerError::Missing(path.to_owned()));
    }
    // Whole chains are read: the thread that reads should not wait for each row to be looked at.
    let options = options(path, Duration::from_secs(5)).pragma("query_only", "ON").row_buffer_size(1024);
    let mut conn = options.connect().await.map_err(|error| LedgerError::opening(path, &error))?;
    let id = identify(&mut conn, path).await?;
    Ok((conn, id))
}

/// A connection to a ledger that was already opened once.
pub(super) async fn connect(path: &Path, patience: Duration) -> Result<SqliteConnection, sqlx::Error> {
    options(path, patience).connect().await
}

fn options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        // With the write-ahead log this is what makes a commit durable: it waits for the disk.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(patience)
        .pragma("journal_size_limit", "67108864")
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
}

async fn identify(conn: &mut SqliteConnection, path: &Path) -> Result<String, LedgerError> {
    let failed = |error: sqlx::Error| LedgerError::opening(path, &error);
    let application: i64 = query_scalar("PRAGMA application_id").fetch_one(&mut *conn).await.map_err(failed)?;
    let version: i64 = query_scalar("PRAGMA user_version").fetch_one(&mut *conn).await.map_err(failed)?;
    if (application, version) != (APPLICATION_ID, VERSION) {
        return Err(LedgerError::Foreign(path.to_owned()));
    }
    query_scalar("SELECT id FROM ledger").fetch_one(conn).await.map_err(failed)
}

/// Creates the file, readable by its owner alone; SQLite gives the files beside it the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // An existing file without permission to write is reported by SQLite, and better.
        Err(e) if path.exists() && e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map(drop),
    }
}
