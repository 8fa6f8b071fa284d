use super::*;

fn chunk(json: &str) -> Chunk {
    match observe(format!("data: {json}\n\n").as_bytes()) {
        Frame::Chunk(chunk) => chunk,
        other => panic!("{other:?}"),
    }
}

/// Counts that say nothing of a cache.
fn uncached(input: u64, output: u64) -> Usage {
    Usage { input, output, cache_untold: true, ..Usage::default() }
}

#[test]
fn a_role_chunk_is_no_content_and_characters_are_counted_not_bytes() {
    let role = chunk(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#);
    assert_eq!(role, Chunk::default());
    let content = chunk(r#"{"choices":[{"delta":{"content":"h\u00e9語😀"}}],"usage":null}"#);
    assert_eq!(content, Chunk { chars: 4, content: true, ..Chunk::default() });
}

#[test]
fn tool_calls_reasoning_and_typed_parts_are_content() {
    for (delta, chars) in [
        (r#"{"tool_calls":[{"index":0,"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]}"#, 3),
        (r#"{"reasoning_content":"hm"}"#, 2),
        (r#"{"reasoning":"hm","content":null}"#, 2),
        (r#"{"content":[{"type":"text","text":"abc"}]}"#, 3),
        (r#"{"refusal":"no"}"#, 2),
        (r#"{"reasoning":"hm","reasoning_content":"hm"}"#, 2),
        (r#"{"audio":{"data":"AAAA"}}"#, 0),
    ] {
        let seen = chunk(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#));
        assert_eq!((seen.chars, seen.content), (chars, true), "{delta}");
    }
}

#[test]
fn content_end_and_usage_may_come_in_one_chunk() {
    let seen = chunk(
        r#"{"choices":[{"delta":{"content":"a"},"finish_reason":"length"}],"usage":{"prompt_tokens":7,
        "completion_tokens":2.0,"prompt_tokens_details":{"cached_tokens":5},"x":[{}]},"vendor":{"a":1e400}}"#
            .replace('\n', " ")
            .as_str(),
    );
    let usage = Usage { input: 7, output: 2, cached_input: 5, ..Usage::default() };
    assert_eq!((seen.finish, seen.usage), (Some(FinishReason::Length), Some(usage)));
    assert!(!seen.is_unasked_usage(false));
}

#[test]
fn the_text_of_legacy_completions_is_content() {
    let seen = chunk(r#"{"choices":[{"text":"h\u00e9","index":0,"finish_reason":"length"}]}"#);
    let expected = Chunk { chars: 2, content: true, finish: Some(FinishReason::Length), ..Chunk::default() };
    assert_eq!(seen, expected);
}

#[test]
fn sound_and_what_is_written_to_a_cache_are_counted_apart() {
    let usage = chunk(
        r#"{"choices":[],"usage":{"prompt_tokens":20,"completion_tokens":9,"prompt_tokens_details":{"audio_tokens":7,
        "cache_write_tokens":5},"completion_tokens_details":{"audio_tokens":4}}}"#
            .replace('\n', " ")
            .as_str(),
    );
    let counts = Usage { cache_write: 5, audio_input: 7, audio_output: 4, ..uncached(20, 9) };
    assert_eq!(usage.usage, Some(counts));
}

#[test]
fn groqs_own_usage_counts_where_there_is_no_other() {
    let own = chunk(r#"{"choices":[],"x_groq":{"id":"r","usage":{"prompt_tokens":7,"completion_tokens":2}}}"#);
    assert_eq!(own.usage, Some(uncached(7, 2)));
    let both = r#"{"choices":[],"usage":{"prompt_tokens":8},"x_groq":{"usage":{"prompt_tokens":7}}}"#;
    assert_eq!(chunk(both).usage.map(|usage| usage.input), Some(8));
}

#[test]
fn a_usage_chunk_is_stripped_only_from_those_who_did_not_ask() {
    let seen = chunk(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}"#);
    assert_eq!((seen.is_unasked_usage(false), seen.is_unasked_usage(true)), (true, false));
    assert!(!chunk(r#"{"choices":[],"prompt_filter_results":[]}"#).is_unasked_usage(false));
}

#[test]
fn frames_that_are_no_chunks_are_told_apart() {
    assert_eq!(observe(b"data: [DONE]\r\n\r\n"), Frame::Done);
    assert_eq!(observe(b"data:[DONE]\n\n"), Frame::Done);
    assert_eq!(observe(b": keep-alive\n\n"), Frame::Comment);
    assert_eq!(observe(b"\n"), Frame::Comment);
    assert_eq!(observe(b"data: {\"ok\":true}\n\n"), Frame::Other);
    assert_eq!(observe(b"data: {\"choi\n\n"), Frame::Other);
    assert_eq!(
        observe(b"data: {\"choices\":\ndata: []}\n\n"),
        Frame::Chunk(Chunk { no_choices: true, ..Chunk::default() })
    );
    for error in [
        r#"{"object":"error","message":"full","code":400}"#,
        r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#,
        r#"{"choices":[{"delta":{},"finish_reason":"insufficient_system_resource"}]}"#,
    ] {
        assert!(matches!(observe(format!("data: {error}\n\n").as_bytes()), Frame::Error { .. }), "{error}");
    }
    for error in [r#"{"error":{"message":"full","code":503}}"#, r#"{"error":"full"}"#] {
        let frame = observe(format!("event: error\ndata: {error}\n\n").as_bytes());
        assert_eq!(frame, Frame::Error { message: "full".into() });
    }
}

#[test]
fn a_whole_reply_gives_usage_end_and_length() {
    let seen = observe_reply(
        br#"{"id":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hello","annotations":[]},
        "finish_reason":"stop","logprobs":null}],"usage":{"prompt_tokens":3,"completion_tokens":1,
        "prompt_cache_hit_tokens":2}}"#,
    );
    let usage = Some(Usage { input: 3, output: 1, cached_input: 2, ..Usage::default() });
    assert_eq!(seen, Some(Observed { usage, finish: Some(FinishReason::Stop), output_chars: 5 }));
    assert_eq!(observe_reply(b"<html>"), None);
}
