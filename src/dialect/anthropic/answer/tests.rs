use proptest::prelude::*;

use super::*;
use crate::chat::Reply;
use crate::dialect::anthropic::seal::Seal;
use crate::dialect::sse::SseFramer;

/// A stream in Anthropic's form.
const STREAM: &str = r#"event: message_start
data: {"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","content":[],"model":"c","stop_reason":null,"usage":{"input_tokens":7,"cache_read_input_tokens":5,"cache_creation_input_tokens":3,"output_tokens":1}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}

event: ping
data: {"type":"ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"h\u00e9"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"m"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"sig=="}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"red"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: content_block_start
data: {"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"query\":1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":2}

event: content_block_start
data: {"type":"content_block_start","index":3,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"Hi 語"}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"citations_delta","citation":{"type":"char_location"}}}

event: content_block_delta
data: {"type":"content_block_delta","index":3,"delta":{"type":"text_delta","text":"😀"}}

event: content_block_stop
data: {"type":"content_block_stop","index":3}

event: content_block_start
data: {"type":"content_block_start","index":4,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}

event: content_block_delta
data: {"type":"content_block_delta","index":4,"delta":{"type":"input_json_delta","partial_json":"1}"}}

event: content_block_stop
data: {"type":"content_block_stop","index":4}

event: content_block_start
data: {"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":""}}

event: content_block_stop
data: {"type":"content_block_stop","index":5}

event: some_later_event
data: {"type":"some_later_event","delta":7}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":15,"output_tokens_details":{"thinking_tokens":4}}}

event: message_stop
data: {"type":"message_stop"}

"#;

/// The same answer, whole.
const WHOLE: &str = r#"{"id":"msg_1","type":"message","role":"assistant","model":"c","content":[
    {"type":"thinking","thinking":"h\u00e9m","signature":"sig=="},{"type":"redacted_thinking","data":"red"},
    {"type":"server_tool_use","id":"s","name":"web_search","input":{"query":1}},{"type":"text","text":"Hi 語😀"},
    {"type":"tool_use","id":"toolu_1","name":"f","input":{"a":1}},{"type":"tool_use","id":"toolu_2","name":"g",
    "input":{}}],"stop_reason":"tool_use","stop_sequence":null,"usage":{"input_tokens":7,"cache_read_input_tokens":5,
    "cache_creation_input_tokens":3,"output_tokens":15,"output_tokens_details":{"thinking_tokens":4}}}"#;

/// What is read of a stream that arrives in `chunks`, and whether it ended.
fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Delta>, bool) {
    let (mut framer, mut reader) = (SseFramer::new(), StreamReader::default());
    let (mut deltas, mut ended) = (Vec::new(), false);
    for chunk in chunks {
        framer.push(chunk);
        for frame in framer.by_ref() {
            ended |= reader.event(&frame.unwrap(), &mut deltas).unwrap() == Progress::Ended;
        }
    }
    (deltas, ended)
}

fn reply(deltas: Vec<Delta>) -> Reply {
    let mut reply = Reply::default();
    deltas.into_iter().for_each(|delta| reply.add(delta));
    reply
}

#[test]
fn a_stream_and_the_whole_answer_say_the_same() {
    let (deltas, ended) = read([STREAM.as_bytes()]);
    assert!(ended);
    let reply = reply(deltas);
    assert_eq!(reply, self::reply(read_reply(WHOLE.as_bytes()).unwrap()));
    let choice = &reply.choices[0];
    assert_eq!(choice.text.expose(), "Hi 語😀");
    let seals: Vec<_> = choice.thoughts.iter().map(|t| (t.text.expose(), t.seal.clone().unwrap())).collect();
    assert_eq!(seals, [("hém", Seal::Signature("sig==").text()), ("", Seal::Redacted("red").text())]);
    let calls: Vec<_> = choice.tool_calls.iter().map(|c| (&*c.id, &*c.name, c.arguments.expose())).collect();
    assert_eq!(calls, [("toolu_1", "f", "{\"a\":1}"), ("toolu_2", "g", "{}")]);
    assert_eq!(choice.finish, FinishReason::ToolCalls);
    assert_eq!(
        reply.usage,
        Usage { input: 15, output: 15, cached_input: 5, cache_write: 3, reasoning: 4, ..Usage::default() }
    );
}

#[test]
fn a_stream_cut_anywhere_is_read_alike_and_ends_only_at_its_end() {
    let whole = read([STREAM.as_bytes()]);
    for at in 0..STREAM.len() {
        let (before, after) = STREAM.as_bytes().split_at(at);
        assert_eq!(read([before, after]), whole, "{at}");
        assert!(!read([before]).1, "{at}");
    }
    assert_eq!(read(STREAM.as_bytes().chunks(1)), whole);
    assert!(!crate::dialect::Wire::Messages.reader().may_end());
}

#[test]
fn each_stop_reason_has_a_neutral_word() {
    for (word, reason) in [
        ("end_turn", FinishReason::Stop),
        ("stop_sequence", FinishReason::Stop),
        ("pause_turn", FinishReason::Stop),
        ("max_tokens", FinishReason::Length),
        ("model_context_window_exceeded", FinishReason::Length),
        ("tool_use", FinishReason::ToolCalls),
        ("refusal", FinishReason::ContentFilter),
    ] {
        let body = format!(r#"{{"type":"message","content":[],"stop_reason":"{word}"}}"#);
        assert_eq!(read_reply(body.as_bytes()), Some(vec![Delta::Finish { index: 0, reason }]));
    }
}

#[test]
fn why_it_refuses_is_told() {
    let body = r#"{"content":[],"stop_reason":"refusal","stop_details":{"type":"refusal","explanation":"no"}}"#;
    let refused = Delta::Refusal { index: 0, text: "no".into() };
    assert_eq!(read_reply(body.as_bytes()).unwrap()[0], refused);
}

#[test]
fn an_error_event_a_comment_and_nonsense_are_told_apart() {
    let mut reader = StreamReader::default();
    let mut event = |frame: &[u8]| reader.event(frame, &mut Vec::new());
    assert_eq!(event(b": keep-alive\n\n"), Ok(Progress::Open));
    let error =
        b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n";
    assert_eq!(event(error), Err(ReadError::Provider));
    assert_eq!(event(b"data: {\"type\"\n\n"), Err(ReadError::Unreadable));
    assert_eq!(event(b"data: {\"type\":\"content_block_stop\"}\n\n"), Err(ReadError::Unreadable));
    assert_eq!(event(b"data: {}\n\n"), Err(ReadError::Unreadable));
    assert_eq!(read_reply(b"{\"type\":\"error\"}"), None);
}

#[test]
fn counts_that_are_not_given_are_unknown() {
    let stop = b"data: {\"type\":\"message_stop\"}\n\n";
    let mut out = Vec::new();
    assert_eq!(StreamReader::default().event(stop, &mut out), Ok(Progress::Ended));
    assert_eq!(out, []);
}

proptest! {
    #[test]
    fn any_text_is_read_as_it_was_written(text in ".{1,40}") {
        let json = serde_json::json!({"content": [{"type": "text", "text": text.clone()}]});
        let said = Delta::Text { index: 0, text: text.into(), logprobs: Vec::new() };
        prop_assert_eq!(read_reply(json.to_string().as_bytes()), Some(vec![said]));
    }
}
