use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::request::{Effort, Function, Reasoning, Schema, Thought};
use crate::chat::{
    ChatRequest, Content, Message, ResponseFormat, Role, Sampling, Source, Streaming, Tool, ToolCall, ToolChoice,
};
use crate::dialect::testing::{self, any_value, extended, extras};

fn with<T>(body: &str, look: impl FnOnce(Result<Decoded<'_>, BadRequest>) -> T) -> T {
    testing::decoded(Dialect::Chat, body, look)
}

fn request(body: &Value) -> ChatRequest {
    testing::request(Dialect::Chat, body)
}

fn uses(body: &Value) -> Vec<&'static str> {
    testing::uses(Dialect::Chat, body)
}

/// The smallest good body, with `more` members.
fn body(more: Value) -> Value {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn message(message: Value) -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "hi"}, message]})
}

fn parts(body: &Value, source: Source) -> Vec<String> {
    with(&body.to_string(), |decoded| {
        let parts = decoded.unwrap().parts.into_iter();
        parts.filter(|part| part.source == source).map(|part| part.text.into_owned()).collect()
    })
}

#[test]
fn a_conversation_with_everything_is_understood() {
    let decoded = request(&json!({
        "model": "gpt-4o", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0, "top_p": 1,
        "n": 2, "seed": -7, "stop": ["a", "b"], "presence_penalty": -2, "frequency_penalty": 1.5,
        "logit_bias": {"50256": -100}, "max_completion_tokens": 64, "logprobs": true, "top_logprobs": 3,
        "response_format": {"type": "json_object"}, "tool_choice": "auto",
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
        "messages": [
            {"role": "developer", "content": "be brief"},
            {"role": "user", "name": "ann", "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "a cat"}],
    }));
    let text = |role, content: Vec<Content>| Message { role, content, ..Message::default() };
    let call = ToolCall { id: "c1".into(), name: "f".into(), arguments: "{}".into() };
    let messages = vec![
        text(Role::System, vec![Content::Text("be brief".into())]),
        Message {
            name: Some("ann".into()),
            ..text(Role::User, vec![Content::Text("what is this?".into()), Content::Image("https://a/b.png".into())])
        },
        Message { tool_calls: vec![call], ..text(Role::Assistant, Vec::new()) },
        Message { tool_call_id: Some("c1".into()), ..text(Role::Tool, vec![Content::Text("a cat".into())]) },
    ];
    let sampling = Sampling {
        temperature: Some(0.0),
        top_p: Some(1.0),
        top_k: None,
        n: Some(2),
        best_of: None,
        seed: Some(-7),
        stop: vec!["a".into(), "b".into()],
        presence_penalty: Some(-2.0),
        frequency_penalty: Some(1.5),
        logit_bias: vec![(50256, -100.0)],
        max_tokens: Some(64),
        logprobs: Some(3),
    };
    let tool = Function { name: "f".into(), parameters: Some("{}".into()), ..Function::default() };
    assert_eq!(decoded.messages, messages);
    assert_eq!(decoded.sampling, sampling);
    assert_eq!(decoded.streaming, Streaming::On { usage: true });
    assert_eq!(decoded.response_format, ResponseFormat::JsonObject);
    assert_eq!(decoded.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(decoded.tools, [Tool::Function(tool)]);
    assert_eq!(decoded.model, "gpt-4o");
}

#[test]
fn every_part_has_the_right_provenance() {
    let body = json!({
        "model": "gpt", "user": "u-1", "metadata": {"team": "t-1"}, "vendor": {"deep": ["x-1", 7]}, "seed": 42,
        "tools": [{"type": "function", "function": {"name": "tool-1", "parameters": {"properties": {"p-1": {}}}}}],
        "messages": [
            {"role": "system", "content": "sys-1"},
            {"role": "user", "name": "name-1", "content": [
                {"type": "text", "text": "user-1", "cache": "x-2"},
                {"type": "file", "file": {"file_data": "media-1", "filename": "name-2"}}]},
            {"role": "assistant", "refusal": "asst-1", "tool_calls": [
                {"id": "call-1", "function": {"name": "name-3", "arguments": "{\"k\":\"\\u0061\"}"}}]},
            {"role": "tool", "tool_call_id": "call-1", "content": "result-1"}],
    });
    let all = |source| parts(&body, source).join(" ");
    assert_eq!(all(Source::System), "sys-1");
    assert_eq!(all(Source::User), "user-1");
    assert_eq!(all(Source::Assistant), "asst-1");
    assert_eq!(all(Source::ToolArguments), r#"{"k":"\u0061"} k a"#);
    assert_eq!(all(Source::ToolResult), "result-1");
    assert_eq!(all(Source::ToolDefinition), "type function function name tool-1 parameters properties p-1");
    assert_eq!(all(Source::Name), "name-1 name-2 call-1 name-3 call-1");
    assert_eq!(all(Source::Media), "media-1");
    assert_eq!(all(Source::Metadata), "u-1 team t-1");
    assert_eq!(all(Source::Unknown), "vendor deep x-1 7 cache x-2");
    assert_eq!(all(Source::Parameter), "gpt 42 system user text file assistant tool");
}

#[test]
fn a_thought_that_comes_back_is_one_and_no_message_by_itself() {
    let thinking = |more: Value| {
        let mut turn = json!({"role": "assistant", "reasoning_content": "hm"});
        turn.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        message(turn)
    };
    let said = thinking(json!({"content": "yes"}));
    assert_eq!(parts(&said, Source::Assistant), ["hm", "yes"]);
    assert!(uses(&said).is_empty());
    let thought = Thought { text: "hm".into(), ..Thought::default() };
    assert_eq!(request(&said).messages[1].content, [Content::Thought(thought), Content::Text("yes".into())]);
    let refused = |body: &Value| with(&body.to_string(), |decoded| decoded.unwrap_err().param);
    assert_eq!(refused(&thinking(json!({}))).as_deref(), Some("messages[1].content"));
    assert_eq!(refused(&thinking(json!({"reasoning_content": 7}))).as_deref(), Some("messages[1].reasoning_content"));
}

#[test]
fn what_a_destination_must_be_able_to_do_is_told() {
    for (more, expected) in [
        (json!({}), vec![]),
        (json!({"tools": [], "n": 1, "store": false, "logprobs": false, "x": null, "y": [], "z": {}}), vec![]),
        (json!({"n": 2, "stream": true}), vec!["several_choices", "stream"]),
        (json!({"tools": [{"type": "function", "function": {"name": "f"}}]}), vec!["tools"]),
        (json!({"tools": [{"type": "custom", "custom": {"name": "f"}}]}), vec!["tools", "custom_tools"]),
        (json!({"functions": [{"name": "f"}]}), vec!["functions"]),
        (json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}}), vec!["json_schema"]),
        (json!({"logprobs": true, "logit_bias": {"1": 1}}), vec!["logprobs", "logit_bias"]),
        (json!({"modalities": ["text", "audio"], "audio": {"voice": "a"}}), vec!["audio_output"]),
        (json!({"reasoning_effort": "low", "verbosity": "low"}), vec!["reasoning_effort", "verbosity"]),
        (json!({"store": true, "web_search_options": {}}), vec!["web_search", "store"]),
        (json!({"top_k": 5}), vec!["unknown_fields"]),
    ] {
        assert_eq!(uses(&body(more.clone())), expected, "{more}");
    }
    let audio =
        json!({"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]});
    assert_eq!(uses(&message(audio)), ["audio"]);
    assert_eq!(uses(&message(json!({"role": "tool", "tool_call_id": "c", "content": ""}))), ["tools"]);
}

#[test]
fn null_counts_as_absent_wherever_a_field_is_optional() {
    let optional = [
        "temperature",
        "top_p",
        "n",
        "seed",
        "stop",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "tools",
        "tool_choice",
        "parallel_tool_calls",
        "functions",
        "function_call",
        "response_format",
        "user",
        "metadata",
        "store",
        "service_tier",
        "reasoning_effort",
        "verbosity",
        "modalities",
        "audio",
        "web_search_options",
        "prediction",
        "max_tokens",
        "max_completion_tokens",
        "stream",
        "stream_options",
        "safety_identifier",
        "prompt_cache_key",
        "prompt_cache_retention",
    ];
    let nulls =
        body(optional.iter().map(|key| ((*key).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into());
    assert_eq!(request(&nulls), request(&body(json!({}))));
    assert_eq!(uses(&nulls), Vec::<&str>::new());
    let replayed = json!({"role": "assistant", "content": "a", "refusal": null, "audio": null, "function_call": null,
        "tool_calls": null, "name": null, "annotations": []});
    assert_eq!(uses(&message(replayed)), Vec::<&str>::new());
}

#[test]
fn each_mistake_is_refused_by_the_name_of_its_field() {
    let mistakes = [
        json!([]),
        json!({}),
        json!({"model": "m"}),
        body(json!({"model": ""})),
        body(json!({"model": 4})),
        body(json!({"model": null})),
        body(json!({"model": "m".repeat(257)})),
        body(json!({"messages": []})),
        body(json!({"messages": "hi"})),
        body(json!({"messages": null})),
        body(json!({"temperature": 2.1})),
        body(json!({"temperature": "hot"})),
        body(json!({"top_p": -0.1})),
        body(json!({"n": 0})),
        body(json!({"n": 129})),
        body(json!({"n": 1.5})),
        body(json!({"seed": "x"})),
        body(json!({"stop": ["a", "b", "c", "d", "e"]})),
        body(json!({"stop": ["a", 1]})),
        body(json!({"stop": ""})),
        body(json!({"presence_penalty": 3})),
        body(json!({"frequency_penalty": -3})),
        body(json!({"logit_bias": {"the": 1}})),
        body(json!({"logit_bias": {"1": 101}})),
        body(json!({"logit_bias": []})),
        body(json!({"logprobs": 1})),
        body(json!({"top_logprobs": 2})),
        body(json!({"logprobs": true, "top_logprobs": 21})),
        body(json!({"max_tokens": 0})),
        body(json!({"max_tokens": 1, "max_completion_tokens": 1})),
        body(json!({"max_completion_tokens": 1e30})),
        body(json!({"stream": "yes"})),
        body(json!({"stream_options": {"include_usage": true}})),
        body(json!({"stream": true, "stream_options": {"include_usage": 1}})),
        body(json!({"stream": true, "stream_options": true})),
        body(json!({"response_format": {"type": "xml"}})),
        body(json!({"response_format": {"type": "json_schema"}})),
        body(json!({"response_format": "json_object"})),
        body(json!({"tools": {}})),
        body(json!({"tools": [{"type": "function"}]})),
        body(json!({"tools": [{"type": "function", "function": {"name": ""}}]})),
        body(json!({"tool_choice": "auto"})),
        body(json!({"tool_choice": "never", "tools": []})),
        body(json!({"tool_choice": 1})),
        body(json!({"parallel_tool_calls": "no"})),
        body(json!({"modalities": ["smell"]})),
        body(json!({"user": 5})),
        body(json!({"metadata": "x"})),
        body(json!({"store": "x"})),
        message(json!("hi")),
        message(json!({})),
        message(json!({"role": "wizard", "content": "x"})),
        message(json!({"role": 1, "content": "x"})),
        message(json!({"role": "user"})),
        message(json!({"role": "user", "content": null})),
        message(json!({"role": "user", "content": []})),
        message(json!({"role": "user", "content": 7})),
        message(json!({"role": "user", "content": ["x"]})),
        message(json!({"role": "user", "content": [{"text": "x"}]})),
        message(json!({"role": "user", "content": [{"type": "text"}]})),
        message(json!({"role": "user", "content": [{"type": "smell", "smell": {}}]})),
        message(json!({"role": "user", "content": [{"type": "image_url", "image_url": "https://a"}]})),
        message(json!({"role": "user", "content": [{"type": "image_url", "image_url": {}}]})),
        message(json!({"role": "user", "content": "x", "name": {}})),
        message(json!({"role": "user", "content": "x", "tool_calls": []})),
        message(json!({"role": "assistant"})),
        message(json!({"role": "assistant", "tool_calls": []})),
        message(json!({"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": ""}}]})),
        message(json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {}}}]})),
        message(json!({"role": "tool", "content": "x"})),
        message(json!({"role": "function", "content": "x"})),
    ];
    let shown = testing::refusals(Dialect::Chat, &mistakes);
    insta::assert_snapshot!(shown);
}

