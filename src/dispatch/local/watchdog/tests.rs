//! When a round takes too long.

use super::*;

const BOUNDS: Bounds = Bounds { least: Duration::from_secs(30), most: Duration::from_secs(600) };

/// Whether a round that has taken so many seconds takes too long where the slowest took so many.
fn is_too_long(took: u64, slowest: u64) -> bool {
    let began = Instant::now().checked_sub(Duration::from_secs(took));
    Inner { began, slowest: Duration::from_secs(slowest) }.too_long(BOUNDS).is_some()
}

#[test]
fn a_round_may_take_many_times_as_long_as_the_slowest_within_bounds() {
    assert_eq!([29, 31].map(|took| is_too_long(took, 0)), [false, true]);
    assert_eq!([99, 101].map(|took| is_too_long(took, 5)), [false, true]);
    assert_eq!([599, 601].map(|took| is_too_long(took, 300)), [false, true]);
}

#[test]
fn rest_is_no_round_and_a_round_that_has_ended_is_remembered() {
    let mut inner = Inner { began: Instant::now().checked_sub(Duration::from_secs(7)), ..Inner::default() };
    inner.end();
    assert!((7..9).contains(&inner.slowest.as_secs()), "{:?}", inner.slowest);
    assert_eq!(inner.too_long(Bounds { least: Duration::ZERO, most: Duration::ZERO }), None);
}
