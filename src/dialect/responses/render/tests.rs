use serde_json::{Value, json};

use super::*;
use crate::chat::{Json, Sampling, Streaming};
use crate::dialect::edit::CapField;
use crate::dialect::{Dialect, Wire, faithful};

fn target() -> Target<'static> {
    Target { model: "gpt-5", max_output: 64, cap_field: CapField::default(), stream_options: true }
}

/// A chat completion as a request of this dialect.
fn translated(chat: &Value) -> Result<(Value, Vec<&'static str>), Unfit> {
    let body = chat.to_string();
    let json = Json::parse(body.as_bytes()).unwrap();
    let decoded = Dialect::Chat.decode(body.as_bytes(), &json).unwrap();
    assert!(decoded.uses.missing_from(Wire::Responses.expresses()).is_empty(), "{:?}", decoded.uses);
    let rendered = render(&decoded.request, &target())?;
    assert_eq!(faithful::verify(&rendered.body, &decoded.parts, WORDS, &target()), Ok(()));
    Ok((serde_json::from_slice(&rendered.body).unwrap(), rendered.losses))
}

#[test]
fn a_chat_completion_is_rendered_with_all_that_it_says() {
    let (body, losses) = translated(&json!({
        "model": "any", "stream": true, "temperature": 0.5, "top_p": 1, "logprobs": true, "top_logprobs": 2,
        "seed": 7, "presence_penalty": 0, "user": "u-1", "reasoning_effort": "low", "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "strict": true, "schema": {"n": 1.5}}},
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"n": 1.5}}},
                  {"type": "function", "function": {"name": "g", "strict": true}}],
        "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png"}}]},
            {"role": "assistant", "content": "I look.", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
            {"role": "assistant", "content": null, "refusal": "no", "tool_calls": []},
            {"role": "user", "content": "why?"}],
    }))
    .unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&body).unwrap());
    assert_eq!(losses, ["name", "seed"]);
}

#[test]
fn only_what_this_dialects_provider_sealed_goes_back_to_it() {
    let thought = |seal: &str| Content::Thought(Thought { text: "hm".into(), seal: Some(seal.into()), id: None });
    let content = vec![thought("openai:rs_1:gAAA"), thought("sealed by another"), Content::Text("so".into())];
    let message = Message { role: Role::Assistant, content, ..Message::default() };
    let request = ChatRequest { messages: vec![message], ..ChatRequest::default() };
    let rendered = render(&request, &target()).unwrap();
    let body: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(
        body["input"],
        json!([
            {"type": "reasoning", "id": "rs_1", "encrypted_content": "gAAA",
             "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "message", "role": "assistant", "content": [
                {"type": "output_text", "text": "so", "annotations": []}]},
        ])
    );
    assert_eq!(rendered.losses, ["thoughts"]);
}

#[test]
fn thoughts_are_asked_for_where_thinking_is_and_nothing_is_kept() {
    let request = |reasoning| ChatRequest { reasoning, streaming: Streaming::Off, ..ChatRequest::default() };
    let body =
        |reasoning| -> Value { serde_json::from_slice(&render(&request(reasoning), &target()).unwrap().body).unwrap() };
    assert_eq!(body(Some(Reasoning::Adaptive))["include"], json!(["reasoning.encrypted_content"]));
    assert_eq!(body(Some(Reasoning::Off))["include"], Value::Null);
    assert_eq!(body(None)["reasoning"], Value::Null);
    assert_eq!((&body(None)["store"], &body(None)["stream"]), (&json!(false), &Value::Null));
}

#[test]
fn what_would_change_the_answer_is_refused_and_what_is_advice_is_a_loss() {
    let stop = Sampling { stop: vec!["END".into()], ..Sampling::default() };
    let request = |sampling| ChatRequest { sampling, ..ChatRequest::default() };
    assert_eq!(render(&request(stop), &target()), Err(Unfit("stop sequences")));
    let advice = Sampling {
        top_k: Some(4),
        seed: Some(1),
        presence_penalty: Some(0.5),
        frequency_penalty: Some(-0.5),
        ..Sampling::default()
    };
    let losses = render(&request(advice), &target()).unwrap().losses;
    assert_eq!(losses, ["seed", "top_k", "presence_penalty", "frequency_penalty"]);
    let failed = Message { role: Role::Tool, tool_call_id: Some("c".into()), tool_failed: true, ..Message::default() };
    let request = ChatRequest { messages: vec![failed.clone()], ..ChatRequest::default() };
    assert_eq!(render(&request, &target()).unwrap().losses, ["tool_failed"]);
    let nameless = Message { tool_call_id: None, ..failed };
    let request = ChatRequest { messages: vec![nameless], ..ChatRequest::default() };
    assert!(render(&request, &target()).is_err());
}
