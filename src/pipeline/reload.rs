//! Asking for a reload, and what came of the last one. Whoever reloads is told apart from whoever asks: see `app`.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

/// Asks that wait at most; one reload answers all that came before it.
const WAITING: usize = 64;

/// What came of one reload.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Reload {
    /// When, in RFC 3339.
    pub at: String,
    /// Whether what was read is in force.
    pub ok: bool,
    /// Digest of the policies in force after it.
    pub policy: String,
    /// What is different now; empty where nothing is.
    pub changed: Vec<String>,
    /// Changes of the configuration that need a restart, by their path.
    pub ignored: Vec<String>,
    /// Why it was refused, everything at once.
    pub errors: Vec<String>,
}

/// What came of a reload is answered here.
pub type Answer = oneshot::Sender<Arc<Reload>>;

/// Everyone's end of reloading.
pub struct Reloads {
    asks: mpsc::Sender<Answer>,
    last: ArcSwapOption<Reload>,
}

impl Reloads {
    /// With the end that does the work.
    pub fn new() -> (Self, mpsc::Receiver<Answer>) {
        let (asks, work) = mpsc::channel(WAITING);
        (Self { asks, last: ArcSwapOption::empty() }, work)
    }

    /// Where nothing is ever reloaded.
    pub fn never() -> Self {
        Self::new().0
    }

    /// Reads everything again, and returns when it is in force or refused. `None` while the gateway stops.
    pub async fn ask(&self) -> Option<Arc<Reload>> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(answer).await.ok()?;
        answered.await.ok()
    }

    /// The last reload, if there was one.
    pub fn last(&self) -> Option<Arc<Reload>> {
        self.last.load_full()
    }

    /// Notes what came of one.
    pub fn done(&self, reload: Arc<Reload>) {
        self.last.store(Some(reload));
    }
}
