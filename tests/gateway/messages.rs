//! Anthropic's messages: clients that speak them, before providers of every dialect, and a provider that does, behind
//! clients of another.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Gateway, POLICY, Reply, Setup, eventually, streamed, user, with};
use crate::sim::{Answer, Break, Fault, Script, Sim};

const PATH: &str = "/v1/messages";
const CHAT: &str = "/v1/chat/completions";
const CLAUDE: &str = "claude-opus-4-6";
const WORDS: &str = "It is a river.\n語 😀 \"quoted\"";
/// What the providers of these tests speak.
const DIALECTS: [&str; 2] = ["anthropic", "openai"];

/// A gateway before one outside provider.
struct World {
    far: Sim,
    home: Sim,
    gateway: Gateway,
}

impl World {
    async fn new(dialect: &str, script: Script) -> Self {
        Self::with(Setup::new(), dialect, script).await
    }

    async fn with(setup: Setup, dialect: &str, script: Script) -> Self {
        let (far, home) = (Sim::start(script), Sim::start(Script::text("home")));
        // What a model takes depends on its name.
        let setup = if dialect == "anthropic" { setup.policy("gpt-4o-mini", CLAUDE) } else { setup };
        let setup = setup.provider_speaking("far", &far, dialect).provider("home", &home);
        Self { gateway: setup.start().await, far, home }
    }

    async fn ask(&self, path: &str, body: &Value) -> Reply {
        self.gateway.ask_at(path, body, &[]).await
    }

    /// The last body that the provider outside got.
    fn received(&self) -> Value {
        serde_json::from_slice(&self.far.requests().last().expect("the provider was asked").body).unwrap()
    }

    fn received_header(&self, name: &str) -> Option<String> {
        let requests = self.far.requests();
        let value = requests.last().expect("the provider was asked").headers.get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }
}

fn asks(text: &str) -> Value {
    json!({"model": "far", "max_tokens": 2000, "messages": [{"role": "user", "content": text}]})
}

fn chats(text: &str) -> Value {
    with(user(text), json!({"model": "far"}))
}

/// The events of a stream, each under the name that its line gives it.
fn events(reply: &Reply) -> Vec<Value> {
    let mut events = Vec::new();
    for frame in reply.text().split("\n\n").filter(|frame| !frame.is_empty()) {
        let (name, data) = frame.split_once('\n').expect("two lines");
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: ").unwrap(), data["type"], "{frame}");
        events.push(data);
    }
    events
}

/// The whole message, streamed or not, as a client library adds it up.
fn message(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    if reply.header("content-type") == "application/json" {
        return reply.json();
    }
    let events = events(reply);
    assert_eq!(events.last().unwrap()["type"], "message_stop", "{}", reply.text());
    let mut message = events[0]["message"].clone();
    let mut blocks: Vec<Value> = Vec::new();
    let mut inputs: Vec<String> = Vec::new();
    for event in &events[1..] {
        let index = event["index"].as_u64().unwrap_or(0) as usize;
        let delta = &event["delta"];
        match event["type"].as_str().unwrap() {
            "content_block_start" => {
                assert_eq!(index, blocks.len(), "blocks begin in order");
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => match delta["type"].as_str().unwrap() {
                "text_delta" => push(&mut blocks[index]["text"], &delta["text"]),
                "thinking_delta" => push(&mut blocks[index]["thinking"], &delta["thinking"]),
                "signature_delta" => blocks[index]["signature"] = delta["signature"].clone(),
                _ => inputs[index].push_str(delta["partial_json"].as_str().unwrap()),
            },
            "content_block_stop" if !inputs[index].is_empty() => {
                blocks[index]["input"] = serde_json::from_str(&inputs[index]).unwrap();
            }
            "message_delta" => {
                message["stop_reason"] = delta["stop_reason"].clone();
                let usage = event["usage"].as_object().unwrap().clone();
                message["usage"].as_object_mut().unwrap().extend(usage);
            }
            _ => {}
        }
    }
    message["content"] = blocks.into();
    message
}

fn push(text: &mut Value, more: &Value) {
    *text = format!("{}{}", text.as_str().unwrap(), more.as_str().unwrap()).into();
}

fn said(message: &Value) -> String {
    let blocks = message["content"].as_array().unwrap();
    blocks.iter().filter_map(|block| block["text"].as_str()).collect()
}

/// The calls of tools in an answer in either dialect, streamed or not: names and arguments.
fn calls(path: &str, reply: &Reply) -> Vec<(String, Value)> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    if path == PATH {
        let message = message(reply);
        assert_eq!(message["stop_reason"], "tool_use");
        let blocks = message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use");
        return blocks.map(|block| (block["name"].as_str().unwrap().to_owned(), block["input"].clone())).collect();
    }
    let mut calls: Vec<(String, String)> = Vec::new();
    let (key, documents) = match reply.header("content-type") {
        "application/json" => ("message", vec![reply.text()]),
        _ => ("delta", reply.events().into_iter().filter(|event| event != "[DONE]").collect()),
    };
    for document in documents {
        let document: Value = serde_json::from_str(&document).unwrap();
        for (at, call) in document["choices"][0][key]["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let index = call["index"].as_u64().map_or(at, |index| index as usize);
            if calls.len() <= index {
                calls.push((call["function"]["name"].as_str().unwrap().to_owned(), String::new()));
            }
            calls[index].1.push_str(call["function"]["arguments"].as_str().unwrap_or_default());
        }
    }
    calls.into_iter().map(|(name, arguments)| (name, serde_json::from_str(&arguments).unwrap())).collect()
}

