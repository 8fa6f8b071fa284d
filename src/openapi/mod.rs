//! What is served, as an OpenAPI 3.1 document made of types: `ajar openapi` prints it, and `docs/openapi.json` is it.
//!
//! Requests are *read* by [`crate::dialect`], which knows places and says what to do; tests hold both to the same members
//! and values, and the document to the routes that there are.

pub mod chat;
pub mod messages;
mod operation;
pub mod responses;
pub mod shared;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::operation::{Listener, Operation};
use crate::pipeline::Reload;
use crate::policy::explain::Explanation;
use crate::serve::operator::Readiness;

/// Where a data listener is by default.
const DATA: &str = "http://127.0.0.1:8080";
/// Where an operators' listener is by default.
const OPERATOR: &str = "http://127.0.0.1:8081";

/// The document.
pub fn document() -> Value {
    let mut settings = SchemaSettings::draft2020_12();
    settings.definitions_path = "/components/schemas".into();
    settings.meta_schema = None;
    let mut types = settings.into_generator();
    let mut paths = Map::new();
    for operation in operations(&mut types) {
        let item = paths.entry(operation.path).or_insert_with(|| item(&operation));
        let method = operation.method;
        item[method] = operation.describe(&mut types);
    }
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "ajar",
            "summary": "A reverse proxy for LLM calls that decides by policy who answers.",
            "description": "Unknown paths are 404: nothing passes through unseen. docs/api.md says more.",
            "version": env!("CARGO_PKG_VERSION"),
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": DATA, "description": "What applications call."}],
        "security": [{"bearer": []}, {"key": []}, {}],
        "tags": Listener::TAGS.map(|(name, description)| json!({"name": name, "description": description})),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A virtual key, `ajar-…`."},
                "key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "A virtual key, `ajar-…`."},
            },
            "headers": operation::headers(),
            "schemas": types.take_definitions(true),
        },
    });
    tidy(&mut document);
    document
}

/// A path, before its methods.
fn item(operation: &Operation) -> Value {
    match operation.listener {
        Listener::Data => json!({}),
        Listener::Operator => json!({"servers": [{"url": OPERATOR, "description": "What operators call."}]}),
    }
}

fn operations(types: &mut SchemaGenerator) -> Vec<Operation> {
    vec![
        Operation::post(
            "/v1/chat/completions",
            "createChatCompletion",
            "Go on with a conversation, as OpenAI's chat completions.",
        )
        .takes::<chat::ChatCompletionRequest>(types)
        .gives::<chat::ChatCompletion>(types)
        .streams::<chat::ChatCompletionChunk>(types)
        .of_models(),
        Operation::post("/v1/responses", "createResponse", "Go on with a conversation, as OpenAI's responses.")
            .takes::<responses::ResponseRequest>(types)
            .gives::<responses::Response>(types)
            .streams::<responses::ResponseEvent>(types)
            .of_models(),
        Operation::get("/v1/responses/{id}", "getResponse", "An answer that is kept for those who continue it.")
            .gives::<responses::Response>(types)
            .may_miss(),
        Operation::delete("/v1/responses/{id}", "deleteResponse", "Forget an answer that is kept.")
            .gives::<responses::Deleted>(types)
            .may_miss(),
        Operation::post("/v1/messages", "createMessage", "Go on with a conversation, as Anthropic's messages.")
            .takes::<messages::MessagesRequest>(types)
            .gives::<messages::Message>(types)
            .streams::<messages::MessageEvent>(types)
            .of_models()
            .in_anthropics_shape(),
        Operation::post(
            "/v1/messages/count_tokens",
            "countTokens",
            "How many tokens a prompt has, estimated from above.",
        )
        .takes::<messages::CountTokensRequest>(types)
        .gives::<messages::TokenCount>(types)
        .in_anthropics_shape(),
        Operation::get("/v1/models", "listModels", "`auto`, and the destinations that a client may name.")
            .gives::<shared::Models>(types),
        Operation::get("/healthz", "getHealth", "Whether the process answers.").by_operators().gives_text("text/plain"),
        Operation::get("/readyz", "getReadiness", "Whether no engine is loading, and what is in force.")
            .by_operators()
            .gives::<Readiness<'static>>(types)
            .also::<Readiness<'static>>(503, types),
        Operation::get("/metrics", "getMetrics", "Metrics, as OpenMetrics.")
            .by_operators()
            .gives_text("application/openmetrics-text"),
        Operation::post("/api/explain", "explain", "What would be decided about a request, and why. Executes nothing.")
            .by_operators()
            .takes::<chat::ChatCompletionRequest>(types)
            .gives::<Explanation<'static>>(types)
            .named(),
        Operation::post("/api/reload", "reload", "Read policies, keys and credentials again: all or nothing.")
            .by_operators()
            .gives::<Reload>(types)
            .also::<Reload>(422, types),
    ]
}

/// The schema of `T`, by reference where it has a name.
fn schema<T: JsonSchema>(types: &mut SchemaGenerator) -> Value {
    types.subschema_for::<T>().to_value()
}

/// A description has no line breaks.
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => map.iter_mut().for_each(|(key, value)| match value {
            Value::String(text) if key == "description" => {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            value => tidy(value),
        }),
        Value::Array(items) => items.iter_mut().for_each(tidy),
        _ => {}
    }
}
