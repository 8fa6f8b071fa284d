//! The request path's end of the ledger: a permit goes in, and what may be sent comes out.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::entry::{Sent, timestamp};
use super::open::open;
use super::sequencer::Sequencer;
use super::{LedgerError, SigningKey};
use crate::chat::RequestId;
use crate::policy::{Boundary, Permit};

/// When something may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At once; the entry is written soon. One that cannot be is counted and leaves a gap in the ledger.
    BestEffort,
    /// To the outside only when the entry is on disk: without it nothing leaves. To destinations inside as above.
    Required,
}

impl Mode {
    /// The word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::BestEffort => "best_effort",
            Self::Required => "required",
        }
    }
}

/// How the ledger is written.
#[derive(Clone, Debug)]
pub struct LedgerOptions {
    /// The SQLite file.
    pub path: PathBuf,
    /// The signing key's file, made where there is none.
    pub key: PathBuf,
    /// Where every checkpoint is appended as a line of JSON.
    pub checkpoints: Option<PathBuf>,
    /// When something may be sent.
    pub mode: Mode,
    /// How long entries are kept; for ever where `None`.
    pub retention: Option<Duration>,
    /// Entries that wait at most.
    pub queue: usize,
    /// How long somebody else's lock on the file is waited for.
    pub patience: Duration,
    /// A checkpoint is signed after at most this long, where there is something new.
    pub checkpoint_interval: Duration,
    /// And after at most so many entries.
    pub checkpoint_entries: u64,
}

impl LedgerOptions {
    /// The defaults, for a ledger at `path` and its key at `key`.
    pub fn new(path: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            key: key.into(),
            checkpoints: None,
            mode: Mode::BestEffort,
            retention: None,
            queue: 16 * 1024,
            patience: Duration::from_secs(2),
            checkpoint_interval: Duration::from_secs(1),
            checkpoint_entries: 1000,
        }
    }
}

/// The ledger, as those who send know it. Clones share the queue.
#[derive(Clone, Debug)]
pub struct EgressLedger {
    /// `None` where nothing is ever sent.
    queue: Option<mpsc::Sender<Message>>,
    shared: Arc<Shared>,
    mode: Mode,
    patience: Duration,
}

/// A permit that has been entered: the door of egress takes nothing else. Has no public constructor and no `Clone`.
#[derive(Debug)]
pub struct Entered {
    permit: Permit,
}

/// Counts and states, for metrics and readiness. Clones are the same counts.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Entries written since the start.
    pub entries: Counter,
    /// Entries that could not be written, and were sent without.
    pub lost: Counter,
    /// 1 while the latest write has failed.
    pub failing: Gauge,
    /// When the latest checkpoint was signed, in seconds since 1970.
    pub checkpointed: Gauge<f64, AtomicU64>,
}

/// What goes through the queue.
pub(super) enum Message {
    Enter(Box<Draft>),
    /// Answered when everything before it is on disk.
    Flush(oneshot::Sender<()>),
}

/// An entry that has no number yet.
pub(super) struct Draft {
    pub(super) at: String,
    pub(super) sent: Sent,
    /// Who waits for it to be on disk, if somebody does.
    pub(super) done: Option<oneshot::Sender<Result<(), String>>>,
}

/// What both ends know.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Wakes a sequencer that is gathering or waiting to try again.
    pub(super) urgent: Notify,
    pub(super) closing: AtomicBool,
    pub(super) finished: CancellationToken,
    /// Entries lost, by boundary: inside, outside.
    pub(super) lost: [AtomicU64; 2],
    pub(super) numbers: Numbers,
}

impl EgressLedger {
    /// Opens or creates the ledger, and starts the thread that writes it.
    ///
    /// # Errors
    /// The file or the key is unusable.
    pub async fn start(options: LedgerOptions) -> Result<Self, LedgerError> {
        let key = SigningKey::load_or_create(&options.key)?;
        let (conn, id) = open(&options.path, options.patience).await?;
        let (sender, queue) = mpsc::channel(options.queue.max(1));
        let shared = Arc::new(Shared::default());
        let (mode, patience, path) = (options.mode, options.patience, options.path.clone());
        let sequencer = Sequencer::new(options, id, key, conn, queue, shared.clone());
        sequencer.spawn().map_err(|error| LedgerError::Open { path, why: error.to_string() })?;
        // A batch before this one may take as long, and then this one.
        let patience = 2 * patience + Duration::from_secs(1);
        Ok(Self { queue: Some(sender), shared, mode, patience })
    }

    /// No ledger: whatever is to be entered is refused, so nothing can be sent.
    pub fn none() -> Self {
        Self { queue: None, shared: Arc::default(), mode: Mode::Required, patience: Duration::ZERO }
    }

    /// Enters what `permit` is about to be used for: attempt number `attempt` of the request `id`. Under
    /// [`Mode::Required`] a permit for the outside waits until the entry is on disk.
    ///
    /// # Errors
    /// The entry is not on disk though it must be, or there is no ledger. The permit is used up then.
    pub async fn enter(&self, permit: Permit, id: RequestId, attempt: u32) -> Result<Entered, LedgerError> {
        let queue = self.queue.as_ref().ok_or(LedgerError::Closed)?;
        let boundary = permit.terms().boundary;
        let mode = if boundary == Boundary::Host { Mode::BestEffort } else { self.mode };
        let (sent, at) = (Sent::new(&permit, id.to_string(), attempt, mode), timestamp(Timestamp::now()));
        if mode == Mode::BestEffort {
            let draft = Draft { at, sent, done: None };
            if queue.try_send(Message::Enter(Box::new(draft))).is_err() {
                self.shared.lose(boundary, 1);
            }
            return Ok(Entered { permit });
        }
        let (done, written) = oneshot::channel();
        let draft = Draft { at, sent, done: Some(done) };
        queue.try_send(Message::Enter(Box::new(draft))).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => LedgerError::Full,
            mpsc::error::TrySendError::Closed(_) => LedgerError::Closed,
        })?;
        self.shared.urgent.notify_one();
        match tokio::time::timeout(self.patience, written).await {
            Ok(Ok(Ok(()))) => Ok(Entered { permit }),
            Ok(Ok(Err(why))) => Err(LedgerError::Unwritten(why)),
            Ok(Err(_)) => Err(LedgerError::Closed),
            Err(_) => Err(LedgerError::Slow),
        }
    }

    /// When something may be sent.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// Counts and states.
    pub fn numbers(&self) -> &Numbers {
        &self.shared.numbers
    }

    /// Returns when everything entered before is on disk, or when it cannot be any more.
    pub async fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, written) = oneshot::channel();
        if queue.send(Message::Flush(done)).await.is_ok() {
            self.shared.urgent.notify_one();
            // An error means that the thread has ended: there is nothing to wait for.
            let _ = written.await;
        }
    }

    /// Writes what is queued, signs a last checkpoint and ends the thread. Returns when it has ended: at the latest a few
    /// seconds on, even where the disk takes nothing.
    pub async fn close(&self) {
        if self.queue.is_some() {
            self.shared.closing.store(true, Ordering::Release);
            self.shared.urgent.notify_one();
            self.shared.finished.cancelled().await;
        }
    }
}

impl Entered {
    /// The permit, to be used.
    pub(crate) fn into_permit(self) -> Permit {
        self.permit
    }
}

impl Shared {
    /// Counts entries that were sent and will not be written.
    pub(super) fn lose(&self, boundary: Boundary, entries: u64) {
        self.lost[boundary as usize].fetch_add(entries, Ordering::Relaxed);
        self.numbers.lost.inc_by(entries);
    }
}
