//! OpenAI's responses, from the provider's side: items in, a document or typed events out.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    body::Reply,
    script::{Answer, Fault, Script},
    unix_seconds,
    wire::{ApiError, Envelope, pretty, prose, tokens},
};

/// What the event that ends a whole stream begins with.
pub const END: &[u8] = b"event: response.completed\n";
/// An event whose JSON breaks off.
pub const MALFORMED: &[u8] =
    b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"ind\n\n";

/// An error as an event in a stream.
pub fn error_event(error: &ApiError) -> Bytes {
    let mut events = Events::default();
    events.push("error", json!({"code": error.code, "message": error.message, "param": error.param}));
    events.all.remove(0)
}

/// A well-formed content event of about `bytes` bytes.
pub fn oversized_event(bytes: usize) -> Bytes {
    let mut events = Events::default();
    let at = json!({"item_id": "msg_oversized", "output_index": 0, "content_index": 0, "logprobs": []});
    events.push("response.output_text.delta", with(at, json!({"delta": "x".repeat(bytes)})));
    events.all.remove(0)
}

/// The scripted answer to a request's body.
pub fn answer(script: &Script, serial: u64, index: u64, body: &Bytes) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let model = request["model"].as_str().ok_or_else(|| ApiError::missing("model"))?.to_owned();
    if request["input"].is_null() {
        return Err(ApiError::missing("input"));
    }
    let prompt = prompt(&request["input"]);
    let said = Said::new(&script.answer_to(&prompt), &prompt, request["max_output_tokens"].as_u64());
    let envelope = Envelope { serial, created: unix_seconds(), usage: false };
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let written = Written { id: envelope.id(), created: envelope.created, model, said, prompt, usage };
    Ok(match request["stream"] == true {
        true => Reply::events(written.events(), script.latency.gap),
        false => Reply::document(200, pretty(&written.response("completed", written.output(), true))),
    })
}

