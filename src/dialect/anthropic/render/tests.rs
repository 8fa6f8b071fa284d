use super::*;
use crate::chat::request::{Effort, Function, Reasoning, Schema, Thought};
use crate::chat::{Content, Message, ResponseFormat, Role, Sampling, Streaming, Tool, ToolCall, ToolChoice};
use crate::dialect::anthropic::seal::Seal;
use crate::dialect::edit::CapField;

const TARGET: Target<'static> =
    Target { model: "claude-opus-4-6", max_output: 4000, cap_field: CapField::OnlyMaxTokens, stream_options: true };

fn said(role: Role, text: &str) -> Message {
    Message { role, content: vec![Content::Text(text.into())], ..Message::default() }
}

fn asking() -> ChatRequest {
    ChatRequest { model: "m".into(), messages: vec![said(Role::User, "hi")], ..ChatRequest::default() }
}

fn body(request: &ChatRequest) -> serde_json::Value {
    serde_json::from_slice(&render(request, &TARGET).unwrap().body).unwrap()
}

fn losses(request: &ChatRequest) -> Vec<&'static str> {
    render(request, &TARGET).unwrap().losses
}

fn sampling(sampling: Sampling) -> ChatRequest {
    ChatRequest { sampling, ..asking() }
}

fn call(id: &str, arguments: &str) -> ToolCall {
    ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into() }
}

fn result(id: &str, text: &str) -> Message {
    Message { tool_call_id: Some(id.into()), ..said(Role::Tool, text) }
}

fn thought(seal: Option<Text>) -> Content {
    Content::Thought(Thought { text: "hm".into(), seal, id: None })
}

