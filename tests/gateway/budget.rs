//! A budget is never overshot, and nothing stays reserved.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Gateway, Setup, eventually, streamed, user, with};
use crate::sim::{Break, Fault, Script, Sim};

/// A token of the answer costs a dollar, the prompt nothing.
const PRICE: &str = "price: { input: 0, output: 1000000 }";
const LIMIT: f64 = 10.0;

fn setup(far: &Sim) -> Setup {
    Setup::new().policy("price: { input: 1, output: 2 }", PRICE).provider("far", far).policy_tail(
        "budgets:\n  - { id: day, per: key, window: day, limit: 10 USD, \
         ladder: [{ at: 1.00, only: 'dest.boundary == \"host\"' }] }\n",
    )
}

/// A request of at most one token, so of one dollar.
fn dollar(n: usize) -> serde_json::Value {
    with(user(&format!("question {n}")), json!({ "max_tokens": 1, "temperature": 1 }))
}

/// What the record says was spent is what the ledger counts as used: so nothing is reserved.
async fn assert_nothing_reserved(gateway: &Gateway, requests: usize) -> f64 {
    let rows = gateway.rows(requests).await;
    let spent: f64 = rows.iter().map(|row| row.cost.unwrap_or_default().as_usd()).sum();
    let used = gateway.used("day", LIMIT);
    assert!((used - spent).abs() < 1e-9, "used {used}, spent {spent} by {rows:#?}");
    used
}

/// The answers to 200 requests at once, of which a provider that waits lets none end before all were decided.
async fn ask_200(gateway: &Gateway) -> Vec<crate::harness::Reply> {
    join_all((0..200).map(|n| async move { gateway.ask(&dollar(n)).await })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_concurrent_requests_exactly_10_go_out_and_the_others_stay_at_home() {
    let far = Sim::start(Script::text("far").latency(Duration::from_millis(500), Duration::ZERO));
    let home = Sim::start(Script::text("home"));
    let gateway = setup(&far).provider("home", &home).start().await;
    let replies = ask_200(&gateway).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert_eq!(replies.iter().filter(|reply| reply.header("x-ajar-served-by") == "far").count(), 10);
    assert_eq!((far.counts().requests, home.counts().requests), (10, 190));
    let used = assert_nothing_reserved(&gateway, 200).await;
    assert_eq!(used, LIMIT);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_200_concurrent_requests_exactly_10_go_out_and_the_others_are_refused_where_nobody_is_at_home() {
    let far = Sim::start(Script::text("far").latency(Duration::from_millis(500), Duration::ZERO));
    let gateway =
        setup(&far).provider("home", &far).policy("candidates: [far, home]", "candidates: [far]").start().await;
    let replies = ask_200(&gateway).await;
    let answered = replies.iter().filter(|reply| reply.status == 200).count();
    assert_eq!((answered, far.counts().requests), (10, 10));
    for reply in replies.iter().filter(|reply| reply.status != 200) {
        assert_eq!((reply.status, reply.error().0.as_str()), (429, "budget_exhausted"));
    }
    let rows = gateway.rows(200).await;
    assert_eq!(rows.iter().filter(|row| row.outcome.name() == "limited").count(), 190);
    assert_nothing_reserved(&gateway, 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_leave_nothing_reserved() {
    let faults = [
        Fault::Status { status: 500, retry_after: None },
        Fault::Status { status: 429, retry_after: None },
        Fault::Status { status: 400, retry_after: None },
        Fault::Cut { after: 0, how: Break::Reset },
        Fault::Cut { after: 1, how: Break::Fin },
        Fault::MalformedChunk { after: 0 },
        Fault::NoUsage,
    ];
    for fault in faults {
        let far = Sim::start(Script::text("one two").fault(fault.clone()));
        let gateway = setup(&far).provider("home", &far).policy("[far, home]", "[far]").start().await;
        gateway.ask(&dollar(0)).await;
        gateway.ask(&streamed(dollar(1))).await;
        let used = assert_nothing_reserved(&gateway, 2).await;
        assert!(used <= 4.0, "{fault:?}: {used}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_leave_nothing_reserved() {
    let far = Sim::start(Script::text("one two three").fault(Fault::HangMidStream { after: 2 }));
    let gateway = setup(&far).provider("home", &far).start().await;
    let mut leaving = gateway.open(streamed(dollar(0)).to_string(), &[]).await;
    leaving.chunk().await.unwrap();
    drop(leaving);
    far.set_script(Script::text("far").fault(Fault::HangBeforeHeaders));
    let unanswered = dollar(1);
    let pending = tokio::time::timeout(Duration::from_millis(300), gateway.ask(&unanswered));
    assert!(pending.await.is_err());
    eventually("the provider's connections are closed", async || far.counts().in_flight == 0).await;
    let used = assert_nothing_reserved(&gateway, 2).await;
    // The one that never began may have cost its worst case.
    assert!((1.0..=2.0).contains(&used), "{used}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_failed_after_it_was_sent_is_paid_for_beside_the_one_that_answered() {
    let far = Sim::start(Script::text("one two").fault(Fault::MalformedChunk { after: 1 }));
    let home = Sim::start(Script::text("home"));
    let gateway = setup(&far).provider("home", &home).start().await;
    let reply = gateway.ask(&dollar(0)).await;
    assert_eq!((reply.content().as_str(), reply.header("x-ajar-cost")), ("home", "1.000000"));
    assert_eq!(assert_nothing_reserved(&gateway, 1).await, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_spent_is_still_spent_after_a_restart() {
    let far = Sim::start(Script::text("far"));
    let gateway = setup(&far).provider("home", &far).start().await;
    for n in 0..3 {
        gateway.ask(&dollar(n)).await;
    }
    let spent = assert_nothing_reserved(&gateway, 3).await;
    assert_eq!(spent, 3.0);
    assert_eq!(gateway.restart().await.used("day", LIMIT), spent);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_the_choices_that_a_request_asks_for_are_reserved() {
    let far = Sim::start(Script::text("far").latency(Duration::from_millis(500), Duration::ZERO));
    let home = Sim::start(Script::text("home"));
    let gateway = setup(&far).provider("home", &home).start().await;
    let six: Vec<_> = (0..4).map(|n| with(dollar(n), json!({ "n": 6 }))).collect();
    let replies = join_all(six.iter().map(|body| gateway.ask(body))).await;
    assert_eq!(replies.iter().filter(|reply| reply.header("x-ajar-served-by") == "far").count(), 1);
    assert_eq!(assert_nothing_reserved(&gateway, 4).await, 6.0);
}
