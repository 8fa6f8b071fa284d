use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::chat::{Delta, Text};
use crate::dialect::StreamEncoder as AnyEncoder;
use crate::dialect::anthropic::answer::{StreamReader, read_reply};
use crate::dialect::{Progress, Wire};

const META: AnswerMeta<'static> =
    AnswerMeta { id: "msg_01", created: 1_741_569_952, model: "qwen3-4b", input_tokens: 21, request: None };
const COUNTS: Usage = Usage {
    input: 19,
    output: 10,
    cached_input: 7,
    cache_write: 2,
    reasoning: 4,
    audio_input: 0,
    audio_output: 0,
    predicted: None,
    cache_untold: false,
};

fn text(text: &str) -> Delta {
    Delta::Text { index: 0, text: text.into(), logprobs: Vec::new() }
}

fn call(call: u32, id: &str) -> Delta {
    Delta::Call { index: 0, call, id: id.to_owned(), name: "f".to_owned() }
}

fn arguments(call: u32, text: &str) -> Delta {
    Delta::Arguments { index: 0, call, text: text.into() }
}

fn sealed(seal: Text) -> Delta {
    Delta::Sealed { index: 0, seal, id: None }
}

fn finish(reason: FinishReason) -> Delta {
    Delta::Finish { index: 0, reason }
}

/// An answer with everything.
fn everything() -> Vec<Delta> {
    vec![
        Delta::Thought { index: 0, text: "h".into() },
        Delta::Thought { index: 0, text: "m".into() },
        sealed(Seal::Signature("sig").text()),
        sealed(Seal::Redacted("red").text()),
        text("Hel"),
        text("lo \"you\"\n語"),
        call(0, "a"),
        arguments(0, "{\"x\":"),
        arguments(0, "1}"),
        call(1, "b"),
        arguments(1, "{}"),
        finish(FinishReason::ToolCalls),
        Delta::Usage(COUNTS),
    ]
}

fn stream(deltas: &[Delta]) -> String {
    let mut encoder = AnyEncoder::new(Dialect::Messages, &META, true);
    let mut out = BytesMut::new();
    deltas.iter().for_each(|delta| encoder.delta(delta, &mut out));
    encoder.done(&mut out);
    String::from_utf8(out.into()).unwrap()
}

fn whole(deltas: &[Delta]) -> String {
    let mut reply = Reply::default();
    deltas.iter().for_each(|delta| reply.add(delta.clone()));
    String::from_utf8(Dialect::Messages.encode_reply(&META, &reply)).unwrap()
}

/// What our own reader makes of a stream.
fn read_stream(stream: &str) -> Vec<Delta> {
    let (mut reader, mut deltas, mut ended) = (StreamReader::default(), Vec::new(), false);
    for frame in stream.split_inclusive("\n\n") {
        ended = reader.event(frame.as_bytes(), &mut deltas) == Ok(Progress::Ended);
    }
    assert!(ended);
    deltas
}

#[test]
fn a_whole_answer_looks_like_anthropics() {
    insta::assert_snapshot!(whole(&everything()));
}

#[test]
fn a_stream_looks_like_anthropics() {
    insta::assert_snapshot!(stream(&everything()));
}

#[test]
fn what_is_written_is_read_back_whole_and_streamed() {
    assert_eq!(read_stream(&stream(&everything())), everything());
    let mut reply = Reply::default();
    everything().into_iter().for_each(|delta| reply.add(delta));
    let mut read = Reply::default();
    Wire::Messages.read_reply(whole(&everything()).as_bytes()).unwrap().into_iter().for_each(|delta| read.add(delta));
    assert_eq!(read, reply);
}

#[test]
fn an_answer_of_nothing_is_one_and_ends_as_one() {
    insta::assert_snapshot!(format!("{}\n{}", whole(&[]), stream(&[])));
}

#[test]
fn what_is_counted_stands_for_usage_that_is_not_told() {
    let end = stream(&[text("abcd")]);
    assert!(end.contains(
        r#""usage":{"input_tokens":21,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":2}}"#
    ));
}

#[test]
fn late_arguments_go_to_their_own_call() {
    let deltas = [call(0, "a"), call(1, "b"), arguments(0, "{}"), arguments(1, "{\"y\":2}"), arguments(7, "{}")];
    let shown = stream(&deltas);
    assert!(shown.contains(r#""index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}"#));
    assert!(shown.contains(r#""index":1,"delta":{"type":"input_json_delta","partial_json":"{\"y\":2}"}"#));
}

#[test]
fn another_providers_seal_is_kept_for_it_and_its_refusal_is_said() {
    let deltas = [
        Delta::Thought { index: 0, text: "hm".into() },
        sealed("gAAAA".into()),
        Delta::Refusal { index: 0, text: "no".into() },
        Delta::Text { index: 1, text: "a second answer".into(), logprobs: Vec::new() },
        finish(FinishReason::ContentFilter),
    ];
    for shown in [whole(&deltas), stream(&deltas)] {
        assert!(shown.contains("\"signature\":\"ajar.foreign:gAAAA\""), "{shown}");
        assert!(shown.contains("\"text\":\"no\"") && shown.contains("\"stop_reason\":\"refusal\""), "{shown}");
        assert!(!shown.contains("second"), "{shown}");
    }
}

#[test]
fn arguments_that_are_no_object_are_shown_in_one() {
    for (written, input) in [
        ("", "{}"),
        ("{ \"a\":1.50}", "{ \"a\":1.50}"),
        ("[1]", "{\"arguments\":\"[1]\"}"),
        ("{", "{\"arguments\":\"{\"}"),
    ] {
        assert!(whole(&[call(0, "a"), arguments(0, written)]).contains(&format!("\"input\":{input}")), "{written}");
    }
}

#[test]
fn a_broken_stream_ends_with_an_error_and_never_with_a_stop() {
    let mut out = BytesMut::new();
    Dialect::Messages
        .error_frame(&ApiError::new(StatusCode::BAD_GATEWAY, "the provider broke off its answer"), &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap());
}

#[test]
fn models_and_counts_look_like_anthropics() {
    let models = encode_models(["auto", "qwen3-4b"], "2026-01-02T03:04:05Z");
    insta::assert_snapshot!(String::from_utf8([models, b"\n".to_vec(), encode_count(7)].concat()).unwrap());
}

proptest! {
    #[test]
    fn any_text_reads_back_whole_and_streamed(said in ".{1,30}", thought in ".{1,30}") {
        let deltas = [Delta::Thought { index: 0, text: thought.into() }, text(&said), finish(FinishReason::Stop)];
        prop_assert_eq!(&read_stream(&stream(&deltas))[..3], &deltas);
        prop_assert_eq!(&read_reply(whole(&deltas).as_bytes()).unwrap()[..3], &deltas);
    }
}
