//! One method of one path.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::{schema, shared};

/// Who calls.
#[derive(Clone, Copy)]
pub enum Listener {
    /// Applications.
    Data,
    /// Operators.
    Operator,
}

impl Listener {
    /// The names of both, and what they are.
    pub const TAGS: [(&str, &str); 2] =
        [("data", "What applications call."), ("operator", "What operators call, on a listener of its own.")];
}

/// What is asked and answered.
pub struct Operation {
    pub listener: Listener,
    pub path: &'static str,
    pub method: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    request: Option<Value>,
    /// Status, what it means, and the content by its media type.
    answers: Vec<(u16, &'static str, Map<String, Value>)>,
    /// Statuses of failures.
    failures: Vec<u16>,
    anthropics: bool,
    labelled: bool,
}

/// Refusals that any request can meet on the data listener.
const REFUSALS: [u16; 6] = [400, 401, 408, 413, 415, 429];
/// Failures of an answer by a model.
const OF_MODELS: [u16; 7] = [403, 404, 422, 500, 502, 503, 504];

impl Operation {
    /// Of the data listener, with a body.
    pub fn post(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self { failures: REFUSALS.to_vec(), ..Self::new("post", path, id, summary) }
    }

    /// Of the data listener, without a body.
    pub fn get(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self { failures: vec![401], ..Self::new("get", path, id, summary) }
    }

    /// Of the data listener, without a body.
    pub fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Self {
        Self { failures: vec![401], ..Self::new("delete", path, id, summary) }
    }

    fn new(method: &'static str, path: &'static str, id: &'static str, summary: &'static str) -> Self {
        let parameters = match path.contains("{id}") {
            true => vec![json!({
                "name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
            })],
            false => Vec::new(),
        };
        Self {
            listener: Listener::Data,
            path,
            method,
            id,
            summary,
            parameters,
            request: None,
            answers: Vec::new(),
            failures: Vec::new(),
            anthropics: false,
            labelled: false,
        }
    }

    /// On the operators' listener, which asks for no key.
    pub fn by_operators(self) -> Self {
        let failures = if self.method == "post" { vec![503] } else { Vec::new() };
        Self { listener: Listener::Operator, failures, ..self }
    }

    /// With a body.
    pub fn takes<T: JsonSchema>(self, types: &mut SchemaGenerator) -> Self {
        Self { request: Some(schema::<T>(types)), ..self }
    }

    /// With this answer.
    pub fn gives<T: JsonSchema>(self, types: &mut SchemaGenerator) -> Self {
        let schema = schema::<T>(types);
        self.content(200, "application/json", schema)
    }

    /// With this answer where the status says that something is amiss.
    pub fn also<T: JsonSchema>(self, status: u16, types: &mut SchemaGenerator) -> Self {
        let schema = schema::<T>(types);
        let failures = self.failures.iter().copied().filter(|failure| *failure != status).collect();
        Self { failures, ..self }.content(status, "application/json", schema)
    }

    /// With an answer that is no JSON.
    pub fn gives_text(self, media_type: &'static str) -> Self {
        self.content(200, media_type, json!({"type": "string"}))
    }

    /// With server-sent events, each of this type, where the request asks for them.
    pub fn streams<T: JsonSchema>(self, types: &mut SchemaGenerator) -> Self {
        let event = schema::<T>(types);
        self.content(200, "text/event-stream", json!({"type": "string", "x-event": event}))
    }

    fn content(mut self, status: u16, media_type: &'static str, schema: Value) -> Self {
        if self.answers.iter().all(|(known, ..)| *known != status) {
            self.answers.push((status, meaning(status), Map::new()));
        }
        for (_, _, content) in self.answers.iter_mut().filter(|(known, ..)| *known == status) {
            content.insert(media_type.to_owned(), json!({"schema": schema}));
        }
        self
    }

    /// Answered by a model: everything can happen, and headers tell why.
    pub fn of_models(mut self) -> Self {
        self.failures.extend(OF_MODELS);
        self.parameters.extend([
            header("Idempotency-Key", "That this is the same request as one before."),
            header("Cache-Control", "`no-cache` asks anew, `no-store` keeps nothing either."),
        ]);
        Self { labelled: true, ..self }
    }