fn tools(path: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    match path == PATH {
        true => json!({"tools": [{"name": "weather", "description": "of a city", "input_schema": schema}],
            "tool_choice": {"type": "any"}}),
        false => json!({"tools": [{"type": "function", "function":
            {"name": "weather", "description": "of a city", "parameters": schema}}], "tool_choice": "required"}),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_come_whole_and_streamed_whatever_the_provider_speaks() {
    for dialect in DIALECTS {
        let world = World::new(dialect, Script::text(WORDS)).await;
        for body in [asks("what is it?"), streamed(asks("what is it?"))] {
            let reply = world.ask(PATH, &body).await;
            let message = message(&reply);
            assert_eq!(said(&message), WORDS, "{dialect}");
            assert_eq!((&message["role"], &message["stop_reason"]), (&json!("assistant"), &json!("end_turn")));
            assert!(message["id"].as_str().unwrap().starts_with("msg_"), "{message}");
            assert!(message["usage"]["input_tokens"].as_u64() > Some(0), "{message}");
            assert!(message["usage"]["output_tokens"].as_u64() > Some(1), "{message}");
            assert_eq!(reply.header("request-id"), reply.header("x-ajar-id"));
        }
        for row in world.gateway.rows(2).await {
            assert_eq!((row.dialect.as_ref(), row.served_by.as_deref()), ("anthropic.messages", Some("far")));
            assert!(!row.usage_estimated && row.output_tokens > Some(1) && row.status == 200, "{row:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chat_clients_are_answered_by_a_provider_of_messages() {
    let world = World::new("anthropic", Script::text(WORDS)).await;
    for body in [chats("what is it?"), streamed(chats("what is it?"))] {
        let reply = world.ask(CHAT, &body).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, WORDS), "{}", reply.text());
    }
    let sent = world.received();
    assert_eq!((&sent["model"], &sent["stream"]), (&json!(CLAUDE), &json!(true)));
    assert!(sent["max_tokens"].is_u64() && sent["stream_options"].is_null(), "{sent}");
    assert_eq!(world.received_header("anthropic-version").as_deref(), Some("2023-06-01"));
    let rows = world.gateway.rows(2).await;
    assert!(rows.iter().all(|row| !row.usage_estimated), "{rows:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_of_the_same_dialect_gets_the_clients_bytes_and_the_client_the_providers() {
    let world = World::new("anthropic", Script::text("hi")).await;
    let body = r#"{ "model":"far", "max_tokens" : 50, "messages" : [{"role":"user","content":"h\u0069"}], "top_p":0.50,
        "vendor":{"x":1.0}, "stream":true }"#;
    let response = world.gateway.open_at(PATH, body, &[]).await;
    let reply = Reply::read(response).await;
    assert!(reply.text().contains("event: ping"), "the provider's own frames: {}", reply.text());
    assert_eq!(said(&message(&reply)), "hi");
    let sent = world.far.requests().pop().unwrap().body;
    assert_eq!(std::str::from_utf8(&sent).unwrap(), body.replace("far", CLAUDE));
    assert_eq!(world.far.requests()[0].path, PATH);
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_one_or_several_whole_and_streamed_and_their_results_reach_the_provider() {
    let both = [("weather", "{\"city\":\"Ulm\"}"), ("weather", "{\"city\":\"Köln \\\"am Rhein\\\"\"}")];
    let both: Vec<_> = both.map(|(name, arguments)| (name.to_owned(), arguments.to_owned())).into();
    let expected = [json!({"city": "Ulm"}), json!({"city": "Köln \"am Rhein\""})];
    for (path, dialect) in [(PATH, "anthropic"), (PATH, "openai"), (CHAT, "anthropic")] {
        for wanted in [1, 2] {
            let world = World::new(dialect, Script::answering(Answer::ToolCalls(both[..wanted].to_vec()))).await;
            let body = with(if path == PATH { asks("weather?") } else { chats("weather?") }, tools(path));
            for body in [body.clone(), streamed(body.clone())] {
                let calls = calls(path, &world.ask(path, &body).await);
                let inputs: Vec<_> = calls.iter().map(|(_, input)| input.clone()).collect();
                assert_eq!(inputs, expected[..wanted], "{path} {dialect}");
                assert!(calls.iter().all(|(name, _)| name == "weather"));
            }
            let sent = world.received();
            let schema = if dialect == "openai" {
                &sent["tools"][0]["function"]["parameters"]
            } else {
                &sent["tools"][0]["input_schema"]
            };
            assert_eq!(schema["properties"]["city"]["type"], "string", "{sent}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_tools_returned_is_told_with_the_calls_that_it_belongs_to() {
    let called = json!([{"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Ulm"}},
        {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}}]);
    let results = json!([{"type": "tool_result", "tool_use_id": "toolu_1", "content": "rain"},
        {"type": "tool_result", "tool_use_id": "toolu_2", "is_error": true, "content": [{"type": "text", "text": "no city"}]},
        {"type": "text", "text": "and now?"}]);
    let body = with(
        asks("x"),
        with(
            tools(PATH),
            json!({"messages": [{"role": "user", "content": "weather?"},
        {"role": "assistant", "content": called}, {"role": "user", "content": results}]}),
        ),
    );
    let world = World::new("openai", Script::echo()).await;
    let reply = world.ask(PATH, &body).await;
    assert_eq!(said(&message(&reply)), "and now?");
    assert_eq!(reply.header("x-ajar-warning"), "not sent: tool_failed");
    let sent = world.received()["messages"].clone();
    assert_eq!(sent[1]["tool_calls"][0]["function"]["arguments"], "{\"city\":\"Ulm\"}");
    assert_eq!((&sent[2]["tool_call_id"], &sent[2]["content"]), (&json!("toolu_1"), &json!("rain")));
    assert_eq!((&sent[3]["role"], &sent[3]["content"]), (&json!("tool"), &json!("no city")));

    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "weather", "arguments": "{}"}});
    let result = |id: &str, text: &str| json!({"role": "tool", "tool_call_id": id, "content": text});
    let body = with(
        chats("x"),
        with(
            tools(CHAT),
            json!({"messages": [{"role": "user", "content": "weather?"},
        {"role": "assistant", "content": null, "tool_calls": [call("call_1"), call("call_2")]},
        result("call_1", "rain"), result("call_2", "sun")]}),
        ),
    );
    let world = World::new("anthropic", Script::echo()).await;
    let reply = world.ask(CHAT, &body).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "rain\nsun"), "{}", reply.text());
    assert_eq!(world.received()["messages"][2]["content"].as_array().unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn forms_images_and_thinking_are_asked_for_in_the_providers_words() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    let image = json!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}});
    let more = json!({"output_config": {"format": {"type": "json_schema", "schema": schema}, "effort": "high"},
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, image]}]});
    let world = World::new("openai", Script::text("{\"a\":1}")).await;
    let reply = world.ask(PATH, &with(asks("x"), more)).await;
    assert_eq!(said(&message(&reply)), "{\"a\":1}");
    let sent = world.received();
    assert_eq!(sent["response_format"]["json_schema"]["schema"], schema);
    assert_eq!(sent["messages"][0]["content"][1]["image_url"]["url"], "data:image/png;base64,aGk=");
    assert_eq!(sent["reasoning_effort"], "high");

    let image = json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}});
    let more = json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
        "reasoning_effort": "low", "seed": 7, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}, image]}]});
    let world = World::new("anthropic", Script::text("{\"a\":1}")).await;
    let reply = world.ask(CHAT, &with(chats("x"), more)).await;
    assert_eq!((reply.content().as_str(), reply.header("x-ajar-warning")), ("{\"a\":1}", "not sent: seed"));
    let sent = world.received();
    assert_eq!(sent["output_config"], json!({"effort": "low", "format": {"type": "json_schema", "schema": schema}}));
    assert_eq!(sent["thinking"]["type"], "adaptive");
    assert_eq!(sent["messages"][0]["content"][1]["source"]["url"], "https://example.com/a.png");
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_reach_clients_of_both_dialects_and_go_back_with_their_seal() {
    let thinking = Script::answering(Answer::Thought { thought: "hm, 語".into(), text: "a river".into() });
    let world = World::new("anthropic", thinking).await;
    let body = with(asks("x"), json!({"thinking": {"type": "enabled", "budget_tokens": 1024}}));
    for body in [body.clone(), streamed(body.clone())] {
        let message = message(&world.ask(PATH, &body).await);
        let thought = &message["content"][0];
        assert_eq!((&thought["thinking"], said(&message).as_str()), (&json!("hm, 語"), "a river"));
        let again = json!({"messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "content": message["content"]}, {"role": "user", "content": "y"}]});
        let reply = world.ask(PATH, &with(body.clone(), again)).await;
        assert_eq!(reply.status, 200, "the provider knows its seal: {}", reply.text());
    }
    let body = with(chats("x"), json!({"reasoning_effort": "high"}));
    let whole = world.ask(CHAT, &body).await.json();
    assert_eq!(whole["choices"][0]["message"]["reasoning_content"], "hm, 語");
    let streamed = world.ask(CHAT, &streamed(body)).await;
    let thought: String = streamed
        .events()
        .iter()
        .filter(|event| *event != "[DONE]")
        .map(|event| {
            let chunk: Value = serde_json::from_str(event).unwrap();
            chunk["choices"][0]["delta"]["reasoning_content"].as_str().unwrap_or_default().to_owned()
        })
        .collect();
    assert_eq!((thought.as_str(), streamed.content().as_str()), ("hm, 語", "a river"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_the_providers_cache_are_counted_and_told() {
    let world = World::new("anthropic", Script::text("hi")).await;
    let block = json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}});
    let marked = json!({"messages": [{"role": "user", "content": [block]}]});
    for body in [with(asks("x"), marked.clone()), streamed(with(asks("x"), marked.clone()))] {
        let usage = message(&world.ask(PATH, &body).await)["usage"].clone();
        assert_eq!((&usage["cache_read_input_tokens"], &usage["cache_creation_input_tokens"]), (&json!(7), &json!(3)));
    }
    for row in world.gateway.rows(2).await {
        assert_eq!((row.input_tokens, row.cached_tokens), (Some(4 + 7 + 3), Some(7)), "{row:?}");
    }
    let mut script = Script::text("one two three");
    script = script.fault(Fault::NoUsage);
    for dialect in DIALECTS {
        let world = World::new(dialect, script.clone()).await;
        world.ask(PATH, &streamed(asks("x"))).await;
        assert!(world.gateway.rows(1).await[0].usage_estimated, "{dialect}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_have_anthropics_shape_and_name_the_request() {
    let world = World::new("anthropic", Script::text("hi")).await;
    let fail = async |body: Value, headers: &[(&str, &str)]| {
        let reply = world.gateway.ask_at(PATH, &body, headers).await;
        let json = reply.json();
        assert_eq!(json["type"], "error");
        assert_eq!(json["request_id"], reply.header("request-id"), "{json}");
        let error = &json["error"];
        let message = error["message"].as_str().unwrap().to_owned();
        (reply.status, error["type"].as_str().unwrap().to_owned(), error["details"]["error_code"].clone(), message)
    };
    let (status, kind, code, message) = fail(json!({"model": "far", "messages": []}), &[]).await;
    assert_eq!((status, kind.as_str(), code), (400, "invalid_request_error", json!("invalid_value")));
    assert!(message.contains("`messages`"), "{message}");
    let (status, kind, ..) = fail(with(asks("x"), json!({"model": "nobody"})), &[]).await;
    assert_eq!((status, kind.as_str()), (404, "not_found_error"));
    let (status, kind, code, _) =
        fail(with(asks("x"), json!({"thinking": {"type": "enabled", "budget_tokens": 9000}})), &[]).await;
    assert_eq!((status, kind.as_str(), code), (400, "invalid_request_error", json!("upstream_rejected")));
    for (status, kind) in [(429, "rate_limit_error"), (503, "api_error"), (401, "api_error")] {
        // A provider that has failed is left alone for a while.
        let world = World::new("anthropic", Script::text("hi")).await;
        for provider in [&world.far, &world.home] {
            provider.set_script(Script::text("hi").fault(Fault::Status { status, retry_after: None }));
        }
        let reply = world.ask(PATH, &asks("x")).await;
        assert_eq!(reply.json()["error"]["type"], kind, "{status}: {}", reply.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_ends_in_an_error_event_and_is_not_tried_again() {
    for dialect in DIALECTS {
        let world = World::new(dialect, Script::text("one two three four")).await;
        let script = || Script::text("one two three four");
        for after in 4..8 {
            for fault in [
                Fault::Cut { after, how: Break::Fin },
                Fault::Cut { after, how: Break::Reset },
                Fault::ErrorEvent { after },
            ] {
                world.far.set_script(script().fault(fault));
                let reply = world.ask(PATH, &streamed(asks("x"))).await;
                let events = events(&reply);
                assert_eq!((reply.status, &events.last().unwrap()["type"]), (200, &json!("error")), "{}", reply.text());
                assert!(!reply.text().contains("message_stop") && !reply.text().contains('\u{fffd}'));
            }
        }
        assert_eq!((world.far.counts().requests, world.home.connections()), (12, 0), "{dialect}");
    }
    let world = World::new("anthropic", Script::text("one two").fault(Fault::NoDone)).await;
    for (path, body) in [(PATH, asks("x")), (CHAT, chats("x"))] {
        let reply = world.ask(path, &streamed(body)).await;
        assert!(!reply.text().contains("message_stop") && !reply.text().contains("[DONE]"), "{}", reply.text());
    }
    assert!(world.gateway.rows(2).await.iter().all(|row| row.reason.as_deref() == Some("upstream_truncated")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_arrives_alike_however_it_is_cut() {
    for (path, dialect) in [(PATH, "anthropic"), (PATH, "openai"), (CHAT, "anthropic")] {
        let world = World::new(dialect, Script::text(WORDS)).await;
        for bytes in [1, 2, 3, 5, 7, 64, 4096] {
            world.far.set_script(Script::text(WORDS).fault(Fault::SlowDrip { bytes, every: Duration::ZERO }));
            let body = if path == PATH { asks("x") } else { chats("x") };
            let reply = world.ask(path, &streamed(body)).await;
            let words = if path == PATH { said(&message(&reply)) } else { reply.content() };
            assert_eq!(words, WORDS, "{path} {dialect} {bytes}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_word_another_destination_answers_in_the_clients_words() {
    for fault in [Fault::ErrorEvent { after: 2 }, Fault::Cut { after: 1, how: Break::Reset }] {
        let world = World::new("anthropic", Script::text("one two").fault(fault)).await;
        let reply = world.ask(PATH, &streamed(asks("x"))).await;
        assert_eq!(said(&message(&reply)), "home");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_stops_the_provider() {
    for dialect in DIALECTS {
        let slow = Script::text("word ".repeat(200)).latency(Duration::ZERO, Duration::from_millis(50));
        let world = World::new(dialect, slow).await;
        let mut response = world.gateway.open_at(PATH, streamed(asks("x")).to_string(), &[]).await;
        response.chunk().await.unwrap().expect("the answer begins");
        drop(response);
        assert!(world.far.until(|counts| counts.cancelled == 1).await, "{dialect}");
        let rows = world.gateway.rows(1).await;
        assert_eq!(rows[0].outcome.name(), "hung_up", "{dialect}");
    }
}

/// Every place of a body where text can stand.
fn places(t: &str) -> Vec<(&'static str, Value)> {
    let turn = |role: &str, block: Value| json!({"messages": [{"role": "user", "content": "hello"}, {"role": role, "content": [block]}]});
    let user = |block| turn("user", block);
    let assistant = |block| turn("assistant", block);
    let result = |content: Value| user(json!({"type": "tool_result", "tool_use_id": "toolu_1", "content": content}));
    let tool = |tool: Value| json!({"tools": [with(json!({"name": "f", "input_schema": {}}), tool)]});
    let call =
        |call: Value| assistant(with(json!({"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}), call));
    vec![
        ("system", json!({"system": t})),
        ("system block", json!({"system": [{"type": "text", "text": t}]})),
        ("late system", json!({"messages": [{"role": "user", "content": "hello"}, {"role": "system", "content": t}]})),
        ("user", user(json!({"type": "text", "text": t}))),
        ("plain user", json!({"messages": [{"role": "user", "content": t}]})),
        ("assistant", assistant(json!({"type": "text", "text": t}))),
        ("thinking", assistant(json!({"type": "thinking", "thinking": t, "signature": "s"}))),
        ("signature", assistant(json!({"type": "thinking", "thinking": "x", "signature": t}))),
        ("redacted thinking", assistant(json!({"type": "redacted_thinking", "data": t}))),
        ("tool arguments", call(json!({"input": {"query": t}}))),
        ("key of tool arguments", call(json!({"input": {t: 1}}))),
        ("JSON in tool arguments", call(json!({"input": {"body": json!({"query": [t]}).to_string()}}))),
        ("name of a call", call(json!({"name": t}))),
        ("id of a call", call(json!({"id": t}))),
        ("unknown field of a call", call(json!({"mood": t}))),
        ("tool result", result(json!(t))),
        ("block of a tool result", result(json!([{"type": "text", "text": t}]))),
        ("JSON in a tool result", result(json!(json!({"rows": [t]}).to_string()))),
        (
            "search result in a tool result",
            result(json!([{"type": "search_result", "source": "s", "title": "t",
            "content": [{"type": "text", "text": t}]}])),
        ),
        (
            "document",
            user(json!({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": t}})),
        ),
        ("title of a document", user(json!({"type": "document", "title": t, "source": {"type": "text", "data": "x"}}))),
        (
            "link of an image",
            user(json!({"type": "image", "source": {"type": "url", "url": format!("https://a/?{t}")}})),
        ),
        ("media type", user(json!({"type": "image", "source": {"type": "base64", "media_type": t, "data": "aGk="}}))),
        ("unknown block", user(json!({"type": "container_upload", "file_id": t}))),
        ("type of a block", user(json!({"type": t}))),
        ("cache control", user(json!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": t}}))),
        ("citations", user(json!({"type": "text", "text": "x", "citations": [{"cited_text": t}]}))),
        ("tool's name", tool(json!({"name": t}))),
        ("tool's description", tool(json!({"description": t}))),
        ("tool's schema", tool(json!({"input_schema": {"properties": {t: {"enum": ["x"]}}}}))),
        ("tool's example", tool(json!({"input_examples": [{"a": t}]}))),
        (
            "server tool",
            json!({"tools": [{"type": "web_search_20250305", "name": "web_search", "allowed_domains": [t]}]}),
        ),
        ("answer's schema", json!({"output_config": {"format": {"type": "json_schema", "schema": {"title": t}}}})),
        (
            "chosen tool",
            json!({"tools": [{"name": "f", "input_schema": {}}], "tool_choice": {"type": "tool", "name": t}}),
        ),
        ("stop sequence", json!({"stop_sequences": ["end", t]})),
        ("user id", json!({"metadata": {"user_id": t}})),
        ("metadata", json!({"metadata": {t: "x"}})),
        ("service tier", json!({"service_tier": t})),
        ("container", json!({"container": t})),
        ("server of tools", json!({"mcp_servers": [{"type": "url", "url": "https://a", "authorization_token": t}]})),
        ("unknown field", json!({"x_extra": {"deep": [[t]]}})),
        ("unknown key", json!({t: true})),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_restricted_leaves_in_whatever_place_of_a_body_it_stands() {
    for dialect in DIALECTS {
        let world = World::new(dialect, Script::text("far")).await;
        for text in ["4111 1111 1111 1111", "AKIAQYLPMN5HFIQR7XYA", "CONFIDENTIAL"] {
            for (place, more) in places(text) {
                for body in [with(asks("hello"), more.clone()), streamed(with(asks("hello"), more))] {
                    let reply = world.ask(PATH, &body).await;
                    // Home speaks chat completions: what it cannot be told is refused.
                    assert!([200, 422].contains(&reply.status), "{dialect} {place}: {}", reply.text());
                    assert!(reply.status == 422 || reply.header("x-ajar-served-by") == "home", "{place}");
                }
            }
        }
        assert_eq!(world.far.connections(), 0, "{dialect}");
        assert!(world.home.counts().requests > 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_leaves_from_the_same_places() {
    let world = World::new("anthropic", Script::text("far")).await;
    for (place, more) in places("public") {
        let reply = world.ask(PATH, &with(asks("hello"), more)).await;
        let served = reply.header("x-ajar-served-by");
        assert!(served == "far" || reply.status == 400, "{place}: {} {}", reply.status, reply.text());
    }
    assert!(world.far.counts().requests > 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_are_given_and_taken_back_whatever_the_client_and_the_provider_speak() {
    const MAIL: &str = "maria.gonzalez@corp.com";
    let policy = POLICY
        .replace("detectors:\n", "detectors:\n  contact: { kind: pattern, set: contact@1 }\n")
        .replace("classify:\n", "classify:\n  - { id: contacts, raise: internal, when: finding.contact }\n")
        .replace(
            "routes:\n",
            "declassify:\n  - { id: by-another-name, up_to: internal, to: public, requires: [pseudonymize, rescan_clean], \
             style: tag }\nroutes:\n",
        );
    let text = format!("write to \"{MAIL}\", soon");
    for (path, dialect) in [(PATH, "anthropic"), (PATH, "openai"), (CHAT, "anthropic")] {
        let world = World::with(Setup::new().whole_policy(policy.clone()), dialect, Script::echo()).await;
        let body = if path == PATH { asks(&text) } else { chats(&text) };
        let said = |reply: &Reply| if path == PATH { said(&message(reply)) } else { reply.content() };
        let reply = world.ask(path, &body).await;
        assert_eq!(said(&reply), text, "{path} {dialect}");
        assert_eq!(reply.header("x-ajar-served-by"), "far");
        for bytes in [1, 7, 4096] {
            world.far.set_script(Script::echo().fault(Fault::SlowDrip { bytes, every: Duration::ZERO }));
            assert_eq!(said(&world.ask(path, &streamed(body.clone())).await), text, "{path} {dialect} {bytes}");
        }
        assert!(!world.far.saw(MAIL) && !world.far.saw("gonzalez"), "{path} {dialect}");
        let rows = world.gateway.rows(4).await;
        assert!(rows.iter().all(|row| row.transforms[0].restored == 1 && row.transforms[0].rescan_clean), "{rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_here_by_estimate_and_nothing_leaves() {
    let world = World::new("anthropic", Script::text("hi")).await;
    let path = "/v1/messages/count_tokens";
    let body =
        json!({"model": "far", "system": "be brief", "messages": [{"role": "user", "content": "x".repeat(300)}]});
    let reply = world.ask(path, &body).await;
    assert_eq!((reply.status, reply.header("x-ajar-warning")), (200, "estimated"));
    let tokens = reply.json()["input_tokens"].as_u64().unwrap();
    assert!((100..140).contains(&tokens), "{tokens}");
    let bad = world.ask(path, &json!({"model": "far"})).await;
    assert_eq!((bad.status, &bad.json()["type"]), (400, &json!("error")));
    assert_eq!((world.far.connections(), world.home.connections()), (0, 0));
    world.gateway.rows(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_may_stand_where_anthropics_libraries_put_it() {
    let mut setup = Setup::new();
    let key = setup.key("app", "explain: full");
    let world = World::with(setup, "anthropic", Script::text("hi")).await;
    for path in [PATH, "/v1/messages/count_tokens"] {
        let ask = async |headers: &[(&str, &str)]| world.gateway.ask_at(path, &asks("x"), headers).await;
        assert_eq!(ask(&[("x-api-key", &key)]).await.status, 200);
        assert_eq!(ask(&[("authorization", &format!("Bearer {key}"))]).await.status, 200);
        for wrong in [&[("x-api-key", "ajar-wrong")][..], &[("x-api-key", "")], &[("authorization", &key)]] {
            let refused = ask(wrong).await;
            assert_eq!((refused.status, &refused.json()["error"]["type"]), (401, &json!("authentication_error")));
        }
    }
    assert!(!world.far.saw(&key));
    assert!(world.gateway.rows(2).await.iter().all(|row| row.key.as_deref() == Some("app")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_clients_headers_only_plain_names_of_betas_reach_a_provider_of_the_same_dialect() {
    let ask = async |world: &World, path: &str, body: Value, beta: &str| {
        let headers = [("anthropic-version", "2026-10-21"), ("anthropic-beta", beta), ("x-canary", "canary")];
        world.gateway.ask_at(path, &body, &headers).await
    };
    let world = World::new("anthropic", Script::text("hi")).await;
    ask(&world, PATH, asks("x"), "context-1m-2025-08-07,b-2").await;
    assert_eq!(world.received_header("anthropic-beta").as_deref(), Some("context-1m-2025-08-07,b-2"));
    assert_eq!(world.received_header("anthropic-version").as_deref(), Some("2026-10-21"));
    assert_eq!(world.received_header("x-canary"), None);
    world.gateway.ask_at(PATH, &asks("x"), &[("anthropic-version", "4111111111111111")]).await;
    assert_eq!(world.received_header("anthropic-version").as_deref(), Some("2023-06-01"));
    let reply = ask(&world, PATH, asks("x"), "maria@corp.com").await;
    assert_eq!(
        (world.received_header("anthropic-beta"), reply.header("x-ajar-warning")),
        (None, "not sent: anthropic-beta")
    );
    ask(&world, CHAT, chats("x"), "b-2").await;
    assert_eq!(world.received_header("anthropic-beta"), None);
    let requests = world.far.counts().requests;
    let reply = ask(&world, PATH, asks("x"), "card-4111111111111111").await;
    assert_eq!((reply.header("x-ajar-served-by"), world.far.counts().requests), ("home", requests));

    let world = World::new("openai", Script::text("hi")).await;
    let reply = ask(&world, PATH, asks("x"), "b-2").await;
    assert_eq!(
        (world.received_header("anthropic-beta"), reply.header("x-ajar-warning")),
        (None, "not sent: anthropic-beta")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn models_and_unknown_paths_are_told_in_the_words_of_who_asks() {
    let world = World::new("anthropic", Script::text("hi")).await;
    let get = async |path: &str| {
        let request = world.gateway.client.get(world.gateway.data(path)).header("anthropic-version", "2023-06-01");
        Reply::read(request.send().await.unwrap()).await
    };
    let models = get("/v1/models").await.json();
    let ids: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| model["id"].clone()).collect();
    assert_eq!((ids, &models["has_more"]), (vec![json!("auto"), json!("far"), json!("home")], &json!(false)));
    assert_eq!((&models["first_id"], &models["data"][0]["type"]), (&json!("auto"), &json!("model")));
    assert_eq!(get("/v1/models/far").await.json(), models["data"][1]);
    for (path, status, kind) in [
        ("/v1/messages/batches", 404, "not_found_error"),
        ("/v1/models/nobody", 404, "not_found_error"),
        (PATH, 405, "invalid_request_error"),
    ] {
        let reply = get(path).await;
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (status, &json!(kind)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_is_answered_from_the_cache_in_its_own_dialect() {
    let world = World::new("openai", Script::text("hi")).await;
    let body = with(asks("x"), json!({"temperature": 0}));
    let first = world.ask(PATH, &body).await;
    assert_eq!(first.header("x-ajar-cache"), "miss");
    let cached = async || world.ask(PATH, &body).await.header("x-ajar-cache") == "hit";
    eventually("the answer is kept", cached).await;
    assert_eq!(world.ask(PATH, &body).await.body, first.body);
    assert_eq!(world.far.counts().requests, 1);
}
