use serde_json::{Value, json};

use super::*;
use crate::chat::request::{Effort, Reasoning, Thought, ToolCall};
use crate::chat::{Content, Json, Message, Role, Sampling};
use crate::dialect::edit::CapField;
use crate::dialect::{Dialect, Wire, faithful};

fn target(model: &str) -> Target<'_> {
    Target { model, max_output: 2048, cap_field: CapField::default(), stream_options: true }
}

/// A chat completion as a request of this dialect.
fn translated(chat: &Value) -> Result<(Value, Vec<&'static str>), Unfit> {
    let body = chat.to_string();
    let json = Json::parse(body.as_bytes()).unwrap();
    let decoded = Dialect::Chat.decode(body.as_bytes(), &json).unwrap();
    assert!(decoded.uses.missing_from(Wire::Gemini.expresses()).is_empty(), "{:?}", decoded.uses);
    let target = target("gemini-2.5-flash");
    let rendered = render(&decoded.request, &target)?;
    assert_eq!(faithful::verify(&rendered.body, &decoded.parts, WORDS, &target), Ok(()));
    Ok((serde_json::from_slice(&rendered.body).unwrap(), rendered.losses))
}

fn rendered(request: &ChatRequest, model: &str) -> (Value, Vec<&'static str>) {
    let rendered = render(request, &target(model)).unwrap();
    (serde_json::from_slice(&rendered.body).unwrap(), rendered.losses)
}

fn saying(messages: Vec<Message>) -> ChatRequest {
    ChatRequest { messages, ..ChatRequest::default() }
}

#[test]
fn a_chat_completion_is_rendered_with_all_that_it_says() {
    let (body, losses) = translated(&json!({
        "model": "any", "stream": true, "temperature": 0.5, "top_p": 1, "logprobs": true, "top_logprobs": 2, "n": 2,
        "seed": 7, "presence_penalty": 0.25, "frequency_penalty": -0.5, "stop": ["END"], "user": "u-1",
        "reasoning_effort": "high", "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"n": 1.5}}},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"n": 1.5}}},
                  {"type": "function", "function": {"name": "g", "strict": true}}],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.JPG?x=1"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1.50}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c2", "content": "{\"cats\": [2]}"},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            {"role": "assistant", "content": null, "refusal": "no", "tool_calls": []},
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": "why?"}],
    }))
    .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
    assert_eq!(losses, ["name", "system_position", "strict", "parallel_tool_calls", "user"]);
}

#[test]
fn signatures_go_back_with_what_they_sign_and_seals_of_others_do_not() {
    let thought = |seal: &str| Content::Thought(Thought { text: "hm".into(), seal: Some(seal.into()), id: None });
    let call = |name: &str| ToolCall { id: name.into(), name: name.into(), arguments: "{}".into() };
    let content = vec![
        thought("gemini.text:dGV4dA"),
        thought("gemini.call:1:c2ln"),
        thought("openai:rs_1:gAAA"),
        Content::Text("so".into()),
    ];
    let message =
        Message { role: Role::Assistant, content, tool_calls: vec![call("f"), call("g")], ..Message::default() };
    let (body, losses) = rendered(&saying(vec![message.clone()]), "gemini-2.5-pro");
    assert_eq!(
        body["contents"][0]["parts"],
        json!([{"text": "so", "thoughtSignature": "dGV4dA"}, {"functionCall": {"name": "f", "args": {}}},
            {"functionCall": {"name": "g", "args": {}}, "thoughtSignature": "c2ln"}])
    );
    assert_eq!(losses, ["thoughts"]);
    // Newer models refuse calls that nobody signed.
    let (body, _) = rendered(&saying(vec![message]), "gemini-3-pro");
    let signatures: Vec<&Value> =
        body["contents"][0]["parts"].as_array().unwrap().iter().map(|part| &part["thoughtSignature"]).collect();
    assert_eq!(signatures, ["dGV4dA", "skip_thought_signature_validator", "c2ln"]);
}

#[test]
fn how_much_to_think_is_a_level_or_a_budget_that_leaves_half_for_the_answer() {
    let thinking = |reasoning, model: &str| {
        let request = ChatRequest { reasoning, ..ChatRequest::default() };
        rendered(&request, model).0["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(thinking(None, "gemini-2.5-flash"), Value::Null);
    assert_eq!(thinking(Some(Reasoning::Off), "gemini-2.5-flash"), json!({"thinkingBudget": 0}));
    assert_eq!(thinking(Some(Reasoning::Adaptive), "gemini-2.5-flash"), json!({"includeThoughts": true}));
    for (effort, budget, level) in [
        (Effort::Minimal, 1024, "minimal"),
        (Effort::Low, 1024, "low"),
        (Effort::Medium, 1024, "medium"),
        (Effort::Max, 1024, "high"),
    ] {
        let effort = Some(Reasoning::Effort(effort));
        let expected = json!({"thinkingBudget": budget, "includeThoughts": true});
        assert_eq!(thinking(effort, "gemini-2.5-flash"), expected);
        assert_eq!(thinking(effort, "gemini-3-pro"), json!({"thinkingLevel": level, "includeThoughts": true}));
    }
    let budget = thinking(Some(Reasoning::Budget(512)), "gemini-2.5-flash");
    assert_eq!(budget, json!({"thinkingBudget": 512, "includeThoughts": true}));
}

#[test]
fn a_failed_tool_says_so_and_a_result_without_its_call_is_refused() {
    let call = ToolCall { id: "c".into(), name: "f".into(), arguments: "{}".into() };
    let called = Message { role: Role::Assistant, tool_calls: vec![call], ..Message::default() };
    let result = |content: Vec<Content>, tool_failed| Message {
        role: Role::Tool,
        content,
        tool_call_id: Some("c".into()),
        tool_failed,
        ..Message::default()
    };
    let text = |text: &str| Content::Text(text.into());
    for (content, failed, expected) in [
        (vec![text("{\"a\":1}")], true, json!({"error": "{\"a\":1}"})),
        (vec![text("[1]")], false, json!({"result": "[1]"})),
        (vec![text("a"), text("b")], false, json!({"result": ["a", "b"]})),
        (vec![], false, json!({"result": []})),
    ] {
        let (body, _) = rendered(&saying(vec![called.clone(), result(content, failed)]), "gemini-2.5-pro");
        assert_eq!(body["contents"][1]["parts"][0]["functionResponse"], json!({"name": "f", "response": expected}));
        assert_eq!(body["contents"][1]["role"], "user");
    }
    let refused = |messages: Vec<Message>| render(&saying(messages), &target("gemini-2.5-pro")).unwrap_err();
    assert_eq!(refused(vec![result(vec![text("a")], false)]), Unfit("a tool's result without its call"));
    let image = vec![called, result(vec![Content::Image("data:".into())], false)];
    assert_eq!(refused(image), Unfit("media in a tool's result"));
    let picture = Message { content: vec![Content::Image("data:image/png,raw".into())], ..Message::default() };
    assert_eq!(refused(vec![picture]), Unfit("an image that is not in base64"));
}

#[test]
fn a_seed_that_is_too_large_for_the_api_is_a_loss() {
    let request = |seed| ChatRequest { sampling: Sampling { seed, ..Sampling::default() }, ..ChatRequest::default() };
    assert_eq!(rendered(&request(Some(7)), "gemini-2.5-pro").1, Vec::<&str>::new());
    let (body, losses) = rendered(&request(Some(1 << 40)), "gemini-2.5-pro");
    assert_eq!((losses, &body["generationConfig"]["seed"]), (vec!["seed"], &Value::Null));
}
