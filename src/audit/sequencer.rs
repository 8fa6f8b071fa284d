//! The one thread that numbers entries, chains them, commits them in groups and signs checkpoints.
//!
//! Whoever must wait for the disk shares a commit with all who came while the one before was under way. What nobody waits
//! for is kept and tried again; meanwhile the queue fills, and what it cannot take leaves a gap in the chain.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use blake3::Hash;
use jiff::Timestamp;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{Connection, Row as _, query};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::checkpoint::append;
use super::columns::{insert, integer};
use super::entry::{Entry, What, genesis, timestamp};
use super::ledger::{Draft, LedgerOptions, Message, Shared};
use super::open::connect;
use super::{Checkpoint, SigningKey, prune};
use crate::policy::Boundary;

const MAX_BATCH: usize = 4096;
/// How long entries that nobody waits for are gathered: each commit waits for the disk, which others need as well.
const GATHER: Duration = Duration::from_millis(50);
const RETENTION_INTERVAL: Duration = Duration::from_secs(3600);
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// Tries that are left when the process is stopping.
const LAST_TRIES: u32 = 3;
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);
const BOUNDARIES: [Boundary; 2] = [Boundary::Host, Boundary::External];

pub(super) struct Sequencer {
    options: LedgerOptions,
    /// The ledger's.
    id: String,
    key: SigningKey,
    /// `None` after a failure: the next try starts with a connection in a known state.
    conn: Option<SqliteConnection>,
    queue: mpsc::Receiver<Message>,
    shared: Arc<Shared>,
    batch: Vec<Draft>,
    flushes: Vec<oneshot::Sender<()>>,
    /// Of the lost entries, those that are written down as gaps.
    gaps_written: [u64; 2],
    /// The last entry on disk: its number, hash and time. `None` until it was asked for.
    head: Option<Head>,
    /// Entries covered by the last checkpoint.
    checkpointed: u64,
    checkpoint_due: Instant,
    retention_due: Instant,
    /// When to try again, and how long to wait after that, while writing fails.
    retry: Option<(Instant, Duration)>,
    complained: Option<Instant>,
}

/// The end of the chain.
#[derive(Clone)]
pub(super) struct Head {
    pub(super) seq: u64,
    pub(super) hash: Hash,
    pub(super) at: String,
}

#[derive(PartialEq)]
enum Next {
    Continue,
    End,
}

