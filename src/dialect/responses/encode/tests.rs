use http::StatusCode;
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::chat::reply::{LikelyToken, TokenLogprob};
use crate::chat::request::{Function, Reasoning, Schema};
use crate::chat::{ChatRequest, Delta, ResponseFormat, Sampling, Tool, ToolChoice};

const COUNTS: Usage = Usage {
    input: 19,
    output: 10,
    cached_input: 16,
    cache_write: 1,
    reasoning: 4,
    audio_input: 0,
    audio_output: 0,
    predicted: None,
    cache_untold: false,
};

fn asked() -> ChatRequest {
    let function = Function { name: "f".into(), parameters: Some(r#"{ "n":1.50}"#.into()), ..Function::default() };
    let schema = Schema { name: "s".into(), schema: Some("{}".into()), strict: Some(true), ..Schema::default() };
    ChatRequest {
        tools: vec![Tool::Function(function), Tool::Other(r#"{"type":"custom"}"#.into())],
        tool_choice: Some(ToolChoice::Named("f".into())),
        reasoning: Some(Reasoning::Off),
        response_format: ResponseFormat::JsonSchema(schema),
        sampling: Sampling { temperature: Some(0.5), max_tokens: Some(64), ..Sampling::default() },
        continues: Some("resp_00".into()),
        ..ChatRequest::default()
    }
}

fn meta(request: Option<&ChatRequest>) -> AnswerMeta<'_> {
    AnswerMeta { id: "resp_01", created: 1_741_569_952, model: "qwen3-4b", input_tokens: 21, request }
}

fn text(text: &str) -> Delta {
    Delta::Text { index: 0, text: text.into(), logprobs: Vec::new() }
}

fn finish(reason: FinishReason) -> Delta {
    Delta::Finish { index: 0, reason }
}

fn stream(request: Option<&ChatRequest>, deltas: &[Delta]) -> String {
    let mut encoder = StreamEncoder::new(&meta(request));
    let mut out = BytesMut::new();
    for delta in deltas {
        encoder.delta(delta, &mut out);
    }
    encoder.done(&mut out);
    String::from_utf8(out.into()).unwrap()
}

fn whole(request: Option<&ChatRequest>, deltas: &[Delta]) -> String {
    let mut reply = Reply::default();
    deltas.iter().for_each(|delta| reply.add(delta.clone()));
    String::from_utf8(encode_reply(&meta(request), &reply)).unwrap()
}

/// The data of each event.
fn events(stream: &str) -> Vec<Value> {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// A thought, words, a refusal, two calls told of at once.
fn everything() -> Vec<Delta> {
    let token = LikelyToken { bytes: vec![0xC3], logprob: -0.5 };
    let logprobs = vec![TokenLogprob { token: token.clone(), top: vec![token] }];
    let call = |call, id: &str| Delta::Call { index: 0, call, id: id.to_owned(), name: "f".to_owned() };
    let arguments = |call, text: &str| Delta::Arguments { index: 0, call, text: text.into() };
    vec![
        Delta::Thought { index: 0, text: "h".into() },
        Delta::Thought { index: 0, text: "m".into() },
        Delta::Sealed { index: 0, seal: "seal".into(), id: None },
        Delta::Sealed { index: 0, seal: "bare".into(), id: Some("rs_9".into()) },
        Delta::Text { index: 0, text: "h\u{e9}".into(), logprobs },
        text("llo\n"),
        Delta::Refusal { index: 0, text: "no".into() },
        call(0, "a"),
        arguments(0, "{\"x\":"),
        call(1, "b"),
        arguments(1, "{}"),
        arguments(0, "1}"),
        finish(FinishReason::ToolCalls),
        Delta::Usage(COUNTS),
    ]
}

#[test]
fn a_whole_answer_looks_like_openais_and_repeats_what_was_asked() {
    let deltas = [text("Hi \"you\"\n語"), finish(FinishReason::Stop), Delta::Usage(COUNTS)];
    insta::assert_snapshot!(whole(Some(&asked()), &deltas));
}

#[test]
fn thoughts_words_refusals_and_calls_are_items_of_their_own() {
    insta::assert_snapshot!(whole(None, &everything()));
}

#[test]
fn a_stream_of_words_is_typed_events_in_openais_order() {
    let deltas = [text("Hel"), text("lo\n"), finish(FinishReason::Stop), Delta::Usage(COUNTS)];
    insta::assert_snapshot!(stream(Some(&ChatRequest::default()), &deltas));
}

#[test]
fn a_stream_of_everything_is_typed_events_in_openais_order() {
    insta::assert_snapshot!(stream(None, &everything()));
}

#[test]
fn a_call_ends_before_the_next_begins_unless_more_of_it_may_come() {
    let call = |call| Delta::Call { index: 0, call, id: "a".to_owned(), name: "f".to_owned() };
    let arguments = |call, text: &str| Delta::Arguments { index: 0, call, text: text.into() };
    let kinds = |deltas: &[Delta]| {
        let events = events(&stream(None, deltas)).into_iter();
        let of_items = events.filter(|event| event["type"].as_str().unwrap().contains("output_item"));
        let told = of_items.map(|event| format!("{} {}", event["type"].as_str().unwrap(), event["output_index"]));
        told.map(|told| told.trim_start_matches("response.output_item.").to_owned()).collect::<Vec<_>>()
    };
    let one_by_one = [call(0), arguments(0, "{\"x\":"), arguments(0, "1}"), call(1), arguments(1, "{}")];
    assert_eq!(kinds(&one_by_one), ["added 0", "done 0", "added 1", "done 1"]);
    let at_once = [call(0), arguments(0, "{\"x\":"), call(1), arguments(1, "{}"), arguments(0, "1}")];
    assert_eq!(kinds(&at_once), ["added 0", "added 1", "done 0", "done 1"]);
}

#[test]
fn the_last_event_holds_the_whole_answer_and_events_are_numbered() {
    let (asked, deltas) = (asked(), everything());
    let events = events(&stream(Some(&asked), &deltas));
    let whole: Value = serde_json::from_str(&whole(Some(&asked), &deltas)).unwrap();
    assert_eq!(events.last().unwrap()["response"], whole);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
}

#[test]
fn an_answer_cut_short_is_incomplete_and_says_why() {
    for (reason, why) in [(FinishReason::Length, "max_output_tokens"), (FinishReason::ContentFilter, "content_filter")]
    {
        let deltas = [text("Hel"), finish(reason)];
        let events = events(&stream(None, &deltas));
        let last = events.last().unwrap();
        assert_eq!(last["type"], "response.incomplete");
        assert_eq!(last["response"]["status"], "incomplete");
        assert_eq!(last["response"]["incomplete_details"]["reason"], why);
        assert_eq!(last["response"]["output"][0]["status"], "incomplete");
        // Whoever gave no counts is not said to have used none.
        assert_eq!(last["response"]["usage"], Value::Null);
    }
}

#[test]
fn a_broken_stream_ends_with_an_error_and_never_with_completed() {
    let mut out = BytesMut::new();
    error_frame(&ApiError::new(StatusCode::BAD_GATEWAY, "the provider broke off its answer"), &mut out);
    insta::assert_snapshot!(std::str::from_utf8(&out).unwrap());
}

proptest! {
    #[test]
    fn any_text_reads_back_from_its_delta_and_from_the_end(content in any::<String>()) {
        let events = events(&stream(None, &[text(&content), finish(FinishReason::Stop)]));
        let delta = events.iter().find(|event| event["type"] == "response.output_text.delta").unwrap();
        prop_assert_eq!(delta["delta"].as_str(), Some(content.as_str()));
        let last = events.last().unwrap();
        prop_assert_eq!(last["response"]["output"][0]["content"][0]["text"].as_str(), Some(content.as_str()));
    }
}
