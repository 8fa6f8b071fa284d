//! The client's own bytes with a few declared edits, so that a provider's prompt cache still knows them.
//!
//! Only the spans of the edited fields change; every other byte stays. [`verify`] parses the result again and compares
//! it with what was classified plus the edits: it shares no code with [`apply`].

use std::ops::Range;

use crate::chat::Json;
use crate::chat::json::{Member, Value};

/// Where the fields stand that may be edited before the body is sent on. Byte ranges of the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EditPoints {
    /// Just after the body's opening brace: where new members go.
    pub open: usize,
    /// The value of `model`, where present.
    pub model: Option<Range<usize>>,
    /// `max_tokens`, where present.
    pub max_tokens: Option<CapPoint>,
    /// `max_completion_tokens`, where present.
    pub max_completion_tokens: Option<CapPoint>,
    /// `max_output_tokens`, where present.
    pub max_output_tokens: Option<CapPoint>,
    /// The value of `stream`, where present.
    pub stream: Option<Range<usize>>,
    /// `stream_options`, where present.
    pub stream_options: Option<OptionsPoint>,
}

/// An output cap in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapPoint {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub span: Range<usize>,
    /// The cap; `None` where it is null.
    pub value: Option<u32>,
}

/// `stream_options` in the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionsPoint {
    /// The key, quotes included.
    pub key: Range<usize>,
    /// The value.
    pub span: Range<usize>,
    /// Whether it is null or an object without members.
    pub empty: bool,
    /// The value of `include_usage` within it, and whether that is true.
    pub include_usage: Option<(Range<usize>, bool)>,
}

/// What to change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// The model's name at the destination.
    pub model: Option<String>,
    /// The highest output cap: set where the client gave none, lowered where the client's is higher.
    pub max_tokens: Option<u32>,
    /// In which field the destination's model takes the cap.
    pub cap_field: CapField,
    /// What becomes of `stream_options`.
    pub stream_options: StreamOptions,
}

/// What becomes of `stream_options`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StreamOptions {
    /// They stay as they are.
    #[default]
    Left,
    /// They ask for usage at a stream's end; for streams only.
    AskForUsage,
    /// They go: the destination refuses them.
    Removed,
}

/// The field of the output cap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CapField {
    /// `max_completion_tokens`, the current one.
    #[default]
    MaxCompletionTokens,
    /// `max_tokens`, the older one that most other vendors take.
    MaxTokens,
    /// `max_tokens`, where the dialect has no other.
    OnlyMaxTokens,
    /// `max_output_tokens`.
    MaxOutputTokens,
}

impl CapField {
    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxCompletionTokens => "max_completion_tokens",
            Self::MaxTokens | Self::OnlyMaxTokens => "max_tokens",
            Self::MaxOutputTokens => "max_output_tokens",
        }
    }

    fn takes(self, field: &str) -> bool {
        self.name() == field || self.other().is_some_and(|other| other.name() == field)
    }

    /// The field in which a client may have given it instead.
    fn other(self) -> Option<Self> {
        match self {
            Self::MaxCompletionTokens => Some(Self::MaxTokens),
            Self::MaxTokens => Some(Self::MaxCompletionTokens),
            Self::OnlyMaxTokens | Self::MaxOutputTokens => None,
        }
    }
}

impl EditPoints {
    fn cap(&self, field: CapField) -> Option<&CapPoint> {
        match field {
            CapField::MaxCompletionTokens => self.max_completion_tokens.as_ref(),
            CapField::MaxTokens | CapField::OnlyMaxTokens => self.max_tokens.as_ref(),
            CapField::MaxOutputTokens => self.max_output_tokens.as_ref(),
        }
    }
}

/// An edited body is not the classified one plus the edits. It must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// It cannot be parsed.
    #[error("the edited body is no acceptable JSON")]
    Unreadable,
    /// A field that may be edited has another value than the edit gives it.
    #[error("the edited body has an unexpected `{0}`")]
    Field(&'static str),
    /// A field that must not be edited differs, is new, is missing or has moved.
    #[error("the edited body differs in a field that was not to be edited")]
    Other,
}

