//! A provider's answer in OpenAI's dialect, with pseudonyms put back: whole replies, and streams event by event.
//!
//! Only the strings that change are written anew. Arguments of tool calls are JSON in a string of JSON, and so are
//! answers to those who asked for JSON: what is put back there is escaped twice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde_json::json;

use super::replace::quoted;
use super::restore::{Flow, Form, Restorer, Tally};
use crate::chat::Json;
use crate::chat::json::Value;
use crate::dialect::sse::data;

fn whole(restorer: &Restorer, body: Bytes, answers_json: bool) -> (Bytes, Tally) {
    let mut tally = Tally::default();
    let Some((text, json)) = std::str::from_utf8(&body).ok().zip(Json::parse(&body).ok()) else { return (body, tally) };
    let mut edits = Edits::default();
    let mut rewriter = Rewriter { restorer, answers_json, tally: &mut tally };
    rewriter.value("", &json, &mut edits);
    let written = edits.splice(text);
    (written.map_or_else(|| body.clone(), Bytes::from), tally)
}

struct Rewriter<'r> {
    restorer: &'r Restorer,
    answers_json: bool,
    tally: &'r mut Tally,
}

impl Rewriter<'_> {
    fn value(&mut self, key: &str, json: &Json<'_>, edits: &mut Edits) {
        match &json.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => {
                let restored = if key == "arguments" || key == "content" && self.answers_json {
                    self.restorer.whole_json(text, self.tally)
                } else {
                    self.restorer.whole(text, Form::Plain, self.tally)
                };
                edits.replace(json.span.clone(), text, restored);
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(key, item, edits)),
            Value::Object(members) => {
                members.iter().for_each(|member| self.value(&member.key, &member.value, edits));
            }
        }
    }
}

/// Changed strings, in the order of the document.
#[derive(Default)]
struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    fn replace(&mut self, span: Range<usize>, old: &str, new: String) {
        if old != new {
            self.0.push((span, quoted(&new)));
        }
    }

    /// `None` where nothing changed.
    fn splice(mut self, text: &str) -> Option<String> {
        if self.0.is_empty() {
            return None;
        }
        self.0.sort_by_key(|(span, _)| span.start);
        let mut written = String::with_capacity(text.len() + 64);
        let mut from = 0;
        for (span, new) in self.0 {
            written.push_str(&text[from..span.start]);
            written.push_str(&new);
            from = span.end;
        }
        written.push_str(&text[from..]);
        Some(written)
    }
}

/// One of the texts that a stream carries in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Channel {
    choice: i64,
    field: Field,
    /// Which tool call; 0 where the field is none's.
    tool: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Content,
    Refusal,
    Reasoning,
    ReasoningContent,
    Arguments,
    Input,
    CallArguments,
    /// Of legacy completions, which have no delta.
    Text,
}

impl Field {
    const TEXTS: [(&'static str, Self); 4] = [
        ("content", Self::Content),
        ("refusal", Self::Refusal),
        ("reasoning", Self::Reasoning),
        ("reasoning_content", Self::ReasoningContent),
    ];
}

impl Channel {
    /// A choice that carries `text` and nothing else.
    fn choice(self, text: &str) -> serde_json::Value {
        let index = self.choice;
        match self.field {
            Field::Text => json!({ "text": text, "index": index, "logprobs": null, "finish_reason": null }),
            _ => json!({ "index": index, "delta": self.delta(text), "finish_reason": null }),
        }
    }

