//! Bodies in which values stand where others stood before.

use serde_json::{Value, json};

use super::Random;

/// `body`, in which one to three values are replaced: by others of `bodies`, or by values of no kind that belongs there.
pub fn transplanted(body: &Value, bodies: &[Value], random: &mut Random) -> Value {
    let odd = [json!(null), json!(7), json!(-0.5), json!(""), json!("{\"a\":[\"b\\n\"]}"), json!([]), json!({"é": {}})];
    let mut varied = body.clone();
    for _ in 0..1 + random.below(3) {
        let donor = places(&bodies[random.below(bodies.len())]);
        let graft = match random.below(3) {
            0 => random.pick(&odd).clone(),
            _ => (*random.pick(&donor)).clone(),
        };
        let count = places(&varied).len();
        replace(&mut varied, &mut random.below(count), &graft);
    }
    varied
}

/// All values of a tree, itself first.
fn places(value: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => members.values().collect(),
        _ => Vec::new(),
    };
    std::iter::once(value).chain(below.into_iter().flat_map(places)).collect()
}

/// Puts `graft` in the place of the value at `index`, counted as [`places`] does; the body itself stays.
fn replace(value: &mut Value, index: &mut usize, graft: &Value) -> bool {
    let below: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(members) => members.values_mut().collect(),
        _ => Vec::new(),
    };
    for inner in below {
        *index = index.saturating_sub(1);
        if *index == 0 {
            *inner = graft.clone();
            return true;
        }
        if replace(inner, index, graft) {
            return true;
        }
    }
    false
}
