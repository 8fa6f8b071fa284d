//! What a provider of responses answers, in neutral words.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::SEAL;
use crate::chat::reply::{LikelyToken, TokenLogprob};
use crate::chat::{Delta, FinishReason, Usage};
use crate::dialect::sse::data;
use crate::dialect::{Progress, ReadError};

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    /// At which place of the output each call stands, and whether any of its arguments have come.
    calls: Vec<(u64, bool)>,
}

impl StreamReader {
    /// Appends what `frame` says.
    ///
    /// # Errors
    /// The provider's own error event.
    pub fn event(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<Progress, ReadError> {
        let Some(data) = data(frame) else { return Ok(Progress::Open) };
        let kind: Kind<'_> = serde_json::from_slice(&data).map_err(|_| ReadError::Unreadable)?;
        match kind.r#type.as_ref() {
            "response.output_text.delta" => read::<Piece>(&data)?.text(out),
            "response.refusal.delta" => {
                let text = read::<Piece>(&data)?.delta;
                out.extend(some(text).map(|text| Delta::Refusal { index: 0, text: text.into() }));
            }
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                out.extend(thought(read::<Piece>(&data)?.delta));
            }
            // Summaries are paragraphs.
            "response.reasoning_summary_part.added" if read::<Piece>(&data)?.summary_index > 0 => {
                out.extend(thought("\n\n".to_owned()));
            }
            "response.function_call_arguments.delta" => {
                let piece: Piece = read(&data)?;
                self.arguments(piece.output_index, piece.delta, out);
            }
            "response.output_item.added" => {
                let added: OfItem = read(&data)?;
                if let Item::FunctionCall(call) = added.item {
                    self.call(added.output_index, call, out);
                }
            }
            "response.output_item.done" => {
                let done: OfItem = read(&data)?;
                self.item_done(done, out);
            }
            "response.completed" | "response.incomplete" => {
                let ended: Ended = read(&data)?;
                ended.response.end(!self.calls.is_empty(), out);
                return Ok(Progress::Ended);
            }
            "error" | "response.failed" | "response.cancelled" => return Err(ReadError::Provider),
            _ => {}
        }
        Ok(Progress::Open)
    }

    /// A stream without its last event is broken off.
    pub fn may_end(&self) -> bool {
        false
    }

    fn call(&mut self, output_index: u64, call: Call, out: &mut Vec<Delta>) {
        let number = self.calls.len() as u32;
        self.calls.push((output_index, false));
        out.push(Delta::Call { index: 0, call: number, id: call.call_id, name: call.name });
        self.arguments(output_index, call.arguments, out);
    }

    fn arguments(&mut self, output_index: u64, text: String, out: &mut Vec<Delta>) {
        let Some(number) = self.calls.iter().rposition(|(at, _)| *at == output_index) else { return };
        if !text.is_empty() {
            self.calls[number].1 = true;
            out.push(Delta::Arguments { index: 0, call: number as u32, text: text.into() });
        }
    }

    /// Some servers tell of a call only when it is whole.
    fn item_done(&mut self, done: OfItem, out: &mut Vec<Delta>) {
        match done.item {
            Item::Reasoning(reasoning) => out.extend(reasoning.sealed()),
            Item::FunctionCall(call) => match self.calls.iter().rfind(|(at, _)| *at == done.output_index) {
                None => self.call(done.output_index, call, out),
                Some((_, false)) => self.arguments(done.output_index, call.arguments, out),
                Some((_, true)) => {}
            },
            Item::Message(_) | Item::Other => {}
        }
    }
}

/// A whole `response` as deltas; `None` where it is none, or failed.
pub fn read_reply(body: &[u8]) -> Option<Vec<Delta>> {
    let response: Response = serde_json::from_slice(body).ok()?;
    if !matches!(response.status.as_deref(), Some("completed" | "incomplete")) {
        return None;
    }
    let mut out = Vec::new();
    let mut calls = 0;
    for item in response.output.iter().flatten() {
        match item {
            Item::Reasoning(reasoning) => reasoning.tell(&mut out),
            Item::Message(message) => message.content.iter().for_each(|part| part.tell(&mut out)),
            Item::FunctionCall(call) => {
                call.tell(calls, &mut out);
                calls += 1;
            }
            Item::Other => {}
        }
    }
    response.end(calls > 0, &mut out);
    Some(out)
}

