//! OpenAI's chat-completions wire format, from the provider's side: requests in, documents and events out.
//!
//! Key order, spacing and the always-present nulls are those of api.openai.com, so that clients that lean on them
//! notice when a gateway changes them.

use std::iter;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    script::{Answer, Canned},
    shapes::{
        Chunk, ChunkChoice, Delta, Document, DocumentChoice, ErrorBody, ErrorEnvelope, Function, Message, Model,
        Models, ToolCall, Usage,
    },
};

/// The parts of a chat request that shape its answer.
pub struct Call {
    pub model: String,
    pub stream: bool,
    pub include_usage: bool,
    pub prompt: String,
    prompt_tokens: usize,
    max_tokens: Option<usize>,
    stop: Vec<String>,
    choices: usize,
}

/// An error in OpenAI's form.
pub struct ApiError {
    pub status: u16,
    pub message: String,
    pub kind: &'static str,
    pub param: Option<&'static str>,
    pub code: Option<&'static str>,
}

/// What identifies one answer.
pub struct Envelope {
    pub serial: u64,
    pub created: u64,
    pub usage: bool,
}

impl Call {
    /// Reads and checks a request body.
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
        let model = request["model"].as_str().ok_or_else(|| ApiError::missing("model"))?;
        let messages = request["messages"].as_array().ok_or_else(|| ApiError::missing("messages"))?;
        check_temperature(&request)?;
        let limit = ["max_completion_tokens", "max_tokens"].iter().find_map(|name| request[*name].as_u64());
        Ok(Self {
            model: model.to_owned(),
            stream: request["stream"] == true,
            include_usage: request["stream_options"]["include_usage"] == true,
            prompt: last_user_text(messages),
            prompt_tokens: messages.iter().map(|message| 4 + tokens(&text_of(message)).len()).sum::<usize>() + 3,
            max_tokens: limit.and_then(|limit| usize::try_from(limit).ok()),
            stop: strings(&request["stop"]),
            choices: request["n"].as_u64().and_then(|n| usize::try_from(n).ok()).unwrap_or(1).clamp(1, 128),
        })
    }

    /// The answer as one document.
    pub fn document(&self, answer: &Answer, envelope: &Envelope) -> Bytes {
        let said = self.say(answer);
        let id = envelope.id();
        let choice = |index| DocumentChoice {
            index,
            message: Message {
                role: "assistant",
                content: said.text(),
                reasoning_content: said.thought,
                tool_calls: (!said.tools.is_empty()).then(|| said.calls(&id)),
                refusal: None,
                annotations: said.tools.is_empty().then_some([]),
            },
            logprobs: None,
            finish_reason: said.finish,
        };
        pretty(&Document {
            id: format!("chatcmpl-{id}"),
            object: "chat.completion",
            created: envelope.created,
            model: &self.model,
            choices: (0..self.choices).map(choice).collect(),
            usage: envelope.usage.then(|| self.usage(&said)),
            service_tier: "default",
            system_fingerprint: FINGERPRINT,
        })
    }

    /// The answer as server-sent events, `[DONE]` included.
    pub fn events(&self, answer: &Answer, envelope: &Envelope) -> Vec<Bytes> {
        let said = self.say(answer);
        let id = envelope.id();
        let chunk = |choices: Vec<ChunkChoice<'_>>, usage: Option<Usage>| {
            event(&Chunk {
                id: format!("chatcmpl-{id}"),
                object: "chat.completion.chunk",
                created: envelope.created,
                model: &self.model,
                service_tier: "default",
                system_fingerprint: FINGERPRINT,
                choices,
                usage: self.include_usage.then_some(usage),
            })
        };
        let calls = said.calls(&id);
        let deltas = said.deltas(&calls).into_iter().map(|delta| (delta, None));
        let deltas = deltas.chain(iter::once((Delta::default(), Some(said.finish))));
        let mut events = Vec::with_capacity(said.pieces.len() * self.choices + 4);
        for (delta, finish_reason) in deltas {
            events.extend((0..self.choices).map(|index| {
                let choice = ChunkChoice { index, delta: delta.clone(), logprobs: None, finish_reason };
                chunk(vec![choice], None)
            }));
        }
        if self.include_usage && envelope.usage {
            events.push(chunk(Vec::new(), Some(self.usage(&said))));
        }
        events.push(Bytes::from_static(DONE));
        events
    }

    fn say<'a>(&self, answer: &'a Answer) -> Said<'a> {
        let text = match answer {
            Answer::ToolCall { name, arguments } => return Said::calling(vec![(name, arguments)]),
            Answer::ToolCalls(calls) => {
                return Said::calling(calls.iter().map(|(name, arguments)| (&**name, &**arguments)).collect());
            }
            Answer::Text(text) | Answer::Thought { text, .. } => text.clone(),
            Answer::Echo => self.prompt.clone(),
            Answer::Tokens(count) => prose(&self.prompt, *count),
            Answer::Canned(_) => String::new(),
        };
        let stop = self.stop.iter().filter_map(|stop| text.find(stop.as_str())).min();
        let mut pieces = tokens(&text[..stop.unwrap_or(text.len())]);
        let limit = self.max_tokens.unwrap_or(usize::MAX);
        let finish = if pieces.len() > limit { "length" } else { "stop" };
        pieces.truncate(limit);
        let thought = match answer {
            Answer::Thought { thought, .. } => Some(thought.as_str()),
            _ => None,
        };
        Said { thought, pieces, tools: Vec::new(), finish }
    }

    fn usage(&self, said: &Said<'_>) -> Usage {
        let thought = said.thought.map_or(0, |thought| tokens(thought).len()) * self.choices;
        Usage::new(self.prompt_tokens, said.pieces.len() * self.choices + thought, thought)
    }
}

