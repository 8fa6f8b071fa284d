use serde_json::{Value, json};

use super::*;
use crate::dialect::sse::{SseFramer, Tail};

fn text(text: &str) -> Delta {
    Delta::Text { index: 0, text: text.into(), logprobs: Vec::new() }
}

fn part(part: Value) -> Value {
    json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [part]}}], "responseId": "r1",
        "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 1}})
}

/// A thought, words, a signed call and one without arguments, and the end, chunk by chunk.
fn chunks() -> Vec<Value> {
    let call = json!({"functionCall": {"name": "f", "args": {"x": 1.50, "y": "é"}}, "thoughtSignature": "c2ln"});
    let mut end = part(json!({"functionCall": {"name": "g", "id": "own"}}));
    end["candidates"][0]["finishReason"] = "STOP".into();
    end["usageMetadata"] = json!({"promptTokenCount": 7, "candidatesTokenCount": 5, "thoughtsTokenCount": 3,
        "cachedContentTokenCount": 2, "toolUsePromptTokenCount": 1, "totalTokenCount": 16});
    vec![
        part(json!({"text": "h", "thought": true})),
        part(json!({"text": "m", "thought": true})),
        part(json!({"text": "I look.", "thoughtSignature": "dGV4dA"})),
        part(call),
        end,
    ]
}

fn expected() -> Vec<Delta> {
    let thought = |text: &str| Delta::Thought { index: 0, text: text.into() };
    let sealed = |seal: &str| Delta::Sealed { index: 0, seal: seal.into(), id: None };
    let call = |call, id: &str, name: &str| Delta::Call { index: 0, call, id: id.to_owned(), name: name.to_owned() };
    let arguments = |call, text: &str| Delta::Arguments { index: 0, call, text: text.into() };
    vec![
        thought("h"),
        thought("m"),
        text("I look."),
        sealed("gemini.text:dGV4dA"),
        sealed("gemini.call:0:c2ln"),
        call(0, "call_r1_0_0", "f"),
        arguments(0, "{\"x\":1.5,\"y\":\"é\"}"),
        call(1, "own", "g"),
        arguments(1, "{}"),
        Delta::Finish { index: 0, reason: FinishReason::ToolCalls },
        Delta::Usage(Usage { input: 8, output: 8, cached_input: 2, cache_write: 0, reasoning: 3, ..Usage::default() }),
    ]
}

fn stream() -> Vec<u8> {
    chunks().iter().flat_map(|chunk| format!("data: {chunk}\r\n\r\n").into_bytes()).collect()
}

/// What is read of a stream that arrives in `pieces`, and whether it may end there.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Delta>, bool) {
    let (mut reader, mut framer, mut out) = (StreamReader::default(), SseFramer::new(), Vec::new());
    for piece in pieces {
        framer.push(piece);
        for frame in framer.by_ref() {
            assert_eq!(reader.event(&frame.unwrap(), &mut out), Ok(Progress::Open));
        }
    }
    if let Tail::Frame(frame) = framer.finish() {
        assert_eq!(reader.event(&frame, &mut out), Ok(Progress::Open));
    }
    (out, reader.may_end())
}

#[test]
fn a_stream_is_read_as_thoughts_words_signatures_calls_and_counts_of_the_end() {
    assert_eq!(read([stream().as_slice()]), (expected(), true));
}

#[test]
fn a_stream_cut_at_any_byte_is_read_alike_and_may_end_only_with_its_reason() {
    let stream = stream();
    for at in 0..stream.len() {
        let (before, after) = stream.split_at(at);
        assert_eq!(read([before, after]), (expected(), true), "cut at {at}");
        let (deltas, may_end) = read([before]);
        // The last empty line may be half there.
        assert!(expected().starts_with(&deltas) && (!may_end || at + 1 == stream.len()), "stopped at {at}");
    }
}

#[test]
fn a_whole_answer_is_read_like_its_stream() {
    let mut whole = chunks().pop().unwrap();
    let parts: Vec<Value> =
        chunks().iter().map(|chunk| chunk["candidates"][0]["content"]["parts"][0].clone()).collect();
    whole["candidates"][0]["content"]["parts"] = parts.into();
    assert_eq!(read_reply(whole.to_string().as_bytes()), Some(expected()));
}

#[test]
fn arguments_lose_the_white_space_around_them_and_nothing_else() {
    for (laid_out, compacted) in [
        ("{\n  \"a b\" : [ 1.50 , 1e3 ],\t\"c\": \"x \\\" y\" }", "{\"a b\":[1.50,1e3],\"c\":\"x \\\" y\"}"),
        ("{\"a\": \"\\\\\" , \"b\": \" \"}", "{\"a\":\"\\\\\",\"b\":\" \"}"),
        ("{ }", "{}"),
    ] {
        assert_eq!(compact(laid_out), compacted);
    }
}

