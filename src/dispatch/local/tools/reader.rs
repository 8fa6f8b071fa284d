//! What of an answer is text, what a thought and what a call of a tool, found as it comes.

mod channels;
mod coder;
mod json;

use self::channels::Channels;
use self::coder::Coder;
use self::json::{Value, head};
use super::parameter::Signature;
use super::{ARGS, CALL_ID, CHANNELS, CLOSE, Protocol, Reading, Thoughts};

/// Most bytes that a function's name has.
const MAX_NAME: usize = 256;

/// Reads one answer.
pub(in super::super) struct Reader {
    /// What tells heads, thoughts and calls apart before all else, where an answer has channels.
    channels: Option<Channels>,
    /// How calls are written; `None` where there is nothing to call.
    calls: Option<Protocol>,
    /// What stands around a thought that may yet come, or is under way.
    thoughts: Option<Thoughts>,
    state: State,
    /// What may yet turn out to be something else.
    held: String,
    /// Whether blanks that come next mean nothing.
    skips_blanks: bool,
    /// Whether it was told that a call has begun.
    told: bool,
    /// Where calls name each parameter by itself.
    coder: Coder,
}

/// A piece of what was read.
#[cfg_attr(test, derive(Clone, Debug, PartialEq, Eq))]
pub(in super::super) enum Piece {
    Text(String),
    Thought(String),
    /// A call of the tool of this name begins.
    Call(String),
    /// More of that call's arguments.
    Arguments(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing but blanks came so far.
    Start,
    Thought,
    Text,
    /// A call has begun, and its tool is not named yet.
    Head,
    /// A call that does not begin with its tool's name: all of it is needed.
    Whole,
    Arguments(Value),
    /// In a call that names each parameter by itself, before one of them or behind the last.
    Between,
    /// In the value of one of them.
    Parameter,
    /// Behind a call's arguments.
    Tail,
}

/// How a call begins.
enum Head {
    /// With this name; the arguments begin at this byte.
    Named(String, usize),
    /// More must come.
    Unfinished,
    /// Otherwise.
    Odd,
}

impl Reader {
    /// Reads as `reading` says; `signatures` are those of the functions that may be called.
    pub(in super::super) fn new(reading: Reading, signatures: Vec<Signature>) -> Self {
        let channels = (reading.thoughts == Some(CHANNELS)).then(|| Channels::new(reading));
        let mut reader = Self {
            calls: reading.calls.filter(|calls| *calls != Protocol::Channels),
            thoughts: reading.thoughts.filter(|thoughts| *thoughts != CHANNELS),
            channels,
            state: if reading.is_thinking { State::Thought } else { State::Start },
            held: String::new(),
            skips_blanks: reading.is_thinking,
            told: false,
            coder: Coder::new(signatures),
        };
        // It says nothing yet.
        reader.push(reading.begun);
        reader
    }

    /// Whether a thought is under way.
    pub(in super::super) fn is_thinking(&self) -> bool {
        self.state == State::Thought || self.channels.as_ref().is_some_and(Channels::is_thinking)
    }

    /// Takes more of the answer.
    pub(in super::super) fn push(&mut self, text: &str) -> Vec<Piece> {
        match &mut self.channels {
            Some(channels) => {
                let pieces = channels.push(text);
                self.read_texts(pieces)
            }
            None => self.read(text),
        }
    }

    /// `pieces`, whose texts are read further.
    fn read_texts(&mut self, pieces: Vec<Piece>) -> Vec<Piece> {
        let read = |piece| match piece {
            Piece::Text(text) => self.read(&text),
            other => vec![other],
        };
        pieces.into_iter().flat_map(read).collect()
    }

    fn read(&mut self, text: &str) -> Vec<Piece> {
        self.held.push_str(text);
        let mut pieces = Vec::new();
        while self.step(&mut pieces) {}
        pieces
    }

    /// The answer has ended: what was held back. A call whose function is not known yet has said nothing; and where the
    /// answer was `cut`, neither has the beginning of a marker.
    pub(in super::super) fn finish(&mut self, cut: bool) -> Vec<Piece> {
        let rest = self.channels.as_mut().map(|channels| channels.finish(cut)).unwrap_or_default();
        let mut pieces = self.read_texts(rest);
        let mut held = std::mem::take(&mut self.held);
        if cut {
            self.drop_marker(&mut held);
        }
        match self.state {
            State::Thought => say(&mut pieces, held, Piece::Thought),
            State::Whole if is_unfinished(&held) => {}
            State::Whole => self.whole(&held, &mut pieces),
            State::Head if self.is_call(&held) => {}
            State::Head | State::Start | State::Text => say(&mut pieces, held, Piece::Text),
            State::Arguments(_) => say(&mut pieces, held, Piece::Arguments),
            State::Between | State::Parameter | State::Tail => {}
        }
        pieces
    }

