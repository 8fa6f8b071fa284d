//! Attempts, fallbacks, broken streams, clients that leave, and the bytes that go out.

use std::time::{Duration, Instant};

use ajar::record::Row;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::harness::{Gateway, Reply, Setup, eventually, nobody, streamed, user, with};
use crate::sim::{Answer, Break, Fault, On, Script, Sim};

/// How soon the provider's connection must be closed once the client has left.
const SOON: Duration = Duration::from_secs(1);

const QUICK: &str = "timeouts: { connect: 300ms, first_byte: 300ms, idle: 300ms }";

/// `far` first, then `home`; with short timeouts towards `far`.
async fn gateway(far: &Sim, home: &Sim) -> Gateway {
    Setup::new().provider_at("far", &far.base_url(), QUICK).provider("home", home).start().await
}

fn outcome(row: &Row) -> (&str, Option<&str>, u32) {
    (row.outcome.name(), row.reason.as_deref(), row.attempts)
}

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_byte_another_permitted_destination_answers() {
    let faults = [
        status(429),
        status(500),
        status(503),
        status(401),
        status(404),
        Fault::HangAccept,
        Fault::HangBeforeHeaders,
        Fault::Cut { after: 0, how: Break::Fin },
        Fault::Cut { after: 0, how: Break::Reset },
        Fault::ErrorEvent { after: 0 },
        Fault::WrongContentType("text/html".to_owned()),
    ];
    for fault in faults {
        for body in [user("hello"), streamed(user("hello"))] {
            let is_error_event = matches!(fault, Fault::ErrorEvent { .. });
            if is_error_event && body.get("stream").is_none() {
                continue;
            }
            // A whole answer is one whatever its label; a stream under another label is not recognised as one.
            let is_readable = matches!(fault, Fault::WrongContentType(_)) && body.get("stream").is_none();
            let far = Sim::start(Script::text("far").fault(fault.clone()));
            let home = Sim::start(Script::text("home"));
            let gateway = gateway(&far, &home).await;
            let reply = gateway.ask(&body).await;
            let shown = format!("{fault:?} {body}: {} {}", reply.status, reply.text());
            let (who, attempts) = if is_readable { ("far", 1) } else { ("home", 2) };
            assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, who), "{shown}");
            assert_eq!(reply.content(), who, "{shown}");
            let row = &gateway.rows(1).await[0];
            assert_eq!((row.outcome.name(), row.attempts, row.served_by.as_deref()), ("answered", attempts, Some(who)));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_listens_another_permitted_destination_answers() {
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider_at("far", &nobody(), "").provider("home", &home).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
    assert_eq!(gateway.rows(1).await[0].attempts, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_destination_is_tried_once_and_then_in_all_one_of_them_again() {
    let failing = Sim::start(Script::text("never").fault(status(500)));
    let setup = Setup::new().provider("far", &failing).provider("home", &failing);
    let third = "  third: { via: home, model: open-2b, boundary: host, price: { input: 0, output: 0 } }\n  cache:";
    let gateway = setup.policy("  cache:", third).policy("[far, home]", "[far, home, third]").start().await;
    let reply = gateway.ask(&user("hello")).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (502, "upstream_error"));
    assert_eq!(failing.counts().requests, 4);
    assert_eq!(outcome(&gateway.rows(1).await[0]), ("failed", Some("upstream_error"), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restricted_request_never_falls_back_outward() {
    let far = Sim::start(Script::text("far"));
    let home = Sim::start(Script::text("home").fault(status(500)));
    let gateway =
        Setup::new().provider("far", &far).provider("home", &home).policy("[far, home]", "[home, far]").start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "far");
    let seen = far.raw_bytes().len();
    let reply = gateway.ask(&user("my card is 4111 1111 1111 1111")).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (502, "upstream_error"));
    assert_eq!(far.raw_bytes().len(), seen);
    assert_eq!(outcome(&gateway.rows(2).await[1]), ("failed", Some("upstream_error"), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_finds_the_request_wrong_is_quoted_and_nobody_else_asked() {
    let far = Sim::start(Script::text("far").fault(status(400)));
    let home = Sim::start(Script::text("home"));
    let gateway = gateway(&far, &home).await;
    for body in [user("hello"), streamed(user("hello"))] {
        let reply = gateway.ask(&body).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "upstream_rejected"));
        let direct = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}/chat/completions", far.base_url());
        let own = direct.post(url).body(body.to_string()).send().await.unwrap();
        let own: Value = serde_json::from_slice(&own.bytes().await.unwrap()).unwrap();
        assert_eq!(reply.json()["error"]["message"], own["error"]["message"]);
    }
    assert_eq!(home.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_wrong_at_the_provider_is_told_apart() {
    for (fault, code, word) in [
        (status(500), "upstream_error", "failed"),
        (status(401), "upstream_misconfigured", "credential"),
        (status(404), "upstream_misconfigured", "model"),
        (Fault::MalformedChunk { after: 0 }, "upstream_unreadable", "cannot be read"),
        (Fault::Cut { after: 0, how: Break::Reset }, "upstream_broken", "not reached"),
    ] {
        let far = Sim::start(Script::text("far").fault(fault.clone()));
        let setup = Setup::new().provider("far", &far).provider("home", &far).policy("[far, home]", "[far]");
        let reply = setup.start().await.ask(&user("hello")).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (502, code), "{fault:?}");
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(message.contains(word), "{fault:?}: {message}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_limits_the_rate_is_passed_on_with_its_wait() {
    let limit = Fault::Status { status: 429, retry_after: Some(Duration::from_secs(7)) };
    let far = Sim::start(Script::text("far").fault(limit));
    let setup = Setup::new().provider("far", &far).provider("home", &far);
    let gateway = setup.policy("[far, home]", "[far]").start().await;
    let reply = gateway.ask(&user("hello")).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (429, "upstream_rate_limited"));
    assert_eq!(reply.header("retry-after"), "7");
}

/// What a client sees of a stream that breaks after it has begun: words, then an error event, and no end marker.
fn assert_broken_off(reply: &Reply, code: &str) {
    let events = reply.events();
    let last: Value = serde_json::from_str(events.last().expect("events")).unwrap();
    assert_eq!(last["error"]["code"], code, "{events:#?}");
    assert!(events.len() > 1 && !events.iter().any(|event| event == "[DONE]"), "{events:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_ends_in_an_error_and_is_not_tried_again() {
    let cases = [
        (Fault::Cut { after: 3, how: Break::Fin }, "upstream_broken"),
        (Fault::Cut { after: 3, how: Break::Reset }, "upstream_broken"),
        (Fault::ErrorEvent { after: 3 }, "upstream_error"),
        (Fault::HangMidStream { after: 3 }, "upstream_idle"),
    ];
    for (fault, code) in cases {
        let far = Sim::start(Script::answering(Answer::Tokens(30)).fault(fault.clone()));
        let home = Sim::start(Script::text("home"));
        let gateway = gateway(&far, &home).await;
        let reply = gateway.ask(&with(streamed(user("hello")), json!({ "temperature": 1 }))).await;
        assert_broken_off(&reply, code);
        let row = &gateway.rows(1).await[0];
        assert_eq!(outcome(row), ("failed", Some(code), 1), "{fault:?}");
        assert!(row.cost.is_some_and(|cost| cost.0 > 0) && row.usage_estimated, "{fault:?}");
        assert_eq!((far.counts().requests, home.counts().requests), (1, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_in_order_but_unfinished_is_truncated() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let provider = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        assert!(tcp.read(&mut [0; 4096]).await.unwrap() > 0);
        let chunk = r#"data: {"choices":[{"index":0,"delta":{"content":"one"},"finish_reason":null}]}"#;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        tcp.write_all(format!("{head}{chunk}\n\n").as_bytes()).await.unwrap();
    });
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider_at("far", &base_url, "").provider("home", &home).start().await;
    let reply = gateway.ask(&streamed(user("hello"))).await;
    provider.await.unwrap();
    assert_broken_off(&reply, "upstream_truncated");
    assert_eq!(outcome(&gateway.rows(1).await[0]), ("failed", Some("upstream_truncated"), 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_its_end_marker_ends_well_if_it_was_finished() {
    let far = Sim::start(Script::text("one two").fault(Fault::NoDone));
    let gateway = gateway(&far, &far).await;
    let reply = gateway.ask(&streamed(user("hello"))).await;
    assert_eq!(reply.content(), "one two");
    assert_eq!(outcome(&gateway.rows(1).await[0]).0, "answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_drips_or_has_huge_events_arrives_unchanged() {
    for fault in
        [Fault::SlowDrip { bytes: 7, every: Duration::from_millis(1) }, Fault::OversizedLine { bytes: 200_000 }]
    {
        let far = Sim::start(Script::text("größer 你好 🦀 end").fault(fault.clone()));
        let gateway = gateway(&far, &far).await;
        let reply = gateway.ask(&streamed(user("hello"))).await;
        assert!(reply.content().ends_with("größer 你好 🦀 end"), "{fault:?}: {}", reply.text());
        assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    }
}

/// After a client has left: the provider's connection is closed at once, and one row tells.
async fn assert_cancelled(far: &Sim, gateway: &Gateway, left: Instant) -> Row {
    assert!(far.until(|counts| counts.in_flight == 0 && counts.open_connections == 0).await, "still connected");
    assert!(left.elapsed() < SOON, "closed after {:?}", left.elapsed());
    assert_eq!(far.cancelled(), 1);
    let row = gateway.rows(1).await.remove(0);
    assert_eq!((row.outcome.name(), row.status, row.attempts), ("hung_up", 499, 1));
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_while_it_waits_stops_the_provider() {
    for fields in [json!({ "temperature": 0 }), json!({ "temperature": 1 })] {
        let far = Sim::start(Script::text("far").fault(Fault::HangBeforeHeaders));
        let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
        let body = with(user("hello"), fields);
        tokio::select! {
            _ = gateway.ask(&body) => panic!("answered"),
            begun = far.until(|counts| counts.in_flight == 1) => assert!(begun),
        }
        let row = assert_cancelled(&far, &gateway, Instant::now()).await;
        assert!(row.cost.is_some_and(|cost| cost.0 > 0), "nobody knows what it cost: so its worst case");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_in_the_middle_stops_the_provider_and_pays_for_what_came() {
    for fields in [json!({ "temperature": 0 }), json!({ "temperature": 1 })] {
        let far = Sim::start(Script::answering(Answer::Tokens(50)).fault(Fault::HangMidStream { after: 10 }));
        let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
        let mut answer = gateway.open(with(streamed(user("hello")), fields).to_string(), &[]).await;
        let mut events = 0;
        // The first has the role only.
        while events < 3 {
            let chunk = answer.chunk().await.unwrap().expect("the stream goes on");
            events += std::str::from_utf8(&chunk).unwrap().matches("data: ").count();
        }
        drop(answer);
        let row = assert_cancelled(&far, &gateway, Instant::now()).await;
        assert!(row.usage_estimated && row.output_tokens > Some(0) && row.output_tokens < Some(50), "{row:#?}");
        assert!(row.cost.is_some_and(|cost| cost.0 > 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_providers_bytes_are_the_clients_but_for_the_declared_edits() {
    let far = Sim::start(Script::text("far"));
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    let odd = "{ \"messages\" :[ {\"content\":\"caf\\u00e9 \\n  ü\", \"role\":\"user\"} ],\n\t\"x_big\": 1.50E+3,\
        \"temperature\":0.10,  \"model\": \"auto\" ,\"stream\":true, \"max_tokens\": 9 }";
    assert_eq!(gateway.send(odd, &[]).await.status, 200);
    let sent = far.requests().remove(0);
    let edited = odd.replace("\"auto\"", "\"gpt-4o-mini\"");
    let edited = edited.replacen('{', "{\"stream_options\":{\"include_usage\":true},", 1);
    assert_eq!(std::str::from_utf8(&sent.body).unwrap(), edited);
    let bare = r#"{"model":"auto","messages":[{"role":"user","content":"hi"}]}"#;
    assert_eq!(gateway.send(bare, &[]).await.status, 200);
    let sent: Value = serde_json::from_slice(&far.requests()[1].body).unwrap();
    let cap = sent["max_tokens"].as_u64().expect("a cap, so that the worst case holds");
    assert_eq!(sent, json!({ "model": "gpt-4o-mini", "messages": user("hi")["messages"], "max_tokens": cap }));
    let headers = &far.requests()[1].headers;
    let names: Vec<&str> = headers.keys().map(http::HeaderName::as_str).collect();
    assert!(
        names.iter().all(|n| ["content-type", "accept", "user-agent", "host", "content-length"].contains(n)),
        "{names:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_cost_of_streams_are_recorded_and_the_usage_chunk_is_there_only_when_asked_for() {
    let far = Sim::start(Script::answering(Answer::Tokens(20)));
    let gateway = gateway(&far, &far).await;
    let quiet = gateway.ask(&streamed(user("hello"))).await;
    assert!(!quiet.text().contains("prompt_tokens") && quiet.header("x-ajar-cost").is_empty());
    let asked = with(streamed(user("hello")), json!({ "stream_options": { "include_usage": true } }));
    let told = gateway.ask(&asked).await;
    assert!(told.text().contains("prompt_tokens"));
    let whole = gateway.ask(&user("hello")).await;
    let usage = whole.json()["usage"].clone();
    for row in gateway.rows(3).await {
        assert_eq!(row.output_tokens, usage["completion_tokens"].as_u64());
        assert_eq!(row.input_tokens, usage["prompt_tokens"].as_u64());
        let micro_usd = row.input_tokens.unwrap() + 2 * row.output_tokens.unwrap();
        assert_eq!((row.cost.unwrap().0, row.usage_estimated), (micro_usd, false));
        assert!(row.timing.ttft.is_some());
    }
    let cost: f64 = whole.header("x-ajar-cost").parse().unwrap();
    assert_eq!((cost * 1e6).round() as u64, usage["prompt_tokens"].as_u64().unwrap() + 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_a_credential_is_unavailable_and_one_with_it_gets_it() {
    let far = Sim::start(Script::text("far").bearer("sk-test"));
    let home = Sim::start(Script::text("home"));
    let setup = Setup::new().provider_at("far", &far.base_url(), "credential: { file: /no/such/file }");
    let gateway = setup.provider("home", &home).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
    assert_eq!(far.connections(), 0);
    let ready = gateway.get(gateway.operator("/readyz")).await.json();
    assert_eq!(ready["destinations"][0], json!({ "name": "far", "unavailable": "no_credential" }));

    let setup = Setup::new();
    let file = setup.folder().join("token");
    std::fs::write(&file, "sk-test\n").unwrap();
    let credential = format!("credential: {{ file: {} }}", file.display());
    let gateway = setup.provider_at("far", &far.base_url(), &credential).provider("home", &home).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "far");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_a_stream_that_goes_on_and_on() {
    let far = Sim::start(Script::answering(Answer::Tokens(2000)).latency(Duration::ZERO, Duration::from_millis(50)));
    let setup = Setup::new().provider("far", &far).provider("home", &far);
    let gateway = setup.set("server.limits.deadline", "600ms").start().await;
    assert_broken_off(&gateway.ask(&streamed(user("hello"))).await, "deadline");
    assert_eq!(outcome(&gateway.rows(1).await[0]), ("failed", Some("deadline"), 1));
    eventually("the provider is stopped", async || far.counts().in_flight == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_of_the_first_request_does_not_stay() {
    let far = Sim::start(Script::text("far").fault_on(On::First(1), status(500)));
    let home = Sim::start(Script::text("home"));
    let gateway = gateway(&far, &home).await;
    assert_eq!(gateway.ask(&user("one")).await.content(), "home");
    assert_eq!(gateway.ask(&user("two")).await.content(), "far");
}
