//! A stream's events.

use bytes::{BufMut, BytesMut};
use serde::Serialize;

use super::{Message, WireUsage, put, stop_reason};
use crate::chat::{Delta, FinishReason, Text, Usage};
use crate::dialect::AnswerMeta;
use crate::dialect::anthropic::seal::Seal;

/// Turns deltas into the events of a stream.
///
/// The order of a whole stream: [`Self::delta`] for each delta, then [`Self::done`]. A stream that breaks ends with
/// [`super::error_frame`] instead.
#[derive(Clone, Debug)]
pub struct StreamEncoder {
    /// `message_start`, until it is written.
    start: Option<Vec<u8>>,
    /// The block that is open.
    open: Option<Open>,
    /// How many blocks have begun.
    blocks: u32,
    /// In which block each call stands.
    calls: Vec<u32>,
    finish: FinishReason,
    usage: Option<Usage>,
    /// What is counted where no usage is told.
    chars: u64,
    input_tokens: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Text,
    Thinking,
    Tool,
}

#[derive(Serialize)]
struct Event<T> {
    r#type: &'static str,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Start<'a> {
    message: Message<'a>,
}

#[derive(Serialize)]
struct BlockStart<'a> {
    index: u32,
    content_block: Begun<'a>,
}

/// A block as it begins: empty.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Begun<'a> {
    Text { text: &'static str },
    Thinking { thinking: &'static str, signature: &'static str },
    RedactedThinking { data: &'a str },
    ToolUse { id: &'a str, name: &'a str, input: Empty },
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct BlockDelta<'a> {
    index: u32,
    delta: More<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum More<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct BlockStop {
    index: u32,
}

#[derive(Serialize)]
struct MessageDelta {
    delta: End,
    usage: WireUsage,
}

#[derive(Serialize)]
struct End {
    stop_reason: &'static str,
    stop_sequence: Option<&'static str>,
}

impl StreamEncoder {
    /// An encoder for one answer.
    pub fn new(meta: &AnswerMeta<'_>) -> Self {
        let message = Message {
            id: meta.id,
            r#type: "message",
            role: "assistant",
            model: meta.model,
            content: Vec::new(),
            stop_reason: None,
            stop_sequence: None,
            usage: Usage { input: meta.input_tokens, ..Usage::default() }.into(),
        };
        let mut start = BytesMut::new();
        event(&mut start, "message_start", Start { message });
        Self {
            start: Some(start.into()),
            open: None,
            blocks: 0,
            calls: Vec::new(),
            finish: FinishReason::default(),
            usage: None,
            chars: 0,
            input_tokens: meta.input_tokens,
        }
    }

    /// Appends the events for `delta`. Why it ended and usage are told at the end.
    pub fn delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        self.begin(out);
        self.chars += delta.chars();
        match delta {
            Delta::Text { index: 0, text, .. } | Delta::Refusal { index: 0, text } => {
                self.ensure(Open::Text, Begun::Text { text: "" }, out);
                self.more(More::Text { text: text.expose() }, out);
            }
            Delta::Thought { index: 0, text } => {
                self.think(out);
                self.more(More::Thinking { thinking: text.expose() }, out);
            }
            Delta::Sealed { index: 0, seal, .. } => self.seal(seal, out),
            Delta::Call { index: 0, id, name, .. } => {
                self.start(Open::Tool, Begun::ToolUse { id, name, input: Empty {} }, out);
                self.calls.push(self.blocks - 1);
            }
            Delta::Arguments { index: 0, call, text } => {
                if let Some(index) = self.calls.get(*call as usize) {
                    let delta = More::Input { partial_json: text.expose() };
                    event(out, "content_block_delta", BlockDelta { index: *index, delta });
                }
            }
            Delta::Finish { index: 0, reason } => self.finish = *reason,
            Delta::Usage(usage) => self.usage = Some(*usage),
            // The dialect has one choice.
            Delta::Text { .. }
            | Delta::Refusal { .. }
            | Delta::Thought { .. }
            | Delta::Sealed { .. }
            | Delta::Call { .. }
            | Delta::Arguments { .. }
            | Delta::Finish { .. } => {}
        }
    }

    /// Appends the end of a complete stream. The dialect insists on counts: where none were told, they are estimated.
    pub fn done(&mut self, out: &mut BytesMut) {
        self.begin(out);
        self.close(out);
        let estimate = Usage { input: self.input_tokens, output: self.chars.div_ceil(3), ..Usage::default() };
        let delta = End { stop_reason: stop_reason(self.finish), stop_sequence: None };
        event(out, "message_delta", MessageDelta { delta, usage: self.usage.unwrap_or(estimate).into() });
        event(out, "message_stop", Empty {});
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if let Some(start) = self.start.take() {
            out.put_slice(&start);
        }
    }

    fn think(&mut self, out: &mut BytesMut) {
        self.ensure(Open::Thinking, Begun::Thinking { thinking: "", signature: "" }, out);
    }

    fn seal(&mut self, seal: &Text, out: &mut BytesMut) {
        match Seal::read(seal) {
            Seal::Redacted(data) => self.start(Open::Thinking, Begun::RedactedThinking { data }, out),
            seal => {
                self.think(out);
                self.more(More::Signature { signature: &seal.shown() }, out);
            }
        }
        self.close(out);
    }

    /// Begins a block where none of its kind is open.
    fn ensure(&mut self, kind: Open, block: Begun<'_>, out: &mut BytesMut) {
        if self.open != Some(kind) {
            self.start(kind, block, out);
        }
    }

    fn start(&mut self, kind: Open, content_block: Begun<'_>, out: &mut BytesMut) {
        self.close(out);
        event(out, "content_block_start", BlockStart { index: self.blocks, content_block });
        self.blocks += 1;
        self.open = Some(kind);
    }

    fn more(&self, delta: More<'_>, out: &mut BytesMut) {
        event(out, "content_block_delta", BlockDelta { index: self.blocks - 1, delta });
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            event(out, "content_block_stop", BlockStop { index: self.blocks - 1 });
        }
    }
}

fn event<T: Serialize>(out: &mut BytesMut, name: &'static str, rest: T) {
    out.put_slice(b"event: ");
    out.put_slice(name.as_bytes());
    out.put_slice(b"\ndata: ");
    put(out, &Event { r#type: name, rest });
    out.put_slice(b"\n\n");
}
