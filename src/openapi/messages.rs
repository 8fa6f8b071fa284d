//! `POST /v1/messages` and `POST /v1/messages/count_tokens`.

use schemars::JsonSchema;
use serde_json::Value;

use super::shared::Object;

/// A conversation to be gone on with. Members that are not listed are classified, too, and given only to destinations of
/// the same dialect.
#[derive(JsonSchema)]
pub struct MessagesRequest {
    /// Most tokens of the answer.
    #[schemars(range(min = 1))]
    pub max_tokens: u32,
    /// The rest.
    #[schemars(flatten)]
    pub prompt: MessagesPrompt,
}

/// A prompt to be counted: as `MessagesRequest`, and `max_tokens` may be absent.
#[derive(JsonSchema)]
pub struct CountTokensRequest {
    /// Most tokens of the answer.
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u32>,
    /// The rest.
    #[schemars(flatten)]
    pub prompt: MessagesPrompt,
}

/// A prompt, and how to answer it.
#[derive(JsonSchema)]
pub struct MessagesPrompt {
    /// `auto`, a destination's name, or a name that the configuration maps.
    #[schemars(length(min = 1, max = 256))]
    pub model: String,
    /// The conversation, oldest first.
    #[schemars(length(min = 1))]
    pub messages: Vec<Turn>,
    /// What the operator of the application says.
    pub system: Option<System>,
    /// Whether the answer comes as server-sent events.
    pub stream: Option<bool>,
    /// How freely to sample.
    #[schemars(range(min = 0, max = 1))]
    pub temperature: Option<f64>,
    /// Which share of probability to sample from.
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// From how many candidates to sample; 0 is all.
    pub top_k: Option<u32>,
    /// Where to stop.
    #[schemars(inner(length(min = 1)))]
    pub stop_sequences: Option<Vec<String>>,
    /// What the model may call.
    pub tools: Option<Vec<MessagesTool>>,
    /// Whether it must.
    pub tool_choice: Option<MessagesToolChoice>,
    /// Whether to think first.
    pub thinking: Option<Thinking>,
    /// What form the answer must have, and how much effort it may take.
    pub output_config: Option<OutputConfig>,
    /// Older form of `output_config.format`.
    pub output_format: Option<OutputFormat>,
    /// About the request.
    pub metadata: Option<Metadata>,
    /// How fast, at which price.
    pub service_tier: Option<String>,
    /// How fast.
    pub speed: Option<String>,
    /// A hint for the provider's cache.
    pub cache_control: Option<Value>,
}

/// One turn of the conversation.
#[derive(JsonSchema)]
#[schemars(tag = "role", rename_all = "snake_case")]
pub enum Turn {
    /// The person, or the application on their behalf.
    User {
        /// What they say.
        content: UserTurn,
    },
    /// The model.
    Assistant {
        /// What it said.
        content: AssistantTurn,
    },
    /// The operator of the application.
    System {
        /// What they say.
        content: System,
    },
}

/// What a person says, or a tool.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum UserTurn {
    /// Words.
    Whole(String),
    /// In blocks.
    Blocks(#[schemars(length(min = 1))] Vec<UserBlock>),
}

/// What the model said.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum AssistantTurn {
    /// Words.
    Whole(String),
    /// In blocks.
    Blocks(Vec<AssistantBlock>),
}

/// Words, whole or in blocks.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum System {
    /// Whole.
    Whole(String),
    /// In blocks.
    Blocks(Vec<TextBlock>),
}

/// A block of words.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum TextBlock {
    /// Words.
    Text(Words),
}

/// A block of what a person says, or a tool. Those of the provider's own tools pass to providers of this dialect.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum UserBlock {
    /// Words.
    Text(Words),
    /// An image.
    Image(Image),
    /// A document.
    Document(Document),
    /// A thought of the model's, quoted.
    Thinking(Thought),
    /// A thought of the model's, quoted and sealed.
    RedactedThinking(Sealed),
    /// What a tool returned.
    ToolResult {
        /// Of which call.
        #[schemars(length(min = 1))]
        tool_use_id: String,
        /// What it returned.
        content: Option<Returned>,
        /// Whether it says that it failed.
        is_error: Option<bool>,
        /// A hint for the provider's cache.
        cache_control: Option<Value>,
    },
}

