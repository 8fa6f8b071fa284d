//! `POST /v1/responses`, and what is kept of them.

use schemars::JsonSchema;
use serde_json::Value;

use super::shared::{Effort, Object, WordChoice};

/// A conversation to be gone on with. Members that are not listed are classified, too, and given only to destinations of
/// the same dialect. `background` and `conversation` are refused.
#[derive(JsonSchema)]
pub struct ResponseRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// What is said, or done.
    pub input: Input,
    /// What the operator of the application says.
    pub instructions: Option<String>,
    /// Which answer this continues: ajar keeps them, whoever answered.
    #[schemars(length(min = 1))]
    pub previous_response_id: Option<String>,
    /// Whether the answer can be continued.
    pub store: Option<bool>,
    /// Most tokens of the answer, thoughts included.
    #[schemars(range(min = 1))]
    pub max_output_tokens: Option<u32>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<bool>,
    /// How to stream.
    pub stream_options: Option<ResponseStreamOptions>,
    /// How freely to sample.
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Which share of probability to sample from.
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// How many alternatives to tell for each token.
    #[schemars(range(min = 0, max = 20))]
    pub top_logprobs: Option<u32>,
    /// What the model may call.
    pub tools: Option<Vec<ResponseTool>>,
    /// Whether it must.
    pub tool_choice: Option<ResponseToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// Most calls of the provider's own tools.
    #[schemars(range(min = 1))]
    pub max_tool_calls: Option<u32>,
    /// The form of what is said.
    pub text: Option<TextOptions>,
    /// How to think.
    pub reasoning: Option<ReasoningOptions>,
    /// What to tell beside.
    pub include: Option<Vec<String>>,
    /// Only `false`: answers are not made in the background here.
    #[schemars(extend("enum" = [false, null]))]
    pub background: Option<bool>,
    /// What to do with a conversation that is too long.
    pub truncation: Option<Truncation>,
    /// About the request.
    pub metadata: Option<Object>,
    /// Whom the application asks for.
    pub user: Option<String>,
    /// Whom the application asks for.
    pub safety_identifier: Option<String>,
    /// A hint for the provider's cache.
    pub prompt_cache_key: Option<String>,
    /// A hint for the provider's cache.
    pub prompt_cache_retention: Option<String>,
    /// How fast, at which price.
    pub service_tier: Option<String>,
}

/// What is said, or done.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Input {
    /// By a person.
    Whole(String),
    /// By several, in turn.
    Items(#[schemars(length(min = 1))] Vec<InputItem>),
}

/// One thing that was said or done. Those of the provider's own tools pass to providers of this dialect.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum InputItem {
    /// What a person says, or the operator of the application.
    Message {
        /// Need not be said.
        #[schemars(extend("enum" = ["message", null]))]
        r#type: Option<String>,
        /// Who speaks.
        role: InputRole,
        /// What they say.
        content: InputContent,
    },
    /// What the model said.
    Answer {
        /// Need not be said.
        #[schemars(extend("enum" = ["message", null]))]
        r#type: Option<String>,
        /// The model.
        #[schemars(extend("const" = "assistant"))]
        role: String,
        /// What it said.
        content: OutputContent,
    },
    /// A call that the model made.
    FunctionCall {
        /// Which kind of item.
        #[schemars(extend("const" = "function_call"))]
        r#type: String,
        /// By which its result is known.
        #[schemars(length(min = 1))]
        call_id: String,
        /// The function.
        #[schemars(length(min = 1))]
        name: String,
        /// JSON, as text.
        arguments: String,
        /// The item's id.
        id: Option<String>,
    },
    /// What a function returned.
    FunctionCallOutput {
        /// Which kind of item.
        #[schemars(extend("const" = "function_call_output"))]
        r#type: String,
        /// Of which call.
        #[schemars(length(min = 1))]
        call_id: String,
        /// What it returned.
        output: InputContent,
    },
    /// What the model thought.
    Reasoning {
        /// Which kind of item.
        #[schemars(extend("const" = "reasoning"))]
        r#type: String,
        /// The item's id.
        id: Option<String>,
        /// The thought, in short.
        summary: Option<Vec<ThoughtText>>,
        /// The thought, sealed.
        encrypted_content: Option<String>,
    },
}

/// Who speaks.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum InputRole {
    /// The person, or the application on their behalf.
    User,
    /// The operator of the application.
    System,
    /// The same, in the words of newer models.
    Developer,
}

/// What is said to the model.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum InputContent {
    /// Words.
    Whole(String),
    /// In parts.
    Parts(Vec<InputPart>),
}

/// A part of what is said to the model.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum InputPart {
    /// Words.
    InputText(InputWords),
    /// Words.
    Text(InputWords),
    /// An image: a link, a `data:` URL, or a file that its provider knows.
    InputImage(InputImage),
    /// A file: in base64 as a `data:` URL, at a link, or by which its provider knows it.
    InputFile(Object),
    /// Speech.
    InputAudio {
        /// In base64.
        #[schemars(extend("not" = {"type": "null"}))]
        input_audio: Value,
    },
}

/// An image.
#[derive(JsonSchema)]
#[schemars(extend("anyOf" = [
    {"required": ["image_url"], "properties": {"image_url": {"type": "string", "minLength": 1}}},
    {"required": ["file_id"], "properties": {
        "image_url": {"type": "null"}, "file_id": {"type": "string", "minLength": 1}
    }}
]))]
pub struct InputImage {
    /// A link, or a `data:` URL.
    pub image_url: Option<String>,
    /// By which its provider knows it.
    pub file_id: Option<Value>,
    /// How closely to look.
    pub detail: Option<String>,
}

