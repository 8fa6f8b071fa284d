//! Conversations with tools as templates see them. What people wrote stands in none of it, only placeholders for it.

use serde_json::{Map, Value, json};

use super::super::template::{Turn, dump};
use super::{Protocol, nine, parameters};
use crate::chat::request::{ChatRequest, Function, Message, Role, ToolCall};

/// Stands on both sides of a placeholder: a template that trims contents removes it, and so tells that it trims there;
/// one that writes JSON escapes it, and so tells that.
const PROBE: char = '\t';

/// Words of JSON schemas and of tool definitions: templates look for them, and they are ours, whoever writes them.
const WORDS: [&str; 37] = [
    "$defs",
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "array",
    "boolean",
    "const",
    "default",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "function",
    "integer",
    "items",
    "maxItems",
    "maxLength",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "name",
    "null",
    "number",
    "object",
    "oneOf",
    "parameters",
    "pattern",
    "properties",
    "required",
    "return",
    "string",
    "strict",
    "title",
    "type",
];

/// What people wrote, and what stands for it.
pub(in super::super) struct Texts {
    /// What placeholders begin with: not to be guessed, so that no text can contain one.
    nonce: String,
    held: Vec<Held>,
}

/// A text that a placeholder stands for.
pub(in super::super) struct Held {
    pub(in super::super) text: String,
    /// Whether a template that leaves it out changes the conversation.
    pub(in super::super) is_needed: bool,
}

impl Texts {
    pub(in super::super) fn new(nonce: &str) -> Self {
        Self { nonce: nonce.to_owned(), held: Vec::new() }
    }

    /// All texts, in the order of their placeholders' numbers.
    pub(in super::super) fn all(&self) -> &[Held] {
        &self.held
    }

    fn hold(&mut self, text: impl Into<String>, is_needed: bool) -> String {
        self.held.push(Held { text: text.into(), is_needed });
        // Letters only: some templates replace other characters in keys.
        format!("{PROBE}{}x{}x{PROBE}", self.nonce, self.held.len() - 1)
    }