fn read<T: DeserializeOwned>(data: &[u8]) -> Result<T, ReadError> {
    serde_json::from_slice(data).map_err(|_| ReadError::Unreadable)
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn thought(text: String) -> Option<Delta> {
    some(text).map(|text| Delta::Thought { index: 0, text: text.into() })
}

#[derive(Deserialize)]
struct Kind<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Piece {
    #[serde(default)]
    output_index: u64,
    #[serde(default)]
    summary_index: u64,
    #[serde(default)]
    delta: String,
    #[serde(default)]
    logprobs: Option<Vec<Logprob>>,
}

impl Piece {
    fn text(self, out: &mut Vec<Delta>) {
        told(self.delta, self.logprobs, out);
    }
}

fn told(text: String, logprobs: Option<Vec<Logprob>>, out: &mut Vec<Delta>) {
    let logprobs: Vec<_> = logprobs.into_iter().flatten().map(TokenLogprob::from).collect();
    if !text.is_empty() || !logprobs.is_empty() {
        out.push(Delta::Text { index: 0, text: text.into(), logprobs });
    }
}

#[derive(Deserialize)]
struct OfItem {
    #[serde(default)]
    output_index: u64,
    item: Item,
}

#[derive(Deserialize)]
struct Ended {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    output: Option<Vec<Item>>,
    #[serde(default)]
    incomplete_details: Option<Incomplete>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

impl Response {
    fn end(&self, calls: bool, out: &mut Vec<Delta>) {
        let why = self.incomplete_details.as_ref().and_then(|details| details.reason.as_deref());
        let reason = match why {
            Some("content_filter") => FinishReason::ContentFilter,
            Some(_) => FinishReason::Length,
            None if calls => FinishReason::ToolCalls,
            None => FinishReason::Stop,
        };
        out.push(Delta::Finish { index: 0, reason });
        out.extend(self.usage.as_ref().map(|usage| Delta::Usage(usage.counted())));
    }
}

#[derive(Deserialize)]
struct Incomplete {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct WireUsage {
    input_tokens: u64,
    output_tokens: u64,
    #[serde(default)]
    input_tokens_details: Option<InputDetails>,
    #[serde(default)]
    output_tokens_details: Option<OutputDetails>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct InputDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct OutputDetails {
    reasoning_tokens: Option<u64>,
}

impl WireUsage {
    fn counted(&self) -> Usage {
        let input = self.input_tokens_details.unwrap_or_default();
        let output = self.output_tokens_details.unwrap_or_default();
        Usage {
            input: self.input_tokens,
            output: self.output_tokens,
            cached_input: input.cached_tokens.unwrap_or(0),
            cache_untold: input.cached_tokens.is_none(),
            cache_write: input.cache_write_tokens.unwrap_or(0),
            reasoning: output.reasoning_tokens.unwrap_or(0),
            // It tells no sound apart.
            audio_input: 0,
            audio_output: 0,
            predicted: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Item {
    Reasoning(Reasoning),
    Message(Message),
    FunctionCall(Call),
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Reasoning {
    #[serde(default)]
    id: String,
    #[serde(default)]
    summary: Vec<Written>,
    #[serde(default)]
    content: Option<Vec<Written>>,
    #[serde(default)]
    encrypted_content: Option<String>,
}

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    text: String,
}

impl Reasoning {
    fn tell(&self, out: &mut Vec<Delta>) {
        let summaries: Vec<&str> = self.summary.iter().map(|part| part.text.as_str()).collect();
        out.extend(thought(summaries.join("\n\n")));
        for part in self.content.iter().flatten() {
            out.extend(thought(part.text.clone()));
        }
        out.extend(self.sealed());
    }

    /// The seal says whose it is, and holds the id that belongs to it: clients of other dialects keep nothing but it.
    fn sealed(&self) -> Option<Delta> {
        let encrypted = self.encrypted_content.as_deref()?;
        let seal = format!("{SEAL}{}:{encrypted}", self.id);
        Some(Delta::Sealed { index: 0, seal: seal.into(), id: None })
    }
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    content: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Part {
    OutputText {
        text: String,
        #[serde(default)]
        logprobs: Option<Vec<Logprob>>,
    },
    Refusal {
        refusal: String,
    },
    #[serde(other)]
    Other,
}

impl Part {
    fn tell(&self, out: &mut Vec<Delta>) {
        match self {
            Self::OutputText { text, logprobs } => told(text.clone(), logprobs.clone(), out),
            Self::Refusal { refusal } => {
                out.extend(some(refusal.clone()).map(|text| Delta::Refusal { index: 0, text: text.into() }));
            }
            Self::Other => {}
        }
    }
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    call_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    arguments: String,
}

impl Call {
    fn tell(&self, call: u32, out: &mut Vec<Delta>) {
        out.push(Delta::Call { index: 0, call, id: self.call_id.clone(), name: self.name.clone() });
        let text = some(self.arguments.clone());
        out.extend(text.map(|text| Delta::Arguments { index: 0, call, text: text.into() }));
    }
}

#[derive(Clone, Deserialize)]
struct Logprob {
    #[serde(flatten)]
    token: Token,
    #[serde(default)]
    top_logprobs: Option<Vec<Token>>,
}

#[derive(Clone, Deserialize)]
struct Token {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f32,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

impl From<Logprob> for TokenLogprob {
    fn from(wire: Logprob) -> Self {
        let top = wire.top_logprobs.into_iter().flatten().map(Into::into).collect();
        Self { token: wire.token.into(), top }
    }
}

impl From<Token> for LikelyToken {
    fn from(wire: Token) -> Self {
        let bytes = wire.bytes.unwrap_or_else(|| wire.token.into_bytes());
        Self { bytes, logprob: wire.logprob }
    }
}

#[cfg(test)]
mod tests;
