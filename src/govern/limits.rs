//! Requests per minute of a key: the generic cell rate algorithm of the `governor` crate.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// How often a key may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests per minute in the long run.
    pub per_minute: NonZeroU32,
    /// Requests at once after a pause; `per_minute` where not stated.
    pub burst: Option<NonZeroU32>,
}

impl RateLimit {
    fn quota(self) -> Quota {
        Quota::per_minute(self.per_minute).allow_burst(self.burst.unwrap_or(self.per_minute))
    }
}

/// Counts one key's requests. There is one per configured key, so their number is bounded by the configuration.
pub struct Limiter<C: Clock = DefaultClock> {
    limit: RateLimit,
    clock: C,
    cells: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
}

impl Limiter {
    /// A limiter with its whole burst at hand.
    pub fn new(limit: RateLimit) -> Self {
        Self::with_clock(limit, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Limiter<C> {
    fn with_clock(limit: RateLimit, clock: C) -> Self {
        Self { limit, cells: RateLimiter::direct_with_clock(limit.quota(), clock.clone()), clock }
    }

    /// Takes one request, or says after which time the next one is admitted: HTTP 429 with `Retry-After`.
    pub fn check(&self) -> Result<(), Duration> {
        self.cells.check().map_err(|denied| denied.wait_time_from(self.clock.now()))
    }

    /// What it was made from.
    pub fn limit(&self) -> RateLimit {
        self.limit
    }
}

impl<C: Clock> fmt::Debug for Limiter<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Limiter").field(&self.limit).finish()
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn per_minute(requests: u32, burst: Option<u32>) -> RateLimit {
        RateLimit { per_minute: NonZeroU32::new(requests).unwrap(), burst: burst.and_then(NonZeroU32::new) }
    }

    #[test]
    fn admits_the_burst_then_says_how_long_to_wait() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_clock(per_minute(60, Some(3)), clock.clone());
        assert!((0..3).all(|_| limiter.check().is_ok()));
        let wait = limiter.check().unwrap_err();
        assert!(wait > Duration::ZERO && wait <= Duration::from_secs(1), "{wait:?}");
        clock.advance(wait);
        assert_eq!(limiter.check(), Ok(()));
        assert!(limiter.check().is_err());
    }

    #[test]
    fn admits_no_more_than_the_rate_and_one_burst_in_the_long_run() {
        let clock = FakeRelativeClock::default();
        let limiter = Limiter::with_clock(per_minute(120, None), clock.clone());
        let mut admitted = 0;
        for _ in 0..600 {
            admitted += u32::from(limiter.check().is_ok());
            clock.advance(Duration::from_millis(100));
        }
        assert!((220..=241).contains(&admitted), "{admitted} in one minute");
    }
}