    /// `value` with placeholders for all keys and strings but the words that everybody uses.
    fn hide(&mut self, value: &Value) -> Value {
        match value {
            Value::String(text) if WORDS.contains(&text.as_str()) => value.clone(),
            Value::String(text) => self.hold(text, false).into(),
            Value::Array(items) => items.iter().map(|item| self.hide(item)).collect(),
            Value::Object(members) => Value::Object(self.hide_members(members)),
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn hide_members(&mut self, members: &Map<String, Value>) -> Map<String, Value> {
        let hidden = members.iter().map(|(key, value)| {
            let key = if WORDS.contains(&key.as_str()) { key.clone() } else { self.hold(key, false) };
            (key, self.hide(value))
        });
        hidden.collect()
    }
}

/// The functions as templates that speak `protocol` are given them.
pub(in super::super) fn tool_values(functions: &[&Function], protocol: Protocol, texts: &mut Texts) -> Vec<Value> {
    let of = |function: &&Function| {
        let mut described = Map::from_iter([("name".to_owned(), texts.hold(&function.name, true).into())]);
        let description = function.description.as_ref().map(|text| texts.hold(text.expose(), false));
        // Templates in channels write it whether it is there or not.
        if let Some(description) = description.or_else(|| (protocol == Protocol::Channels).then(String::new)) {
            described.insert("description".to_owned(), description.into());
        }
        described.insert("parameters".to_owned(), texts.hide(&parameters(function)));
        json!({"type": "function", "function": described})
    };
    functions.iter().map(of).collect()
}

/// The conversation for a template that speaks `protocol`. To one that knows no tools, `functions` are explained by the
/// first message, and calls and their results are part of what is said.
pub(in super::super) fn turns(
    request: &ChatRequest,
    protocol: Protocol,
    functions: &[&Function],
    texts: &mut Texts,
) -> Vec<Turn> {
    if protocol == Protocol::Channels {
        let apart = one_call_each(&request.messages);
        return apart.iter().map(|message| native(request, message, protocol, texts)).collect();
    }
    if protocol != Protocol::Own {
        return request.messages.iter().map(|message| native(request, message, protocol, texts)).collect();
    }
    let mut turns: Vec<Turn> = Vec::with_capacity(request.messages.len() + 1);
    let mut messages = request.messages.iter().peekable();
    if !functions.is_empty() {
        let system = messages.next_if(|message| message.role == Role::System).map(Message::text);
        let text = system.into_iter().chain([explained(functions)]).collect::<Vec<_>>().join("\n\n");
        turns.push(Turn::new(Role::System, texts.hold(text, true)));
    }
    turns.extend(messages.map(|message| plain(message, texts)));
    turns
}

/// The same conversation, where several calls at once come one by one, each with its result behind it.
fn one_call_each(messages: &[Message]) -> Vec<Message> {
    let mut all = Vec::with_capacity(messages.len());
    let mut rest = messages.iter().peekable();
    while let Some(message) = rest.next() {
        if message.tool_calls.len() < 2 {
            all.push(message.clone());
            continue;
        }
        let mut results = Vec::new();
        while let Some(result) = rest.next_if(|next| next.role == Role::Tool) {
            results.push(result.clone());
        }
        for (at, call) in message.tool_calls.iter().enumerate() {
            let content = if at == 0 { message.content.clone() } else { Vec::new() };
            all.push(Message { tool_calls: vec![call.clone()], content, ..message.clone() });
            let of_call = |result: &Message| result.tool_call_id.as_deref() == Some(&call.id);
            let (its, others) = results.into_iter().partition(of_call);
            results = others;
            all.extend::<Vec<Message>>(its);
        }
        all.append(&mut results);
    }
    all
}

fn native(request: &ChatRequest, message: &Message, protocol: Protocol, texts: &mut Texts) -> Turn {
    let id = |id: &str, texts: &mut Texts| match protocol {
        Protocol::Mistral | Protocol::MistralNamed { .. } => nine(id),
        Protocol::Hermes | Protocol::Llama | Protocol::Coder | Protocol::Channels | Protocol::Own => {
            texts.hold(id, false)
        }
    };
    let text = message.text();
    let says_nothing = text.is_empty() && !message.tool_calls.is_empty();
    // Templates in channels leave out what was said beside a call, once there is an answer.
    let is_needed = protocol != Protocol::Channels || message.tool_calls.is_empty();
    let content = if says_nothing { String::new() } else { texts.hold(text, is_needed) };
    let call = |call: &ToolCall, texts: &mut Texts| {
        let arguments = match serde_json::from_str(call.arguments.expose()) {
            Ok(Value::Object(members)) => Value::Object(texts.hide_members(&members)),
            _ => texts.hold(call.arguments.expose(), true).into(),
        };
        let function = json!({"name": texts.hold(&call.name, true), "arguments": arguments});
        json!({"id": id(&call.id, texts), "type": "function", "function": function})
    };
    let calls = message.tool_calls.iter().map(|made| call(made, texts)).collect();
    let answered = message.tool_call_id.as_deref();
    let made = request.messages.iter().flat_map(|message| &message.tool_calls);
    let name = answered.and_then(|answered| made.into_iter().find(|call| call.id == answered));
    let name = name.map(|call| texts.hold(&call.name, false));
    let call_id = answered.map(|answered| id(answered, texts));
    Turn { calls, call_id, name, ..Turn::new(message.role, content) }
}

/// A message without words for tools.
fn plain(message: &Message, texts: &mut Texts) -> Turn {
    let mut text = message.text();
    if message.role == Role::Tool {
        text = format!("<tool_response>\n{text}\n</tool_response>");
    }
    for call in &message.tool_calls {
        let blank = if text.is_empty() { "" } else { "\n" };
        let (name, arguments) = (dump(&call.name, None), spaced(call.arguments.expose()));
        text += &format!("{blank}<tool_call>\n{{\"name\": {name}, \"arguments\": {arguments}}}\n</tool_call>");
    }
    let role = if message.role == Role::Tool { Role::User } else { message.role };
    Turn::new(role, texts.hold(text, true))
}

/// JSON in the way of templates; what is none stays as it is.
fn spaced(json: &str) -> String {
    serde_json::from_str::<Value>(json).map_or_else(|_| json.to_owned(), |value| dump(&value, None))
}

/// What a model is told whose template knows no tools.
fn explained(functions: &[&Function]) -> String {
    let line = |function: &&Function| {
        let description = function.description.as_ref().map_or("", |text| text.expose());
        let all = json!({"name": function.name, "description": description, "parameters": parameters(function)});
        dump(&all, None)
    };
    let lines = functions.iter().map(line).collect::<Vec<_>>().join("\n");
    format!(
        "You can call these functions:\n{lines}\n\nTo call one, write its name and arguments as JSON between two tags, \
         and nothing after them:\n<tool_call>\n{{\"name\": \"the function's name\", \"arguments\": {{}}}}\n</tool_call>\n\
         What it returns comes between <tool_response> and </tool_response>."
    )
}
