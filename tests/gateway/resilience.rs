//! Providers that fail, hang, limit and come back: what that costs them, and what clients see of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::net::{TcpSocket, TcpStream};

use crate::harness::{Gateway, Reply, Setup, eventually, streamed, user};
use crate::sim::{Answer, Break, Fault, On, Script, Sim};

/// How many requests are under way together.
const AT_ONCE: usize = 8;

/// Failures in a row that open a breaker.
const ROW: u64 = 8;

fn status(status: u16) -> Fault {
    Fault::Status { status, retry_after: None }
}

async fn alone(far: &Sim, fields: &str) -> Gateway {
    let setup = Setup::new().provider_at("far", &far.base_url(), fields).provider("home", far);
    setup.policy("[far, home]", "[far]").start().await
}

async fn ask(gateway: &Gateway, n: usize) -> Vec<Reply> {
    let asked = stream::iter(0..n).map(|i| async move { gateway.ask(&user(&format!("question {i}"))).await });
    asked.buffer_unordered(AT_ONCE).collect().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_always_fails_is_soon_left_alone_and_its_peer_answers_all() {
    let far = Sim::start(Script::text("far").fault(status(500)));
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    let replies = ask(&gateway, 300).await;
    assert!(replies.iter().all(|reply| (reply.status, reply.content().as_str()) == (200, "home")));
    let tried = far.counts().requests;
    assert!((ROW..=ROW + AT_ONCE as u64 + 8).contains(&tried), "{tried} of 300 requests tried it");
    // Known before anybody is asked, so that it counts as no attempt.
    let rows = gateway.rows(300).await;
    assert!(rows.iter().filter(|row| row.attempts == 1).count() > 250);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_fail_before_their_first_word_are_failures_whatever_the_provider_speaks() {
    for dialect in ["openai", "anthropic", "openai-responses", "gemini"] {
        for fault in [Fault::ErrorEvent { after: 0 }, Fault::Cut { after: 0, how: Break::Fin }] {
            let far = Sim::start(Script::text("far").fault(fault));
            let home = Sim::start(Script::text("home"));
            let setup = Setup::new().provider_speaking("far", &far, dialect).provider("home", &home);
            let gateway = setup.start().await;
            for _ in 0..2 * ROW {
                assert_eq!(gateway.ask(&streamed(user("hello"))).await.content(), "home");
            }
            let tried = far.counts().requests;
            assert_eq!(tried, ROW, "{dialect}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_half_of_a_providers_answers_fail_its_peer_makes_up_for_all_of_them() {
    let far = Sim::start(Script::text("far").fault_on(On::Every(2), status(503)));
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    let replies = ask(&gateway, 200).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    let (tried, peer) = (far.counts().requests, home.counts().requests);
    assert_eq!((tried, peer), (200, 100), "each was tried once, and half of them again elsewhere");
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_stay_within_their_share_and_open_breakers_refuse_at_once() {
    let far = Sim::start(Script::text("far").fault(status(503)));
    let gateway = alone(&far, "").await;
    let replies = ask(&gateway, 200).await;
    assert!(replies.iter().all(|reply| [502, 503].contains(&reply.status)));
    let tried = far.counts().requests;
    assert!(tried <= 200 / 5 + 10, "{tried} attempts");
    let began = Instant::now();
    let refused = gateway.ask(&user("more")).await;
    assert!(refused.status == 503 && began.elapsed() < Duration::from_millis(500), "{}", refused.text());
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    assert!(metrics.contains("ajar_provider_breaker{provider=\"far\",state=\"open\"} 1"), "{metrics}");
    assert!(
        metrics.contains(&format!("ajar_provider_calls_total{{provider=\"far\",result=\"upstream_error\"}} {tried}"))
    );
    assert!(metrics.contains("ajar_provider_retries_total{provider=\"far\"}"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lone_provider_that_stumbles_is_asked_again_and_the_client_sees_nothing_of_it() {
    let far = Sim::start(Script::text("far").fault_on(On::Every(2), status(503)));
    let gateway = alone(&far, "").await;
    for _ in 0..4 {
        let reply = gateway.ask(&user("hello")).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "far"));
    }
    let rows = gateway.rows(4).await;
    assert!(rows.iter().map(|row| row.attempts).sum::<u32>() > 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_comes_back_is_used_again() {
    let far = Sim::start(Script::text("far").fault(status(500)));
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    ask(&gateway, 30).await;
    far.set_script(Script::text("far"));
    eventually("the provider is used again", async || gateway.ask(&user("hello")).await.content() == "far").await;
    let replies = ask(&gateway, 100).await;
    assert!(replies.iter().all(|reply| reply.status == 200));
    assert!(far.counts().requests > 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_a_provider_asks_for_is_granted() {
    let limited = Fault::Status { status: 429, retry_after: Some(Duration::from_secs(2)) };
    let far = Sim::start(Script::text("far").fault(limited));
    let home = Sim::start(Script::text("home"));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    let began = Instant::now();
    assert!(ask(&gateway, 20).await.iter().all(|reply| reply.content() == "home"));
    assert!(began.elapsed() < Duration::from_millis(1800), "the machine is too slow for this test");
    assert!(far.counts().requests <= AT_ONCE as u64, "only those that were under way already");
    far.set_script(Script::text("far"));
    eventually("the pause is over", async || gateway.ask(&user("hello")).await.content() == "far").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_hang_ends_at_its_own_clock() {
    let clocks = "timeouts: { connect: 5s, first_byte: 300ms, idle: 500ms, progress: 1s }";
    let pings = |after| Fault::Pings { after, every: Duration::from_millis(50) };
    let (whole, stream) = (user("hello"), streamed(user("hello")));
    for (body, fault, code, least, most) in [
        (&stream, Fault::HangBeforeHeaders, "upstream_timeout", 300, 900),
        (&stream, Fault::HangMidStream { after: 2 }, "upstream_idle", 500, 1100),
        (&stream, pings(2), "upstream_stalled", 1000, 1900),
        (&stream, pings(0), "upstream_stalled", 1000, 1900),
        (&stream, Fault::HangMidStream { after: 0 }, "upstream_idle", 500, 1100),
        (&whole, Fault::HangBeforeHeaders, "upstream_timeout", 300, 900),
        (&whole, Fault::HangMidStream { after: 1 }, "upstream_idle", 500, 1100),
        (&whole, pings(0), "upstream_stalled", 1000, 1900),
    ] {
        let far = Sim::start(Script::answering(Answer::Tokens(20)).fault(fault.clone()));
        let gateway = alone(&far, clocks).await;
        let began = Instant::now();
        let reply = gateway.ask(body).await;
        let took = began.elapsed().as_millis();
        assert!((least..most).contains(&took), "{fault:?}: {took} ms");
        let row = &gateway.rows(1).await[0];
        assert_eq!(row.reason.as_deref(), Some(code), "{fault:?}: {}", reply.text());
        assert!(!reply.text().contains("[DONE]"), "{fault:?}");
    }
}

/// A port whose queue of connections is full and never emptied, so that the next one waits; as long as this is held.
async fn unanswering() -> (String, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    (format!("http://{address}/v1"), (listener, waiting))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_does_not_come_about_ends_at_its_clock_and_so_does_one_without_tls() {
    let mute = Sim::start(Script::text("far").fault(Fault::HangAccept));
    let (full, _held) = unanswering().await;
    let home = Sim::start(Script::text("home"));
    for url in [full, mute.base_url().replace("http:", "https:")] {
        let clocks = "timeouts: { connect: 300ms, first_byte: 10s }";
        let setup = Setup::new().policy("[far, home]", "[far]").provider_at("far", &url, clocks);
        let gateway = setup.provider("home", &home).start().await;
        let began = Instant::now();
        let reply = gateway.ask(&user("hello")).await;
        let took = began.elapsed().as_millis();
        assert_eq!((reply.status, reply.error().0.as_str()), (504, "upstream_connect_timeout"), "{}", reply.text());
        // It is tried once more, since nothing can have been paid for.
        assert!((600..2000).contains(&took), "{url}: {took} ms");
        let row = &gateway.rows(1).await[0];
        assert_eq!((row.attempts, row.bytes_out, row.cost), (2, 0, None));
    }
}
