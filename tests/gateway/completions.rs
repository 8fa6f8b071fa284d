//! OpenAI's legacy completions: where they are served, and where a conversation stands in for them.

use serde_json::{Value, json};

use crate::embeddings::{World, serving};
use crate::harness::{Reply, Setup, streamed, with};
use crate::pseudonyms;
use crate::sim::{Answer, Break, Fault, Script, Sim};

const PATH: &str = "/v1/completions";
const CARD: &str = "my card is 4111 1111 1111 1111";

fn asks(prompt: &str) -> Value {
    json!({"model": "auto", "prompt": prompt})
}

async fn world(script: Script) -> World {
    World::with(Setup::new(), script).await
}

/// The text of an answer, streamed or not.
fn text(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    if reply.header("content-type") != "text/event-stream" {
        return reply.json()["choices"][0]["text"].as_str().unwrap().to_owned();
    }
    let events = reply.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"), "{}", reply.text());
    let chunks = events.iter().filter(|event| *event != "[DONE]");
    let chunks = chunks.map(|event| serde_json::from_str::<Value>(event).unwrap());
    chunks.map(|chunk| chunk["choices"][0]["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn the_provider_gets_the_clients_bytes_and_the_client_the_providers() {
    let world = world(Script::text(" upon a time there was a river")).await;
    let body = r#"{ "prompt" : "Onc\u0065", "model":"instruct" , "echo":true, "logprobs":2, "suffix":"end", "best_of":2, "n":1}"#;
    let reply = Reply::read(world.gateway.open_at(PATH, body, &[]).await).await;
    assert_eq!(text(&reply), "Once upon a time there was a river");
    assert_eq!(reply.json()["choices"][0]["logprobs"]["text_offset"][1], 4, "{}", reply.text());
    let received = world.far.requests().pop().unwrap();
    assert_eq!(received.path, PATH);
    let expected = body.replace("\"instruct\"", "\"gpt-3.5-turbo-instruct\"");
    let expected = expected.replacen('{', "{\"max_tokens\":16,", 1);
    assert_eq!(String::from_utf8(received.body.to_vec()).unwrap(), expected);
    let row = world.gateway.rows(1).await.pop().unwrap();
    assert_eq!((row.dialect.as_ref(), row.served_by.as_deref()), ("openai.completions", Some("instruct")));
    assert_eq!((row.usage_estimated, reply.header("x-ajar-warning")), (false, ""));
}

#[tokio::test]
async fn streams_pass_and_usage_is_shown_only_to_those_who_asked() {
    let world = world(Script::text(" upon a time")).await;
    let plain = world.ask_at(PATH, streamed(asks("Once"))).await;
    assert_eq!((text(&plain).as_str(), plain.text().contains("prompt_tokens")), (" upon a time", false));
    let asked = with(streamed(asks("Once")), json!({"stream_options": {"include_usage": true}}));
    let asked = world.ask_at(PATH, asked).await;
    assert_eq!(text(&asked), " upon a time");
    let events = asked.events();
    let last: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    assert_eq!((&last["choices"], &last["usage"]["completion_tokens"]), (&json!([]), &json!(3)));
    let rows = world.gateway.rows(2).await;
    assert!(rows.iter().all(|row| row.output_tokens == Some(3) && !row.usage_estimated), "{rows:#?}");
}

#[tokio::test]
async fn where_completions_are_not_served_a_conversation_stands_in_and_the_client_is_told() {
    for dialect in ["openai", "openai-responses", "anthropic", "gemini"] {
        let (far, home) = (Sim::start(Script::text("语 a river 😀")), Sim::start(Script::default()));
        let setup = Setup::new().provider_speaking("far", &far, dialect).provider("home", &home);
        let gateway = setup.start().await;
        for body in [asks("Once"), streamed(asks("Once"))] {
            let reply = gateway.ask_at(PATH, &body, &[]).await;
            assert_eq!(text(&reply), "语 a river 😀", "{dialect}");
            assert_eq!(reply.header("x-ajar-warning"), "not sent: raw_prompt", "{dialect}");
        }
        let sent = String::from_utf8(far.requests().pop().unwrap().body.to_vec()).unwrap();
        assert!(sent.contains("Once") && !sent.contains("prompt"), "{sent}");
        let echoed = gateway.ask_at(PATH, &with(asks("Once: "), json!({"echo": true, "max_tokens": 64})), &[]).await;
        assert_eq!(text(&echoed), "Once: 语 a river 😀", "{dialect}");
        let answer = echoed.json();
        assert_eq!((&answer["object"], &answer["model"]), (&json!("text_completion"), &json!("far")));
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        assert!(answer["id"].as_str().unwrap().starts_with("cmpl-"));
        gateway.running.stop().await;
    }
}

#[tokio::test]
async fn sixteen_tokens_are_asked_for_where_the_client_says_nothing() {
    let far = Sim::start(Script::answering(Answer::Tokens(40)));
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    let reply = gateway.ask_at(PATH, &asks("Once"), &[]).await;
    assert_eq!(reply.json()["choices"][0]["finish_reason"], "length");
    assert_eq!(reply.json()["usage"]["completion_tokens"], 16);
}

#[tokio::test]
async fn what_a_conversation_cannot_stand_in_for_takes_it_out_of_the_choice() {
    let far = Sim::start(Script::text("no"));
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    for fields in [json!({"suffix": "end"}), json!({"best_of": 2}), json!({"echo": true, "logprobs": 1})] {
        let reply = gateway.ask_at(PATH, &with(asks("Once"), fields), &[]).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (422, "capability_missing"), "{}", reply.text());
    }
    for (prompt, code) in [(json!(["a", "b"]), "several_prompts"), (json!([1, 2]), "tokens_not_taken")] {
        let reply = gateway.ask_at(PATH, &json!({"model": "auto", "prompt": prompt}), &[]).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, code), "{}", reply.text());
    }
    assert_eq!(far.connections(), 0);
}