/// What the model said.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum OutputContent {
    /// Words.
    Whole(String),
    /// In parts.
    Parts(Vec<OutputPart>),
}

/// A part of what the model said.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum OutputPart {
    /// Words.
    OutputText(InputWords),
    /// Words.
    Text(InputWords),
    /// Words.
    InputText(InputWords),
    /// Why it would not answer.
    Refusal {
        /// Its words.
        refusal: String,
    },
}

/// Words.
#[derive(JsonSchema)]
pub struct InputWords {
    /// The words.
    pub text: String,
}

/// A piece of a thought.
#[derive(JsonSchema)]
pub struct ThoughtText {
    /// Such as `summary_text`.
    pub r#type: Option<Value>,
    /// The words.
    pub text: String,
}

/// How to stream.
#[derive(JsonSchema)]
pub struct ResponseStreamOptions {
    /// Whether the provider pads its events.
    pub include_obfuscation: Option<bool>,
}

/// What the model may call: a function, or a tool that only some providers know.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ResponseTool {
    /// A function.
    Function {
        /// Which kind of tool.
        #[schemars(extend("const" = "function"))]
        r#type: String,
        /// Its name.
        #[schemars(length(min = 1))]
        name: String,
        /// What it does.
        description: Option<String>,
        /// Its arguments, as JSON Schema.
        parameters: Option<Value>,
        /// Whether arguments must have exactly this form.
        strict: Option<bool>,
    },
    /// A tool of the provider's own.
    Other {
        /// Which.
        #[schemars(length(min = 1), extend("not" = {"const": "function"}))]
        r#type: String,
    },
}

/// Whether the model must call something.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ResponseToolChoice {
    /// Anything or nothing.
    Word(WordChoice),
    /// This function.
    Named {
        /// Which kind of tool.
        #[schemars(extend("const" = "function"))]
        r#type: String,
        /// Its name.
        #[schemars(length(min = 1))]
        name: String,
    },
    /// A tool of the provider's own.
    #[schemars(extend("properties" = {"type": {"not": {"const": "function"}}}))]
    Other(Object),
}

/// The form of what is said.
#[derive(JsonSchema)]
pub struct TextOptions {
    /// What form.
    pub format: Option<TextFormat>,
    /// How much to say.
    pub verbosity: Option<String>,
}

/// What form the answer must have.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum TextFormat {
    /// None.
    Text {},
    /// Any JSON object.
    JsonObject {},
    /// JSON by a schema.
    JsonSchema {
        /// Its name.
        #[schemars(length(min = 1))]
        name: String,
        /// What it is for.
        description: Option<String>,
        /// The form, as JSON Schema.
        schema: Object,
        /// Whether the answer must have exactly this form.
        strict: Option<bool>,
    },
}

/// How to think.
#[derive(JsonSchema)]
pub struct ReasoningOptions {
    /// How much.
    pub effort: Option<Effort>,
    /// Whether to tell it, in short.
    pub summary: Option<String>,
}

/// What to do with a conversation that is too long.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Truncation {
    /// Leave out what is oldest.
    Auto,
    /// Refuse it.
    Disabled,
}

/// An answer.
#[derive(JsonSchema)]
pub struct Response {
    /// Its id.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "response"))]
    pub object: String,
    /// Seconds since 1970, UTC.
    pub created_at: f64,
    /// How far it has come: `completed`, or `incomplete` where `incomplete_details` says why.
    pub status: String,
    /// Who answered.
    pub model: String,
    /// What was thought, said and called.
    pub output: Vec<OutputItem>,
    /// Token counts.
    pub usage: Option<ResponseUsage>,
    /// Why it is not whole.
    pub incomplete_details: Option<Object>,
}

/// One thing that was thought, said or called: `reasoning`, `message`, `function_call`, or one of the provider's own.
#[derive(JsonSchema)]
pub struct OutputItem {
    /// Which kind of item.
    pub r#type: String,
    /// The rest.
    #[schemars(flatten)]
    pub rest: Object,
}

/// Token counts.
#[derive(JsonSchema)]
pub struct ResponseUsage {
    /// Of the prompt.
    pub input_tokens: u64,
    /// Of the answer, thoughts included.
    pub output_tokens: u64,
    /// Of both.
    pub total_tokens: u64,
    /// Of the prompt's: from a cache.
    pub input_tokens_details: Option<Object>,
    /// Of the answer's: thoughts.
    pub output_tokens_details: Option<Object>,
}

/// What an answer was given, a page of it.
#[derive(JsonSchema)]
pub struct InputItems {
    /// The type of the object.
    #[schemars(extend("const" = "list"))]
    pub object: String,
    /// The items.
    pub data: Vec<OutputItem>,
    /// The id of the first.
    pub first_id: Option<String>,
    /// The id of the last.
    pub last_id: Option<String>,
    /// Whether there are more after it.
    pub has_more: bool,
}

/// An answer that is no longer kept.
#[derive(JsonSchema)]
pub struct Deleted {
    /// Which.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "response"))]
    pub object: String,
    /// It is.
    #[schemars(extend("const" = true))]
    pub deleted: bool,
}

/// An event of a streamed answer, such as `response.output_text.delta`. The last of a whole answer is
/// `response.completed` or `response.incomplete`; one that breaks ends with `error`.
#[derive(JsonSchema)]
pub struct ResponseEvent {
    /// Which.
    pub r#type: String,
    /// Counts the events.
    pub sequence_number: u64,
    /// The rest.
    #[schemars(flatten)]
    pub rest: Object,
}
