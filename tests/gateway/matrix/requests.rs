//! What clients of each dialect ask, with all that the dialect can say of a feature.

use ajar::dialect::Dialect;
use serde_json::{Value, json};

use crate::harness::{streamed, with};

/// A line of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    Text,
    Stream,
    Tools,
    StreamedTools,
    Structured,
    Image,
    Reasoning,
    StreamedReasoning,
    Error,
    BrokenStream,
}

impl Feature {
    pub const ALL: [Self; 10] = [
        Self::Text,
        Self::Stream,
        Self::Tools,
        Self::StreamedTools,
        Self::Structured,
        Self::Image,
        Self::Reasoning,
        Self::StreamedReasoning,
        Self::Error,
        Self::BrokenStream,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Stream => "stream",
            Self::Tools => "tools",
            Self::StreamedTools => "streamed tools",
            Self::Structured => "structured output",
            Self::Image => "image",
            Self::Reasoning => "reasoning",
            Self::StreamedReasoning => "streamed reasoning",
            Self::Error => "error",
            Self::BrokenStream => "error in a stream",
        }
    }

    fn streams(self) -> bool {
        matches!(self, Self::Stream | Self::StreamedTools | Self::StreamedReasoning | Self::BrokenStream)
    }
}

/// Where clients of `dialect` ask.
pub fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "/v1/chat/completions",
        Dialect::Responses => "/v1/responses",
        Dialect::Messages => "/v1/messages",
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => {
            unreachable!("the matrix is of conversations")
        }
    }
}

/// A request of `model` that uses `feature`.
pub fn request(dialect: Dialect, feature: Feature, model: &str) -> Value {
    let said = match dialect {
        Dialect::Chat => chat(feature),
        Dialect::Responses => responses(feature),
        Dialect::Messages => messages(feature),
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => {
            unreachable!("the matrix is of conversations")
        }
    };
    let body = with(json!({"model": model}), said);
    if feature.streams() { streamed(body) } else { body }
}

/// A pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const QUESTION: &str = "How is the weather in two cities?";
const BEFORE: &str = "How is the weather in Bonn and Rom?";
const THINK: &str = "Think: is it a river?";

/// Of one value, so that any model gives it.
fn city() -> Value {
    json!({"type": "object", "properties": {"city": {"type": "string", "enum": ["Ulm"]}}, "required": ["city"],
        "additionalProperties": false})
}

fn named() -> Value {
    json!({"type": "object", "properties": {"name": {"type": "string", "enum": ["Ulm"]}}, "required": ["name"],
        "additionalProperties": false})
}

fn chat(feature: Feature) -> Value {
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    match feature {
        Feature::Text => json!({"max_completion_tokens": 4, "temperature": 0, "seed": 7, "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "What is 1+1?"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "name": "ann", "content": [{"type": "text", "text": "What is it?"}]},
        ]}),
        Feature::Stream => json!({"max_tokens": 4, "temperature": 0, "stream_options": {"include_usage": true},
            "messages": user("What is it?".into())}),
        Feature::Error | Feature::BrokenStream => json!({"max_tokens": 4, "messages": user("What was it?".into())}),
        Feature::Tools | Feature::StreamedTools => json!({"max_tokens": 100, "temperature": 0, "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": BEFORE},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Bonn\"}"}},
                    {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Rom\"}"}}]},
                {"role": "tool", "tool_call_id": "call_1", "content": "{\"sky\": \"clear\"}"},
                {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
                {"role": "user", "content": QUESTION},
            ],
            "tools": [{"type": "function",
                "function": {"name": "weather", "description": "of a city", "strict": true, "parameters": city()}}],
            "tool_choice": "required", "parallel_tool_calls": true}),
        Feature::Structured => json!({"max_tokens": 100, "temperature": 0, "messages": user("Name a city.".into()),
            "response_format": {"type": "json_schema",
                "json_schema": {"name": "city", "strict": true, "schema": named()}}}),
        Feature::Image => json!({"max_tokens": 100, "messages": user(json!([
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{PNG}")}},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg"}},
        ]))}),
        Feature::Reasoning | Feature::StreamedReasoning => {
            json!({"max_completion_tokens": 4000, "reasoning_effort": "low", "messages": user(THINK.into())})
        }
    }
}

