//! What several dialects have in common, and failures.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value;

/// An object of any members.
pub type Object = BTreeMap<String, Value>;

/// A function that the model may call.
#[derive(JsonSchema)]
pub struct Function {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it does.
    pub description: Option<String>,
    /// Its arguments, as JSON Schema.
    pub parameters: Option<Value>,
    /// Whether arguments must have exactly this form.
    pub strict: Option<bool>,
}

/// JSON of a certain form.
#[derive(JsonSchema)]
pub struct JsonForm {
    /// Its name.
    #[schemars(length(min = 1))]
    pub name: String,
    /// What it is for.
    pub description: Option<String>,
    /// The form, as JSON Schema.
    pub schema: Option<Object>,
    /// Whether the answer must have exactly this form.
    pub strict: Option<bool>,
}

/// How to sample.
#[derive(JsonSchema)]
pub struct Sampling {
    /// How freely to sample.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Which share of probability to sample from.
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// How many answers.
    #[schemars(range(min = 1, max = 128))]
    pub n: Option<u32>,
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
}

/// A bias.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct Bias(#[schemars(range(min = -100, max = 100))] pub f64);

/// Where to stop: a text, or up to four.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum StopWords {
    /// One.
    One(#[schemars(length(min = 1))] String),
    /// Several.
    Several(#[schemars(length(max = 4), inner(length(min = 1)))] Vec<String>),
}

/// Whether the model must call a tool.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum WordChoice {
    /// It may not.
    None,
    /// As it likes.
    Auto,
    /// It must.
    Required,
}

/// How much to think: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`, or a provider's own word.
#[derive(JsonSchema)]
#[schemars(transparent)]
pub struct Effort(pub String);

/// A failure, to those who speak OpenAI's dialects.
#[derive(JsonSchema)]
pub struct Error {
    /// What failed.
    pub error: Failure,
}

/// What failed.
#[derive(JsonSchema)]
pub struct Failure {
    /// For a person: what is wrong, and the way out.
    pub message: String,
    /// As OpenAI's: `invalid_request_error`, `rate_limit_error`, ….
    pub r#type: String,
    /// The field that is wrong, such as `messages[2].content`.
    pub param: Option<String>,
    /// For a program, such as `policy_unsatisfiable` or `budget_exhausted`.
    pub code: Option<String>,
}

/// A failure, to those who speak Anthropic's dialect.
#[derive(JsonSchema)]
pub struct MessagesError {
    /// The type of the object.
    #[schemars(extend("const" = "error"))]
    pub r#type: String,
    /// What failed.
    pub error: MessagesFailure,
    /// Of which request.
    pub request_id: Option<String>,
}

/// What failed.
#[derive(JsonSchema)]
pub struct MessagesFailure {
    /// As Anthropic's: `invalid_request_error`, `rate_limit_error`, ….
    pub r#type: String,
    /// For a person: what is wrong, and the way out.
    pub message: String,
    /// For a program: `error_code`.
    pub details: Option<Object>,
}

/// Models that can be named, to those who speak OpenAI's dialects; with `anthropic-version` in the request's headers, to
/// those who speak Anthropic's.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Models {
    /// OpenAI's list.
    OpenAi {
        /// The type of the object.
        #[schemars(extend("const" = "list"))]
        object: String,
        /// `auto` and the destinations that can be called now.
        data: Vec<Model>,
    },
    /// Anthropic's list.
    Anthropic {
        /// `auto` and the destinations that can be called now.
        data: Vec<MessagesModel>,
        /// Never: all are in one list.
        has_more: bool,
        /// The first.
        first_id: Option<String>,
        /// The last.
        last_id: Option<String>,
    },
}

/// A model.
#[derive(JsonSchema)]
pub struct Model {
    /// What to send as `model`.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "model"))]
    pub object: String,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Whose it is.
    pub owned_by: String,
}

/// A model that can be named, to those who speak OpenAI's dialects or Anthropic's, as in the list.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum OneModel {
    /// OpenAI's.
    OpenAi(Model),
    /// Anthropic's.
    Anthropic(MessagesModel),
}

/// A model, in Anthropic's dialect.
#[derive(JsonSchema)]
pub struct MessagesModel {
    /// The type of the object.
    #[schemars(extend("const" = "model"))]
    pub r#type: String,
    /// What to send as `model`.
    pub id: String,
    /// Its name for people.
    pub display_name: String,
    /// RFC 3339.
    pub created_at: String,
}
