//! OpenAI's moderations, from the provider's side: what says `hurt` is flagged as violence.

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    body::Reply,
    script::Script,
    wire::{ApiError, Envelope, pretty, strings},
};

/// The verdicts on a request's body.
pub fn answer(script: &Script, serial: u64, body: &Bytes) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let model = request["model"].as_str().unwrap_or("omni-moderation-latest");
    if !script.models.is_empty() && !script.models.iter().any(|known| known == model) {
        return Err(ApiError::unknown_model(model));
    }
    let mut texts = strings(&request["input"]);
    if texts.is_empty() {
        let parts = request["input"].as_array().ok_or_else(|| ApiError::missing("input"))?;
        texts.push(parts.iter().filter_map(|part| part["text"].as_str()).collect());
    }
    let results: Vec<Value> = texts.iter().map(|text| verdict(text.contains("hurt"))).collect();
    let id = Envelope { serial, created: 0, usage: false }.id();
    Ok(Reply::document(200, pretty(&json!({"id": format!("modr-{id}"), "model": model, "results": results}))))
}

fn verdict(flagged: bool) -> Value {
    let score = if flagged { 0.98 } else { 0.0001 };
    json!({
        "flagged": flagged,
        "categories": {"harassment": false, "violence": flagged},
        "category_scores": {"harassment": 0.0002, "violence": score},
        "category_applied_input_types": {"harassment": ["text"], "violence": ["text"]},
    })
}
