//! How a provider fares, and what that means for the next call: a circuit breaker that opens on failures and closes
//! step by step, pauses that the provider asks for, and a budget of retries.
//!
//! The breaker follows M. Nygard, *Release It!* (2007); after it was open the calls under way at once are limited and the
//! limit doubles with each success, so that a provider that comes back is not run over. The budget is that of Finagle and
//! Envoy: retries are a share of the calls.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::resting::Resting;
use crate::dispatch::failure::Failure;

/// Failures in a row that open the breaker.
const ROW: u32 = 8;
/// Calls within [`WINDOW`] from which on their share of failures counts.
const ENOUGH: u32 = 20;
/// The share of failures that opens the breaker, in percent.
const TOO_MANY: u32 = 80;
/// Over what the share is counted.
const WINDOW: Duration = Duration::from_secs(10);
/// How long the breaker stays open the first time; twice as long each next time, up to [`LONGEST`].
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest time that the breaker stays open, and longest pause that is granted.
const LONGEST: Duration = Duration::from_secs(30);
/// Calls at once from which on a provider that came back counts as well.
const WELL: u32 = 64;
/// Retries per call, in thousandths: a fifth.
const RETRIES_PER_MILLE: u32 = 200;
/// Most retries that can be saved up, and what there is at the beginning, in thousandths.
const SAVED: u32 = 10_000;

/// One provider's health.
pub(super) struct Health {
    name: String,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    /// Failures since the last success.
    row: u32,
    /// When the counting of this window began, and what was counted.
    window: Instant,
    calls: u32,
    failures: u32,
    /// How often the breaker opened since the provider was well.
    opened: u32,
    under_way: u32,
    paused_until: Option<Instant>,
    /// Retries left, in thousandths.
    retries: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    /// After it was open: at most so many calls at once.
    Warming {
        limit: u32,
    },
}

/// A call that was admitted. Dropped without a word, it says nothing about the provider.
pub struct Ticket {
    health: Arc<Health>,
}

impl Health {
    pub(super) fn new(name: &str) -> Arc<Self> {
        let state = State {
            phase: Phase::Closed,
            row: 0,
            window: Instant::now(),
            calls: 0,
            failures: 0,
            opened: 0,
            under_way: 0,
            paused_until: None,
            retries: SAVED,
        };
        Arc::new(Self { name: name.to_owned(), state: Mutex::new(state) })
    }

    /// Why the provider is better not chosen now.
    pub(super) fn resting(&self, now: Instant) -> Option<Resting> {
        self.with(|state| state.resting(now))
    }

