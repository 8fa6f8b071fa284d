//! What the simulated provider says, how fast, and what goes wrong.

use std::{
    collections::HashMap,
    io::{self, BufRead},
    path::Path,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;

use super::{quirks::Quirk, wire};

/// Everything about the simulated provider's behaviour; replaceable while it runs.
#[derive(Clone, Debug)]
pub struct Script {
    /// Answers to particular prompts: the first whose text occurs in the last user message.
    pub answers: Vec<(String, Answer)>,
    /// Recorded answers by whole prompt, consulted after `answers`.
    pub recorded: Option<Recorded>,
    /// The answer to everything else.
    pub otherwise: Answer,
    /// How long things take.
    pub latency: Latency,
    /// What goes wrong, and when.
    pub faults: Vec<Planned>,
    /// The only API key accepted; `None` accepts anything, also nothing.
    pub bearer: Option<String>,
    /// What befalls requests with certain API keys only.
    pub by_key: Vec<(String, Fault)>,
    /// Whose ways its chat completions have, where they are not OpenAI's.
    pub quirk: Option<Quirk>,
    /// The models that exist; empty means every name does.
    pub models: Vec<String>,
    /// Whether received bytes and requests are kept in memory.
    pub keep: bool,
}

/// What the model says.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This text.
    Text(String),
    /// This text, after a thought where the wire format shows thoughts.
    Thought {
        /// What is thought.
        thought: String,
        /// What is said.
        text: String,
    },
    /// The last user message.
    Echo,
    /// Deterministic prose of this many tokens, a function of the prompt.
    Tokens(usize),
    /// One call of a tool.
    ToolCall {
        /// The function's name.
        name: String,
        /// Its arguments: JSON in a string, as the wire has it.
        arguments: String,
    },
    /// Several calls at once: the functions' names and their arguments.
    ToolCalls(Vec<(String, String)>),
    /// Bytes made once and sent to everyone: the upstream of a benchmark. Nothing of the request but `stream` is read.
    Canned(Arc<Canned>),
}

/// The two forms of a precomputed answer.
#[derive(Debug)]
pub struct Canned {
    pub(super) whole: Bytes,
    pub(super) events: Vec<Bytes>,
}

/// Pauses of the simulated provider.
#[derive(Clone, Copy, Debug, Default)]
pub struct Latency {
    /// From the end of the request to the response's head.
    pub first_byte: Duration,
    /// Between two events of a stream.
    pub gap: Duration,
}

/// A fault and the requests it befalls.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What goes wrong.
    pub fault: Fault,
    /// Which requests (of [`Fault::HangAccept`]: connections) it befalls, counted from the last change of the script.
    pub on: On,
}

/// Which requests a fault befalls.
#[derive(Clone, Copy, Debug)]
pub enum On {
    /// Every one.
    All,
    /// The first so many; later ones succeed.
    First(u64),
    /// Every n-th: with 3 the third, the sixth, …
    Every(u64),
}

/// What can go wrong at a provider. `after` counts server-sent events (the role chunk is the first); of an answer that
/// is not a stream, any `after` above 0 stands for the first half of its body.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error answer.
    Status {
        /// The HTTP status.
        status: u16,
        /// The `retry-after` header, rounded up to seconds.
        retry_after: Option<Duration>,
    },
    /// The connection is accepted and never read.
    HangAccept,
    /// The request is read and never answered.
    HangBeforeHeaders,
    /// Silence in the middle of the body; the connection stays open.
    HangMidStream {
        /// Events sent before.
        after: usize,
    },
    /// From some event on only comments, such as proxies send to keep a connection open; of an answer that is not a stream,
    /// blank lines.
    Pings {
        /// Events sent before.
        after: usize,
        /// Pause between them.
        every: Duration,
    },
    /// The connection ends in the middle of the body.
    Cut {
        /// Events sent before.
        after: usize,
        /// How it ends.
        how: Break,
    },
    /// The connection ends in the middle of the body, wherever that is.
    CutAt {
        /// Bytes of the body sent before.
        bytes: usize,
        /// How it ends.
        how: Break,
    },
    /// An event whose JSON breaks off; of a whole answer, half a JSON document with an honest length.
    MalformedChunk {
        /// Events sent before.
        after: usize,
    },
    /// An error event in place of the rest.
    ErrorEvent {
        /// Events sent before.
        after: usize,
    },
    /// A stream that ends properly but without its end marker.
    NoDone,
    /// No usage anywhere, also when it was asked for.
    NoUsage,
    /// The body arrives in small pieces that respect no boundary.
    SlowDrip {
        /// Bytes of a piece, at least 1.
        bytes: usize,
        /// Pause between pieces.
        every: Duration,
    },
    /// One well-formed event of about this size; of a whole answer, that much leading white space.
    OversizedLine {
        /// Its size.
        bytes: usize,
    },
    /// The right body under another content type.
    WrongContentType(String),
}

/// How a connection breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Break {
    /// An orderly FIN.
    Fin,
    /// A RST.
    Reset,
}

/// Recorded answers of a real model, by prompt.
#[derive(Clone, Debug, Default)]
pub struct Recorded(Arc<HashMap<String, String>>);

