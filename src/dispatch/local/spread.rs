//! How a model's opinion of the next token is spread over all of them: what is behind likelihoods and certainty.
//!
//! It is computed for every token that is drawn, so it is written for compilers to vectorise: 15 µs for a vocabulary of 49,152
//! tokens.

use super::model::Token;
use crate::chat::reply::Certainty;

/// What stands for the logarithm of 0, in JSON too.
const IMPOSSIBLE: f32 = -9999.0;
/// Numbers that are computed side by side.
const LANES: usize = 16;
/// So many are added up before their sum is widened.
const BLOCK: usize = 64 * LANES;

/// The softmax of one row of logits, by its sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    /// The logarithm of the sum of all exponentials: a logit less this is the logarithm of a probability.
    log_sum: f64,
    largest: f32,
    /// In nats.
    entropy: f64,
    /// The probability of the likeliest token less that of the next.
    margin: f64,
}

impl Spread {
    /// Of `logits`, one for each token of the vocabulary.
    pub(super) fn of(logits: &[f32]) -> Self {
        let (largest, second) = two_largest(logits);
        let (mut sum, mut weighted) = (0.0, 0.0);
        for block in logits.chunks(BLOCK) {
            let (more, more_weighted) = sums(block, largest);
            sum += f64::from(more);
            weighted += f64::from(more_weighted);
        }
        let log = sum.ln();
        let behind = if second.is_finite() { f64::from(second - largest).exp() } else { 0.0 };
        Self {
            log_sum: log + f64::from(largest),
            largest,
            entropy: (log - weighted / sum).max(0.0),
            margin: (1.0 - behind) / sum,
        }
    }

    /// The logarithm of the probability of who has this `logit`.
    pub(super) fn logprob(&self, logit: f32) -> f32 {
        ((f64::from(logit) - self.log_sum) as f32).clamp(IMPOSSIBLE, 0.0)
    }

    fn certainty(&self, logit: f32) -> Certainty {
        Certainty { logprob: self.logprob(logit).into(), entropy: self.entropy, margin: self.margin }
    }
}

/// How sure `logits` are of `token`.
pub(super) fn certainty(logits: &[f32], token: Token) -> Certainty {
    Spread::of(logits).certainty(logit_of(logits, token))
}

/// How sure `logits` are of the likeliest token.
pub(super) fn certainty_of_likeliest(logits: &[f32]) -> Certainty {
    let spread = Spread::of(logits);
    spread.certainty(spread.largest)
}

/// The logit of `token`; of one that is none, as little as possible.
pub(super) fn logit_of(logits: &[f32], token: Token) -> f32 {
    usize::try_from(token).ok().and_then(|at| logits.get(at)).copied().unwrap_or(f32::NEG_INFINITY)
}

/// The largest, and the largest of the rest.
fn two_largest(logits: &[f32]) -> (f32, f32) {
    let (mut first, mut second) = ([f32::NEG_INFINITY; LANES], [f32::NEG_INFINITY; LANES]);
    let (rows, rest) = logits.as_chunks::<LANES>();
    for row in rows {
        for lane in 0..LANES {
            second[lane] = larger(second[lane], smaller(first[lane], row[lane]));
            first[lane] = larger(first[lane], row[lane]);
        }
    }
    let all = first.iter().chain(&second).chain(rest);
    all.fold((f32::NEG_INFINITY, f32::NEG_INFINITY), |(first, second), &one| {
        (larger(first, one), larger(second, smaller(first, one)))
    })
}

/// The sum of the exponentials of `logits` less `largest`, and the same with each multiplied by its exponent.
fn sums(logits: &[f32], largest: f32) -> (f32, f32) {
    let (mut sum, mut weighted) = ([0.0; LANES], [0.0; LANES]);
    let (rows, rest) = logits.as_chunks::<LANES>();
    rows.iter().for_each(|row| add(row, largest, &mut sum, &mut weighted));
    let mut last = [f32::NEG_INFINITY; LANES];
    last[..rest.len()].copy_from_slice(rest);
    add(&last, largest, &mut sum, &mut weighted);
    (sum.iter().sum(), weighted.iter().sum())
}

/// Adds one row to the sums of each lane. A function, since of what a closure captures compilers do not know that it is apart,
/// and compute lane by lane.
fn add(row: &[f32; LANES], largest: f32, sum: &mut [f32; LANES], weighted: &mut [f32; LANES]) {
    for lane in 0..LANES {
        let exponent = larger(row[lane] - largest, LEAST);
        let exponential = exp(exponent);
        sum[lane] += exponential;
        weighted[lane] += exponential * exponent;
    }
}