/// A block of what the model said.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum AssistantBlock {
    /// Words.
    Text(Words),
    /// An image, which some models make.
    Image(Image),
    /// What it thought.
    Thinking(Thought),
    /// What it thought, sealed.
    RedactedThinking(Sealed),
    /// A document.
    Document(Document),
    /// A tool that it called.
    ToolUse {
        /// By which the result is known.
        #[schemars(length(min = 1))]
        id: String,
        /// The tool.
        #[schemars(length(min = 1))]
        name: String,
        /// The arguments.
        input: Object,
        /// A hint for the provider's cache.
        cache_control: Option<Value>,
    },
}

/// What a tool returned.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Returned {
    /// Words.
    Whole(String),
    /// In blocks.
    Blocks(Vec<ReturnedBlock>),
}

/// A block of what a tool returned.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum ReturnedBlock {
    /// Words.
    Text(Words),
    /// A thought of a model's, quoted.
    Thinking(Thought),
    /// A thought of a model's, quoted and sealed.
    RedactedThinking(Sealed),
    /// An image.
    Image(Image),
    /// A document.
    Document(Document),
}

/// What a model thought.
#[derive(JsonSchema)]
pub struct Thought {
    /// The thought.
    pub thinking: String,
    /// What its provider knows it by.
    pub signature: String,
}

/// What a model thought, sealed.
#[derive(JsonSchema)]
pub struct Sealed {
    /// The seal.
    #[schemars(length(min = 1))]
    pub data: String,
}

/// Words.
#[derive(JsonSchema)]
pub struct Words {
    /// The words.
    pub text: String,
    /// A hint for the provider's cache.
    pub cache_control: Option<Value>,
}

/// An image.
#[derive(JsonSchema)]
pub struct Image {
    /// Where it is.
    pub source: ImageSource,
    /// A hint for the provider's cache.
    pub cache_control: Option<Value>,
}

/// Where an image is.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum ImageSource {
    /// Here.
    Base64 {
        /// Which kind of source.
        #[schemars(extend("const" = "base64"))]
        r#type: String,
        /// Such as `image/png`.
        #[schemars(length(min = 1))]
        media_type: String,
        /// In base64.
        #[schemars(length(min = 1))]
        data: String,
    },
    /// At a link.
    Url {
        /// Which kind of source.
        #[schemars(extend("const" = "url"))]
        r#type: String,
        /// The link.
        #[schemars(length(min = 1))]
        url: String,
    },
    /// At its provider, such as `file` with a `file_id`.
    Other {
        /// Which kind of source.
        #[schemars(length(min = 1), extend("not" = {"enum": ["base64", "url"]}))]
        r#type: String,
    },
}

/// A document.
#[derive(JsonSchema)]
pub struct Document {
    /// Where it is: an object with a `type`.
    #[schemars(extend("required" = ["type"], "properties" = {"type": {"type": "string", "minLength": 1}}))]
    pub source: Object,
    /// Its title.
    pub title: Option<String>,
    /// What it is about.
    pub context: Option<String>,
    /// Whether the answer refers to it.
    pub citations: Option<Value>,
    /// A hint for the provider's cache.
    pub cache_control: Option<Value>,
}

/// What the model may call.
#[derive(JsonSchema)]
pub struct MessagesTool {
    /// The tool.
    #[schemars(length(min = 1))]
    pub name: String,
    /// `custom`; tools of the provider's own have another and no `input_schema`.
    #[schemars(extend("const" = "custom"))]
    pub r#type: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its arguments, as JSON Schema.
    pub input_schema: Object,
    /// Whether arguments must have exactly this form.
    pub strict: Option<bool>,
    /// Examples of arguments.
    pub input_examples: Option<Value>,
    /// Whether arguments are streamed before they are whole.
    pub eager_input_streaming: Option<Value>,
    /// A hint for the provider's cache.
    pub cache_control: Option<Value>,
}

