//! What conversations rose to, in a table beside the requests: neither a restart nor a full memory forgets.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Row as _, query};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::StoreError;
use super::columns::timestamp;
use super::open::reopen;
use super::remove::BATCH;
use crate::chat::RequestId;

/// How long a request waits for an answer at most.
const PATIENCE: Duration = Duration::from_millis(250);

/// What a conversation is known by: a keyed hash.
pub type ConversationId = [u8; 32];

/// What one conversation rose to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The class's name: another set may order classes otherwise.
    pub class: Arc<str>,
    /// The request with which it rose so high.
    pub since: RequestId,
    /// When it is forgotten.
    pub until: Timestamp,
}

/// The read side. One connection, and whoever asks waits for those before, but never long.
#[derive(Debug)]
pub struct Conversations {
    path: PathBuf,
    /// `None` before the first question, and after one that was given up: its connection is in no known state.
    conn: Mutex<Option<SqliteConnection>>,
}

impl Conversations {
    /// Of a store that was opened before.
    pub fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), conn: Mutex::new(None) }
    }

    /// What the conversation rose to, if anything.
    ///
    /// # Errors
    /// When the store does not answer, or not within a quarter of a second.
    pub async fn find(&self, id: &ConversationId) -> Result<Option<Kept>, StoreError> {
        timeout(PATIENCE, self.ask(id)).await.unwrap_or_else(|_| Err(StoreError::Locked(self.path.clone())))
    }

    async fn ask(&self, id: &ConversationId) -> Result<Option<Kept>, StoreError> {
        let mut idle = self.conn.lock().await;
        let mut conn = match idle.take() {
            Some(conn) => conn,
            None => reopen(&self.path, PATIENCE).await?,
        };
        let sql = "SELECT class, since, until FROM conversation WHERE id = ? AND until > ?";
        let row = query(sql).bind(&id[..]).bind(timestamp(Timestamp::now())).fetch_optional(&mut conn).await?;
        *idle = Some(conn);
        row.as_ref().map(kept).transpose()
    }
}

fn kept(row: &SqliteRow) -> Result<Kept, StoreError> {
    let bad = |column| StoreError::Row { id: "conversation".into(), column };
    let since = RequestId::parse(&row.try_get::<String, _>("since")?).ok_or_else(|| bad("since"))?;
    let until = row.try_get::<String, _>("until")?.parse().map_err(|_| bad("until"))?;
    Ok(Kept { class: row.try_get::<String, _>("class")?.into(), since, until })
}

/// Writes what is kept, in this order. To be called within a transaction.
pub(super) async fn keep(conn: &mut SqliteConnection, kept: &[(ConversationId, Kept)]) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO conversation (id, class, since, until) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO UPDATE \
        SET class = excluded.class, since = excluded.since, until = excluded.until";
    for (id, kept) in kept {
        let insert = query(sql).bind(&id[..]).bind(&*kept.class).bind(kept.since.to_string());
        insert.bind(timestamp(kept.until)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Deletes up to [`BATCH`] conversations whose time is over.
pub(super) async fn forget(conn: &mut SqliteConnection, now: Timestamp) -> Result<u64, sqlx::Error> {
    let sql =
        "DELETE FROM conversation WHERE id IN (SELECT id FROM conversation WHERE until <= ? ORDER BY until LIMIT ?)";
    let deleted = query(sql).bind(timestamp(now)).bind(BATCH as i64).execute(conn).await?;
    Ok(deleted.rows_affected())
}
