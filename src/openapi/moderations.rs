//! `POST /v1/moderations`.

use schemars::JsonSchema;

use super::shared::Object;

/// What is to be judged. Members that are not listed are classified, too, and given only to destinations of the same
/// dialect.
#[derive(JsonSchema)]
pub struct ModerationRequest {
    /// `auto`, a destination's name, or a name that the configuration maps; `auto` where it is not there.
    #[schemars(length(min = 1, max = 256))]
    pub model: Option<String>,
    /// Texts and images.
    pub input: Judged,
}

/// One text, or a list of texts and images.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Judged {
    /// One text.
    One(String),
    /// Several things.
    Several(#[schemars(length(min = 1))] Vec<JudgedItem>),
}

/// A text or an image.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum JudgedItem {
    /// A text.
    Text(String),
    /// A part.
    Part(JudgedPart),
}

/// A text or an image, by its type.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum JudgedPart {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Which.
        image_url: JudgedImage,
    },
}

/// An image.
#[derive(JsonSchema)]
pub struct JudgedImage {
    /// A link, or a `data:` URL.
    #[schemars(length(min = 1))]
    pub url: String,
}

/// Verdicts.
#[derive(JsonSchema)]
pub struct Moderation {
    /// Its id.
    pub id: String,
    /// Who judged.
    pub model: String,
    /// One for each text, or one for all parts.
    pub results: Vec<Verdict>,
}

/// A verdict.
#[derive(JsonSchema)]
pub struct Verdict {
    /// Whether anything is wrong.
    pub flagged: bool,
    /// What, by category.
    pub categories: Object,
    /// How surely.
    pub category_scores: Object,
}
