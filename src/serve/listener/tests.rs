//! Raw sockets against the real loop.

use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Extension;
use axum::extract::{Request, State};
use axum::routing::{get, post};
use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::super::body::{BodyError, read_body};
use super::*;

/// Far beyond every limit under test: a test that meets it has failed.
const LONG: Duration = Duration::from_secs(10);
/// The server's clocks start a moment before the test's.
const SLACK: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct World {
    limits: Limits,
    events: mpsc::UnboundedSender<&'static str>,
    release: CancellationToken,
}

struct Running {
    addr: SocketAddr,
    events: mpsc::UnboundedReceiver<&'static str>,
    release: CancellationToken,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

fn quick() -> Limits {
    Limits {
        body: 1000,
        header_timeout: Duration::from_millis(200),
        body_timeout: Duration::from_millis(200),
        idle_timeout: Duration::from_millis(600),
        write_stall: Duration::from_millis(300),
        drain: LONG,
        connections: 8,
    }
}

fn start(limits: Limits) -> Running {
    let (sender, events) = mpsc::unbounded_channel();
    let release = CancellationToken::new();
    let router = Router::new()
        .route("/echo", post(echo))
        .route("/wait", post(wait))
        .route("/flood", get(flood))
        .route("/big", get(|| async { vec![b'x'; 64 << 20] }))
        .route("/peer", get(|Extension(Peer(addr)): Extension<Peer>| async move { format!("{addr} ") }))
        .route("/", get(|| async { "hello" }))
        .with_state(World { limits, events: sender, release: release.clone() });
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, limits, shutdown.clone()));
    Running { addr, events, release, shutdown, task }
}

async fn echo(State(world): State<World>, request: Request) -> Result<Bytes, StatusCode> {
    read_body(request.into_body(), world.limits.body, world.limits.body_timeout).await.map_err(|e| match e {
        BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Disconnected | BodyError::Compressed => StatusCode::BAD_REQUEST,
    })
}

async fn wait(State(world): State<World>, request: Request) -> Result<&'static str, StatusCode> {
    struct Dropped(mpsc::UnboundedSender<&'static str>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("handler dropped");
        }
    }
    let _dropped = Dropped(world.events.clone());
    read_body(request.into_body(), 1000, LONG).await.map_err(|_| StatusCode::BAD_REQUEST)?;
    let _ = world.events.send("handler waits");
    world.release.cancelled().await;
    Ok("waited")
}

/// An endless answer; the body's end is an event.
async fn flood(State(world): State<World>) -> Body {
    struct Dropped(mpsc::UnboundedSender<&'static str>, AtomicUsize);
    impl Drop for Dropped {
        fn drop(&mut self) {
            let _ = self.0.send("body dropped");
        }
    }
    let guard = Dropped(world.events, AtomicUsize::new(0));
    Body::from_stream(futures_util::stream::unfold(guard, |guard| async move {
        guard.1.fetch_add(1, Ordering::Relaxed);
        Some((Ok::<_, Infallible>(Bytes::from(vec![b'x'; 64 * 1024])), guard))
    }))
}

impl Running {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn send(&self, bytes: &str) -> TcpStream {
        let mut client = self.connect().await;
        client.write_all(bytes.as_bytes()).await.unwrap();
        client
    }

    async fn event(&mut self) -> &'static str {
        timeout(LONG, self.events.recv()).await.expect("no event").unwrap()
    }
}

/// All that comes until the server closes.
async fn rest(client: &mut TcpStream) -> String {
    let mut text = String::new();
    let _ = timeout(LONG, client.read_to_string(&mut text)).await.expect("the server did not close");
    text
}

/// One answer whose body ends with `end`, on a connection that stays open.
async fn until(client: &mut TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let byte = timeout(LONG, client.read_u8()).await.expect("no answer").expect("closed");
        text.push(byte);
    }
    String::from_utf8(text).unwrap()
}

