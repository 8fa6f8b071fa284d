//! The write side: a bounded queue on the request path, a thread of its own behind it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::StoreError;
use super::conversations::{ConversationId, Kept};
use super::open::{Existing, open};
use super::row::Row;
use super::writer::Writer;

/// How the store is written.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// A finished request is on disk after at most this long, on a machine that keeps up. A fifth of it is spent
    /// gathering the batch, the rest is for finishing the batch before and for writing this one.
    pub commit_interval: Duration,
    /// Rows that wait at most; what comes on top is counted as lost.
    pub queue: usize,
    /// How long rows are kept; for ever where `None`.
    pub retention: Option<Duration>,
    /// How long somebody else's lock on the file is waited for.
    pub patience: Duration,
}

impl StoreOptions {
    /// The defaults, for a file at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            commit_interval: Duration::from_millis(50),
            queue: 16 * 1024,
            retention: None,
            patience: Duration::from_secs(2),
        }
    }
}

/// The request path's end of the store. Clones share the queue and the counters.
#[derive(Clone, Debug)]
pub struct Recorder {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

/// What goes through the queue.
pub(super) enum Message {
    Row(Box<Row>),
    /// What a conversation rose to.
    Keep(ConversationId, Kept),
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// What both ends know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Wakes a writer that is gathering.
    pub(super) urgent: Notify,
    pub(super) closing: AtomicBool,
    pub(super) finished: CancellationToken,
    pub(super) lost: AtomicU64,
    pub(super) written: AtomicU64,
}

impl Recorder {
    /// Opens or creates the store, and starts its writer.
    pub async fn start(options: StoreOptions) -> Result<Self, StoreError> {
        let conn = open(&options.path, Existing::Optional, options.patience).await?;
        let (queue, rows) = mpsc::channel(options.queue.max(1));
        let shared = Arc::new(Shared::default());
        let writer = Writer::new(options.clone(), conn, rows, shared.clone());
        writer.spawn().map_err(|e| StoreError::Open { path: options.path, why: e.to_string() })?;
        Ok(Self { queue, shared })
    }

    /// Hands over a finished request. Never waits: where the queue is full the row is lost, and counted.
    pub fn record(&self, row: Row) {
        if self.queue.try_send(Message::Row(Box::new(row))).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Keeps what a conversation rose to, in place of what it was before. Never waits: `false` where the queue is full.
    pub fn keep(&self, id: ConversationId, kept: Kept) -> bool {
        self.queue.try_send(Message::Keep(id, kept)).is_ok()
    }

    /// Returns when everything recorded before is on disk, or when it cannot be any more.
    pub async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            self.shared.urgent.notify_one();
            // An error means that the writer has ended: there is nothing to wait for.
            let _ = written.await;
        }
    }

    /// Writes what is queued and ends the writer; what comes after is lost, and counted. Returns when it has ended: at
    /// the latest a few seconds on, even where the disk takes nothing.
    pub async fn close(&self) {
        self.shared.closing.store(true, Ordering::Release);
        self.shared.urgent.notify_one();
        self.shared.finished.cancelled().await;
    }

    /// Rows lost since the start, as the queue was full. The store knows of them as well: see [`Records::gaps`].
    ///
    /// [`Records::gaps`]: super::Records::gaps
    pub fn lost(&self) -> u64 {
        self.shared.lost.load(Ordering::Relaxed)
    }

    /// Rows written since the start.
    pub fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// Rows that wait in the queue.
    pub fn queued(&self) -> usize {
        self.queue.max_capacity() - self.queue.capacity()
    }
}