    /// Whether what has begun with `held` is a call: what merely begins like JSON is none yet.
    fn is_call(&self, held: &str) -> bool {
        self.calls != Some(Protocol::Llama) || held.contains("\"name\"")
    }

    /// Takes the first letters of a marker, two or more, from the end of what was cut.
    fn drop_marker(&self, held: &mut String) {
        let (begin, end) = self.thoughts.map_or(("", ""), |thoughts| (thoughts.begin, thoughts.end));
        let markers: &[&str] = match self.state {
            State::Thought => &[end],
            State::Start => &[begin, super::PYTHON, self.opening()],
            State::Text => &[self.opening()],
            _ => &[],
        };
        let until = markers.iter().map(|marker| before(held, marker)).min().unwrap_or(held.len());
        if held.len() - until > 1 {
            held.truncate(until);
        }
    }

    /// Once for each call, when it has begun: what was read of it.
    pub(in super::super) fn call_begun(&mut self) -> Option<&str> {
        if self.calls.is_none() {
            return self.channels.as_mut().and_then(Channels::call_begun);
        }
        if self.state != State::Head || self.told || !self.is_call(&self.held) {
            return None;
        }
        self.told = true;
        Some(&self.held)
    }

    fn opening(&self) -> &'static str {
        self.calls.map_or("", Protocol::opening)
    }

    /// One step on; false where nothing can be done until more comes.
    fn step(&mut self, pieces: &mut Vec<Piece>) -> bool {
        if self.skips_blanks {
            let blanks = self.held.len() - self.held.trim_start().len();
            self.held.drain(..blanks);
            self.skips_blanks = self.held.is_empty();
        }
        match self.state {
            State::Start => self.start(),
            State::Thought => self.thought(pieces),
            State::Text => self.text(pieces),
            State::Head => self.head(pieces),
            State::Whole => match self.held.find(CLOSE) {
                Some(at) => {
                    let whole: String = self.held.drain(..at + CLOSE.len()).collect();
                    self.whole(&whole, pieces);
                    true
                }
                None => false,
            },
            State::Arguments(value) => self.arguments(value, pieces),
            State::Between => self.between(pieces),
            State::Parameter => self.parameter(pieces),
            State::Tail => self.tail(),
        }
    }

    fn start(&mut self) -> bool {
        let words = self.held.trim_start();
        let may_begin = |marker: &str| marker.starts_with(words);
        if let Some(Thoughts { begin, .. }) = self.thoughts {
            if let Some(thought) = words.strip_prefix(begin) {
                self.held = thought.to_owned();
                return self.skip_to(State::Thought);
            }
            if may_begin(begin) {
                return false;
            }
        }
        if self.calls == Some(Protocol::Llama) {
            let call = words.strip_prefix(super::PYTHON).unwrap_or(words);
            if call.starts_with('{') {
                self.held = call.to_owned();
                return self.begin();
            }
            if may_begin(super::PYTHON) || call.is_empty() {
                return false;
            }
        }
        self.go(State::Text)
    }

    fn thought(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let end = self.thoughts.map_or("", |thoughts| thoughts.end);
        if let Some(at) = self.held.find(end) {
            let thought = self.held[..at].trim_end().to_owned();
            say(pieces, thought, Piece::Thought);
            self.held.drain(..at + end.len());
            self.thoughts = None;
            return self.skip_to(State::Start);
        }
        let until = settled(&self.held, end);
        say(pieces, self.held.drain(..until).collect(), Piece::Thought);
        false
    }

    fn text(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let opening = self.opening();
        if opening.is_empty() {
            say(pieces, std::mem::take(&mut self.held), Piece::Text);
            return false;
        }
        if let Some(at) = self.held.find(opening) {
            say(pieces, self.held[..at].trim_end().to_owned(), Piece::Text);
            self.held.drain(..at + opening.len());
            return self.begin();
        }
        let until = settled(&self.held, opening);
        say(pieces, self.held.drain(..until).collect(), Piece::Text);
        false
    }

    fn begin(&mut self) -> bool {
        self.told = false;
        self.go(State::Head)
    }

