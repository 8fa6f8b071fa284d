//! What leaves, and what is made of what comes back, over real sockets.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::audit::{EgressLedger, LedgerOptions};
use crate::chat::{MicroUsd, RequestId};
use crate::policy::permit::Outbound;
use crate::policy::{Boundary, Permit};

const BODY: &[u8] = b"{\"model\":\"m\"}";
/// Long enough for anything on this machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// What is waited for in vain.
const SHORT: Duration = Duration::from_millis(50);

fn shipment(egress: &Egress) -> Shipment {
    let headers = vec![("content-type", "application/json".to_owned()), ("authorization", "Bearer secret".to_owned())];
    Shipment { url: egress.url("chat").unwrap(), headers, body: Bytes::from_static(BODY) }
}

/// A provider, and a client for its URL.
async fn provider() -> (TcpListener, Egress) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    (listener, Egress::new(&url, PATIENCE).unwrap())
}

/// Has `permitted` permitted and entered, and sends `sent`.
async fn send(
    egress: &Egress,
    permitted: &Shipment,
    sent: Shipment,
    patience: Duration,
) -> Result<Incoming, SendError> {
    let folder = tempfile::tempdir().unwrap();
    let options = LedgerOptions::new(folder.path().join("ledger.db"), folder.path().join("ledger.key"));
    let ledger = EgressLedger::start(options).await.unwrap();
    let permit = Permit::for_outbound(
        Boundary::External,
        "internal",
        &Outbound {
            url: permitted.url.as_str(),
            headers: &permitted.header_refs(),
            body: &permitted.body,
            max_cost: MicroUsd(5),
            expires: Instant::now() + PATIENCE,
        },
    );
    let entered = ledger.enter(permit, RequestId(ulid::Ulid::generate()), 1).await.unwrap();
    let answer = egress.send(entered, sent, patience).await;
    ledger.close().await;
    answer
}

/// Reads a request to the end of the body that [`shipment`] has.
async fn request(connection: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(BODY) {
        assert!(connection.read_buf(&mut read).await.unwrap() > 0, "closed early");
    }
    String::from_utf8(read).unwrap()
}