#[test]
fn how_an_answer_ended_is_told() {
    let reply = |reason: &str| {
        let whole = json!({"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": reason}]});
        read_reply(whole.to_string().as_bytes())
    };
    let ended = |reason| Some(vec![text("a"), Delta::Finish { index: 0, reason }]);
    assert_eq!(reply("STOP"), ended(FinishReason::Stop));
    assert_eq!(reply("MAX_TOKENS"), ended(FinishReason::Length));
    assert_eq!(reply("SAFETY"), ended(FinishReason::ContentFilter));
    assert_eq!(reply("SOMETHING_NEW"), ended(FinishReason::Stop));
    assert_eq!([reply("MALFORMED_FUNCTION_CALL"), reply("")], [None, None]);
    let blocked = json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}});
    let usage = Delta::Usage(Usage { input: 4, ..Usage::default() });
    let filtered = Delta::Finish { index: 0, reason: FinishReason::ContentFilter };
    assert_eq!(read_reply(blocked.to_string().as_bytes()), Some(vec![filtered, usage]));
    assert_eq!([read_reply(b"{}"), read_reply(b"<html>"), read_reply(b"[]")], [None, None, None]);
}

#[test]
fn an_error_event_nonsense_and_a_comment_are_told_apart() {
    let mut reader = StreamReader::default();
    let mut event = |frame: &[u8]| reader.event(frame, &mut Vec::new());
    assert_eq!(event(b"data: {\"error\":{\"code\":503,\"status\":\"UNAVAILABLE\"}}\n\n"), Err(ReadError::Provider));
    assert_eq!(event(b"data: {\"cand\n\n"), Err(ReadError::Unreadable));
    assert_eq!(event(b": ping\n\n"), Ok(Progress::Open));
    assert!(!reader.may_end());
}

#[test]
fn several_candidates_each_have_their_end_and_counts_come_once() {
    let chunk = |index: u32, ended: bool| {
        let reason = if ended { json!("STOP") } else { Value::Null };
        let content = json!({"parts": [{"text": "a"}]});
        json!({"candidates": [{"index": index, "content": content, "finishReason": reason}],
            "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2}})
    };
    let (mut reader, mut out) = (StreamReader::default(), Vec::new());
    for (index, ended) in [(0, false), (1, false), (1, true), (0, true)] {
        assert!(!reader.may_end());
        reader.event(format!("data: {}\n\n", chunk(index, ended)).as_bytes(), &mut out).unwrap();
    }
    assert!(reader.may_end());
    assert_eq!(out.iter().filter(|delta| matches!(delta, Delta::Usage(_))).count(), 1);
    assert_eq!(out.iter().filter(|delta| matches!(delta, Delta::Finish { .. })).count(), 2);
}

#[test]
fn likelihoods_come_with_the_words() {
    let likely = |token: &str, logprob: f64| json!({"token": token, "logProbability": logprob});
    let whole = json!({"candidates": [{"content": {"parts": [{"text": "ab"}]}, "finishReason": "STOP",
        "logprobsResult": {"chosenCandidates": [likely("a", -0.5), likely("b", -0.25)],
            "topCandidates": [{"candidates": [likely("c", -0.5)]}, {"candidates": []}]}}]});
    let token = |text: &str, logprob| LikelyToken { bytes: text.into(), logprob };
    let logprobs = vec![
        TokenLogprob { token: token("a", -0.5), top: vec![token("c", -0.5)] },
        TokenLogprob { token: token("b", -0.25), top: Vec::new() },
    ];
    let read = read_reply(whole.to_string().as_bytes()).unwrap();
    assert_eq!(read[0], Delta::Text { index: 0, text: "ab".into(), logprobs });
}

#[test]
fn sound_is_counted_apart() {
    let counts = json!({"promptTokenCount": 9, "candidatesTokenCount": 4,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 2}, {"modality": "AUDIO", "tokenCount": 7}],
        "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 3}]});
    let candidate = json!({"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"});
    let body = json!({"candidates": [candidate], "usageMetadata": counts}).to_string();
    let usage = read_reply(body.as_bytes()).unwrap().pop();
    assert!(matches!(usage, Some(Delta::Usage(Usage { input: 9, audio_input: 7, audio_output: 3, .. }))), "{usage:?}");
}
