//! Whether a file can be a LoRA adapter of a model: two small tensors for each one that it changes.

use std::collections::BTreeMap;

use super::{Gguf, GgufError, Tensor, Value};

/// Most dimensions between the two.
const RANK_MAX: u64 = 1 << 14;

/// # Errors
/// [`GgufError::Implausible`], with what is wrong.
pub(super) fn check(adapter: &Gguf, model: &Gguf) -> Result<(), GgufError> {
    let is = |key: &str, word: &str| adapter.values.get(key) == Some(&Value::Text(word.to_owned()));
    if !is("general.type", "adapter") || !is("adapter.type", "lora") {
        return implausible("it is no LoRA adapter");
    }
    if adapter.architecture != model.architecture {
        let (of, is) = (&adapter.architecture, &model.architecture);
        return implausible(&format!("it adapts a model of kind `{of}`, and this one is `{is}`"));
    }
    if !matches!(adapter.values.get("adapter.lora.alpha"), Some(Value::Float(alpha)) if alpha.is_finite()) {
        return implausible("`adapter.lora.alpha` is missing or no number");
    }
    let tensors: BTreeMap<&str, &Tensor> = model.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    let own: BTreeMap<&str, &Tensor> = adapter.tensors.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
    if own.is_empty() {
        return implausible("it changes nothing");
    }
    own.keys().try_for_each(|name| fits(name, &own, &tensors))
}

fn implausible(what: &str) -> Result<(), GgufError> {
    Err(GgufError::Implausible(what.to_owned()))
}

/// Whether the tensor called `name` has its other half, and both fit what they change.
fn fits(name: &str, own: &BTreeMap<&str, &Tensor>, of: &BTreeMap<&str, &Tensor>) -> Result<(), GgufError> {
    let Some((changed, _)) = name.rsplit_once(".lora_").filter(|(_, half)| matches!(*half, "a" | "b")) else {
        return implausible(&format!("tensor `{name}` is no half of a change"));
    };
    let half = |half: &str| own.get(format!("{changed}.lora_{half}").as_str());
    let (Some(a), Some(b)) = (half("a"), half("b")) else {
        return implausible(&format!("tensor `{name}` lacks its other half"));
    };
    let Some(changed) = of.get(changed) else {
        return implausible(&format!("the model has no tensor `{changed}` to change"));
    };
    let ([a_in, a_out], [b_in, b_out], [from, to]) = (&a.shape[..], &b.shape[..], &changed.shape[..]) else {
        return implausible(&format!("tensor `{name}` is no matrix"));
    };
    // Rows are looked up in the table of tokens, and multiplied elsewhere.
    let outside = if changed.name == "token_embd.weight" { (b_out, a_out) } else { (a_in, b_out) };
    let inside = if changed.name == "token_embd.weight" { (a_in, b_in) } else { (a_out, b_in) };
    if outside != (from, to) || inside.0 != inside.1 || *inside.0 > RANK_MAX {
        return implausible(&format!("tensor `{name}` does not fit the one that it changes"));
    }
    Ok(())
}
