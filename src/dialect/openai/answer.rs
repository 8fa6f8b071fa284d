//! What a provider of chat completions answers, in neutral words.

use std::borrow::Cow;

use serde::Deserialize;

use super::read::{finish_reason, gave_up};
use super::usage::{WireGroq, WireUsage};
use crate::chat::reply::{LikelyToken, TokenLogprob};
use crate::chat::{Delta, FinishReason, Usage};
use crate::dialect::sse::data;
use crate::dialect::{Progress, ReadError};

/// Reads the chunks of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    /// Whether a finish reason has come: servers that leave `[DONE]` out end with it.
    finished: bool,
}

impl StreamReader {
    /// Appends what `frame` says.
    ///
    /// # Errors
    /// The provider's own error event.
    pub fn event(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<Progress, ReadError> {
        let Some(data) = data(frame) else { return Ok(Progress::Open) };
        if data.trim_ascii() == b"[DONE]" {
            return Ok(Progress::Ended);
        }
        let mut wire: Wire<'_> = serde_json::from_slice(&data).map_err(|_| ReadError::Unreadable)?;
        if wire.failed() {
            return Err(ReadError::Provider);
        }
        let usage = wire.usage();
        for choice in wire.choices.into_iter().flatten() {
            self.finished |= choice.tell(out);
        }
        out.extend(usage.map(Delta::Usage));
        Ok(Progress::Open)
    }

    /// Whether the stream may end here without its marker.
    pub fn may_end(&self) -> bool {
        self.finished
    }
}

/// A whole `chat.completion` as deltas; `None` where it is none.
pub fn read_reply(body: &[u8]) -> Option<Vec<Delta>> {
    let mut wire: Wire<'_> = serde_json::from_slice(body).ok().filter(|wire: &Wire<'_>| !wire.failed())?;
    let usage = wire.usage();
    let mut out = Vec::new();
    for choice in wire.choices? {
        choice.tell(&mut out);
    }
    out.extend(usage.map(Delta::Usage));
    Some(out)
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(default, borrow)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<serde::de::IgnoredAny>,
    /// `error` where an error stands at the top.
    #[serde(default, borrow)]
    object: Option<Cow<'a, str>>,
    #[serde(default)]
    x_groq: Option<WireGroq>,
}

impl Wire<'_> {
    fn failed(&self) -> bool {
        let gave_up = |choice: &WireChoice<'_>| choice.finish_reason.as_deref().is_some_and(gave_up);
        let choices = self.choices.as_deref().unwrap_or_default();
        self.error.is_some() || self.object.as_deref() == Some("error") || choices.iter().any(gave_up)
    }

    fn usage(&mut self) -> Option<Usage> {
        let groq = || self.x_groq.take().and_then(|groq| groq.usage);
        self.usage.take().or_else(groq).and_then(WireUsage::counted)
    }
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(default)]
    index: u32,
    /// In a stream.
    #[serde(default, borrow)]
    delta: Option<WireSaid<'a>>,
    /// In a whole reply.
    #[serde(default, borrow)]
    message: Option<WireSaid<'a>>,
    #[serde(default)]
    logprobs: Option<WireLogprobs>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireSaid<'a> {
    #[serde(default, borrow)]
    content: Option<WireText<'a>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    /// Some vendors' name for it.
    #[serde(default, borrow)]
    reasoning: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    tool_calls: Option<Vec<WireCall<'a>>>,
}

/// A string or, with some vendors, typed parts.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireText<'a> {
    Plain(#[serde(borrow)] Cow<'a, str>),
    Parts(#[serde(borrow)] Vec<WirePart<'a>>),
}

#[derive(Deserialize)]
struct WirePart<'a> {
    #[serde(default, borrow)]
    text: Cow<'a, str>,
    /// Mistral's thoughts, which are a list of texts again.
    #[serde(default, borrow)]
    thinking: Vec<WireThought<'a>>,
}

#[derive(Deserialize)]
struct WireThought<'a> {
    #[serde(default, borrow)]
    text: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(default)]
    index: Option<u32>,
    #[serde(default, borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    function: Option<WireCalled<'a>>,
}

#[derive(Deserialize)]
struct WireCalled<'a> {
    #[serde(default, borrow)]
    name: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    arguments: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct WireLogprobs {
    #[serde(default)]
    content: Option<Vec<WireLogprob>>,
}

#[derive(Deserialize)]
struct WireLogprob {
    #[serde(flatten)]
    token: WireToken,
    #[serde(default)]
    top_logprobs: Vec<WireToken>,
}

#[derive(Deserialize)]
struct WireToken {
    #[serde(default)]
    token: String,
    #[serde(default)]
    logprob: f32,
    #[serde(default)]
    bytes: Option<Vec<u8>>,
}

impl WireChoice<'_> {
    /// Whether it has ended.
    fn tell(self, out: &mut Vec<Delta>) -> bool {
        let index = self.index;
        if let Some(said) = self.message.or(self.delta) {
            said.tell(index, self.logprobs, out);
        }
        let finish = self.finish_reason.as_deref().and_then(finish_reason);
        out.extend(finish.map(|reason: FinishReason| Delta::Finish { index, reason }));
        finish.is_some()
    }
}

