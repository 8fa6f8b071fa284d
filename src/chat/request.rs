//! A chat request in no provider's words.

use std::fmt;

use super::Text;

/// What a client asked for, whichever dialect it spoke.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The model name as the client wrote it.
    pub model: String,
    /// The conversation, oldest first; never empty.
    pub messages: Vec<Message>,
    /// Tool definitions, each as the JSON object the client wrote.
    pub tools: Vec<Text>,
    /// `tool_choice` as the client wrote it.
    pub tool_choice: Option<Text>,
    /// What form the answer must have.
    pub response_format: ResponseFormat,
    /// How to sample.
    pub sampling: Sampling,
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
    /// JSON that fits the schema; the `json_schema` object as the client wrote it.
    JsonSchema(Text),
}

/// Sampling parameters. `None` means the client left it to the destination's default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0 to 2; 0 is greedy.
    pub temperature: Option<f64>,
    /// Nucleus mass, 0 to 1.
    pub top_p: Option<f64>,
    /// How many answers.
    pub n: Option<u32>,
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

impl Sampling {
    /// Whether the same request must give the same answer: greedy, and one choice.
    pub fn is_deterministic(&self) -> bool {
        self.temperature == Some(0.0) && self.n.unwrap_or(1) == 1
    }
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
            tools: vec!["hidden".into()],
            sampling: Sampling { stop: vec![secret()], ..Sampling::default() },
            ..ChatRequest::default()
        };
        assert!(!format!("{request:?} {message:?} {:?}", message.tool_calls).contains("hidden"));
    }
}
