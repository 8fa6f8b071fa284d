//! The cache, and identical requests that are under way.

use std::sync::Arc;

use futures_util::{FutureExt, StreamExt};
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Gateway;
use super::dispatching::{Answered, Begun, dispatch};
use super::entry::Entry;
use super::meter::Metered;
use super::respond::Head;
use super::understand::Call;
use crate::cache::flight::{End, Reader, Writer};
use crate::cache::key::CacheKey;
use crate::cache::{Entry as Cached, Joined};
use crate::dialect::error::ApiError;
use crate::dispatch::Broken;

/// What a flight tells its readers before the first frame.
pub(super) type FlightHead = Result<Head, ApiError>;

/// What is there already.
pub(super) enum Lookup {
    /// A whole answer.
    Hit(Arc<Cached>),
    /// The same request is under way.
    Follow(Reader<FlightHead>),
    /// This request is the first of its kind: it fills, and reads what it fills.
    Lead(Writer<FlightHead>, Reader<FlightHead>),
    /// Its answer is nobody else's.
    Alone,
}

/// Requests that run in tasks of their own. Those that nobody reads any more are ended with the gateway, before their
/// records could come too late.
#[derive(Default)]
pub struct Fills {
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Fills {
    fn spawn(&self, fill: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
        let until_stopped = self.stopping.clone().run_until_cancelled_owned(fill);
        self.tasks.spawn(until_stopped.map(drop)).abort_handle()
    }

    /// Ends them all, and waits until their records are written. For when no client is there any more.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

pub(super) fn look_up(gateway: &Gateway, call: &Call, entry: &mut Entry) -> Lookup {
    let Some(repeat) = &call.repeat else { return Lookup::Alone };
    if let Some(cache) = gateway.cache.as_ref().filter(|_| repeat.keeps) {
        entry.row.cache = crate::record::Cache::Miss;
        if let Some(answer) = cache.get(&repeat.key).filter(|_| repeat.looks) {
            return Lookup::Hit(answer);
        }
    }
    match gateway.flights.join(repeat.key) {
        Joined::Leader(writer, reader) => Lookup::Lead(writer, reader),
        Joined::Follower(reader) => Lookup::Follow(reader),
    }
}

/// Runs the request in a task of its own, for everyone who reads. A whole answer is kept.
pub(super) fn fill(
    gateway: Arc<Gateway>,
    call: Call,
    entry: Entry,
    writer: Writer<FlightHead>,
    reader: &Reader<FlightHead>,
) {
    // The client will ask for it again.
    let goes_on = call.repeat.as_ref().is_some_and(|repeat| repeat.named && repeat.keeps);
    let shared = gateway.clone();
    let task = shared.fills.spawn(async move {
        let planned = call.decision.plan().first().map(|candidate| candidate.id);
        let (key, named) = match &call.repeat {
            Some(repeat) => (Some(repeat.key).filter(|_| repeat.keeps), repeat.named),
            None => (None, false),
        };
        match dispatch(&gateway, call, entry).await {
            Ok(begun) => {
                // A fallback's answer is not what a key without a name says.
                let key = key.filter(|_| named || planned == Some(begun.destination));
                copy(&gateway, key, begun, writer).await;
            }
            Err(ended) => {
                let (mut entry, error) = *ended;
                entry.failed(&error);
                writer.head(Err(error));
                writer.end(End::Whole);
            }
        }
    });
    if !goes_on {
        Writer::runs_in(reader, task);
    }
}

async fn copy(gateway: &Gateway, key: Option<CacheKey>, begun: Begun, writer: Writer<FlightHead>) {
    let (served_by, losses) = (begun.head.served_by.clone(), begun.head.losses.clone());
    writer.head(Ok(begun.head));
    match begun.body {
        Answered::Whole(body) => {
            if !writer.frame(body) {
                begun.meter.broken(&Broken::TooLarge);
                return;
            }
            begun.meter.complete();
        }
        Answered::Stream(frames, deadline) => {
            let mut frames = Metered::new(frames, begun.meter, deadline);
            while let Some(frame) = frames.next().await {
                // Dropping the writer breaks the answer off for everyone.
                let Ok(frame) = frame else { return };
                if !writer.frame(frame.bytes) {
                    frames.break_off(&Broken::TooLarge);
                    return;
                }
            }
        }
    }
    // Kept before it ends: a client that has its answer and asks again finds it.
    if let (Some(cache), Some(key)) = (&gateway.cache, key) {
        cache.put(key, Cached { frames: writer.frames(), served_by, losses });
    }
    writer.end(End::Whole);
}