/// A precomputed answer: a document of `bytes` bytes and a stream of `chunks` content chunks with usage.
pub fn canned(bytes: usize, chunks: usize) -> Canned {
    let call = |stream| Call {
        model: "gpt-4o-mini-2024-07-18".to_owned(),
        stream,
        include_usage: stream,
        prompt: String::new(),
        prompt_tokens: 57,
        max_tokens: None,
        stop: Vec::new(),
        choices: 1,
    };
    let envelope = Envelope { serial: 0, created: 1_764_000_000, usage: true };
    let document = |text: &str| call(false).document(&Answer::Text(text.to_owned()), &envelope);
    let filler = prose("canned", bytes);
    let mut length = bytes;
    let mut whole = document(&filler[..length]);
    // The counts of tokens lose digits as the text shrinks, so the length is approached in a few steps.
    for _ in 0..4 {
        length = (length + bytes).saturating_sub(whole.len());
        whole = document(&filler[..length]);
    }
    let events = call(true).events(&Answer::Tokens(chunks), &envelope);
    Canned { whole, events }
}

/// Whether a request asks for a stream, by the one field a canned answer needs.
pub fn asks_for_stream(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Only {
        #[serde(default)]
        stream: bool,
    }
    serde_json::from_slice::<Only>(body).is_ok_and(|only| only.stream)
}

/// The list of models as one document.
pub fn models(names: &[String]) -> Bytes {
    let model = |id| Model { id, object: "model", created: 1_721_172_741, owned_by: "system" };
    let known = names.iter().map(String::as_str);
    let data = if names.is_empty() { vec![model("gpt-4o-mini")] } else { known.map(model).collect() };
    pretty(&Models { object: "list", data })
}

/// A well-formed content event of about `bytes` bytes.
pub fn oversized_event(bytes: usize) -> Bytes {
    let choice = ChunkChoice {
        index: 0,
        delta: Delta { content: Some(Some(&"x".repeat(bytes))), ..Delta::default() },
        logprobs: None,
        finish_reason: None,
    };
    event(&Chunk {
        id: "chatcmpl-oversized".to_owned(),
        object: "chat.completion.chunk",
        created: 0,
        model: "oversized",
        service_tier: "default",
        system_fingerprint: FINGERPRINT,
        choices: vec![choice],
        usage: None,
    })
}

