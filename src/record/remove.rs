//! Deletion: by age, by key, by id.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnection;
use sqlx::{query, query_scalar};

use super::columns::timestamp;

/// Rows deleted in one statement: short enough that the writer's rows do not wait.
pub(super) const BATCH: u64 = 500;
/// Rows looked through in one statement.
const PART: usize = 20_000;

/// Deletes up to [`BATCH`] rows that are older than `keep`, and the gaps of that time.
pub(super) async fn older_than(
    conn: &mut SqliteConnection,
    keep: Duration,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    let Ok(cutoff) = now.checked_sub(keep) else { return Ok(0) };
    let cutoff = timestamp(cutoff);
    query("DELETE FROM gap WHERE at < ?").bind(&cutoff).execute(&mut *conn).await?;
    let rows = "DELETE FROM request WHERE seq IN (SELECT seq FROM request WHERE at < ? ORDER BY at LIMIT ?)";
    let deleted = query(rows).bind(&cutoff).bind(BATCH as i64).execute(conn).await?;
    Ok(deleted.rows_affected())
}

/// Deletes all rows of the key called `name`, part by part, so that a running writer gets its turns.
pub(super) async fn of_key(conn: &mut SqliteConnection, name: &str) -> Result<u64, sqlx::Error> {
    let last: Option<i64> = query_scalar("SELECT max(seq) FROM request").fetch_one(&mut *conn).await?;
    let mut deleted = 0;
    for from in (0..=last.unwrap_or(0)).step_by(PART) {
        let rows = query("DELETE FROM request WHERE key = ? AND seq BETWEEN ? AND ?").bind(name);
        let rows = rows.bind(from).bind(from + PART as i64 - 1).execute(&mut *conn).await?;
        deleted += rows.rows_affected();
    }
    Ok(deleted)
}

/// Deletes the row with exactly this id.
pub(super) async fn by_id(conn: &mut SqliteConnection, id: &str) -> Result<u64, sqlx::Error> {
    Ok(query("DELETE FROM request WHERE id = ?").bind(id).execute(conn).await?.rows_affected())
}

/// Moves the write-ahead log into the file and empties it: deleted text is then in neither.
pub(super) async fn empty_log(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    query("PRAGMA wal_checkpoint(TRUNCATE)").execute(conn).await.map(drop)
}
