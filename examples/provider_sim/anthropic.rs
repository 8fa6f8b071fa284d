//! Anthropic's messages, from the provider's side: turns of content blocks in, a document or events out. It is as strict
//! about what it takes as api.anthropic.com, so that a gateway that translates badly is told so.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::{Value, json};

use super::{
    body::Reply,
    script::{Answer, Fault, Script},
    wire::{ApiError, Envelope, prose, tokens},
};

/// The bytes that end a stream.
pub const STOP: &[u8] = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
/// An event whose JSON breaks off.
pub const MALFORMED: &[u8] = b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"ind\n\n";

/// The scripted answer to a request.
pub fn answer(script: &Script, serial: u64, index: u64, head: &HeaderMap, body: &Bytes) -> Result<Reply, ApiError> {
    let version = head.get("anthropic-version").and_then(|version| version.to_str().ok()).unwrap_or_default();
    if !["2023-06-01", "2026-10-21"].contains(&version) {
        return Err(refusal("anthropic-version: header is required"));
    }
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let model = request["model"].as_str().ok_or_else(|| refusal("model: Field required"))?;
    if !script.models.is_empty() && !script.models.iter().any(|known| known == model) {
        return Err(ApiError::unknown_model(model));
    }
    if version != "2023-06-01" && ["temperature", "top_p", "top_k"].iter().any(|gone| !request[*gone].is_null()) {
        return Err(refusal("temperature, top_p, top_k: no longer supported"));
    }
    check(&request)?;
    let prompt = last_user_text(&request);
    let limit = request["max_tokens"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let id = Envelope { serial, created: 0, usage }.id();
    let said =
        Said::new(&script.answer_to(&prompt), &prompt, &id, limit.unwrap_or(usize::MAX), &request["stop_sequences"]);
    let cached = request.to_string().contains("\"cache_control\"");
    let message = Message { id: format!("msg_{id}"), model, input: tokens(&prompt).len() + 3, cached, usage, said };
    Ok(match request["stream"] == true {
        true => Reply::events(message.events(), script.latency.gap),
        false => Reply::document(200, message.document().to_string().into()),
    })
}

/// An error as a document.
pub fn error(error: &ApiError) -> Bytes {
    envelope(error).to_string().into()
}

/// An error as an event in a stream.
pub fn error_event(error: &ApiError) -> Bytes {
    event("error", envelope(error))
}

/// A well-formed content event of about `bytes` bytes.
pub fn oversized_event(bytes: usize) -> Bytes {
    delta(0, json!({"type": "text_delta", "text": "x".repeat(bytes)}))
}

fn envelope(error: &ApiError) -> Value {
    let kind = match error.status {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        400..=499 => "invalid_request_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    json!({"type": "error", "error": {"type": kind, "message": error.message}, "request_id": "req_simulated"})
}

fn refusal(message: impl Into<String>) -> ApiError {
    ApiError { status: 400, message: message.into(), kind: "invalid_request_error", param: None, code: None }
}

fn check(request: &Value) -> Result<(), ApiError> {
    let limit = request["max_tokens"].as_u64().ok_or_else(|| refusal("max_tokens: Field required"))?;
    let messages = request["messages"].as_array().ok_or_else(|| refusal("messages: Field required"))?;
    if messages.first().is_none_or(|first| first["role"] != "user") {
        return Err(refusal("messages: first message must use the \"user\" role"));
    }
    if request["temperature"].as_f64().is_some_and(|temperature| !(0.0..=1.0).contains(&temperature)) {
        return Err(refusal("temperature: range: 0..1"));
    }
    if request["thinking"]["budget_tokens"].as_u64().is_some_and(|budget| budget < 1024 || budget >= limit) {
        return Err(refusal("`max_tokens` must be greater than `thinking.budget_tokens`"));
    }
    let mut called: Vec<&str> = Vec::new();
    for message in messages {
        called = blocks(message).iter().try_fold(Vec::new(), |mut calls, block| {
            check_block(block, &called)?;
            calls.extend(block["id"].as_str().filter(|_| block["type"] == "tool_use"));
            Ok(calls)
        })?;
    }
    Ok(())
}

fn check_block(block: &Value, called: &[&str]) -> Result<(), ApiError> {
    match block["type"].as_str() {
        Some("text") if block["text"].as_str().is_none_or(|text| text.trim().is_empty()) => {
            Err(refusal("messages: text content blocks must be non-empty"))
        }
        Some("tool_use") if !block["input"].is_object() => {
            Err(refusal("messages.content.tool_use.input: Input should be a valid dictionary"))
        }
        Some("tool_result") if !called.contains(&block["tool_use_id"].as_str().unwrap_or_default()) => {
            Err(refusal("messages: unexpected `tool_use_id` found in `tool_result` blocks"))
        }
        Some("thinking") if !block["signature"].as_str().is_some_and(|seal| seal.starts_with("sig-")) => {
            Err(refusal("messages: Invalid `signature` in `thinking` block"))
        }
        Some(_) => Ok(()),
        None => Err(refusal("messages.content.type: Field required")),
    }
}

fn blocks(message: &Value) -> &[Value] {
    message["content"].as_array().map_or(&[], Vec::as_slice)
}

/// The text of the last user message, of results of tools as well.
fn last_user_text(request: &Value) -> String {
    let mut messages = request["messages"].as_array().into_iter().flatten();
    messages.rfind(|message| message["role"] == "user").map(text_of).unwrap_or_default()
}

fn text_of(message: &Value) -> String {
    if let Some(text) = message["content"].as_str() {
        return text.to_owned();
    }
    let texts = blocks(message).iter().map(|block| match block["text"].as_str() {
        Some(text) => text.to_owned(),
        None => text_of(block),
    });
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

/// A content block, whole, and how it grows.
struct Block {
    whole: Value,
    begun: Value,
    deltas: Vec<Value>,
}

struct Said {
    blocks: Vec<Block>,
    /// Those of the thought included.
    tokens: usize,
    thought_tokens: usize,
    stop_reason: &'static str,
}

impl Said {
    fn new(answer: &Answer, prompt: &str, id: &str, limit: usize, stops: &Value) -> Self {
        let text = match answer {
            Answer::ToolCall { name, arguments } => return Self::calling(&[(name.clone(), arguments.clone())], id),
            Answer::ToolCalls(calls) => return Self::calling(calls, id),
            Answer::Thought { text, .. } | Answer::Text(text) => text.clone(),
            Answer::Echo => prompt.to_owned(),
            Answer::Tokens(count) => prose(prompt, *count),
            Answer::Canned(_) => String::new(),
        };
        let stops = stops.as_array().into_iter().flatten().filter_map(Value::as_str);
        let stop = stops.filter_map(|stop| text.find(stop)).min();
        let mut pieces = tokens(&text[..stop.unwrap_or(text.len())]);
        let stop_reason = match (pieces.len() > limit, stop) {
            (true, _) => "max_tokens",
            (false, Some(_)) => "stop_sequence",
            (false, None) => "end_turn",
        };
        pieces.truncate(limit);
        let thought = match answer {
            Answer::Thought { thought, .. } => Some(thought),
            _ => None,
        };
        let thought_tokens = thought.map_or(0, |thought| tokens(thought).len());
        let thought = thought.map(|thought| thinking(thought, id));
        let text = Block {
            whole: json!({"type": "text", "text": pieces.concat()}),
            begun: json!({"type": "text", "text": ""}),
            deltas: pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece})).collect(),
        };
        let blocks = thought.into_iter().chain([text]).collect();
        Self { blocks, tokens: pieces.len() + thought_tokens, thought_tokens, stop_reason }
    }

    fn calling(calls: &[(String, String)], id: &str) -> Self {
        let block = |(number, (name, arguments)): (usize, &(String, String))| {
            let input: Value = serde_json::from_str(arguments).expect("scripted arguments are JSON");
            let of = |input: Value| json!({"type": "tool_use", "id": format!("toolu_{number}{}", &id[..22]), "name": name, "input": input});
            let json = |piece: &str| json!({"type": "input_json_delta", "partial_json": piece});
            let pieces = tokens(arguments);
            Block {
                whole: of(input),
                begun: of(json!({})),
                deltas: std::iter::once("").chain(pieces.iter().map(String::as_str)).map(json).collect(),
            }
        };
        let tokens = calls.iter().map(|(_, arguments)| tokens(arguments).len()).sum();
        let blocks = calls.iter().enumerate().map(block).collect();
        Self { blocks, tokens, thought_tokens: 0, stop_reason: "tool_use" }
    }
}

