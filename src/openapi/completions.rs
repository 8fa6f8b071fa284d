//! `POST /v1/completions`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::chat::{ChatUsage, StreamOptions};
use super::shared::Sampling;

/// A text to be gone on with. Members that are not listed are classified, too, and given only to destinations of the same
/// dialect.
#[derive(JsonSchema)]
pub struct CompletionRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The text: one, and no tokens.
    pub prompt: Prompt,
    /// Most tokens of the answer; 16 unless more are asked for.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream: true`.
    pub stream_options: Option<StreamOptions>,
    /// How to sample.
    #[schemars(flatten)]
    pub sampling: Sampling,
    /// Of how many drafts the likeliest are given; at least `n`.
    #[schemars(range(min = 1, max = 20))]
    pub best_of: Option<u32>,
    /// How likely each token was, and how many alternatives to tell.
    #[schemars(range(min = 0, max = 5))]
    pub logprobs: Option<u32>,
    /// Whether the answer begins with the prompt.
    pub echo: Option<bool>,
    /// What comes after the answer.
    pub suffix: Option<String>,
    /// Whom the application asks for.
    pub user: Option<String>,
}

/// A text, also as the only one of a list.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Prompt {
    /// By itself.
    Text(#[schemars(length(min = 1))] String),
    /// In a list.
    Only(#[schemars(length(min = 1, max = 1), inner(length(min = 1)))] Vec<String>),
}

/// An answer; in a stream, a chunk of one: the `data` of an event, of which the last is `[DONE]`.
#[derive(JsonSchema)]
pub struct Completion {
    /// Its id.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "text_completion"))]
    pub object: String,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Who answered.
    pub model: String,
    /// The answers, one per `n`; empty in the chunk that tells token counts.
    pub choices: Vec<Completed>,
    /// Token counts, where they are known and, in a stream, asked for.
    pub usage: Option<ChatUsage>,
}

/// One of the answers.
#[derive(JsonSchema)]
pub struct Completed {
    /// The words.
    pub text: String,
    /// Which.
    pub index: u32,
    /// How likely each token was, where asked for.
    pub logprobs: Option<Likelihoods>,
    /// Why it stopped.
    pub finish_reason: Option<String>,
}

/// How likely each token was.
#[derive(JsonSchema)]
pub struct Likelihoods {
    /// The tokens.
    pub tokens: Vec<String>,
    /// Natural logarithms.
    pub token_logprobs: Vec<Option<f32>>,
    /// The likeliest in each place.
    pub top_logprobs: Option<Vec<Option<BTreeMap<String, f32>>>>,
    /// Where each begins, in characters of the text.
    pub text_offset: Vec<u32>,
}
