//! Google's `generateContent` and `streamGenerateContent`, from the provider's side.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    body::Reply,
    responses::Said,
    script::{Fault, Script},
    wire::{ApiError, Envelope, pretty, tokens},
};

/// An event whose JSON breaks off.
pub const MALFORMED: &[u8] = b"data: {\"candidates\":[{\"content\":{\"parts\":[{\"te\r\n\r\n";

/// An error as a document, as Google's APIs have it.
pub fn error(error: &ApiError) -> Bytes {
    pretty(&envelope(error))
}

/// An error as an event in a stream.
pub fn error_event(error: &ApiError) -> Bytes {
    format!("data: {}\r\n\r\n", envelope(error)).into()
}

/// A well-formed content event of about `bytes` bytes.
pub fn oversized_event(bytes: usize) -> Bytes {
    let content = json!({"parts": [{"text": "x".repeat(bytes)}], "role": "model"});
    format!("data: {}\r\n\r\n", json!({"candidates": [{"content": content, "index": 0}]})).into()
}

fn envelope(error: &ApiError) -> Value {
    let status = match error.status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        400..=499 => "INVALID_ARGUMENT",
        503 => "UNAVAILABLE",
        _ => "INTERNAL",
    };
    json!({"error": {"code": error.status, "message": error.message, "status": status, "details": []}})
}

/// The model and whether to stream, where the path is Gemini's.
pub fn called(path: &str) -> Option<(&str, bool)> {
    let (model, method) = path.strip_prefix("/v1/models/")?.split_once(':')?;
    match method {
        "generateContent" => Some((model, false)),
        "streamGenerateContent" => Some((model, true)),
        _ => None,
    }
}

/// The scripted answer to a request's body.
pub fn answer(
    script: &Script,
    serial: u64,
    index: u64,
    (model, streams): (&str, bool),
    body: &Bytes,
) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let prompt = prompt(request["contents"].as_array().ok_or_else(|| ApiError::missing("contents"))?);
    let limit = request["generationConfig"]["maxOutputTokens"].as_u64();
    let said = Said::new(&script.answer_to(&prompt), &prompt, limit);
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let id = Envelope { serial, created: 0, usage }.id();
    let written = Written { id, model: model.to_owned(), said, prompt, usage };
    Ok(match streams {
        true => Reply::events(written.chunks(), script.latency.gap),
        false => Reply::document(200, pretty(&written.chunk(written.parts(), true))),
    })
}

/// The last text of the user's.
fn prompt(contents: &[Value]) -> String {
    let texts = |content: &Value| {
        let parts = content["parts"].as_array().into_iter().flatten().filter_map(|part| part["text"].as_str());
        parts.collect::<Vec<_>>().join("\n")
    };
    let of_user = contents.iter().rev().filter(|content| content["role"] == "user").map(texts);
    of_user.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

struct Written {
    id: String,
    model: String,
    said: Said,
    prompt: String,
    usage: bool,
}

impl Written {
    fn parts(&self) -> Vec<Value> {
        let thought = self.said.thought.iter().map(|thought| json!({"text": thought, "thought": true}));
        let mut parts: Vec<Value> = thought.chain(self.calls()).collect();
        if self.said.calls.is_empty() {
            parts.push(json!({"text": self.said.pieces.concat()}));
        }
        parts
    }

    /// The calls; the first is signed.
    fn calls(&self) -> impl Iterator<Item = Value> {
        self.said.calls.iter().enumerate().map(|(number, (name, arguments))| {
            let args: Value = serde_json::from_str(arguments).unwrap_or_default();
            let mut part = json!({"functionCall": {"name": name, "args": args}});
            if number == 0 {
                part["thoughtSignature"] = format!("sig{}", self.id).into();
            }
            part
        })
    }

    fn chunk(&self, parts: Vec<Value>, ended: bool) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if ended {
            candidate["finishReason"] = if self.said.cut { "MAX_TOKENS" } else { "STOP" }.into();
        }
        let mut chunk = json!({"candidates": [candidate], "modelVersion": self.model, "responseId": self.id});
        if self.usage {
            let (input, output) = (tokens(&self.prompt).len() + 3, self.said.pieces.len());
            chunk["usageMetadata"] = json!({"promptTokenCount": input, "candidatesTokenCount": output,
                "totalTokenCount": input + output});
        }
        chunk
    }

    fn chunks(&self) -> Vec<Bytes> {
        let thoughts = self.said.thought.iter().flat_map(|thought| tokens(thought));
        let mut parts: Vec<Value> = thoughts.map(|piece| json!({"text": piece, "thought": true})).collect();
        parts.extend(self.calls());
        if self.said.calls.is_empty() {
            parts.extend(self.said.pieces.iter().map(|piece| json!({"text": piece})));
        }
        let last = parts.len().saturating_sub(1);
        let chunks = parts.into_iter().enumerate().map(|(at, part)| self.chunk(vec![part], at == last));
        chunks.map(|chunk| format!("data: {chunk}\r\n\r\n").into()).collect()
    }
}
