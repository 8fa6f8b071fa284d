//! What one answer says, token by token.

use std::collections::VecDeque;

use super::text::TextStream;
use crate::chat::Text;
use crate::chat::reply::{Delta, TokenLogprob};

/// One answer on its way out.
pub(super) struct Speech {
    /// Which of the choices.
    index: u32,
    text: TextStream,
    /// How likely those tokens were whose text has not been sent, each with where its text begins.
    likelihoods: VecDeque<(usize, TokenLogprob)>,
    /// Bytes of all tokens so far.
    bytes: usize,
}

/// What can be sent now.
pub(super) struct Said {
    pub(super) deltas: Vec<Delta>,
    /// Whether a stop string came: the answer is over.
    pub(super) stopped: bool,
}

impl Speech {
    /// The answer number `index`, which ends before the first of `stops`.
    pub(super) fn new(index: u32, stops: &[String]) -> Self {
        Self { index, text: TextStream::new(stops), likelihoods: VecDeque::new(), bytes: 0 }
    }

    /// Takes the bytes of one token, and how likely it was where that is asked for.
    pub(super) fn push(&mut self, bytes: &[u8], likelihood: Option<TokenLogprob>) -> Said {
        self.likelihoods.extend(likelihood.map(|likelihood| (self.bytes, likelihood)));
        self.bytes += bytes.len();
        let release = self.text.push(bytes);
        Said { deltas: self.say(release.text), stopped: release.stopped }
    }

    /// The answer ended by itself: what was held back after all.
    pub(super) fn finish(&mut self) -> Vec<Delta> {
        let rest = self.text.finish();
        self.say(rest)
    }

    fn say(&mut self, text: String) -> Vec<Delta> {
        if text.is_empty() {
            return Vec::new();
        }
        let released = self.text.released();
        let begun = self.likelihoods.partition_point(|(start, _)| *start < released);
        let logprobs = self.likelihoods.drain(..begun).map(|(_, likelihood)| likelihood).collect();
        vec![Delta::Text { index: self.index, text: Text::new(text), logprobs }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::reply::LikelyToken;

    fn likely(bytes: &[u8]) -> Option<TokenLogprob> {
        let token = LikelyToken { bytes: bytes.to_vec(), logprob: -1.0 };
        Some(TokenLogprob { token, top: Vec::new() })
    }

    /// The texts of an answer with the tokens that came with each.
    fn said(deltas: Vec<Delta>) -> Vec<(String, Vec<Vec<u8>>)> {
        let of = |delta| match delta {
            Delta::Text { text, logprobs, .. } => {
                (text.expose().to_owned(), logprobs.into_iter().map(|l| l.token.bytes).collect())
            }
            other => panic!("{other:?}"),
        };
        deltas.into_iter().map(of).collect()
    }

    #[test]
    fn each_token_comes_with_the_text_that_it_ends_up_in() {
        let mut speech = Speech::new(0, &["stop".to_owned()]);
        let crab = "🦀".as_bytes();
        let mut all = Vec::new();
        for token in [b"a".as_slice(), &crab[..2], &crab[2..], b" st", b"em", b" s", b"to", b"pped"] {
            let now = speech.push(token, likely(token));
            all.extend(now.deltas);
            if now.stopped {
                break;
            }
        }
        let tokens = |list: &[&[u8]]| list.iter().map(|token| token.to_vec()).collect::<Vec<_>>();
        assert_eq!(
            said(all),
            [
                ("a".to_owned(), tokens(&[b"a"])),
                ("🦀".to_owned(), tokens(&[&crab[..2], &crab[2..]])),
                (" ".to_owned(), tokens(&[b" st"])),
                ("stem".to_owned(), tokens(&[b"em"])),
                (" ".to_owned(), tokens(&[b" s"])),
            ]
        );
    }

    #[test]
    fn what_was_held_back_comes_at_the_end_with_its_tokens() {
        let mut speech = Speech::new(1, &["stop".to_owned()]);
        assert!(speech.push(b"st", likely(b"st")).deltas.is_empty());
        assert_eq!(said(speech.finish()), [("st".to_owned(), vec![b"st".to_vec()])]);
        assert!(speech.finish().is_empty());
    }
}