impl Sequencer {
    pub(super) fn new(
        options: LedgerOptions,
        id: String,
        key: SigningKey,
        conn: SqliteConnection,
        queue: mpsc::Receiver<Message>,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            options,
            id,
            key,
            conn: Some(conn),
            queue,
            shared,
            batch: Vec::new(),
            flushes: Vec::new(),
            gaps_written: [0; 2],
            head: None,
            checkpointed: 0,
            checkpoint_due: Instant::now(),
            retention_due: Instant::now(),
            retry: None,
            complained: None,
        }
    }

    /// Starts the thread. It ends when the ledger is closed or its last clone is gone.
    pub(super) fn spawn(self) -> std::io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        std::thread::Builder::new().name("ajar-ledger".into()).spawn(move || runtime.block_on(self.run()))?;
        Ok(())
    }

    async fn run(mut self) {
        // Also when this panics: nobody waits for a thread that is gone.
        let _finished = self.shared.finished.clone().drop_guard();
        self.take_up().await;
        loop {
            let next = self.gather().await;
            self.write().await;
            self.checkpoint(next == Next::End).await;
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

    /// Finds where the chain ends and what of it is covered by a checkpoint: after a crash the rest is not.
    async fn take_up(&mut self) {
        let Some(conn) = &mut self.conn else { return };
        // Where this fails, so will the first write, and is reported there.
        let Ok(head) = head(conn, &self.id).await else { return };
        let last = query("SELECT max(entries) FROM checkpoint").fetch_one(conn).await;
        self.checkpointed = last.ok().and_then(|row| row.try_get::<i64, _>(0).ok()).map_or(0, i64::unsigned_abs);
        if self.checkpointed > head.seq {
            tracing::error!(
                entries = head.seq,
                checkpoint = self.checkpointed,
                "The egress ledger is shorter than its last checkpoint says; `ajar audit verify` tells what is missing."
            );
        }
        self.head = Some(head);
    }

    /// Waits for a first entry, takes what else has come, and gives what nobody waits for a moment to gather.
    async fn gather(&mut self) -> Next {
        let shared = self.shared.clone();
        let mut urgent = self.is_closing();
        if !urgent {
            let retry_at = self.retry.map_or_else(Instant::now, |(at, _)| at);
            tokio::select! {
                message = self.queue.recv(), if self.batch.len() < MAX_BATCH => match message {
                    Some(message) => urgent = self.take(message),
                    None => return Next::End,
                },
                () = shared.urgent.notified() => urgent = true,
                () = sleep_until(retry_at), if self.retry.is_some() => urgent = true,
                () = sleep_until(self.checkpoint_due), if self.is_ahead() => urgent = true,
                () = sleep_until(self.retention_due), if self.options.retention.is_some() => urgent = true,
            }
        }
        if !urgent && !self.is_closing() {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => {}
                () = shared.urgent.notified() => {}
            }
        }
        if self.is_closing() {
            self.queue.close();
        }
        self.drain()
    }

    fn drain(&mut self) -> Next {
        while self.batch.len() < MAX_BATCH {
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
            Message::Enter(draft) => {
                let waits = draft.done.is_some();
                self.batch.push(*draft);
                waits
            }
            Message::Flush(done) => {
                self.flushes.push(done);
                true
            }
        }
    }

    /// Writes the batch. Where that fails, those who wait are told at once and their entries dropped, for nothing will
    /// be sent; the others are kept for the next try.
    async fn write(&mut self) {
        if self.is_early() {
            return;
        }
        let mut tries_left = if self.is_closing() { LAST_TRIES } else { 1 };
        while let Err(error) = self.try_write().await {
            self.conn = None;
            self.shared.numbers.failing.set(1);
            self.complain(&error);
            self.refuse(&error);
            let wait = self.retry.map_or(RETRY_FIRST, |(_, wait)| (wait * 2).min(RETRY_LAST));
            self.retry = Some((Instant::now() + wait, wait));
            tries_left -= 1;
            if tries_left == 0 {
                if self.is_closing() {
                    self.give_up();
                }
                return;
            }
            tokio::time::sleep(wait).await;
        }
        self.retry = None;
        for draft in self.batch.drain(..) {
            if let Some(done) = draft.done {
                // Whoever asked may be gone.
                let _ = done.send(Ok(()));
            }
        }
        self.answer_flushes();
    }

    /// Whether the last write has failed, it is not yet time for the next, and nobody waits for it.
    fn is_early(&self) -> bool {
        let waited_for = self.is_closing() || self.batch.iter().any(|draft| draft.done.is_some());
        !waited_for && self.retry.is_some_and(|(at, _)| at > Instant::now())
    }

    async fn try_write(&mut self) -> Result<(), sqlx::Error> {
        let lost = [0, 1].map(|i| self.shared.lost[i].load(Ordering::Relaxed));
        if self.batch.is_empty() && lost == self.gaps_written {
            return Ok(());
        }
        let conn = connected(&mut self.conn, &self.options).await?;
        let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
        // Asked for each time: nobody knows whether a commit that failed went through, or who else writes the file.
        let last = head(&mut tx, &self.id).await?;
        let entries = chain(last, &self.batch, gaps(lost, self.gaps_written));
        insert(&mut tx, &entries).await?;
        tx.commit().await?;
        self.gaps_written = lost;
        self.shared.numbers.failing.set(0);
        self.shared.numbers.entries.inc_by(entries.len() as u64);
        if let Some(last) = entries.last() {
            if !self.is_ahead() {
                self.checkpoint_due = Instant::now() + self.options.checkpoint_interval;
            }
            self.head = Some(Head { seq: last.seq, hash: last.hash, at: last.at.clone() });
        }
        Ok(())
    }

    fn refuse(&mut self, error: &sqlx::Error) {
        let waits = |draft: &mut Draft| draft.done.is_some();
        for draft in self.batch.extract_if(.., waits) {
            if let Some(done) = draft.done {
                // Whoever asked may be gone.
                let _ = done.send(Err(error.to_string()));
            }
        }
    }

    fn give_up(&mut self) {
        let entries = self.batch.len();
        self.batch.clear();
        self.answer_flushes();
        if entries > 0 {
            tracing::error!(
                entries,
                "Entries of the egress ledger were lost, as it could not be written before the stop."
            );
        }
    }

    fn answer_flushes(&mut self) {
        for done in self.flushes.drain(..) {
            // Whoever asked may be gone.
            let _ = done.send(());
        }
    }

    /// Once a minute: a full disk must not fill the log as well.
    fn complain(&mut self, error: &sqlx::Error) {
        if self.complained.is_none_or(|last| last.elapsed() >= COMPLAINT_INTERVAL) {
            self.complained = Some(Instant::now());
            let (mode, waiting) = (self.options.mode.name(), self.batch.len() + self.queue.len());
            tracing::error!(%error, mode, waiting, "The egress ledger cannot be written; it is tried again.");
        }
    }

    // === checkpoints

    /// Whether entries are on disk that no checkpoint covers.
    fn is_ahead(&self) -> bool {
        self.head.as_ref().is_some_and(|head| head.seq > self.checkpointed)
    }

    /// Signs how far the chain has come, if it is time to. A checkpoint that cannot be kept holds nothing up: the next
    /// one says more.
    async fn checkpoint(&mut self, last: bool) {
        let Some(head) = self.head.clone().filter(|_| self.is_ahead()) else { return };
        let many = head.seq - self.checkpointed >= self.options.checkpoint_entries;
        if !(last || many || self.checkpoint_due <= Instant::now()) {
            return;
        }
        let at = Timestamp::now();
        let checkpoint = Checkpoint::sign(&self.key, &self.id, (head.seq, head.hash, head.at), timestamp(at));
        self.checkpoint_due = Instant::now() + self.options.checkpoint_interval;
        self.checkpointed = head.seq;
        self.shared.numbers.checkpointed.set(at.as_millisecond() as f64 / 1e3);
        if let Some(path) = &self.options.checkpoints
            && let Err(error) = append(path, &checkpoint)
        {
            tracing::error!(path = %path.display(), %error, "A checkpoint of the egress ledger could not be appended.");
        }
        if let Some(conn) = &mut self.conn
            && let Err(error) = keep(conn, &checkpoint).await
        {
            self.conn = None;
            tracing::error!(%error, "A checkpoint of the egress ledger could not be stored.");
        }
    }

    // === retention

    /// Removes one batch of what is too old, under a signed statement.
    async fn keep_retention(&mut self) {
        let Some(keep) = self.options.retention.filter(|_| self.retention_due <= Instant::now()) else { return };
        let removed = match connected(&mut self.conn, &self.options).await {
            Ok(conn) => prune::older_than(conn, &self.key, &self.id, keep, Timestamp::now()).await,
            Err(error) => Err(error),
        };
        let more = match removed {
            Ok(removed) => removed == prune::BATCH,
            Err(error) => {
                self.conn = None;
                tracing::warn!(%error, "Old entries of the egress ledger could not be removed; it is tried again.");
                false
            }
        };
        self.retention_due = Instant::now() + if more { Duration::ZERO } else { RETENTION_INTERVAL };
    }

    fn is_closing(&self) -> bool {
        self.shared.closing.load(Ordering::Acquire)
    }
}

