//! `POST /v1/chat/completions`.

use schemars::JsonSchema;

use super::shared::{Effort, Function, JsonForm, Object, Sampling, WordChoice};

/// A conversation to be gone on with. Members that are not listed are classified, too, and given only to destinations of
/// the same dialect.
#[derive(JsonSchema)]
pub struct ChatCompletionRequest {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The conversation, oldest first.
    #[schemars(length(min = 1))]
    pub messages: Vec<ChatMessage>,
    /// Most tokens of the answer; not together with `max_completion_tokens`.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// Most tokens of the answer, thoughts included.
    #[schemars(range(min = 1))]
    pub max_completion_tokens: Option<u32>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<bool>,
    /// Only with `stream: true`.
    pub stream_options: Option<StreamOptions>,
    /// How to sample.
    #[schemars(flatten)]
    pub sampling: Sampling,
    /// Whether to tell how likely each token was.
    pub logprobs: Option<bool>,
    /// How many alternatives to tell; only with `logprobs: true`.
    #[schemars(range(min = 0, max = 20))]
    pub top_logprobs: Option<u32>,
    /// What the model may call.
    pub tools: Option<Vec<ChatTool>>,
    /// Whether it must; only with `tools`.
    pub tool_choice: Option<ChatToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// Deprecated form of `tools`.
    pub functions: Option<Vec<Object>>,
    /// Deprecated form of `tool_choice`.
    pub function_call: Option<serde_json::Value>,
    /// What form the answer must have.
    pub response_format: Option<ResponseFormat>,
    /// The same as a grammar in GBNF, as llama.cpp's server takes it; not together with `response_format`.
    pub grammar: Option<String>,
    /// The same as a JSON schema, as llama.cpp's server takes it; not together with `response_format`.
    pub json_schema: Option<Object>,
    /// The same as vLLM takes it; not together with `response_format`.
    pub structured_outputs: Option<StructuredOutputs>,
    /// The same as older versions of vLLM take it: a JSON schema, or the text of one.
    pub guided_json: Option<SchemaOrText>,
    /// A regular expression that the whole answer matches.
    pub guided_regex: Option<String>,
    /// Texts of which the answer is one.
    pub guided_choice: Option<Vec<String>>,
    /// A grammar in GBNF.
    pub guided_grammar: Option<String>,
    /// How much to think.
    pub reasoning_effort: Option<Effort>,
    /// How much to say.
    pub verbosity: Option<String>,
    /// Whom the application asks for.
    pub user: Option<String>,
    /// Whom the application asks for.
    pub safety_identifier: Option<String>,
    /// A hint for the provider's cache.
    pub prompt_cache_key: Option<String>,
    /// A hint for the provider's cache.
    pub prompt_cache_retention: Option<String>,
    /// Kept by the provider beside the answer.
    pub metadata: Option<Object>,
    /// Whether the provider keeps the answer.
    pub store: Option<bool>,
    /// How fast, at which price.
    pub service_tier: Option<String>,
    /// In which forms to answer.
    pub modalities: Option<Vec<Modality>>,
    /// How to speak.
    pub audio: Option<Object>,
    /// For the provider's own search.
    pub web_search_options: Option<Object>,
    /// What most of the answer will be: `{"type": "content", "content": …}`, a text or parts of text. It only makes the
    /// answer come sooner.
    pub prediction: Option<Object>,
}

/// What a stream tells beside the answer.
#[derive(JsonSchema)]
pub struct StreamOptions {
    /// Whether a last chunk tells token counts.
    pub include_usage: Option<bool>,
    /// Whether the provider pads its chunks.
    pub include_obfuscation: Option<bool>,
}

/// A form of answers.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Modality {
    /// Words.
    Text,
    /// Speech.
    Audio,
}

/// One message, by who speaks.
#[derive(JsonSchema)]
#[schemars(tag = "role", rename_all = "snake_case")]
pub enum ChatMessage {
    /// The operator of the application.
    System(Instructions),
    /// The same, in the words of newer models.
    Developer(Instructions),
    /// The person, or the application on their behalf.
    User {
        /// What they say.
        content: UserContent,
        /// Who they are, among several.
        #[schemars(length(min = 1))]
        name: Option<String>,
    },
    /// The model.
    Assistant(ChatAnswer),
    /// A tool's result.
    Tool {
        /// What it returned.
        content: TextContent,
        /// Which call it answers.
        #[schemars(length(min = 1))]
        tool_call_id: String,
    },
    /// A function's result; deprecated form of `tool`.
    Function {
        /// What it returned.
        content: TextContent,
        /// Which function.
        #[schemars(length(min = 1))]
        name: String,
    },
}

