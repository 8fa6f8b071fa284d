//! Making the edits, as changes of spans.

use std::ops::Range;

use super::{CapField, CapPoint, EditPoints, Edits, OptionsPoint, StreamOptions};

/// Applies `edits` to `body`, in which [`crate::dialect::Dialect::decode`] found `points`.
pub fn apply(body: &[u8], points: &EditPoints, edits: &Edits) -> Vec<u8> {
    let mut changes = Changes::default();
    if let Some(model) = &edits.model {
        changes.model(points, model);
    }
    if let Some(cap) = edits.max_tokens {
        changes.cap(points, cap, edits.cap_field);
    }
    match edits.stream_options {
        StreamOptions::Left => {}
        StreamOptions::AskForUsage => changes.include_usage(points),
        StreamOptions::Removed => changes.remove(body, points.stream_options.as_ref()),
    }
    changes.splice(body)
}

#[derive(Default)]
struct Changes(Vec<(Range<usize>, String)>);

impl Changes {
    fn replace(&mut self, span: Range<usize>, text: String) {
        self.0.push((span, text));
    }

    fn insert(&mut self, at: usize, text: String) {
        self.0.push((at..at, text));
    }

    fn model(&mut self, points: &EditPoints, model: &str) {
        match &points.model {
            Some(span) => self.replace(span.clone(), quoted(model)),
            None => self.insert(points.open, format!("\"model\":{},", quoted(model))),
        }
    }

    fn cap(&mut self, points: &EditPoints, cap: u32, field: CapField) {
        let (own, other) = (points.cap(field), field.other().and_then(|other| points.cap(other)));
        let given = |point: Option<&CapPoint>| point.and_then(|point| point.value);
        let lowest = given(own).or(given(other)).map_or(cap, |value| value.min(cap));
        match (own, other) {
            (Some(own), other) => {
                self.replace(own.span.clone(), lowest.to_string());
                // The model does not take it there; two members of one name would be refused.
                if let Some(CapPoint { span, value: Some(_), .. }) = other {
                    self.replace(span.clone(), "null".to_owned());
                }
            }
            (None, Some(CapPoint { key, span, value: Some(_) })) => {
                self.replace(key.clone(), quoted(field.name()));
                self.replace(span.clone(), lowest.to_string());
            }
            (None, _) => self.insert(points.open, format!("\"{}\":{lowest},", field.name())),
        }
    }

    fn include_usage(&mut self, points: &EditPoints) {
        match &points.stream_options {
            None => self.insert(points.open, "\"stream_options\":{\"include_usage\":true},".to_owned()),
            Some(options) => match &options.include_usage {
                Some((_, true)) => {}
                Some((span, false)) => self.replace(span.clone(), "true".to_owned()),
                None if options.empty => self.replace(options.span.clone(), "{\"include_usage\":true}".to_owned()),
                None => self.insert(options.span.start + 1, "\"include_usage\":true,".to_owned()),
            },
        }
    }

    /// Takes the member out, with the comma behind it, or before it where it is the last.
    fn remove(&mut self, body: &[u8], member: Option<&OptionsPoint>) {
        let Some(OptionsPoint { key, span, .. }) = member else { return };
        let says = |byte: &u8| !byte.is_ascii_whitespace();
        // Commas or braces: the body is an object.
        let behind = body[span.end..].iter().position(says).map_or(span.end, |at| span.end + at);
        let before = body[..key.start].iter().rposition(says).unwrap_or(0);
        let range = match (body.get(behind), body[before]) {
            (Some(b','), _) => before + 1..behind + 1,
            (_, b',') => before..behind,
            _ => before + 1..behind,
        };
        self.replace(range, String::new());
    }

    fn splice(mut self, body: &[u8]) -> Vec<u8> {
        // Insertions come before a replacement that begins at the same place.
        self.0.sort_by_key(|(span, _)| (span.start, span.end));
        let mut edited = Vec::with_capacity(body.len() + 128);
        let mut from = 0;
        for (span, text) in self.0 {
            edited.extend_from_slice(&body[from..span.start]);
            edited.extend_from_slice(text.as_bytes());
            from = span.end;
        }
        edited.extend_from_slice(&body[from..]);
        edited
    }
}

pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
