//! Neutral answers as OpenAI's bytes.

use bytes::{BufMut, BytesMut};

use crate::chat::reply::{LikelyToken, Predicted, TokenLogprob};
use crate::chat::request::ToolCall;
use crate::chat::{Choice, Delta, FinishReason, Reply, Usage};
use crate::dialect::error::ApiError;
use crate::dialect::{AnswerMeta, Dialect};

/// A whole answer: a `chat.completion`.
pub fn encode_reply(meta: &AnswerMeta<'_>, reply: &Reply) -> Vec<u8> {
    let text: usize = reply.choices.iter().map(|c| c.text.len()).sum();
    let mut out = BytesMut::with_capacity(text + 512);
    head(&mut out, "chat.completion", meta);
    out.put_slice(b",\"choices\":[");
    for (index, choice) in reply.choices.iter().enumerate() {
        comma(&mut out, index);
        whole_choice(&mut out, index, choice);
    }
    out.put_slice(b"],\"usage\":");
    usage(&mut out, reply.usage);
    out.put_slice(b",\"system_fingerprint\":null}");
    out.into()
}

/// An entry of `GET /v1/models`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelEntry<'a> {
    /// The name to send as `model`.
    pub id: &'a str,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Whose it is.
    pub owned_by: &'a str,
}

/// The answer of `GET /v1/models`.
pub fn encode_models<'a>(models: impl IntoIterator<Item = ModelEntry<'a>>) -> Vec<u8> {
    let mut out = BytesMut::new();
    out.put_slice(b"{\"object\":\"list\",\"data\":[");
    for (index, model) in models.into_iter().enumerate() {
        comma(&mut out, index);
        put_model(&mut out, model);
    }
    out.put_slice(b"]}");
    out.into()
}

/// The answer of `GET /v1/models/{id}`.
pub fn encode_model(model: ModelEntry<'_>) -> Vec<u8> {
    let mut out = BytesMut::new();
    put_model(&mut out, model);
    out.into()
}

fn put_model(out: &mut BytesMut, model: ModelEntry<'_>) {
    out.put_slice(b"{\"id\":");
    string(out, model.id);
    out.put_slice(b",\"object\":\"model\",\"created\":");
    number(out, model.created);
    out.put_slice(b",\"owned_by\":");
    string(out, model.owned_by);
    out.put_u8(b'}');
}

/// Turns deltas into the frames of a stream.
///
/// The order of a whole stream: [`Self::delta`] for each delta, then [`Self::done`]. A stream that breaks ends with
/// [`error_frame`] instead.
#[derive(Clone, Debug)]
pub struct StreamEncoder {
    /// All frames begin alike, up to `"choices":[`.
    beginning: Vec<u8>,
    /// Which choices have had their first chunk, the one with the role.
    begun: Vec<u32>,
    /// `stream_options.include_usage`
    usage: bool,
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(meta: &AnswerMeta<'_>, include_usage: bool) -> Self {
        let mut beginning = BytesMut::from(b"data: ".as_slice());
        head(&mut beginning, "chat.completion.chunk", meta);
        beginning.put_slice(b",\"system_fingerprint\":null,\"choices\":[");
        Self { beginning: beginning.into(), begun: Vec::new(), usage: include_usage }
    }

