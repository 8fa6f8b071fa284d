//! Vectors as OpenAI's bytes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::chat::reply::Embedded;
use crate::dialect::AnswerMeta;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Entry<'a>>,
    model: &'a str,
    usage: Counts,
}

#[derive(Serialize)]
struct Entry<'a> {
    object: &'static str,
    index: usize,
    embedding: Vector<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Vector<'a> {
    Numbers(&'a [f32]),
    /// Four bytes a number, lowest first.
    Base64(String),
}

#[derive(Serialize)]
struct Counts {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// A whole answer, with an estimate where the tokens are not told; as numbers or in base64 as the request in `meta` asks.
pub fn encode(meta: &AnswerMeta<'_>, embedded: &Embedded) -> Vec<u8> {
    let base64 = meta.request.is_some_and(|request| request.vectors.base64);
    let data = embedded.vectors.iter().enumerate().map(|(index, numbers)| Entry {
        object: "embedding",
        index,
        embedding: if base64 { Vector::Base64(packed(numbers)) } else { Vector::Numbers(numbers) },
    });
    let tokens = embedded.usage.map_or(meta.input_tokens, |usage| usage.input);
    let list = List {
        object: "list",
        data: data.collect(),
        model: meta.model,
        usage: Counts { prompt_tokens: tokens, total_tokens: tokens },
    };
    // Numbers and strings into memory: neither can fail.
    serde_json::to_vec(&list).unwrap_or_default()
}

fn packed(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::request::Vectors;
    use crate::chat::{ChatRequest, Usage};

    fn written(base64: bool) -> String {
        let request = ChatRequest { vectors: Vectors { base64, ..Vectors::default() }, ..ChatRequest::default() };
        let meta = AnswerMeta { id: "", created: 0, model: "vectors", input_tokens: 0, request: Some(&request) };
        let vectors = vec![vec![0.1, -2.0, 1e-9], vec![0.0]];
        let usage = Some(Usage { input: 5, ..Usage::default() });
        String::from_utf8(encode(&meta, &Embedded { vectors, usage })).unwrap()
    }

    #[test]
    fn vectors_look_like_openais_as_numbers_and_in_base64() {
        insta::assert_snapshot!(format!("{}\n{}", written(false), written(true)));
    }

    #[test]
    fn base64_holds_the_same_numbers_lowest_byte_first() {
        let list: serde_json::Value = serde_json::from_str(&written(true)).unwrap();
        let bytes = STANDARD.decode(list["data"][0]["embedding"].as_str().unwrap()).unwrap();
        let numbers: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        assert_eq!(numbers, [0.1, -2.0, 1e-9]);
    }
}
