//! Guesses of what an answer says next, by what its prompt and it have said before: pure bookkeeping.
//!
//! Where the last three tokens came before, what followed them then is likely to follow again: in quotations, code, and
//! answers that repeat their prompt; so are those of an answer that the client predicts. Guesses are computed along with the
//! next token, and those that are not drawn are thrown away: the answer is the same, only sooner, as long as most are drawn.
//! That is measured, and guessing pauses where it does not pay.

use std::collections::HashMap;
use std::ops::Range;

use super::model::Token;

/// So many tokens must have come before.
const ALIKE: usize = 3;
/// Most tokens that are guessed at once: kernels compute 16 tokens sooner than 12 (Qwen 1.5B: 412 and 427 ms; one takes
/// 49).
const MOST: usize = 15;
/// Fewest of the first guesses, and of those after a pause.
const FIRST: usize = 4;
/// The share of guesses that must be drawn where one sequence generates alone: a guess costs about half a step there.
const PAYS: f64 = 0.5;
/// How much more it must be for each other sequence in the step: steps of many are cheaper per token already.
const PAYS_EACH: f64 = 0.1;
/// How the latest guesses weigh against those before.
const WEIGHT: f64 = 0.3;
/// What is assumed before anything is measured, and after a pause: so little that four misses are the next pause.
const HOPE: f64 = 0.65;
/// Tokens of the first pause, and of the longest.
const PAUSE: (usize, usize) = (16, 512);

/// What one sequence has said, and how well it was guessed.
pub(super) struct Drafter {
    /// Prompt, prediction, the end of the prompt again where there is a prediction, and answer.
    tokens: Vec<Token>,
    /// Where the prediction stands.
    predicted: Range<usize>,
    /// Where what followed three tokens begins, the last time that they came.
    followed: HashMap<[Token; ALIKE], usize>,
    length: usize,
    rate: f64,
    /// Tokens until it guesses again.
    rest: usize,
    pause: usize,
}

impl Drafter {
    /// For an answer to `prompt` that is predicted to be `prediction`, where that is not empty.
    pub(super) fn new(prompt: &[Token], prediction: &[Token]) -> Self {
        let known = prompt.len() + prediction.len();
        let (tokens, followed) = (Vec::with_capacity(known), HashMap::with_capacity(known));
        let predicted = prompt.len()..known;
        let mut drafter = Self { tokens, predicted, followed, length: FIRST, rate: HOPE, rest: 0, pause: PAUSE.0 };
        // The prediction stands where the answer begins, so that it is what follows the prompt.
        prompt.iter().chain(prediction).for_each(|token| drafter.push(*token));
        if !prediction.is_empty() {
            drafter.tokens.extend(&prompt[prompt.len().saturating_sub(ALIKE)..]);
        }
        drafter
    }

    /// `token` was said.
    pub(super) fn push(&mut self, token: Token) {
        if let Some(last) = self.tokens.last_chunk() {
            self.followed.insert(*last, self.tokens.len());
        }
        self.tokens.push(token);
        self.rest = self.rest.saturating_sub(1);
    }

    /// What is said next, perhaps, in a step with so many `others` that generate.
    pub(super) fn guess(&self, others: usize) -> &[Token] {
        let pays = (PAYS + PAYS_EACH * others as f64).min(1.0);
        match self.found() {
            Some(from) if self.rest == 0 && self.rate >= pays => {
                // Behind a prediction stands nothing that follows it.
                let end = if from < self.predicted.end { self.predicted.end } else { self.tokens.len() };
                &self.tokens[from..(from + self.length).min(end)]
            }
            Some(_) | None => &[],
        }
    }

    /// Whether what it guesses is what the client predicts.
    pub(super) fn is_predicted(&self) -> bool {
        self.found().is_some_and(|from| self.predicted.contains(&from))
    }

    /// Where what followed the last tokens the last time begins.
    fn found(&self) -> Option<usize> {
        self.tokens.last_chunk().and_then(|last| self.followed.get(last)).copied()
    }