// Unlike the methods of `f32` these are one instruction each.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

fn smaller(a: f32, b: f32) -> f32 {
    if a < b { a } else { b }
}

/// Below this, exponentials are as good as 0, and beyond the reach of [`exp`].
const LEAST: f32 = -87.0;
/// What is added to this is rounded to a whole number, which stands in the lowest bits.
const ROUNDING: f32 = 12_582_912.0;
/// The logarithm of 2, in two numbers: the first has so few bits that multiples of it are exact.
const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
/// The exponential of an `x` from [`LEAST`] to 0, without branches, so that many are computed at once; right to about a ten
/// millionth of it.
fn exp(x: f32) -> f32 {
    let rounded = x * std::f32::consts::LOG2_E + ROUNDING;
    let twos = rounded - ROUNDING;
    let rest = x - twos * LN_2.0 - twos * LN_2.1;
    // The polynomial of Cephes' `expf`.
    let terms = ((1.987_569_1e-4 * rest + 1.398_199_9e-3) * rest + 8.333_452e-3) * rest + 4.166_579_6e-2;
    let terms = (terms * rest + 1.666_666_5e-1) * rest + 0.5;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    (terms * rest * rest + rest + 1.0) * power
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By the book, in double precision.
    fn slowly(logits: &[f32], token: usize) -> Certainty {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let exps: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - largest).exp()).collect();
        let sum: f64 = exps.iter().sum();
        let mut shares: Vec<f64> = exps.iter().map(|exp| exp / sum).collect();
        let logprob = shares[token].ln();
        let entropy = -shares.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
        shares.sort_by(f64::total_cmp);
        Certainty { logprob, entropy, margin: shares[shares.len() - 1] - shares[shares.len() - 2] }
    }

    fn assert_close(found: Certainty, wanted: Certainty) {
        let pairs = [(found.logprob, wanted.logprob), (found.entropy, wanted.entropy), (found.margin, wanted.margin)];
        for (found, wanted) in pairs {
            assert!((found - wanted).abs() < 2e-6 * (1.0 + wanted.abs()), "{found} for {wanted}");
        }
    }

    #[test]
    fn who_has_no_opinion_has_the_entropy_of_all_tokens_and_no_margin() {
        for tokens in [2_usize, 16, 17, 49_152] {
            let all = (tokens as f64).ln();
            let wanted = Certainty { logprob: -all, entropy: all, margin: 0.0 };
            assert_close(certainty(&vec![3.5; tokens], 1), wanted);
        }
    }

    #[test]
    fn who_is_sure_has_no_entropy_and_all_of_the_margin() {
        for at in [0, 15, 16, 36] {
            let mut logits = vec![-200.0; 37];
            logits[at] = 100.0;
            assert_close(certainty(&logits, at as Token), Certainty { logprob: 0.0, entropy: 0.0, margin: 1.0 });
            let other = certainty(&logits, Token::from(at == 0));
            assert!(other.logprob <= -299.0, "{other:?}");
        }
    }

    #[test]
    fn it_is_what_the_definitions_say_wherever_the_largest_stand() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32
        };
        for tokens in [2, 5, 16, 31, 1024, 1025, 151_936] {
            let logits: Vec<f32> = (0..tokens).map(|_| 40.0 * random().powi(3) - 12.0).collect();
            for token in [0, tokens / 2, tokens - 1] {
                assert_close(certainty(&logits, token as Token), slowly(&logits, token));
            }
            let likeliest = (0..tokens).max_by(|a, b| logits[*a].total_cmp(&logits[*b])).unwrap();
            assert_close(certainty_of_likeliest(&logits), slowly(&logits, likeliest));
        }
    }

    #[test]
    fn tokens_that_are_ruled_out_or_do_not_exist_are_impossible_and_spoil_nothing() {
        let logits = [f32::NEG_INFINITY, 1.0, f32::NEG_INFINITY, 1.0];
        let wanted = Certainty { logprob: -(2.0_f64.ln()), entropy: 2.0_f64.ln(), margin: 0.0 };
        assert_close(certainty(&logits, 3), wanted);
        for token in [0, 4, -1] {
            assert_eq!(certainty(&logits, token).logprob, f64::from(IMPOSSIBLE));
        }
        assert_close(certainty(&[7.0], 0), Certainty { logprob: 0.0, entropy: 0.0, margin: 1.0 });
    }
}
