//! Who makes room for whom where requests wait for the engine.

use ajar::chat::Priority;
use serde_json::{Value, json};

use crate::harness::{Gateway, Reply, eventually, streamed, with};
use crate::local::{AT_HOME, endless, engine, local, setup};
use crate::sim::{Script, Sim};

/// Asks with `key` what only this host may answer.
async fn ask(gateway: &Gateway, key: &str, body: Value) -> Reply {
    gateway.ask_with(&body, &[AT_HOME[0], ("authorization", &format!("Bearer {key}"))]).await
}

fn is_sent_away(reply: &Reply) -> bool {
    reply.status == 503 && reply.error().0 == "local_queue_full" && !reply.header("retry-after").is_empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_more_urgent_take_the_place_of_those_that_may_wait_and_nobody_is_more_urgent_than_its_key() {
    let closed = Sim::start(Script::text("closed"));
    let mut setup = setup("context: 2048, sequences: 1, queue: 1").provider("openai", &closed);
    let (urgent, usual) = (setup.key("urgent", "priority: high"), setup.key("usual", ""));
    let gateway = setup.start().await;
    let ready = async || gateway.get(gateway.operator("/readyz")).await.status == 200;
    eventually("the model is loaded", ready).await;
    let first = gateway.open(streamed(endless("one")).to_string(), &AT_HOME).await;
    let one_waits = || eventually("one waits", async || engine(&gateway).await["queue"] == 1);

    let tier = |tier: &str| with(endless("two"), json!({ "service_tier": tier }));
    let mut flex = Box::pin(ask(&gateway, &urgent, tier("flex")));
    tokio::select! {
        reply = &mut flex => panic!("answered before its turn: {reply:?}"),
        () = one_waits() => {}
    }
    let mut normal = Box::pin(ask(&gateway, &usual, endless("three")));
    tokio::select! {
        reply = &mut flex => assert!(is_sent_away(&reply), "{reply:?}"),
        reply = &mut normal => panic!("answered before its turn: {reply:?}"),
    }
    tokio::select! {
        reply = ask(&gateway, &usual, tier("priority")) => assert!(is_sent_away(&reply), "{reply:?}"),
        reply = &mut normal => panic!("nobody may take its place: {reply:?}"),
    }
    let mut high = Box::pin(ask(&gateway, &urgent, local("four", json!({ "max_tokens": 2 }))));
    tokio::select! {
        reply = &mut normal => assert!(is_sent_away(&reply), "{reply:?}"),
        reply = &mut high => panic!("answered before its turn: {reply:?}"),
    }
    drop(first);
    let answer = high.await;
    assert_eq!((answer.status, answer.header("x-ajar-served-by")), (200, "local"), "{}", answer.text());
    assert_eq!(closed.counts().requests, 0);
    let mut waited: Vec<_> =
        gateway.rows(5).await.iter().map(|row| (row.priority, row.timing.queue.is_some(), row.status)).collect();
    waited.sort_unstable();
    let (low, normal, high) = (Some(Priority::Low), Some(Priority::Normal), Some(Priority::High));
    let sent_away = [(low, false, 503), (normal, false, 503), (normal, false, 503)];
    let begun = [(normal, true, 499), (high, true, 200)];
    assert_eq!(waited, [&sent_away[..], &begun].concat());
}
