//! What one answer says, token by token.

use std::collections::VecDeque;

use super::text::TextStream;
use super::tools::{Piece, Protocol, Reader, Reading, signatures};
use crate::chat::reply::{Delta, TokenLogprob};
use crate::chat::{ChatRequest, Text};

/// One answer on its way out.
pub(super) struct Speech {
    /// Which of the choices.
    index: u32,
    text: TextStream,
    reader: Reader,
    /// How calls are written.
    protocol: Protocol,
    /// How many calls have begun.
    calls: u32,
    /// How likely those tokens were whose text has not been sent, each with where its text begins.
    likelihoods: VecDeque<(usize, TokenLogprob)>,
    /// Those whose text has been released, but not said.
    released: Vec<TokenLogprob>,
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
    /// The answer number `index` to `request`, which ends before the first of its stop strings and is read as `reading`
    /// says.
    pub(super) fn new(index: u32, request: &ChatRequest, reading: Reading) -> Self {
        Self {
            index,
            text: TextStream::new(&request.sampling.stop),
            reader: Reader::new(reading, signatures(request, reading.calls)),
            protocol: reading.calls.unwrap_or(Protocol::Own),
            calls: 0,
            likelihoods: VecDeque::new(),
            released: Vec::new(),
            bytes: 0,
        }
    }

    /// Takes the bytes of one token, and how likely it was where that is asked for.
    pub(super) fn push(&mut self, bytes: &[u8], likelihood: Option<TokenLogprob>) -> Said {
        self.likelihoods.extend(likelihood.map(|likelihood| (self.bytes, likelihood)));
        self.bytes += bytes.len();
        let release = self.text.push(bytes);
        let pieces = self.reader.push(&release.text);
        Said { deltas: self.say(pieces), stopped: release.stopped }
    }

    /// The answer has ended, or was `cut`: what was held back after all.
    pub(super) fn finish(&mut self, cut: bool) -> Vec<Delta> {
        let rest = self.text.finish();
        let mut pieces = self.reader.push(&rest);
        pieces.extend(self.reader.finish(cut));
        self.say(pieces)
    }

    /// Whether a thought is under way.
    pub(super) fn is_thinking(&self) -> bool {
        self.reader.is_thinking()
    }

    /// Whether a tool was called.
    pub(super) fn has_called(&self) -> bool {
        self.calls > 0
    }

    /// Once for each call, when it has begun: what was said of it.
    pub(super) fn call_begun(&mut self) -> Option<&str> {
        self.reader.call_begun()
    }

    fn say(&mut self, pieces: Vec<Piece>) -> Vec<Delta> {
        let released = self.text.released();
        let begun = self.likelihoods.partition_point(|(start, _)| *start < released);
        self.released.extend(self.likelihoods.drain(..begun).map(|(_, likelihood)| likelihood));
        pieces.into_iter().map(|piece| self.delta(piece)).collect()
    }

    fn delta(&mut self, piece: Piece) -> Delta {
        let index = self.index;
        // The dialects have no place for the likelihood of what is no text.
        let logprobs = std::mem::take(&mut self.released);
        match piece {
            Piece::Text(text) => Delta::Text { index, text: Text::new(text), logprobs },
            Piece::Thought(text) => Delta::Thought { index, text: Text::new(text) },
            Piece::Call(name) => {
                self.calls += 1;
                Delta::Call { index, call: self.calls - 1, id: self.protocol.new_id(), name }
            }
            Piece::Arguments(text) => {
                Delta::Arguments { index, call: self.calls.saturating_sub(1), text: Text::new(text) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::Sampling;
    use crate::chat::reply::LikelyToken;

    fn likely(bytes: &[u8]) -> Option<TokenLogprob> {
        let token = LikelyToken { bytes: bytes.to_vec(), logprob: -1.0 };
        Some(TokenLogprob { token, top: Vec::new() })
    }

    fn stopping(at: &str) -> ChatRequest {
        let sampling = Sampling { stop: vec![at.to_owned()], ..Sampling::default() };
        ChatRequest { sampling, ..ChatRequest::default() }
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
        let mut speech = Speech::new(0, &stopping("stop"), Reading::default());
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
    fn calls_are_numbered_and_named_before_their_arguments() {
        let reading = Reading { calls: Some(Protocol::Hermes), ..Reading::default() };
        let mut speech = Speech::new(2, &ChatRequest::default(), reading);
        let written = br#"Hm. <tool_call>{"name": "a", "arguments": {"x": 1}}</tool_call>
<tool_call>{"name": "b", "arguments": {}}</tool_call>"#;
        let mut reply = crate::chat::Reply::default();
        for token in written.chunks(5) {
            speech.push(token, likely(token)).deltas.into_iter().for_each(|delta| reply.add(delta));
        }
        speech.finish(false).into_iter().for_each(|delta| reply.add(delta));
        let choice = &reply.choices[2];
        let calls: Vec<_> =
            choice.tool_calls.iter().map(|call| (call.name.as_str(), call.arguments.expose())).collect();
        assert_eq!(calls, [("a", r#"{"x": 1}"#), ("b", "{}")]);
        assert_eq!((choice.text.expose(), speech.has_called()), ("Hm.", true));
        assert_ne!(choice.tool_calls[0].id, choice.tool_calls[1].id);
    }

    #[test]
    fn what_was_held_back_comes_at_the_end_with_its_tokens() {
        let mut speech = Speech::new(1, &stopping("stop"), Reading::default());
        assert!(speech.push(b"st", likely(b"st")).deltas.is_empty());
        assert_eq!(said(speech.finish(false)), [("st".to_owned(), vec![b"st".to_vec()])]);
        assert!(speech.finish(false).is_empty());
    }
}
