//! Proving that an edited body says what was classified, but for the edits.

use super::{CapField, EditError, Edits, StreamOptions};
use crate::chat::Json;
use crate::chat::json::{Member, Value};

/// Whether `edited` says what `original` says, but for `edits`.
pub fn verify(original: &Json<'_>, edited: &[u8], edits: &Edits) -> Result<(), EditError> {
    let edited = Json::parse(edited).map_err(|_| EditError::Unreadable)?;
    verify_model(&edited, edits)?;
    verify_cap(original, &edited, edits)?;
    verify_usage(original, &edited, edits)?;
    let is_edited = |member: &&Member<'_>| match member.key.as_ref() {
        "model" => edits.model.is_some(),
        "stream_options" => edits.stream_options != StreamOptions::Left,
        field => edits.max_tokens.is_some() && edits.cap_field.takes(field),
    };
    if same_members(original, &edited, is_edited) { Ok(()) } else { Err(EditError::Other) }
}

fn verify_model(edited: &Json<'_>, edits: &Edits) -> Result<(), EditError> {
    let Some(model) = &edits.model else { return Ok(()) };
    let is_so = edited.get("model").and_then(Json::as_str) == Some(model);
    if is_so { Ok(()) } else { Err(EditError::Field("model")) }
}

fn verify_cap(original: &Json<'_>, edited: &Json<'_>, edits: &Edits) -> Result<(), EditError> {
    let Some(cap) = edits.max_tokens else { return Ok(()) };
    let (own, other) = (edits.cap_field.name(), edits.cap_field.other().map(CapField::name));
    let given = std::iter::once(own).chain(other).find_map(|field| original.get(field).and_then(Json::as_i64));
    let expected = given.map_or(i64::from(cap), |given| given.min(i64::from(cap)));
    if edited.get(own).and_then(Json::as_i64) != Some(expected) {
        return Err(EditError::Field(own));
    }
    let Some((other, left)) = other.and_then(|other| Some((other, edited.get(other)?))) else { return Ok(()) };
    if left.is_null() && original.get(other).is_some() { Ok(()) } else { Err(EditError::Field(other)) }
}

fn verify_usage(original: &Json<'_>, edited: &Json<'_>, edits: &Edits) -> Result<(), EditError> {
    const FIELD: &str = "stream_options";
    match edits.stream_options {
        StreamOptions::Left => return Ok(()),
        StreamOptions::Removed if edited.get(FIELD).is_none() => return Ok(()),
        StreamOptions::Removed => return Err(EditError::Field(FIELD)),
        StreamOptions::AskForUsage => {}
    }
    let options = edited.get(FIELD).ok_or(EditError::Field(FIELD))?;
    let asked = options.get("include_usage").and_then(Json::as_bool) == Some(true);
    let none = Json { span: 0..0, value: Value::Object(Vec::new()) };
    let before = original.get(FIELD).filter(|options| !options.is_null()).unwrap_or(&none);
    let rest_is_same = same_members(before, options, |member| member.key == "include_usage");
    if asked && rest_is_same { Ok(()) } else { Err(EditError::Field(FIELD)) }
}

/// Whether both objects have the same members in the same order, apart from those `except`ed.
fn same_members(a: &Json<'_>, b: &Json<'_>, except: impl Fn(&&Member<'_>) -> bool) -> bool {
    let (Some(a), Some(b)) = (a.as_object(), b.as_object()) else { return false };
    let (mut a, mut b) = (a.iter().filter(|m| !except(m)), b.iter().filter(|m| !except(m)));
    loop {
        match (a.next(), b.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a.key == b.key && a.value.same_value(&b.value) => {}
            _ => return false,
        }
    }
}