/// A conversation in which tools were called and have answered.
fn calling() -> ChatRequest {
    let calls = Message {
        role: Role::Assistant,
        content: vec![
            thought(Some(Seal::Signature("sig").text())),
            thought(Some(Seal::Redacted("red").text())),
            Content::Text("I look".into()),
        ],
        tool_calls: vec![call("c1", r#"{ "n":1.50}"#), call("c2", "")],
        ..Message::default()
    };
    let asked = Message {
        content: vec![
            Content::Text("what is this?".into()),
            Content::Image("https://a/b.png".into()),
            Content::Image("data:image/png;base64,aGk=".into()),
        ],
        ..Message::default()
    };
    let failed = Message { tool_failed: true, ..result("c2", "no") };
    let function = Function {
        name: "f".into(),
        description: Some("d".into()),
        parameters: Some(r#"{ "type":"object"}"#.into()),
        strict: Some(true),
    };
    let bare = Function { name: "g".into(), ..Function::default() };
    ChatRequest {
        messages: vec![
            said(Role::System, "be brief"),
            said(Role::System, ""),
            asked,
            calls,
            result("c1", "a cat"),
            failed,
            said(Role::User, "go on"),
        ],
        tools: vec![Tool::Function(function), Tool::Function(bare)],
        tool_choice: Some(ToolChoice::Auto),
        parallel_tool_calls: Some(false),
        end_user: Some("u-1".into()),
        reasoning: Some(Reasoning::Budget(2000)),
        response_format: ResponseFormat::JsonSchema(Schema {
            schema: Some(r#"{"type":"object"}"#.into()),
            ..Schema::default()
        }),
        sampling: Sampling { stop: vec!["END".into()], ..Sampling::default() },
        streaming: Streaming::On { usage: false },
        ..asking()
    }
}

#[test]
fn a_conversation_with_everything_is_rendered() {
    let rendered = render(&calling(), &TARGET).unwrap();
    assert_eq!(rendered.losses, Vec::<&str>::new());
    assert!(rendered.body.windows(4).any(|bytes| bytes == b"1.50"));
    insta::assert_snapshot!(String::from_utf8(rendered.body).unwrap());
}

#[test]
fn what_only_advises_is_left_out_and_told() {
    let many = Sampling {
        temperature: Some(1.5),
        top_p: Some(0.5),
        top_k: Some(3),
        seed: Some(1),
        presence_penalty: Some(1.0),
        frequency_penalty: Some(-1.0),
        ..Sampling::default()
    };
    let request = sampling(many.clone());
    assert_eq!(losses(&request), ["temperature", "top_p", "seed", "presence_penalty", "frequency_penalty"]);
    let body = body(&request);
    assert_eq!((body.get("temperature"), body.get("top_p"), &body["top_k"]), (None, None, &3.into()));
    let cool = sampling(Sampling { temperature: Some(0.5), top_p: Some(0.5), ..Sampling::default() });
    assert_eq!((losses(&cool), self::body(&cool)["temperature"].clone()), (vec!["top_p"], 0.5.into()));
    let nucleus = sampling(Sampling { temperature: Some(1.0), top_p: Some(0.5), ..Sampling::default() });
    assert_eq!((losses(&nucleus), self::body(&nucleus)["top_p"].clone()), (vec![], 0.5.into()));
    let thinking = ChatRequest { reasoning: Some(Reasoning::Adaptive), ..sampling(many) };
    assert_eq!(losses(&thinking)[..3], ["temperature", "top_p", "top_k"]);
    let neutral =
        Sampling { temperature: Some(1.0), top_p: Some(1.0), presence_penalty: Some(0.0), ..Sampling::default() };
    assert_eq!(losses(&ChatRequest { reasoning: Some(Reasoning::Adaptive), ..sampling(neutral) }), Vec::<&str>::new());
}

#[test]
fn a_late_system_message_a_name_and_thoughts_of_others_are_told() {
    let named = Message { name: Some("ann".into()), ..said(Role::User, "hi") };
    let foreign = Message {
        role: Role::Assistant,
        content: vec![thought(None), thought(Some("gAAAA".into())), Content::Text("ho".into())],
        ..Message::default()
    };
    let messages = vec![named, foreign, said(Role::System, "now in German"), said(Role::User, "hm")];
    let request = ChatRequest { messages, ..asking() };
    assert_eq!(losses(&request), ["name", "thoughts", "system_order"]);
    assert_eq!(body(&request)["system"][0]["text"], "now in German");
    assert!(!body(&request).to_string().contains("gAAAA"));
}

#[test]
fn how_to_think_is_told_in_the_dialects_words_where_it_goes_with_the_rest() {
    let think = |reasoning, more: ChatRequest| {
        let request = ChatRequest { reasoning: Some(reasoning), ..more };
        let body = body(&request);
        (body["thinking"]["type"].clone(), body["output_config"]["effort"].clone(), losses(&request))
    };
    let null = serde_json::Value::Null;
    assert_eq!(think(Reasoning::Off, asking()), ("disabled".into(), null.clone(), vec![]));
    assert_eq!(think(Reasoning::Effort(Effort::Minimal), asking()), ("adaptive".into(), "low".into(), vec![]));
    assert_eq!(think(Reasoning::Budget(1), asking()), ("enabled".into(), null.clone(), vec!["reasoning_budget"]));
    let forced = ChatRequest { tool_choice: Some(ToolChoice::Required), ..calling() };
    assert_eq!(think(Reasoning::Effort(Effort::Max), forced), (null.clone(), "max".into(), vec!["reasoning"]));
    let mut unthinking = calling();
    unthinking.messages.truncate(6);
    assert_eq!(think(Reasoning::Budget(2000), unthinking.clone()).2, Vec::<&str>::new());
    unthinking.messages[3].content.clear();
    assert_eq!(think(Reasoning::Budget(2000), unthinking), (null, serde_json::Value::Null, vec!["reasoning"]));
    let budget = ChatRequest { reasoning: Some(Reasoning::Budget(9999)), ..asking() };
    assert_eq!(body(&budget)["thinking"]["budget_tokens"], 3999);
    let of = |model, request: &ChatRequest| {
        let rendered = render(request, &Target { model, ..TARGET }).unwrap();
        let body: serde_json::Value = serde_json::from_slice(&rendered.body).unwrap();
        (body["thinking"]["type"].clone(), body["output_config"]["effort"].clone(), rendered.losses)
    };
    let cool = sampling(Sampling { temperature: Some(0.2), ..Sampling::default() });
    let effort = ChatRequest { reasoning: Some(Reasoning::Effort(Effort::Low)), ..cool };
    let null = serde_json::Value::Null;
    assert_eq!(of("claude-opus-5", &budget), ("adaptive".into(), null.clone(), vec![]));
    assert_eq!(of("claude-opus-5", &effort), ("adaptive".into(), "low".into(), vec!["temperature"]));
    assert_eq!(of("claude-opus-4-5", &effort), ("enabled".into(), null.clone(), vec!["temperature"]));
    assert_eq!(of("claude-3-5-haiku", &effort), (null.clone(), null, vec!["reasoning"]));
    let short = Target { max_output: 100, ..TARGET };
    assert_eq!(render(&budget, &short).unwrap().losses, ["reasoning_budget", "reasoning"]);
}

#[test]
fn whether_a_tool_must_be_called_is_told() {
    for (choice, expected) in [
        (ToolChoice::Auto, r#"{"type":"auto"}"#),
        (ToolChoice::None, r#"{"type":"none"}"#),
        (ToolChoice::Required, r#"{"type":"any"}"#),
        (ToolChoice::Named("f".into()), r#"{"type":"tool","name":"f"}"#),
    ] {
        let request =
            ChatRequest { tool_choice: Some(choice), reasoning: None, parallel_tool_calls: None, ..calling() };
        assert_eq!(body(&request)["tool_choice"].to_string(), expected);
    }
    let one = ChatRequest { tool_choice: None, ..calling() };
    assert_eq!(body(&one)["tool_choice"].to_string(), r#"{"type":"auto","disable_parallel_tool_use":true}"#);
}

#[test]
fn what_would_change_the_meaning_is_refused() {
    let assistant = |message| vec![said(Role::User, "x"), Message { role: Role::Assistant, ..message }];
    let image = |url: &str| vec![Message { content: vec![Content::Image(url.into())], ..Message::default() }];
    let calls = |call| assistant(Message { tool_calls: vec![call], ..Message::default() });
    let shown = [
        image("data:image/bmp;base64,aGk="),
        image("data:image/png,hi"),
        image("data:image/png;base64,a b"),
        image("file:///etc/passwd"),
        assistant(Message { content: vec![Content::Image("https://a".into())], ..Message::default() }),
        assistant(Message { content: vec![Content::File("{}".into())], ..Message::default() }),
        calls(call("c", "[1]")),
        calls(call("c", "{")),
        calls(call("call|1", "{}")),
        vec![said(Role::Assistant, "x")],
        vec![said(Role::System, "x")],
        vec![said(Role::User, " ")],
    ]
    .map(|messages| render(&ChatRequest { messages, ..asking() }, &TARGET).unwrap_err().0)
    .join("\n");
    insta::assert_snapshot!(shown);
    let stop = sampling(Sampling { stop: vec!["\n".into()], ..Sampling::default() });
    let form = ChatRequest { response_format: ResponseFormat::JsonObject, ..asking() };
    let tool = ChatRequest { tools: vec![Tool::Other("{}".into())], ..asking() };
    let schema = Function { parameters: Some("[]".into()), ..Function::default() };
    let schema = ChatRequest { tools: vec![Tool::Function(schema)], ..asking() };
    assert!([stop, form, tool, schema].iter().all(|request| render(request, &TARGET).is_err()));
}

#[test]
fn every_word_of_a_body_is_the_clients_or_a_fixed_one() {
    use crate::dialect::{Dialect, faithful};
    let image = "data:image/png;base64,aGk=";
    let body = serde_json::json!({
        "model": "m", "stream": true, "temperature": 0.5, "stop": "END", "user": "u-1", "reasoning_effort": "high",
        "parallel_tool_calls": false, "tool_choice": "auto", "max_tokens": 100,
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"x": [1.50]}, "strict": true}},
                  {"type": "function", "function": {"name": "g"}}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"y": {}}}},
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": image}}]},
            {"role": "assistant", "content": "ho", "tool_calls": [
                {"id": "c1", "function": {"name": "f", "arguments": "{\"a\": \"\\u0062\\n\", \"n\": 1.50}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"}],
    });
    let text = body.to_string();
    let json = crate::chat::Json::parse(text.as_bytes()).unwrap();
    let decoded = Dialect::Chat.decode(text.as_bytes(), &json).unwrap();
    let target = Target { max_output: 100, ..TARGET };
    let rendered = render(&decoded.request, &target).unwrap();
    assert_eq!(faithful::verify(&rendered.body, &decoded.parts, WORDS, &target), Ok(()));
}
