use proptest::prelude::*;

use super::apply::quoted;
use super::*;
use crate::chat::Json;
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
        (r#","max_tokens":null"#, cap(5, New), set("max_completion_tokens").replace("}]}", r#"}],"max_tokens":null}"#)),
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
    let options = prop::sample::select(vec![StreamOptions::Left, StreamOptions::AskForUsage, StreamOptions::Removed]);
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
