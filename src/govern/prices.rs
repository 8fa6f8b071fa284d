//! What a call costs: a vendored list of prices, and exact arithmetic over it.
//!
//! The list is compiled in (`prices.json`, source and date stated in it) and refreshed by `scripts/refresh-prices.py`,
//! never fetched while serving. A model that is not in it has no price, and without a price there is no call.

use std::collections::HashMap;

use serde::Deserialize;

use crate::chat::{MicroUsd, Usage};

/// Prices by model.
#[derive(Clone, Debug, Default)]
pub struct PriceList {
    /// Where the facts come from.
    pub source: String,
    /// When they were taken: `2026-11-24`.
    pub date: String,
    prices: HashMap<String, Price>,
}

/// Why a price list was refused.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// Not the form of `prices.json`.
    #[error("the price list is not in the expected form: {0}; `scripts/refresh-prices.py` writes it")]
    Form(#[from] serde_json::Error),
    /// A price that is no amount of money.
    #[error("`{model}` has a price that is negative or not a number")]
    Amount {
        /// Whose.
        model: String,
    },
}

impl PriceList {
    /// The list that was compiled in.
    pub fn embedded() -> Self {
        // A test parses the same bytes.
        Self::parse(include_str!("prices.json")).expect("the embedded price list is valid")
    }

    /// Reads a list in the form of `prices.json`.
    pub fn parse(json: &str) -> Result<Self, PriceError> {
        let file: File = serde_json::from_str(json)?;
        let mut prices = HashMap::new();
        for entry in file.models {
            let price = entry.price().ok_or_else(|| PriceError::Amount { model: entry.model.clone() })?;
            for name in std::iter::once(&entry.model).chain(&entry.also) {
                prices.insert(format!("{}/{name}", entry.provider), price);
                prices.entry(name.clone()).and_modify(|p: &mut Price| *p = p.dearer(price)).or_insert(price);
            }
        }
        Ok(Self { source: file.source, date: file.date, prices })
    }

    pub(super) fn insert(&mut self, model: &str, price: Price) {
        self.prices.insert(model.to_owned(), price);
    }

    /// The price of `model`, written `provider/model` or `model` alone. A bare name that several providers sell costs
    /// what the dearest of them takes. `None` means unknown: no price, no call.
    pub fn price(&self, model: &str) -> Option<Price> {
        self.prices.get(model).copied()
    }
}

/// What one model takes per token, and how much fits into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    base: Rates,
    long: Option<Long>,
    /// Context window in tokens, where known.
    pub context: Option<u64>,
    /// Longest answer in tokens, where known.
    pub max_output: Option<u64>,
}

impl Price {
    /// Nothing: what the embedded engine costs.
    pub const FREE: Self = Self {
        base: Rates { input: 0, output: 0, cached_input: 0, cache_write: 0, audio_input: 0, audio_output: 0 },
        long: None,
        context: None,
        max_output: None,
    };

    /// A price stated by the installation itself, in US dollars per million tokens; cached input costs as much as other
    /// input unless stated. `None` where any is negative or not a number.
    pub fn from_usd_per_million(input: f64, output: f64, cached_input: Option<f64>) -> Option<Self> {
        Self::of(&Amounts { input, output, cached_input, ..Amounts::default() })
    }

    /// `None` where any amount is negative or not a number.
    pub(super) fn of(amounts: &Amounts) -> Option<Self> {
        Some(Self { base: amounts.rates()?, ..Self::FREE })
    }

    /// What `usage` costs, rounded up to the next micro-dollar.
    pub fn cost(&self, usage: Usage) -> MicroUsd {
        let rates = self.rates(usage.input);
        let cached = usage.cached_input.min(usage.input);
        let written = usage.cache_write.min(usage.input - cached);
        let heard = usage.audio_input.min(usage.input - cached - written);
        let spoken = usage.audio_output.min(usage.output);
        Rates::total(&[
            (usage.input - cached - written - heard, rates.input),
            (usage.output - spoken, rates.output),
            (cached, rates.cached_input),
            (heard, rates.audio_input),
            (spoken, rates.audio_output),
        ]) + Rates::total(&[(written, rates.cache_write.max(rates.input))])
    }

    /// The most that a call can cost whose prompt has at most `input` and whose answer at most `max_output` tokens,
    /// whether the provider reads the prompt from its cache, writes it there, or neither. Sound is not in it: how many tokens
    /// that has nobody knows before.
    pub fn worst_case(&self, input: u64, max_output: u64) -> MicroUsd {
        let rates = match self.long {
            Some(long) if input > long.above => self.base.dearer(long.rates),
            _ => self.base,
        };
        Rates::total(&[(input, rates.dearest_input()), (max_output, rates.output)])
    }