    /// For how long the provider is better left alone, from now on; zero where it may be tried.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        self.with(|state| {
            let open = match state.phase {
                Phase::Open { until } => Some(until),
                Phase::Closed | Phase::Warming { .. } => None,
            };
            let until = open.max(state.paused_until);
            until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
        })
    }

    /// 1 for the state that the breaker is in.
    pub(super) fn observed(&self, now: Instant) -> [(&'static str, i64); 3] {
        let (mut closed, mut open, mut half_open) = (0, 0, 0);
        self.with(|state| match state.phase {
            Phase::Closed => closed = 1,
            Phase::Open { until } if now < until => open = 1,
            Phase::Open { .. } | Phase::Warming { .. } => half_open = 1,
        });
        [("closed", closed), ("open", open), ("half_open", half_open)]
    }

    /// Lets a call through.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Result<Ticket, Resting> {
        self.with(|state| state.admit(now))?;
        Ok(Ticket { health: self.clone() })
    }

    /// Whether one more call may be a retry; it is counted.
    pub(super) fn may_retry(&self) -> bool {
        self.with(|state| {
            let left = state.retries.checked_sub(1000);
            state.retries = left.unwrap_or(state.retries);
            left.is_some()
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        // Nothing in here panics; if it did, the numbers would still be numbers.
        look(&mut self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl Ticket {
    /// The provider answered.
    pub fn succeeded(self, now: Instant) {
        if self.health.with(|state| state.succeeded(now)) {
            tracing::info!(provider = self.health.name, "A provider is well again.");
        }
    }

    /// The provider did not.
    pub fn failed(self, failure: &Failure, now: Instant) {
        // A limit on the rate is the credential's: see `keys`.
        if let Some(wait) = failure.retry_after().filter(|_| !failure.is_the_credentials()) {
            self.health.with(|state| state.paused_until = Some(now + wait.min(LONGEST)));
        }
        let opened = failure.is_the_providers().then(|| self.health.with(|state| state.failed(now, jitter())));
        if let Some(Some(open)) = opened {
            let (provider, seconds) = (&self.health.name, open.as_secs_f64());
            tracing::warn!(provider, seconds, "A provider fails and is left alone for a while.");
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.health.with(|state| state.under_way -= 1);
    }
}

impl State {
    fn resting(&mut self, now: Instant) -> Option<Resting> {
        if self.paused_until.is_some_and(|until| now < until) {
            return Some(Resting::Paused);
        }
        match self.phase {
            Phase::Open { until } if now < until => Some(Resting::Broken),
            Phase::Open { .. } => {
                self.phase = Phase::Warming { limit: 1 };
                self.resting(now)
            }
            Phase::Warming { limit } if self.under_way >= limit => Some(Resting::Warming),
            Phase::Warming { .. } | Phase::Closed => None,
        }
    }

    fn admit(&mut self, now: Instant) -> Result<(), Resting> {
        if let Some(resting) = self.resting(now) {
            return Err(resting);
        }
        self.under_way += 1;
        self.retries = (self.retries + RETRIES_PER_MILLE).min(SAVED);
        Ok(())
    }

    fn count(&mut self, now: Instant, failed: bool) {
        if now.duration_since(self.window) > WINDOW {
            (self.window, self.calls, self.failures) = (now, 0, 0);
        }
        self.calls += 1;
        self.failures += u32::from(failed);
    }

    /// Whether the provider is well again with this.
    fn succeeded(&mut self, now: Instant) -> bool {
        self.count(now, false);
        self.row = 0;
        match self.phase {
            Phase::Warming { limit } if limit >= WELL => {
                self.phase = Phase::Closed;
                self.opened = 0;
                true
            }
            Phase::Warming { limit } => {
                self.phase = Phase::Warming { limit: limit * 2 };
                false
            }
            // An answer to a call from before says nothing about now.
            Phase::Open { .. } | Phase::Closed => false,
        }
    }

    /// For how long the breaker opens with this, if it does.
    fn failed(&mut self, now: Instant, jitter: f64) -> Option<Duration> {
        self.count(now, true);
        self.row += 1;
        let opens = match self.phase {
            Phase::Open { .. } => false,
            Phase::Warming { .. } => true,
            Phase::Closed => self.row >= ROW || self.calls >= ENOUGH && self.failures * 100 >= self.calls * TOO_MANY,
        };
        opens.then(|| {
            let open = (SHORTEST * 2_u32.saturating_pow(self.opened.min(8))).min(LONGEST).mul_f64(jitter);
            self.opened += 1;
            self.phase = Phase::Open { until: now + open };
            (self.row, self.calls, self.failures) = (0, 0, 0);
            open
        })
    }
}

/// Between 0.8 and 1.2, so that many gateways do not come back at once.
fn jitter() -> f64 {
    0.8 + 0.4 * f64::from(getrandom::u32().unwrap_or(u32::MAX / 2)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use proptest::prelude::*;

    use super::*;

    fn failure() -> Failure {
        Failure::Upstream { status: StatusCode::INTERNAL_SERVER_ERROR, retry_after: None }
    }

    fn fail(health: &Arc<Health>, now: Instant) {
        health.admit(now).unwrap().failed(&failure(), now);
    }

    /// A provider whose breaker has just opened, and when it may be tried again.
    fn broken() -> (Arc<Health>, Instant) {
        let (health, now) = (Health::new("far"), Instant::now());
        (0..ROW).for_each(|_| fail(&health, now));
        assert_eq!(health.resting(now), Some(Resting::Broken));
        assert_eq!(health.observed(now), [("closed", 0), ("open", 1), ("half_open", 0)]);
        assert!((SHORTEST.mul_f64(0.8)..=SHORTEST.mul_f64(1.2)).contains(&health.rest(now)));
        (health, now + SHORTEST.mul_f64(1.2))
    }

    #[test]
    fn failures_in_a_row_open_the_breaker_and_a_success_between_them_does_not() {
        let (health, now) = (Health::new("far"), Instant::now());
        for _ in 0..2 {
            (1..ROW).for_each(|_| fail(&health, now));
            health.admit(now).unwrap().succeeded(now);
        }
        (0..4).for_each(|_| fail(&health, now));
        assert_eq!(health.resting(now), Some(Resting::Broken), "nine tenths of enough calls failed");
        let (health, now) = (Health::new("far"), Instant::now());
        for _ in 0..100 {
            fail(&health, now);
            health.admit(now).unwrap().succeeded(now);
        }
        assert_eq!(health.resting(now), None, "half of them failed");
    }

    #[test]
    fn what_is_the_clients_or_ours_says_nothing_about_the_provider() {
        let (health, now) = (Health::new("far"), Instant::now());
        for _ in 0..100 {
            drop(health.admit(now).unwrap());
            health.admit(now).unwrap().failed(&Failure::Deadline, now);
        }
        assert_eq!(health.resting(now), None);
    }

    #[test]
    fn one_call_tries_whether_it_is_back_and_each_success_lets_in_twice_as_many() {
        let (health, later) = broken();
        let first = health.admit(later).unwrap();
        assert_eq!(health.observed(later)[2], ("half_open", 1));
        assert_eq!(health.resting(later), Some(Resting::Warming));
        first.succeeded(later);
        let two = [health.admit(later).unwrap(), health.admit(later).unwrap()];
        assert_eq!(health.admit(later).err(), Some(Resting::Warming));
        two.into_iter().for_each(|ticket| ticket.succeeded(later));
        let tickets: Vec<_> = std::iter::from_fn(|| health.admit(later).ok()).collect();
        assert_eq!(tickets.len(), 8);
        tickets.into_iter().for_each(|ticket| ticket.succeeded(later));
        let many: Vec<_> = (0..200).map(|_| health.admit(later).unwrap()).collect();
        assert_eq!(many.len(), 200, "it is well again");
        assert_eq!(health.observed(later)[0], ("closed", 1));
    }

    #[test]
    fn a_trial_that_fails_opens_it_for_twice_as_long_and_never_for_too_long() {
        let (health, mut now) = broken();
        for _ in 0..20 {
            health.admit(now).unwrap().failed(&failure(), now);
            assert_eq!(health.resting(now), Some(Resting::Broken));
            assert_eq!(health.resting(now + SHORTEST), Some(Resting::Broken), "longer than the first time");
            now += LONGEST.mul_f64(1.2);
            assert_eq!(health.resting(now), None);
        }
    }

    #[test]
    fn a_client_that_leaves_during_the_trial_leaves_room_for_the_next() {
        let (health, later) = broken();
        drop(health.admit(later).unwrap());
        assert!(health.admit(later).is_ok());
    }

    #[test]
    fn a_pause_that_is_asked_for_is_granted_within_bounds() {
        let (health, now) = (Health::new("far"), Instant::now());
        let answered = |status, seconds| Failure::Upstream { status, retry_after: Some(Duration::from_secs(seconds)) };
        for _ in 0..50 {
            let later = now + LONGEST;
            health.admit(later).unwrap().failed(&answered(StatusCode::TOO_MANY_REQUESTS, 7000), later);
        }
        assert_eq!(health.resting(now + LONGEST), None, "a limit on the rate is the credential's");
        health.admit(now + LONGEST).unwrap().failed(&answered(StatusCode::SERVICE_UNAVAILABLE, 7000), now);
        assert_eq!(health.resting(now + LONGEST / 2), Some(Resting::Paused));
        assert_eq!((health.rest(now), health.rest(now + LONGEST)), (LONGEST, Duration::ZERO));
        assert_eq!(health.resting(now + LONGEST), None);
    }

    proptest! {
        #[test]
        fn retries_are_a_fifth_of_the_calls_and_what_was_saved(calls in 0..2000_u32, asked in 0..3000_u32) {
            let (health, now) = (Health::new("far"), Instant::now());
            let mut granted = 0;
            for i in 0..calls.max(asked) {
                if i < calls {
                    drop(health.admit(now));
                }
                granted += u32::from(i < asked && health.may_retry());
            }
            prop_assert!(granted <= calls / 5 + SAVED / 1000, "{granted} of {calls}");
            prop_assert!(granted >= asked.min(SAVED / 1000));
        }
    }
}
