//! Recorded streams of every dialect, for clients of every dialect: cut at every byte, and delivered byte by byte.

use std::path::Path;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::StreamExt;
use http::StatusCode;

use super::relay::{Relay, Watch};
use super::translate;
use crate::config::Timeouts;
use crate::dialect::error::ApiError;
use crate::dialect::{AnswerMeta, Dialect, StreamEncoder, Wire};
use crate::dispatch::answer::{Answer, Broken};
use crate::dispatch::failure::Failure;
use crate::egress::Incoming;

const DIALECTS: [Dialect; 3] = [Dialect::Chat, Dialect::Messages, Dialect::Responses];
const META: AnswerMeta<'static> =
    AnswerMeta { id: "x_1", created: 1_764_000_000, model: "m", input_tokens: 9, request: None };

const LONG: Duration = Duration::from_secs(60);
const TIMEOUTS: Timeouts = Timeouts { connect: LONG, first_byte: LONG, idle: LONG, progress: LONG };

/// A stream as a provider sent it.
struct Recording {
    name: String,
    wire: Wire,
    bytes: Vec<u8>,
}

fn recordings() -> Vec<Recording> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/streams");
    let mut recordings: Vec<Recording> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let wire = match name.split_once('-').unwrap().0 {
                "chat" => Wire::Chat,
                "messages" => Wire::Messages,
                "responses" => Wire::Responses,
                _ => Wire::Gemini,
            };
            Recording { name, wire, bytes: std::fs::read(&file).unwrap() }
        })
        .collect();
    recordings.sort_by(|a, b| a.name.cmp(&b.name));
    recordings
}

/// What a client reads of an answer that has begun, and whether it ends in an error.
#[derive(Debug, PartialEq)]
struct Told {
    text: String,
    broken: bool,
}

/// What a client of `dialect` is told of `chunks`; `None` where no answer has begun and another attempt may be made.
async fn told(wire: Wire, dialect: Dialect, chunks: Vec<bytes::Bytes>, breaks: bool) -> Option<Told> {
    let (incoming, timeouts) = (Incoming::arriving(chunks, breaks), TIMEOUTS);
    let begun = if wire.speaks(dialect) {
        let watch = if wire == Wire::Chat { Watch::chat(true, None) } else { Watch::other(wire.reader()) };
        Relay::new(incoming, watch, timeouts).begin().await
    } else {
        translate::stream(incoming, wire.reader(), timeouts, None).await
    };
    let mut out = BytesMut::new();
    let ended = match begun {
        Ok(Answer::Stream(frames)) => pass(frames, &mut out).await,
        Ok(Answer::Deltas(deltas, None)) => write(dialect, deltas, &mut out).await,
        Ok(_) => panic!("a stream is none"),
        Err(Failure::Send(_) | Failure::Unreadable) => return None,
        Err(other) => panic!("{other:?}"),
    };
    if let Err(broken) = &ended {
        let error = ApiError::new(StatusCode::BAD_GATEWAY, "the answer broke off").code(broken.code());
        dialect.error_frame(&error, &mut out);
    }
    let text = String::from_utf8(out.into()).expect("no character is cut");
    Some(Told { text, broken: ended.is_err() })
}

async fn pass(mut frames: crate::dispatch::FrameStream, out: &mut BytesMut) -> Result<(), Broken> {
    while let Some(frame) = frames.next().await {
        out.extend_from_slice(&frame?.bytes);
    }
    Ok(())
}

async fn write(dialect: Dialect, mut deltas: crate::dispatch::DeltaStream, out: &mut BytesMut) -> Result<(), Broken> {
    let mut encoder = StreamEncoder::new(dialect, &META, true);
    while let Some(delta) = deltas.next().await {
        encoder.delta(&delta?, out);
    }
    encoder.done(out);
    Ok(())
}

/// Whether `text` has the event that ends a whole answer.
fn ends(dialect: Dialect, text: &str) -> bool {
    let ends = match dialect {
        Dialect::Chat => ["data: [DONE]\n\n"; 2],
        Dialect::Messages => ["event: message_stop\n"; 2],
        Dialect::Responses => ["event: response.completed\n", "event: response.incomplete\n"],
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => {
            unreachable!("no client of the recordings speaks it")
        }
    };
    ends.iter().any(|end| text.contains(end))
}

fn whole(bytes: &[u8]) -> Vec<bytes::Bytes> {
    vec![bytes::Bytes::copy_from_slice(bytes)]
}

