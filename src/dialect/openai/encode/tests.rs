use http::StatusCode;
use proptest::prelude::*;

use super::*;
use crate::chat::request::Thought;

const META: AnswerMeta<'static> =
    AnswerMeta { id: "chatcmpl-01", created: 1_741_569_952, model: "qwen3-4b", input_tokens: 19, request: None };
const COUNTS: Usage = Usage {
    input: 19,
    output: 10,
    cached_input: 16,
    cache_write: 0,
    reasoning: 4,
    audio_input: 0,
    audio_output: 0,
    cache_untold: false,
    predicted: None,
};

fn text(index: u32, text: &str) -> Delta {
    Delta::Text { index, text: text.into(), logprobs: Vec::new() }
}

fn stream(include_usage: bool, deltas: &[Delta]) -> String {
    let mut encoder = StreamEncoder::new(&META, include_usage);
    let mut out = BytesMut::new();
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    encoder.done(&mut out);
    String::from_utf8(out.into()).unwrap()
}

#[test]
fn a_whole_answer_looks_like_openais() {
    let choice = Choice { text: "Hi \"you\"\n語".into(), ..Choice::default() };
    let reply = Reply { choices: vec![choice], usage: COUNTS };
    insta::assert_snapshot!(String::from_utf8(encode_reply(&META, &reply)).unwrap());
}

#[test]
fn what_a_prediction_was_worth_is_told_where_there_was_one() {
    let told = |predicted| {
        let reply = Reply { choices: vec![Choice::default()], usage: Usage { predicted, ..COUNTS } };
        let body = encode_reply(&META, &reply);
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["usage"]["completion_tokens_details"].clone()
    };
    assert_eq!(told(None), serde_json::json!({ "reasoning_tokens": 4 }));
    assert_eq!(
        told(Some(Predicted { accepted: 7, rejected: 2 })),
        serde_json::json!({
            "reasoning_tokens": 4, "accepted_prediction_tokens": 7, "rejected_prediction_tokens": 2,
        })
    );
}

#[test]
fn tool_calls_come_with_null_content() {
    let call = ToolCall { id: "call_1".into(), name: "weather".into(), arguments: r#"{"city":"Ulm"}"#.into() };
    let choice = Choice { tool_calls: vec![call], finish: FinishReason::ToolCalls, ..Choice::default() };
    let reply = Reply { choices: vec![choice.clone(), choice], usage: COUNTS };
    insta::assert_snapshot!(String::from_utf8(encode_reply(&META, &reply)).unwrap());
}

#[test]
fn a_stream_begins_with_the_role_and_ends_with_done() {
    let deltas =
        [text(0, "Hel"), text(0, "lo\n"), Delta::Finish { index: 0, reason: FinishReason::Stop }, Delta::Usage(COUNTS)];
    insta::assert_snapshot!(stream(false, &deltas));
}

#[test]
fn usage_comes_last_where_asked_for_and_is_null_before() {
    let deltas = [
        text(1, "b"),
        text(0, "a"),
        Delta::Finish { index: 1, reason: FinishReason::Length },
        Delta::Finish { index: 0, reason: FinishReason::Stop },
        Delta::Usage(COUNTS),
    ];
    insta::assert_snapshot!(stream(true, &deltas));
}

#[test]
fn a_whole_answer_with_a_thought_a_refusal_and_likelihoods_looks_like_openais() {
    let token = |bytes: &[u8], logprob| LikelyToken { bytes: bytes.to_vec(), logprob };
    let logprobs = vec![TokenLogprob { token: token(b"\xC3", -0.5), top: vec![token(b"a", -0.25)] }];
    let thoughts = vec![Thought { text: "hm".into(), ..Thought::default() }];
    let choice = Choice { thoughts, refusal: "no".into(), logprobs, ..Choice::default() };
    let reply = Reply { choices: vec![choice], usage: COUNTS };
    insta::assert_snapshot!(String::from_utf8(encode_reply(&META, &reply)).unwrap());
}

#[test]
fn thoughts_calls_and_their_arguments_are_streamed() {
    let call = |call, id: &str| Delta::Call { index: 0, call, id: id.to_owned(), name: "f".to_owned() };
    let arguments = |call, text: &str| Delta::Arguments { index: 0, call, text: text.into() };
    let deltas = [
        Delta::Thought { index: 0, text: "hm".into() },
        Delta::Sealed { index: 0, seal: "seal".into(), id: None },
        call(0, "a"),
        arguments(0, "{\"x\":"),
        arguments(0, "1}"),
        call(1, "b"),
        arguments(1, "{}"),
        Delta::Refusal { index: 0, text: "no".into() },
        Delta::Finish { index: 0, reason: FinishReason::ToolCalls },
        Delta::Usage(COUNTS),
    ];
    insta::assert_snapshot!(stream(false, &deltas));
}

#[test]
fn a_broken_stream_ends_with_an_error_and_never_with_done() {
    let mut out = BytesMut::new();
    error_frame(&ApiError::new(StatusCode::BAD_GATEWAY, "the provider broke off its answer"), &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap());
}

#[test]
fn models_are_listed() {
    let models = ["auto", "qwen3-4b"].map(|id| ModelEntry { id, created: 1_741_569_952, owned_by: "ajar" });
    insta::assert_snapshot!(String::from_utf8(encode_models(models)).unwrap());
}

proptest! {
    #[test]
    fn any_text_is_one_frame_of_valid_json_that_reads_back(content in any::<String>()) {
        let frames = stream(false, &[text(0, &content)]);
        let frame = frames.split("\n\n").nth(1).unwrap();
        let json: serde_json::Value = serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap();
        prop_assert_eq!(json["choices"][0]["delta"]["content"].as_str(), Some(content.as_str()));
    }
}
