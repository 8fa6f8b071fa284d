//! Large requests are looked at on other threads than those that serve everybody: few at once, no longer than a deadline,
//! and no longer than somebody waits for the answer.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{block_in_place, spawn_blocking};

use super::view::{Looked, asked};
use super::{Gateway, Generation};
use crate::chat::Part;
use crate::classify::{Gain, Scanner};
use crate::dialect::Decoded;

/// From how much text on a request is large; bytes. Less takes a few milliseconds at most.
const LARGE: usize = 64 << 10;

/// The turns of large requests.
#[derive(Debug)]
pub struct Apart {
    turns: Arc<Semaphore>,
}

/// What was seen of a large request before it is decided.
pub(super) struct Beforehand {
    pub(super) in_force: Arc<Looked>,
    /// What the set that is tried saw, where its detectors are others.
    pub(super) on_trial: Option<Arc<Looked>>,
    pub(super) gain: Option<Gain>,
    pub(super) took: Duration,
}

impl Default for Apart {
    /// As many at once as leave half of the cores to everybody else.
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { turns: Arc::new(Semaphore::new((cores / 2).max(1))) }
    }
}

impl Apart {
    /// Looks at a large request with the detectors of every set that has a say; `None` for a small one, which is looked at
    /// where it is decided.
    ///
    /// Who drops the future stops the looking. What was not found by the deadline is unknown, and everything where the
    /// looking breaks.
    pub(super) async fn look(
        &self,
        gateway: &Gateway,
        generation: &Generation,
        tenant: &Arc<str>,
        decoded: &Decoded<'_>,
    ) -> Option<Beforehand> {
        let bytes: usize = decoded.parts.iter().map(|part| part.text.len()).sum();
        if bytes <= LARGE {
            return None;
        }
        let started = Instant::now();
        let deadline = gateway.config.server.scan;
        let scanner = generation.policy.scanner.clone();
        let tried = generation.trial.as_ref().filter(|trial| !trial.scans_alike(&generation.policy));
        let tried = tried.map(|trial| trial.policy.scanner.clone());
        let unknown = || Arc::new(Looked { scan: scanner.unknown(), by_models: true });
        let none = Beforehand {
            in_force: unknown(),
            on_trial: tried.as_ref().map(|tried| Arc::new(Looked { scan: tried.unknown(), by_models: true })),
            gain: None,
            took: deadline,
        };
        let Ok(Ok(turn)) = tokio::time::timeout(deadline, self.turns.clone().acquire_owned()).await else {
            return Some(none);
        };
        let awaited = Awaited::default();
        let left = awaited.0.clone();
        let go_on = move || !left.load(Ordering::Relaxed) && started.elapsed() < deadline;
        let owned: Vec<Part<'static>> = decoded.parts.iter().map(owned).collect();
        let (tenant, estimator, asked) = (tenant.clone(), gateway.estimator.clone(), asked(&decoded.request));
        let look = move || {
            let _turn = turn;
            Beforehand {
                in_force: look_at(&scanner, &tenant, &owned, &go_on),
                on_trial: tried.map(|tried| look_at(&tried, &tenant, &owned, &go_on)),
                gain: if go_on() { estimator.gain(&asked) } else { None },
                took: started.elapsed(),
            }
        };
        let seen = spawn_blocking(look).await;
        drop(awaited);
        Some(seen.unwrap_or(none))
    }

    /// Does something about a body that takes long if that is large, so that nobody else waits for it.
    pub(super) async fn run<T>(&self, body: usize, work: impl FnOnce() -> T) -> T {
        let has_others = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
        if body <= LARGE || !has_others {
            return work();
        }
        let _turn: Option<OwnedSemaphorePermit> = self.turns.clone().acquire_owned().await.ok();
        block_in_place(work)
    }
}

/// Says when nobody waits any more.
#[derive(Default)]
struct Awaited(Arc<AtomicBool>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn owned(part: &Part<'_>) -> Part<'static> {
    Part { source: part.source, text: Cow::Owned(part.text.clone().into_owned()) }
}

/// The models look too: nobody knows yet whether they matter.
fn look_at(scanner: &Scanner, tenant: &str, parts: &[Part<'_>], go_on: &dyn Fn() -> bool) -> Arc<Looked> {
    let mut scan = scanner.scan_exact_while(tenant, parts, go_on);
    let until = scanner.models_deadline().and_then(|deadline| Instant::now().checked_add(deadline));
    scanner.recognise(parts, &mut scan, &|| go_on() && until.is_none_or(|until| Instant::now() < until));
    Arc::new(Looked { scan, by_models: true })
}