    /// Appends the frames for `delta`. Usage that was not asked for has none.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text { index, text, logprobs } => {
                self.begin(*index, out);
                self.choice(*index, None, out, logprobs, |out| member(out, "content", text.expose()));
            }
            Delta::Refusal { index, text } => self.said(*index, out, |out| member(out, "refusal", text.expose())),
            Delta::Thought { index, text } => {
                self.said(*index, out, |out| member(out, "reasoning_content", text.expose()));
            }
            // The dialect has no word for it.
            Delta::Sealed { .. } => {}
            Delta::Call { index, call, id, name } => self.said(*index, out, |out| {
                out.put_slice(b"{\"tool_calls\":[{\"index\":");
                number(out, (*call).into());
                out.put_slice(b",\"id\":");
                string(out, id);
                out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
                string(out, name);
                out.put_slice(b",\"arguments\":\"\"}}]}");
            }),
            Delta::Arguments { index, call, text } => self.said(*index, out, |out| {
                out.put_slice(b"{\"tool_calls\":[{\"index\":");
                number(out, (*call).into());
                out.put_slice(b",\"function\":");
                member(out, "arguments", text.expose());
                out.put_slice(b"}]}");
            }),
            Delta::Finish { index, reason } => {
                self.begin(*index, out);
                self.choice(*index, Some(*reason), out, &[], |out| out.put_slice(b"{}"));
            }
            Delta::Usage(counts) if self.usage => {
                out.put_slice(&self.beginning);
                out.put_slice(b"],\"usage\":");
                usage(out, *counts);
                out.put_slice(b"}\n\n");
            }
            Delta::Usage(_) => {}
        }
    }

    /// Appends the end of a complete stream.
    pub fn done(&self, out: &mut BytesMut) {
        out.put_slice(b"data: [DONE]\n\n");
    }

    /// A choice's first chunk has the role and empty content.
    fn begin(&mut self, index: u32, out: &mut BytesMut) {
        if !self.begun.contains(&index) {
            self.begun.push(index);
            let first = b"{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null}";
            self.choice(index, None, out, &[], |out| out.put_slice(first));
        }
    }

    fn said(&mut self, index: u32, out: &mut BytesMut, delta: impl FnOnce(&mut BytesMut)) {
        self.begin(index, out);
        self.choice(index, None, out, &[], delta);
    }

    fn choice(
        &self,
        index: u32,
        finish: Option<FinishReason>,
        out: &mut BytesMut,
        logprobs: &[TokenLogprob],
        delta: impl FnOnce(&mut BytesMut),
    ) {
        out.put_slice(&self.beginning);
        out.put_slice(b"{\"index\":");
        number(out, index.into());
        out.put_slice(b",\"delta\":");
        delta(out);
        out.put_slice(b",\"logprobs\":");
        likelihoods(out, logprobs);
        out.put_slice(b",\"finish_reason\":");
        match finish {
            Some(reason) => string(out, reason.name()),
            None => out.put_slice(b"null"),
        }
        out.put_slice(if self.usage { b"}],\"usage\":null}\n\n" } else { b"}]}\n\n".as_slice() });
    }
}

/// Appends the last frame of a stream that failed after its first byte. No `[DONE]` follows it: the answer is not whole.
pub fn error_frame(error: &ApiError, out: &mut BytesMut) {
    out.put_slice(b"data: ");
    error.write(Dialect::Chat, out);
    out.put_slice(b"\n\n");
}

/// The opening fields; the object stays open.
fn head(out: &mut BytesMut, object: &str, meta: &AnswerMeta<'_>) {
    out.put_slice(b"{\"id\":");
    string(out, meta.id);
    out.put_slice(b",\"object\":");
    string(out, object);
    out.put_slice(b",\"created\":");
    number(out, meta.created);
    out.put_slice(b",\"model\":");
    string(out, meta.model);
}

fn whole_choice(out: &mut BytesMut, index: usize, choice: &Choice) {
    out.put_slice(b"{\"index\":");
    number(out, index as i64);
    out.put_slice(b",\"message\":{\"role\":\"assistant\",\"content\":");
    if choice.text.is_empty() && (!choice.tool_calls.is_empty() || !choice.refusal.is_empty()) {
        out.put_slice(b"null");
    } else {
        string(out, choice.text.expose());
    }
    if !choice.tool_calls.is_empty() {
        out.put_slice(b",\"tool_calls\":[");
        for (index, call) in choice.tool_calls.iter().enumerate() {
            comma(out, index);
            tool_call(out, call);
        }
        out.put_u8(b']');
    }
    if choice.thoughts.iter().any(|thought| !thought.text.is_empty()) {
        let thoughts: String = choice.thoughts.iter().map(|thought| thought.text.expose()).collect();
        out.put_slice(b",\"reasoning_content\":");
        string(out, &thoughts);
    }
    out.put_slice(b",\"refusal\":");
    match choice.refusal.is_empty() {
        true => out.put_slice(b"null"),
        false => string(out, choice.refusal.expose()),
    }
    out.put_slice(b",\"annotations\":[]},\"logprobs\":");
    likelihoods(out, &choice.logprobs);
    out.put_slice(b",\"finish_reason\":");
    string(out, choice.finish.name());
    out.put_u8(b'}');
}

