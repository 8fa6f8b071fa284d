//! The simulated provider is itself under test: its wire format, and that each fault is what a raw client sees.

#[path = "../examples/provider_sim/sim.rs"]
mod sim;

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::{Duration, Instant},
};

use serde_json::Value;
use sim::{Answer, Break, Fault, On, Recorded, Script, Sim};

const ASK: &str = r#"{"model":"gpt-4o-mini","messages":[{"role":"user","content":"ping"}]}"#;
const ASK_STREAM: &str = r#"{"model":"gpt-4o-mini","stream":true,"messages":[{"role":"user","content":"ping"}]}"#;

/// What a raw client got, and how the connection ended.
struct Got {
    head: String,
    body: String,
    end: io::Result<()>,
}

impl Got {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn events(&self) -> Vec<&str> {
        self.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the body is JSON")
    }
}

/// How long a client waits where an answer is due, and where silence is what the test is about.
const PATIENT: Duration = Duration::from_secs(20);
const BRIEFLY: Duration = Duration::from_millis(300);

fn connect(sim: &Sim, patience: Duration) -> TcpStream {
    let tcp = TcpStream::connect(sim.addr).expect("the simulator listens");
    tcp.set_read_timeout(Some(patience)).expect("a timeout is possible");
    tcp
}

fn request(body: &str, headers: &str) -> String {
    let length = body.len();
    format!("POST /v1/chat/completions HTTP/1.1\r\nhost: sim\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// Sends bytes and reads until the end of the connection, its break, or silence.
fn exchange(sim: &Sim, bytes: &str, patience: Duration) -> Got {
    let mut tcp = connect(sim, patience);
    tcp.write_all(bytes.as_bytes()).expect("the request is sent");
    let mut got = Vec::new();
    let end = tcp.read_to_end(&mut got).map(drop);
    let text = String::from_utf8(got).expect("answers are UTF-8");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let chunked = head.contains("transfer-encoding: chunked");
    Got { head: head.to_owned(), body: if chunked { unchunk(body) } else { body.to_owned() }, end }
}

fn ask(sim: &Sim, body: &str) -> Got {
    ask_for(sim, body, PATIENT)
}

fn ask_for(sim: &Sim, body: &str, patience: Duration) -> Got {
    exchange(sim, &request(body, "connection: close\r\n"), patience)
}

/// The content of a chunked body as far as it came.
fn unchunk(mut rest: &str) -> String {
    let mut content = String::new();
    while let Some((size, tail)) = rest.split_once("\r\n") {
        let Ok(size @ 1..) = usize::from_str_radix(size, 16) else { break };
        content.push_str(&tail[..size.min(tail.len())]);
        rest = tail.get(size + 2..).unwrap_or_default();
    }
    content
}

/// Replaces what differs between runs.
fn settled(text: &str) -> String {
    let time = regex::Regex::new(r#"(?m)^(date: ).*$|("created": ?)\d+"#).expect("the pattern is valid");
    time.replace_all(text, "$1$2[time]").replace("\r\n", "\n")
}

fn is_silent(got: &Got) -> bool {
    matches!(&got.end, Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn a_whole_answer_has_openais_headers_and_key_order() {
    let got = ask(&Sim::start(Script::text("pong, pong")), ASK);
    insta::assert_snapshot!(settled(&format!("{}\n\n{}", got.head, got.body)));
}

#[test]
fn a_stream_has_a_role_chunk_a_finish_chunk_and_done() {
    let got = ask(&Sim::start(Script::text("pong, pong")), ASK_STREAM);
    insta::assert_snapshot!(settled(&format!("{}\n\n{}", got.head, got.body)));
}

#[test]
fn a_stream_ends_with_usage_when_asked_and_is_null_before() {
    let body = ASK_STREAM.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let got = ask(&Sim::start(Script::text("pong")), &body);
    insta::assert_snapshot!(settled(&got.body));
}

#[test]
fn a_tool_call_is_one_document_and_a_stream_of_arguments() {
    let call = Answer::ToolCall { name: "weather".to_owned(), arguments: r#"{"city": "Oslo"}"#.to_owned() };
    let sim = Sim::start(Script::answering(call));
    let both = [ask(&sim, ASK).body, ask(&sim, ASK_STREAM).body].concat();
    insta::assert_snapshot!(settled(&both));
}

#[test]
fn stop_and_limits_and_n_shape_the_answer() {
    let sim = Sim::start(Script::text("one two three four"));
    let with = |field: &str| ask(&sim, &ASK.replacen('{', &format!("{{{field},"), 1)).json();
    let stopped = with(r#""stop":" three""#);
    assert_eq!(stopped["choices"][0]["message"]["content"], "one two");
    assert_eq!(stopped["choices"][0]["finish_reason"], "stop");
    let limited = with(r#""max_completion_tokens":3"#);
    assert_eq!(limited["choices"][0]["message"]["content"], "one two three");
    assert_eq!(limited["choices"][0]["finish_reason"], "length");
    let both = with(r#""n":2"#);
    assert_eq!(both["choices"][1]["index"], 1);
    assert_eq!(both["usage"]["completion_tokens"], 8);
}

#[test]
fn errors_have_openais_form() {
    let sim = Sim::start(Script::echo().bearer("sk-right").models(["gpt-4o-mini"]));
    let ask =
        |body: &str| exchange(&sim, &request(body, "authorization: Bearer sk-right\r\nconnection: close\r\n"), PATIENT);
    let unauthorised =
        exchange(&sim, &request(ASK, "authorization: Bearer sk-wrong\r\nconnection: close\r\n"), PATIENT);
    let answers = [
        unauthorised,
        ask("{"),
        ask(&ASK.replace("gpt-4o-mini", "gpt-9")),
        ask(&ASK.replacen('{', r#"{"temperature":3,"#, 1)),
        ask(r#"{"model":"gpt-4o-mini"}"#),
    ];
    let shown = answers.map(|got| format!("{} {}", got.status(), got.body));
    insta::assert_snapshot!(shown.concat());
}

#[test]
fn models_are_listed() {
    let sim = Sim::start(Script::echo().models(["gpt-4o-mini", "gpt-4.1"]));
    let got = exchange(&sim, "GET /v1/models HTTP/1.1\r\nhost: sim\r\nconnection: close\r\n\r\n", PATIENT);
    assert_eq!(got.json()["data"][1]["id"], "gpt-4.1");
}

#[test]
fn scripted_answers_come_before_recorded_ones_and_those_before_the_rest() {
    let mut rows = tempfile::NamedTempFile::new().expect("a temporary file");
    let recorded = [
        r#"{"prompt":"two  plus\ntwo","response":"4"}"#,
        r#"{"prompt":"ping","responses":{"mixtral-8x7b":"no","gpt-4-1106":"recorded pong"}}"#,
    ];
    rows.write_all(recorded.join("\n").as_bytes()).expect("the rows are written");
    let mut script = Script::echo().when("plus", Answer::Text("scripted".to_owned()));
    script.recorded = Some(Recorded::load(rows.path(), "gpt").expect("the rows are read"));
    let sim = Sim::start(script);
    let said =
        |prompt: &str| ask(&sim, &ASK.replace("ping", prompt)).json()["choices"][0]["message"]["content"].clone();
    assert_eq!(said("two plus two"), "scripted");
    assert_eq!(said("ping"), "recorded pong");
    assert_eq!(said("other"), "other");
}

#[test]
fn prose_has_the_asked_length_and_depends_on_the_prompt_alone() {
    let sim = Sim::start(Script::answering(Answer::Tokens(25)));
    let first = ask(&sim, ASK).json();
    assert_eq!(first["usage"]["completion_tokens"], 25);
    assert_eq!(first["choices"], ask(&sim, ASK).json()["choices"]);
    assert_ne!(first["choices"], ask(&sim, &ASK.replace("ping", "pong")).json()["choices"]);
}

#[test]
fn a_canned_answer_has_the_size_it_was_made_for() {
    let sim = Sim::start(Script::answering(Answer::canned(1024, 64)));
    let got = ask(&sim, ASK);
    assert!(got.json()["choices"][0]["message"]["content"].is_string());
    assert_eq!(got.body.len(), 1024);
    assert_eq!(ask(&sim, ASK_STREAM).events().len(), 64 + 4);
}

#[test]
fn every_received_byte_is_kept() {
    let sim = Sim::start(Script::echo());
    let sent = request(ASK, "x-odd:   spaced value\r\nconnection: close\r\n");
    exchange(&sim, &sent, PATIENT);
    let partial = "POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 9\r\n\r\nhalf";
    let mut tcp = connect(&sim, PATIENT);
    tcp.write_all(partial.as_bytes()).expect("half a request is sent");
    tcp.shutdown(Shutdown::Write).expect("the sending side closes");
    tcp.read_to_end(&mut Vec::new()).expect("the simulator closes, too");
    assert_eq!(String::from_utf8(sim.raw_bytes()).expect("text"), format!("{sent}{partial}"));
    assert!(sim.saw("half") && !sim.saw("absent"));
    let requests = sim.requests();
    assert_eq!(requests.len(), 1, "the partial request never became one");
    assert_eq!(requests[0].raw, sent.as_bytes());
    assert_eq!((requests[0].path.as_str(), &requests[0].body[..]), ("/v1/chat/completions", ASK.as_bytes()));
}

#[test]
fn requests_of_one_connection_are_kept_apart() {
    let sim = Sim::start(Script::text("pong"));
    let mut tcp = connect(&sim, PATIENT);
    for _ in 0..2 {
        tcp.write_all(request(ASK, "").as_bytes()).expect("the request is sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n}\n") {
            let mut buffer = [0; 2048];
            let length = tcp.read(&mut buffer).expect("an answer");
            answer.extend_from_slice(&buffer[..length]);
        }
    }
    assert_eq!(sim.requests().iter().map(|got| got.raw.len()).collect::<Vec<_>>(), [request(ASK, "").len(); 2]);
    assert_eq!(sim.connections(), 1);
}

#[test]
fn a_status_fault_has_a_retry_after_and_can_pass() {
    let fault = Fault::Status { status: 429, retry_after: Some(Duration::from_millis(1500)) };
    let sim = Sim::start(Script::echo().fault_on(On::First(1), fault));
    let first = ask(&sim, ASK);
    assert_eq!(first.status(), "429");
    assert!(first.head.contains("\r\nretry-after: 2\r\n"));
    assert_eq!(first.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(ask(&sim, ASK).status(), "200");
}

#[test]
fn a_connection_hangs_unread_or_unanswered() {
    for fault in [Fault::HangAccept, Fault::HangBeforeHeaders] {
        let sim = Sim::start(Script::echo().fault(fault));
        let got = ask_for(&sim, ASK, BRIEFLY);
        assert!(is_silent(&got) && got.head.is_empty());
    }
}

#[test]
fn a_stream_falls_silent_after_the_asked_number_of_events() {
    let sim = Sim::start(Script::text("a b c").fault(Fault::HangMidStream { after: 2 }));
    let got = ask_for(&sim, ASK_STREAM, BRIEFLY);
    assert!(is_silent(&got));
    assert_eq!(got.events().len(), 2);
}

#[test]
fn a_stream_is_cut_by_fin_or_by_reset() {
    for (how, kind) in [(Break::Fin, None), (Break::Reset, Some(ErrorKind::ConnectionReset))] {
        let got = ask(&Sim::start(Script::text("a b c").fault(Fault::Cut { after: 2, how })), ASK_STREAM);
        assert_eq!(got.end.as_ref().err().map(io::Error::kind), kind, "{how:?}");
        assert_eq!(got.events().len(), 2, "{how:?}");
        assert!(!got.body.contains("[DONE]"));
    }
}

#[test]
fn a_whole_answer_is_cut_in_its_middle() {
    let got = ask(&Sim::start(Script::text("a b c").fault(Fault::Cut { after: 1, how: Break::Fin })), ASK);
    assert!(got.end.is_ok() && got.body.starts_with('{'));
    let length = got.head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    assert_eq!(length.map(|length: usize| length / 2), Some(got.body.len()));
}

#[test]
fn json_breaks_off_in_an_event_or_a_document() {
    let sim = Sim::start(Script::text("a b c").fault(Fault::MalformedChunk { after: 2 }));
    let stream = ask(&sim, ASK_STREAM);
    assert!(serde_json::from_str::<Value>(stream.events()[2]).is_err());
    assert_eq!(stream.events().last(), Some(&"[DONE]"));
    let whole = ask(&sim, ASK);
    assert!(whole.end.is_ok() && serde_json::from_str::<Value>(&whole.body).is_err());
}

#[test]
fn an_error_event_takes_the_place_of_the_rest() {
    let got = ask(&Sim::start(Script::text("a b c").fault(Fault::ErrorEvent { after: 2 })), ASK_STREAM);
    let last = got.events().last().map(|event| serde_json::from_str::<Value>(event).expect("JSON"));
    assert_eq!(last.expect("an event")["error"]["type"], "server_error");
    assert_eq!(got.events().len(), 3);
}

#[test]
fn done_and_usage_can_be_missing() {
    let asked = ASK_STREAM.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let sim = Sim::start(Script::text("a").fault(Fault::NoDone).fault(Fault::NoUsage));
    let got = ask(&sim, &asked);
    assert!(got.end.is_ok() && !got.body.contains("[DONE]") && !got.body.contains("prompt_tokens"));
    assert!(ask(&sim, ASK).json()["usage"].is_null());
}

#[test]
fn a_slow_drip_is_slow_and_complete() {
    let drip = Fault::SlowDrip { bytes: 100, every: Duration::from_millis(5) };
    let sim = Sim::start(Script::text("naïve 東京 🙂").fault(drip));
    let began = Instant::now();
    let got = ask(&sim, ASK_STREAM);
    assert!(began.elapsed() >= Duration::from_millis(5 * (u64::try_from(got.body.len()).expect("small") / 100)));
    let told: String = got
        .events()
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .fold(String::new(), |told, event| told + event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    assert_eq!(told, "naïve 東京 🙂");
}

#[test]
fn a_line_can_be_enormous() {
    let sim = Sim::start(Script::text("a").fault(Fault::OversizedLine { bytes: 1 << 20 }));
    assert!(ask(&sim, ASK_STREAM).events().iter().any(|event| event.len() > 1 << 20));
    let whole = ask(&sim, ASK);
    assert!(whole.body.len() > 1 << 20 && whole.json()["usage"].is_object());
}

#[test]
fn the_content_type_can_lie() {
    let sim = Sim::start(Script::text("a").fault(Fault::WrongContentType("text/html".to_owned())));
    assert!(ask(&sim, ASK).head.contains("content-type: text/html"));
}

#[test]
fn latency_delays_the_first_byte_and_each_event() {
    let sim = Sim::start(Script::text("a b").latency(Duration::from_millis(40), Duration::from_millis(10)));
    let began = Instant::now();
    assert_eq!(ask(&sim, ASK_STREAM).events().len(), 5);
    assert!(began.elapsed() >= Duration::from_millis(40 + 4 * 10));
}

#[tokio::test]
async fn a_client_that_leaves_is_counted_as_cancelled() {
    for fault in [Fault::HangBeforeHeaders, Fault::HangMidStream { after: 2 }] {
        let sim = Sim::start(Script::text("a b c").fault(fault));
        let mut tcp = connect(&sim, PATIENT);
        tcp.write_all(request(ASK_STREAM, "").as_bytes()).expect("the request is sent");
        assert!(sim.until(|counts| counts.in_flight == 1).await);
        drop(tcp);
        assert!(sim.until(|counts| counts.cancelled == 1 && counts.open_connections == 0).await);
    }
}

#[tokio::test]
async fn a_finished_answer_is_not_counted_as_cancelled() {
    let sim = Sim::start(Script::text("a b c"));
    ask(&sim, ASK);
    ask(&sim, ASK_STREAM);
    assert!(sim.until(|counts| counts.in_flight == 0 && counts.open_connections == 0).await);
    assert_eq!(sim.cancelled(), 0);
}

#[test]
fn the_script_can_change_while_it_runs() {
    let sim = Sim::start(Script::text("before"));
    let said = || ask(&sim, ASK).json()["choices"][0]["message"]["content"].clone();
    assert_eq!(said(), "before");
    sim.set_script(Script::text("after"));
    assert_eq!(said(), "after");
}

#[test]
fn shutdown_closes_the_port_and_its_connections() {
    let sim = Sim::start(Script::echo().fault(Fault::HangBeforeHeaders));
    let mut tcp = connect(&sim, PATIENT);
    tcp.write_all(request(ASK, "").as_bytes()).expect("the request is sent");
    let addr = sim.addr;
    sim.shutdown();
    let mut byte = [0];
    assert!(matches!(tcp.read(&mut byte), Ok(0) | Err(_)));
    assert!(TcpStream::connect(addr).is_err());
}
