//! What a provider of messages answers, in neutral words.

mod block;

use std::borrow::Cow;

use serde::Deserialize;

use self::block::{Blocks, WireBlock, WireDelta};
use crate::chat::{Delta, FinishReason, Usage};
use crate::dialect::sse::data;
use crate::dialect::{Progress, ReadError};

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub struct StreamReader {
    blocks: Blocks,
    usage: WireUsage,
}

impl StreamReader {
    /// Appends what `frame` says.
    ///
    /// # Errors
    /// The provider's own error event, and what is no event.
    pub fn event(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<Progress, ReadError> {
        let Some(data) = data(frame) else { return Ok(Progress::Open) };
        match read::<WireKind<'_>>(&data)?.r#type.as_ref() {
            "message_start" => self.usage.update(read::<WireStart>(&data)?.message.usage),
            "content_block_start" => {
                let event: WireBlockStart<'_> = read(&data)?;
                self.blocks.start(event.index, event.content_block, out);
            }
            "content_block_delta" => {
                let event: WireBlockDelta<'_> = read(&data)?;
                self.blocks.more(event.index, event.delta, out);
            }
            "content_block_stop" => self.blocks.stop(read::<WireBlockStop>(&data)?.index, out),
            "message_delta" => {
                let event: WireMessageDelta<'_> = read(&data)?;
                self.usage.update(event.usage);
                event.delta.tell(out);
            }
            "message_stop" => {
                out.extend(self.usage.counted().map(Delta::Usage));
                return Ok(Progress::Ended);
            }
            "error" => return Err(ReadError::Provider),
            // Pings, and what later versions add.
            _ => {}
        }
        Ok(Progress::Open)
    }
}

fn read<'a, T: Deserialize<'a>>(data: &'a [u8]) -> Result<T, ReadError> {
    serde_json::from_slice(data).map_err(|_| ReadError::Unreadable)
}

/// A whole `message` as deltas; `None` where it is none.
pub fn read_reply(body: &[u8]) -> Option<Vec<Delta>> {
    let wire: WireReply<'_> = serde_json::from_slice(body).ok()?;
    let (mut out, mut blocks) = (Vec::new(), Blocks::default());
    for (index, block) in wire.content.into_iter().enumerate() {
        blocks.start(index as u64, block, &mut out);
        blocks.stop(index as u64, &mut out);
    }
    let end = WireEnd { stop_reason: wire.stop_reason, stop_details: wire.stop_details };
    end.tell(&mut out);
    out.extend(wire.usage.counted().map(Delta::Usage));
    Some(out)
}

#[derive(Deserialize)]
struct WireKind<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct WireStart {
    message: WireBegun,
}

#[derive(Deserialize)]
struct WireBegun {
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
struct WireBlockStart<'a> {
    index: u64,
    #[serde(borrow)]
    content_block: WireBlock<'a>,
}

#[derive(Deserialize)]
struct WireBlockDelta<'a> {
    index: u64,
    #[serde(borrow)]
    delta: WireDelta<'a>,
}

#[derive(Deserialize)]
struct WireBlockStop {
    index: u64,
}

#[derive(Deserialize)]
struct WireMessageDelta<'a> {
    #[serde(borrow)]
    delta: WireEnd<'a>,
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
struct WireReply<'a> {
    #[serde(borrow)]
    content: Vec<WireBlock<'a>>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    stop_details: Option<WireDetails<'a>>,
    #[serde(default)]
    usage: WireUsage,
}

#[derive(Deserialize)]
struct WireEnd<'a> {
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    stop_details: Option<WireDetails<'a>>,
}

#[derive(Deserialize)]
struct WireDetails<'a> {
    #[serde(default, borrow)]
    explanation: Option<Cow<'a, str>>,
}

impl WireEnd<'_> {
    fn tell(self, out: &mut Vec<Delta>) {
        let Some(reason) = self.stop_reason else { return };
        let reason = finish_reason(&reason);
        if reason == FinishReason::ContentFilter {
            let text = self.stop_details.and_then(|details| details.explanation).filter(|text| !text.is_empty());
            out.extend(text.map(|text| Delta::Refusal { index: 0, text: text.into_owned().into() }));
        }
        out.push(Delta::Finish { index: 0, reason });
    }
}

/// Why a message ended, in neutral words.
fn finish_reason(word: &str) -> FinishReason {
    match word {
        "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
        "tool_use" => FinishReason::ToolCalls,
        "refusal" => FinishReason::ContentFilter,
        // `end_turn`, `stop_sequence`, and `pause_turn`, which only tools of the provider bring about.
        _ => FinishReason::Stop,
    }
}

/// Counts so far: each that an event has replaces the one before.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
struct WireUsage {
    #[serde(default)]
    input_tokens: Option<u64>,
    #[serde(default)]
    cache_read_input_tokens: Option<u64>,
    #[serde(default)]
    cache_creation_input_tokens: Option<u64>,
    #[serde(default)]
    output_tokens: Option<u64>,
    #[serde(default)]
    output_tokens_details: Option<WireOutput>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct WireOutput {
    #[serde(default)]
    thinking_tokens: Option<u64>,
}

impl WireUsage {
    fn update(&mut self, newer: Self) {
        self.input_tokens = newer.input_tokens.or(self.input_tokens);
        self.cache_read_input_tokens = newer.cache_read_input_tokens.or(self.cache_read_input_tokens);
        self.cache_creation_input_tokens = newer.cache_creation_input_tokens.or(self.cache_creation_input_tokens);
        self.output_tokens = newer.output_tokens.or(self.output_tokens);
        self.output_tokens_details = newer.output_tokens_details.or(self.output_tokens_details);
    }

    /// `None` where neither count is there. The dialect counts what the cache has apart from the other input.
    fn counted(self) -> Option<Usage> {
        if self.input_tokens.is_none() && self.output_tokens.is_none() {
            return None;
        }
        let cached_input = self.cache_read_input_tokens.unwrap_or(0);
        let cache_write = self.cache_creation_input_tokens.unwrap_or(0);
        Some(Usage {
            input: self.input_tokens.unwrap_or(0).saturating_add(cached_input).saturating_add(cache_write),
            output: self.output_tokens.unwrap_or(0),
            cached_input,
            cache_untold: self.cache_read_input_tokens.is_none(),
            cache_write,
            reasoning: self.output_tokens_details.and_then(|details| details.thinking_tokens).unwrap_or(0),
            ..Usage::default()
        })
    }
}

#[cfg(test)]
mod tests;