/// The bytes that end a stream.
pub const DONE: &[u8] = b"data: [DONE]\n\n";
/// An event whose JSON breaks off.
pub const MALFORMED: &[u8] =
    b"data: {\"id\":\"chatcmpl-broken\",\"object\":\"chat.completion.chunk\",\"choices\":[{\"ind\n\n";

const FINGERPRINT: &str = "fp_5100ca7a2b";

impl ApiError {
    /// The error as a document.
    pub fn document(&self) -> Bytes {
        pretty(&self.envelope())
    }

    /// The error as an event in a stream.
    pub fn event(&self) -> Bytes {
        event(&self.envelope())
    }

    fn envelope(&self) -> ErrorEnvelope<'_> {
        let Self { message, kind, param, code, .. } = self;
        ErrorEnvelope { error: ErrorBody { message, kind, param: *param, code: *code } }
    }

    /// What OpenAI answers with `status` when nothing about the request explains it.
    pub fn of_status(status: u16) -> Self {
        let (message, kind, code) = match status {
            401 => return Self::bad_key(),
            429 => ("Rate limit reached for requests", "requests", Some("rate_limit_exceeded")),
            400..=499 => ("The request was refused.", "invalid_request_error", None),
            503 => ("The engine is currently overloaded, please try again later", "server_error", None),
            _ => ("The server had an error while processing your request. Sorry about that!", "server_error", None),
        };
        Self { status, message: message.to_owned(), kind, param: None, code }
    }

    pub fn bad_key() -> Self {
        Self::invalid(401, "Incorrect API key provided.".to_owned(), None, Some("invalid_api_key"))
    }

    pub fn unknown_model(model: &str) -> Self {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        Self::invalid(404, message, None, Some("model_not_found"))
    }

    pub fn unknown_url(method: &str, path: &str) -> Self {
        Self::invalid(404, format!("Invalid URL ({method} {path})"), None, None)
    }

    pub fn not_json() -> Self {
        Self::invalid(400, "We could not parse the JSON body of your request.".to_owned(), None, None)
    }

    pub fn missing(param: &'static str) -> Self {
        let message = format!("Missing required parameter: '{param}'.");
        Self::invalid(400, message, Some(param), Some("missing_required_parameter"))
    }

    pub fn invalid(status: u16, message: String, param: Option<&'static str>, code: Option<&'static str>) -> Self {
        Self { status, message, kind: "invalid_request_error", param, code }
    }
}

impl Envelope {
    /// 29 characters, as OpenAI's ids have; distinct per answer, the same in every run.
    pub fn id(&self) -> String {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut state = self.serial;
        let mut letter = || char::from(ALPHABET[usize::try_from(next_random(&mut state) % 62).unwrap_or(0)]);
        (0..29).map(|_| letter()).collect()
    }
}

/// An answer in pieces: the tokens of its text, or of its tool calls' arguments.
struct Said<'a> {
    thought: Option<&'a str>,
    pieces: Vec<String>,
    tools: Vec<(&'a str, &'a str)>,
    finish: &'static str,
}

impl<'a> Said<'a> {
    fn calling(tools: Vec<(&'a str, &'a str)>) -> Self {
        let pieces = tools.iter().flat_map(|(_, arguments)| tokens(arguments)).collect();
        Self { thought: None, pieces, tools, finish: "tool_calls" }
    }

    fn text(&self) -> Option<String> {
        self.tools.is_empty().then(|| self.pieces.concat())
    }

