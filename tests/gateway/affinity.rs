//! Conversations that stay with whom has answered them.

use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, user, with};
use crate::sim::{Answer, Script, Sim};

const AFFINITY: &str = "affinity: { key: conversation, switch_up: never, switch_down: never }\n";

struct World {
    far: Sim,
    other: Sim,
    _home: Sim,
    gateway: Gateway,
}

/// Two providers outside that cost the same, `far` before `other`, and `home`.
async fn world(policy: &str, dialect: &str) -> World {
    let answer = |text: &str| Answer::Thought { thought: "hm".to_owned(), text: text.to_owned() };
    let (far, other) = (Sim::start(Script::answering(answer("far"))), Sim::start(Script::answering(answer("other"))));
    let home = Sim::start(Script::text("home"));
    let third = "other: { via: other, model: gpt-4o-mini, boundary: external, region: us, accepts: public, \
                 price: { input: 1, output: 2 } }\n  home:";
    let kept = "  kept: { via: sink/responses, boundary: host, accepts: restricted }\n  log: ";
    let setup = Setup::new()
        .policy("home:", third)
        .policy("  log: ", kept)
        .policy("[far, home]", "[far, other, home]")
        .policy_tail(policy);
    let setup = setup.provider_speaking("far", &far, dialect).provider_speaking("other", &other, dialect);
    World { gateway: setup.provider("home", &home).start().await, far, other, _home: home }
}

/// The next turn of a conversation that began with `said`.
fn next(said: &Value, answer: &str, question: &str) -> Value {
    let mut body = said.clone();
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": answer}));
    messages.push(json!({"role": "user", "content": question}));
    with(body, json!({"model": "auto"}))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_where_it_was_answered_if_the_policy_says_so_and_never_where_it_must_not_go() {
    for (policy, expected) in [(AFFINITY, "other"), ("", "far")] {
        let world = world(policy, "openai").await;
        let first = with(user("begin"), json!({"model": "other"}));
        assert_eq!(world.gateway.ask(&first).await.content(), "other");
        let second = next(&first, "other", "go on");
        let reply = world.gateway.ask(&second).await;
        assert_eq!(reply.content(), expected);
        let unrelated = world.gateway.ask(&user("something else")).await;
        assert_eq!(unrelated.content(), "far");
        let card = next(&second, "other", "my card is 4111 1111 1111 1111");
        let kept = world.gateway.ask(&card).await;
        assert_eq!(kept.content(), "home", "{}", kept.text());
        assert!(!world.far.saw("4111") && !world.other.saw("4111"));
        let rows = world.gateway.rows(4).await;
        if expected == "other" {
            assert!(rows[1].decision.contains("stays_with_model"), "{}", rows[1].decision);
            let metrics = world.gateway.get(world.gateway.operator("/metrics")).await.text();
            assert!(metrics.contains("ajar_affinity_total{result=\"stays\"} 1"), "{metrics}");
            assert!(metrics.contains("ajar_affinity_total{result=\"leaves\"} 1"), "{metrics}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sealed_thoughts_and_answers_that_are_continued_go_back_to_whom_they_are_from() {
    let world = world("", "anthropic").await;
    let thinking =
        json!({"model": "other", "max_tokens": 4000, "thinking": {"type": "enabled", "budget_tokens": 1024}});
    let first = with(user("think"), thinking);
    let answered = world.gateway.ask_at("/v1/messages", &first, &[]).await.json();
    assert_eq!(answered["content"][0]["type"], "thinking", "{answered}");
    let mut second = with(first, json!({"model": "auto"}));
    let messages = second["messages"].as_array_mut().unwrap();
    messages.push(json!({"role": "assistant", "content": answered["content"]}));
    messages.push(json!({"role": "user", "content": "go on"}));
    let reply = world.gateway.ask_at("/v1/messages", &second, &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());

    let begun = world.gateway.ask_at("/v1/responses", &json!({"model": "other", "input": "begin"}), &[]).await.json();
    let more = json!({"model": "auto", "input": "go on", "previous_response_id": begun["id"]});
    assert_eq!(world.gateway.ask_at("/v1/responses", &more, &[]).await.status, 200);
    assert_eq!((world.far.counts().requests, world.other.counts().requests), (0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_provider_sealed_is_left_out_where_it_would_be_refused_and_that_is_told() {
    let messages = json!({"model": "far", "max_tokens": 64, "messages": [
        {"role": "user", "content": "begin"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "ajar.foreign:gemini.text:abc"},
            {"type": "text", "text": "begun"}]},
        {"role": "user", "content": "go on"}]});
    let responses = json!({"model": "far", "input": [
        {"role": "user", "content": "begin"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "anthropic.signature:abc"},
        {"role": "assistant", "content": "begun"},
        {"role": "user", "content": "go on"}]});
    for (dialect, path, body) in
        [("anthropic", "/v1/messages", messages), ("openai-responses", "/v1/responses", responses)]
    {
        let world = world("", dialect).await;
        for streams in [false, true] {
            let reply = world.gateway.ask_at(path, &with(body.clone(), json!({"stream": streams})), &[]).await;
            assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "far"), "{dialect}: {}", reply.text());
            assert!(reply.header("x-ajar-warning").contains("thoughts"), "{dialect}: {:?}", reply.headers);
        }
        let sent = world.far.requests().pop().unwrap().body;
        let sent = std::str::from_utf8(&sent).unwrap();
        assert!(sent.contains("begun") && !sent.contains("abc"), "{dialect}: {sent}");
        // What cannot be said anew goes as it is: the provider may know better.
        let odd = with(body, json!({"vendor_field": {"a": 1}}));
        world.gateway.ask_at(path, &odd, &[]).await;
        assert!(world.far.saw("vendor_field"), "{dialect}");
    }
}
