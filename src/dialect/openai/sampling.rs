//! How to sample, in the fields that chat and legacy completions have in common.

use crate::chat::{Json, Source};
use crate::dialect::draft::Draft;
use crate::dialect::field::At;
use crate::dialect::{BadRequest, Feature};

/// As many stop strings as OpenAI takes.
const MAX_STOPS: usize = 4;
/// As many choices as OpenAI takes.
const MAX_CHOICES: u32 = 128;

/// The fields.
pub const KEYS: [&str; 8] =
    ["temperature", "top_p", "n", "seed", "stop", "presence_penalty", "frequency_penalty", "logit_bias"];

/// Understands one of [`KEYS`].
///
/// # Errors
/// What is wrong with it.
pub fn read<'a>(draft: &mut Draft<'a>, at: &At<'_>, key: &str, json: &'a Json<'a>) -> Result<(), BadRequest> {
    draft.parts.tree(json, Source::Parameter);
    let sampling = &mut draft.request.sampling;
    match key {
        "temperature" => sampling.temperature = Some(at.number(json, 0.0..=2.0)?),
        "top_p" => sampling.top_p = Some(at.number(json, 0.0..=1.0)?),
        "presence_penalty" => sampling.presence_penalty = Some(at.number(json, -2.0..=2.0)?),
        "frequency_penalty" => sampling.frequency_penalty = Some(at.number(json, -2.0..=2.0)?),
        "seed" => sampling.seed = Some(at.integer(json, i64::MIN..=i64::MAX)?),
        "stop" => sampling.stop = stops(at, json)?,
        "n" => {
            sampling.n = Some(at.count(json, 1..=MAX_CHOICES)?);
            if sampling.n > Some(1) {
                draft.uses.insert(Feature::SeveralChoices);
            }
        }
        _ => {
            sampling.logit_bias = logit_bias(at, json)?;
            if !sampling.logit_bias.is_empty() {
                draft.uses.insert(Feature::LogitBias);
            }
        }
    }
    Ok(())
}

fn stops(at: &At<'_>, json: &Json<'_>) -> Result<Vec<String>, BadRequest> {
    if let Some(stop) = json.as_str() {
        return if stop.is_empty() { Err(at.invalid("not be empty")) } else { Ok(vec![stop.to_owned()]) };
    }
    let stops = json.as_array().ok_or_else(|| at.wrong_type("a string or an array of strings", json))?;
    if stops.len() > MAX_STOPS {
        return Err(at.invalid(format_args!("have at most {MAX_STOPS} entries")));
    }
    stops.iter().enumerate().map(|(i, stop)| at.index(i).filled(stop).map(str::to_owned)).collect()
}

fn logit_bias(at: &At<'_>, json: &Json<'_>) -> Result<Vec<(u32, f64)>, BadRequest> {
    let members = json.as_object().ok_or_else(|| at.wrong_type("an object", json))?;
    let entry = |key: &str, value: &Json<'_>| {
        let id = key.parse().map_err(|_| at.invalid("have token ids as keys"))?;
        let bias = value.as_f64().filter(|bias| (-100.0..=100.0).contains(bias));
        Ok((id, bias.ok_or_else(|| at.invalid("have numbers between -100 and 100 as values"))?))
    };
    members.iter().map(|member| entry(&member.key, &member.value)).collect()
}
