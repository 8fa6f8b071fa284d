//! Logits to probabilities.

use super::model::Token;
use super::spread::{Spread, logit_of};
use crate::chat::reply::{LikelyToken, TokenLogprob};

/// How likely `token` is by `logits`, one for each token of the vocabulary, and the `top` most likely ones.
pub(super) fn likelihood(logits: &[f32], token: Token, top: usize, bytes: impl Fn(Token) -> Vec<u8>) -> TokenLogprob {
    let spread = Spread::of(logits);
    let likely = |token: Token| LikelyToken { bytes: bytes(token), logprob: spread.logprob(logit_of(logits, token)) };
    TokenLogprob { token: likely(token), top: largest_of(logits, top).into_iter().map(likely).collect() }
}

/// The tokens with the `count` largest logits, largest first.
fn largest_of(logits: &[f32], count: usize) -> Vec<Token> {
    let mut all: Vec<Token> = (0..logits.len() as Token).collect();
    let count = count.min(all.len());
    let descending = |a: &Token, b: &Token| logits[*b as usize].total_cmp(&logits[*a as usize]).then(a.cmp(b));
    if count < all.len() {
        all.select_nth_unstable_by(count, descending);
        all.truncate(count);
    }
    all.sort_unstable_by(descending);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_and_the_most_likely_come_first() {
        let logits = [1.0, 3.0, 3.0, -20.0, 2.0];
        let all = likelihood(&logits, 4, 9, |token| vec![token as u8]);
        let order: Vec<u8> = all.top.iter().map(|likely| likely.bytes[0]).collect();
        assert_eq!(order, [1, 2, 4, 0, 3]);
        let sum: f32 = all.top.iter().map(|likely| likely.logprob.exp()).sum();
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
        assert_eq!(all.token, all.top[2]);
        assert_eq!(likelihood(&logits, 0, 2, |_| Vec::new()).top.len(), 2);
        assert_eq!(likelihood(&logits, 0, 0, |_| Vec::new()).top, []);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let likely = likelihood(&[5000.0, 4990.0], 1, 0, |_| Vec::new()).token.logprob;
        assert!((likely + 10.0).abs() < 1e-3, "{likely}");
    }
}