/// Applies `edits` to `body`, in which [`super::Dialect::decode`] found `points`.
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

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::openai::decode::decode;

    fn edit(body: &str, edits: &Edits) -> String {
        let json = Json::parse(body.as_bytes()).unwrap();
        let points = decode(body.as_bytes(), &json).unwrap().edits;
        let edited = apply(body.as_bytes(), &points, edits);
        let verified = verify(&json, &edited, edits);
        let edited = String::from_utf8(edited).unwrap();
        assert_eq!(verified, Ok(()), "{edited}");
        edited
    }

    /// A body with `rest` after the two fields that every body needs.
    fn body(rest: &str) -> String {
        format!(r#"{{ "model" : "a","messages":[{{"role":"user","content":"x"}}]{rest}}}"#)
    }

    fn cap(max_tokens: u32, cap_field: CapField) -> Edits {
        Edits { max_tokens: Some(max_tokens), cap_field, ..Edits::default() }
    }

    #[test]
    fn the_model_is_replaced_and_nothing_else() {
        let edits = Edits { model: Some("b\"\n".into()), ..Edits::default() };
        assert_eq!(edit(&body(" , \"x\": 1.0"), &edits), body(" , \"x\": 1.0").replace("\"a\"", "\"b\\\"\\n\""));
        assert_eq!(edit(&body(""), &Edits::default()), body(""));
    }

    #[test]
    fn the_cap_is_set_or_lowered_and_stands_in_the_field_that_the_model_takes() {
        use CapField::{MaxCompletionTokens as New, MaxTokens as Old};
        let set = |name: &str| body("").replacen("{ ", &format!("{{\"{name}\":5, "), 1);
        for (given, edits, edited) in [
            ("", cap(5, Old), set("max_tokens")),
            ("", cap(5, New), set("max_completion_tokens")),
            (r#","max_tokens":9"#, cap(5, Old), body(r#","max_tokens":5"#)),
            (r#","max_tokens":3"#, cap(5, Old), body(r#","max_tokens":3"#)),
            (r#", "max\u005ftokens" : 9"#, cap(5, New), body(r#", "max_completion_tokens" : 5"#)),
            (r#","max_tokens":null"#, cap(5, Old), body(r#","max_tokens":5"#)),
            (
                r#","max_tokens":null"#,
                cap(5, New),
                set("max_completion_tokens").replace("}]}", r#"}],"max_tokens":null}"#),
            ),
            (
                r#","max_tokens":3,"max_completion_tokens":null"#,
                cap(5, New),
                body(r#","max_tokens":null,"max_completion_tokens":3"#),
            ),
        ] {
            assert_eq!(edit(&body(given), &edits), edited, "{given}");
        }
    }

    #[test]
    fn usage_is_asked_for_once_and_other_options_stay() {
        let edits = Edits { stream_options: StreamOptions::AskForUsage, ..Edits::default() };
        let streamed = |options: &str| body(&format!(r#","stream":true,"stream_options":{options}"#));
        for (given, edited) in [
            ("null", r#"{"include_usage":true}"#),
            ("{ }", r#"{"include_usage":true}"#),
            (r#"{"include_usage":true}"#, r#"{"include_usage":true}"#),
            (r#"{"include_usage" : null}"#, r#"{"include_usage" : true}"#),
            (r#"{"a":1, "include_usage":false}"#, r#"{"a":1, "include_usage":true}"#),
            (r#"{ "a":1}"#, r#"{"include_usage":true, "a":1}"#),
        ] {
            assert_eq!(edit(&streamed(given), &edits), streamed(edited), "{given}");
        }
        let absent = edit(&body(r#","stream":true"#), &edits);
        assert!(absent.starts_with(r#"{"stream_options":{"include_usage":true}, "model""#), "{absent}");
    }

    #[test]
    fn verify_refuses_what_was_not_declared() {
        let body = body(r#","n":1,"max_tokens":9"#);
        let original = Json::parse(body.as_bytes()).unwrap();
        let edits = Edits { model: Some("b".into()), ..cap(5, CapField::MaxTokens) };
        let good = edit(&body, &edits);
        for (from, to, error) in [
            ("\"b\"", "\"c\"", EditError::Field("model")),
            (":5", ":6", EditError::Field("max_tokens")),
            ("\"max_tokens\":5", "\"n2\":5", EditError::Field("max_tokens")),
            (":5", ":5,\"max_completion_tokens\":7", EditError::Field("max_completion_tokens")),
            ("\"x\"", "\"y\"", EditError::Other),
            (",\"n\":1", "", EditError::Other),
            (",\"n\":1", ",\"n\":1.0", EditError::Other),
            (":5", ":5,\"stream_options\":{}", EditError::Other),
            ("}]", "}],\"model\":\"b\"", EditError::Unreadable),
        ] {
            let tampered = good.replacen(from, to, 1);
            assert_ne!(tampered, good, "{from}");
            assert_eq!(verify(&original, tampered.as_bytes(), &edits), Err(error), "{from} → {to}");
        }
    }

    #[test]
    fn options_that_are_refused_are_taken_out_wherever_they_stand() {
        let edits = Edits { stream_options: StreamOptions::Removed, ..Edits::default() };
        let (stream, options) = (r#","stream":true"#, r#""stream_options" : {"include_usage":true}"#);
        for (given, edited) in [
            (body(&format!("{stream} , {options}\n")), body(&format!("{stream} "))),
            (body(&format!(", {options} {stream}")), body(stream)),
            (body(stream).replacen("{ ", &format!("{{ {options} , "), 1), body(stream)),
            (body(stream), body(stream)),
        ] {
            assert_eq!(edit(&given, &edits), edited, "{given}");
        }
        let left = body(&format!("{stream},{options}"));
        let original = Json::parse(left.as_bytes()).unwrap();
        assert_eq!(verify(&original, left.as_bytes(), &edits), Err(EditError::Field("stream_options")));
    }

    fn gap() -> impl Strategy<Value = &'static str> {
        prop::sample::select(vec!["", " ", "\n", "\t ", "\r\n  "])
    }

    /// Fields in any order, with any white space, among them those to be edited.
    fn any_body() -> impl Strategy<Value = String> {
        let options = prop::sample::select(vec!["null", "{}", r#"{"include_usage":false}"#, r#"{"x":[1]}"#]);
        let caps = prop::sample::select(vec![
            "",
            r#""max_tokens":7"#,
            r#""max_completion_tokens":900"#,
            r#""max_tokens":null"#,
            r#""max_tokens":null|"max_completion_tokens":12"#,
            r#""max_tokens":12|"max_completion_tokens":null"#,
        ]);
        let extra = prop::collection::btree_map("[a-z]{3}_[a-z]", "[ -~é語]{0,12}", 0..4);
        (caps, prop::option::of(options), extra, prop::collection::vec(gap(), 64), any::<u64>()).prop_map(
            |(caps, options, extra, gaps, order)| {
                let mut fields = vec![
                    r#""model":"gpt""#.to_owned(),
                    r#""messages":[{"role":"user","content":"model max_tokens"}]"#.to_owned(),
                    r#""stream":true"#.to_owned(),
                ];
                fields.extend(caps.split('|').filter(|c| !c.is_empty()).map(str::to_owned));
                fields.extend(options.map(|o| format!(r#""stream_options":{o}"#)));
                fields.extend(extra.iter().map(|(k, v)| format!("\"{k}\":{}", quoted(v))));
                let turn = order as usize % fields.len();
                fields.rotate_left(turn);
                let mut gaps = gaps.into_iter().cycle();
                let mut gap = || gaps.next().unwrap_or("");
                let spaced: Vec<_> = fields
                    .iter()
                    .map(|f| {
                        let (key, value) = f.split_once(':').unwrap();
                        format!("{}{key}{}:{}{value}{}", gap(), gap(), gap(), gap())
                    })
                    .collect();
                format!("{}{{{}}}{}", gap(), spaced.join(","), gap())
            },
        )
    }

    fn any_edits() -> impl Strategy<Value = Edits> {
        let field = prop::sample::select(vec![CapField::MaxTokens, CapField::MaxCompletionTokens]);
        let options =
            prop::sample::select(vec![StreamOptions::Left, StreamOptions::AskForUsage, StreamOptions::Removed]);
        (prop::option::of("[ -~]{1,8}"), prop::option::of(1u32..1000), field, options).prop_map(
            |(model, max_tokens, cap_field, stream_options)| Edits { model, max_tokens, cap_field, stream_options },
        )
    }

    const DECLARED: [&str; 4] = ["model", "max_tokens", "max_completion_tokens", "stream_options"];

    /// What stands before, after and between the members' commas, white space included, by key.
    fn pieces(body: &str) -> Vec<(String, String)> {
        let json = Json::parse(body.as_bytes()).unwrap();
        let members = json.as_object().unwrap();
        let mut pieces = vec![
            ("before".to_owned(), body[..json.span.start].to_owned()),
            ("after".to_owned(), body[json.span.end..].to_owned()),
        ];
        let mut from = json.span.start + 1;
        for member in members {
            let rest = &body[member.value.span.end..];
            let end = member.value.span.end + rest.find([',', '}']).unwrap();
            pieces.push((member.key.to_string(), body[from..end].to_owned()));
            from = end + 1;
        }
        pieces
    }

    proptest! {
        #[test]
        fn edits_change_the_declared_fields_only_and_always_verify(body in any_body(), edits in any_edits()) {
            let edited = edit(&body, &edits);
            let again = Json::parse(edited.as_bytes()).unwrap();
            let points = decode(edited.as_bytes(), &again).unwrap().edits;
            // Applying them again changes nothing: the result is what the edits ask for.
            prop_assert_eq!(apply(edited.as_bytes(), &points, &edits), edited.as_bytes());
            let kept = |text: &str| {
                let mut pieces = pieces(text);
                pieces.retain(|(key, _)| !DECLARED.contains(&key.as_str()));
                pieces
            };
            prop_assert_eq!(kept(&body), kept(&edited));
        }

        #[test]
        fn verify_refuses_any_single_changed_character_of_a_message(
            body in any_body(), edits in any_edits(), at in 0usize..16,
        ) {
            let edited = edit(&body, &edits);
            let from = edited.find("model max_tokens").unwrap();
            let mut tampered = edited.into_bytes();
            tampered[from + at] ^= 1;
            let original = Json::parse(body.as_bytes()).unwrap();
            prop_assert_eq!(verify(&original, &tampered, &edits), Err(EditError::Other));
        }
    }
}