    /// What is named by the path may not be there.
    pub fn may_miss(mut self) -> Self {
        self.failures.push(404);
        self
    }

    /// With something in the URL's query.
    pub fn queried(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(json!({"name": name, "in": "query", "description": description, "schema": schema}));
        self
    }

    /// What is asked for in the query may not be there to be asked for.
    pub fn may_be_wrong(mut self) -> Self {
        self.failures.push(400);
        self
    }

    /// For the key that is named by a header.
    pub fn named(mut self) -> Self {
        self.parameters.push(header("x-ajar-key", "For whom: a key's name."));
        self.failures.extend([400, 404, 408, 413]);
        self
    }

    /// Failures have Anthropic's shape.
    pub fn in_anthropics_shape(self) -> Self {
        Self { anthropics: true, ..self }
    }

    /// The `Operation Object`.
    pub fn describe(mut self, types: &mut SchemaGenerator) -> Value {
        let failure = match self.anthropics {
            true => schema::<shared::MessagesError>(types),
            false => schema::<shared::Error>(types),
        };
        for status in std::mem::take(&mut self.failures) {
            self = self.content(status, "application/json", failure.clone());
        }
        self.answers.sort_by_key(|(status, ..)| *status);
        let labelled = self.labelled;
        let answer = |(status, meaning, content): (u16, &str, Map<String, Value>)| {
            let mut answer = json!({"description": meaning, "content": content});
            if labelled {
                answer["headers"] = references();
            }
            (status.to_string(), answer)
        };
        let responses: Map<String, Value> = self.answers.into_iter().map(answer).collect();
        let mut operation = json!({
            "operationId": self.id,
            "summary": self.summary,
            "tags": [match self.listener { Listener::Data => "data", Listener::Operator => "operator" }],
        });
        if matches!(self.listener, Listener::Operator) {
            operation["security"] = json!([{}]);
        }
        if !self.parameters.is_empty() {
            operation["parameters"] = Value::Array(self.parameters);
        }
        if let Some(schema) = self.request {
            operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
        }
        operation["responses"] = Value::Object(responses);
        operation
    }
}

fn header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}})
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "Done.",
        400 => "The request is wrong; `param` names the field.",
        401 => "No key, or one that nobody knows.",
        403 => "The policy permits nobody to answer.",
        404 => "It does not exist.",
        408 => "The body did not come in time.",
        413 => "The body is too large.",
        415 => "The body is compressed.",
        422 => "Nobody who may answer can do what is asked.",
        429 => "A rate limit or a budget is reached.",
        500 => "A fault of the gateway's own.",
        502 => "The provider did not answer.",
        503 => "Nobody who may answer is available now.",
        504 => "The model did not answer in time.",
        _ => "",
    }
}

/// What answers say of themselves, for keys that may know.
const HEADERS: [(&str, &str); 9] = [
    ("x-ajar-id", "The request's id, for `ajar log show`."),
    ("x-ajar-reason", "Why: a code."),
    ("x-ajar-cache", "`hit`, `miss`, `bypass` or `coalesced`."),
    ("x-ajar-served-by", "The destination that answered."),
    ("x-ajar-cost", "US dollars; not on streams."),
    ("x-ajar-warning", "What the destination was not told, and what else there is to know."),
    ("x-ajar-route", "The route that was taken."),
    ("x-ajar-policy", "The digest of the policy set."),
    ("retry-after", "When to try again, in seconds."),
];

/// The headers of answers, for `components`.
pub fn headers() -> Value {
    let header = |(name, description): (&str, &str)| {
        (name.to_owned(), json!({"description": description, "schema": {"type": "string"}}))
    };
    Value::Object(HEADERS.into_iter().map(header).collect())
}

fn references() -> Value {
    let reference =
        |(name, _): (&str, &str)| (name.to_owned(), json!({"$ref": format!("#/components/headers/{name}")}));
    Value::Object(HEADERS.into_iter().map(reference).collect())
}