/// Whether the model must call something.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum MessagesToolChoice {
    /// As it likes.
    Auto {
        /// Whether it may call only one.
        disable_parallel_tool_use: Option<bool>,
    },
    /// It must call one.
    Any {
        /// Whether it may call only one.
        disable_parallel_tool_use: Option<bool>,
    },
    /// It must call this one.
    Tool {
        /// Which.
        #[schemars(length(min = 1))]
        name: String,
        /// Whether it may call only one.
        disable_parallel_tool_use: Option<bool>,
    },
    /// It may not.
    None {},
}

/// Whether to think first.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum Thinking {
    /// So many tokens at most.
    Enabled {
        /// How many.
        #[schemars(range(min = 1024))]
        budget_tokens: u32,
        /// Whether to show it.
        display: Option<Value>,
    },
    /// As the model likes.
    Adaptive {
        /// Whether to show it.
        display: Option<Value>,
    },
    /// Between calls of tools, too.
    BetweenTools {},
    /// No.
    Disabled {},
}

/// What form the answer must have, and how much effort it may take.
#[derive(JsonSchema)]
pub struct OutputConfig {
    /// How much effort.
    pub effort: Option<MessagesEffort>,
    /// What form.
    pub format: Option<OutputFormat>,
}

/// How much effort.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum MessagesEffort {
    /// Little.
    Low,
    /// Some.
    Medium,
    /// Much.
    High,
    /// Very much.
    Xhigh,
    /// All.
    Max,
}

/// What form the answer must have.
#[derive(JsonSchema)]
#[schemars(tag = "type", rename_all = "snake_case")]
pub enum OutputFormat {
    /// JSON of this form.
    JsonSchema {
        /// The form, as JSON Schema.
        schema: Object,
    },
}

/// About the request.
#[derive(JsonSchema)]
pub struct Metadata {
    /// Whom the application asks for.
    pub user_id: Option<String>,
}

/// An answer.
#[derive(JsonSchema)]
pub struct Message {
    /// Its id.
    pub id: String,
    /// The type of the object.
    #[schemars(extend("const" = "message"))]
    pub r#type: String,
    /// The model.
    #[schemars(extend("const" = "assistant"))]
    pub role: String,
    /// Who answered.
    pub model: String,
    /// What was said, in blocks of several types.
    pub content: Vec<Block>,
    /// Why it stopped.
    pub stop_reason: Option<String>,
    /// At which of `stop_sequences`.
    pub stop_sequence: Option<String>,
    /// Token counts.
    pub usage: MessagesUsage,
}

/// A block of an answer: `text`, `thinking`, `redacted_thinking`, `tool_use`, or one of the provider's own.
#[derive(JsonSchema)]
pub struct Block {
    /// Which.
    pub r#type: String,
    /// The rest.
    #[schemars(flatten)]
    pub rest: Object,
}

/// Token counts. What a cache has is counted apart.
#[derive(JsonSchema)]
pub struct MessagesUsage {
    /// Of the prompt, but for what a cache has.
    pub input_tokens: u64,
    /// Of the answer.
    pub output_tokens: u64,
    /// Written to a cache.
    pub cache_creation_input_tokens: Option<u64>,
    /// Read from a cache.
    pub cache_read_input_tokens: Option<u64>,
}

/// How many tokens a prompt has: counted by the embedded model that is named, else estimated.
#[derive(JsonSchema)]
pub struct TokenCount {
    /// So many.
    pub input_tokens: u64,
}

/// An event of a streamed answer: `message_start`, `content_block_start`, `content_block_delta`, `content_block_stop`,
/// `message_delta`, `ping` or `error`. The last of a whole answer is `message_stop`.
#[derive(JsonSchema)]
pub struct MessageEvent {
    /// Which.
    pub r#type: String,
    /// The rest.
    #[schemars(flatten)]
    pub rest: Object,
}
