//! `POST /v1/embeddings`.

use schemars::JsonSchema;

/// Texts of which vectors are wanted. Members that are not listed are classified, too, and given only to destinations of
/// the same dialect.
#[derive(JsonSchema)]
pub struct EmbeddingRequest {
    /// A destination's name, a name that the configuration maps, or what a provider calls its model: that one answers, or
    /// nobody. `auto` takes the first that the policy lets in.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The texts, and no tokens.
    pub input: Texts,
    /// How many numbers a vector has.
    #[schemars(range(min = 1))]
    pub dimensions: Option<u32>,
    /// How vectors are written.
    pub encoding_format: Option<VectorFormat>,
    /// Whom the application asks for.
    pub user: Option<String>,
}

/// One text or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Texts {
    /// One.
    One(#[schemars(length(min = 1))] String),
    /// Several.
    Several(#[schemars(length(min = 1, max = 2048), inner(length(min = 1)))] Vec<String>),
}

/// How vectors are written.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum VectorFormat {
    /// As numbers.
    Float,
    /// As four bytes each, lowest first, in base64.
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
    /// Who made them.
    pub model: String,
    /// Token counts.
    pub usage: Option<EmbeddingUsage>,
}

/// A vector.
#[derive(JsonSchema)]
pub struct Embedding {
    /// The type of the object.
    #[schemars(extend("const" = "embedding"))]
    pub object: String,
    /// Of which text.
    pub index: u32,
    /// The numbers.
    pub embedding: Vector,
}

/// The numbers of a vector.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Vector {
    /// As such.
    Numbers(Vec<f32>),
    /// In base64.
    Base64(String),
}

/// Token counts.
#[derive(JsonSchema)]
pub struct EmbeddingUsage {
    /// Of all texts.
    pub prompt_tokens: u64,
    /// The same.
    pub total_tokens: u64,
}