fn responses(feature: Feature) -> Value {
    match feature {
        Feature::Text => {
            json!({"max_output_tokens": 4, "temperature": 0, "instructions": "Be brief.", "store": false, "input": [
                {"role": "user", "content": "What is 1+1?"},
                {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed",
                    "content": [{"type": "output_text", "text": "2", "annotations": []}]},
                {"role": "user", "content": [{"type": "input_text", "text": "What is it?"}]},
            ]})
        }
        Feature::Stream => json!({"max_output_tokens": 4, "temperature": 0, "input": "What is it?"}),
        Feature::Error | Feature::BrokenStream => json!({"max_output_tokens": 4, "input": "What was it?"}),
        Feature::Tools | Feature::StreamedTools => json!({"max_output_tokens": 100, "temperature": 0, "store": false,
            "input": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": BEFORE},
                {"id": "fc_1", "type": "function_call", "status": "completed", "call_id": "call_1", "name": "weather",
                    "arguments": "{\"city\": \"Bonn\"}"},
                {"id": "fc_2", "type": "function_call", "status": "completed", "call_id": "call_2", "name": "weather",
                    "arguments": "{\"city\": \"Rom\"}"},
                {"type": "function_call_output", "call_id": "call_1", "output": "{\"sky\": \"clear\"}"},
                {"type": "function_call_output", "call_id": "call_2", "output": "rain"},
                {"role": "user", "content": QUESTION},
            ],
            "tools": [{"type": "function", "name": "weather", "description": "of a city", "strict": true,
                "parameters": city()}],
            "tool_choice": "required", "parallel_tool_calls": true}),
        Feature::Structured => json!({"max_output_tokens": 100, "temperature": 0, "input": "Name a city.",
            "text": {"format": {"type": "json_schema", "name": "city", "strict": true, "schema": named()}}}),
        Feature::Image => json!({"max_output_tokens": 100, "input": [{"role": "user", "content": [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "detail": "auto", "image_url": format!("data:image/png;base64,{PNG}")},
            {"type": "input_image", "detail": "auto", "image_url": "https://example.com/a.jpg"},
        ]}]}),
        Feature::Reasoning | Feature::StreamedReasoning => json!({"max_output_tokens": 4000, "input": THINK,
            "reasoning": {"effort": "low", "summary": "auto"}, "include": ["reasoning.encrypted_content"]}),
    }
}

fn messages(feature: Feature) -> Value {
    let user = |content: Value| json!([{"role": "user", "content": content}]);
    match feature {
        Feature::Text => json!({"max_tokens": 4, "temperature": 0, "top_k": 1,
            "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
            "metadata": {"user_id": "ann"}, "messages": [
            {"role": "user", "content": "What is 1+1?"},
            {"role": "assistant", "content": [{"type": "text", "text": "2"}]},
            {"role": "user", "content": [{"type": "text", "text": "What is it?"}]},
        ]}),
        Feature::Stream => json!({"max_tokens": 4, "temperature": 0, "messages": user("What is it?".into())}),
        Feature::Error | Feature::BrokenStream => json!({"max_tokens": 4, "messages": user("What was it?".into())}),
        Feature::Tools | Feature::StreamedTools => json!({"max_tokens": 100, "temperature": 0, "system": "Be brief.",
            "messages": [
                {"role": "user", "content": BEFORE},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Bonn"}},
                    {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {"city": "Rom"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "{\"sky\": \"clear\"}"},
                    {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "rain"}]},
                    {"type": "text", "text": QUESTION}]},
            ],
            "tools": [{"name": "weather", "description": "of a city", "strict": true, "input_schema": city()}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": false}}),
        Feature::Structured => json!({"max_tokens": 100, "temperature": 0, "messages": user("Name a city.".into()),
            "output_config": {"format": {"type": "json_schema", "schema": named()}}}),
        Feature::Image => json!({"max_tokens": 100, "messages": user(json!([
            {"type": "text", "text": "What is it?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.jpg"}},
        ]))}),
        Feature::Reasoning | Feature::StreamedReasoning => json!({"max_tokens": 4000, "messages": user(THINK.into()),
            "thinking": {"type": "enabled", "budget_tokens": 1024}}),
    }
}
