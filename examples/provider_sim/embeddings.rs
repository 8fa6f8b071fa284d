//! OpenAI's embeddings, from the provider's side: texts in, vectors out that depend on model and text alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    body::Reply,
    script::{Fault, Script},
    wire::{ApiError, hash, next_random, pretty, strings, tokens},
};

/// Numbers of a vector where the request does not say how many.
const DIMENSIONS: u64 = 8;

/// The vectors for a request's body.
pub fn answer(script: &Script, index: u64, body: &Bytes) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let model = request["model"].as_str().ok_or_else(|| ApiError::missing("model"))?;
    if !script.models.is_empty() && !script.models.iter().any(|known| known == model) {
        return Err(ApiError::unknown_model(model));
    }
    let texts = strings(&request["input"]);
    if texts.is_empty() {
        return Err(ApiError::missing("input"));
    }
    let dimensions = request["dimensions"].as_u64().unwrap_or(DIMENSIONS);
    let entry = |(number, text): (usize, &String)| {
        let vector = vector(model, text, dimensions);
        let embedding = if request["encoding_format"] == "base64" { packed(&vector) } else { json!(vector) };
        json!({"object": "embedding", "index": number, "embedding": embedding})
    };
    let data: Vec<Value> = texts.iter().enumerate().map(entry).collect();
    let count: usize = texts.iter().map(|text| tokens(text).len()).sum();
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let usage = if usage { json!({"prompt_tokens": count, "total_tokens": count}) } else { Value::Null };
    Ok(Reply::document(200, pretty(&json!({"object": "list", "data": data, "model": model, "usage": usage}))))
}

/// The same for Google's `batchEmbedContents`.
pub fn answer_gemini(index: u64, script: &Script, body: &Bytes) -> Result<Reply, ApiError> {
    let request: Value = serde_json::from_slice(body).map_err(|_| ApiError::not_json())?;
    let requests = request["requests"].as_array().ok_or_else(|| ApiError::missing("requests"))?;
    let one = |request: &Value| {
        let text = request["content"]["parts"][0]["text"].as_str().unwrap_or_default();
        let dimensions = request["outputDimensionality"].as_u64().unwrap_or(DIMENSIONS);
        (tokens(text).len(), json!({"values": vector(request["model"].as_str().unwrap_or_default(), text, dimensions)}))
    };
    let (counts, vectors): (Vec<usize>, Vec<Value>) = requests.iter().map(one).unzip();
    let mut answer = json!({"embeddings": vectors});
    if !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage)) {
        answer["usageMetadata"] = json!({"promptTokenCount": counts.iter().sum::<usize>()});
    }
    Ok(Reply::document(200, pretty(&answer)))
}

/// Of length 1.
fn vector(model: &str, text: &str, dimensions: u64) -> Vec<f32> {
    let mut state = hash(model) ^ hash(text);
    let numbers: Vec<f64> = (0..dimensions).map(|_| next_random(&mut state) as f64 / u64::MAX as f64 - 0.5).collect();
    let length = numbers.iter().map(|number| number * number).sum::<f64>().sqrt();
    numbers.iter().map(|number| (number / length) as f32).collect()
}

fn packed(vector: &[f32]) -> Value {
    let bytes: Vec<u8> = vector.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes).into()
}
