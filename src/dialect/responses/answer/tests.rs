use super::*;
use crate::chat::{FinishReason, Reply};
use crate::dialect::sse::SseFramer;
use crate::dialect::{AnswerMeta, Dialect, StreamEncoder};

/// The same answer, whole and as a stream, as this module's sister writes them, and as it should be read.
fn written() -> (Vec<u8>, Vec<u8>, Vec<Delta>) {
    let token = LikelyToken { bytes: vec![0xC3], logprob: -0.5 };
    let logprobs = vec![TokenLogprob { token: token.clone(), top: vec![token] }];
    let mut deltas = vec![
        Delta::Thought { index: 0, text: "hm".into() },
        Delta::Sealed { index: 0, seal: "seal".into(), id: None },
        Delta::Text { index: 0, text: "h\u{e9}\u{8a9e}".into(), logprobs },
        Delta::Refusal { index: 0, text: "no".into() },
        Delta::Call { index: 0, call: 0, id: "a".to_owned(), name: "f".to_owned() },
        Delta::Arguments { index: 0, call: 0, text: "{\"x\":1}".into() },
        Delta::Call { index: 0, call: 1, id: "b".to_owned(), name: "g".to_owned() },
        Delta::Arguments { index: 0, call: 1, text: "{}".into() },
        Delta::Finish { index: 0, reason: FinishReason::ToolCalls },
        Delta::Usage(Usage { input: 9, output: 5, cached_input: 3, cache_write: 1, reasoning: 2, ..Usage::default() }),
    ];
    let meta = AnswerMeta { id: "resp_1", created: 1, model: "m", input_tokens: 21, request: None };
    let mut encoder = StreamEncoder::new(Dialect::Responses, &meta, false);
    let (mut reply, mut stream) = (Reply::default(), bytes::BytesMut::new());
    for delta in &deltas {
        encoder.delta(delta, &mut stream);
        reply.add(delta.clone());
    }
    encoder.done(&mut stream);
    deltas[1] = Delta::Sealed { index: 0, seal: "openai:rs_1_0:seal".into(), id: None };
    (Dialect::Responses.encode_reply(&meta, &reply), stream.into(), deltas)
}

/// What is read of a stream that arrives in `chunks`, and whether its end came.
fn read_stream<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Delta>, bool) {
    let (mut reader, mut framer, mut out) = (StreamReader::default(), SseFramer::new(), Vec::new());
    let mut ended = false;
    for chunk in chunks {
        framer.push(chunk);
        for frame in framer.by_ref() {
            assert!(!ended, "nothing comes after the end");
            ended |= reader.event(&frame.unwrap(), &mut out).unwrap() == Progress::Ended;
        }
    }
    assert!(!reader.may_end());
    (out, ended)
}

#[test]
fn what_is_written_is_read_back_whole_and_streamed() {
    let (whole, stream, deltas) = written();
    assert_eq!(read_reply(&whole), Some(deltas.clone()));
    assert_eq!(read_stream([stream.as_slice()]), (deltas, true));
}

#[test]
fn a_stream_cut_at_any_byte_is_read_alike_and_one_that_stops_there_has_no_end() {
    let (_, stream, deltas) = written();
    for at in 0..stream.len() {
        let (before, after) = stream.split_at(at);
        assert_eq!(read_stream([before, after]), (deltas.clone(), true), "cut at {at}");
        let (cut, ended) = read_stream([before]);
        assert!(!ended && deltas.starts_with(&cut), "stopped at {at}");
    }
    assert_eq!(read_stream(stream.chunks(1)), (deltas, true));
}

fn event(reader: &mut StreamReader, json: &str) -> (Result<Progress, ReadError>, Vec<Delta>) {
    let mut out = Vec::new();
    (reader.event(format!("data: {json}\n\n").as_bytes(), &mut out), out)
}

#[test]
fn failures_comments_and_nonsense_are_told_apart() {
    let mut reader = StreamReader::default();
    for failed in [
        r#"{"type":"error","message":"full","code":"x"}"#,
        r#"{"type":"response.failed","response":{"status":"failed"}}"#,
    ] {
        assert_eq!(event(&mut reader, failed).0, Err(ReadError::Provider));
    }
    assert_eq!(reader.event(b": keep-alive\n\n", &mut Vec::new()), Ok(Progress::Open));
    assert_eq!(event(&mut reader, r#"{"type":"response.web_search_call.searching"}"#).0, Ok(Progress::Open));
    assert_eq!(event(&mut reader, r#"{"typ"#).0, Err(ReadError::Unreadable));
    assert_eq!(event(&mut reader, r#"{"type":"response.output_text.delta","delta":{}}"#).0, Err(ReadError::Unreadable));
}

#[test]
fn a_call_that_is_told_of_only_when_it_is_whole_is_read_once() {
    let mut reader = StreamReader::default();
    let call = r#"{"type":"function_call","call_id":"c","name":"f","arguments":"{}"}"#;
    let done = format!(r#"{{"type":"response.output_item.done","output_index":3,"item":{call}}}"#);
    let begun = Delta::Call { index: 0, call: 0, id: "c".to_owned(), name: "f".to_owned() };
    let arguments = Delta::Arguments { index: 0, call: 0, text: "{}".into() };
    assert_eq!(event(&mut reader, &done).1, [begun, arguments]);
    assert_eq!(event(&mut reader, &done).1, []);
}

#[test]
fn summaries_are_paragraphs_and_raw_thoughts_are_thoughts() {
    let mut reader = StreamReader::default();
    let thought = |text: &str| vec![Delta::Thought { index: 0, text: text.into() }];
    for (json, read) in [
        (r#"{"type":"response.reasoning_summary_part.added","summary_index":0}"#, vec![]),
        (r#"{"type":"response.reasoning_summary_text.delta","delta":"a"}"#, thought("a")),
        (r#"{"type":"response.reasoning_summary_part.added","summary_index":1}"#, thought("\n\n")),
        (r#"{"type":"response.reasoning_text.delta","delta":"b"}"#, thought("b")),
    ] {
        assert_eq!(event(&mut reader, json).1, read, "{json}");
    }
    let whole =
        r#"{"status":"completed","output":[{"type":"reasoning","id":"r","summary":[{"text":"a"},{"text":"b"}]}]}"#;
    let end = Delta::Finish { index: 0, reason: FinishReason::Stop };
    assert_eq!(read_reply(whole.as_bytes()), Some([thought("a\n\nb"), vec![end]].concat()));
}

#[test]
fn how_an_answer_ended_is_told_and_one_that_failed_or_goes_on_is_none() {
    let reply = |status: &str, why: &str| {
        let json = format!(r#"{{"status":"{status}","output":[],"incomplete_details":{why}}}"#);
        read_reply(json.as_bytes())
    };
    let ended = |reason| Some(vec![Delta::Finish { index: 0, reason }]);
    assert_eq!(reply("completed", "null"), ended(FinishReason::Stop));
    assert_eq!(reply("incomplete", r#"{"reason":"max_output_tokens"}"#), ended(FinishReason::Length));
    assert_eq!(reply("incomplete", r#"{"reason":"content_filter"}"#), ended(FinishReason::ContentFilter));
    assert_eq!([reply("failed", "null"), reply("queued", "null"), read_reply(b"<html>")], [None, None, None]);
}