    /// A delta that carries `text` and nothing else.
    fn delta(self, text: &str) -> serde_json::Value {
        match self.field {
            Field::Content => json!({ "content": text }),
            Field::Refusal => json!({ "refusal": text }),
            Field::Reasoning => json!({ "reasoning": text }),
            Field::ReasoningContent => json!({ "reasoning_content": text }),
            Field::Arguments => json!({ "tool_calls": [{ "index": self.tool, "function": { "arguments": text } }] }),
            Field::Input => json!({ "tool_calls": [{ "index": self.tool, "custom": { "input": text } }] }),
            Field::CallArguments => json!({ "function_call": { "arguments": text } }),
            Field::Text => json!({ "text": text }),
        }
    }
}

/// Puts back what a stream carries, however its words are cut.
pub struct Restoring {
    restorer: Arc<Restorer>,
    answers_json: bool,
    flows: BTreeMap<Channel, Flow>,
    /// The last chunk: what is held back at the end goes out in one like it.
    last: String,
    tally: Tally,
}

/// A piece of a channel's text in a chunk.
struct Piece {
    channel: Channel,
    span: Range<usize>,
    old: String,
    new: String,
}

impl Restoring {
    /// For one answer.
    pub fn new(restorer: Arc<Restorer>, answers_json: bool) -> Self {
        Self { restorer, answers_json, flows: BTreeMap::new(), last: String::new(), tally: Tally::default() }
    }

    /// A whole reply, or a provider's error, with everything put back. What is no JSON stays as it is.
    pub fn whole(self, body: Bytes) -> (Bytes, Tally) {
        whole(&self.restorer, body, self.answers_json)
    }

    /// What was put back since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// A chunk's event. Where a choice ends, what was held back of it goes before the event, in one of its own.
    pub fn event(&mut self, frame: Bytes) -> Bytes {
        let Some(text) = data(&frame).and_then(|data| String::from_utf8(data.into_owned()).ok()) else { return frame };
        let Ok(json) = Json::parse(text.as_bytes()) else { return frame };
        let mut pieces = Vec::new();
        let mut edits = Edits::default();
        let mut ended = Vec::new();
        for choice in json.get("choices").and_then(Json::as_array).unwrap_or_default() {
            let index = choice.get("index").and_then(Json::as_i64).unwrap_or(0);
            match (choice.get("delta"), choice.get("text")) {
                (Some(delta), _) => self.delta(index, delta, &mut pieces, &mut edits),
                (None, Some(text)) => {
                    self.text(Channel { choice: index, field: Field::Text, tool: 0 }, text, &mut pieces);
                }
                (None, None) => {}
            }
            let finish = choice.get("finish_reason").and_then(Json::as_str).unwrap_or_default();
            ended.extend((!finish.is_empty()).then_some(index));
        }
        let mut before = String::new();
        for index in ended {
            let held = self.end(|channel| channel.choice == index);
            for (channel, rest) in held {
                match pieces.iter_mut().rev().find(|piece| piece.channel == channel) {
                    Some(piece) => piece.new.push_str(&rest),
                    None => before.push_str(&like(&text, &json, channel, &rest)),
                }
            }
        }
        pieces.into_iter().for_each(|piece| edits.replace(piece.span, &piece.old, piece.new));
        let written = edits.splice(&text).map(|new| with_data(&frame, &new));
        self.last = text;
        match (written, before.is_empty()) {
            (None, true) => frame,
            (written, _) => [before.as_bytes(), written.as_deref().unwrap_or(&frame)].concat().into(),
        }
    }

    /// What is still held back when the stream ends: events of their own.
    pub fn done(&mut self) -> Bytes {
        let held = self.end(|_| true);
        let Ok(json) = Json::parse(self.last.as_bytes()) else { return Bytes::new() };
        held.into_iter().map(|(channel, rest)| like(&self.last, &json, channel, &rest)).collect::<String>().into()
    }

