//! The read side: what was recorded, for people, reports and the budgets of the next start.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection, Row as _, query};

use crate::chat::MicroUsd;
use crate::govern::Spend;

use super::columns::{self, SELECT, natural, timestamp};
use super::open::{Existing, open};
use super::row::Row;
use super::{StoreError, remove};

const PATIENCE: Duration = Duration::from_secs(5);

/// A store that somebody asks, or deletes from. It works beside a running gateway: readers and the writer do not wait
/// for each other.
#[derive(Debug)]
pub struct Records {
    pub(super) conn: SqliteConnection,
}

/// A row and its place in the order of writing.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows with every row written, and is never given twice: the cursor of [`Records::after`].
    pub seq: i64,
    /// The row.
    pub row: Row,
}

/// Rows that are missing, as the store could not keep up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the loss was written down: they were lost between the commit before and then.
    pub at: Timestamp,
    /// How many.
    pub lost: u64,
}

impl Records {
    /// Opens an existing store.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { conn: open(path, Existing::Required, PATIENCE).await? })
    }

    /// Closes the file in order.
    pub async fn close(self) -> Result<(), StoreError> {
        Ok(self.conn.close().await?)
    }

    /// The last `n` rows written, oldest first. Following them goes on with [`Records::after`] the last one.
    pub async fn tail(&mut self, n: u32) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("{SELECT} ORDER BY seq DESC LIMIT ?");
        let rows = query(AssertSqlSafe(sql)).bind(n).fetch_all(&mut self.conn).await?;
        rows.iter().rev().map(entry).collect()
    }

    /// Up to `limit` rows written after the one with `seq`, oldest first.
    pub async fn after(&mut self, seq: i64, limit: u32) -> Result<Vec<Entry>, StoreError> {
        let sql = format!("{SELECT} WHERE seq > ? ORDER BY seq LIMIT ?");
        let rows = query(AssertSqlSafe(sql)).bind(seq).bind(limit).fetch_all(&mut self.conn).await?;
        rows.iter().map(entry).collect()
    }

    /// The row whose id is `id`, or the only one whose id begins so.
    pub async fn show(&mut self, id: &str) -> Result<Entry, StoreError> {
        let prefix = id.to_ascii_uppercase();
        // `~` comes after every character of an id.
        let sql = format!("{SELECT} WHERE id >= ?1 AND id < ?1 || '~' LIMIT 2");
        let rows = query(AssertSqlSafe(sql)).bind(prefix).fetch_all(&mut self.conn).await?;
        match rows.as_slice() {
            [] => Err(StoreError::NoRecord(id.to_owned())),
            [row] => entry(row),
            _ => Err(StoreError::Ambiguous(id.to_owned())),
        }
    }

    /// What is missing since `since`, oldest first.
    pub async fn gaps(&mut self, since: Timestamp) -> Result<Vec<Gap>, StoreError> {
        let rows = query("SELECT at, lost FROM gap WHERE at >= ? ORDER BY seq")
            .bind(timestamp(since))
            .fetch_all(&mut self.conn)
            .await?;
        rows.iter().map(gap).collect()
    }

    /// What every key spent since `since`, by hour: what [`Ledger::restore`] needs.
    ///
    /// [`Ledger::restore`]: crate::govern::Ledger::restore
    pub async fn spend_since(&mut self, since: Timestamp) -> Result<Vec<Spend>, StoreError> {
        let sql = "SELECT coalesce(key, '') AS spender, attributes, substr(at, 1, 13) AS hour, sum(cost_uusd) AS cost \
            FROM request WHERE at >= ? AND cost_uusd > 0 GROUP BY spender, attributes, hour";
        let rows = query(sql).bind(timestamp(since)).fetch_all(&mut self.conn).await?;
        rows.iter().map(spend).collect()
    }

    /// Deletes everything about the key called `name`, and returns how many rows that were.
    pub async fn delete_by_key(&mut self, name: &str) -> Result<u64, StoreError> {
        let deleted = remove::of_key(&mut self.conn, name).await?;
        remove::empty_log(&mut self.conn).await?;
        Ok(deleted)
    }

    /// Deletes the row with exactly this id, and says whether there was one.
    pub async fn delete_by_id(&mut self, id: &str) -> Result<bool, StoreError> {
        let deleted = remove::by_id(&mut self.conn, &id.to_ascii_uppercase()).await?;
        remove::empty_log(&mut self.conn).await?;
        Ok(deleted > 0)
    }

    /// Deletes what is older than `keep`, and returns how many rows that were. A running writer does so by itself.
    pub async fn enforce_retention(&mut self, keep: Duration, now: Timestamp) -> Result<u64, StoreError> {
        let mut deleted = 0;
        loop {
            let batch = remove::older_than(&mut self.conn, keep, now).await?;
            deleted += batch;
            if batch < remove::BATCH {
                break;
            }
        }
        remove::empty_log(&mut self.conn).await?;
        Ok(deleted)
    }
}

pub(super) fn entry(row: &SqliteRow) -> Result<Entry, StoreError> {
    Ok(Entry { seq: row.try_get("seq")?, row: columns::read(row)? })
}

fn gap(row: &SqliteRow) -> Result<Gap, StoreError> {
    let at: String = row.try_get("at")?;
    let at = at.parse().map_err(|_| StoreError::Row { id: "gap".into(), column: "at" })?;
    Ok(Gap { at, lost: natural(row.try_get("lost")?) })
}

fn spend(row: &SqliteRow) -> Result<Spend, StoreError> {
    let key: String = row.try_get("spender")?;
    let bad = |column| StoreError::Row { id: format!("spend of {key}"), column };
    let hour: String = row.try_get("hour")?;
    Ok(Spend {
        attributes: columns::attributes(&row.try_get::<String, _>("attributes")?).ok_or_else(|| bad("attributes"))?,
        at: format!("{hour}:00:00Z").parse().map_err(|_| bad("at"))?,
        cost: MicroUsd(natural(row.try_get("cost")?)),
        key,
    })
}
