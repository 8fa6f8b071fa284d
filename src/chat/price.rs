//! What tokens cost.

use super::{MicroUsd, Usage};

/// Prices in micro-dollars per million tokens, so that a product with a token count is exact before it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Prompt tokens.
    pub input: u64,
    /// Generated tokens.
    pub output: u64,
    /// Prompt tokens that were read from the provider's cache.
    pub cached_input: u64,
}

impl Price {
    /// Nothing: the embedded engine.
    pub const FREE: Self = Self { input: 0, output: 0, cached_input: 0 };

    /// From dollars per million tokens; cached input costs as much as other input unless stated.
    pub fn from_usd(input: f64, output: f64, cached_input: Option<f64>) -> Self {
        let micro = |usd: f64| MicroUsd::from_usd_ceil(usd).0;
        Self { input: micro(input), output: micro(output), cached_input: micro(cached_input.unwrap_or(input)) }
    }

    /// What `usage` costs, rounded up to the next micro-dollar.
    pub fn cost(&self, usage: Usage) -> MicroUsd {
        let cached = usage.cached_input.min(usage.input);
        let parts = [(usage.input - cached, self.input), (cached, self.cached_input), (usage.output, self.output)];
        let sum: u128 = parts.iter().map(|(tokens, price)| u128::from(*tokens) * u128::from(*price)).sum();
        MicroUsd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    /// The most that a call can cost: nothing cached, and the answer as long as allowed.
    pub fn worst_case(&self, input: u64, max_output: u64) -> MicroUsd {
        let dearest = Self { cached_input: self.input.max(self.cached_input), ..*self };
        dearest.cost(Usage { input, output: max_output, cached_input: 0 })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn counts_cached_input_at_its_own_price_and_rounds_up() {
        let price = Price::from_usd(2.5, 10.0, Some(1.25));
        let usage = Usage { input: 1_000, output: 200, cached_input: 600 };
        assert_eq!(price.cost(usage), MicroUsd(1_000 + 750 + 2_000));
        assert_eq!(price.cost(Usage { input: 1, output: 0, cached_input: 0 }), MicroUsd(3));
    }

    proptest! {
        #[test]
        fn no_usage_within_its_bounds_costs_more_than_the_worst_case(
            input in 0u64..1_000_000, output in 0u64..100_000, cached in 0u64..1_000_000,
            used_in in 0.0..=1.0f64, used_out in 0.0..=1.0f64, usd_in in 0.0..100.0f64, usd_out in 0.0..100.0f64,
        ) {
            let price = Price::from_usd(usd_in, usd_out, Some(usd_in / 10.0));
            let usage = Usage {
                input: (input as f64 * used_in) as u64,
                output: (output as f64 * used_out) as u64,
                cached_input: cached,
            };
            prop_assert!(price.cost(usage) <= price.worst_case(input, output));
        }
    }
}