    fn delta(&mut self, choice: i64, delta: &Json<'_>, pieces: &mut Vec<Piece>, edits: &mut Edits) {
        for (name, field) in Field::TEXTS {
            let channel = Channel { choice, field, tool: 0 };
            match delta.get(name).map(|value| (value, &value.value)) {
                Some((value, Value::String(_))) => self.text(channel, value, pieces),
                // Some vendors send typed parts.
                Some((_, Value::Array(parts))) => {
                    for part in parts.iter().filter_map(|part| part.get("text")) {
                        self.text(channel, part, pieces);
                    }
                }
                _ => {}
            }
        }
        if let Some(call) = delta.get("function_call") {
            self.call(Channel { choice, field: Field::CallArguments, tool: 0 }, call, "arguments", pieces, edits);
        }
        for call in delta.get("tool_calls").and_then(Json::as_array).unwrap_or_default() {
            let tool = call.get("index").and_then(Json::as_i64).unwrap_or(0);
            for (kind, field, text) in [("function", Field::Arguments, "arguments"), ("custom", Field::Input, "input")]
            {
                if let Some(called) = call.get(kind) {
                    self.call(Channel { choice, field, tool }, called, text, pieces, edits);
                }
            }
        }
    }

    fn call(&mut self, channel: Channel, call: &Json<'_>, text: &str, pieces: &mut Vec<Piece>, edits: &mut Edits) {
        // Names come whole.
        if let Some((json, name)) = call.get("name").and_then(|json| Some((json, json.as_str()?))) {
            edits.replace(json.span.clone(), name, self.restorer.whole(name, Form::Plain, &mut self.tally));
        }
        if let Some(value) = call.get(text) {
            self.text(channel, value, pieces);
        }
    }

    fn text(&mut self, channel: Channel, value: &Json<'_>, pieces: &mut Vec<Piece>) {
        let Some(old) = value.as_str() else { return };
        let form = self.form(channel.field);
        let flow = self.flows.entry(channel).or_default();
        let new = self.restorer.push(flow, old, form, &mut self.tally);
        pieces.push(Piece { channel, span: value.span.clone(), old: old.to_owned(), new });
    }

    fn form(&self, field: Field) -> Form {
        match field {
            Field::Arguments | Field::CallArguments => Form::Json,
            Field::Content if self.answers_json => Form::Json,
            _ => Form::Plain,
        }
    }

    /// Ends flows; those that held something, with that.
    fn end(&mut self, which: impl Fn(&Channel) -> bool) -> Vec<(Channel, String)> {
        let channels: Vec<Channel> = self.flows.keys().copied().filter(which).collect();
        let mut held = Vec::new();
        for channel in channels {
            let form = self.form(channel.field);
            let Some(mut flow) = self.flows.remove(&channel) else { continue };
            let rest = self.restorer.finish(&mut flow, form, &mut self.tally);
            held.extend((!rest.is_empty()).then_some((channel, rest)));
        }
        held
    }
}

/// An event like the chunk `json`, that carries `rest` alone.
fn like(text: &str, json: &Json<'_>, channel: Channel, rest: &str) -> String {
    let choices = json!([channel.choice(rest)]);
    let mut edits = Edits::default();
    edits.0.extend(json.get("choices").map(|json| (json.span.clone(), choices.to_string())));
    // Counted once, by the chunk itself.
    edits.0.extend(json.get("usage").map(|json| (json.span.clone(), "null".to_owned())));
    edits.splice(text).map(|chunk| format!("data: {}\n\n", one_line(&chunk))).unwrap_or_default()
}

/// The frame with other data; its other lines stay.
fn with_data(frame: &[u8], data: &str) -> Vec<u8> {
    let mut written = Vec::with_capacity(frame.len() + data.len());
    for line in frame.split(|b| matches!(b, b'\n' | b'\r')).filter(|line| !line.is_empty() && !is_data(line)) {
        written.extend_from_slice(line);
        written.push(b'\n');
    }
    written.extend_from_slice(b"data: ");
    written.extend_from_slice(one_line(data).as_bytes());
    written.extend_from_slice(b"\n\n");
    written
}

fn is_data(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    line.strip_prefix(b"data").is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
}

/// Line breaks in a document are between its values: those in strings are escaped.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}
