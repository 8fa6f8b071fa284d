//! `POST /v1/completions`, `/v1/embeddings` and `/v1/moderations`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::chat::{Bias, ChatUsage, ImageUrl, StreamOptions};
use super::shared::{Object, StopWords};

/// A text to be gone on with. Members that are not listed are classified, too, and given only to destinations of the same
/// dialect.
#[derive(JsonSchema)]
pub struct CompletionRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The text. Tokens are refused, since nobody here can look at what they say, and so are several texts.
    pub prompt: Prompt,
    /// What comes after the answer.
    pub suffix: Option<String>,
    /// Most tokens of the answer; 16 where nothing is said.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream: true`.
    pub stream_options: Option<StreamOptions>,
    /// How freely to sample.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Which share of probability to sample from.
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// How many answers.
    #[schemars(range(min = 1, max = 128))]
    pub n: Option<u32>,
    /// Of how many drafts those are the best; at least `n`.
    #[schemars(range(min = 1, max = 20))]
    pub best_of: Option<u32>,
    /// For the same answer again.
    pub seed: Option<i64>,
    /// Where to stop.
    pub stop: Option<StopWords>,
    /// Against what was said at all.
    #[schemars(range(min = -2, max = 2))]
    pub presence_penalty: Option<f64>,
    /// Against what was said often.
    #[schemars(range(min = -2, max = 2))]
    pub frequency_penalty: Option<f64>,
    /// Biases between −100 and 100 by token id.
    #[schemars(extend("propertyNames" = {"pattern": "^[0-9]{1,9}$"}))]
    pub logit_bias: Option<BTreeMap<String, Bias>>,
    /// How many alternatives to tell for each token.
    #[schemars(range(min = 0, max = 5))]
    pub logprobs: Option<u32>,
    /// Whether the answer begins with the prompt.
    pub echo: Option<bool>,
    /// Whom the application asks for.
    pub user: Option<String>,
}

/// A text, also as the only one of a list.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Prompt {
    /// The text.
    Whole(#[schemars(length(min = 1))] String),
    /// A list of it.
    Listed(#[schemars(length(min = 1, max = 1), inner(length(min = 1)))] Vec<String>),
}

/// An answer, or a chunk of a streamed one: the `data` of an event. The last is `[DONE]`.
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
    /// The answers, one per `n`; what is new of them, in a chunk.
    pub choices: Vec<CompletionChoice>,
    /// Token counts, where they are known.
    pub usage: Option<ChatUsage>,
}

/// One of the answers.
#[derive(JsonSchema)]
pub struct CompletionChoice {
    /// Which.
    pub index: u32,
    /// What was said.
    pub text: String,
    /// How likely each token was, where asked for.
    pub logprobs: Option<Object>,
    /// Why it stopped.
    pub finish_reason: Option<String>,
}

/// Texts to be turned into vectors. Who names a model is answered by it or by nobody: vectors of different models have
/// nothing in common.
#[derive(JsonSchema)]
pub struct EmbeddingRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The texts. Tokens are refused, since nobody here can look at what they say.
    pub input: Texts,
    /// How many numbers a vector has.
    #[schemars(range(min = 1))]
    pub dimensions: Option<u32>,
    /// How numbers are written.
    pub encoding_format: Option<EncodingFormat>,
    /// Whom the application asks for.
    pub user: Option<String>,
}

/// A text, or up to 2048.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Texts {
    /// One.
    One(#[schemars(length(min = 1))] String),
    /// Several.
    Several(#[schemars(length(min = 1, max = 2048), inner(length(min = 1)))] Vec<String>),
}

/// How numbers are written.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum EncodingFormat {
    /// As numbers.
    Float,
    /// In base64: four bytes a number, lowest first.
    Base64,
}

/// Vectors.
#[derive(JsonSchema)]
pub struct Embeddings {
    /// The type of the object.
    #[schemars(extend("const" = "list"))]
    pub object: String,
    /// One for each text.
    pub data: Vec<Embedding>,
    /// Whose they are.
    pub model: String,
    /// Token counts.
    pub usage: Option<ChatUsage>,
}

/// A vector.
#[derive(JsonSchema)]
pub struct Embedding {
    /// The type of the object.
    #[schemars(extend("const" = "embedding"))]
    pub object: String,
    /// Of which text.
    pub index: u32,
    /// Its numbers.
    pub embedding: Vector,
}

/// Numbers.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Vector {
    /// As numbers.
    Numbers(Vec<f32>),
    /// In base64.
    Packed(String),
}

/// What is to be judged.
#[derive(JsonSchema)]
pub struct ModerationRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// A text, several, or one of texts and images.
    pub input: Judged,
}

/// What is judged.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Judged {
    /// A text.
    Text(String),
    /// Several, or parts of one.
    Parts(#[schemars(length(min = 1))] Vec<JudgedPart>),
}

/// A part of what is judged.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum JudgedPart {
    /// Words.
    Plain(String),
    /// Words.
    Text {
        /// Which kind of part.
        #[schemars(extend("const" = "text"))]
        r#type: String,
        /// The words.
        text: String,
    },
    /// An image.
    Image {
        /// Which kind of part.
        #[schemars(extend("const" = "image_url"))]
        r#type: String,
        /// Which.
        image_url: ImageUrl,
    },
}

/// Judgements, one for each text: the provider's own.
#[derive(JsonSchema)]
pub struct Moderations {
    /// Its id.
    pub id: String,
    /// Who judged.
    pub model: String,
    /// The judgements.
    pub results: Vec<Object>,
}
