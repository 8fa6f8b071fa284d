//! What holds of a body with pseudonyms and of its answer, whatever they say and however they are cut.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::answer::Restoring;
use super::replace::{Replaced, quoted, replace, verify};
use super::restore::{Flow, Form};
use super::*;
use crate::chat::Json;
use crate::policy::Style;

const ORIGINALS: [(Kind, &str); 8] = [
    (Kind::Person, "Maria Gonzalez"),
    (Kind::Person, "Zoë Østergård"),
    (Kind::Person, "Bo"),
    (Kind::Email, "maria@corp.com"),
    (Kind::Phone, "+49 30 901820"),
    (Kind::Ip, "10.1.2.3"),
    (Kind::Address, "12 \"Oak\" Street\nSpringfield"),
    (Kind::Value, "sk-\\x41-ß"),
];

fn vault() -> Arc<Vault> {
    let vault = Vaults::new(Duration::from_secs(60)).unwrap().of(&[3; 32]);
    for (kind, original) in ORIGINALS {
        for style in [Style::Tag, Style::Surrogate] {
            vault.token(style, kind, original, &|_| false).unwrap();
        }
    }
    vault
}

fn replaced(vault: &Vault, body: &str, style: Style) -> Replaced {
    let json = Json::parse(body.as_bytes()).unwrap();
    let mut issue = |style, kind, original: &str| vault.token(style, kind, original, &|token| body.contains(token));
    let replaced = replace(body, &json, &vault.search(), style, &mut issue).unwrap();
    assert!(verify(&json, &Json::parse(&replaced.body).unwrap(), &replaced.used));
    replaced
}

/// A text with pseudonyms, and what puts them back.
fn disguised(text: &str, style: Style) -> (String, Option<Arc<Restorer>>) {
    let Replaced { body, used, .. } = replaced(&vault(), &quoted(text), style);
    (serde_json::from_slice(&body).unwrap(), Restorer::new(used).map(Arc::new))
}

fn restored(restorer: &Restorer, pieces: &[&str], form: Form) -> (String, Tally) {
    let (mut flow, mut tally, mut out) = (Flow::default(), Tally::default(), String::new());
    for piece in pieces {
        out.push_str(&restorer.push(&mut flow, piece, form, &mut tally));
    }
    out.push_str(&restorer.finish(&mut flow, form, &mut tally));
    (out, tally)
}

fn style() -> impl Strategy<Value = Style> {
    prop::sample::select(vec![Style::Tag, Style::Surrogate])
}

/// Text in which originals stand in any case, beside any signs.
fn text() -> impl Strategy<Value = String> {
    let original = prop::sample::select(ORIGINALS.map(|(_, original)| original).to_vec());
    let cased = (original, 0..4).prop_map(|(original, case)| match case {
        0 => original.to_uppercase(),
        1 => original.to_lowercase(),
        _ => original.to_owned(),
    });
    let filler =
        prop_oneof!["[a-zé語 ]{0,6}", Just("'s ".to_owned()), Just("PERSON_".to_owned()), Just("{\"a\":\"".to_owned())];
    prop::collection::vec((filler, prop::option::of(cased)), 0..6).prop_map(|pieces| {
        pieces.into_iter().map(|(filler, original)| format!("{filler} {} ", original.unwrap_or_default())).collect()
    })
}

/// A document with originals in its strings and keys, also in JSON that stands in a string.
fn document() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        1 => any::<i64>().prop_map(Into::into),
        1 => Just(Value::Null),
        6 => text().prop_map(Into::into),
        2 => (text(), text()).prop_map(|(k, v)| json!({ k: [v] }).to_string().into()),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::btree_map(text(), inner, 0..4).prop_map(|m| Value::Object(m.into_iter().collect())),
        ]
    })
}