/// The connection, made anew after a failure.
async fn connected<'a>(
    conn: &'a mut Option<SqliteConnection>,
    options: &LedgerOptions,
) -> Result<&'a mut SqliteConnection, sqlx::Error> {
    match conn {
        Some(conn) => Ok(conn),
        closed => Ok(closed.insert(connect(&options.path, options.patience).await?)),
    }
}

/// The end of the chain on disk. The last entry is never removed for age, so it is always there but at the beginning.
pub(super) async fn head(conn: &mut SqliteConnection, id: &str) -> Result<Head, sqlx::Error> {
    let last = query("SELECT seq, hash, at FROM entry ORDER BY seq DESC LIMIT 1").fetch_optional(conn).await?;
    last.as_ref().map_or_else(|| Ok(Head { seq: 0, hash: genesis(id), at: String::new() }), end)
}

fn end(row: &SqliteRow) -> Result<Head, sqlx::Error> {
    let hash: [u8; 32] = row.try_get::<&[u8], _>(1)?.try_into().map_err(|e| sqlx::Error::Decode(Box::new(e)))?;
    Ok(Head { seq: row.try_get::<i64, _>(0)?.unsigned_abs(), hash: Hash::from_bytes(hash), at: row.try_get(2)? })
}

/// Numbers and chains what is to be written, gaps first: they are older.
fn chain(mut last: Head, drafts: &[Draft], gaps: Vec<What>) -> Vec<Entry> {
    let now = timestamp(Timestamp::now());
    let gaps = gaps.into_iter().map(|gap| (now.clone(), gap));
    let sent = drafts.iter().map(|draft| (draft.at.clone(), What::Sent(draft.sent.clone())));
    let link = |(at, what)| {
        let entry = Entry::chained(last.seq + 1, at, what, last.hash);
        (last.seq, last.hash) = (entry.seq, entry.hash);
        entry
    };
    gaps.chain(sent).map(link).collect()
}

fn gaps(lost: [u64; 2], written: [u64; 2]) -> Vec<What> {
    let missing = BOUNDARIES.map(|boundary| (boundary, lost[boundary as usize] - written[boundary as usize]));
    let missing = missing.into_iter().filter(|(_, lost)| *lost > 0);
    missing.map(|(boundary, lost)| What::Gap { boundary: boundary.name().to_owned(), lost }).collect()
}

/// Stores `checkpoint` in place of the one before of the same hour.
async fn keep(conn: &mut SqliteConnection, checkpoint: &Checkpoint) -> Result<(), sqlx::Error> {
    let hour = checkpoint.at.get(..13).unwrap_or(&checkpoint.at);
    let keep = query("INSERT OR REPLACE INTO checkpoint (hour, entries, statement) VALUES (?, ?, ?)");
    keep.bind(hour).bind(integer(checkpoint.entries)).bind(checkpoint.line()).execute(conn).await.map(drop)
}