/// The answer to the usual shipment of a provider that writes `head`; the connection to write more to; what it read.
async fn answered(head: &str) -> (Incoming, TcpStream, String) {
    let (listener, egress) = provider().await;
    let serve = async {
        let (mut connection, _) = listener.accept().await.unwrap();
        let read = request(&mut connection).await;
        connection.write_all(head.as_bytes()).await.unwrap();
        (connection, read)
    };
    let shipment = shipment(&egress);
    let (incoming, (connection, read)) = tokio::join!(send(&egress, &shipment, shipment.clone(), PATIENCE), serve);
    (incoming.unwrap(), connection, read)
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[tokio::test]
async fn what_leaves_is_what_was_permitted_and_the_head_of_the_answer_comes_back() {
    let head = "HTTP/1.1 429 Slow Down\r\nretry-after: 7\r\ncontent-length: 4\r\n\r\nwait";
    let (mut incoming, _connection, read) = answered(head).await;
    assert!(read.starts_with("POST /v1/chat HTTP/1.1\r\n"), "{read}");
    let expected = ["content-type: application/json\r\n", "authorization: Bearer secret\r\n"];
    assert!(expected.into_iter().all(|header| read.contains(header)), "{read}");
    assert!(read.ends_with("\r\n\r\n{\"model\":\"m\"}"), "{read}");
    assert_eq!((incoming.status.as_u16(), incoming.headers["retry-after"].to_str().unwrap()), (429, "7"));
    assert_eq!(incoming.body(4, |_| PATIENCE).await.unwrap(), "wait");
}

#[tokio::test]
async fn what_the_permit_does_not_cover_reaches_nobody() {
    let (listener, egress) = provider().await;
    let other_body = Shipment { body: Bytes::from_static(b"{}"), ..shipment(&egress) };
    let other_headers = Shipment { headers: vec![("authorization", "Bearer other".to_owned())], ..shipment(&egress) };
    let other_path = Shipment { url: egress.url("embeddings").unwrap(), ..shipment(&egress) };
    let elsewhere = Egress::new("http://127.0.0.1:1/v1", PATIENCE).unwrap();
    for (sent, expected) in [
        (other_body, PermitError::Body),
        (other_headers, PermitError::Headers),
        (other_path, PermitError::Url),
        (shipment(&elsewhere), PermitError::Url),
    ] {
        let refused = send(&egress, &shipment(&egress), sent, PATIENCE).await.err().unwrap();
        assert_eq!((refused.may_have_left(), refused), (false, SendError::Permit(expected)));
    }
    assert!(listener.accept().now_or_never().is_none(), "somebody connected");
}

#[tokio::test]
async fn where_nobody_listens_nothing_left_and_the_cause_is_told_without_the_url() {
    let (listener, egress) = provider().await;
    drop(listener);
    let error = send(&egress, &shipment(&egress), shipment(&egress), PATIENCE).await.err().unwrap();
    let SendError::Connect(cause) = &error else { panic!("{error}") };
    assert!(cause.contains("refused") && !cause.contains("127.0.0.1") && !error.may_have_left(), "{cause}");
}

#[tokio::test]
async fn a_connection_that_breaks_before_the_answer_may_have_brought_the_request() {
    let (listener, egress) = provider().await;
    let shipment = shipment(&egress);
    let serve = async { request(&mut listener.accept().await.unwrap().0).await };
    let (error, _) = tokio::join!(send(&egress, &shipment, shipment.clone(), PATIENCE), serve);
    let error = error.err().unwrap();
    assert!(matches!(&error, SendError::Broken(cause) if !cause.is_empty()) && error.may_have_left(), "{error}");
}

#[tokio::test]
async fn a_provider_that_does_not_begin_in_time_is_given_up() {
    let (_listener, egress) = provider().await;
    let error = send(&egress, &shipment(&egress), shipment(&egress), SHORT).await.err().unwrap();
    assert_eq!((error.may_have_left(), error), (true, SendError::FirstByte(SHORT)));
}

#[tokio::test]
async fn chunks_come_as_they_arrive_and_a_pause_that_is_too_long_ends_the_wait() {
    let (mut incoming, mut connection, _) = answered(&format!("{CHUNKED}3\r\nabc\r\n")).await;
    assert_eq!(incoming.chunk(PATIENCE).await, Ok(Some(Bytes::from_static(b"abc"))));
    assert_eq!(incoming.chunk_now(), None);
    assert_eq!(incoming.chunk(SHORT).await, Err(SendError::Idle(SHORT)));
    connection.write_all(b"2\r\nde\r\n").await.unwrap();
    let arrived = async {
        loop {
            match incoming.chunk_now() {
                Some(chunk) => break chunk,
                None => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, arrived).await, Ok(Ok(Bytes::from_static(b"de"))));
    connection.write_all(b"0\r\n\r\n").await.unwrap();
    assert_eq!(incoming.chunk(PATIENCE).await, Ok(None));
    assert_eq!(incoming.chunk_now(), None);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_broken() {
    let (mut incoming, connection, _) = answered(&format!("{CHUNKED}3\r\nabc\r\n")).await;
    drop(connection);
    assert!(matches!(incoming.body(100, |_| PATIENCE).await, Err(SendError::Broken(_))));
}

#[tokio::test]
async fn a_body_is_whole_up_to_its_limit_and_broken_beyond_in_however_many_chunks_it_comes() {
    for chunks in [&["abcdef"][..], &["abc", "def"], &["a", "bcd", "ef"]] {
        let written: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
        let answer = format!("{CHUNKED}{written}0\r\n\r\n");
        let (mut incoming, _connection, _) = answered(&answer).await;
        assert_eq!(incoming.body(6, |_| PATIENCE).await.unwrap(), "abcdef");
        let (mut incoming, _connection, _) = answered(&answer).await;
        let expected = SendError::Broken("the answer is larger than 5 bytes".to_owned());
        assert_eq!(incoming.body(5, |_| PATIENCE).await, Err(expected), "{chunks:?}");
    }
    let (mut incoming, _connection, _) = answered(&format!("{CHUNKED}0\r\n\r\n")).await;
    assert_eq!(incoming.body(0, |_| PATIENCE).await.unwrap(), "");
}

#[test]
fn credentials_are_shown_by_no_debug_output_and_forbidden_characters_are_told_without_the_value() {
    let egress = Egress::new("http://127.0.0.1:1", PATIENCE).unwrap();
    let shown = format!("{:?}", header_map(&shipment(&egress).headers).unwrap());
    assert!(!shown.contains("secret") && shown.contains("application/json"), "{shown}");
    let error = header_map(&[("authorization", "Bearer a\nb".to_owned())]).unwrap_err().to_string();
    assert!(error.contains("`authorization`") && !error.contains("Bearer"), "{error}");
}

#[tokio::test]
async fn even_with_a_permit_for_it_nothing_is_sent_outside_of_the_base() {
    let (listener, egress) = provider().await;
    let sibling = format!("http://{}/v2/", listener.local_addr().unwrap());
    let sent = shipment(&Egress::new(&sibling, PATIENCE).unwrap());
    let refused = send(&egress, &sent, sent.clone(), PATIENCE).await.err().unwrap();
    assert_eq!(refused, SendError::Permit(PermitError::Url));
    assert!(listener.accept().now_or_never().is_none(), "somebody connected");
}

#[test]
fn paths_that_lead_out_of_the_base_are_none() {
    let egress = Egress::new("https://api.test/v1", PATIENCE).unwrap();
    assert_eq!(egress.url("models/a:b?alt=sse").unwrap().as_str(), "https://api.test/v1/models/a:b?alt=sse");
    for path in [
        "../admin",
        "/admin",
        "//other.test/v1/x",
        "https://other.test/v1/x",
        "http://api.test/v1/x",
        "https://api.test:444/v1/x",
        "x/../../y",
    ] {
        assert!(matches!(egress.url(path), Err(SendError::Connect(_))), "{path}");
    }
}

#[test]
fn what_is_no_url_is_refused() {
    assert!(matches!(Egress::new("api.example.com", PATIENCE), Err(SendError::Connect(_))));
}
