//! A large request takes its time, and nobody else's.

use std::cell::Cell;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Gateway, Setup, eventually, user};
use crate::sim::{Script, Sim};

/// Messages with nothing but numbers, of so many MiB each: what takes the detectors longest.
fn numbers(messages: usize, mebibytes: usize) -> String {
    let mut text = String::with_capacity(mebibytes << 20);
    let mut state = 1_u64;
    while text.len() < mebibytes << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        write!(text, "{}, ", state >> (33 + state % 23)).unwrap();
    }
    // Each begins with another number, so that none was seen before.
    let message = |n| json!({ "role": "user", "content": format!("{n}, {text}") });
    json!({ "model": "auto", "messages": (0..messages).map(message).collect::<Vec<_>>() }).to_string()
}

async fn gateway(far: &Sim, home: &Sim) -> Gateway {
    Setup::new().provider("far", far).provider("home", home).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_requests_are_answered_while_two_of_30_mib_are_looked_at() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = gateway(&far, &home).await;
    let body = numbers(5, 6);
    let done = Cell::new(false);
    let large = async {
        let replies = join_all((0..2).map(|_| gateway.send(body.clone(), &[]))).await;
        done.set(true);
        replies
    };
    let small = async {
        let mut took = Vec::new();
        while !done.get() {
            let started = Instant::now();
            assert_eq!(gateway.ask(&user(&format!("question {}", took.len()))).await.header("x-ajar-served-by"), "far");
            took.push(started.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        took
    };
    let (replies, mut took) = tokio::join!(large, small);
    took.sort_unstable();
    let (half, most) = (took[took.len() / 2], took[took.len() - 1]);
    assert!(took.len() >= 20 && half < Duration::from_millis(500) && most < Duration::from_secs(4), "{took:?}");
    assert!(replies.iter().all(|reply| reply.status == 200));
    let rows = gateway.rows(took.len() + 2).await;
    // Looked at, or not in time: nothing of it went out without having been looked at.
    assert_eq!(rows.iter().filter(|row| row.served_by.as_deref() == Some("home")).count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_the_looking_and_the_next_has_its_turn() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = gateway(&far, &home).await;
    let body = numbers(5, 6);
    for _ in 0..2 {
        let asked = gateway.open(body.clone(), &[]);
        assert!(tokio::time::timeout(Duration::from_millis(600), asked).await.is_err(), "it takes longer");
    }
    eventually("both are gone", async || gateway.running.gateway.metrics.in_flight.get() == 0).await;
    assert_eq!(home.counts().requests + far.counts().requests, 0);
    let prose = "The committee met on Tuesday to talk about the harvest. ".repeat(2000);
    assert_eq!(gateway.ask(&user(&prose)).await.header("x-ajar-served-by"), "far");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_could_not_be_looked_at_in_time_stays_home_and_the_record_says_why() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = Setup::new().provider("far", &far).provider("home", &home);
    let gateway = gateway.set("server.limits.scan", "1ns").start().await;
    let prose = |kib: usize| user(&"The committee met on Tuesday to talk about the harvest. ".repeat(kib * 18));
    assert_eq!(gateway.ask(&prose(8)).await.header("x-ajar-served-by"), "far", "a small one is looked at at once");
    assert_eq!(gateway.ask(&prose(200)).await.header("x-ajar-served-by"), "home");
    let row = &gateway.rows(2).await[1];
    assert_eq!((row.class.as_deref(), row.class_basis.as_deref()), (Some("restricted"), Some("unknown")));
    assert!(row.decision.contains(r#""flags":["uninspectable","scan_stopped"]"#), "{}", row.decision);
}