#[test]
fn formats_and_tools_keep_the_clients_own_text() {
    let text = r#"{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[ {"type" : "function",
        "function":{"name":"f","description":"d","strict":true,"parameters":{ "n":1.50}}} , {"type":"custom",
        "custom":{"name":"g"}} ],"response_format":{"type":"json_schema",
        "json_schema":{"name":"s","strict":false,"description":null,"schema":{ "n":1.50}}}}"#;
    with(text, |decoded| {
        let request = decoded.unwrap().request;
        let function = Function {
            name: "f".into(),
            description: Some("d".into()),
            parameters: Some(r#"{ "n":1.50}"#.into()),
            strict: Some(true),
        };
        let custom = "{\"type\":\"custom\",\n        \"custom\":{\"name\":\"g\"}}";
        assert_eq!(request.tools, [Tool::Function(function), Tool::Other(custom.into())]);
        let schema = Some(r#"{ "n":1.50}"#.into());
        let schema = Schema { name: "s".into(), description: None, schema, strict: Some(false) };
        assert_eq!(request.response_format, ResponseFormat::JsonSchema(schema));
    });
}

#[test]
fn who_must_be_called_how_hard_to_think_and_what_has_no_neutral_word_are_understood() {
    let tools = json!([{"type": "function", "function": {"name": "f", "description": null}}]);
    let choice = |choice: Value| request(&body(json!({"tools": tools.clone(), "tool_choice": choice}))).tool_choice;
    assert_eq!(choice(json!("required")), Some(ToolChoice::Required));
    assert_eq!(choice(json!("none")), Some(ToolChoice::None));
    let named = json!({"type": "function", "function": {"name": "f"}});
    assert_eq!(choice(named), Some(ToolChoice::Named("f".into())));
    let other = json!({"type": "allowed_tools", "allowed_tools": {}});
    assert_eq!(choice(other.clone()), Some(ToolChoice::Other(other.to_string().into())));
    let effort = |word| request(&body(json!({"reasoning_effort": word}))).reasoning;
    assert_eq!(effort("low"), Some(Reasoning::Effort(Effort::Low)));
    assert_eq!((effort("none"), effort("unheard of")), (Some(Reasoning::Off), None));
    let unheard = body(json!({"reasoning_effort": "unheard of"}));
    with(&unheard.to_string(), |decoded| assert_eq!(decoded.unwrap().unsaid, ["reasoning_effort"]));
    let more = json!({"user": "u", "service_tier": "flex", "metadata": {"a": "b"}, "prompt_cache_key": "k",
        "parallel_tool_calls": false, "tools": tools});
    with(&body(more).to_string(), |decoded| {
        let decoded = decoded.unwrap();
        assert_eq!(decoded.unsaid, ["service_tier", "metadata"]);
        assert!(decoded.request.flex);
        assert_eq!(decoded.request.end_user, Some("u".into()));
        assert_eq!(decoded.request.parallel_tool_calls, Some(false));
    });
}

#[test]
fn only_one_service_tier_says_that_the_request_may_wait() {
    for (tier, flex) in [("flex", true), ("auto", false), ("priority", false), ("Flex", false)] {
        assert_eq!(request(&body(json!({"service_tier": tier}))).flex, flex, "{tier}");
    }
}

#[test]
fn deprecated_function_messages_become_tool_messages() {
    let decoded = request(&json!({"model": "m", "messages": [
        {"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "7"}]}));
    assert_eq!(decoded.messages[0].tool_calls[0].name, "f");
    assert_eq!(
        (decoded.messages[1].role, decoded.messages[1].content.clone()),
        (Role::Tool, vec![Content::Text("7".into())])
    );
}

fn any_message() -> impl Strategy<Value = Value> {
    (0..6, ".{1,8}", ".{0,12}", extras(), extras()).prop_map(|(kind, name, text, extra, inner)| {
        let message = match kind {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "name": name, "content": [extended(json!({"type": "text", "text": text}), inner)]}),
            2 => json!({"role": "user", "content": [{"type": "image_url", "image_url": extended(json!({"url": name}), inner)}]}),
            3 => json!({"role": "assistant", "content": text, "refusal": name, "audio": {"id": name}}),
            4 => json!({"role": "assistant", "tool_calls": [extended(
                json!({"id": name, "type": "function", "function": {"name": name, "arguments": text}}), inner)]}),
            _ => json!({"role": "tool", "tool_call_id": name, "content": text}),
        };
        extended(message, extra)
    })
}

proptest! {
    #[test]
    fn every_leaf_and_unknown_key_of_a_body_is_among_the_parts(
        messages in prop::collection::vec(any_message(), 1..4),
        extra in extras(),
        (seed, stop, schema, metadata) in (any::<i64>(), ".{1,5}", any_value(), extras()),
    ) {
        let body = extended(json!({
            "model": "m", "messages": messages, "seed": seed, "stop": stop, "metadata": metadata,
            "max_tokens": 7, "stream": true, "stream_options": extended(json!({}), extra.clone()),
            "tools": [{"type": "function", "function": {"name": "f", "parameters": schema}}],
        }), extra);
        prop_assert!(testing::all_is_among_the_parts(Dialect::Chat, &body)?);
    }

    #[test]
    fn no_json_makes_the_decoder_panic(value in any_value(), key in "messages|model|tools|stream_options|stop|audio") {
        let mut body = body(json!({}));
        body[key] = value;
        with(&body.to_string(), |decoded| drop(decoded));
    }
}
