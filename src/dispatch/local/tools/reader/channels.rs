//! Answers in channels, as gpt-oss gives them: each message has a head that says where it is spoken and to whom, and ends
//! with a marker.

use super::super::{CHANNEL, MESSAGE, Protocol, Reading};
use super::json::Value;
use super::{Piece, before, say};

/// Each ends a message; the first two may begin the next one's head.
const ENDS: [&str; 5] = ["<|start|>", CHANNEL, "<|end|>", "<|return|>", "<|call|>"];
/// What a head may begin with.
const HEADS: [&str; 5] = ["<|start|>", CHANNEL, MESSAGE, "<|constrain|>", RECIPIENT];
/// Names who is spoken to, in a head.
const RECIPIENT: &str = " to=";
/// The functions that a client offers, as a recipient.
const FUNCTIONS: &str = " to=functions.";
/// Most bytes of a head.
const MAX_HEAD: usize = 1024;
/// Stands between messages that are one for the client.
const BETWEEN: &str = "\n";

/// Tells heads, thoughts and calls from what is said.
pub(super) struct Channels {
    /// Whether there is something to call.
    calls: bool,
    state: State,
    /// What may yet turn out to be something else.
    held: String,
    /// Whether it was told that a call has begun.
    told: bool,
    /// Whether something was said, and whether something was thought.
    has_said: bool,
    has_thought: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Thought,
    Text,
    Arguments(Value),
    /// Behind a call's arguments.
    Behind,
}

impl Channels {
    /// Reads as `reading` says.
    pub(super) fn new(reading: Reading) -> Self {
        let calls = reading.calls == Some(Protocol::Channels);
        let (state, held) = (State::Head, String::new());
        Self { calls, state, held, told: false, has_said: false, has_thought: false }
    }

    /// Whether a thought is under way.
    pub(super) fn is_thinking(&self) -> bool {
        self.state == State::Thought
    }

    /// Takes more of the answer.
    pub(super) fn push(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// The answer has ended: what was held back. A head without a message has said nothing; and where the answer was `cut`,
    /// neither has the beginning of a marker.
    pub(super) fn finish(&mut self, cut: bool) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let until = if cut { self.settled() } else { self.held.len() };
        let rest = self.held[..until].to_owned();
        self.held.clear();
        match self.state {
            State::Thought => say(&mut pieces, rest, Piece::Thought),
            State::Text => say(&mut pieces, rest, Piece::Text),
            State::Arguments(_) => say(&mut pieces, rest, Piece::Arguments),
            State::Head | State::Behind => {}
        }
        pieces
    }

    /// Once for each call, when it has begun: what was read of it.
    pub(super) fn call_begun(&mut self) -> Option<&str> {
        let at = self.held.find(FUNCTIONS).filter(|_| self.calls && self.state == State::Head && !self.told)?;
        self.told = true;
        Some(&self.held[at + FUNCTIONS.len()..])
    }

    /// One step on; false where nothing can be done until more comes.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        match self.state {
            State::Head => self.head(pieces),
            State::Thought => self.body(Piece::Thought, pieces),
            State::Text => self.body(Piece::Text, pieces),
            State::Arguments(mut value) => {
                let end = value.end_in(&self.held);
                let said = self.held.drain(..end.unwrap_or(self.held.len())).collect();
                say(pieces, said, Piece::Arguments);
                self.state = if end.is_some() { State::Behind } else { State::Arguments(value) };
                end.is_some()
            }
            State::Behind => self.body(|_| Piece::Text(String::new()), &mut Vec::new()),
        }
    }

    fn head(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let Some(begin) = HEADS.iter().find(|head| self.held.starts_with(**head)) else {
            let may_begin = HEADS.iter().any(|head| head.starts_with(&self.held));
            return !may_begin && self.begin_text(pieces);
        };
        match self.held.find(MESSAGE) {
            Some(at) if at <= MAX_HEAD => {
                let head: String = self.held.drain(..at + MESSAGE.len()).collect();
                self.told = false;
                self.begin(&head[..at], pieces)
            }
            None if self.held.len() < MAX_HEAD + MESSAGE.len() => false,
            // No head at all.
            _ => {
                self.begin_text(pieces);
                say(pieces, self.held.drain(..begin.len()).collect(), Piece::Text);
                true
            }
        }
    }

    /// A message begins whose head this is.
    fn begin(&mut self, head: &str, pieces: &mut Vec<Piece>) -> bool {
        // One may follow the other, of which the last is meant.
        let head = head.rsplit("<|start|>").next().unwrap_or_default();
        let channel = head.rsplit(CHANNEL).next().unwrap_or_default();
        let recipient = head.rfind(RECIPIENT).map(|at| recipient(&head[at + RECIPIENT.len()..]));
        match recipient.filter(|name| *name != "assistant").map(|name| name.strip_prefix("functions.")) {
            Some(Some(name)) if self.calls => {
                pieces.push(Piece::Call(name.to_owned()));
                self.go(State::Arguments(Value::default()))
            }
            // What is said to somebody who is not there is no part of the answer, as little as an analysis is.
            Some(_) => self.begin_thought(pieces),
            None if channel.starts_with("analysis") => self.begin_thought(pieces),
            None => self.begin_text(pieces),
        }
    }

    fn begin_text(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if std::mem::replace(&mut self.has_said, true) {
            pieces.push(Piece::Text(BETWEEN.to_owned()));
        }
        self.go(State::Text)
    }

    fn begin_thought(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if std::mem::replace(&mut self.has_thought, true) {
            pieces.push(Piece::Thought(BETWEEN.to_owned()));
        }
        self.go(State::Thought)
    }

    /// Up to the end of the message, each `piece` of it.
    fn body(&mut self, piece: fn(String) -> Piece, pieces: &mut Vec<Piece>) -> bool {
        let found = ENDS.iter().filter_map(|end| Some((self.held.find(end)?, *end))).min();
        let until = found.map_or_else(|| self.settled(), |(at, _)| at);
        say(pieces, self.held.drain(..until).collect(), piece);
        let Some((_, end)) = found else { return false };
        if !HEADS.contains(&end) {
            self.held.drain(..end.len());
        }
        self.go(State::Head)
    }

    /// How much of what is held certainly stands before the end of the message.
    fn settled(&self) -> usize {
        ENDS.iter().map(|end| before(&self.held, end)).min().unwrap_or(self.held.len())
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        true
    }
}

/// The name with which `text` begins: up to a marker, or to what its message is written in.
fn recipient(text: &str) -> &str {
    let name = text.split("<|").next().unwrap_or_default().trim_end();
    name.strip_suffix(" json").unwrap_or(name).trim_end()
}
