//! Whether the numbers of a description can be those of a model.

use super::{Gguf, GgufError, Value};

const STRING: u32 = 8;

/// Numbers under the architecture's name, and what each may be.
const RANGES: [(&str, u64, u64); 3] =
    [("block_count", 1, 1 << 10), ("context_length", 1, 1 << 28), ("embedding_length", 1, 1 << 18)];

/// Pools to a score, not to a vector (`LLAMA_POOLING_TYPE_RANK`).
const RANK: u64 = 4;

/// Arrays that have one element for each token.
const PER_TOKEN: [&str; 2] = ["tokenizer.ggml.scores", "tokenizer.ggml.token_type"];

/// # Errors
/// [`GgufError::Implausible`], with what is wrong.
pub(super) fn check(gguf: &Gguf) -> Result<(), GgufError> {
    architecture(gguf)?;
    if gguf.number("split.count").is_some_and(|parts| parts > 1) {
        return implausible("it is one of several parts, which must be merged into one file first".to_owned());
    }
    for (key, least, most) in RANGES {
        match gguf.own(key) {
            Some(number) if (least..=most).contains(&number) => {}
            Some(number) => return implausible(format!("`{}.{key}` is {number}", gguf.architecture)),
            None => return implausible(format!("`{}.{key}` is missing or no whole number", gguf.architecture)),
        }
    }
    if gguf.own("pooling_type") == Some(RANK) {
        return implausible("it ranks texts, which is neither to answer nor to embed".to_owned());
    }
    heads(gguf)?;
    vocabulary(gguf)
}

fn implausible(what: String) -> Result<(), GgufError> {
    Err(GgufError::Implausible(what))
}

fn architecture(gguf: &Gguf) -> Result<(), GgufError> {
    let name = &gguf.architecture;
    let usual = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(usual) {
        return implausible("the name of its architecture is none".to_owned());
    }
    Ok(())
}

/// Heads share the width of a layer, and groups of them share keys and values.
fn heads(gguf: &Gguf) -> Result<(), GgufError> {
    let width = gguf.own("embedding_length").unwrap_or(0);
    for layer in 0..gguf.layers() {
        let heads = gguf.at_layer("attention.head_count", layer);
        let shared = gguf.at_layer("attention.head_count_kv", layer);
        let Some(heads) = heads else { continue };
        let shared = shared.unwrap_or(heads);
        if heads > width || shared > heads || shared > 0 && !heads.is_multiple_of(shared) {
            return implausible(format!(
                "layer {layer} has {heads} heads over {shared} of keys, and a width of {width}"
            ));
        }
    }
    Ok(())
}

fn vocabulary(gguf: &Gguf) -> Result<(), GgufError> {
    let Some(Value::Array { kind: STRING, length: tokens }) = gguf.values.get("tokenizer.ggml.tokens") else {
        return implausible("it has no vocabulary (`tokenizer.ggml.tokens`)".to_owned());
    };
    for key in PER_TOKEN {
        if gguf.length(key).is_some_and(|length| length != *tokens) {
            return implausible(format!("`{key}` does not have one element for each of {tokens} tokens"));
        }
    }
    let ids = gguf.values.keys().filter(|key| key.starts_with("tokenizer.ggml.") && key.ends_with("_token_id"));
    for key in ids {
        if gguf.number(key).is_none_or(|id| id >= *tokens && id != u64::from(u32::MAX)) {
            return implausible(format!("`{key}` is none of {tokens} tokens"));
        }
    }
    Ok(())
}