    /// So many of so many guesses were drawn.
    pub(super) fn judge(&mut self, guessed: usize, drawn: usize) {
        self.rate += WEIGHT * (drawn as f64 / guessed.max(1) as f64 - self.rate);
        if drawn == guessed {
            self.length = MOST;
            self.pause = PAUSE.0;
        } else {
            self.length = (drawn + 1).max(2);
        }
        if self.rate < PAYS {
            (self.rest, self.rate, self.length) = (self.pause, HOPE, FIRST);
            self.pause = (2 * self.pause).min(PAUSE.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_followed_the_last_time_is_guessed_to_follow_again() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 1, 2, 3, 5, 6, 7, 8, 9], &[]);
        assert!(drafter.guess(0).is_empty());
        [1, 2].iter().for_each(|token| drafter.push(*token));
        assert!(drafter.guess(0).is_empty(), "two tokens are too few");
        drafter.push(3);
        assert_eq!(drafter.guess(0), [5, 6, 7, 8]);
        assert_eq!(Drafter::new(&[7, 7, 7, 7], &[]).guess(0), [7]);
        assert!(Drafter::new(&[7, 7], &[]).guess(0).is_empty());
    }

    #[test]
    fn a_predicted_answer_is_guessed_from_its_beginning_to_its_end_and_again_behind_what_differs() {
        let (prompt, prediction) = ([1, 2, 3, 4], [10, 11, 12, 13, 14, 15]);
        let mut drafter = Drafter::new(&prompt, &prediction);
        assert_eq!((drafter.guess(0), drafter.is_predicted()), (&prediction[..4], true));
        [10, 11, 12, 99].iter().for_each(|token| drafter.push(*token));
        assert_eq!((drafter.guess(0), drafter.is_predicted()), (&[][..], false));
        [12, 13, 14].iter().for_each(|token| drafter.push(*token));
        assert_eq!((drafter.guess(0), drafter.is_predicted()), (&[15][..], true));
        drafter.push(15);
        assert!(drafter.guess(0).is_empty(), "nothing follows a prediction");
        // What the answer has said is no prediction.
        [10, 11, 12].iter().for_each(|token| drafter.push(*token));
        assert_eq!((drafter.guess(0), drafter.is_predicted()), (&[99, 12, 13, 14][..], false));
        assert!(Drafter::new(&[1, 2, 3], &[]).guess(0).is_empty());
    }

    #[test]
    fn guesses_are_long_while_they_are_drawn() {
        let mut drafter = Drafter::new(&[7; 100], &[]);
        let mut lengths = Vec::new();
        for _ in 0..4 {
            // Seven has always been followed by one seven that ends the text.
            lengths.push(drafter.length);
            drafter.judge(drafter.length, drafter.length);
        }
        assert_eq!(lengths, [4, 15, 15, 15]);
        drafter.judge(15, 3);
        assert_eq!(drafter.length, 4);
    }

    #[test]
    fn guessing_pauses_where_it_does_not_pay_and_longer_each_time() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 5, 1, 2, 3], &[]);
        let mut pauses = Vec::new();
        for _ in 0..3 {
            while drafter.rest == 0 {
                drafter.judge(4, 0);
            }
            pauses.push(drafter.rest);
            assert!(drafter.guess(0).is_empty());
            (0..drafter.rest).for_each(|_| drafter.push(9));
        }
        assert_eq!(pauses, [16, 32, 64]);
        // Once it pays again, the next pause is short.
        drafter.judge(4, 4);
        assert_eq!(drafter.pause, 16);
    }

    #[test]
    fn among_many_only_those_guess_that_are_nearly_always_right() {
        let drafter = Drafter::new(&[1, 2, 3, 4, 5, 1, 2, 3], &[]);
        assert_eq!([0, 1, 2].map(|others| drafter.guess(others).is_empty()), [false, false, true]);
    }
}
