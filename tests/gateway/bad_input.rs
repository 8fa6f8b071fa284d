//! Bad requests: a 4xx in OpenAI's shape that names the field; nothing reaches a provider, and a record is written.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, user, with};
use crate::sim::{Script, Sim};

async fn gateway(far: &Sim) -> Gateway {
    let setup = Setup::new().provider("far", far).provider("home", far);
    setup.section("models: { \"gpt-*\": auto, unknown_model: reject }\n").start().await
}

/// What is sent, and status, code and field of the refusal.
type Case = (Vec<u8>, u16, &'static str, Option<&'static str>);

fn raw(body: impl AsRef<[u8]>, code: &'static str, param: Option<&'static str>) -> Case {
    (body.as_ref().to_vec(), 400, code, param)
}

fn field(fields: Value, code: &'static str, param: &'static str) -> Case {
    raw(with(user("hello"), fields).to_string(), code, Some(param))
}

fn messages(messages: Value, code: &'static str, param: &'static str) -> Case {
    field(json!({ "messages": messages }), code, param)
}

fn no_json() -> Vec<Case> {
    let deep = format!(r#"{{"model":"auto","x":{}1{}}}"#, "[".repeat(100), "]".repeat(100));
    vec![
        raw("", "invalid_json", None),
        raw("{\"model\":", "invalid_json", None),
        raw("{\"model\":\"auto\",}", "invalid_json", None),
        raw("not json at all", "invalid_json", None),
        raw("{\"a\":1} {\"a\":1}", "invalid_json", None),
        raw("{\"model\":NaN}", "invalid_json", None),
        raw(b"{\"model\":\"\xff\xfe\"}", "invalid_utf8", None),
        raw(br#"{"model":"\ud800"}"#, "invalid_json", None),
        raw(r#"{"model":"auto","model":"gpt-4o","messages":[]}"#, "duplicate_key", Some("model")),
        raw(r#"{"model":"auto","messages":[{"role":"user","ro\u006ce":"system"}]}"#, "duplicate_key", Some("role")),
        raw(deep, "nested_too_deep", None),
        raw("[1,2]", "invalid_type", None),
        raw("null", "invalid_type", None),
    ]
}

fn wrong_fields() -> Vec<Case> {
    vec![
        raw(r#"{"messages":[{"role":"user","content":"x"}]}"#, "missing_required_parameter", Some("model")),
        raw(r#"{"model":"auto"}"#, "missing_required_parameter", Some("messages")),
        field(json!({ "model": 4 }), "invalid_type", "model"),
        field(json!({ "model": "" }), "invalid_value", "model"),
        messages(json!([]), "invalid_value", "messages"),
        messages(json!("hello"), "invalid_type", "messages"),
        messages(json!([1]), "invalid_type", "messages[0]"),
        messages(json!([{ "content": "x" }]), "missing_required_parameter", "messages[0].role"),
        messages(json!([{ "role": "wizard", "content": "x" }]), "invalid_value", "messages[0].role"),
        messages(json!([{ "role": "user" }]), "missing_required_parameter", "messages[0].content"),
        messages(json!([{ "role": "user", "content": 7 }]), "invalid_type", "messages[0].content"),
        messages(json!([{ "role": "user", "content": [] }]), "invalid_value", "messages[0].content"),
        messages(
            json!([{ "role": "user", "content": [{ "type": "smell" }] }]),
            "invalid_value",
            "messages[0].content[0].type",
        ),
        messages(json!([{ "role": "tool", "content": "x" }]), "missing_required_parameter", "messages[0].tool_call_id"),
    ]
}

fn absurd_parameters() -> Vec<Case> {
    vec![
        field(json!({ "temperature": 3 }), "invalid_value", "temperature"),
        field(json!({ "temperature": -1 }), "invalid_value", "temperature"),
        field(json!({ "temperature": "hot" }), "invalid_type", "temperature"),
        field(json!({ "top_p": 1.5 }), "invalid_value", "top_p"),
        field(json!({ "n": 0 }), "invalid_value", "n"),
        field(json!({ "n": 1_000_000 }), "invalid_value", "n"),
        field(json!({ "max_tokens": 0 }), "invalid_value", "max_tokens"),
        field(json!({ "max_tokens": -5 }), "invalid_value", "max_tokens"),
        field(json!({ "max_tokens": 1.5 }), "invalid_value", "max_tokens"),
        field(json!({ "max_tokens": 1e300 }), "invalid_value", "max_tokens"),
        field(json!({ "max_tokens": "many" }), "invalid_type", "max_tokens"),
        field(json!({ "stream": "yes" }), "invalid_type", "stream"),
        field(json!({ "stream_options": { "include_usage": true } }), "invalid_value", "stream_options"),
        field(json!({ "stop": ["a", "b", "c", "d", "e"] }), "invalid_value", "stop"),
        field(json!({ "tools": "all" }), "invalid_type", "tools"),
        field(json!({ "tools": [{ "type": "function" }] }), "missing_required_parameter", "tools[0].function"),
        field(json!({ "response_format": { "type": "poem" } }), "invalid_value", "response_format.type"),
        field(json!({ "logit_bias": { "x": 1 } }), "invalid_value", "logit_bias"),
        field(json!({ "presence_penalty": 99 }), "invalid_value", "presence_penalty"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_body_is_refused_by_the_name_of_its_field_and_recorded() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let mut cases: Vec<Case> = [no_json(), wrong_fields(), absurd_parameters()].concat();
    let unknown = with(user("hello"), json!({ "model": "no-such-model" }));
    cases.push((unknown.to_string().into_bytes(), 404, "model_not_found", Some("model")));
    for (body, status, code, param) in &cases {
        let shown = std::str::from_utf8(body).unwrap_or("bytes").chars().take(120).collect::<String>();
        let reply = gateway.send(body.clone(), &[]).await;
        let wanted = (*status, (code.to_string(), param.map(str::to_owned)));
        assert_eq!((reply.status, reply.error()), wanted, "{shown}: {}", reply.text());
        assert!(!reply.header("x-ajar-id").is_empty(), "{shown}");
    }
    let rows = gateway.rows(cases.len()).await;
    for (row, (_, status, code, _)) in rows.iter().zip(&cases) {
        assert_eq!((row.outcome.name(), row.status, row.reason.as_deref()), ("invalid", *status, Some(*code)));
    }
    assert_eq!(far.connections(), 0);
    assert_eq!(gateway.ask(&user("still alive")).await.content(), "still alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_50_mib_is_refused_whether_its_length_is_told_or_not() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let reply = gateway.send(vec![b' '; 50 << 20], &[]).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (413, "request_too_large"));
    let chunk = Bytes::from(vec![b' '; 1 << 20]);
    let chunks = stream::iter((0..50).map(move |_| Ok::<_, Infallible>(chunk.clone())));
    let reply = gateway.send(reqwest::Body::wrap_stream(chunks), &[]).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (413, "request_too_large"));
    let rows = gateway.rows(2).await;
    assert!(rows.iter().all(|row| (row.status, row.outcome.name()) == (413, "invalid")));
    assert_eq!(far.connections(), 0);
    assert_eq!(gateway.ask(&user("still alive")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_compressed_is_refused_by_that_name_and_not_as_bad_text() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    for encoding in ["gzip", "zstd", "identity, br"] {
        let reply = gateway.send(vec![0x1f, 0x8b, 8, 0, 0], &[("content-encoding", encoding)]).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (415, "unsupported_media_type"), "{encoding}");
    }
    let rows = gateway.rows(3).await;
    assert!(rows.iter().all(|row| (row.status, row.outcome.name()) == (415, "invalid")));
    assert_eq!(far.connections(), 0);
    let plain = gateway.ask_with(&user("still alive"), &[("content-encoding", "Identity")]).await;
    assert_eq!(plain.content(), "still alive");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_longer_than_every_context_is_refused() {
    let far = Sim::start(Script::echo());
    let setup = Setup::new()
        .provider("far", &far)
        .provider("home", &far)
        .policy("boundary: external,", "boundary: external, context: 1000,");
    let gateway = setup.policy("[far, home]", "[far]").start().await;
    let reply = gateway.ask(&user(&"word ".repeat(5000))).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (400, "context_length_exceeded"));
    assert_eq!(gateway.rows(1).await[0].outcome.name(), "invalid");
    assert_eq!(far.connections(), 0);
}
