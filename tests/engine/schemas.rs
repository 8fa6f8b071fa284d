//! Answers under JSON schemas: whatever ends by itself is valid.

use ajar::chat::reply::FinishReason;
use ajar::chat::request::{ChatRequest, ResponseFormat, Role, Sampling, Schema};
use ajar::dispatch::local::Engine;
use futures_util::{StreamExt, stream};
use serde_json::{Map, Value, json};

use crate::support::Random;
use crate::{assert_all_is_free, engine, job, message, read, size};

/// How many answers; `AJAR_SCHEMA_ANSWERS=1000` for a thorough run.
const ANSWERS: usize = 12;
const SCHEMAS: usize = 50;
/// Cap on each answer in tokens.
const CAP: u32 = 200;

/// A schema of some depth, the same for the same numbers.
fn schema(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 10 } else { 14 };
    match random.below(kinds) {
        0 => json!({"type": "boolean"}),
        1 => json!({"type": "integer", "minimum": -5, "maximum": 100 + random.below(1000)}),
        2 => json!({"type": "number", "exclusiveMinimum": 0, "maximum": 99}),
        3 => json!({"type": "string", "maxLength": 5 + random.below(30)}),
        4 => json!({"enum": ["red", "green", "blue", 7, null]}),
        5 => json!({"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$"}),
        6 => {
            json!({"type": "string", "format": random.pick(&["date", "time", "uuid", "email", "ipv4"]), "maxLength": 40})
        }
        7 => json!({"const": {"version": random.below(9)}}),
        8 => json!({"type": ["integer", "null"], "minimum": 0, "maximum": 9}),
        9 => json!({"$ref": "#/$defs/label"}),
        10 => json!({"type": "array", "items": schema(random, depth - 1), "minItems": 1, "maxItems": 3}),
        11 => json!({"anyOf": [schema(random, depth - 1), {"type": "null"}]}),
        12 => json!({
            "type": "array", "prefixItems": [schema(random, depth - 1), {"type": "boolean"}], "items": false, "minItems": 2,
        }),
        _ => object(random, depth - 1),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    let names = ["name", "größe", "a \"quoted\" one", "x", "items", "street_1"];
    let count = 1 + random.below(names.len() - 1);
    let properties: Map<String, Value> =
        names[..count].iter().map(|name| ((*name).to_owned(), schema(random, depth))).collect();
    let required: Vec<&str> = names[..count].iter().copied().filter(|_| !random.one_in(4)).collect();
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn whole(number: usize) -> Value {
    let mut schema = object(&mut Random::new(number as u64), 2);
    schema["$defs"] = json!({"label": {"type": "string", "minLength": 1, "maxLength": 12}});
    schema
}

/// How an answer ended, and whether it is valid.
async fn ask(engine: &Engine, number: usize) -> (Option<FinishReason>, bool) {
    let schema = whole(number % SCHEMAS);
    let asked = Schema { strict: Some(true), schema: Some(schema.to_string().into()), ..Schema::default() };
    let request = ChatRequest {
        messages: vec![message(Role::User, "Describe a house, as JSON.")],
        response_format: ResponseFormat::JsonSchema(asked),
        sampling: Sampling { temperature: Some(1.0), seed: Some(number as i64), ..Sampling::default() },
        ..ChatRequest::default()
    };
    let (text, finish) = read(engine.generate(job("a", request, CAP)).unwrap(), usize::MAX).await;
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    let value = serde_json::from_str::<Value>(&text);
    let is_valid = value.is_ok_and(|value| validator.is_valid(&value));
    if finish == Some(FinishReason::Stop) {
        assert!(is_valid, "{text} under {schema}");
    }
    (finish, is_valid)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_ends_by_itself_is_valid_under_its_schema() {
    let answers = size("AJAR_SCHEMA_ANSWERS", ANSWERS);
    let engine = engine(16 << 20).await;
    let all = stream::iter(0..answers).map(|number| ask(&engine, number));
    let ends: Vec<_> = all.buffer_unordered(8).collect().await;
    let stopped = ends.iter().filter(|(finish, valid)| *finish == Some(FinishReason::Stop) && *valid).count();
    let cut = ends.iter().filter(|(finish, _)| *finish == Some(FinishReason::Length)).count();
    println!(
        "{answers} answers under {SCHEMAS} schemas: {stopped} ended by themselves and are valid, {cut} were cut at {CAP} tokens"
    );
    assert_eq!(stopped + cut, answers);
    assert!(stopped * 2 > answers, "most end by themselves");
    assert_all_is_free(&engine).await;
}
