//! What is restricted does not leave, in whatever part of a request it stands, and however great the temptation.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::embeddings::serving;
use crate::harness::{Gateway, Setup, nobody, streamed, user, with};
use crate::sim::{Fault, Script, Sim};

/// Requests under way at a time.
const AT_ONCE: usize = 16;
/// What becomes of model names that nothing knows.
const UNKNOWN: &str = "models.unknown_model";

/// Makes a request with a text in one of its parts.
pub type Part = fn(&str) -> Value;

/// A request's name, body and headers.
type Named = (String, Value, Vec<(&'static str, String)>);

/// Every place of a request where text can stand.
pub const PARTS: &[(&str, Part)] = &[
    ("user", user),
    ("user part", |t| said(json!({ "role": "user", "content": [{ "type": "text", "text": t }] }))),
    ("system", |t| said(json!({ "role": "system", "content": t }))),
    ("developer", |t| said(json!({ "role": "developer", "content": t }))),
    ("assistant", |t| said(json!({ "role": "assistant", "content": t }))),
    ("refusal", |t| said(json!({ "role": "assistant", "refusal": t, "content": null }))),
    ("message name", |t| said(json!({ "role": "user", "name": t, "content": "hello" }))),
    ("unknown field of a message", |t| said(json!({ "role": "user", "content": "hello", "mood": t }))),
    ("tool name", |t| called(t, "{}")),
    ("tool arguments", |t| called("look_up", &json!({ "query": t }).to_string())),
    ("key in tool arguments", |t| called("look_up", &json!({ t: 1 }).to_string())),
    ("JSON in JSON in tool arguments", |t| {
        called("look_up", &json!({ "body": json!({ "query": [t] }).to_string() }).to_string())
    }),
    ("tool result", |t| answered(t)),
    ("JSON in a tool result", |t| answered(&json!({ "rows": [{ "value": t }] }).to_string())),
    ("tool call id", |t| said(json!({ "role": "tool", "tool_call_id": t, "content": "found" }))),
    ("tool definition's name", |t| tool(json!({ "name": t }))),
    ("tool definition", |t| tool(json!({ "name": "look_up", "description": t }))),
    ("schema property", |t| tool(json!({ "name": "f", "parameters": { "properties": { t: { "type": "string" } } } }))),
    ("schema enum", |t| tool(json!({ "name": "f", "parameters": { "properties": { "a": { "enum": ["x", t] } } } }))),
    ("schema default", |t| tool(json!({ "name": "f", "parameters": { "properties": { "a": { "default": t } } } }))),
    ("response schema", |t| {
        let schema = json!({ "name": "a", "schema": { "type": "object", "description": t } });
        with(user("hello"), json!({ "response_format": { "type": "json_schema", "json_schema": schema } }))
    }),
    ("grammar", |t| with(user("hello"), json!({ "grammar": spelt(t) }))),
    ("response grammar", |t| {
        with(user("hello"), json!({ "response_format": { "type": "grammar", "grammar": spelt(t) } }))
    }),
    ("choice", |t| with(user("hello"), json!({ "structured_outputs": { "choice": ["yes", t] } }))),
    ("regex", |t| with(user("hello"), json!({ "structured_outputs": { "regex": expression(t) } }))),
    ("guided regex", |t| with(user("hello"), json!({ "guided_regex": expression(t) }))),
    ("guided grammar", |t| with(user("hello"), json!({ "guided_grammar": spelt(t) }))),
    ("guided choice", |t| with(user("hello"), json!({ "guided_choice": ["yes", t] }))),
    ("guided schema's property", |t| {
        with(user("hello"), json!({ "guided_json": { "properties": { t: { "type": "string" } } } }))
    }),
    ("guided schema as text", |t| {
        with(user("hello"), json!({ "guided_json": json!({ "properties": { t: {} } }).to_string() }))
    }),
    ("schema of vLLM", |t| with(user("hello"), json!({ "structured_outputs": { "json": { "description": t } } }))),
    ("schema of llama.cpp", |t| with(user("hello"), json!({ "json_schema": { "enum": ["x", t] } }))),
    ("other form", |t| with(user("hello"), json!({ "structured_outputs": { "structural_tag": t } }))),
    ("stop", |t| with(user("hello"), json!({ "stop": ["end", t] }))),
    ("user id", |t| with(user("hello"), json!({ "user": t }))),
    ("safety identifier", |t| with(user("hello"), json!({ "safety_identifier": t }))),
    ("cache key", |t| with(user("hello"), json!({ "prompt_cache_key": t }))),
    ("metadata", |t| with(user("hello"), json!({ "metadata": { "ticket": t } }))),
    ("metadata key", |t| with(user("hello"), json!({ "metadata": { t: "yes" } }))),
    ("prediction", |t| with(user("hello"), json!({ "prediction": { "type": "content", "content": t } }))),
    ("unknown field", |t| with(user("hello"), json!({ "x_extra": { "deep": [[t]] } }))),
    ("unknown key", |t| with(user("hello"), json!({ t: true }))),
    ("unknown nested key", |t| with(user("hello"), json!({ "x_extra": { "deep": { t: 0 } } }))),
    ("JSON in JSON in JSON in tool arguments", |t| called("look_up", &nested(t, 3))),
    ("JSON in JSON in JSON in a tool result", |t| answered(&nested(t, 3))),
    ("JSON in JSON in JSON in a message", |t| user(&nested(t, 3))),
    ("JSON in JSON in JSON in an unknown field", |t| with(user("hello"), json!({ "x_extra": nested(t, 3) }))),
    ("JSON text in an unknown field", |t| with(user("hello"), json!({ "x_extra": json!({ "a": t }).to_string() }))),
];

/// Of providers that take grammars.
pub const GRAMMARS: &str = "grammars: true, timeouts: { connect: 2s, first_byte: 10s, idle: 10s }";

/// Every place of a request for anything else than chat.
const OTHERS: &[(&str, &str, Part)] = &[
    ("/v1/completions", "prompt", |t| json!({ "model": "auto", "prompt": t })),
    ("/v1/completions", "only prompt of a list", |t| json!({ "model": "auto", "prompt": [t] })),
    ("/v1/completions", "JSON in JSON in JSON in a prompt", |t| json!({ "model": "auto", "prompt": nested(t, 3) })),
    ("/v1/completions", "suffix", |t| completed(json!({ "suffix": t }))),
    ("/v1/completions", "stop", |t| completed(json!({ "stop": ["end", t] }))),
    ("/v1/completions", "user", |t| completed(json!({ "user": t }))),
    ("/v1/completions", "unknown field", |t| completed(json!({ "late": { "deep": [t] } }))),
    ("/v1/completions", "unknown key", |t| completed(json!({ t: 1 }))),
    ("/v1/embeddings", "text", |t| embedding(json!(t))),
    ("/v1/embeddings", "one of several texts", |t| embedding(json!(["hello", t, "there"]))),
    ("/v1/embeddings", "JSON in JSON in JSON in a text", |t| embedding(json!([nested(t, 3)]))),
    ("/v1/embeddings", "user", |t| with(embedding(json!("hello")), json!({ "user": t }))),
    ("/v1/embeddings", "unknown field", |t| with(embedding(json!("hello")), json!({ "late": { "deep": [t] } }))),
    ("/v1/embeddings", "unknown key", |t| with(embedding(json!("hello")), json!({ t: 1 }))),
    ("/v1/moderations", "text", |t| json!({ "input": t })),
    ("/v1/moderations", "one of several texts", |t| json!({ "input": ["hello", t] })),
    ("/v1/moderations", "text part", |t| judged(json!({ "type": "text", "text": t }))),
    ("/v1/moderations", "unknown field of a part", |t| judged(json!({ "type": "text", "text": "hello", "mood": t }))),
    ("/v1/moderations", "image's address", |t| judged(json!({ "type": "image_url", "image_url": { "url": t } }))),
    ("/v1/moderations", "unknown field of an image", |t| {
        judged(json!({ "type": "image_url", "image_url": { "url": "https://a.example", "alt": t } }))
    }),
    ("/v1/moderations", "unknown field", |t| json!({ "input": "hello", "late": [[t]] })),
    ("/v1/moderations", "unknown key", |t| json!({ "input": "hello", t: 1 })),
];

/// Texts that make a request restricted; the card also where it stands as a number.
const RESTRICTED: &[(&str, &str)] = &[
    ("card", "4111 1111 1111 1111"),
    ("full-width card", "４１１１ １１１１ １１１１ １１１１"),
    ("card with invisible characters", "4111\u{200b}1111\u{2060}1111\u{ad}1111"),
    ("IBAN", "GB82 WEST 1234 5698 7654 32"),
    ("SSN", "SSN 536-22-8145"),
    ("card on lines of base64", "N\nD\nE\nx\nM\nT\nE\nx\nM\nT\nE\nx\nM\nT\nE\nx\nM\nT\nE\nx\nM\nQ\n=\n="),
    ("cloud key", "AKIAQYLPMN5HFIQR7XYA"),
    ("label", "CONFIDENTIAL"),
];

/// The text in a string of JSON, in a string of JSON, and so on.
fn nested(text: &str, layers: usize) -> String {
    (0..layers).fold(text.to_owned(), |text, _| json!({ "body": [text] }).to_string())
}

fn said(message: Value) -> Value {
    json!({ "model": "auto", "messages": [{ "role": "user", "content": "hello" }, message] })
}

fn called(name: &str, arguments: &str) -> Value {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": name, "arguments": arguments } });
    said(json!({ "role": "assistant", "content": null, "tool_calls": [call] }))
}

fn answered(text: &str) -> Value {
    said(json!({ "role": "tool", "tool_call_id": "call_1", "content": text }))
}

fn tool(function: Value) -> Value {
    with(user("hello"), json!({ "tools": [{ "type": "function", "function": function }] }))
}

fn completed(fields: Value) -> Value {
    with(json!({ "model": "auto", "prompt": "Once" }), fields)
}

fn embedding(input: Value) -> Value {
    json!({ "model": "auto", "input": input })
}

fn judged(part: Value) -> Value {
    json!({ "input": [{ "type": "text", "text": "hello" }, part] })
}

/// A regular expression of this text, which stands in it as it is, but for what would mean something else.
fn expression(text: &str) -> String {
    regex::escape(text).replace("\\.", ".").replace("\\-", "-")
}

/// A grammar of just this text.
fn spelt(text: &str) -> String {
    format!("root ::= \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A card number where JSON has no quotes, and where a grammar has escapes.
fn numbers() -> Vec<Value> {
    let escaped: String = "4111111111111111".chars().map(|digit| format!("\\x{:02x}", u32::from(digit))).collect();
    vec![
        with(user("hello"), json!({ "grammar": format!("root ::= \"a\" | \"{escaped}\"") })),
        with(user("hello"), json!({ "guided_regex": format!("a|{escaped}") })),
        with(user("hello"), json!({ "guided_json": { "const": 4111111111111111_u64 } })),
        with(user("hello"), json!({ "x_extra": 4111111111111111_u64 })),
        with(user("hello"), json!({ "metadata": { "ticket": 4111111111111111_u64 } })),
        with(user("hello"), json!({ "x_extra": [4111111111111111.0] })),
        called("pay", r#"{"card":4111111111111111}"#),
        answered(r#"[{"card":4111111111111111}]"#),
        tool(json!({ "name": "f", "parameters": { "properties": { "a": { "const": 4111111111111111_u64 } } } })),
        with(user("hello"), json!({ "model": "4111111111111111" })),
        with(user("hello"), json!({ "model": "AKIAQYLPMN5HFIQR7XYA" })),
        said(json!({ "role": "user", "content": [
            { "type": "image_url", "image_url": { "url": "https://example.com/?card=4111111111111111" } }
        ] })),
    ]
}

/// All restricted requests with their headers: by content, by the key, by the client's label.
fn restricted(closed: &str, open: &str) -> Vec<Named> {
    let bearer = |key: &str| ("authorization", format!("Bearer {key}"));
    let mut all = Vec::new();
    for (part, body) in PARTS {
        for (kind, text) in RESTRICTED {
            all.push((format!("{kind} in {part}"), body(text), vec![bearer(open)]));
        }
        all.push((format!("closed desk, {part}"), body("canary"), vec![bearer(closed)]));
        let label = ("x-ajar-label", "restricted".to_owned());
        all.push((format!("client's label, {part}"), body("canary"), vec![bearer(open), label]));
        let unreadable = ("x-ajar-label", "no such word".to_owned());
        all.push((format!("unknown label, {part}"), body("canary"), vec![bearer(open), unreadable]));
    }
    all.extend(numbers().into_iter().map(|body| (format!("number in {body}"), body, vec![bearer(open)])));
    all
}

async fn send_all(gateway: &Gateway, requests: Vec<Named>) -> usize {
    let both = requests.into_iter().flat_map(|(name, body, headers)| {
        [(name.clone(), body.clone(), headers.clone()), (format!("{name}, streamed"), streamed(body), headers)]
    });
    let sent = stream::iter(both).map(async |(name, body, headers)| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
        (name, gateway.ask_with(&body, &headers).await)
    });
    let replies: Vec<_> = sent.buffer_unordered(AT_ONCE).collect().await;
    for (name, reply) in &replies {
        assert!([403, 502, 503].contains(&reply.status), "{name}: {} {}", reply.status, reply.text());
    }
    replies.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_restricted_leaves_though_home_is_absent_unreachable_or_failing() {
    let far = Sim::start(Script::echo());
    let failing = Sim::start(Script::echo().fault(Fault::Status { status: 500, retry_after: None }));
    let mut asked = 0;
    let absent = "grammars: true, credential: { file: /no/such/file }";
    for (home, fields) in [(failing.base_url(), GRAMMARS), (nobody(), GRAMMARS), (nobody(), absent)] {
        let mut setup = Setup::new()
            .provider_at("far", &far.base_url(), GRAMMARS)
            .provider_at("home", &home, fields)
            .set(UNKNOWN, "auto");
        let (closed, open) = (setup.key("closed", "attributes: { desk: closed }"), setup.key("open", ""));
        let gateway = setup.start().await;
        let sent = send_all(&gateway, restricted(&closed, &open)).await;
        asked += sent;
        let rows = gateway.rows(sent).await;
        assert!(rows.iter().all(|row| row.class.as_deref() == Some("restricted") && row.bytes_out == 0));
        gateway.running.stop().await;
    }
    assert!(asked >= 1000, "{asked} requests");
    assert_eq!(far.connections(), 0);
    assert!(far.raw_bytes().is_empty());
    // Until its breaker opened.
    assert!(failing.counts().requests >= 8, "home was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_allowed_is_found_at_the_provider() {
    let far = Sim::start(Script::echo());
    let setup = Setup::new().provider_at("far", &far.base_url(), GRAMMARS).provider("home", &far);
    let gateway = setup.set(UNKNOWN, "auto").start().await;
    for (i, (part, body)) in PARTS.iter().enumerate() {
        for (canary, streams) in [(format!("canary{i}whole"), false), (format!("canary{i}stream"), true)] {
            let body = if streams { streamed(body(&canary)) } else { body(&canary) };
            let reply = gateway.ask(&body).await;
            assert_eq!(reply.status, 200, "{part}: {}", reply.text());
            assert!(far.saw(&canary), "{part}");
        }
    }
    // The model is the destination's own, whatever the client calls it.
    let reply = gateway.ask(&with(user("hello"), json!({ "model": "canary-model" }))).await;
    assert_eq!(reply.status, 200);
    assert!(!far.saw("canary-model") && far.saw("gpt-4o-mini"));
    let rows = gateway.rows(2 * PARTS.len() + 1).await;
    assert!(rows.iter().all(|row| row.class.as_deref() == Some("public") && row.bytes_out > 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_restricted_leaves_by_any_other_task_though_home_fails() {
    let far = Sim::start(Script::default());
    let failing = Sim::start(Script::default().fault(Fault::Status { status: 500, retry_after: None }));
    let gateway = serving(Setup::new()).provider("far", &far).provider("home", &failing).start().await;
    let sent = stream::iter(OTHERS).flat_map(|(path, part, body)| {
        stream::iter(RESTRICTED).map(move |(kind, text)| (path, part, kind, body(text)))
    });
    let replies: Vec<_> = sent
        .map(async |(path, part, kind, body)| (path, part, kind, gateway.ask_at(path, &body, &[]).await))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    assert_eq!(replies.len(), OTHERS.len() * RESTRICTED.len());
    for (path, part, kind, reply) in &replies {
        assert!(
            [403, 422, 502, 503].contains(&reply.status),
            "{path}, {kind} in {part}: {} {}",
            reply.status,
            reply.text()
        );
    }
    let rows = gateway.rows(replies.len()).await;
    assert!(rows.iter().all(|row| row.class.as_deref() == Some("restricted") && row.bytes_out == 0));
    assert_eq!(far.connections(), 0);
    assert!(failing.counts().requests >= 8, "home was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_allowed_of_any_other_task_is_found_at_the_provider() {
    let far = Sim::start(Script::default());
    let gateway = serving(Setup::new()).provider("far", &far).provider("home", &far).start().await;
    for (i, (path, part, body)) in OTHERS.iter().enumerate() {
        let canary = format!("canary{i}other");
        let reply = gateway.ask_at(path, &body(&canary), &[]).await;
        assert_eq!(reply.status, 200, "{path}, {part}: {}", reply.text());
        assert!(far.saw(&canary), "{path}, {part}");
    }
}