/// Every string and key, also of JSON in strings.
fn each_text(value: &Value, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::String(text) => {
            visit(text);
            if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text) {
                each_text(&inner, visit);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| each_text(item, visit)),
        Value::Object(members) => members.iter().for_each(|(key, value)| {
            visit(key);
            each_text(value, visit);
        }),
        _ => {}
    }
}

proptest! {
    #[test]
    fn what_was_replaced_comes_back_wherever_the_answer_is_cut(text in text(), style in style()) {
        let (disguised, restorer) = disguised(&text, style);
        prop_assert!(restorer.is_some() || disguised == text);
        let Some(restorer) = restorer else { return Ok(()) };
        let letters: Vec<&str> = disguised.split("").collect();
        prop_assert_eq!(&restored(&restorer, &letters, Form::Plain).0, &text);
        for (at, _) in disguised.char_indices() {
            let (first, second) = disguised.split_at(at);
            prop_assert_eq!(&restored(&restorer, &[first, second], Form::Plain).0, &text);
        }
    }

    #[test]
    fn no_more_is_held_back_than_the_longest_pseudonym_less_a_byte(text in text(), style in style()) {
        let (disguised, restorer) = disguised(&text, style);
        let Some(restorer) = restorer else { return Ok(()) };
        let (mut flow, mut tally, mut given, mut back) = (Flow::default(), Tally::default(), 0, String::new());
        for letter in disguised.split("") {
            given += letter.len();
            let before = tally.restored;
            back.push_str(&restorer.push(&mut flow, letter, Form::Plain, &mut tally));
            if before == tally.restored && tally.restored == 0 {
                prop_assert!(given - back.len() < restorer.longest());
            }
        }
    }

    #[test]
    fn no_original_survives_in_any_string_or_key_and_all_come_back(body in document(), style in style()) {
        let vault = vault();
        let written = body.to_string();
        let Replaced { body: out, used, .. } = replaced(&vault, &written, style);
        let out: Value = serde_json::from_slice(&out).unwrap();
        each_text(&out, &mut |text| {
            for (_, original) in ORIGINALS.iter().filter(|(_, original)| original.len() > 2) {
                assert!(!text.to_lowercase().contains(&original.to_lowercase()), "{original} in {text}");
            }
        });
        prop_assert_eq!(out.to_string().len() == written.len() && out == body, used.is_empty());
    }

    #[test]
    fn what_is_put_back_into_json_leaves_it_json(text in text(), style in style(), sizes in prop::collection::vec(1usize..9, 1..9)) {
        let arguments = json!({ "to": text }).to_string();
        let (disguised, restorer) = disguised(&arguments, style);
        let Some(restorer) = restorer else { return Ok(()) };
        let pieces = cut(&disguised, &sizes);
        let (streamed, _) = restored(&restorer, &pieces, Form::Json);
        let value: Value = serde_json::from_str(&streamed).unwrap();
        prop_assert_eq!(value["to"].as_str(), Some(text.as_str()));
        let whole: Value = serde_json::from_str(&restorer.whole_json(&disguised, &mut Tally::default())).unwrap();
        prop_assert_eq!(whole, value);
    }

    #[test]
    fn streams_say_what_whole_answers_say(
        text in text(), style in style(), sizes in prop::collection::vec(1usize..9, 1..9), together in any::<bool>(),
    ) {
        let (disguised, restorer) = disguised(&text, style);
        let Some(restorer) = restorer else { return Ok(()) };
        let arguments = json!({ "to": disguised }).to_string();
        let mut events: Vec<Value> = Vec::new();
        for piece in cut(&disguised, &sizes) {
            events.push(json!({ "index": 0, "delta": { "content": piece } }));
            events.push(json!({ "index": 1, "delta": { "refusal": piece } }));
        }
        for piece in cut(&arguments, &sizes) {
            let calls = json!([{ "index": 2, "function": { "arguments": piece } }]);
            events.push(json!({ "index": 0, "delta": { "tool_calls": calls }, "finish_reason": null }));
        }
        events.push(json!({ "index": 1, "delta": {}, "finish_reason": "stop" }));
        if together {
            events.push(json!({ "index": 0, "delta": { "content": "." }, "finish_reason": "stop" }));
        }
        let said = collect(Restoring::new(restorer, false), &events);
        prop_assert_eq!(&said[1].1, &text);
        let content = if together { format!("{text}.") } else { text.clone() };
        prop_assert_eq!(&said[0].0, &content);
        let called: Value = serde_json::from_str(&said[0].2).unwrap();
        prop_assert_eq!(called["to"].as_str(), Some(text.as_str()));
    }
}