/// What the operator says.
#[derive(JsonSchema)]
pub struct Instructions {
    /// The words.
    pub content: TextContent,
    /// Who speaks, among several.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
}

/// What the model said before: words, a refusal or calls.
#[derive(JsonSchema)]
#[schemars(extend("anyOf" = [
    {"required": ["content"], "properties": {"content": {"not": {"type": "null"}}}},
    {"required": ["refusal"], "properties": {"refusal": {"type": "string"}}},
    {"required": ["tool_calls"], "properties": {"tool_calls": {"type": "array", "minItems": 1}}},
    {"required": ["function_call"], "properties": {"function_call": {"type": "object"}}},
    {"required": ["audio"], "properties": {"audio": {"type": "object"}}}
]))]
pub struct ChatAnswer {
    /// Its words.
    pub content: Option<AnswerContent>,
    /// Why it would not answer.
    pub refusal: Option<String>,
    /// What it thought before, as thinking models tell it.
    pub reasoning_content: Option<String>,
    /// What it called.
    pub tool_calls: Option<Vec<ChatToolCall>>,
    /// Deprecated form of `tool_calls`.
    pub function_call: Option<Called>,
    /// What it spoke, by id.
    pub audio: Option<Object>,
    /// Who speaks, among several.
    #[schemars(length(min = 1))]
    pub name: Option<String>,
}

/// Words, whole or in parts.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum TextContent {
    /// Whole.
    Whole(String),
    /// In parts.
    Parts(#[schemars(length(min = 1))] Vec<TextPart>),
}

/// What a person says, whole or in parts.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum UserContent {
    /// Whole.
    Whole(String),
    /// In parts.
    Parts(#[schemars(length(min = 1))] Vec<UserPart>),
}

/// What the model said, whole or in parts.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum AnswerContent {
    /// Whole.
    Whole(String),
    /// In parts.
    Parts(#[schemars(length(min = 1))] Vec<AnswerPart>),
}

/// A piece of text.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum TextPart {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
}

/// A piece of what a person says.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum UserPart {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// An image.
    ImageUrl {
        /// Which.
        image_url: ImageUrl,
    },
    /// Speech.
    InputAudio {
        /// The speech.
        input_audio: InputAudio,
    },
    /// A file.
    File {
        /// Which.
        file: File,
    },
}

/// A piece of what the model said.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum AnswerPart {
    /// Words.
    Text {
        /// The words.
        text: String,
    },
    /// Why it would not answer.
    Refusal {
        /// Its words.
        refusal: String,
    },
}

/// An image.
#[derive(JsonSchema)]
pub struct ImageUrl {
    /// A link, or a `data:` URL.
    #[schemars(length(min = 1))]
    pub url: String,
    /// How closely to look.
    pub detail: Option<String>,
}

/// A file, here or at its provider.
#[derive(JsonSchema)]
pub struct File {
    /// In base64, as a `data:` URL.
    pub file_data: Option<String>,
    /// By which its provider knows it.
    pub file_id: Option<String>,
    /// Its name.
    pub filename: Option<String>,
}

/// Speech.
#[derive(JsonSchema)]
pub struct InputAudio {
    /// In base64.
    pub data: String,
    /// Such as `wav`.
    pub format: String,
}

/// A call that the model made.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ChatToolCall {
    /// Of a function.
    Function {
        /// By which its result is known.
        #[schemars(length(min = 1))]
        id: String,
        /// Need not be said.
        #[schemars(extend("enum" = ["function", null]))]
        r#type: Option<String>,
        /// The function.
        function: Called,
    },
    /// Of a tool that takes free text.
    Custom {
        /// By which its result is known.
        #[schemars(length(min = 1))]
        id: String,
        /// Which kind of call.
        #[schemars(extend("const" = "custom"))]
        r#type: String,
        /// The tool.
        custom: CalledFreely,
    },
}

