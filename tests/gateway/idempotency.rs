//! Requests that a client sends again under the same `Idempotency-Key`.

use std::time::{Duration, Instant};

use ajar::record::Records;
use futures_util::future::join_all;
use serde_json::Value;

use crate::harness::{Gateway, Reply, Setup, eventually, streamed, user};
use crate::sim::{Answer, Script, Sim};

async fn gateway(far: &Sim) -> Gateway {
    Setup::new().provider("far", far).provider("home", far).start().await
}

async fn ask(gateway: &Gateway, body: &Value, key: &str) -> Reply {
    gateway.ask_with(body, &[("idempotency-key", key)]).await
}

fn cache(reply: &Reply) -> (u16, &str) {
    (reply.status, reply.header("x-ajar-cache"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_key_gives_the_same_answer_and_is_paid_once_though_it_is_sampled() {
    let far = Sim::start(Script::answering(Answer::Tokens(20)));
    let gateway = gateway(&far).await;
    for body in [user("hello"), streamed(user("hello"))] {
        let key = format!("key of {body}");
        let (first, again) = (ask(&gateway, &body, &key).await, ask(&gateway, &body, &key).await);
        assert_eq!((cache(&first), cache(&again)), ((200, "miss"), (200, "hit")));
        assert_eq!(first.body, again.body);
        assert_eq!(cache(&ask(&gateway, &body, &format!("another {key}")).await), (200, "miss"));
    }
    assert_eq!(far.counts().requests, 4);
    let rows = gateway.rows(6).await;
    assert_eq!(rows.iter().filter(|row| row.cost.is_some_and(|cost| cost.0 == 0)).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_come_while_it_is_under_way_wait_for_its_answer() {
    let far = Sim::start(Script::answering(Answer::Tokens(5)).latency(Duration::from_millis(300), Duration::ZERO));
    let gateway = gateway(&far).await;
    let body = user("hello");
    let replies = join_all((0..4).map(|_| ask(&gateway, &body, "k"))).await;
    assert!(replies.iter().all(|reply| reply.status == 200 && reply.body == replies[0].body));
    assert_eq!(far.counts().requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_lost_its_answer_gets_it_when_it_asks_again() {
    let far = Sim::start(Script::answering(Answer::Tokens(10)).latency(Duration::ZERO, Duration::from_millis(50)));
    let gateway = gateway(&far).await;
    let body = streamed(user("hello"));
    let mut lost = gateway.open(body.to_string(), &[("idempotency-key", "k")]).await;
    lost.chunk().await.unwrap().expect("a first chunk");
    drop(lost);
    eventually("the answer is whole", async || far.counts().in_flight == 0).await;
    let reply = ask(&gateway, &body, "k").await;
    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    assert_eq!((far.counts().requests, far.cancelled()), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_and_records_what_is_fetched_for_a_client_that_has_left() {
    let far = Sim::start(Script::answering(Answer::Tokens(100)).latency(Duration::ZERO, Duration::from_millis(100)));
    let gateway = gateway(&far).await;
    let mut lost = gateway.open(streamed(user("hello")).to_string(), &[("idempotency-key", "k")]).await;
    lost.chunk().await.unwrap().expect("a first chunk");
    drop(lost);
    let Gateway { running, folder, .. } = gateway;
    let began = Instant::now();
    running.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5), "nobody waits for it");
    let mut records = Records::open(&folder.path().join("ajar.db")).await.unwrap();
    let rows = records.tail(10).await.unwrap();
    assert_eq!(rows.iter().map(|entry| entry.row.outcome.name()).collect::<Vec<_>>(), ["hung_up"]);
    eventually("the provider is stopped", async || far.counts().in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stands_for_one_request_and_for_one_virtual_key() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    let (a, b) = (setup.key("a", ""), setup.key("b", ""));
    let gateway = setup.start().await;
    let ask = async |text: &str, token: &str, key: &str| {
        let bearer = format!("Bearer {token}");
        gateway.ask_with(&user(text), &[("authorization", &bearer), ("idempotency-key", key)]).await
    };
    assert_eq!(ask("one", &a, "k").await.content(), "one");
    let reused = ask("two", &a, "k").await;
    assert_eq!((reused.status, reused.error().0.as_str()), (422, "idempotency_key_reused"));
    assert_eq!(ask("two", &b, "k").await.content(), "two");
    assert_eq!(far.counts().requests, 2);
    for bad in ["", &"k".repeat(256)] {
        let reply = ask("one", &a, bad).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "invalid_idempotency_key"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_class_may_not_store_is_not_stored_for_those_who_ask_again_either() {
    let home = Sim::start(Script::echo());
    let gateway = gateway(&home).await;
    let body = user("my card is 4111 1111 1111 1111");
    for _ in 0..2 {
        assert_eq!(cache(&ask(&gateway, &body, "k").await), (200, "bypass"));
    }
    assert_eq!(home.counts().requests, 2);
}