    /// As [`Self::worst_case`], where the provider finds the whole prompt in its cache.
    pub fn from_cache(&self, input: u64, max_output: u64) -> MicroUsd {
        let rates = self.rates(input);
        Rates::total(&[(input, rates.cached_input), (max_output, rates.output)])
    }

    fn rates(&self, input: u64) -> Rates {
        match self.long {
            Some(long) if input > long.above => long.rates,
            _ => self.base,
        }
    }

    /// Takes the worse of both in every respect.
    fn dearer(self, other: Self) -> Self {
        let long = match (self.long, other.long) {
            (Some(a), Some(b)) => Some(Long { above: a.above.min(b.above), rates: a.rates.dearer(b.rates) }),
            (one, two) => one.or(two),
        };
        let base = self.base.dearer(other.base);
        Self {
            base,
            long: long.map(|l| Long { rates: l.rates.dearer(base), ..l }),
            context: smaller(self.context, other.context),
            max_output: smaller(self.max_output, other.max_output),
        }
    }
}

fn smaller(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, two) => one.or(two),
    }
}

/// The rates that hold once the prompt is longer than `above` tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Long {
    above: u64,
    rates: Rates,
}

/// In millionths of a micro-dollar per token, so that every published price is a whole number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rates {
    input: u64,
    output: u64,
    cached_input: u64,
    cache_write: u64,
    audio_input: u64,
    audio_output: u64,
}