impl Default for Script {
    fn default() -> Self {
        Self::answering(Answer::Tokens(40))
    }
}

impl Script {
    /// A provider that answers everything with `answer`, at once and without faults.
    pub fn answering(answer: Answer) -> Self {
        Self {
            answers: Vec::new(),
            recorded: None,
            otherwise: answer,
            latency: Latency::default(),
            faults: Vec::new(),
            by_key: Vec::new(),
            quirk: None,
            bearer: None,
            models: Vec::new(),
            keep: true,
        }
    }

    /// A provider that always says `text`.
    pub fn text(text: impl Into<String>) -> Self {
        Self::answering(Answer::Text(text.into()))
    }

    /// A provider that repeats the last user message.
    pub fn echo() -> Self {
        Self::answering(Answer::Echo)
    }

    /// Answers prompts that contain `needle` with `answer`; the first such rule that matches wins.
    pub fn when(mut self, needle: impl Into<String>, answer: Answer) -> Self {
        self.answers.push((needle.into(), answer));
        self
    }

    /// Adds a fault that befalls every request.
    pub fn fault(self, fault: Fault) -> Self {
        self.fault_on(On::All, fault)
    }

    /// Adds a fault that befalls some requests.
    pub fn fault_on(mut self, on: On, fault: Fault) -> Self {
        self.faults.push(Planned { fault, on });
        self
    }

    /// Adds a fault that befalls requests with this API key.
    pub fn fault_of_key(mut self, key: impl Into<String>, fault: Fault) -> Self {
        self.by_key.push((key.into(), fault));
        self
    }

    /// Sets the time to the first byte and the gap between events.
    pub fn latency(mut self, first_byte: Duration, gap: Duration) -> Self {
        self.latency = Latency { first_byte, gap };
        self
    }

    /// Accepts only this API key.
    pub fn bearer(mut self, key: impl Into<String>) -> Self {
        self.bearer = Some(key.into());
        self
    }

    /// Has the ways of another vendor.
    pub fn quirk(mut self, quirk: Quirk) -> Self {
        self.quirk = Some(quirk);
        self
    }

    /// Knows only these models.
    pub fn models<S: Into<String>>(mut self, models: impl IntoIterator<Item = S>) -> Self {
        self.models = models.into_iter().map(Into::into).collect();
        self
    }

    /// Keeps no received bytes: for benchmarks and long runs.
    pub fn unrecorded(mut self) -> Self {
        self.keep = false;
        self
    }

    /// The answer to `prompt`, the last user message.
    pub(super) fn answer_to(&self, prompt: &str) -> Answer {
        let scripted = self.answers.iter().find(|(needle, _)| prompt.contains(needle.as_str()));
        if let Some((_, answer)) = scripted {
            return answer.clone();
        }
        let recorded = self.recorded.as_ref().and_then(|recorded| recorded.answer_to(prompt));
        recorded.map_or_else(|| self.otherwise.clone(), |text| Answer::Text(text.to_owned()))
    }

    /// The faults that befall request (or connection) number `index`, counted from 0.
    pub(super) fn faults_of(&self, index: u64) -> impl Iterator<Item = &Fault> {
        self.faults.iter().filter(move |planned| planned.on.holds(index)).map(|planned| &planned.fault)
    }
}

impl Answer {
    /// A precomputed answer of `bytes` bytes as one JSON document, and of `chunks` content chunks as a stream.
    pub fn canned(bytes: usize, chunks: usize) -> Self {
        Self::Canned(Arc::new(wire::canned(bytes, chunks)))
    }
}

impl On {
    fn holds(self, index: u64) -> bool {
        match self {
            Self::All => true,
            Self::First(n) => index < n,
            Self::Every(n) => n > 0 && (index + 1).is_multiple_of(n),
        }
    }
}

impl Recorded {
    /// Reads JSON lines of `{prompt, response}`, or of `{prompt, responses: {model: text}}`, of which the first model
    /// whose name starts with `model` counts.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not of either form.
    pub fn load(path: &Path, model: &str) -> io::Result<Self> {
        let file = io::BufReader::new(std::fs::File::open(path)?);
        let rows = file.lines().enumerate().map(|(number, line)| {
            let row: Value = serde_json::from_str(&line?)?;
            let answer = recorded_answer(&row, model);
            let pair = row["prompt"].as_str().zip(answer).map(|(prompt, answer)| (key(prompt), answer.to_owned()));
            pair.ok_or_else(|| io::Error::other(format!("line {} has no `prompt` or no answer", number + 1)))
        });
        rows.collect::<io::Result<HashMap<_, _>>>().map(|rows| Self(Arc::new(rows)))
    }

    fn answer_to(&self, prompt: &str) -> Option<&str> {
        self.0.get(&key(prompt)).map(String::as_str)
    }
}

fn recorded_answer<'a>(row: &'a Value, model: &str) -> Option<&'a str> {
    let of_model = || row["responses"].as_object()?.iter().find(|(name, _)| name.starts_with(model)).map(|(_, v)| v);
    row["response"].as_str().or_else(|| of_model()?.as_str())
}

/// Prompts are compared with their white space collapsed.
fn key(prompt: &str) -> String {
    prompt.split_whitespace().collect::<Vec<_>>().join(" ")
}