fn cut<'t>(text: &'t str, sizes: &[usize]) -> Vec<&'t str> {
    let mut rest = text;
    let mut pieces = Vec::new();
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, more) = rest.split_at(rest.ceil_char_boundary(*size));
        pieces.push(piece);
        rest = more;
    }
    pieces
}

/// Content, refusal and arguments of two choices, as a client puts them together.
fn collect(mut restoring: Restoring, choices: &[Value]) -> [(String, String, String); 2] {
    let mut bytes = Vec::new();
    for choice in choices {
        let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "choices": [choice], "usage": null });
        bytes.extend_from_slice(&restoring.event(Bytes::from(format!("data: {chunk}\n\n"))));
    }
    bytes.extend_from_slice(&restoring.done());
    let mut said: [(String, String, String); 2] = Default::default();
    let mut ended = [false; 2];
    for event in std::str::from_utf8(&bytes).unwrap().split("\n\n").filter(|event| !event.is_empty()) {
        let chunk: Value = serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap();
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            assert!(!ended[index], "nothing comes after a choice's end: {chunk}");
            let delta = &choice["delta"];
            said[index].0.push_str(delta["content"].as_str().unwrap_or_default());
            said[index].1.push_str(delta["refusal"].as_str().unwrap_or_default());
            said[index].2.push_str(delta["tool_calls"][0]["function"]["arguments"].as_str().unwrap_or_default());
            ended[index] = choice["finish_reason"].is_string();
        }
    }
    said
}

fn one(kind: Kind, original: &str, style: Style) -> (String, Restorer) {
    let vault = Vaults::new(Duration::from_secs(60)).unwrap().of(&[3; 32]);
    let entry = vault.token(style, kind, original, &|_| false).unwrap();
    (entry.token.clone(), Restorer::new(vec![entry]).unwrap())
}

#[test]
fn a_model_may_change_the_case_add_a_possessive_and_use_one_name_alone() {
    let (token, restorer) = one(Kind::Person, "Maria Gonzalez", Style::Surrogate);
    let (first, last) = token.split_once(' ').unwrap();
    let said = |text: String| restored(&restorer, &[&text], Form::Plain).0;
    assert_eq!(said(format!("{token}'s dog, {}", token.to_uppercase())), "Maria Gonzalez's dog, MARIA GONZALEZ");
    assert_eq!(said(format!("dear {first}, Ms. {last}: {}", first.to_lowercase())), "dear Maria, Ms. Gonzalez: maria");
    let (tag, restorer) = one(Kind::Person, "Maria Gonzalez", Style::Tag);
    let said = |text: String| restored(&restorer, &[&text], Form::Plain).0;
    assert_eq!(
        said(format!("{tag}'s, **{tag}**, {}", tag.to_lowercase())),
        "Maria Gonzalez's, **Maria Gonzalez**, maria gonzalez"
    );
}

#[test]
fn tags_that_stand_for_nothing_here_stay_and_are_counted() {
    let (tag, restorer) = one(Kind::Person, "Maria", Style::Tag);
    let other = if tag == "PERSON_000000" { "PERSON_111111" } else { "PERSON_000000" };
    let text = format!("{tag} and {other}, not PERSON_ nor PERSON_00000 or x");
    for pieces in [vec![text.as_str()], text.split("").collect()] {
        let (said, tally) = restored(&restorer, &pieces, Form::Plain);
        assert_eq!(said, text.replace(&tag, "Maria"));
        assert_eq!(tally, Tally { restored: 1, unrestored: 1 });
    }
}