impl Rates {
    /// What so many tokens cost at these rates, rounded up once.
    fn total(counts: &[(u64, u64)]) -> MicroUsd {
        let products = counts.iter().map(|(tokens, rate)| u128::from(*tokens) * u128::from(*rate));
        let total = products.fold(0_u128, u128::saturating_add);
        MicroUsd(u64::try_from(total.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }

    fn dearest_input(&self) -> u64 {
        self.input.max(self.cached_input).max(self.cache_write)
    }

    fn dearer(self, other: Self) -> Self {
        Self {
            input: self.input.max(other.input),
            output: self.output.max(other.output),
            cached_input: self.cached_input.max(other.cached_input),
            cache_write: self.cache_write.max(other.cache_write),
            audio_input: self.audio_input.max(other.audio_input),
            audio_output: self.audio_output.max(other.audio_output),
        }
    }
}

// === the file ===

#[derive(Deserialize)]
struct File {
    source: String,
    date: String,
    models: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    provider: String,
    model: String,
    #[serde(default)]
    also: Vec<String>,
    #[serde(flatten)]
    amounts: Amounts,
    context: Option<u64>,
    max_output: Option<u64>,
    long: Option<LongAmounts>,
}

impl Entry {
    fn price(&self) -> Option<Price> {
        let long = match &self.long {
            Some(long) => Some(Long { above: long.above, rates: long.amounts.rates()? }),
            None => None,
        };
        Some(Price { base: self.amounts.rates()?, long, context: self.context, max_output: self.max_output })
    }
}

#[derive(Deserialize)]
struct LongAmounts {
    above: u64,
    #[serde(flatten)]
    amounts: Amounts,
}

/// US dollars per million tokens.
#[derive(Default, Deserialize)]
pub(super) struct Amounts {
    pub(super) input: f64,
    pub(super) output: f64,
    pub(super) cached_input: Option<f64>,
    pub(super) cache_write: Option<f64>,
    pub(super) audio_input: Option<f64>,
    pub(super) audio_output: Option<f64>,
}

impl Amounts {
    /// A rate that is not stated is that of plain input, or output.
    fn rates(&self) -> Option<Rates> {
        Some(Rates {
            input: rate(self.input)?,
            output: rate(self.output)?,
            cached_input: rate(self.cached_input.unwrap_or(self.input))?,
            cache_write: rate(self.cache_write.unwrap_or(self.input))?,
            audio_input: rate(self.audio_input.unwrap_or(self.input))?,
            audio_output: rate(self.audio_output.unwrap_or(self.output))?,
        })
    }
}

fn rate(usd_per_million: f64) -> Option<u64> {
    (usd_per_million.is_finite() && usd_per_million >= 0.0).then(|| (usd_per_million * 1e6).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: &str = r#"{"source": "test", "date": "2026-11-24", "models": [
        {"provider": "a", "model": "m", "also": ["m-2026-01-01"], "input": 2.5, "output": 10, "cached_input": 1.25},
        {"provider": "b", "model": "m", "input": 3, "output": 9, "long":
            {"above": 1000, "input": 6, "output": 12}}
    ]}"#;

    fn list() -> PriceList {
        PriceList::parse(LIST).unwrap()
    }

    fn usage(input: u64, cached_input: u64, output: u64) -> Usage {
        Usage { input, output, cached_input, ..Usage::default() }
    }

    #[test]
    fn the_embedded_list_states_source_and_date_and_knows_the_large_providers() {
        let list = PriceList::embedded();
        assert!(list.source.contains("litellm") && list.date.parse::<jiff::civil::Date>().is_ok());
        for prefix in ["openai/", "anthropic/", "google/", "mistral/", "deepseek/", "groq/"] {
            assert!(list.prices.keys().any(|name| name.starts_with(prefix)), "nothing of {prefix}");
        }
        let mini = list.price("openai/gpt-4o-mini").unwrap();
        assert_eq!(mini.cost(usage(1_000_000, 0, 1_000_000)), MicroUsd(750_000));
        assert_eq!((mini.context, mini.max_output), (Some(128_000), Some(16_384)));
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        assert_eq!(list().price("a/other"), None);
        assert_eq!(list().price("c/m"), None);
        assert_eq!(list().price(""), None);
    }

    #[test]
    fn cached_input_has_its_own_price_and_costs_round_up() {
        let price = list().price("a/m").unwrap();
        assert_eq!(price.cost(usage(1000, 400, 100)), MicroUsd(1500 + 500 + 1000));
        assert_eq!(price.cost(usage(1, 1, 0)), MicroUsd(2));
        assert_eq!(price.cost(usage(0, 0, 0)), MicroUsd::ZERO);
        assert_eq!(list().price("a/m-2026-01-01"), Some(price));
    }

    #[test]
    fn sound_has_its_own_price_where_the_list_has_one() {
        let price = PriceList::embedded().price("google/gemini-2.5-flash").unwrap();
        let heard = Usage { audio_input: 1_000_000, ..usage(1_000_000, 0, 0) };
        assert_eq!((price.cost(usage(1_000_000, 0, 0)), price.cost(heard)), (MicroUsd(300_000), MicroUsd(1_000_000)));
        let other = list().price("a/m").unwrap();
        let both = Usage { audio_input: 500, audio_output: 9, ..usage(1000, 400, 100) };
        assert_eq!(other.cost(both), other.cost(usage(1000, 400, 100)));
    }

    #[test]
    fn a_long_prompt_pays_the_long_rate() {
        let price = list().price("b/m").unwrap();
        assert_eq!(price.cost(usage(1000, 0, 0)), MicroUsd(3000));
        assert_eq!(price.cost(usage(1001, 0, 1)), MicroUsd(6006 + 12));
    }

    #[test]
    fn a_bare_name_costs_what_the_dearest_provider_takes() {
        let price = list().price("m").unwrap();
        assert_eq!(price.cost(usage(100, 0, 100)), MicroUsd(300 + 1000));
        assert_eq!(price.cost(usage(2000, 0, 0)), MicroUsd(12_000));
    }

    #[test]
    fn a_price_that_is_no_amount_is_refused_by_name() {
        let error = PriceList::parse(&LIST.replace("2.5", "-2.5")).unwrap_err();
        assert_eq!(error.to_string(), "`m` has a price that is negative or not a number");
        assert_eq!(Price::from_usd_per_million(f64::NAN, 1.0, None), None);
    }

    proptest! {
        #[test]
        fn no_usage_within_the_bounds_costs_more_than_the_worst_case(
            name in prop::sample::select(PriceList::embedded().prices.into_keys().collect::<Vec<_>>()),
            bounds in (0..2_000_000u64, 0..200_000u64),
            part in (0.0..=1.0f64, 0.0..=1.0f64, 0.0..=1.0f64),
        ) {
            let price = PriceList::embedded().price(&name).unwrap();
            let input = (bounds.0 as f64 * part.0) as u64;
            let used = usage(input, (input as f64 * part.1) as u64, (bounds.1 as f64 * part.2) as u64);
            prop_assert!(price.cost(used) <= price.worst_case(bounds.0, bounds.1));
        }

        #[test]
        fn a_bare_name_never_costs_less_than_one_of_its_providers(
            input in 0..5000u64, cached in 0..5000u64, output in 0..5000u64,
        ) {
            let used = usage(input, cached, output);
            for provider in ["a/m", "b/m"] {
                prop_assert!(list().price("m").unwrap().cost(used) >= list().price(provider).unwrap().cost(used));
            }
        }

        #[test]
        fn absurd_token_counts_saturate(input: u64, output: u64) {
            prop_assert!(list().price("b/m").unwrap().worst_case(input, output) >= MicroUsd::ZERO);
        }
    }
}
