//! Money in integer micro-dollars, so that sums are exact.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

/// An amount of US dollars in millionths. Never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MicroUsd(pub u64);

impl MicroUsd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// From dollars, rounded up to the next micro-dollar: a cost is never understated.
    pub fn from_usd_ceil(usd: f64) -> Self {
        // `as` saturates: negative and NaN become 0.
        Self((usd * 1e6).ceil() as u64)
    }

    /// In dollars, for display and for comparisons against policy numbers.
    pub fn as_usd(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The difference, or zero where `other` is larger.
    pub fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for MicroUsd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for MicroUsd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.saturating_sub(other)
    }
}

/// Dollars with six decimals, no sign and no currency: `0.001250`.
impl fmt::Display for MicroUsd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000))
    }
}

#[cfg(test)]
mod tests {
    use super::MicroUsd;

    #[test]
    fn prints_dollars_with_six_decimals() {
        assert_eq!(MicroUsd(1_250).to_string(), "0.001250");
        assert_eq!(MicroUsd(12_000_000).to_string(), "12.000000");
    }

    #[test]
    fn rounds_costs_up_and_never_below_zero() {
        assert_eq!(MicroUsd::from_usd_ceil(0.000_000_1), MicroUsd(1));
        assert_eq!(MicroUsd::from_usd_ceil(-1.0), MicroUsd::ZERO);
        assert_eq!(MicroUsd::from_usd_ceil(f64::NAN), MicroUsd::ZERO);
    }
}
