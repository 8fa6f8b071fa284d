//! The items of an answer.

use serde::Serialize;

use super::Head;
use crate::chat::reply::{LikelyToken, TokenLogprob};
use crate::chat::request::{Thought, ToolCall};
use crate::chat::{Choice, FinishReason, Text};
use crate::dialect::openai::encode::shown;

/// One item of `output`.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Item {
    /// What the model thought.
    Reasoning {
        id: String,
        summary: Vec<Summary>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encrypted_content: Option<String>,
        status: &'static str,
    },
    /// What it said.
    Message { id: String, status: &'static str, role: &'static str, content: Vec<Part> },
    /// A tool that it wants called.
    FunctionCall { id: String, status: &'static str, call_id: String, name: String, arguments: String },
}

/// A summary of a thought, or the thought itself.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Summary {
    SummaryText { text: String },
}

/// A part of a message.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    OutputText { text: String, annotations: [(); 0], logprobs: Vec<Logprob> },
    Refusal { refusal: String },
}

/// How likely a token was.
#[derive(Clone, Debug, Serialize)]
pub struct Logprob {
    #[serde(flatten)]
    token: Token,
    top_logprobs: Vec<Token>,
}

#[derive(Clone, Debug, Serialize)]
struct Token {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl From<&TokenLogprob> for Logprob {
    fn from(logprob: &TokenLogprob) -> Self {
        Self { token: (&logprob.token).into(), top_logprobs: logprob.top.iter().map(Into::into).collect() }
    }
}

impl From<&LikelyToken> for Token {
    fn from(token: &LikelyToken) -> Self {
        Self { token: shown(&token.bytes), logprob: token.logprob, bytes: token.bytes.clone() }
    }
}

impl Part {
    /// A part with nothing in it yet.
    pub fn empty(refusal: bool) -> Self {
        match refusal {
            true => Self::Refusal { refusal: String::new() },
            false => Self::OutputText { text: String::new(), annotations: [], logprobs: Vec::new() },
        }
    }
}

impl Item {
    /// A thought, of which nothing is known yet.
    pub fn reasoning(id: String) -> Self {
        Self::Reasoning { id, summary: Vec::new(), encrypted_content: None, status: "in_progress" }
    }

    /// A message without parts.
    pub fn message(id: String) -> Self {
        Self::Message { id, status: "in_progress", role: "assistant", content: Vec::new() }
    }

    /// A call without arguments.
    pub fn call(id: String, call_id: String, name: String) -> Self {
        Self::FunctionCall { id, status: "in_progress", call_id, name, arguments: String::new() }
    }

    /// Its id.
    pub fn id(&self) -> &str {
        match self {
            Self::Reasoning { id, .. } | Self::Message { id, .. } | Self::FunctionCall { id, .. } => id,
        }
    }

    /// Whether it is a call whose arguments are a whole object.
    pub fn is_whole_call(&self) -> bool {
        let Self::FunctionCall { arguments, .. } = self else { return false };
        arguments.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
    }

    /// The item, ended.
    pub fn end(&mut self, how: &'static str) {
        match self {
            Self::Reasoning { status, .. } | Self::Message { status, .. } | Self::FunctionCall { status, .. } => {
                *status = how;
            }
        }
    }
}

/// How an item ended that was the last when the answer ended so.
pub fn ended(finish: FinishReason) -> &'static str {
    match finish {
        FinishReason::Length | FinishReason::ContentFilter => "incomplete",
        FinishReason::Stop | FinishReason::ToolCalls => "completed",
    }
}

/// The items of a whole answer.
pub fn items(head: &Head, choice: &Choice) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    for thought in &choice.thoughts {
        items.push(self::thought(head, items.len(), thought));
    }
    let mut content = Vec::new();
    if !choice.text.is_empty() || !choice.logprobs.is_empty() {
        let logprobs = choice.logprobs.iter().map(Into::into).collect();
        content.push(Part::OutputText { text: choice.text.expose().to_owned(), annotations: [], logprobs });
    }
    if !choice.refusal.is_empty() {
        content.push(Part::Refusal { refusal: choice.refusal.expose().to_owned() });
    }
    if !content.is_empty() {
        let id = head.item_id("msg", items.len());
        items.push(Item::Message { id, status: "completed", role: "assistant", content });
    }
    for call in &choice.tool_calls {
        items.push(self::call(head, items.len(), call));
    }
    if let Some(last) = items.last_mut() {
        last.end(ended(choice.finish));
    }
    items
}

fn thought(head: &Head, index: usize, thought: &Thought) -> Item {
    let id = match &thought.id {
        // It belongs to the seal.
        Some(id) if thought.text.is_empty() => id.expose().to_owned(),
        _ => head.item_id("rs", index),
    };
    let summary = match thought.text.is_empty() {
        true => Vec::new(),
        false => vec![Summary::SummaryText { text: thought.text.expose().to_owned() }],
    };
    let encrypted_content = thought.seal.as_ref().map(|seal| Text::expose(seal).to_owned());
    Item::Reasoning { id, summary, encrypted_content, status: "completed" }
}

fn call(head: &Head, index: usize, call: &ToolCall) -> Item {
    Item::FunctionCall {
        id: head.item_id("fc", index),
        status: "completed",
        call_id: call.id.clone(),
        name: call.name.clone(),
        arguments: call.arguments.expose().to_owned(),
    }
}
