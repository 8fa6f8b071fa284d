//! The documents of OpenAI's chat-completions API, key by key in the order api.openai.com writes them.

use serde::Serialize;

/// A whole answer.
#[derive(Serialize)]
pub struct Document<'a> {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: &'a str,
    pub choices: Vec<DocumentChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    pub service_tier: &'static str,
    pub system_fingerprint: &'static str,
}

/// One of its alternatives.
#[derive(Serialize)]
pub struct DocumentChoice<'a> {
    pub index: usize,
    pub message: Message<'a>,
    pub logprobs: Option<()>,
    pub finish_reason: &'static str,
}

/// What was said.
#[derive(Serialize)]
pub struct Message<'a> {
    pub role: &'static str,
    pub content: Option<String>,
    /// As servers of open models show thoughts; OpenAI shows none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<Vec<ToolCall<'a>>>,
    pub refusal: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<[(); 0]>,
}

/// One event of a streamed answer.
#[derive(Serialize)]
pub struct Chunk<'a> {
    pub id: String,
    pub object: &'static str,
    pub created: u64,
    pub model: &'a str,
    pub service_tier: &'static str,
    pub system_fingerprint: &'static str,
    pub choices: Vec<ChunkChoice<'a>>,
    /// Absent unless asked for; asked for, null on every chunk but the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Option<Usage>>,
}

/// A change of one alternative.
#[derive(Serialize)]
pub struct ChunkChoice<'a> {
    pub index: usize,
    pub delta: Delta<'a>,
    pub logprobs: Option<()>,
    pub finish_reason: Option<&'static str>,
}

/// The change: a field that is absent is not on the wire, one that is `Some(None)` is null.
#[derive(Clone, Default, Serialize)]
pub struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_calls: Option<[ToolCall<'a>; 1]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Option<()>>,
}

/// A tool call, or in a stream a piece of one.
#[derive(Clone, Serialize)]
pub struct ToolCall<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    pub function: Function<'a>,
}

impl<'a> ToolCall<'a> {
    pub fn whole(id: &str, name: &'a str, arguments: &'a str) -> Self {
        let id = Some(format!("call_{}", &id[..24]));
        Self { index: None, id, kind: Some("function"), function: Function { name: Some(name), arguments } }
    }
}

/// The function called.
#[derive(Clone, Serialize)]
pub struct Function<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    pub arguments: &'a str,
}

/// Tokens, as they are billed.
#[derive(Serialize)]
pub struct Usage {
    pub prompt_tokens: usize,
    pub completion_tokens: usize,
    pub total_tokens: usize,
    pub prompt_tokens_details: PromptDetails,
    pub completion_tokens_details: CompletionDetails,
}

impl Usage {
    /// `reasoning_tokens` are among `completion_tokens`.
    pub fn new(prompt_tokens: usize, completion_tokens: usize, reasoning_tokens: usize) -> Self {
        Self {
            prompt_tokens,
            completion_tokens,
            total_tokens: prompt_tokens + completion_tokens,
            prompt_tokens_details: PromptDetails::default(),
            completion_tokens_details: CompletionDetails { reasoning_tokens, ..CompletionDetails::default() },
        }
    }
}

/// Kinds of prompt tokens.
#[derive(Default, Serialize)]
pub struct PromptDetails {
    pub cached_tokens: usize,
    pub audio_tokens: usize,
}

/// Kinds of completion tokens.
#[derive(Default, Serialize)]
pub struct CompletionDetails {
    pub reasoning_tokens: usize,
    pub audio_tokens: usize,
    pub accepted_prediction_tokens: usize,
    pub rejected_prediction_tokens: usize,
}

/// The list of models.
#[derive(Serialize)]
pub struct Models<'a> {
    pub object: &'static str,
    pub data: Vec<Model<'a>>,
}

/// One of them.
#[derive(Serialize)]
pub struct Model<'a> {
    pub id: &'a str,
    pub object: &'static str,
    pub created: u64,
    pub owned_by: &'static str,
}

/// An error, as document or event.
#[derive(Serialize)]
pub struct ErrorEnvelope<'a> {
    pub error: ErrorBody<'a>,
}

/// What it says.
#[derive(Serialize)]
pub struct ErrorBody<'a> {
    pub message: &'a str,
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub param: Option<&'static str>,
    pub code: Option<&'static str>,
}