/// A function and its arguments.
#[derive(JsonSchema)]
pub struct Called {
    /// The function.
    #[schemars(length(min = 1))]
    pub name: String,
    /// JSON, as text.
    pub arguments: String,
}

/// A tool and its input.
#[derive(JsonSchema)]
pub struct CalledFreely {
    /// The tool.
    #[schemars(length(min = 1))]
    pub name: String,
    /// Free text.
    pub input: String,
}

/// What the model may call.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ChatTool {
    /// A function.
    Function {
        /// Which kind of tool.
        #[schemars(extend("const" = "function"))]
        r#type: String,
        /// The function.
        function: Function,
    },
    /// A tool that only some providers know.
    Other {
        /// Which.
        #[schemars(length(min = 1), extend("not" = {"const": "function"}))]
        r#type: String,
    },
}

/// Whether the model must call something.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ChatToolChoice {
    /// Anything or nothing.
    Word(WordChoice),
    /// This one: `{"type": "function", "function": {"name": …}}`.
    Named(Object),
}

/// What form the answer must have.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum ResponseFormat {
    /// None.
    Text {},
    /// Any JSON object.
    JsonObject {},
    /// JSON by a schema.
    JsonSchema {
        /// The schema.
        json_schema: JsonForm,
    },
    /// What a grammar says.
    Grammar {
        /// In GBNF, as llama.cpp writes it; its rule `root` is the answer.
        grammar: String,
    },
}

/// The form of the answer as vLLM takes it, of which one member is given.
#[derive(JsonSchema)]
pub struct StructuredOutputs {
    /// A JSON schema, or the text of one.
    pub json: Option<SchemaOrText>,
    /// Some JSON object.
    pub json_object: Option<bool>,
    /// A regular expression that the whole answer matches.
    pub regex: Option<String>,
    /// A grammar in GBNF.
    pub grammar: Option<String>,
    /// Exactly one of these texts.
    pub choice: Option<Vec<String>>,
}

/// A JSON schema.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum SchemaOrText {
    /// As it is.
    Schema(Object),
    /// As text.
    Text(String),
}

/// An answer.
#[derive(JsonSchema)]
pub struct ChatCompletion {
    /// Its id.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "chat.completion"))]
    pub object: String,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Who answered.
    pub model: String,
    /// The answers, one per `n`.
    pub choices: Vec<Choice>,
    /// Token counts, where they are known.
    pub usage: Option<ChatUsage>,
}

/// One of the answers.
#[derive(JsonSchema)]
pub struct Choice {
    /// Which.
    pub index: u32,
    /// What was said.
    pub message: Said,
    /// How likely each token was, where asked for.
    pub logprobs: Option<Object>,
    /// Why it stopped.
    pub finish_reason: Option<String>,
}

/// What the model said.
#[derive(JsonSchema)]
pub struct Said {
    /// The model.
    #[schemars(extend("const" = "assistant"))]
    pub role: String,
    /// Its words.
    pub content: Option<String>,
    /// Why it would not answer.
    pub refusal: Option<String>,
    /// What it thought before, where it tells.
    pub reasoning_content: Option<String>,
    /// What it wants called.
    pub tool_calls: Option<Vec<ChatToolCall>>,
}

/// Token counts.
#[derive(JsonSchema)]
pub struct ChatUsage {
    /// Of the prompt.
    pub prompt_tokens: u64,
    /// Of the answer, thoughts included.
    pub completion_tokens: Option<u64>,
    /// Of both.
    pub total_tokens: u64,
    /// Of the prompt's: from a cache.
    pub prompt_tokens_details: Option<Object>,
    /// Of the answer's: thoughts. Where the embedded engine was given a `prediction`, also how many of its tokens were
    /// `accepted_prediction_tokens` and how many `rejected_prediction_tokens`, which are none of the answer's.
    pub completion_tokens_details: Option<Object>,
}

/// A chunk of a streamed answer: the `data` of an event. The last is `[DONE]`.
#[derive(JsonSchema)]
pub struct ChatCompletionChunk {
    /// The answer's id.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "chat.completion.chunk"))]
    pub object: String,
    /// Seconds since 1970, UTC.
    pub created: i64,
    /// Who answers.
    pub model: String,
    /// What is new, by choice; empty in the chunk that tells token counts.
    pub choices: Vec<Object>,
    /// Token counts, in the last chunk where asked for.
    pub usage: Option<ChatUsage>,
}
