//! The OpenAPI document is what the types say, of all routes there are, and requests are read as it says.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

#[allow(unused_imports, reason = "each that includes it uses a part of it")]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ajar::chat::{Json, Source};
use ajar::dialect::{BadRequest, Decoded, Dialect, Feature};
use ajar::openapi::document;
use jsonschema::Validator;
use serde_json::{Value, json};

use self::support::Random;
use self::support::grafts::transplanted;

/// Variations of each body.
const VARIATIONS: usize = 400;

#[test]
fn the_committed_document_is_what_the_types_say() {
    let document = serde_json::to_string_pretty(&document()).unwrap() + "\n";
    assert!(fs::read_to_string("docs/openapi.json").unwrap() == document, "`ajar openapi > docs/openapi.json`");
}

#[test]
fn the_document_has_every_route_and_no_other() {
    let served: BTreeSet<(String, String)> =
        ["src/serve/data.rs", "src/serve/operator.rs"].into_iter().flat_map(routes).collect();
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|key| *key != "servers");
        methods.map(move |method| (path.clone(), method.clone()))
    });
    assert_eq!(described.collect::<BTreeSet<_>>(), served);
}

/// The paths and methods of a router, read off its source.
fn routes(file: &str) -> Vec<(String, String)> {
    let source = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let routes = source.split(".route(\"").skip(1).flat_map(|route| {
        let (path, rest) = route.split_once('"').unwrap();
        let handlers = rest.split_once('\n').map_or(rest, |(line, _)| line);
        let methods = ["get", "post", "delete"].into_iter().filter(|method| handlers.contains(&format!("{method}(")));
        methods.map(|method| (path.to_owned(), method.to_owned())).collect::<Vec<_>>()
    });
    routes.collect()
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = document();
    let mut used = BTreeSet::new();
    references(&document, &mut used);
    for reference in &used {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(used.contains(&format!("#/components/schemas/{name}")), "nobody needs {name}");
    }
}

fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

/// The schema called `name`, able to resolve the others.
fn validator(name: &str) -> Validator {
    let components = document()["components"].clone();
    jsonschema::validator_for(&json!({"$ref": format!("#/components/schemas/{name}"), "components": components}))
        .unwrap()
}

/// What is said about a body: whether it can be read, and what that takes.
fn decode(dialect: Dialect, body: &Value) -> Result<Vec<Feature>, BadRequest> {
    let body = body.to_string().into_bytes();
    let json = Json::parse(&body).unwrap();
    dialect.decode(&body, &json).map(|decoded| decoded.uses.iter().collect())
}

const DIALECTS: [(Dialect, &str, &str); 6] = [
    (Dialect::Chat, "ChatCompletionRequest", "messages"),
    (Dialect::Messages, "MessagesRequest", "messages"),
    (Dialect::Responses, "ResponseRequest", "input"),
    (Dialect::Completions, "CompletionRequest", "prompt"),
    (Dialect::Embeddings, "EmbeddingRequest", "input"),
    (Dialect::Moderations, "ModerationRequest", "input"),
];

#[test]
fn every_member_of_a_request_in_the_document_is_known_to_its_reader() {
    for (dialect, name, conversation) in DIALECTS {
        let document = document();
        let members = document["components"]["schemas"][name]["properties"].as_object().unwrap();
        assert!(members.len() > 1);
        for member in members.keys() {
            let mut body = json!({"model": "auto", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}], "input": "x", "prompt": "x"});
            body.as_object_mut().unwrap().retain(|key, _| {
                key == "model" || key == conversation || dialect == Dialect::Messages && key == "max_tokens"
            });
            if body.get(member).is_none() {
                body[member] = Value::Null;
            }
            let bytes = body.to_string().into_bytes();
            let json = Json::parse(&bytes).unwrap();
            let decoded: Decoded<'_> = dialect.decode(&bytes, &json).unwrap();
            let unknown: Vec<_> = decoded.parts.iter().filter(|part| part.source == Source::Unknown).collect();
            assert!(unknown.is_empty(), "{name}: `{member}` is not known");
        }
    }
}

/// What only concerns some providers is read and not described.
const UNDESCRIBED: [Feature; 6] = [
    Feature::UnknownFields,
    Feature::CustomTools,
    Feature::WebSearch,
    Feature::LegacyFunctions,
    Feature::Store,
    Feature::AudioOutput,
];

/// What several members must be together, which no schema says here: `param` and the reason.
fn concerns_several(bad: &BadRequest) -> bool {
    ["come with", "together with", "be at least `n`", "nested", "deep"].iter().any(|words| bad.message.contains(words))
}

#[test]
fn what_the_document_allows_is_read_and_what_it_forbids_is_refused() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/request_json");
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let bodies: Vec<Value> = files.filter_map(|file| serde_json::from_slice(&file).ok()).collect();
    let mut random = Random::new(5);
    let mut disagreed = BTreeSet::new();
    for (dialect, name, _) in DIALECTS {
        let schema = validator(name);
        let (mut allowed, mut forbidden) = (0, 0);
        for body in &bodies {
            for _ in 0..VARIATIONS {
                let varied = transplanted(body, &bodies, &mut random);
                let is_allowed = schema.is_valid(&varied);
                match decode(dialect, &varied) {
                    Ok(_) if is_allowed => allowed += 1,
                    Err(_) if !is_allowed => forbidden += 1,
                    Ok(uses) if uses.iter().any(|feature| UNDESCRIBED.contains(feature)) => {}
                    Err(bad) if concerns_several(&bad) => {}
                    Ok(_) => drop(disagreed.insert(format!("{name} forbids {varied}"))),
                    Err(bad) => drop(disagreed.insert(format!("{name} allows, though {bad}: {varied}"))),
                }
            }
        }
        assert!(allowed > 100 && forbidden > 100, "{name}: {allowed} and {forbidden}");
    }
    assert!(disagreed.is_empty(), "{} disagree: {disagreed:#?}", disagreed.len());
}