/// The last user message's text.
fn prompt(input: &Value) -> String {
    let Some(items) = input.as_array() else { return input.as_str().unwrap_or_default().to_owned() };
    let Some(last) = items.iter().rev().find(|item| item["role"] == "user") else { return String::new() };
    let parts = || last["content"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
    last["content"].as_str().map_or_else(|| parts().collect::<Vec<_>>().join("\n"), str::to_owned)
}

/// An answer in pieces.
pub struct Said {
    pub thought: Option<String>,
    /// Names and arguments.
    pub calls: Vec<(String, String)>,
    pub pieces: Vec<String>,
    /// Whether more would have been said.
    pub cut: bool,
}

impl Said {
    pub fn new(answer: &Answer, prompt: &str, limit: Option<u64>) -> Self {
        let (mut thought, mut calls) = (None, Vec::new());
        let text = match answer {
            Answer::ToolCall { name, arguments } => {
                calls.push((name.clone(), arguments.clone()));
                arguments.clone()
            }
            Answer::ToolCalls(several) => {
                calls.clone_from(several);
                several.iter().map(|(_, arguments)| arguments.as_str()).collect()
            }
            Answer::Thought { thought: hidden, text } => {
                thought = Some(hidden.clone());
                text.clone()
            }
            Answer::Text(text) => text.clone(),
            Answer::Echo => prompt.to_owned(),
            Answer::Tokens(count) => prose(prompt, *count),
            Answer::Canned(_) => String::new(),
        };
        let mut pieces = tokens(&text);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        let cut = calls.is_empty() && pieces.len() > limit;
        if cut {
            pieces.truncate(limit);
        }
        Self { thought, calls, pieces, cut }
    }

    pub fn thought_tokens(&self) -> usize {
        self.thought.as_ref().map_or(0, |thought| tokens(thought).len())
    }
}

struct Written {
    id: String,
    created: u64,
    model: String,
    said: Said,
    prompt: String,
    usage: bool,
}

impl Written {
    fn response(&self, status: &str, output: Vec<Value>, ended: bool) -> Value {
        let cut = ended && self.said.cut;
        let thought = self.said.thought_tokens();
        let (input, output_tokens) = (tokens(&self.prompt).len() + 3, self.said.pieces.len() + thought);
        let usage = json!({"input_tokens": input, "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": output_tokens, "output_tokens_details": {"reasoning_tokens": thought},
            "total_tokens": input + output_tokens});
        json!({
            "id": format!("resp_{}", self.id), "object": "response", "created_at": self.created,
            "status": if cut { "incomplete" } else { status }, "background": false, "error": null,
            "incomplete_details": if cut { json!({"reason": "max_output_tokens"}) } else { Value::Null },
            "instructions": null, "max_output_tokens": null, "model": self.model, "output": output,
            "parallel_tool_calls": true, "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null}, "store": true, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "truncation": "disabled", "usage": if ended && self.usage { usage } else { Value::Null },
            "user": null, "metadata": {},
        })
    }

    fn output(&self) -> Vec<Value> {
        let thought = self.said.thought.as_ref().map(|thought| {
            json!({"id": format!("rs_{}", self.id), "type": "reasoning", "encrypted_content": format!("gAAAA{}", self.id),
                "summary": [{"type": "summary_text", "text": thought}]})
        });
        let mut output: Vec<Value> = thought.into_iter().collect();
        let calls = self.said.calls.iter().enumerate();
        output.extend(calls.map(|(number, (_, arguments))| self.call(number, arguments, "completed")));
        if self.said.calls.is_empty() {
            output.push(self.message(&self.said.pieces.concat(), "completed"));
        }
        output
    }

    fn call(&self, number: usize, arguments: &str, status: &str) -> Value {
        json!({"id": format!("fc_{number}{}", self.id), "type": "function_call", "status": status,
            "arguments": arguments, "call_id": format!("call_{number}{}", &self.id[..23]),
            "name": self.said.calls[number].0})
    }

    fn message(&self, text: &str, status: &str) -> Value {
        json!({"id": format!("msg_{}", self.id), "type": "message", "status": status, "role": "assistant",
            "content": if status == "in_progress" { json!([]) } else { json!([part(text)]) }})
    }

    fn events(&self) -> Vec<Bytes> {
        let mut events = Events::default();
        events.push("response.created", json!({"response": self.response("in_progress", Vec::new(), false)}));
        events.push("response.in_progress", json!({"response": self.response("in_progress", Vec::new(), false)}));
        let mut index = 0;
        if let Some(thought) = &self.said.thought {
            self.think(thought, &mut events);
            index = 1;
        }
        match self.said.calls.len() {
            0 => self.speak(index, &mut events),
            calls => (0..calls).for_each(|number| self.ask_for(number, index + number, &mut events)),
        }
        let end = if self.said.cut { "response.incomplete" } else { "response.completed" };
        events.push(end, json!({"response": self.response("completed", self.output(), true)}));
        events.all
    }

    fn think(&self, thought: &str, events: &mut Events) {
        let id = format!("rs_{}", self.id);
        let of = |more: Value| with(json!({"item_id": id, "output_index": 0, "summary_index": 0}), more);
        let item = json!({"id": id, "type": "reasoning", "summary": []});
        events.push("response.output_item.added", json!({"output_index": 0, "item": item}));
        let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
        events.push("response.reasoning_summary_part.added", of(part("")));
        for piece in tokens(thought) {
            events.push("response.reasoning_summary_text.delta", of(json!({"delta": piece})));
        }
        events.push("response.reasoning_summary_text.done", of(json!({"text": thought})));
        events.push("response.reasoning_summary_part.done", of(part(thought)));
        events.push("response.output_item.done", json!({"output_index": 0, "item": self.output()[0]}));
    }

    fn ask_for(&self, number: usize, index: usize, events: &mut Events) {
        let arguments = &self.said.calls[number].1;
        let item = self.call(number, arguments, "completed");
        let begun = self.call(number, "", "in_progress");
        events.push("response.output_item.added", json!({"output_index": index, "item": begun}));
        let at = json!({"item_id": item["id"], "output_index": index});
        for piece in tokens(arguments) {
            events.push("response.function_call_arguments.delta", with(at.clone(), json!({"delta": piece})));
        }
        events.push("response.function_call_arguments.done", with(at, json!({"arguments": arguments})));
        events.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }

    fn speak(&self, index: usize, events: &mut Events) {
        let whole = self.said.pieces.concat();
        let begun = self.message("", "in_progress");
        events.push("response.output_item.added", json!({"output_index": index, "item": begun}));
        let item = self.message(&whole, "completed");
        let at = json!({"item_id": item["id"], "output_index": index, "content_index": 0});
        events.push("response.content_part.added", with(at.clone(), json!({"part": part("")})));
        for piece in &self.said.pieces {
            let delta = json!({"delta": piece, "logprobs": [], "obfuscation": "x".repeat(9)});
            events.push("response.output_text.delta", with(at.clone(), delta));
        }
        events.push("response.output_text.done", with(at.clone(), json!({"text": whole, "logprobs": []})));
        events.push("response.content_part.done", with(at, json!({"part": part(&whole)})));
        events.push("response.output_item.done", json!({"output_index": index, "item": item}));
    }
}

fn part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn with(mut value: Value, more: Value) -> Value {
    if let (Some(members), Value::Object(more)) = (value.as_object_mut(), more) {
        members.extend(more);
    }
    value
}

#[derive(Default)]
struct Events {
    all: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, kind: &str, fields: Value) {
        let data = with(json!({"type": kind, "sequence_number": self.all.len()}), fields);
        self.all.push(format!("event: {kind}\ndata: {data}\n\n").into());
    }
}
