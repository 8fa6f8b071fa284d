//! What Gemini answers, in neutral words.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{SIGNED_CALL, SIGNED_TEXT};
use crate::chat::reply::{LikelyToken, TokenLogprob};
use crate::chat::{Delta, FinishReason, Text, Usage};
use crate::dialect::sse::data;
use crate::dialect::{Progress, ReadError};

/// Reads the chunks of one stream. The dialect has no last event: it ends with the reasons to finish, and the counts that
/// come with them.
#[derive(Debug, Default)]
pub struct StreamReader {
    /// How many calls each candidate has made, and whether it has ended.
    candidates: BTreeMap<u32, Standing>,
    /// Nothing is answered.
    blocked: bool,
    /// Every chunk has the counts so far; only the last are told.
    counted: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    calls: u32,
    ended: bool,
}

impl StreamReader {
    /// Appends what `frame` says.
    ///
    /// # Errors
    /// The provider's own error event, or a call that it says it has made wrong.
    pub fn event(&mut self, frame: &[u8], out: &mut Vec<Delta>) -> Result<Progress, ReadError> {
        let Some(data) = data(frame) else { return Ok(Progress::Open) };
        let wire: Wire<'_> = serde_json::from_slice(&data).map_err(|_| ReadError::Unreadable)?;
        self.take(wire, out)?;
        Ok(Progress::Open)
    }

    /// Whether all that began has ended.
    pub fn may_end(&self) -> bool {
        self.blocked || !self.candidates.is_empty() && self.candidates.values().all(|standing| standing.ended)
    }

    fn take(&mut self, wire: Wire<'_>, out: &mut Vec<Delta>) -> Result<(), ReadError> {
        if wire.error.is_some() {
            return Err(ReadError::Provider);
        }
        let blocked = wire.prompt_feedback.is_some_and(|feedback| feedback.block_reason.is_some());
        if blocked && !self.blocked {
            self.blocked = true;
            out.push(Delta::Finish { index: 0, reason: FinishReason::ContentFilter });
        }
        for candidate in wire.candidates {
            let standing = self.candidates.entry(candidate.index).or_default();
            candidate.tell(standing, wire.response_id, out)?;
        }
        if self.may_end() && !self.counted {
            let usage = wire.usage_metadata.and_then(Metadata::counted);
            self.counted = usage.is_some();
            out.extend(usage.map(Delta::Usage));
        }
        Ok(())
    }
}

/// A whole answer as deltas; `None` where it is none.
pub fn read_reply(body: &[u8]) -> Option<Vec<Delta>> {
    let (mut reader, mut out) = (StreamReader::default(), Vec::new());
    reader.take(serde_json::from_slice(body).ok()?, &mut out).ok()?;
    reader.may_end().then_some(out)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire<'a> {
    #[serde(default, borrow)]
    candidates: Vec<Candidate<'a>>,
    #[serde(default)]
    prompt_feedback: Option<Feedback>,
    #[serde(default)]
    usage_metadata: Option<Metadata>,
    #[serde(default)]
    response_id: Option<&'a str>,
    #[serde(default)]
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Feedback {
    #[serde(default)]
    block_reason: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Metadata {
    prompt_token_count: Option<u64>,
    tool_use_prompt_token_count: Option<u64>,
    candidates_token_count: Option<u64>,
    thoughts_token_count: Option<u64>,
    cached_content_token_count: Option<u64>,
    prompt_tokens_details: Vec<Modal>,
    candidates_tokens_details: Vec<Modal>,
}

/// Tokens of one kind.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Modal {
    modality: String,
    token_count: u64,
}

fn sound(counts: &[Modal]) -> u64 {
    counts.iter().filter(|count| count.modality == "AUDIO").map(|count| count.token_count).sum()
}

impl Metadata {
    /// `None` where no count is there.
    fn counted(self) -> Option<Usage> {
        let input = self.prompt_token_count?;
        let thoughts = self.thoughts_token_count.unwrap_or(0);
        Some(Usage {
            input: input.saturating_add(self.tool_use_prompt_token_count.unwrap_or(0)),
            output: self.candidates_token_count.unwrap_or(0).saturating_add(thoughts),
            // What is none is left out.
            cached_input: self.cached_content_token_count.unwrap_or(0),
            cache_untold: false,
            cache_write: 0,
            reasoning: thoughts,
            audio_input: sound(&self.prompt_tokens_details),
            audio_output: sound(&self.candidates_tokens_details),
            predicted: None,
        })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Candidate<'a> {
    #[serde(default)]
    index: u32,
    #[serde(default, borrow)]
    content: Option<Content<'a>>,
    #[serde(default)]
    finish_reason: Option<String>,
    #[serde(default)]
    logprobs_result: Option<Logprobs>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(default, borrow)]
    parts: Vec<Part<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Part<'a> {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thought: bool,
    #[serde(default)]
    thought_signature: Option<String>,
    #[serde(default, borrow)]
    function_call: Option<Called<'a>>,
}

#[derive(Deserialize)]
struct Called<'a> {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default, borrow)]
    args: Option<&'a RawValue>,
}

