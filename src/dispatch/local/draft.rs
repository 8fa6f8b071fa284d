//! Guesses of what an answer says next, by what its prompt and it have said before: pure bookkeeping.
//!
//! Where the last three tokens came before, what followed them then is likely to follow again: in quotations, code, and
//! answers that repeat their prompt; so are those of an answer that the client predicts. Guesses are computed along with the
//! next token, and those that are not drawn are thrown away: the answer is the same, only sooner where enough are drawn
//! ([`Pace`](super::pace::Pace) says how many are enough). How likely they are is measured on every token of the answer, guessed
//! or not.
//!
//! The method is prompt lookup decoding (Saxena 2023), of which a guess goes on where the last one was right.

use std::collections::HashMap;
use std::ops::Range;

use super::model::Token;

/// So many tokens must have come before.
const ALIKE: usize = 3;
/// Most tokens that are guessed at once.
const MOST: usize = 31;
/// More tokens that came before make no difference.
const LONG: usize = 16;
/// How likely a guess is at first, by how many tokens before it came before: 3, from 4, from 8, and from 16 on.
const AT_FIRST: [f64; 4] = [0.5, 0.6, 0.75, 0.85];
/// How the latest token weighs against those before.
const WEIGHT: f64 = 0.1;

/// What one sequence has said, and how well it was guessed.
pub(super) struct Drafter {
    /// Prompt, prediction, the end of the prompt again where there is a prediction, and answer.
    tokens: Vec<Token>,
    /// Where the prediction stands.
    predicted: Range<usize>,
    /// Where what followed three tokens begins, the last time that they came.
    followed: HashMap<[Token; ALIKE], usize>,
    /// Where what is guessed next begins, and how many tokens before it came before.
    found: Option<(usize, usize)>,
    /// How likely a guess is, by [`known`].
    chances: [f64; AT_FIRST.len()],
}

impl Drafter {
    /// For an answer to `prompt` that is predicted to be `prediction`, where that is not empty.
    pub(super) fn new(prompt: &[Token], prediction: &[Token]) -> Self {
        let known = prompt.len() + prediction.len();
        let (tokens, followed) = (Vec::with_capacity(known), HashMap::with_capacity(known));
        let predicted = prompt.len()..known;
        let mut drafter = Self { tokens, predicted, followed, found: None, chances: AT_FIRST };
        // The prediction stands where the answer begins, so that it is what follows the prompt.
        prompt.iter().chain(prediction).for_each(|token| drafter.add(*token));
        if !prediction.is_empty() {
            drafter.tokens.extend(&prompt[prompt.len().saturating_sub(ALIKE)..]);
        }
        drafter.found = drafter.find();
        drafter
    }

    /// `token` was said.
    pub(super) fn push(&mut self, token: Token) {
        let right = self.found.filter(|(at, alike)| {
            let right = self.tokens[*at] == token;
            let chance = &mut self.chances[known(*alike)];
            *chance += WEIGHT * (f64::from(u8::from(right)) - *chance);
            right
        });
        self.add(token);
        let next = right.map(|(at, alike)| (at + 1, alike + 1));
        // Behind a prediction stands nothing that follows it.
        self.found = next.filter(|(at, _)| *at != self.predicted.end).or_else(|| self.find());
    }

    /// What is said next, perhaps.
    pub(super) fn guess(&self) -> &[Token] {
        let Some((from, _)) = self.found else { return &[] };
        let end = if from < self.predicted.end { self.predicted.end } else { self.tokens.len() };
        &self.tokens[from..(from + MOST).min(end)]
    }

    /// How likely each token of [`Drafter::guess`] is, where all before it are right.
    pub(super) fn chances(&self) -> impl Iterator<Item = f64> {
        let alike = self.found.map_or(ALIKE, |(_, alike)| alike);
        (0..self.guess().len()).map(move |at| self.chances[known(alike + at)])
    }

    /// Whether what it guesses is what the client predicts.
    pub(super) fn is_predicted(&self) -> bool {
        self.found.is_some_and(|(from, _)| self.predicted.contains(&from))
    }

    fn add(&mut self, token: Token) {
        if let Some(last) = self.tokens.last_chunk() {
            self.followed.insert(*last, self.tokens.len());
        }
        self.tokens.push(token);
    }