fn one_by_one(bytes: &[u8]) -> Vec<bytes::Bytes> {
    bytes.chunks(1).map(bytes::Bytes::copy_from_slice).collect()
}

/// Runs `check` for each recording and client, with what the client is told of the whole stream.
async fn each(check: impl AsyncFn(&Recording, Dialect, &str)) {
    let recordings = recordings();
    assert!(recordings.len() >= 8);
    for recording in &recordings {
        for dialect in DIALECTS {
            let told = told(recording.wire, dialect, whole(&recording.bytes), false).await.unwrap();
            assert!(!told.broken && ends(dialect, &told.text), "{} {dialect:?}: {}", recording.name, told.text);
            check(recording, dialect, &told.text).await;
        }
    }
}

/// What broke off is the beginning of the whole and one error after it, which is no end.
fn assert_broken_off(told: &str, whole: &str, dialect: Dialect, what: &str) {
    let (mut error, alike) = (String::new(), told.bytes().zip(whole.bytes()).take_while(|(a, b)| a == b).count());
    let begun = told[..alike].rfind("\n\n").map_or(0, |end| end + 2);
    error.push_str(&told[begun..]);
    assert_eq!(error.matches("\n\n").count(), 1, "{what}: {error}");
    let data = error.lines().find_map(|line| line.strip_prefix("data: ")).unwrap_or_else(|| panic!("{what}: {error}"));
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    assert!(data["error"]["message"] == "the answer broke off", "{what}: {error}");
    assert!(!ends(dialect, told), "{what}: an end was invented");
}

#[tokio::test]
async fn byte_by_byte_and_with_other_line_ends_an_answer_is_the_same() {
    each(async |recording, dialect, whole| {
        let slow = told(recording.wire, dialect, one_by_one(&recording.bytes), false).await.unwrap();
        assert_eq!(slow.text, whole, "{} {dialect:?}", recording.name);
        if recording.wire.speaks(dialect) {
            return;
        }
        let lines = String::from_utf8(recording.bytes.clone()).unwrap().replace("\r\n", "\n");
        for end in ["\n", "\r\n", "\r"] {
            let chunks = one_by_one(lines.replace('\n', end).as_bytes());
            let other = told(recording.wire, dialect, chunks, false).await.unwrap();
            assert_eq!(other.text, whole, "{} {dialect:?} {end:?}", recording.name);
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_at_any_byte_gives_the_whole_answer_an_error_or_another_attempt() {
    each(async |recording, dialect, whole| {
        let mut begun = false;
        for cut in 0..recording.bytes.len() {
            let what = format!("{} {dialect:?} {cut}", recording.name);
            let told = told(recording.wire, dialect, self::whole(&recording.bytes[..cut]), true).await;
            assert!(!begun || told.is_some(), "{what}: another attempt after the first word");
            let Some(told) = told else { continue };
            begun = true;
            assert!(!told.text.contains('\u{fffd}'), "{what}");
            match told.broken {
                true => assert_broken_off(&told.text, whole, dialect, &what),
                false => assert_eq!(told.text, whole, "{what}"),
            }
        }
        assert!(begun);
    })
    .await;
}

#[tokio::test]
async fn a_stream_that_ends_at_any_line_is_whole_only_with_its_end_or_a_reason_to_finish() {
    each(async |recording, dialect, whole| {
        // Only where a line ends, or nearly, can an answer be taken for whole.
        let near_an_end = |at: &usize| recording.bytes[at.saturating_sub(2)..=*at].contains(&b'\n');
        for cut in (0..recording.bytes.len()).filter(near_an_end) {
            let what = format!("{} {dialect:?} {cut}", recording.name);
            let begun = &recording.bytes[..cut];
            match told(recording.wire, dialect, self::whole(begun), false).await {
                Some(Told { text, broken: true }) => assert_broken_off(&text, whole, dialect, &what),
                Some(Told { text, broken: false }) if text != whole => {
                    assert!(recording.wire == Wire::Chat && finished(begun), "{what}: {text}");
                }
                _ => {}
            }
        }
    })
    .await;
}

/// Whether a chat completion says why it ended: servers that leave `[DONE]` out end so.
fn finished(stream: &[u8]) -> bool {
    let stream = std::str::from_utf8(stream).unwrap_or_default();
    let frames = stream.split_inclusive("\n\n").filter(|frame| frame.ends_with("\n\n"));
    frames.into_iter().any(|frame| frame.contains("\"finish_reason\":\""))
}