impl WireSaid<'_> {
    fn tell(self, index: u32, logprobs: Option<WireLogprobs>, out: &mut Vec<Delta>) {
        let some = |text: Option<Cow<'_, str>>| text.filter(|text| !text.is_empty()).map(Cow::into_owned);
        let (text, thinking) = self.content.map(WireText::split).unwrap_or_default();
        // Where several are there, they are the same text.
        let thought = some(self.reasoning_content).or(some(self.reasoning)).or(some(Some(thinking.into())));
        out.extend(thought.map(|text| Delta::Thought { index, text: text.into() }));
        let logprobs: Vec<_> = logprobs.and_then(|l| l.content).into_iter().flatten().map(TokenLogprob::from).collect();
        if !text.is_empty() || !logprobs.is_empty() {
            out.push(Delta::Text { index, text: text.into(), logprobs });
        }
        out.extend(some(self.refusal).map(|text| Delta::Refusal { index, text: text.into() }));
        for (at, call) in self.tool_calls.into_iter().flatten().enumerate() {
            call.tell(index, at as u32, out);
        }
    }
}

impl WireText<'_> {
    /// What is said, and what is thought.
    fn split(self) -> (String, String) {
        match self {
            Self::Plain(text) => (text.into_owned(), String::new()),
            Self::Parts(parts) => {
                let thoughts = parts.iter().flat_map(|part| &part.thinking).map(|thought| thought.text.as_ref());
                (parts.iter().map(|part| part.text.as_ref()).collect(), thoughts.collect())
            }
        }
    }
}

impl WireCall<'_> {
    fn tell(self, index: u32, at: u32, out: &mut Vec<Delta>) {
        let call = self.index.unwrap_or(at);
        let Some(called) = self.function else { return };
        // A call begins where its name is; some vendors repeat an empty one.
        if let Some(name) = called.name.filter(|name| !name.is_empty()) {
            let id = self.id.unwrap_or_default().into_owned();
            out.push(Delta::Call { index, call, id, name: name.into_owned() });
        }
        if let Some(text) = called.arguments.filter(|text| !text.is_empty()) {
            out.push(Delta::Arguments { index, call, text: text.into_owned().into() });
        }
    }
}

impl From<WireLogprob> for TokenLogprob {
    fn from(wire: WireLogprob) -> Self {
        Self { token: wire.token.into(), top: wire.top_logprobs.into_iter().map(Into::into).collect() }
    }
}

impl From<WireToken> for LikelyToken {
    fn from(wire: WireToken) -> Self {
        let bytes = wire.bytes.unwrap_or_else(|| wire.token.into_bytes());
        Self { bytes, logprob: wire.logprob }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{Reply, Streaming};
    use crate::dialect::{AnswerMeta, Dialect, StreamEncoder};

    /// The same answer, whole and as a stream, as this module's sister writes them.
    fn written() -> (Vec<u8>, Vec<Vec<u8>>, Vec<Delta>) {
        let token = LikelyToken { bytes: vec![0xC3], logprob: -0.5 };
        let logprobs = vec![TokenLogprob { token: token.clone(), top: vec![token] }];
        let deltas = vec![
            Delta::Thought { index: 0, text: "hm".into() },
            Delta::Text { index: 0, text: "h\u{e9}".into(), logprobs },
            Delta::Refusal { index: 0, text: "no".into() },
            Delta::Call { index: 0, call: 0, id: "a".to_owned(), name: "f".to_owned() },
            Delta::Arguments { index: 0, call: 0, text: "{\"x\":1}".into() },
            Delta::Finish { index: 0, reason: FinishReason::ToolCalls },
            Delta::Usage(Usage {
                input: 9,
                output: 5,
                cached_input: 3,
                cache_write: 0,
                reasoning: 2,
                ..Usage::default()
            }),
        ];
        let meta = AnswerMeta { id: "x", created: 1, model: "m", input_tokens: 9, request: None };
        let mut encoder = StreamEncoder::new(Dialect::Chat, &meta, Streaming::On { usage: true }.is_on());
        let mut reply = Reply::default();
        let mut frames = Vec::new();
        for delta in &deltas {
            let mut frame = bytes::BytesMut::new();
            encoder.delta(delta, &mut frame);
            frames.extend(frame.split_inclusive_frames());
            reply.add(delta.clone());
        }
        (Dialect::Chat.encode_reply(&meta, &reply), frames, deltas)
    }

    trait Split {
        fn split_inclusive_frames(&self) -> Vec<Vec<u8>>;
    }

    impl Split for bytes::BytesMut {
        fn split_inclusive_frames(&self) -> Vec<Vec<u8>> {
            let text = std::str::from_utf8(self).unwrap();
            text.split_inclusive("\n\n").map(|frame| frame.as_bytes().to_vec()).collect()
        }
    }

    #[test]
    fn what_is_written_is_read_back_whole_and_streamed() {
        let (whole, frames, deltas) = written();
        assert_eq!(read_reply(&whole), Some(deltas.clone()));
        let mut reader = StreamReader::default();
        let mut read = Vec::new();
        for frame in &frames {
            assert_eq!(reader.event(frame, &mut read), Ok(Progress::Open));
        }
        assert_eq!(read, deltas);
        assert!(reader.may_end());
        assert_eq!(reader.event(b"data: [DONE]\n\n", &mut read), Ok(Progress::Ended));
    }

    #[test]
    fn an_error_event_a_comment_and_nonsense_are_told_apart() {
        let mut reader = StreamReader::default();
        let mut event = |frame: &[u8]| reader.event(frame, &mut Vec::new());
        assert_eq!(event(b": keep-alive\n\n"), Ok(Progress::Open));
        assert_eq!(event(b"data: {\"error\":{\"message\":\"full\"}}\n\n"), Err(ReadError::Provider));
        assert_eq!(event(b"data: {\"choi\n\n"), Err(ReadError::Unreadable));
        assert!(!reader.may_end());
    }
}
