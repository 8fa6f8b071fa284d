//! How vendors and servers that call themselves compatible with OpenAI differ from it on the wire.

use bytes::Bytes;
use serde_json::{Value, json};

use super::wire::{ApiError, tokens};

/// Whose ways the chat completions have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    Vllm,
    Sglang,
    Ollama,
    LlamaCpp,
    Groq,
    Mistral,
    DeepSeek,
    OpenRouter,
    Azure,
}

impl Quirk {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Vllm,
        Self::Sglang,
        Self::Ollama,
        Self::LlamaCpp,
        Self::Groq,
        Self::Mistral,
        Self::DeepSeek,
        Self::OpenRouter,
        Self::Azure,
    ];

    /// Refuses what it does not know, where it is strict.
    pub fn check(self, request: &Value) -> Result<(), ApiError> {
        let unknown = match self {
            Self::Mistral => ["stream_options", "max_completion_tokens", "logit_bias", "logprobs", "user"].as_slice(),
            Self::Azure if request["max_tokens"].is_u64() => ["max_tokens"].as_slice(),
            _ => [].as_slice(),
        };
        match unknown.iter().find(|field| request.get(**field).is_some()) {
            Some(field) => Err(ApiError { status: 422, param: Some(field), ..ApiError::of_status(422) }),
            None => Ok(()),
        }
    }

    /// Whether usage comes in streams whether or not it is asked for.
    pub fn always_counts(self) -> bool {
        matches!(self, Self::Mistral | Self::DeepSeek | Self::Groq | Self::OpenRouter)
    }

    /// An answer that is no stream.
    pub fn document(self, whole: &[u8], thought: Option<&str>) -> Bytes {
        let mut document: Value = serde_json::from_slice(whole).expect("a document of ours is JSON");
        for choice in document["choices"].as_array_mut().into_iter().flatten() {
            let text = choice["message"]["content"].clone();
            choice["message"].as_object_mut().map(|said| said.shift_remove("reasoning_content"));
            self.think(&mut choice["message"], thought, text);
            self.decorate(choice);
        }
        self.count(&mut document);
        let blank = if self == Self::DeepSeek { "\n\n" } else { "" };
        format!("{blank}{document}").into()
    }

    /// The events of a stream, its end included.
    pub fn events(self, events: &[Bytes], thought: Option<&str>) -> Vec<Bytes> {
        let mut chunks: Vec<Value> = events.iter().filter_map(|event| chunk(event)).collect();
        chunks.retain(|chunk| chunk["choices"][0]["delta"]["reasoning_content"].is_null());
        if let Some(thought) = thought {
            let pieces = tokens(thought).into_iter().map(|piece| {
                let mut chunk = chunks[0].clone();
                chunk["choices"][0]["delta"] = json!({});
                self.think(&mut chunk["choices"][0]["delta"], Some(&piece), Value::Null);
                chunk
            });
            let pieces: Vec<Value> = pieces.collect();
            chunks.splice(1..1, pieces);
        }
        self.place_usage(&mut chunks);
        for chunk in &mut chunks {
            chunk["choices"].as_array_mut().into_iter().flatten().for_each(|choice| self.decorate(choice));
            self.count(chunk);
        }
        let mut written: Vec<Bytes> = self.comment().into_iter().collect();
        if self == Self::Azure {
            let filter = json!({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": {}}]});
            written.push(event(&filter));
        }
        for chunk in &chunks {
            written.push(event(chunk));
            written.extend(self.comment());
        }
        written.push(Bytes::from_static(super::wire::DONE));
        written
    }

    /// An error's body.
    pub fn error(self, error: &ApiError) -> Value {
        let ApiError { status, message, kind, param, code } = error;
        match self {
            Self::Vllm | Self::Sglang => {
                json!({"object": "error", "message": message, "type": "BadRequestError", "param": param, "code": status})
            }
            Self::Mistral if *status == 422 => {
                let detail = json!([{"type": "extra_forbidden", "loc": ["body", param], "msg": message}]);
                json!({"object": "error", "message": {"detail": detail}, "type": "invalid_request_error",
                    "param": null, "code": null})
            }
            Self::Mistral => {
                json!({"object": "error", "message": message, "type": kind, "param": null, "code": "1000"})
            }
            Self::Ollama => json!({"error": message}),
            Self::LlamaCpp => json!({"error": {"code": status, "message": message, "type": kind}}),
            Self::OpenRouter => json!({"error": {"code": status, "message": message, "metadata": {}}, "user_id": "u"}),
            Self::Azure => json!({"error": {"code": code.unwrap_or("BadRequest"), "message": message,
                "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
            Self::Groq | Self::DeepSeek => {
                json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
            }
        }
    }

    /// What is said in place of an answer's rest.
    pub fn error_event(self, error: &ApiError) -> Bytes {
        match self {
            Self::OpenRouter => event(&json!({"id": "gen-1", "object": "chat.completion.chunk", "provider": "x",
                "error": {"code": error.status, "message": error.message},
                "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]})),
            Self::DeepSeek => event(&json!({"id": "x", "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "insufficient_system_resource"}]})),
            _ => event(&self.error(error)),
        }
    }

    /// Puts a thought where it keeps thoughts.
    fn think(self, said: &mut Value, thought: Option<&str>, text: Value) {
        let Some(thought) = thought else { return };
        match self {
            Self::Vllm | Self::Sglang | Self::DeepSeek | Self::LlamaCpp => said["reasoning_content"] = thought.into(),
            Self::Ollama | Self::Groq => said["reasoning"] = thought.into(),
            Self::OpenRouter => {
                said["reasoning"] = thought.into();
                said["reasoning_details"] = json!([{"type": "reasoning.text", "text": thought}]);
            }
            Self::Mistral => {
                let thinking = json!({"type": "thinking", "thinking": [{"type": "text", "text": thought}]});
                let text = text.as_str().map(|text| json!({"type": "text", "text": text}));
                said["content"] = [thinking].into_iter().chain(text).collect();
            }
            // It keeps them to itself.
            Self::Azure => {}
        }
    }

    fn place_usage(self, chunks: &mut Vec<Value>) {
        if !self.always_counts() {
            return;
        }
        let Some(at) = chunks.iter().position(|chunk| chunk["usage"].is_object()) else { return };
        chunks.iter_mut().enumerate().filter(|(n, _)| *n != at).for_each(|(_, chunk)| {
            chunk.as_object_mut().expect("chunks are objects").remove("usage");
        });
        match self {
            Self::OpenRouter => {
                chunks[at]["choices"] = json!([{"index": 0, "delta": {"role": "assistant", "content": ""}}]);
            }
            Self::Groq => {
                let usage = chunks.remove(at)["usage"].take();
                chunks[at - 1]["x_groq"] = json!({"id": "req_1", "usage": usage});
            }
            _ => {
                let usage = chunks.remove(at)["usage"].take();
                chunks[at - 1]["usage"] = usage;
            }
        }
    }

    /// Its own fields of a choice.
    fn decorate(self, choice: &mut Value) {
        match self {
            Self::Vllm => choice["stop_reason"] = Value::Null,
            Self::Sglang => choice["matched_stop"] = Value::Null,
            Self::OpenRouter => choice["native_finish_reason"] = choice["finish_reason"].clone(),
            Self::Azure => choice["content_filter_results"] = json!({"hate": {"filtered": false, "severity": "safe"}}),
            _ => {}
        }
    }

    /// Its own fields beside the usage.
    fn count(self, answer: &mut Value) {
        if !answer["usage"].is_object() {
            return;
        }
        match self {
            Self::LlamaCpp => answer["timings"] = json!({"prompt_n": 1, "predicted_per_second": 40.5}),
            Self::DeepSeek => {
                answer["usage"]["prompt_cache_hit_tokens"] = 2.into();
                answer["usage"]["prompt_cache_miss_tokens"] = 1.into();
                answer["usage"].as_object_mut().expect("usage is an object").remove("prompt_tokens_details");
            }
            Self::OpenRouter => answer["usage"]["cost"] = 0.000_014.into(),
            Self::Groq => answer["usage"]["queue_time"] = 0.02.into(),
            Self::Vllm | Self::Sglang => answer["usage"]["prompt_tokens_details"] = Value::Null,
            Self::Ollama => {
                let usage = answer["usage"].as_object_mut().expect("usage is an object");
                usage.retain(|key, _| !key.ends_with("_details"));
            }
            Self::Mistral | Self::Azure => {}
        }
    }

    fn comment(self) -> Option<Bytes> {
        match self {
            Self::OpenRouter => Some(Bytes::from_static(b": OPENROUTER PROCESSING\n\n")),
            Self::DeepSeek => Some(Bytes::from_static(b": keep-alive\n\n")),
            _ => None,
        }
    }
}

/// The JSON of an event; `None` for the end marker.
fn chunk(event: &[u8]) -> Option<Value> {
    serde_json::from_slice(event.strip_prefix(b"data: ")?.trim_ascii_end()).ok()
}

fn event(data: &Value) -> Bytes {
    format!("data: {data}\n\n").into()
}
