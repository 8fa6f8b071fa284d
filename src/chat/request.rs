//! A chat request in no provider's words.

use std::fmt;

use super::{Grammar, Task, Text};

/// What a client asked for, whichever dialect it spoke.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// What is wanted. Of other tasks than chat, each text is a message of the user.
    pub task: Task,
    /// The model name as the client wrote it.
    pub model: String,
    /// The conversation, oldest first; never empty.
    pub messages: Vec<Message>,
    /// Tools that the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must call one; `None` leaves it to the destination's default, which is `Auto`.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several in one answer.
    pub parallel_tool_calls: Option<bool>,
    /// How much to think before the answer.
    pub reasoning: Option<Reasoning>,
    /// Whom the application asks for, as it calls them.
    pub end_user: Option<Text>,
    /// What form the answer must have.
    pub response_format: ResponseFormat,
    /// How to sample.
    pub sampling: Sampling,
    /// What most of the answer will be, as the client expects; it only makes the answer come sooner.
    pub prediction: Option<Text>,
    /// Whether a completed text is to come with what it completes.
    pub echo: bool,
    /// What vectors are wanted, where the task is to make some.
    pub vectors: Vectors,
    /// Whether its sender takes a longer wait for it.
    pub flex: bool,
    /// Whether and how to stream.
    pub streaming: Streaming,
    /// The id of the answer that this request continues, where it names one.
    pub continues: Option<Text>,
}

/// Shows the shape, never the content.
impl fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (messages, tools) = (self.messages.len(), self.tools.len());
        write!(f, "ChatRequest({messages} messages, {tools} tools, {:?})", self.streaming)
    }
}

impl ChatRequest {
    /// Whether the conversation holds thoughts that only who sealed them can open.
    pub fn is_sealed(&self) -> bool {
        self.seals().next().is_some()
    }

    /// What its thoughts are sealed with.
    pub fn seals(&self) -> impl Iterator<Item = &Text> {
        self.messages.iter().flat_map(|message| &message.content).filter_map(|content| match content {
            Content::Thought(thought) => thought.seal.as_ref(),
            _ => None,
        })
    }
}

/// One message of the conversation.
#[derive(Clone, Default, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said, in order.
    pub content: Vec<Content>,
    /// The participant's name, where given.
    pub name: Option<String>,
    /// Tool calls an assistant message made.
    pub tool_calls: Vec<ToolCall>,
    /// Which call a tool message answers.
    pub tool_call_id: Option<String>,
    /// Whether the tool says that it failed.
    pub tool_failed: bool,
}

/// Shows the shape, never the content: names and ids are the client's text, too.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({}, {:?}, {} tool calls)", self.role.name(), self.content, self.tool_calls.len())
    }
}

impl Message {
    /// All text of the message; parts are joined by a newline, media are left out.
    pub fn text(&self) -> String {
        let mut joined = String::new();
        for content in &self.content {
            if let Content::Text(text) | Content::Refusal(text) = content {
                if !joined.is_empty() {
                    joined.push('\n');
                }
                joined.push_str(text.expose());
            }
        }
        joined
    }
}

/// Who speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Role {
    /// The operator of the application; OpenAI's `developer` counts as this.
    System,
    /// The person, or the application on their behalf.
    #[default]
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
}

impl Role {
    /// The name chat templates use.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One piece of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Plain text.
    Text(Text),
    /// A refusal that the client replays.
    Refusal(Text),
    /// An image, by link or data URL.
    Image(Text),
    /// Inline audio.
    Audio(Text),
    /// A file, inline or by id.
    File(Text),
    /// What the model thought, replayed by the client.
    Thought(Thought),
}

/// What a model thought before it answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thought {
    /// The thought or its summary; empty where only the sealed form is there.
    pub text: Text,
    /// What only its provider can read or check: a signature, or the thought itself encrypted.
    pub seal: Option<Text>,
    /// The id under which the provider knows it.
    pub id: Option<Text>,
}

/// A tool that the model may call.
#[derive(Clone, PartialEq)]
pub enum Tool {
    /// A function of the application.
    Function(Function),
    /// Anything else, such as a tool of the provider's: the JSON object that the client wrote, in its dialect.
    Other(Text),
}

/// Shows the kind only: names and descriptions are the client's text.
impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Function(_) => "Function",
            Self::Other(_) => "Other",
        })
    }
}

/// A function of the application.
#[derive(Clone, Default, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: Option<Text>,
    /// The JSON schema of its arguments, as the client wrote it.
    pub parameters: Option<Text>,
    /// Whether the arguments must fit the schema.
    pub strict: Option<bool>,
}

/// Whether the model must call a tool.
#[derive(Clone, PartialEq)]
pub enum ToolChoice {
    /// As it sees fit.
    Auto,
    /// It must not.
    None,
    /// It must call some tool.
    Required,
    /// It must call the function of this name.
    Named(String),
    /// Something else that the client wrote, in its dialect.
    Other(Text),
}

/// Shows the kind only: the name is the client's text.
impl fmt::Debug for ToolChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "Auto",
            Self::None => "None",
            Self::Required => "Required",
            Self::Named(_) => "Named",
            Self::Other(_) => "Other",
        })
    }
}