fn post_to(path: &str, body: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn a_silent_connection_is_closed_at_the_header_timeout() {
    let server = start(Limits { idle_timeout: 6 * LONG, ..quick() });
    let mut client = server.connect().await;
    let start = std::time::Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert!(start.elapsed() >= quick().header_timeout - SLACK, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_lone_first_byte_and_a_slow_head_are_closed_at_the_header_timeout() {
    let server = start(Limits { idle_timeout: 6 * LONG, ..quick() });
    // "P" could still become either version's first line; "PRI * HTT" looks like HTTP/2.
    for beginning in ["P", "PRI * HTT", "POST /echo HTTP/1.1\r\nhost: a\r\nx-slow: "] {
        let client = server.send(beginning).await;
        let drip = async {
            loop {
                tokio::time::sleep(Duration::from_millis(20)).await;
                let _ = client.try_write(if beginning.len() > 20 { b"a" } else { b"" });
                let mut gone = [0];
                if matches!(client.try_read(&mut gone), Ok(_) | Err(_))
                    && client.ready(Interest::READABLE).now_or_never().is_some_and(|r| r.unwrap().is_read_closed())
                {
                    break;
                }
            }
        };
        timeout(LONG, drip).await.expect("the server did not close");
    }
}

#[tokio::test]
async fn a_slow_body_is_given_up_at_the_body_timeout() {
    let server = start(quick());
    let mut client = server.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc").await;
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 408 "));
}

#[tokio::test]
async fn an_oversize_head_is_answered_with_431() {
    let server = start(quick());
    let mut client = server.connect().await;
    let (big, many) = ("y".repeat(2 * MAX_HEAD), "x: y\r\n".repeat(MAX_FIELDS + 1));
    client.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\nx: {big}\r\n\r\n").as_bytes()).await.unwrap();
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 431 "));
    let mut client = server.send(&format!("GET / HTTP/1.1\r\nhost: a\r\n{many}\r\n")).await;
    assert!(rest(&mut client).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_body_over_the_limit_is_answered_with_413_whether_declared_or_chunked() {
    let server = start(quick());
    // Ten megabytes that nobody reads: without lingering, the reset would destroy the answer.
    let declared = post_to("/echo", &"x".repeat(10 << 20));
    let chunk = format!("{:x}\r\n{}\r\n", 1001, "x".repeat(1001));
    let chunked = format!("POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
    for request in [declared, chunked] {
        let mut client = server.send(&request).await;
        assert!(until(&mut client, "\r\n\r\n").await.starts_with("HTTP/1.1 413 "));
    }
    let mut client = server.send(&post_to("/echo", &"x".repeat(1000))).await;
    assert!(until(&mut client, "xxx").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_kept_connection_outlives_the_header_timeout_and_is_closed_at_the_idle_timeout() {
    let limits = Limits { idle_timeout: Duration::from_millis(1500), ..quick() };
    let server = start(limits);
    let mut client = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut client, "hello").await;
    tokio::time::sleep(2 * limits.header_timeout).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    until(&mut client, "hello").await;
    let start = std::time::Instant::now();
    assert_eq!(rest(&mut client).await, "");
    assert!(start.elapsed() >= limits.idle_timeout - SLACK, "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_long_answer_outlives_every_read_clock() {
    let mut server = start(quick());
    let mut client = server.send(&post_to("/wait", "x")).await;
    assert_eq!(server.event().await, "handler waits");
    tokio::time::sleep(Duration::from_millis(900)).await;
    server.release.cancel();
    assert!(until(&mut client, "waited").await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn accepted_sockets_do_not_delay_small_frames() {
    let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
    let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    prepare(&stream);
    assert!(stream.nodelay().unwrap());
}

#[tokio::test]
async fn a_client_that_leaves_drops_the_pending_handler() {
    let mut server = start(quick());
    let client = server.send(&post_to("/wait", "x")).await;
    assert_eq!(server.event().await, "handler waits");
    drop(client);
    assert_eq!(server.event().await, "handler dropped");
}

#[tokio::test]
async fn a_client_that_leaves_is_noticed_even_behind_bytes_of_a_next_request() {
    let mut server = start(quick());
    let client = server.send(&(post_to("/wait", "x") + "GET / HT")).await;
    assert_eq!(server.event().await, "handler waits");
    drop(client);
    assert_eq!(server.event().await, "handler dropped");
}

#[tokio::test]
async fn a_client_that_leaves_or_stops_reading_drops_the_streamed_answer() {
    let mut server = start(quick());
    let mut client = server.send("GET /flood HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.read_u8().await.unwrap();
    drop(client);
    assert_eq!(server.event().await, "body dropped");
    let stalled = server.send("GET /flood HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(server.event().await, "body dropped");
    drop(stalled);
}

#[tokio::test]
async fn shutdown_refuses_new_connections_closes_idle_ones_and_finishes_requests_in_flight() {
    let mut server = start(Limits { idle_timeout: LONG, ..quick() });
    let mut idle = server.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    until(&mut idle, "hello").await;
    let mut busy = server.send(&post_to("/wait", "x")).await;
    assert_eq!(server.event().await, "handler waits");
    server.shutdown.cancel();
    assert_eq!(rest(&mut idle).await, "");
    assert!(TcpStream::connect(server.addr).await.is_err());
    server.release.cancel();
    let answer = rest(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("waited"), "{answer}");
    timeout(LONG, server.task).await.expect("serve did not return").unwrap();
}

#[tokio::test]
async fn what_has_not_finished_when_the_drain_time_is_over_is_dropped() {
    let mut server = start(Limits { drain: Duration::from_millis(100), ..quick() });
    let mut client = server.send(&post_to("/wait", "x")).await;
    assert_eq!(server.event().await, "handler waits");
    server.shutdown.cancel();
    assert_eq!(server.event().await, "handler dropped");
    assert_eq!(rest(&mut client).await, "");
    timeout(LONG, server.task).await.expect("serve did not return").unwrap();
}

#[tokio::test]
async fn connections_over_the_cap_wait_for_a_slot() {
    let mut server = start(Limits { connections: 1, ..quick() });
    let mut first = server.send(&post_to("/wait", "x")).await;
    assert_eq!(server.event().await, "handler waits");
    let mut second = server.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(timeout(Duration::from_millis(100), second.read_u8()).await.is_err());
    server.release.cancel();
    until(&mut first, "waited").await;
    drop(first);
    assert!(rest(&mut second).await.ends_with("hello"));
}

#[tokio::test]
async fn a_client_that_does_not_read_a_whole_answer_loses_its_slot() {
    let server = start(Limits { connections: 1, idle_timeout: LONG, ..quick() });
    let stalled = server.send("GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await;
    stalled.readable().await.unwrap();
    let mut next = server.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    assert!(rest(&mut next).await.ends_with("hello"));
    drop(stalled);
}

#[tokio::test]
async fn a_client_that_reads_a_whole_answer_slowly_gets_all_of_it() {
    let server = start(quick());
    let mut client = server.send("GET /big HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let start = std::time::Instant::now();
    let mut piece = vec![0; 4 << 20];
    let mut total = 0;
    while let Ok(()) = client.read_exact(&mut piece).await.map(drop) {
        total += piece.len();
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    assert_eq!(total, 64 << 20);
    assert!(start.elapsed() > quick().idle_timeout);
}

#[expect(clippy::disallowed_types, reason = "a client of the listener under test")]
fn http2_client() -> reqwest::Client {
    // The client library wants a TLS provider, also where it does not use TLS.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().http2_prior_knowledge().no_proxy().build().unwrap()
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_served_and_a_reset_stream_drops_its_handler() {
    let client = http2_client();
    let mut server = start(quick());
    let hello = client.get(format!("http://{}/", server.addr)).send().await.unwrap();
    assert_eq!((hello.version(), hello.text().await.unwrap().as_str()), (Version::HTTP_2, "hello"));
    let pending = tokio::spawn(client.post(format!("http://{}/wait", server.addr)).body("x").send());
    assert_eq!(server.event().await, "handler waits");
    pending.abort();
    assert_eq!(server.event().await, "handler dropped");
}

#[tokio::test]
async fn an_http2_client_that_gives_its_stream_no_window_is_dropped() {
    let client = http2_client();
    let mut server = start(quick());
    let unread = client.get(format!("http://{}/flood", server.addr)).send().await.unwrap();
    assert_eq!(server.event().await, "body dropped");
    drop(unread);
}

#[tokio::test]
async fn handlers_are_told_the_clients_address() {
    let server = start(quick());
    let mut client = server.send("GET /peer HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = until(&mut client, " ").await + &until(&mut client, "\r\n\r\n").await + &until(&mut client, " ").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{} ", client.local_addr().unwrap())), "{answer}");
}

#[test]
fn only_errors_of_the_listener_itself_make_the_loop_pause() {
    assert!(is_about_the_listener(&io::Error::from_raw_os_error(24)), "EMFILE would spin");
    assert!(!is_about_the_listener(&ErrorKind::ConnectionAborted.into()));
}
