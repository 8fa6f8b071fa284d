//! Repeated and simultaneous requests.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Gateway, Reply, Setup, eventually, streamed, user, with};
use crate::sim::{Answer, Break, Fault, Script, Sim};

async fn gateway(far: &Sim) -> Gateway {
    Setup::new().provider("far", far).provider("home", far).start().await
}

/// A request whose answer is always the same.
fn fixed(text: &str) -> Value {
    with(user(text), json!({ "temperature": 0 }))
}

fn cache(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.header("x-ajar-cache"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_is_answered_from_the_cache_with_the_same_bytes_at_no_cost() {
    let far = Sim::start(Script::answering(Answer::Tokens(20)));
    let gateway = gateway(&far).await;
    for body in [fixed("hello"), streamed(fixed("hello"))] {
        let first = gateway.ask(&body).await;
        let again = gateway.ask(&body).await;
        assert_eq!((cache(&first), cache(&again)), ((200, "miss"), (200, "hit")));
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("content-type"), first.header("content-type"));
        assert_ne!(again.header("x-ajar-id"), first.header("x-ajar-id"));
    }
    assert_eq!(far.counts().requests, 2);
    let rows = gateway.rows(4).await;
    let hits: Vec<_> = rows.iter().filter(|row| row.cache.name() == "hit").collect();
    assert_eq!(hits.len(), 2);
    assert!(hits.iter().all(|row| row.cost.unwrap().0 == 0 && row.attempts == 0 && row.bytes_out == 0));
    assert!(hits.iter().all(|row| row.served_by.as_deref() == Some("far") && row.outcome.name() == "answered"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_order_of_keys_is_the_same_request_and_any_other_value_is_another() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let a = r#"{"model":"auto","temperature":0,"messages":[{"role":"user","content":"hi"}]}"#;
    let b = r#"{ "messages":[{"content":"hi","role":"user"}], "temperature":0, "model":"auto" }"#;
    assert_eq!(cache(&gateway.send(a, &[]).await), (200, "miss"));
    assert_eq!(cache(&gateway.send(b, &[]).await), (200, "hit"));
    for other in [a.replace("hi", "ho"), a.replace("{\"m", "{\"seed\":1,\"m"), a.replace("{\"m", "{\"x\":1,\"m")] {
        assert_eq!(cache(&gateway.send(other.clone(), &[]).await), (200, "miss"), "{other}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_share_nothing_and_keys_of_one_tenant_do() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    let keys: Vec<String> = [("a", "tenant: one"), ("b", "tenant: one"), ("c", "tenant: two"), ("d", "")]
        .iter()
        .map(|(name, fields)| format!("Bearer {}", setup.key(name, fields)))
        .collect();
    let gateway = setup.start().await;
    let mut seen = Vec::new();
    for key in &keys {
        seen.push(gateway.ask_with(&fixed("hello"), &[("authorization", key)]).await);
    }
    assert_eq!(seen.iter().map(|reply| cache(reply).1).collect::<Vec<_>>(), ["miss", "hit", "miss", "miss"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_class_may_not_store_is_not_stored_and_classes_share_nothing() {
    let sim = Sim::start(Script::echo());
    let gateway = gateway(&sim).await;
    let label = [("x-ajar-label", "restricted")];
    assert_eq!(cache(&gateway.ask(&fixed("hello")).await), (200, "miss"));
    for _ in 0..2 {
        assert_eq!(cache(&gateway.ask_with(&fixed("hello"), &label).await), (200, "bypass"));
    }
    let stored = "cache: { via: sink/cache, boundary: host, accepts: restricted";
    let setup = Setup::new().policy("cache: { via: sink/cache, boundary: host, accepts: public", stored);
    let gateway = setup.policy("[far, home]", "[home]").provider("far", &sim).provider("home", &sim).start().await;
    assert_eq!(cache(&gateway.ask(&fixed("hello")).await), (200, "miss"));
    assert_eq!(cache(&gateway.ask_with(&fixed("hello"), &label).await), (200, "miss"));
    assert_eq!(cache(&gateway.ask_with(&fixed("hello"), &label).await), (200, "hit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn sampled_answers_and_no_store_bypass_and_no_cache_asks_anew_but_keeps() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    for sampled in [json!({ "temperature": 0.7 }), json!({ "temperature": 0, "n": 2 })] {
        for _ in 0..2 {
            assert_eq!(cache(&gateway.ask(&with(user("hello"), sampled.clone())).await), (200, "bypass"));
        }
    }
    let control = async |value| gateway.ask_with(&fixed("hello"), &[("cache-control", value)]).await;
    assert_eq!(cache(&control("no-store").await), (200, "bypass"));
    assert_eq!(cache(&control("no-cache").await), (200, "miss"));
    assert_eq!(cache(&control("max-age=60").await), (200, "hit"));
    assert_eq!(cache(&control("no-cache").await), (200, "miss"));
    assert_eq!(cache(&control("no-store").await), (200, "bypass"));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_broken_answer_and_no_error_is_kept() {
    let faults = [
        Fault::Cut { after: 3, how: Break::Fin },
        Fault::ErrorEvent { after: 3 },
        Fault::Status { status: 500, retry_after: None },
        Fault::Status { status: 400, retry_after: None },
    ];
    for fault in faults {
        for body in [fixed("hello"), streamed(fixed("hello"))] {
            let far = Sim::start(Script::answering(Answer::Tokens(20)).fault(fault.clone()));
            let setup = Setup::new().provider("far", &far).provider("home", &far);
            let gateway = setup.policy("[far, home]", "[far]").start().await;
            gateway.ask(&body).await;
            far.set_script(Script::answering(Answer::Tokens(20)));
            assert_eq!(cache(&gateway.ask(&body).await), (200, "miss"), "{fault:?} {body}");
            assert_eq!(cache(&gateway.ask(&body).await), (200, "hit"), "{fault:?} {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_a_fallback_is_not_kept_as_the_firsts() {
    let far = Sim::start(Script::text("far").fault(Fault::Status { status: 500, retry_after: None }));
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    assert_eq!(gateway.ask(&fixed("hello")).await.content(), "home");
    far.set_script(Script::text("far"));
    assert_eq!(gateway.ask(&fixed("hello")).await.content(), "far");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once_reach_the_provider_once() {
    for body in [fixed("hello"), streamed(fixed("hello"))] {
        let far = Sim::start(Script::answering(Answer::Tokens(20)).latency(Duration::from_millis(300), Duration::ZERO));
        let gateway = gateway(&far).await;
        let replies = join_all((0..20).map(|_| gateway.ask(&body))).await;
        assert!(replies.iter().all(|reply| reply.status == 200 && reply.body == replies[0].body));
        assert_eq!(far.counts().requests, 1);
        let rows = gateway.rows(20).await;
        let coalesced: Vec<_> = rows.iter().filter(|row| row.cache.name() == "coalesced").collect();
        assert_eq!(coalesced.len(), 19);
        assert!(coalesced.iter().all(|row| row.cost.unwrap().0 == 0 && row.attempts == 0));
        assert!(rows.iter().all(|row| row.outcome.name() == "answered"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_everybodys() {
    let fault = Fault::Status { status: 500, retry_after: None };
    let far = Sim::start(Script::text("far").latency(Duration::from_millis(300), Duration::ZERO).fault(fault));
    let setup = Setup::new().provider("far", &far).provider("home", &far).policy("[far, home]", "[far]");
    let gateway = setup.start().await;
    let body = fixed("hello");
    let replies = join_all((0..5).map(|_| gateway.ask(&body))).await;
    assert!(replies.iter().all(|reply| (reply.status, reply.error().0.as_str()) == (502, "upstream_error")));
    assert_eq!(far.counts().requests, 2, "one retry, for all of them");
    assert!(gateway.rows(5).await.iter().all(|row| row.outcome.name() == "failed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_that_leaves_does_not_take_the_answer_from_the_others() {
    let far = Sim::start(Script::answering(Answer::Tokens(10)).latency(Duration::ZERO, Duration::from_millis(50)));
    let gateway = gateway(&far).await;
    let body = streamed(fixed("hello"));
    let mut first = gateway.open(body.to_string(), &[]).await;
    first.chunk().await.unwrap().expect("a first chunk");
    let second = gateway.open(body.to_string(), &[]).await;
    assert_eq!(second.headers()["x-ajar-cache"], "coalesced");
    drop(first);
    let reply = Reply::read(second).await;
    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    assert_eq!((far.counts().requests, far.cancelled()), (1, 0));
    assert_eq!(cache(&gateway.ask(&body).await), (200, "hit"));
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_have_left_the_provider_is_stopped_and_nothing_is_kept() {
    let far = Sim::start(Script::answering(Answer::Tokens(50)).fault(Fault::HangMidStream { after: 5 }));
    let gateway = gateway(&far).await;
    let body = streamed(fixed("hello"));
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut answer = gateway.open(body.to_string(), &[]).await;
        answer.chunk().await.unwrap().expect("a first chunk");
        waiting.push(answer);
    }
    drop(waiting);
    eventually("the provider is stopped", async || far.counts().in_flight == 0).await;
    assert!(gateway.rows(3).await.iter().all(|row| row.outcome.name() == "hung_up"));
    far.set_script(Script::text("far"));
    assert_eq!(cache(&gateway.ask(&body).await), (200, "miss"));
}

#[tokio::test]
async fn what_was_not_sent_is_told_of_answers_that_are_shared_or_kept_too() {
    let (far, home) = (Sim::start(Script::text("hi")), Sim::start(Script::default()));
    let setup = Setup::new().provider_speaking("far", &far, "anthropic").provider("home", &home);
    let gateway = setup.start().await;
    let body = with(user("hi"), json!({"model": "far", "temperature": 0, "seed": 7}));
    for cache in ["miss", "hit"] {
        let reply = gateway.ask(&body).await;
        assert_eq!((reply.header("x-ajar-cache"), reply.header("x-ajar-warning")), (cache, "not sent: seed"));
    }
}
