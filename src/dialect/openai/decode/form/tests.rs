//! Forms of answers, in each of their spellings.

use serde_json::{Value, json};

use crate::chat::request::Schema;
use crate::chat::{ChatRequest, Grammar, Part, ResponseFormat, Source, grammar};
use crate::dialect::testing;
use crate::dialect::{BadRequest, Decoded, Dialect, Feature};

fn with<T>(body: &str, look: impl FnOnce(Result<Decoded<'_>, BadRequest>) -> T) -> T {
    testing::decoded(Dialect::Chat, body, look)
}

fn request(body: &Value) -> ChatRequest {
    testing::request(Dialect::Chat, body)
}

/// The smallest good body, with `more` members.
fn body(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

#[test]
fn a_grammar_is_taken_in_each_of_its_spellings_and_what_it_spells_is_a_part() {
    let text = "root ::= \"\\x34\\u0031 cats\" [a-z]";
    for fields in [
        json!({"response_format": {"type": "grammar", "grammar": text}}),
        json!({"grammar": text}),
        json!({"grammar": text, "response_format": {"type": "text"}}),
        json!({"structured_outputs": {"grammar": text, "choice": null}}),
    ] {
        with(&body(fields.clone()).to_string(), |decoded| {
            let decoded = decoded.unwrap();
            let form = ResponseFormat::Grammar(grammar::read(text).unwrap());
            assert_eq!(decoded.request.response_format, form, "{fields}");
            assert_eq!(decoded.uses.iter().collect::<Vec<_>>(), [Feature::Grammar], "{fields}");
            for part in [text, "41 cats"] {
                let is_part = |p: &Part<'_>| p.text == part && p.source == Source::ToolDefinition;
                assert!(decoded.parts.iter().any(is_part), "{part} of {fields}");
            }
        });
    }
    let choice = request(&body(json!({"structured_outputs": {"choice": ["yes", "no"]}})));
    let form = Grammar::one_of(vec!["yes".to_owned(), "no".to_owned()]);
    assert_eq!(choice.response_format, ResponseFormat::Grammar(form));
}

#[test]
fn a_grammar_that_is_none_is_told_by_its_place_and_two_forms_are_refused() {
    let told = |fields: Value| with(&body(fields).to_string(), |decoded| decoded.map(drop).unwrap_err());
    let wrong = told(json!({"response_format": {"type": "grammar", "grammar": "root ::= \"a\"\n  | secret"}}));
    let place = "`response_format.grammar` must be a grammar in GBNF: line 2, column 5: this rule is nowhere defined";
    assert_eq!((wrong.message.as_str(), wrong.param.as_deref()), (place, Some("response_format.grammar")));
    let ok = "root ::= \"a\"";
    for (fields, param) in [
        (json!({"grammar": 1}), "grammar"),
        (json!({"grammar": ""}), "grammar"),
        (json!({"grammar": ok, "response_format": {"type": "json_object"}}), "grammar"),
        (json!({"grammar": ok, "structured_outputs": {"grammar": ok}}), "structured_outputs.grammar"),
        (json!({"structured_outputs": {"grammar": ok, "choice": ["a"]}}), "structured_outputs.choice"),
        (json!({"structured_outputs": {"choice": []}}), "structured_outputs.choice"),
        (json!({"structured_outputs": {"choice": ["a", 1]}}), "structured_outputs.choice[1]"),
        (json!({"response_format": {"type": "grammar"}}), "response_format.grammar"),
    ] {
        assert_eq!(told(fields.clone()).param.as_deref(), Some(param), "{fields}");
    }
}

#[test]
fn every_way_of_vllm_and_llama_cpp_to_ask_for_a_form_says_the_same() {
    let schema = json!({"type": "object", "properties": {"né": {"description": "a"}}});
    let held = Schema { schema: Some(schema.to_string().into()), strict: Some(true), ..Schema::default() };
    let by_schema = (ResponseFormat::JsonSchema(held), vec![Feature::JsonSchema, Feature::ServerForm]);
    let object = (ResponseFormat::JsonObject, vec![Feature::JsonObject, Feature::ServerForm]);
    let by_grammar = |grammar| (ResponseFormat::Grammar(grammar), vec![Feature::Grammar]);
    let one = || by_grammar(Grammar::one_of(vec!["a".to_owned(), "b".to_owned()]));
    let regex = || by_grammar(grammar::read_regex("[a-z]{2}-[0-9]").unwrap());
    for (fields, (form, uses)) in [
        (json!({"structured_outputs": {"json": schema, "regex": null}}), by_schema.clone()),
        (json!({"structured_outputs": {"json": schema.to_string(), "json_object": false}}), by_schema.clone()),
        (json!({"guided_json": schema}), by_schema.clone()),
        (json!({"guided_json": schema.to_string()}), by_schema.clone()),
        (json!({"json_schema": schema}), by_schema),
        (json!({"structured_outputs": {"json_object": true}}), object),
        (json!({"structured_outputs": {"choice": ["a", "b"]}}), one()),
        (json!({"guided_choice": ["a", "b"]}), one()),
        (json!({"structured_outputs": {"regex": r"^[a-z]{2}-\d$"}}), regex()),
        (json!({"guided_regex": r"[a-z]{2}\x2d\d", "guided_json": null}), regex()),
        (json!({"guided_grammar": "root ::= \"a\""}), by_grammar(grammar::read("root ::= \"a\"").unwrap())),
        (json!({"structured_outputs": {}}), (ResponseFormat::Text, Vec::new())),
    ] {
        with(&body(fields.clone()).to_string(), |decoded| {
            let decoded = decoded.unwrap();
            assert_eq!((&decoded.request.response_format, decoded.uses.iter().collect()), (&form, uses), "{fields}");
            assert!(decoded.parts.iter().all(|part| part.source != Source::Unknown), "{fields}");
        });
    }
    with(&body(json!({"guided_regex": r"\x2d\d"})).to_string(), |decoded| {
        assert!(decoded.unwrap().parts.iter().any(|part| part.text == "-"), "what it spells is a part");
    });
    with(&body(json!({"structured_outputs": {"structural_tag": "a"}})).to_string(), |decoded| {
        let decoded = decoded.unwrap();
        assert_eq!(decoded.uses.iter().collect::<Vec<_>>(), [Feature::UnknownFields]);
        assert!(decoded.parts.iter().any(|part| part.text == "a"));
    });
}

#[test]
fn a_form_that_is_none_is_told_by_its_field_and_place() {
    let told = |fields: Value| with(&body(fields).to_string(), |decoded| decoded.map(drop).unwrap_err());
    let wrong = told(json!({"guided_regex": "secret(a"})).message;
    assert_eq!(wrong, "`guided_regex` must be a regular expression: line 1, column 7: this group is not closed");
    for (fields, param) in [
        (json!({"structured_outputs": {"regex": "a\\b"}}), "structured_outputs.regex"),
        (json!({"guided_regex": ""}), "guided_regex"),
        (json!({"guided_json": "[1]"}), "guided_json"),
        (json!({"guided_json": "{\"a\": 1, \"a\": 2}"}), "guided_json"),
        (json!({"json_schema": true}), "json_schema"),
        (json!({"structured_outputs": {"json_object": "yes"}}), "structured_outputs.json_object"),
        (json!({"guided_choice": "a"}), "guided_choice"),
        (json!({"guided_choice": ["a"], "guided_regex": "a"}), "guided_regex"),
        (json!({"structured_outputs": {"json": {}, "regex": "a"}}), "structured_outputs.regex"),
        (json!({"json_schema": {}, "response_format": {"type": "json_object"}}), "json_schema"),
    ] {
        assert_eq!(told(fields.clone()).param.as_deref(), Some(param), "{fields}");
    }
}