fn tool_call(out: &mut BytesMut, call: &ToolCall) {
    out.put_slice(b"{\"id\":");
    string(out, &call.id);
    out.put_slice(b",\"type\":\"function\",\"function\":{\"name\":");
    string(out, &call.name);
    out.put_slice(b",\"arguments\":");
    string(out, call.arguments.expose());
    out.put_slice(b"}}");
}

fn usage(out: &mut BytesMut, usage: Usage) {
    for (name, tokens) in [
        ("{\"prompt_tokens\":", usage.input),
        (",\"completion_tokens\":", usage.output),
        (",\"total_tokens\":", usage.input.saturating_add(usage.output)),
        (",\"prompt_tokens_details\":{\"cached_tokens\":", usage.cached_input),
        ("},\"completion_tokens_details\":{\"reasoning_tokens\":", usage.reasoning),
    ] {
        out.put_slice(name.as_bytes());
        put(out, &tokens);
    }
    if let Some(Predicted { accepted, rejected }) = usage.predicted {
        for (name, tokens) in [("accepted", accepted), ("rejected", rejected)] {
            out.put_slice(format!(",\"{name}_prediction_tokens\":").as_bytes());
            put(out, &tokens);
        }
    }
    out.put_slice(b"}}");
}

/// `{"content":[…],"refusal":null}`, or null where none were asked for.
fn likelihoods(out: &mut BytesMut, logprobs: &[TokenLogprob]) {
    if logprobs.is_empty() {
        return out.put_slice(b"null");
    }
    out.put_slice(b"{\"content\":[");
    for (index, logprob) in logprobs.iter().enumerate() {
        comma(out, index);
        likely(out, &logprob.token);
        out.put_slice(b",\"top_logprobs\":[");
        for (index, token) in logprob.top.iter().enumerate() {
            comma(out, index);
            likely(out, token);
            out.put_u8(b'}');
        }
        out.put_slice(b"]}");
    }
    out.put_slice(b"],\"refusal\":null}");
}

/// A token's members; the object stays open.
fn likely(out: &mut BytesMut, token: &LikelyToken) {
    out.put_slice(b"{\"token\":");
    string(out, &shown(&token.bytes));
    out.put_slice(b",\"logprob\":");
    put(out, &token.logprob);
    out.put_slice(b",\"bytes\":");
    put(out, &token.bytes);
}

/// A token's text, with U+FFFD for what is no whole character: the bytes stand beside it.
pub(in crate::dialect) fn shown(token: &[u8]) -> String {
    let mut text = String::with_capacity(token.len());
    for chunk in token.utf8_chunks() {
        text.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    text
}

/// An object of one string.
fn member(out: &mut BytesMut, name: &str, text: &str) {
    out.put_u8(b'{');
    string(out, name);
    out.put_u8(b':');
    string(out, text);
    out.put_u8(b'}');
}

fn comma(out: &mut BytesMut, index: usize) {
    if index > 0 {
        out.put_u8(b',');
    }
}

fn number(out: &mut BytesMut, number: i64) {
    put(out, &number);
}

fn string(out: &mut BytesMut, text: &str) {
    put(out, text);
}

fn put<T: serde::Serialize + ?Sized>(out: &mut BytesMut, value: &T) {
    // A number or a string into memory: neither can fail.
    let _ = serde_json::to_writer(out.writer(), value);
}

#[cfg(test)]
mod tests;