#[tokio::test]
async fn what_is_restricted_is_completed_at_home() {
    let world = world(Script::text("no")).await;
    for body in [asks(CARD), with(streamed(asks(CARD)), json!({"model": "instruct"}))] {
        let reply = world.ask_at(PATH, body).await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "home"), "{}", reply.text());
    }
    assert_eq!(world.far.connections(), 0);
}

#[tokio::test]
async fn a_stream_that_breaks_ends_in_an_error_and_never_with_done() {
    let cut = Fault::Cut { after: 2, how: Break::Fin };
    let world = world(Script::text(" upon a time there was a river").fault(cut)).await;
    let reply = world.ask_at(PATH, with(streamed(asks("Once")), json!({"model": "instruct"}))).await;
    let events = reply.events();
    assert!(events.last().unwrap().contains("the answer broke off"), "{}", reply.text());
    assert!(!reply.text().contains("[DONE]"));
}

#[tokio::test]
async fn pseudonyms_are_put_back_in_the_text_whole_and_streamed() {
    const MAIL: &str = "maria.gonzalez@corp.com";
    let far = Sim::start(Script::echo());
    let policy = pseudonyms::policy("tag");
    let gateway = serving(Setup::new().whole_policy(policy)).provider("far", &far).provider("home", &far).start().await;
    let prompt = format!("Write to {MAIL} today");
    for body in [asks(&prompt), streamed(asks(&prompt))] {
        let body = with(body, json!({"max_tokens": 64, "model": "instruct"}));
        let reply = gateway.ask_at(PATH, &body, &[]).await;
        assert_eq!((text(&reply), reply.header("x-ajar-served-by")), (prompt.clone(), "instruct"));
    }
    assert_eq!(far.counts().requests, 2);
    assert!(!far.saw("maria.gonzalez") && far.saw("EMAIL_"));
}
