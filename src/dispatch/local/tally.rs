//! How sure a model was of an answer, added up token by token.

use crate::chat::reply::{Certainty, Confidence};

/// What is known of the tokens so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    first: Option<Certainty>,
    tokens: u64,
    logprobs: f64,
    entropies: f64,
}

impl Tally {
    /// With one more token.
    pub(super) fn with(self, token: Certainty) -> Self {
        Self {
            first: self.first.or(Some(token)),
            tokens: self.tokens + 1,
            logprobs: self.logprobs + token.logprob,
            entropies: self.entropies + token.entropy,
        }
    }

    /// `None` where there was no token.
    pub(super) fn confidence(self) -> Option<Confidence> {
        let tokens = self.tokens as f64;
        let (mean_logprob, mean_entropy) = (self.logprobs / tokens, self.entropies / tokens);
        self.first.map(|first| Confidence { first, mean_logprob, mean_entropy })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_token_stands_alone_and_all_count_in_the_means() {
        let token = |logprob, entropy, margin| Certainty { logprob, entropy, margin };
        let first = token(-1.0, 0.5, 0.25);
        let tally = Tally::default().with(first).with(token(-2.0, 1.0, 0.5)).with(token(-6.0, 3.0, 0.75));
        let confidence = Confidence { first, mean_logprob: -3.0, mean_entropy: 1.5 };
        assert_eq!(tally.confidence(), Some(confidence));
        assert_eq!(Tally::default().confidence(), None);
    }
}
