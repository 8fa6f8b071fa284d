use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::request::{Effort, Function, Reasoning, Schema, Thought, ToolCall};
use crate::chat::{ChatRequest, ResponseFormat, Sampling, Source, Tool};
use crate::dialect::testing::{self, any_value, extended, extras};

fn with<T>(body: &str, look: impl FnOnce(Result<Decoded<'_>, BadRequest>) -> T) -> T {
    testing::decoded(Dialect::Responses, body, look)
}

fn request(body: &Value) -> ChatRequest {
    testing::request(Dialect::Responses, body)
}

fn uses(body: &Value) -> Vec<&'static str> {
    testing::uses(Dialect::Responses, body)
}

/// The smallest good body, with `more` members.
fn body(more: Value) -> Value {
    let mut body = json!({"model": "m", "input": "hi"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn item(item: Value) -> Value {
    json!({"model": "m", "input": [item]})
}

fn text(role: Role, text: &str) -> Message {
    Message { role, content: vec![Content::Text(text.into())], ..Message::default() }
}

#[test]
fn a_conversation_with_everything_is_understood() {
    let decoded = request(&json!({
        "model": "gpt-5", "instructions": "be brief", "stream": true, "temperature": 0, "top_p": 1,
        "max_output_tokens": 64, "include": ["message.output_text.logprobs"], "top_logprobs": 3, "user": "u-1",
        "tool_choice": "required", "parallel_tool_calls": false, "reasoning": {"effort": "low", "summary": "auto"},
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": true}],
        "previous_response_id": "resp_1",
        "input": [
            {"role": "developer", "content": "be kind"},
            {"type": "message", "role": "user", "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}],
             "encrypted_content": "seal"},
            {"type": "message", "role": "assistant", "id": "msg_1", "status": "completed", "content": [
                {"type": "output_text", "text": "I look.", "annotations": [], "logprobs": []}]},
            {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}", "status": "completed"},
            {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{\"a\":1}"},
            {"type": "function_call_output", "call_id": "c1", "output": "a cat"},
            {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "a dog"}]}],
    }));
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: arguments.into(),
    };
    let thought = Thought { text: "hm".into(), seal: Some("seal".into()), id: Some("rs_1".into()) };
    let result = |id: &str, said| Message { tool_call_id: Some(id.into()), ..text(Role::Tool, said) };
    let messages = vec![
        text(Role::System, "be brief"),
        text(Role::System, "be kind"),
        Message {
            content: vec![Content::Text("what is this?".into()), Content::Image("https://a/b.png".into())],
            ..Message::default()
        },
        Message {
            role: Role::Assistant,
            content: vec![Content::Thought(thought), Content::Text("I look.".into())],
            tool_calls: vec![call("c1", "f", "{}"), call("c2", "g", "{\"a\":1}")],
            ..Message::default()
        },
        result("c1", "a cat"),
        result("c2", "a dog"),
    ];
    let sampling = Sampling {
        temperature: Some(0.0),
        top_p: Some(1.0),
        max_tokens: Some(64),
        logprobs: Some(3),
        ..Sampling::default()
    };
    let strict = Some(true);
    let tool = Function { name: "f".into(), parameters: Some("{}".into()), strict, ..Function::default() };
    assert!(decoded.messages == messages, "{:#?}", decoded.messages);
    assert_eq!(decoded.sampling, sampling);
    assert_eq!(decoded.streaming, Streaming::On { usage: true });
    assert_eq!((decoded.tool_choice, decoded.parallel_tool_calls), (Some(ToolChoice::Required), Some(false)));
    assert_eq!(decoded.reasoning, Some(Reasoning::Effort(Effort::Low)));
    assert_eq!(decoded.tools, [Tool::Function(tool)]);
    assert_eq!((decoded.end_user, decoded.continues), (Some("u-1".into()), Some("resp_1".into())));
}

#[test]
fn what_the_model_says_after_a_tools_result_is_another_message() {
    let decoded = request(&json!({"model": "m", "input": [
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "7"},
        {"role": "assistant", "content": "seven"},
        {"role": "assistant", "content": "really"}]}));
    let roles: Vec<Role> = decoded.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::Assistant, Role::Tool, Role::Assistant, Role::Assistant]);
}