    /// Where what followed the last tokens the last time begins, and how many tokens before it are the last ones.
    fn find(&self) -> Option<(usize, usize)> {
        let from = *self.followed.get(self.tokens.last_chunk()?)?;
        let (before, last) = (self.tokens[..from].iter().rev(), self.tokens.iter().rev());
        let alike = before.zip(last).take(LONG).take_while(|(before, last)| before == last).count();
        Some((from, alike))
    }
}

/// Which of the chances is that of a token behind so many that came before.
fn known(alike: usize) -> usize {
    (alike.clamp(ALIKE, LONG).ilog2() - ALIKE.ilog2()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Has it say `tokens`, and tells whether each was what it guessed, where it guessed.
    fn say(drafter: &mut Drafter, tokens: &[Token]) -> Vec<Option<bool>> {
        let said = |token: &Token| {
            let right = drafter.guess().first().map(|guess| guess == token);
            drafter.push(*token);
            right
        };
        tokens.iter().map(said).collect()
    }

    #[test]
    fn what_followed_the_last_time_is_guessed_to_follow_again() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 1, 2, 3, 5, 6, 7, 8, 9], &[]);
        assert!(drafter.guess().is_empty());
        say(&mut drafter, &[1, 2]);
        assert!(drafter.guess().is_empty(), "two tokens are too few");
        drafter.push(3);
        assert_eq!(drafter.guess(), [5, 6, 7, 8, 9]);
        assert_eq!(Drafter::new(&[7, 7, 7, 7], &[]).guess(), [7]);
        assert!(Drafter::new(&[7, 7], &[]).guess().is_empty());
        assert_eq!(Drafter::new(&[7; 100], &[]).guess().len(), 1);
    }

    #[test]
    fn a_guess_goes_on_where_the_last_one_was_right_though_its_last_three_tokens_came_later_too() {
        let song = [1, 2, 3, 10, 11, 12, 1, 2, 3, 20, 21, 22];
        let mut drafter = Drafter::new(&[&[5, 6, 7][..], &song, &[5, 6, 7]].concat(), &[]);
        let right = say(&mut drafter, &song);
        assert_eq!(right, [Some(true); 12]);
    }

    #[test]
    fn a_predicted_answer_is_guessed_from_its_beginning_to_its_end_and_again_behind_what_differs() {
        let (prompt, prediction) = ([1, 2, 3, 4], [10, 11, 12, 13, 14, 15]);
        let mut drafter = Drafter::new(&prompt, &prediction);
        assert_eq!((drafter.guess(), drafter.is_predicted()), (&prediction[..], true));
        say(&mut drafter, &[10, 11, 12, 99]);
        assert_eq!((drafter.guess(), drafter.is_predicted()), (&[][..], false));
        say(&mut drafter, &[12, 13, 14]);
        assert_eq!((drafter.guess(), drafter.is_predicted()), (&[15][..], true));
        drafter.push(15);
        assert!(drafter.guess().is_empty(), "nothing follows a prediction");
        // What the answer has said is no prediction.
        say(&mut drafter, &[10, 11, 12]);
        assert_eq!((&drafter.guess()[..4], drafter.is_predicted()), (&[99, 12, 13, 14][..], false));
        assert!(Drafter::new(&[1, 2, 3], &[]).guess().is_empty());
    }

    #[test]
    fn the_longer_what_came_before_is_and_the_more_was_right_the_likelier_is_a_guess() {
        let text: Vec<Token> = (0..40).collect();
        let mut drafter = Drafter::new(&[&text[..], &[0, 1, 2]].concat(), &[]);
        let at_first: Vec<f64> = drafter.chances().collect();
        assert_eq!((at_first.len(), at_first[0], at_first[1], at_first[5], at_first[13]), (31, 0.5, 0.6, 0.75, 0.85));
        assert!(at_first.is_sorted());
        say(&mut drafter, &text[3..]);
        let after = drafter.chances;
        assert!(after.is_sorted() && after.iter().zip(AT_FIRST).all(|(after, first)| *after > first), "{after:?}");
    }

    #[test]
    fn guesses_that_nobody_computed_are_judged_too() {
        let mut drafter = Drafter::new(&[1, 2, 3, 4, 1, 2, 3], &[]);
        for other in 100..120 {
            say(&mut drafter, &[other, 1, 2, 3]);
        }
        assert!(drafter.chances().next().unwrap() < 0.1, "{:?}", drafter.chances);
    }
}
