//! Removing the beginning of the chain for age, under a signed statement that lets the rest be verified.

use std::time::Duration;

use blake3::Hash;
use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row as _, query, query_scalar};

use super::columns::integer;
use super::entry::timestamp;
use super::{Pruned, SigningKey};

/// Entries removed in one transaction: few enough that those who wait to be entered wait no longer.
pub(super) const BATCH: u64 = 1000;

/// Removes up to [`BATCH`] entries from the beginning that are older than `keep`, and returns how many. The last entry
/// always stays: the next one follows it.
pub(super) async fn older_than(
    conn: &mut SqliteConnection,
    key: &SigningKey,
    ledger: &str,
    keep: Duration,
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let keep = SignedDuration::try_from(keep).unwrap_or(SignedDuration::MAX);
    let Ok(cutoff) = now.checked_sub(keep) else { return Ok(0) };
    let before = timestamp(cutoff);
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    let first: Option<i64> = query_scalar("SELECT min(seq) FROM entry").fetch_one(&mut *tx).await?;
    let Some(first) = first else { return Ok(0) };
    // The first that must stay: by age, as the last one, or as one too many.
    let stays = "SELECT min(seq) FROM (SELECT seq FROM entry WHERE at >= ?1 AND seq <= ?2 + ?3 \
        UNION ALL SELECT max(seq) FROM entry UNION ALL SELECT ?2 + ?3)";
    let stays: i64 = query_scalar(stays).bind(&before).bind(first).bind(integer(BATCH)).fetch_one(&mut *tx).await?;
    let through = stays - 1;
    if through < first {
        return Ok(0);
    }
    let last = query("SELECT hash FROM entry WHERE seq = ?").bind(through).fetch_one(&mut *tx).await?;
    let hash: [u8; 32] = last.try_get::<&[u8], _>(0)?.try_into().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    let head = (through.unsigned_abs(), Hash::from_bytes(hash));
    let statement = Pruned::sign(key, ledger, head, before, timestamp(now)).line();
    let replace = query("INSERT OR REPLACE INTO pruned (one, through, statement) VALUES (1, ?, ?)");
    replace.bind(through).bind(statement).execute(&mut *tx).await?;
    let removed = query("DELETE FROM entry WHERE seq <= ?").bind(through).execute(&mut *tx).await?.rows_affected();
    query("DELETE FROM checkpoint WHERE entries < ?").bind(through).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(removed)
}