    fn head(&mut self, pieces: &mut Vec<Piece>) -> bool {
        let head = match self.calls {
            Some(Protocol::Coder) => coder::head(&self.held),
            Some(Protocol::MistralNamed { .. }) => named(&self.held),
            _ => head(&self.held),
        };
        match head {
            Head::Unfinished => false,
            Head::Named(name, arguments) => {
                self.held.drain(..arguments);
                pieces.push(Piece::Call(name.clone()));
                match self.calls {
                    Some(Protocol::Coder) => self.call(&name),
                    _ => self.skip_to(State::Arguments(Value::default())),
                }
            }
            // An answer that is JSON and no call.
            Head::Odd if self.calls == Some(Protocol::Llama) => self.go(State::Text),
            Head::Odd => self.go(State::Whole),
        }
    }

    /// A call that was written in another order; or none.
    fn whole(&mut self, whole: &str, pieces: &mut Vec<Piece>) {
        let body = whole.strip_suffix(CLOSE).unwrap_or(whole);
        match serde_json::from_str::<serde_json::Value>(body.trim()) {
            Ok(serde_json::Value::Object(mut call)) if call.get("name").is_some_and(serde_json::Value::is_string) => {
                let name = call["name"].as_str().unwrap_or_default().to_owned();
                let arguments = call.remove("arguments").or_else(|| call.remove("parameters"));
                pieces.push(Piece::Call(name));
                pieces.push(Piece::Arguments(arguments.map_or("{}".to_owned(), |value| value.to_string())));
                self.skips_blanks = true;
            }
            _ => say(pieces, format!("{}{whole}", self.opening()), Piece::Text),
        }
        self.state = State::Text;
    }

    fn arguments(&mut self, mut value: Value, pieces: &mut Vec<Piece>) -> bool {
        let end = value.end_in(&self.held);
        let said: String = self.held.drain(..end.unwrap_or(self.held.len())).collect();
        say(pieces, said, Piece::Arguments);
        self.state = if end.is_some() { State::Tail } else { State::Arguments(value) };
        end.is_some()
    }

    fn tail(&mut self) -> bool {
        let rest = match self.calls {
            Some(Protocol::Mistral) => match self.held.find('{') {
                Some(at) => {
                    self.held.drain(..at);
                    return self.begin();
                }
                None => "",
            },
            // Each call begins as the first one does.
            Some(Protocol::MistralNamed { .. }) => return self.skip_to(State::Text),
            Some(Protocol::Llama) => self.held.trim_start_matches([' ', '\n', '}', ';', ',']),
            _ => self.held.trim_start_matches([' ', '\n', '\r', '\t', '}']),
        };
        let rest = rest.to_owned();
        if self.calls == Some(Protocol::Llama) && rest.starts_with('{') {
            self.held = rest;
            return self.begin();
        }
        if let Some(after) = rest.strip_prefix(CLOSE) {
            self.held = after.to_owned();
            return self.skip_to(State::Text);
        }
        let is_over = rest.is_empty() || CLOSE.starts_with(&rest);
        self.held = rest;
        !is_over && self.go(State::Text)
    }

    /// As [`Self::go`]; blanks that come next mean nothing.
    fn skip_to(&mut self, state: State) -> bool {
        self.skips_blanks = true;
        self.go(state)
    }

    fn go(&mut self, state: State) -> bool {
        self.state = state;
        true
    }
}

/// Whether `held` is the beginning of a call in JSON.
fn is_unfinished(held: &str) -> bool {
    let call = held[..before(held, CLOSE)].trim();
    call.starts_with(['{', '['])
        && serde_json::from_str::<serde::de::IgnoredAny>(call).is_err_and(|error| error.is_eof())
}

fn say(pieces: &mut Vec<Piece>, text: String, piece: fn(String) -> Piece) {
    if !text.is_empty() {
        pieces.push(piece(text));
    }
}

/// How much of `text` certainly stands before a `marker` that it does not hold whole.
fn before(text: &str, marker: &str) -> usize {
    let may_be = |at: &usize| marker.starts_with(&text[*at..]);
    text.char_indices().map(|(at, _)| at).find(may_be).unwrap_or(text.len())
}

/// The same, without the blanks in front of it.
fn settled(text: &str, marker: &str) -> usize {
    text[..before(text, marker)].trim_end().len()
}

/// Reads `name[ARGS]`, between which an id may stand.
fn named(text: &str) -> Head {
    match text.find(ARGS) {
        Some(at) if at <= MAX_NAME => {
            let name = text[..at].split(CALL_ID).next().unwrap_or_default().trim();
            Head::Named(name.to_owned(), at + ARGS.len())
        }
        None if text.len() < MAX_NAME + ARGS.len() => Head::Unfinished,
        _ => Head::Odd,
    }
}

#[cfg(test)]
mod tests;
