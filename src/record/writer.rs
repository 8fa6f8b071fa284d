//! The writer: gathers rows into batches, and writes each in one transaction.
//!
//! It has an OS thread and a small runtime of its own, so that neither encoding nor the disk ever holds up a request.
//! What cannot be written is kept and tried again; meanwhile the queue fills, and what it cannot take is counted and
//! written down as a gap later.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, query, query_scalar};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until};

use super::columns::{insert, timestamp};
use super::conversations::{ConversationId, Kept, forget, keep};
use super::open::reopen;
use super::remove;
use super::row::Row;
use super::store::{Message, Shared, StoreOptions};

const MAX_BATCH: usize = 4096;
const RETENTION_INTERVAL: Duration = Duration::from_secs(600);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// Tries that are left when the process is stopping.
const LAST_TRIES: u32 = 3;
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    options: StoreOptions,
    /// `None` after a failure: the next try starts with a connection in a known state.
    conn: Option<SqliteConnection>,
    queue: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
    batch: Vec<Row>,
    kept: Vec<(ConversationId, Kept)>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Of the lost rows, those that are written down as gaps.
    gaps_written: u64,
    retention_due: Instant,
    complained: Option<Instant>,
}

#[derive(PartialEq)]
enum Next {
    Continue,
    End,
}

impl Writer {
    pub(super) fn new(
        options: StoreOptions,
        conn: SqliteConnection,
        queue: mpsc::Receiver<Message>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            options,
            conn: Some(conn),
            queue,
            shared,
            batch: Vec::new(),
            kept: Vec::new(),
            flushes: Vec::new(),
            gaps_written: 0,
            retention_due: Instant::now(),
            complained: None,
        }
    }

    /// Starts the thread. It ends when the recorder is closed or its last clone is gone.
    pub(super) fn spawn(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("ajar-record".into()).spawn(move || runtime.block_on(self.run()))?;
        Ok(())
    }

    async fn run(mut self) {
        // Also when this panics: nobody waits for a writer that is gone.
        let _finished = self.shared.finished.clone().drop_guard();
        loop {
            let next = self.gather().await;
            self.write().await;
            if next == Next::End {
                break;
            }
            self.keep_retention().await;
        }
        if let Some(conn) = self.conn.take() {
            // Nothing is lost where this fails: the log is replayed at the next start.
            let _ = conn.close().await;
        }
    }

    /// Waits for a first row, then for a fifth of the commit interval, and takes what has come. The queue is not watched in
    /// between: so only the first of the rows pays for waking this thread.
    async fn gather(&mut self) -> Next {
        let shared = self.shared.clone();
        let mut urgent = false;
        if !self.is_closing() {
            tokio::select! {
                message = self.queue.recv() => match message {
                    Some(message) => urgent = self.take(message),
                    None => return Next::End,
                },
                () = shared.urgent.notified() => urgent = true,
                () = sleep_until(self.retention_due), if self.options.retention.is_some() => urgent = true,
            }
        }
        if !urgent && !self.is_closing() {
            tokio::select! {
                () = sleep(self.options.commit_interval / 5) => {}
                () = shared.urgent.notified() => {}
            }
        }
        if self.is_closing() {
            self.queue.close();
        }
        self.drain()
    }

    fn drain(&mut self) -> Next {
        while self.batch.len() + self.kept.len() < MAX_BATCH {
            match self.queue.try_recv() {
                Ok(message) => drop(self.take(message)),
                Err(mpsc::error::TryRecvError::Empty) => return Next::Continue,
                Err(mpsc::error::TryRecvError::Disconnected) => return Next::End,
            }
        }
        Next::Continue
    }

    /// Whether somebody waits for it.
    fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Row(row) => self.batch.push(*row),
            Message::Keep(id, kept) => self.kept.push((id, kept)),
            Message::Flush(done) => self.flushes.push(done),
        }
        !self.flushes.is_empty()
    }

    /// Writes the batch, for as long as it takes; while stopping, for a few tries.
    async fn write(&mut self) {
        let (mut wait, mut tries_left) = (RETRY_FIRST, LAST_TRIES);
        while let Err(error) = self.try_write().await {
            self.conn = None;
            self.complain(&error);
            if self.is_closing() {
                tries_left -= 1;
                if tries_left == 0 {
                    self.give_up();
                    break;
                }
            }
            sleep(wait).await;
            wait = (wait * 2).min(RETRY_LAST);
        }
        self.batch.clear();
        self.kept.clear();
        for done in self.flushes.drain(..) {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }

    async fn try_write(&mut self) -> Result<(), sqlx::Error> {
        let lost = self.shared.lost.load(Ordering::Relaxed);
        let gap = lost - self.gaps_written;
        if self.batch.is_empty() && self.kept.is_empty() && gap == 0 {
            return Ok(());
        }
        let conn = match &mut self.conn {
            Some(conn) => conn,
            closed => closed.insert(reopen(&self.options.path, self.options.patience).await?),
        };
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        // `sqlite_sequence` and not the largest number: one that was deleted is never given again.
        let last: Option<i64> =
            query_scalar("SELECT seq FROM sqlite_sequence WHERE name = 'request'").fetch_optional(&mut *tx).await?;
        insert(&mut tx, &self.batch, last.unwrap_or(0) + 1).await?;
        keep(&mut tx, &self.kept).await?;
        if gap > 0 {
            let insert_gap = query("INSERT INTO gap (at, lost) VALUES (?, ?)").bind(timestamp(Timestamp::now()));
            insert_gap.bind(i64::try_from(gap).unwrap_or(i64::MAX)).execute(&mut *tx).await?;
        }
        tx.commit().await?;
        self.gaps_written = lost;
        self.shared.written.fetch_add(self.batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn give_up(&mut self) {
        let rows = self.batch.len() as u64;
        self.shared.lost.fetch_add(rows, Ordering::Relaxed);
        tracing::error!(rows, "Records were lost, as the store could not be written before the stop.");
    }

    /// Once a minute: a full disk must not fill the log as well.
    fn complain(&mut self, error: &sqlx::Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.complained = Some(Instant::now());
            let (waiting, lost) = (self.batch.len() + self.queue.len(), self.shared.lost.load(Ordering::Relaxed));
            tracing::error!(%error, waiting, lost, "The record store cannot be written; it is tried again.");
        }
    }

    /// Deletes one batch of what is too old. Rows that came meanwhile are written before the next batch is deleted.
    async fn keep_retention(&mut self) {
        let (Some(keep), Some(conn)) = (self.options.retention, &mut self.conn) else { return };
        if self.retention_due > Instant::now() {
            return;
        }
        let more = match clean(conn, keep, Timestamp::now()).await {
            Ok(more) => more,
            Err(error) => {
                tracing::warn!(%error, "Old records could not be deleted; it is tried again.");
                false
            }
        };
        self.retention_due = Instant::now() + if more { Duration::ZERO } else { RETENTION_INTERVAL };
    }

    fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }
}

/// Deletes one batch each of old rows and of conversations whose time is over, and says whether there is more.
async fn clean(conn: &mut SqliteConnection, keep: Duration, now: Timestamp) -> Result<bool, sqlx::Error> {
    let (rows, conversations) = (remove::older_than(conn, keep, now).await?, forget(conn, now).await?);
    Ok(rows == remove::BATCH || conversations == remove::BATCH)
}
