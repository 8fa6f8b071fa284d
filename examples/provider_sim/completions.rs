//! OpenAI's legacy completions, from the provider's side: a text in, what comes after it out.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    body::Reply,
    responses::Said,
    script::{Fault, Script},
    unix_seconds,
    wire::{ApiError, DONE, Envelope, event, pretty, strings, tokens},
};

/// Tokens of an answer where the request does not say how many.
const MAX_TOKENS: u64 = 16;

/// The scripted answer to a request's body.
pub fn answer(script: &Script, serial: u64, index: u64, body: &Bytes) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let model = request["model"].as_str().ok_or_else(|| ApiError::missing("model"))?.to_owned();
    if !script.models.is_empty() && !script.models.contains(&model) {
        return Err(ApiError::unknown_model(&model));
    }
    let prompt = strings(&request["prompt"]).pop().ok_or_else(|| ApiError::missing("prompt"))?;
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let envelope = Envelope { serial, created: unix_seconds(), usage };
    let written = Written::new(script, &request, model, prompt, &envelope);
    Ok(match request["stream"] == true {
        true => Reply::events(written.events(), script.latency.gap),
        false => Reply::document(200, pretty(&written.document())),
    })
}

struct Written {
    id: String,
    created: u64,
    model: String,
    prompt: String,
    pieces: Vec<String>,
    finish: &'static str,
    choices: u64,
    likely: Option<u64>,
    usage: bool,
    include_usage: bool,
}

impl Written {
    fn new(script: &Script, request: &Value, model: String, prompt: String, envelope: &Envelope) -> Self {
        let said = Said::new(&script.answer_to(&prompt), &prompt, None).pieces.concat();
        let stop = strings(&request["stop"]).iter().filter_map(|stop| said.find(stop.as_str())).min();
        let mut pieces = tokens(&said[..stop.unwrap_or(said.len())]);
        let limit = request["max_tokens"].as_u64().unwrap_or(MAX_TOKENS) as usize;
        let finish = if pieces.len() > limit { "length" } else { "stop" };
        pieces.truncate(limit);
        if request["echo"] == true {
            pieces.splice(0..0, tokens(&prompt));
        }
        Self {
            id: format!("cmpl-{}", envelope.id()),
            created: envelope.created,
            model,
            prompt,
            pieces,
            finish,
            choices: request["n"].as_u64().unwrap_or(1),
            likely: request["logprobs"].as_u64(),
            usage: envelope.usage,
            include_usage: request["stream_options"]["include_usage"] == true,
        }
    }

    fn wrap(&self, choices: &[Value]) -> Value {
        json!({"id": self.id, "object": "text_completion", "created": self.created, "model": self.model,
            "choices": choices})
    }

    fn choice(&self, index: u64, pieces: &[String], offset: usize, finish: Option<&str>) -> Value {
        json!({"text": pieces.concat(), "index": index, "logprobs": self.likelihoods(pieces, offset),
            "finish_reason": finish})
    }

    /// Each token is likely, and so is a blank in its place.
    fn likelihoods(&self, pieces: &[String], mut offset: usize) -> Option<Value> {
        let count = self.likely?;
        let mut offsets = Vec::new();
        for piece in pieces {
            offsets.push(offset);
            offset += piece.chars().count();
        }
        let top = |piece: &String| {
            let known = [(piece.clone(), json!(-0.25)), ("\u{a0}".to_owned(), json!(-2.5))];
            Value::Object(known.into_iter().take(count.max(1) as usize).collect())
        };
        Some(json!({"tokens": pieces, "token_logprobs": vec![-0.25; pieces.len()],
            "top_logprobs": if count == 0 { Value::Null } else { pieces.iter().map(top).collect() },
            "text_offset": offsets}))
    }

    fn counts(&self) -> Value {
        let (input, output) = (tokens(&self.prompt).len(), self.pieces.len() * self.choices as usize);
        json!({"prompt_tokens": input, "completion_tokens": output, "total_tokens": input + output})
    }

    fn document(&self) -> Value {
        let choices: Vec<Value> =
            (0..self.choices).map(|index| self.choice(index, &self.pieces, 0, Some(self.finish))).collect();
        let mut document = self.wrap(&choices);
        if self.usage {
            document["usage"] = self.counts();
        }
        document
    }

    fn events(&self) -> Vec<Bytes> {
        let mut events = Vec::new();
        for index in 0..self.choices {
            let mut offset = 0;
            for piece in &self.pieces {
                events.push(self.wrap(&[self.choice(index, std::slice::from_ref(piece), offset, None)]));
                offset += piece.chars().count();
            }
            events.push(
                self.wrap(&[json!({"text": "", "index": index, "logprobs": null, "finish_reason": self.finish})]),
            );
        }
        if self.include_usage {
            events.iter_mut().for_each(|event| event["usage"] = Value::Null);
            if self.usage {
                let mut last = self.wrap(&[]);
                last["usage"] = self.counts();
                events.push(last);
            }
        }
        let mut events: Vec<Bytes> = events.iter().map(event).collect();
        events.push(Bytes::from_static(DONE));
        events
    }
}