#[test]
fn only_the_strings_that_change_are_written_anew() {
    let body = "{ \"a\" : 1.50, \"b\":\"x\\u0041\", \"c\" : [ \"call Bo\\u0021\" ] }";
    let Replaced { body: out, used, count } = replaced(&vault(), body, Style::Tag);
    assert_eq!(count, 1);
    let expected = format!("{{ \"a\" : 1.50, \"b\":\"x\\u0041\", \"c\" : [ \"call {}!\" ] }}", used[0].token);
    assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
}

#[test]
fn a_short_name_is_replaced_where_it_is_a_word_and_not_within_others() {
    let (said, _) = disguised("Bo's boat, Bob, (Bo) \\nBo\tbo", Style::Tag);
    assert!(
        said.contains("'s boat, Bob, (PERSON_") && !said.contains("nBo") && !said.to_lowercase().ends_with("bo"),
        "{said}"
    );
}

#[test]
fn findings_that_overlap_are_replaced_as_one() {
    let vault = Vaults::new(Duration::from_secs(60)).unwrap().of(&[3; 32]);
    for part in ["12 Oak Street, Springfield", "Springfield, IL 62704"] {
        vault.token(Style::Tag, Kind::Address, part, &|_| false).unwrap();
    }
    let Replaced { body, used, .. } = replaced(&vault, "\"at 12 Oak Street, Springfield, IL 62704.\"", Style::Tag);
    assert_eq!(String::from_utf8(body).unwrap(), format!("\"at {}.\"", used[0].token));
}

#[test]
fn what_differs_in_anything_else_is_refused() {
    let body = "{\"a\":\"Maria Gonzalez\",\"b\":\"x\",\"c\":1}";
    let Replaced { body: out, used, .. } = replaced(&vault(), body, Style::Tag);
    let out = String::from_utf8(out).unwrap();
    let original = Json::parse(body.as_bytes()).unwrap();
    let other = [
        out.replace("\"x\"", "\"y\""),
        out.replace(":1", ":2"),
        out.replace("PERSON", "PERSONA"),
        out.replace("\"b\"", "\"d\""),
    ];
    assert!(verify(&original, &Json::parse(out.as_bytes()).unwrap(), &used));
    for other in other {
        assert!(!verify(&original, &Json::parse(other.as_bytes()).unwrap(), &used), "{other}");
    }
}

#[test]
fn a_whole_reply_and_an_error_are_restored_and_what_is_no_json_stays() {
    let (token, restorer) = one(Kind::Person, "Maria \"M\" Gonzalez", Style::Tag);
    let restorer = Arc::new(restorer);
    let reply = json!({ "id": "x", "choices": [{ "message": { "content": format!("dear {token}"), "tool_calls": [
        { "function": { "name": "write", "arguments": json!({ token.clone(): [json!({ "to": token }).to_string()] }).to_string() } }
    ] } }] });
    let (bytes, tally) = Restoring::new(restorer.clone(), false).whole(Bytes::from(reply.to_string()));
    let said: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(said["choices"][0]["message"]["content"], "dear Maria \"M\" Gonzalez");
    let arguments = said["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let arguments: Value = serde_json::from_str(arguments).unwrap();
    let inner = arguments["Maria \"M\" Gonzalez"][0].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(inner).unwrap(), json!({ "to": "Maria \"M\" Gonzalez" }));
    assert_eq!(tally.restored, 3);
    let (bytes, _) = Restoring::new(restorer, false).whole(Bytes::from_static(b"<html>"));
    assert_eq!(&bytes[..], b"<html>");
}