impl Candidate<'_> {
    fn tell(self, standing: &mut Standing, response: Option<&str>, out: &mut Vec<Delta>) -> Result<(), ReadError> {
        let index = self.index;
        let mut logprobs = self.logprobs_result.map(Logprobs::tokens).unwrap_or_default();
        for part in self.content.into_iter().flat_map(|content| content.parts) {
            part.tell(index, standing, response, &mut logprobs, out);
        }
        let reason = self.finish_reason.as_deref().unwrap_or_default();
        if let Some(reason) = finish(reason, standing.calls > 0)?.filter(|_| !standing.ended) {
            standing.ended = true;
            out.push(Delta::Finish { index, reason });
        }
        Ok(())
    }
}

impl Part<'_> {
    fn tell(
        self,
        index: u32,
        standing: &mut Standing,
        response: Option<&str>,
        logprobs: &mut Vec<TokenLogprob>,
        out: &mut Vec<Delta>,
    ) {
        let sealed = |seal: String| Delta::Sealed { index, seal: Text::from(seal), id: None };
        if let Some(called) = self.function_call {
            let call = standing.calls;
            standing.calls += 1;
            out.extend(self.thought_signature.map(|signature| sealed(format!("{SIGNED_CALL}{call}:{signature}"))));
            called.tell(index, call, response, out);
            return;
        }
        let text = self.text.unwrap_or_default();
        if self.thought {
            out.extend((!text.is_empty()).then(|| Delta::Thought { index, text: text.into() }));
        } else if !text.is_empty() {
            out.push(Delta::Text { index, text: text.into(), logprobs: std::mem::take(logprobs) });
        }
        out.extend(self.thought_signature.map(|signature| sealed(format!("{SIGNED_TEXT}{signature}"))));
    }
}

impl Called<'_> {
    /// Gemini gives calls no ids unless it is asked to run several at once; clients tell them apart by nothing else.
    fn tell(self, index: u32, call: u32, response: Option<&str>, out: &mut Vec<Delta>) {
        let id = self.id.filter(|id| !id.is_empty()).unwrap_or_else(|| match response {
            Some(response) => format!("call_{response}_{index}_{call}"),
            None => format!("call_{index}_{call}"),
        });
        out.push(Delta::Call { index, call, id, name: self.name });
        let arguments = self.args.map_or_else(|| "{}".to_owned(), |args| compact(args.get()));
        out.push(Delta::Arguments { index, call, text: arguments.into() });
    }
}

/// The JSON without the white space that Gemini lays whole answers out with; numbers stay as they were written.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let stays = |c: &char| {
        let stays = in_string || !c.is_ascii_whitespace();
        in_string ^= *c == '"' && !escaped;
        escaped = in_string && *c == '\\' && !escaped;
        stays
    };
    json.chars().filter(stays).collect()
}

/// Why a candidate ended; `None` where it has not.
fn finish(reason: &str, calls: bool) -> Result<Option<FinishReason>, ReadError> {
    Ok(Some(match reason {
        "" | "FINISH_REASON_UNSPECIFIED" => return Ok(None),
        "MAX_TOKENS" => FinishReason::Length,
        "SAFETY"
        | "RECITATION"
        | "LANGUAGE"
        | "BLOCKLIST"
        | "PROHIBITED_CONTENT"
        | "SPII"
        | "IMAGE_SAFETY"
        | "IMAGE_PROHIBITED_CONTENT"
        | "IMAGE_RECITATION" => FinishReason::ContentFilter,
        "MALFORMED_FUNCTION_CALL"
        | "UNEXPECTED_TOOL_CALL"
        | "TOO_MANY_TOOL_CALLS"
        | "MALFORMED_RESPONSE"
        | "MISSING_THOUGHT_SIGNATURE" => return Err(ReadError::Provider),
        _ if calls => FinishReason::ToolCalls,
        _ => FinishReason::Stop,
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Logprobs {
    #[serde(default)]
    chosen_candidates: Vec<Likely>,
    #[serde(default)]
    top_candidates: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    #[serde(default)]
    candidates: Vec<Likely>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Likely {
    #[serde(default)]
    token: String,
    #[serde(default)]
    log_probability: f32,
}

impl Logprobs {
    fn tokens(self) -> Vec<TokenLogprob> {
        let mut top = self.top_candidates.into_iter().map(|top| top.candidates);
        let with_top = |chosen: Likely| {
            let top = top.next().into_iter().flatten().map(LikelyToken::from).collect();
            TokenLogprob { token: chosen.into(), top }
        };
        self.chosen_candidates.into_iter().map(with_top).collect()
    }
}

impl From<Likely> for LikelyToken {
    fn from(likely: Likely) -> Self {
        Self { bytes: likely.token.into_bytes(), logprob: likely.log_probability }
    }
}

#[cfg(test)]
mod tests;
