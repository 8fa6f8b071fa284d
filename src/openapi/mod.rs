//! What is served, as an OpenAPI 3.1 document made of types: `ajar openapi` prints it, and `docs/openapi.json` is it.
//!
//! Requests are *read* by [`crate::dialect`], which knows places and says what to do; tests hold both to the same members
//! and values, and the document to the routes that there are.

pub mod chat;
pub mod completions;
pub mod embeddings;
pub mod messages;
pub mod moderations;
mod operation;
pub mod responses;
pub mod shared;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use self::operation::{Listener, Operation};
use crate::dialect::Dialect;
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
        Operation::get("/v1/responses/{id}/input_items", "listInputItems", "What an answer that is kept was given.")
            .queried("limit", "How many at most.", json!({"type": "integer", "minimum": 1, "maximum": 100}))
            .queried("order", "Whether the latest comes first.", json!({"enum": ["asc", "desc"]}))
            .queried("after", "The id of the item before.", json!({"type": "string"}))
            .gives::<responses::InputItems>(types)
            .may_miss()
            .may_be_wrong(),
        Operation::post("/v1/completions", "createCompletion", "Go on with a text, as OpenAI's legacy completions.")
            .takes::<completions::CompletionRequest>(types)
            .gives::<completions::Completion>(types)
            .streams::<completions::Completion>(types)
            .of_models(),
        Operation::post("/v1/embeddings", "createEmbedding", "Texts as vectors, as OpenAI's embeddings.")
            .takes::<embeddings::EmbeddingRequest>(types)
            .gives::<embeddings::Embeddings>(types)
            .of_models(),
        Operation::post(
            "/v1/moderations",
            "createModeration",
            "What is wrong with texts and images, as OpenAI's moderations.",
        )
        .takes::<moderations::ModerationRequest>(types)
        .gives::<moderations::Moderation>(types)
        .of_models(),
        Operation::post("/v1/messages", "createMessage", "Go on with a conversation, as Anthropic's messages.")
            .takes::<messages::MessagesRequest>(types)
            .gives::<messages::Message>(types)
            .streams::<messages::MessageEvent>(types)
            .of_models()
            .in_anthropics_shape(),
        Operation::post(
            "/v1/messages/count_tokens",
            "countTokens",
            "How many tokens a prompt has: counted by the embedded model that is named, else estimated.",
        )
        .takes::<messages::CountTokensRequest>(types)
        .gives::<messages::TokenCount>(types)
        .in_anthropics_shape(),
        Operation::get("/v1/models", "listModels", "`auto`, and the destinations that a client may name.")
            .gives::<shared::Models>(types),
        Operation::get("/v1/models/{id}", "getModel", "One of the models that a client may name.")
            .gives::<shared::OneModel>(types)
            .may_miss(),
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
            .queried(
                "dialect",
                "What it is written in; else what it looks like.",
                json!({"enum": Dialect::ALL.map(Dialect::name)}),
            )
            .takes::<AnyRequest>(types)
            .gives::<Explanation<'static>>(types)
            .named(),
        Operation::post("/api/reload", "reload", "Read policies, keys and credentials again: all or nothing.")
            .by_operators()
            .gives::<Reload>(types)
            .also::<Reload>(422, types),
    ]
}

/// A request in any dialect.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum AnyRequest {
    /// Of chat completions.
    Chat(Box<chat::ChatCompletionRequest>),
    /// Of messages.
    Messages(Box<messages::MessagesRequest>),
    /// Of responses.
    Responses(Box<responses::ResponseRequest>),
    /// Of legacy completions.
    Completions(Box<completions::CompletionRequest>),
    /// Of embeddings.
    Embeddings(Box<embeddings::EmbeddingRequest>),
    /// Of moderations.
    Moderations(Box<moderations::ModerationRequest>),
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
