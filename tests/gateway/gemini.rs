//! Google's Gemini behind clients of other dialects.

use serde_json::{Value, json};

use crate::harness::{Setup, streamed, user, with};
use crate::responses::World;
use crate::sim::{Answer, Break, Fault, Script};

fn ask(text: &str) -> Value {
    with(user(text), json!({"model": "far"}))
}

async fn world(script: Script) -> World {
    World::new("gemini", script).await
}

#[tokio::test]
async fn words_and_thoughts_come_whole_and_streamed_with_their_counts() {
    let thought = Answer::Thought { thought: "hm, a river".to_owned(), text: "a river 語".to_owned() };
    let world = world(Script::text("It is.").when("think", thought)).await;
    for body in [ask("say"), streamed(ask("say"))] {
        let reply = world.gateway.ask(&body).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "It is."), "{}", reply.text());
    }
    let path = &world.far.requests()[1].path;
    assert_eq!(path, "/v1/models/gpt-4o-mini:streamGenerateContent?alt=sse");
    let reply = world.gateway.ask(&ask("think")).await.json();
    let message = &reply["choices"][0]["message"];
    assert_eq!((&message["content"], &message["reasoning_content"]), (&json!("a river 語"), &json!("hm, a river")));
    let stream = world.gateway.ask(&streamed(ask("think"))).await;
    assert_eq!(stream.content(), "a river 語");
    assert!(stream.text().ends_with("data: [DONE]\n\n"));
    for row in world.gateway.rows(4).await {
        assert!(!row.usage_estimated && row.input_tokens > Some(0) && row.output_tokens > Some(0));
    }
}

#[tokio::test]
async fn calls_results_and_signatures_go_to_and_fro() {
    let call = Answer::ToolCall { name: "weather".to_owned(), arguments: "{\"city\":\"Ulm\"}".to_owned() };
    let world = world(Script::text("sunny").when("weather", call)).await;
    let tools = json!({"tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]});
    let body = with(json!({"model": "far", "input": "weather in Ulm?"}), tools.clone());
    for streams in [false, true] {
        let body = with(body.clone(), json!({"stream": streams}));
        let reply = world.gateway.ask_at("/v1/responses", &body, &[]).await;
        let response = match streams {
            true => serde_json::from_str::<Value>(reply.events().last().unwrap()).unwrap()["response"].clone(),
            false => reply.json(),
        };
        let output = response["output"].as_array().unwrap().clone();
        assert_eq!((&output[0]["type"], &output[1]["type"]), (&json!("reasoning"), &json!("function_call")));
        assert_eq!(output[1]["arguments"], "{\"city\":\"Ulm\"}");
        let result = json!({"type": "function_call_output", "call_id": output[1]["call_id"], "output": "21 degrees"});
        let question = json!({"role": "user", "content": "and?"});
        let input: Vec<Value> = output.into_iter().chain([result, question]).collect();
        let next = with(json!({"model": "far", "input": input}), tools.clone());
        assert_eq!(world.gateway.ask_at("/v1/responses", &next, &[]).await.status, 200);
        let sent = world.received();
        let called = &sent["contents"][0]["parts"][0];
        assert_eq!(called["functionCall"], json!({"name": "weather", "args": {"city": "Ulm"}}));
        assert!(called["thoughtSignature"].as_str().is_some_and(|signature| signature.starts_with("sig")), "{sent}");
        let response = json!({"name": "weather", "response": {"result": "21 degrees"}});
        assert_eq!(sent["contents"][1]["parts"][0]["functionResponse"], response);
        assert_eq!(sent["tools"][0]["functionDeclarations"][0]["name"], "weather");
    }
}

#[tokio::test]
async fn calls_of_a_client_of_chat_completions_are_streamed() {
    let call = Answer::ToolCall { name: "f".to_owned(), arguments: "{\"a\":1}".to_owned() };
    let world = world(Script::answering(call)).await;
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "required"});
    let reply = world.gateway.ask(&streamed(with(ask("call"), tools.clone()))).await.text();
    assert!(
        reply.contains(r#""arguments":"{\"a\":1}""#) && reply.contains(r#""finish_reason":"tool_calls""#),
        "{reply}"
    );
    let whole = world.gateway.ask(&with(ask("call"), tools)).await.json();
    let called = &whole["choices"][0]["message"]["tool_calls"][0];
    assert!(called["id"].as_str().is_some_and(|id| id.starts_with("call_")));
    assert_eq!(world.received()["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
}

#[tokio::test]
async fn forms_images_and_effort_reach_it() {
    let world = world(Script::text("{\"a\":1}")).await;
    let part = json!([{"type": "text", "text": "what?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]);
    let body = json!({"model": "far", "messages": [{"role": "user", "content": part}], "reasoning_effort": "low",
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}});
    let reply = world.gateway.ask(&body).await;
    assert_eq!((reply.status, reply.content().as_str()), (200, "{\"a\":1}"), "{}", reply.text());
    let sent = world.received();
    let config = &sent["generationConfig"];
    assert_eq!(sent["contents"][0]["parts"][1]["inlineData"], json!({"mimeType": "image/png", "data": "iVBORw0KGgo="}));
    assert_eq!(
        (&config["responseJsonSchema"], &config["responseMimeType"]),
        (&json!({"type": "object"}), &json!("application/json"))
    );
    assert_eq!(config["thinkingConfig"], json!({"thinkingBudget": 1024, "includeThoughts": true}));
    assert!(sent["model"].is_null());
}

#[tokio::test]
async fn an_answer_cut_short_a_refusal_and_a_broken_stream_are_told_as_such() {
    let outside = || Setup::new().policy("candidates: [far, home]", "candidates: [far]");
    let world = World::with(outside(), "gemini", Script::text("one two three four five six")).await;
    let short = world.gateway.ask(&with(ask("count"), json!({"max_tokens": 3}))).await.json();
    assert_eq!(short["choices"][0]["finish_reason"], "length");

    let rejected = Script::text("x").fault(Fault::Status { status: 400, retry_after: None });
    let world = World::with(outside(), "gemini", rejected).await;
    let reply = world.gateway.ask(&ask("hi")).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (400, "upstream_rejected"));

    let cut = Fault::Cut { after: 4, how: Break::Fin };
    let world = World::with(outside(), "gemini", Script::answering(Answer::Tokens(20)).fault(cut)).await;
    let reply = world.gateway.ask(&streamed(ask("hi"))).await;
    assert_eq!(reply.status, 200);
    assert!(reply.events().last().unwrap().contains("upstream_broken"), "{}", reply.text());
    assert!(!reply.text().contains("[DONE]"));
}

#[tokio::test]
async fn what_must_stay_home_stays_home_and_what_it_cannot_express_too() {
    let world = world(Script::text("far")).await;
    let card = with(user("is 4111 1111 1111 1111 valid?"), json!({"model": "auto"}));
    assert_eq!(world.gateway.ask(&card).await.content(), "home");
    let biased = with(user("hi"), json!({"model": "auto", "logit_bias": {"50256": -100}}));
    assert_eq!(world.gateway.ask(&biased).await.content(), "home");
    assert!(world.far.requests().is_empty());
}