#[test]
fn every_part_has_the_right_provenance() {
    let body = json!({
        "model": "gpt", "user": "u-1", "metadata": {"team": "t-1"}, "vendor": {"deep": ["x-1", 7]}, "top_logprobs": 4,
        "instructions": "sys-1", "prompt_cache_key": "key-1", "previous_response_id": "resp-1",
        "tools": [{"type": "function", "name": "tool-1", "parameters": {"properties": {"p-1": {}}}}],
        "input": [
            {"role": "system", "content": "sys-2"},
            {"role": "user", "content": [
                {"type": "input_text", "text": "user-1", "cache": "x-2"},
                {"type": "input_image", "image_url": "media-1"},
                {"type": "input_file", "file_data": "media-2", "filename": "name-1"}]},
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "asst-1"}]},
            {"type": "reasoning", "id": "rs-1", "summary": [{"type": "summary_text", "text": "asst-2"}],
             "encrypted_content": "asst-3"},
            {"type": "function_call", "call_id": "call-1", "name": "name-2", "arguments": "{\"k\":\"\\u0061\"}"},
            {"type": "function_call_output", "call_id": "call-1", "output": "result-1"},
            {"type": "unheard_of", "what": "x-3"}],
    });
    let text = body.to_string();
    with(&text, |decoded| {
        let parts = decoded.unwrap().parts;
        let all = |source| {
            let of = parts.iter().filter(|part| part.source == source).map(|part| part.text.as_ref());
            of.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(all(Source::System), "sys-1 sys-2");
        assert_eq!(all(Source::User), "user-1");
        assert_eq!(all(Source::Assistant), "asst-1 type summary_text text asst-2 asst-3");
        assert_eq!(all(Source::ToolArguments), r#"{"k":"\u0061"} k a"#);
        assert_eq!(all(Source::ToolResult), "result-1");
        assert_eq!(all(Source::ToolDefinition), "type function name tool-1 parameters properties p-1");
        assert_eq!(all(Source::Name), "name-1 rs-1 call-1 name-2 call-1");
        assert_eq!(all(Source::Media), "media-1 media-2");
        assert_eq!(all(Source::Metadata), "u-1 team t-1 key-1 resp-1");
        assert_eq!(all(Source::Unknown), "vendor deep x-1 7 cache x-2 type unheard_of what x-3");
    });
}

#[test]
fn what_a_destination_must_be_able_to_do_is_told() {
    for (more, expected) in [
        (json!({}), vec![]),
        (json!({"tools": [], "store": true, "background": false, "x": null, "y": [], "z": {}}), vec![]),
        (json!({"stream": true}), vec!["stream"]),
        (json!({"tools": [{"type": "function", "name": "f"}]}), vec!["tools"]),
        (json!({"tools": [{"type": "mcp", "server_label": "s"}]}), vec!["tools", "custom_tools"]),
        (json!({"tools": [{"type": "web_search_preview"}]}), vec!["tools", "custom_tools", "web_search"]),
        (json!({"text": {"format": {"type": "json_schema", "name": "s", "schema": {}}}}), vec!["json_schema"]),
        (json!({"text": {"format": {"type": "json_object"}, "verbosity": "low"}}), vec!["json_object", "verbosity"]),
        (json!({"include": ["message.output_text.logprobs"]}), vec!["logprobs"]),
        (json!({"include": ["reasoning.encrypted_content"]}), vec![]),
        (json!({"reasoning": {"effort": "low"}}), vec!["reasoning_effort"]),
        (json!({"prompt": {"id": "p"}}), vec!["unknown_fields"]),
        (json!({"tools": [{"type": "function", "name": "f", "defer_loading": true}]}), vec!["tools", "unknown_fields"]),
    ] {
        assert_eq!(uses(&body(more.clone())), expected, "{more}");
    }
    let part = |part: Value| item(json!({"role": "user", "content": [part]}));
    assert_eq!(uses(&part(json!({"type": "input_image", "image_url": "data:"}))), ["image"]);
    assert_eq!(uses(&part(json!({"type": "input_image", "file_id": "f"}))), ["image", "file"]);
    assert_eq!(uses(&part(json!({"type": "input_file", "file_url": "https://a"}))), ["file"]);
    assert_eq!(uses(&part(json!({"type": "input_audio", "input_audio": {"data": ""}}))), ["audio"]);
    assert_eq!(uses(&item(json!({"type": "item_reference", "id": "x"}))), ["store"]);
    assert_eq!(uses(&item(json!({"type": "web_search_call", "id": "x"}))), ["custom_tools"]);
    assert_eq!(uses(&item(json!({"type": "custom_tool_call_output", "output": "x"}))), ["custom_tools"]);
    assert_eq!(uses(&item(json!({"type": "compaction", "encrypted_content": "x"}))), ["unknown_fields"]);
    assert_eq!(uses(&item(json!({"role": "user", "content": "x", "future": 1}))), ["unknown_fields"]);
}

#[test]
fn null_counts_as_absent_wherever_a_field_is_optional() {
    let optional = [
        "instructions",
        "tools",
        "tool_choice",
        "text",
        "reasoning",
        "include",
        "temperature",
        "top_p",
        "top_logprobs",
        "background",
        "conversation",
        "previous_response_id",
        "stream_options",
        "parallel_tool_calls",
        "store",
        "user",
        "safety_identifier",
        "metadata",
        "prompt_cache_key",
        "prompt_cache_retention",
        "service_tier",
        "truncation",
        "max_tool_calls",
        "max_output_tokens",
        "stream",
        "prompt",
    ];
    let nulls =
        body(optional.iter().map(|key| ((*key).to_owned(), Value::Null)).collect::<serde_json::Map<_, _>>().into());
    assert_eq!(request(&nulls), request(&body(json!({}))));
    assert_eq!(uses(&nulls), Vec::<&str>::new());
    let replayed = json!({"type": "message", "role": "assistant", "id": "m", "status": "completed", "content": [
        {"type": "output_text", "text": "a", "annotations": [], "logprobs": []}]});
    assert_eq!(uses(&item(replayed)), Vec::<&str>::new());
    let nulls = json!({"text": {"format": null, "verbosity": null}, "reasoning": {"effort": null, "summary": null},
        "stream_options": {"include_obfuscation": null}});
    assert_eq!(uses(&body(nulls)), Vec::<&str>::new());
}

#[test]
fn a_choice_without_tools_says_nothing_and_what_has_no_neutral_word_is_named() {
    assert_eq!(request(&body(json!({"tool_choice": "auto", "tools": []}))).tool_choice, None);
    let more = json!({"metadata": {"a": "b"}, "service_tier": "flex", "truncation": "auto", "max_tool_calls": 3,
        "reasoning": {"summary": "auto", "generate_summary": "auto"}, "include": ["file_search_call.results"]});
    assert!(request(&body(more.clone())).flex);
    let mut unsaid = with(&body(more).to_string(), |decoded| decoded.unwrap().unsaid);
    unsaid.sort_unstable();
    assert_eq!(unsaid, ["include", "max_tool_calls", "metadata", "reasoning_summary", "service_tier", "truncation"]);
    let plain = json!({"truncation": "disabled", "prompt_cache_key": "k", "store": false, "metadata": null});
    assert_eq!(with(&body(plain).to_string(), |decoded| decoded.unwrap().unsaid), Vec::<&str>::new());
}

#[test]
fn formats_and_tools_keep_the_clients_own_text() {
    let text = r#"{"model":"m","input":"x","tools":[ {"type" : "function",
        "name":"f","description":"d","parameters":{ "n":1.50}} , {"type":"custom", "name":"g"} ],
        "tool_choice":{"type":"function","name":"f"},
        "text":{"format":{"type":"json_schema","name":"s","strict":false,"description":null,"schema":{ "n":1.50}}}}"#;
    with(text, |decoded| {
        let request = decoded.unwrap().request;
        let parameters = Some(r#"{ "n":1.50}"#.into());
        let function = Function { name: "f".into(), description: Some("d".into()), parameters, strict: None };
        let custom = r#"{"type":"custom", "name":"g"}"#;
        assert_eq!(request.tools, [Tool::Function(function), Tool::Other(custom.into())]);
        assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".into())));
        let schema = Some(r#"{ "n":1.50}"#.into());
        let schema = Schema { name: "s".into(), description: None, schema, strict: Some(false) };
        assert_eq!(request.response_format, ResponseFormat::JsonSchema(schema));
    });
}

#[test]
fn each_mistake_is_refused_by_the_name_of_its_field() {
    let message = |message: Value| item(message);
    let mistakes = [
        json!([]),
        json!({}),
        json!({"model": "m"}),
        json!({"model": "m", "input": null}),
        json!({"model": "m", "input": []}),
        json!({"model": "m", "input": 7}),
        body(json!({"model": ""})),
        body(json!({"model": null})),
        body(json!({"model": "m".repeat(257)})),
        body(json!({"instructions": 7})),
        body(json!({"temperature": 2.1})),
        body(json!({"top_p": "x"})),
        body(json!({"top_logprobs": 21})),
        body(json!({"max_output_tokens": 0})),
        body(json!({"stream": "yes"})),
        body(json!({"stream_options": true})),
        body(json!({"background": true})),
        body(json!({"conversation": "conv_1"})),
        body(json!({"previous_response_id": ""})),
        body(json!({"store": "no"})),
        body(json!({"truncation": "some"})),
        body(json!({"max_tool_calls": 0})),
        body(json!({"metadata": "x"})),
        body(json!({"include": "x"})),
        body(json!({"include": [1]})),
        body(json!({"reasoning": "high"})),
        body(json!({"reasoning": {"effort": 3}})),
        body(json!({"text": "x"})),
        body(json!({"text": {"format": {"type": "xml"}}})),
        body(json!({"text": {"format": {"type": "json_schema", "schema": {}}}})),
        body(json!({"text": {"format": {"type": "json_schema", "name": "s"}}})),
        body(json!({"tools": {}})),
        body(json!({"tools": [{"name": "f"}]})),
        body(json!({"tools": [{"type": "function"}]})),
        body(json!({"tools": [{"type": "function", "name": ""}]})),
        body(json!({"tool_choice": "required"})),
        body(json!({"tool_choice": "never"})),
        body(json!({"tool_choice": {"type": "function"}})),
        body(json!({"parallel_tool_calls": "no"})),
        message(json!("hi")),
        message(json!({"type": 1})),
        message(json!({"content": "x"})),
        message(json!({"role": "wizard", "content": "x"})),
        message(json!({"role": "user"})),
        message(json!({"role": "user", "content": 7})),
        message(json!({"role": "user", "content": ["x"]})),
        message(json!({"role": "user", "content": [{"type": "output_text", "text": "x"}]})),
        message(json!({"role": "user", "content": [{"type": "input_text"}]})),
        message(json!({"role": "user", "content": [{"type": "input_image"}]})),
        message(json!({"role": "user", "content": [{"type": "input_audio"}]})),
        message(json!({"role": "assistant", "content": [{"type": "input_image", "image_url": "x"}]})),
        message(json!({"type": "function_call", "name": "f", "arguments": "{}"})),
        message(json!({"type": "function_call", "call_id": "c", "arguments": "{}"})),
        message(json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": {}})),
        message(json!({"type": "function_call_output", "output": "x"})),
        message(json!({"type": "function_call_output", "call_id": "c"})),
        message(json!({"type": "reasoning", "summary": "x"})),
        message(json!({"type": "reasoning", "summary": [{}]})),
    ];
    let shown = testing::refusals(Dialect::Responses, &mistakes);
    insta::assert_snapshot!(shown);
}

fn any_item() -> impl Strategy<Value = Value> {
    (0..9, ".{1,8}", ".{0,12}", extras(), extras()).prop_map(|(kind, name, text, extra, inner)| {
        let part = |part: Value| json!([extended(part, inner.clone())]);
        let item = match kind {
            0 => json!({"role": "system", "content": text}),
            1 => json!({"role": "user", "content": part(json!({"type": "input_text", "text": text}))}),
            2 => json!({"role": "user", "content": part(json!({"type": "input_image", "image_url": name}))}),
            3 => json!({"role": "user", "content": part(json!({"type": "input_file", "file_data": text, "filename": name}))}),
            4 => json!({"role": "assistant", "id": name, "status": text, "content": part(json!({"type": "output_text",
                "text": text, "annotations": [{"url": name}], "logprobs": [{"token": name, "logprob": -1}]}))}),
            5 => json!({"type": "function_call", "call_id": name, "name": name, "arguments": text, "id": text}),
            6 => json!({"type": "function_call_output", "call_id": name, "output": part(json!({"type": "input_text", "text": text}))}),
            7 => json!({"type": "reasoning", "id": name, "encrypted_content": text, "summary": part(json!({"type": "summary_text", "text": text}))}),
            _ => json!({"type": name, "id": name, "action": {"x-query": text}}),
        };
        extended(item, extra)
    })
}

proptest! {
    #[test]
    fn every_leaf_and_unknown_key_of_a_body_is_among_the_parts(
        items in prop::collection::vec(any_item(), 1..4),
        extra in extras(),
        (schema, metadata, text) in (any_value(), extras(), ".{1,9}"),
    ) {
        let body = extended(json!({
            "model": "m", "input": items, "metadata": metadata, "instructions": text, "user": text, "stream": true,
            "max_output_tokens": 7, "stream_options": extended(json!({}), extra.clone()), "include": [text],
            "reasoning": extended(json!({"effort": text, "summary": text}), extra.clone()),
            "text": extended(json!({"verbosity": text, "format": {"type": "json_schema", "name": "s",
                "schema": schema.clone(), "description": text}}), extra.clone()),
            "tools": [{"type": "function", "name": "f", "parameters": schema}, {"type": text, "x-what": 7}],
            "previous_response_id": text, "prompt_cache_key": text, "service_tier": text,
        }), extra);
        // A schema of null is refused, as is a type that is taken.
        testing::all_is_among_the_parts(Dialect::Responses, &body)?;
    }

    #[test]
    fn no_json_makes_the_decoder_panic(value in any_value(), key in "input|model|tools|stream_options|text|reasoning|include") {
        let mut body = body(json!({}));
        body[key] = value;
        with(&body.to_string(), |decoded| drop(decoded));
    }
}