    /// The whole calls, each with an id of its own.
    fn calls(&self, id: &str) -> Vec<ToolCall<'a>> {
        let call = |(index, (name, arguments)): (usize, &(&'a str, &'a str))| {
            let (end, start) = id.split_at(index);
            ToolCall::whole(&[start, end].concat(), name, arguments)
        };
        self.tools.iter().enumerate().map(call).collect()
    }

    fn deltas<'b>(&'b self, calls: &'b [ToolCall<'b>]) -> Vec<Delta<'b>> {
        let role = Delta { role: Some("assistant"), refusal: Some(None), ..Delta::default() };
        if calls.is_empty() {
            let content = |text| Delta { content: Some(Some(text)), ..Delta::default() };
            let opening = Delta { content: Some(Some("")), ..role };
            let thought = self.thought.map(|thought| Delta { reasoning_content: Some(thought), ..Delta::default() });
            let said = self.pieces.iter().map(|piece| content(piece));
            return iter::once(opening).chain(thought).chain(said).collect();
        }
        let mut deltas = Vec::new();
        let mut pieces = self.pieces.iter();
        for (index, call) in calls.iter().enumerate() {
            let function = Function { arguments: "", ..call.function.clone() };
            let begun = [ToolCall { index: Some(index), function, ..call.clone() }];
            let opening = if index == 0 { Delta { content: Some(None), ..role.clone() } } else { Delta::default() };
            deltas.push(Delta { tool_calls: Some(begun), ..opening });
            for piece in pieces.by_ref().take(tokens(call.function.arguments).len()) {
                let function = Function { name: None, arguments: piece };
                let more = [ToolCall { index: Some(index), id: None, kind: None, function }];
                deltas.push(Delta { tool_calls: Some(more), ..Delta::default() });
            }
        }
        deltas
    }
}

fn check_temperature(request: &Value) -> Result<(), ApiError> {
    let Some(temperature) = request["temperature"].as_f64().filter(|value| !(0.0..=2.0).contains(value)) else {
        return Ok(());
    };
    let (end, bound, code) = if temperature > 2.0 {
        ("above maximum", "<= 2", "decimal_above_max_value")
    } else {
        ("below minimum", ">= 0", "decimal_below_min_value")
    };
    let message = format!(
        "Invalid 'temperature': decimal {end} value. Expected a value {bound}, but got {temperature:?} instead."
    );
    Err(ApiError::invalid(400, message, Some("temperature"), Some(code)))
}

fn last_user_text(messages: &[Value]) -> String {
    messages.iter().rev().find(|message| message["role"] == "user").map(text_of).unwrap_or_default()
}

/// The text of a message, whether its content is a string or a list of parts.
fn text_of(message: &Value) -> String {
    let parts = || message["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    message["content"].as_str().map_or_else(|| parts().collect::<Vec<_>>().join("\n"), str::to_owned)
}

pub fn strings(value: &Value) -> Vec<String> {
    let list = value.as_array().into_iter().flatten();
    list.chain(value.is_string().then_some(value)).filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Text in pieces the way byte-pair encodings cut English: a space opens a piece, and long words are several.
pub fn tokens(text: &str) -> Vec<String> {
    let mut pieces: Vec<String> = Vec::new();
    for letter in text.chars() {
        let opens = letter.is_whitespace() || pieces.last().is_none_or(|piece| piece.chars().count() >= 10);
        match pieces.last_mut() {
            Some(piece) if !opens => piece.push(letter),
            _ => pieces.push(letter.to_string()),
        }
    }
    pieces
}

/// Prose of exactly `count` tokens that depends on `seed` alone.
pub fn prose(seed: &str, count: usize) -> String {
    const WORDS: [&str; 24] = [
        "the", "answer", "follows", "from", "a", "simple", "rule", "and", "each", "step", "can", "be", "checked", "by",
        "hand", "so", "we", "write", "it", "down", "first", "then", "compare", "results",
    ];
    let mut state = hash(seed);
    let word = |_| WORDS[usize::try_from(next_random(&mut state) % 24).unwrap_or(0)];
    (0..count).map(word).collect::<Vec<_>>().join(" ")
}

/// FNV-1a.
pub fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub fn next_random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

pub fn pretty(value: &impl Serialize) -> Bytes {
    let mut bytes = serde_json::to_vec_pretty(value).expect("plain structs with string keys serialise");
    bytes.push(b'\n');
    bytes.into()
}

pub fn event(value: &impl Serialize) -> Bytes {
    let mut bytes = b"data: ".to_vec();
    serde_json::to_writer(&mut bytes, value).expect("plain structs with string keys serialise");
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}
