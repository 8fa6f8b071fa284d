//! Opening the file: its settings, its identity, its migrations.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, query_scalar, raw_sql};

use super::StoreError;

/// `ajar` in ASCII: tells our files from other programs' databases.
const APPLICATION_ID: i64 = 0x616a_6172;

/// One step a schema version; `PRAGMA user_version` counts those that were done. Steps are appended, never changed.
const MIGRATIONS: &[&str] = &[
    include_str!("schema.sql"),
    include_str!("schema_2.sql"),
    include_str!("schema_conversations.sql"),
    include_str!("schema_transforms.sql"),
    include_str!("schema_confidence.sql"),
    include_str!("schema_priority.sql"),
];

/// Whether the file may be new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It must be there.
    Required,
    /// It is created where it is not.
    Optional,
}

/// Opens the store at `path` for reading and writing, with the current schema. A lock held by somebody else is waited
/// for as long as `patience`.
pub(super) async fn open(path: &Path, existing: Existing, patience: Duration) -> Result<SqliteConnection, StoreError> {
    if existing == Existing::Optional {
        create(path).map_err(|e| StoreError::Open { path: path.to_owned(), why: e.to_string() })?;
    } else if !path.exists() {
        // SQLite would say: unable to open database file.
        return Err(StoreError::Missing(path.to_owned()));
    }
    let mut conn = options(path, patience).connect().await.map_err(|e| StoreError::opening(path, e))?;
    migrate(&mut conn, path).await?;
    Ok(conn)
}

/// A connection to a store that was already opened once.
pub(super) async fn reopen(path: &Path, patience: Duration) -> Result<SqliteConnection, sqlx::Error> {
    options(path, patience).connect().await
}

fn options(path: &Path, patience: Duration) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(patience)
        // What was deleted is overwritten, not only forgotten.
        .pragma("secure_delete", "ON")
        .pragma("journal_size_limit", "67108864")
        // A whole batch fits in memory (KiB), and the log is not copied back (pages) in the middle of every one.
        .pragma("cache_size", "-32768")
        .pragma("wal_autocheckpoint", "4000")
        .disable_statement_logging()
}

/// Creates the file, readable by its owner alone; SQLite gives the files beside it the same mode.
fn create(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        // An existing file without permission to write is reported by SQLite, and better.
        Err(e) if path.exists() && e.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        other => other.map(drop),
    }
}

async fn migrate(conn: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let failed = |e| StoreError::opening(path, e);
    // Takes the write lock at once: a file that cannot be written is found out now and not at the first request.
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let version: i64 = query_scalar("PRAGMA user_version").fetch_one(&mut *tx).await.map_err(failed)?;
    let application: i64 = query_scalar("PRAGMA application_id").fetch_one(&mut *tx).await.map_err(failed)?;
    let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut *tx).await.map_err(failed)?;
    if application != APPLICATION_ID && (tables > 0 || version > 0) {
        return Err(StoreError::Foreign(path.to_owned()));
    }
    let known = MIGRATIONS.len() as i64;
    if version > known {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known });
    }
    for step in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or(0)) {
        raw_sql(*step).execute(&mut *tx).await.map_err(failed)?;
    }
    let marks = format!("PRAGMA user_version = {known}; PRAGMA application_id = {APPLICATION_ID}");
    raw_sql(AssertSqlSafe(marks)).execute(&mut *tx).await.map_err(failed)?;
    tx.commit().await.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(50);

    async fn raw(path: &Path) -> SqliteConnection {
        SqliteConnectOptions::new().filename(path).create_if_missing(true).connect().await.unwrap()
    }

    async fn error(path: &Path) -> StoreError {
        open(path, Existing::Optional, PATIENCE).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_new_file_is_private_and_opens_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/ajar.db");
        for _ in 0..2 {
            open(&path, Existing::Optional, PATIENCE).await.unwrap().close().await.unwrap();
        }
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[tokio::test]
    async fn a_file_of_a_newer_version_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        let mut conn = open(&path, Existing::Optional, PATIENCE).await.unwrap();
        raw_sql("PRAGMA user_version = 7").execute(&mut conn).await.unwrap();
        let error = error(&path).await.to_string();
        assert!(error.contains("has schema 7, and this ajar knows up to 6"), "{error}");
    }

    #[tokio::test]
    async fn a_file_of_the_first_version_gets_the_new_columns_and_keeps_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        let mut conn = raw(&path).await;
        let marks = format!("PRAGMA user_version = 1; PRAGMA application_id = {APPLICATION_ID};");
        let row = "INSERT INTO request (id, at, attributes, dialect, status, outcome, plan, cache, stream, usage_estimated, \
            total_ms, attempts, bytes_out) VALUES ('01JD', '2026-11-24T00:00:00.000Z', '{}', 'openai.chat', 200, \
            'answered', '[]', 'bypass', 0, 0, 1.0, 1, 0);";
        let file = format!("{}{marks}{row}", MIGRATIONS[0]);
        raw_sql(AssertSqlSafe(file)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        let mut conn = open(&path, Existing::Required, PATIENCE).await.unwrap();
        let untried: i64 = query_scalar("SELECT count(*) FROM request WHERE would_have IS NULL AND transforms IS NULL")
            .fetch_one(&mut conn)
            .await
            .unwrap();
        let version: i64 = query_scalar("PRAGMA user_version").fetch_one(&mut conn).await.unwrap();
        assert_eq!((untried, version), (1, 6));
    }

    #[tokio::test]
    async fn another_programs_database_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("other.db");
        let mut conn = raw(&path).await;
        raw_sql("CREATE TABLE mine (x)").execute(&mut conn).await.unwrap();
        assert!(matches!(error(&path).await, StoreError::Foreign(_)));
        let tables: i64 = query_scalar("SELECT count(*) FROM sqlite_schema").fetch_one(&mut conn).await.unwrap();
        assert_eq!(tables, 1);
    }

    #[tokio::test]
    async fn a_damaged_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        fs::write(&path, vec![b'x'; 8192]).unwrap();
        let error = error(&path).await;
        assert!(matches!(error, StoreError::Damaged(_)), "{error}");
    }

    #[tokio::test]
    async fn a_locked_file_is_refused_after_a_moment() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        let mut holder = open(&path, Existing::Optional, PATIENCE).await.unwrap();
        let _lock = holder.begin_with("BEGIN IMMEDIATE").await.unwrap();
        let error = error(&path).await;
        assert!(matches!(error, StoreError::Locked(_)), "{error}");
    }

    #[tokio::test]
    async fn a_file_without_permission_to_write_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        open(&path, Existing::Optional, PATIENCE).await.unwrap().close().await.unwrap();
        // The mode stops nobody who runs as root; SQLite's own switch stops everyone.
        let url = format!("file:{}?mode=ro", path.display());
        let mut conn: SqliteConnection = options(Path::new(&url), PATIENCE).connect().await.unwrap();
        let error = migrate(&mut conn, &path).await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly(_)), "{error}");
    }

    #[tokio::test]
    async fn a_folder_in_the_way_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = error(folder.path()).await.to_string();
        assert!(error.contains("cannot be opened") && error.contains("record.path"), "{error}");
    }

    #[tokio::test]
    async fn reading_a_store_that_is_not_there_creates_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ajar.db");
        assert!(open(&path, Existing::Required, PATIENCE).await.is_err());
        assert!(!path.exists());
    }
}