fn thinking(thought: &str, id: &str) -> Block {
    let signature = format!("sig-{id}");
    let pieces = tokens(thought);
    let pieces = pieces.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
    Block {
        whole: json!({"type": "thinking", "thinking": thought, "signature": signature}),
        begun: json!({"type": "thinking", "thinking": "", "signature": ""}),
        deltas: pieces.chain([json!({"type": "signature_delta", "signature": signature})]).collect(),
    }
}

struct Message<'a> {
    id: String,
    model: &'a str,
    input: usize,
    /// Whether the prompt was marked to be kept.
    cached: bool,
    usage: bool,
    said: Said,
}

impl Message<'_> {
    fn document(&self) -> Value {
        let content = self.said.blocks.iter().map(|block| block.whole.clone()).collect();
        self.message(content, Some(self.said.stop_reason), self.said.tokens)
    }

    fn message(&self, content: Vec<Value>, stop_reason: Option<&str>, output: usize) -> Value {
        let mut message = json!({"id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": stop_reason, "stop_sequence": null});
        if self.usage {
            message["usage"] = self.usage_of(output);
            message["usage"]["service_tier"] = "standard".into();
            self.detail(&mut message["usage"], stop_reason.is_some());
        }
        message
    }

    fn usage_of(&self, output: usize) -> Value {
        let (written, read) = if self.cached { (3, 7) } else { (0, 0) };
        json!({"input_tokens": self.input, "cache_creation_input_tokens": written, "cache_read_input_tokens": read,
            "output_tokens": output})
    }

    /// How much of the answer was thought.
    fn detail(&self, usage: &mut Value, ended: bool) {
        if ended && self.said.thought_tokens > 0 {
            usage["output_tokens_details"] = json!({"thinking_tokens": self.said.thought_tokens});
        }
    }

    fn events(&self) -> Vec<Bytes> {
        let start = json!({"type": "message_start", "message": self.message(Vec::new(), None, 1)});
        let mut events = vec![event("message_start", start)];
        for (index, block) in self.said.blocks.iter().enumerate() {
            let begun = json!({"type": "content_block_start", "index": index, "content_block": block.begun});
            events.push(event("content_block_start", begun));
            if index == 0 {
                events.push(event("ping", json!({"type": "ping"})));
            }
            events.extend(block.deltas.iter().map(|change| delta(index, change.clone())));
            events.push(event("content_block_stop", json!({"type": "content_block_stop", "index": index})));
        }
        let mut end = json!({"type": "message_delta",
            "delta": {"stop_reason": self.said.stop_reason, "stop_sequence": null}});
        if self.usage {
            end["usage"] = self.usage_of(self.said.tokens);
            self.detail(&mut end["usage"], true);
        }
        events.push(event("message_delta", end));
        events.push(Bytes::from_static(STOP));
        events
    }
}

fn delta(index: usize, change: Value) -> Bytes {
    event("content_block_delta", json!({"type": "content_block_delta", "index": index, "delta": change}))
}

fn event(name: &str, data: Value) -> Bytes {
    format!("event: {name}\ndata: {data}\n\n").into()
}