/// How much to think before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reasoning {
    /// Not at all.
    Off,
    /// As much as the model sees fit.
    Adaptive,
    /// About this much.
    Effort(Effort),
    /// At most this many tokens.
    Budget(u32),
}

/// How hard to think, in OpenAI's steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effort {
    /// Hardly.
    Minimal,
    /// A little.
    Low,
    /// The usual.
    Medium,
    /// A lot.
    High,
    /// As hard as possible.
    Max,
}

/// A call of a tool by the model.
#[derive(Clone, Default, PartialEq)]
pub struct ToolCall {
    /// The call's id.
    pub id: String,
    /// The tool's name.
    pub name: String,
    /// The arguments: JSON text, as the model wrote it.
    pub arguments: Text,
}

/// Shows the arguments' length only.
impl fmt::Debug for ToolCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolCall({:?})", self.arguments)
    }
}

/// What form the answer must have.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ResponseFormat {
    /// Anything.
    #[default]
    Text,
    /// Some JSON object.
    JsonObject,
    /// JSON that fits a schema.
    JsonSchema(Schema),
    /// What a grammar says.
    Grammar(Grammar),
}

/// A form of answers.
#[derive(Clone, Default, PartialEq)]
pub struct Schema {
    /// Its name; empty where the dialect has none.
    pub name: String,
    /// What it is for.
    pub description: Option<Text>,
    /// The JSON schema as the client wrote it.
    pub schema: Option<Text>,
    /// Whether the answer must fit; otherwise the schema is advice.
    pub strict: Option<bool>,
}

/// Shows how long the schema is.
impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({:?})", self.schema)
    }
}

/// Sampling parameters. `None` means the client left it to the destination's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2; 0 is greedy.
    pub temperature: Option<f64>,
    /// Nucleus mass, 0 to 1.
    pub top_p: Option<f64>,
    /// How many candidates for each token, from 1.
    pub top_k: Option<u32>,
    /// How many answers.
    pub n: Option<u32>,
    /// How many answers are drafted, of which the likeliest `n` are given.
    pub best_of: Option<u32>,
    /// For reproducible sampling.
    pub seed: Option<i64>,
    /// Up to four strings that end the answer.
    pub stop: Vec<String>,
    /// −2 to 2.
    pub presence_penalty: Option<f64>,
    /// −2 to 2.
    pub frequency_penalty: Option<f64>,
    /// Token id to bias, −100 to 100.
    pub logit_bias: Vec<(u32, f64)>,
    /// Cap on the answer in tokens, from `max_completion_tokens` or `max_tokens`.
    pub max_tokens: Option<u32>,
    /// Log-probabilities asked for, and of how many alternatives per token.
    pub logprobs: Option<u32>,
}

impl ChatRequest {
    /// Whether the same request must give the same answer.
    pub fn is_deterministic(&self) -> bool {
        !self.task.generates() || self.sampling.is_deterministic()
    }
}

impl Sampling {
    /// How many answers are made.
    pub fn answers(&self) -> u32 {
        self.n.unwrap_or(1).max(self.best_of.unwrap_or(1))
    }

    /// Whether the same request must give the same answer: greedy, and one choice.
    pub fn is_deterministic(&self) -> bool {
        self.temperature == Some(0.0) && self.n.unwrap_or(1) == 1
    }
}

/// What vectors are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vectors {
    /// How many numbers each has; `None` leaves it to the model.
    pub dimensions: Option<u32>,
    /// Whether they are written in base64, not as numbers.
    pub base64: bool,
}

/// Whether and how to stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Streaming {
    /// One answer at the end.
    #[default]
    Off,
    /// Deltas as they come; `usage` asks for a last chunk with the token counts.
    On {
        /// `stream_options.include_usage`.
        usage: bool,
    },
}

impl Streaming {
    /// Whether deltas are wanted.
    pub fn is_on(self) -> bool {
        matches!(self, Self::On { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_that_the_client_wrote() {
        let secret = || "hidden".to_owned();
        let call = ToolCall { id: secret(), name: secret(), arguments: "hidden".into() };
        let message = Message {
            content: vec![Content::Text("hidden".into()), Content::Image("hidden".into())],
            name: Some(secret()),
            tool_calls: vec![call],
            tool_call_id: Some(secret()),
            ..Message::default()
        };
        let request = ChatRequest {
            model: secret(),
            messages: vec![message.clone()],
            tools: vec![
                Tool::Other("hidden".into()),
                Tool::Function(Function { name: secret(), ..Function::default() }),
            ],
            tool_choice: Some(ToolChoice::Named(secret())),
            response_format: ResponseFormat::JsonSchema(Schema { name: secret(), ..Schema::default() }),
            sampling: Sampling { stop: vec![secret()], ..Sampling::default() },
            ..ChatRequest::default()
        };
        let tools = format!("{:?} {:?} {:?}", request.tools, request.tool_choice, request.response_format);
        assert!(!format!("{request:?} {message:?} {:?} {tools}", message.tool_calls).contains("hidden"));
    }
}
