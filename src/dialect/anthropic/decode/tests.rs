use std::collections::HashMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::chat::request::{Function, Schema, Thought, Vectors};
use crate::chat::{ChatRequest, ResponseFormat, Sampling, Task, Tool, ToolCall, ToolChoice};
use crate::dialect::anthropic::seal::Seal;
use crate::dialect::edit::{self, CapField, Edits};
use crate::dialect::testing::{self, any_value, extended, extras, leaves};

fn with<T>(body: &str, look: impl FnOnce(Result<Decoded<'_>, BadRequest>) -> T) -> T {
    testing::decoded(Dialect::Messages, body, look)
}

fn request(body: &Value) -> ChatRequest {
    testing::request(Dialect::Messages, body)
}

fn uses(body: &Value) -> Vec<&'static str> {
    testing::uses(Dialect::Messages, body)
}

/// The smallest good body, with `more` members.
fn body(more: Value) -> Value {
    let mut body = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn message(message: Value) -> Value {
    body(json!({"messages": [{"role": "user", "content": "hi"}, message]}))
}

fn parts(body: &Value, source: Source) -> String {
    with(&body.to_string(), |decoded| {
        let parts = decoded.unwrap().parts.into_iter();
        let texts: Vec<_> = parts.filter(|part| part.source == source).map(|part| part.text.into_owned()).collect();
        texts.join(" ")
    })
}

fn everything() -> Value {
    json!({
        "model": "claude", "max_tokens": 64, "stream": true, "temperature": 1, "top_p": 0.5, "top_k": 3,
        "stop_sequences": ["END"], "metadata": {"user_id": "u-1"}, "service_tier": "auto",
        "system": [{"type": "text", "text": "sys-1", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "sys-2"}],
        "thinking": {"type": "enabled", "budget_tokens": 2000},
        "output_config": {"format": {"type": "json_schema", "schema": {"title": "schema-1"}}},
        "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        "tools": [{"name": "tool-1", "description": "d", "input_schema": {"type": "object"}, "strict": true}],
        "vendor": {"deep": ["x-1", 7]},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "user-1", "vendor_2": "x-2"},
                {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                {"type": "document", "title": "title-1", "source": {"type": "base64", "media_type": "application/pdf", "data": "media-1"}}]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "thought-1", "signature": "sig-1"},
                {"type": "redacted_thinking", "data": "sig-2"},
                {"type": "text", "text": "asst-1"},
                {"type": "tool_use", "id": "call-1", "name": "tool-1", "input": {"k": "\u{61}\n"}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call-1", "content": "result-1", "is_error": true},
                {"type": "tool_result", "tool_use_id": "call-2", "content": [{"type": "text", "text": "result-2"}]},
                {"type": "text", "text": "user-2"}]},
            {"role": "system", "content": "sys-3"}],
    })
}

#[test]
fn a_conversation_with_everything_is_understood() {
    let decoded = request(&everything());
    let said = |role, content: Vec<Content>| Message { role, content, ..Message::default() };
    let text = |text: &str| Content::Text(text.into());
    let thought =
        |text: &str, seal: Seal<'_>| Content::Thought(Thought { text: text.into(), seal: Some(seal.text()), id: None });
    let result = |id: &str, text: &str, tool_failed| Message {
        tool_call_id: Some(id.into()),
        tool_failed,
        ..said(Role::Tool, vec![Content::Text(text.into())])
    };
    let document = Content::File(everything()["messages"][0]["content"][3].to_string().into());
    let call = ToolCall { id: "call-1".into(), name: "tool-1".into(), arguments: r#"{"k":"a\n"}"#.into() };
    let thoughts = vec![thought("thought-1", Seal::Signature("sig-1")), thought("", Seal::Redacted("sig-2"))];
    let messages = vec![
        said(Role::System, vec![text("sys-1"), text("sys-2")]),
        said(
            Role::User,
            vec![
                text("user-1"),
                Content::Image("https://a/b.png".into()),
                Content::Image("data:image/png;base64,aGk=".into()),
                document,
            ],
        ),
        Message { tool_calls: vec![call], ..said(Role::Assistant, [thoughts, vec![text("asst-1")]].concat()) },
        result("call-1", "result-1", true),
        result("call-2", "result-2", false),
        said(Role::User, vec![text("user-2")]),
        said(Role::System, vec![text("sys-3")]),
    ];
    let function = Function {
        name: "tool-1".into(),
        description: Some("d".into()),
        parameters: Some(r#"{"type":"object"}"#.into()),
        strict: Some(true),
    };
    let schema = Schema { schema: Some(r#"{"title":"schema-1"}"#.into()), strict: Some(true), ..Schema::default() };
    let expected = ChatRequest {
        task: Task::Chat,
        vectors: Vectors::default(),
        echo: false,
        model: "claude".into(),
        messages,
        tools: vec![Tool::Function(function)],
        tool_choice: Some(ToolChoice::Required),
        parallel_tool_calls: Some(false),
        reasoning: Some(Reasoning::Budget(2000)),
        end_user: Some("u-1".into()),
        prediction: None,
        response_format: ResponseFormat::JsonSchema(schema),
        sampling: Sampling {
            temperature: Some(1.0),
            top_p: Some(0.5),
            top_k: Some(3),
            stop: vec!["END".into()],
            max_tokens: Some(64),
            ..Sampling::default()
        },
        flex: false,
        streaming: Streaming::On { usage: true },
        continues: None,
    };
    assert_eq!(decoded.messages, expected.messages);
    assert!(decoded == expected);
}

#[test]
fn every_part_has_the_right_provenance() {
    let all = |source| parts(&everything(), source);
    assert_eq!(all(Source::System), "sys-1 sys-2 sys-3");
    assert_eq!(all(Source::User), "user-1 title-1 user-2");
    assert_eq!(all(Source::Assistant), "thought-1 asst-1");
    assert_eq!(all(Source::ToolArguments), "{\"k\":\"a\\n\"} k a\n");
    assert_eq!(all(Source::ToolResult), "result-1 result-2");
    assert_eq!(
        all(Source::ToolDefinition),
        "type json_schema schema title schema-1 type any disable_parallel_tool_use \
         name tool-1 description d input_schema type object strict"
    );
    assert_eq!(all(Source::Name), "call-1 tool-1 call-1 call-2");
    assert_eq!(
        all(Source::Media),
        "https://a/b.png data:image/png;base64,aGk= type base64 media_type application/pdf data media-1"
    );
    assert_eq!(all(Source::Metadata), "u-1 sig-1 sig-2");
    assert_eq!(all(Source::Unknown), "vendor deep x-1 7 vendor_2 x-2");
}

#[test]
fn what_a_destination_must_be_able_to_do_is_told() {
    let tool = |tool: Value| json!({"tools": [tool]});
    let user = |block: Value| json!({"messages": [{"role": "user", "content": [block]}]});
    let hinted = json!({"name": "f", "input_schema": {}, "type": "custom", "cache_control": {"type": "ephemeral"},
        "eager_input_streaming": true});
    for (more, expected) in [
        (json!({}), vec![]),
        (
            json!({"tools": [], "thinking": {"type": "adaptive"}, "x": null, "cache_control": {"type": "ephemeral"}}),
            vec![],
        ),
        (json!({"thinking": {"type": "disabled"}, "system": null, "tool_choice": null}), vec![]),
        (
            json!({"stream": true, "thinking": {"type": "enabled", "budget_tokens": 1024}}),
            vec!["stream", "reasoning_effort"],
        ),
        (json!({"output_config": {"effort": "low"}}), vec!["reasoning_effort"]),
        (json!({"output_format": {"type": "json_schema", "schema": {}}}), vec!["json_schema"]),
        (tool(hinted), vec!["tools"]),
        (tool(json!({"name": "f", "input_schema": {}, "defer_loading": true})), vec!["tools", "unknown_fields"]),
        (tool(json!({"type": "web_search_20250305", "name": "web_search"})), vec!["tools", "custom_tools"]),
        (user(json!({"type": "image", "source": {"type": "url", "url": "https://a"}})), vec!["image"]),
        (user(json!({"type": "image", "source": {"type": "file", "file_id": "f"}})), vec!["file"]),
        (user(json!({"type": "document", "source": {"type": "text", "data": "x"}})), vec!["file"]),
        (user(json!({"type": "tool_result", "tool_use_id": "c"})), vec!["tools"]),
        (user(json!({"type": "search_result", "source": "s", "title": "t", "content": []})), vec!["unknown_fields"]),
        (user(json!({"type": "container_upload", "file_id": "f"})), vec!["unknown_fields"]),
        (json!({"container": "c"}), vec!["unknown_fields"]),
        (json!({"mcp_servers": [{"url": "https://a"}]}), vec!["unknown_fields"]),
        (json!({"inference_geo": "eu"}), vec!["unknown_fields"]),
    ] {
        assert_eq!(uses(&body(more.clone())), expected, "{more}");
    }
}

#[test]
fn what_has_no_neutral_word_is_named() {
    let more = json!({"service_tier": "auto", "speed": "fast", "thinking": {"type": "between_tools", "display": "omitted"},
        "tools": [{"name": "f", "input_schema": {}, "input_examples": [{}]}]});
    with(&body(more).to_string(), |decoded| {
        let unsaid = decoded.unwrap().unsaid;
        assert_eq!(unsaid, ["service_tier", "speed", "thinking", "thinking_display", "input_examples"]);
    });
}

#[test]
fn how_hard_to_think_and_whom_to_call_are_understood() {
    let think = |more: Value| request(&body(more)).reasoning;
    assert_eq!(think(json!({"thinking": {"type": "adaptive"}})), Some(Reasoning::Adaptive));
    assert_eq!(
        think(json!({"thinking": {"type": "disabled"}, "output_config": {"effort": "max"}})),
        Some(Reasoning::Off)
    );
    let both = json!({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}});
    assert_eq!(think(both), Some(Reasoning::Effort(Effort::Max)));
    let choice = |choice: Value| request(&body(json!({"tool_choice": choice}))).tool_choice;
    assert_eq!(choice(json!({"type": "auto"})), Some(ToolChoice::Auto));
    assert_eq!(choice(json!({"type": "none"})), Some(ToolChoice::None));
    assert_eq!(choice(json!({"type": "tool", "name": "f"})), Some(ToolChoice::Named("f".into())));
}

#[test]
fn a_seal_that_was_kept_for_another_provider_is_its_again() {
    let block = json!({"type": "thinking", "thinking": "hm", "signature": "ajar.foreign:gAAAA"});
    let decoded = request(&message(json!({"role": "assistant", "content": [block]})));
    let thought = Thought { text: "hm".into(), seal: Some("gAAAA".into()), id: None };
    assert_eq!(decoded.messages[1].content, [Content::Thought(thought)]);
}

#[test]
fn each_mistake_is_refused_by_the_name_of_its_field() {
    let user = |block: Value| message(json!({"role": "user", "content": [block]}));
    let assistant = |block: Value| message(json!({"role": "assistant", "content": [block]}));
    let mistakes = [
        json!([]),
        json!({}),
        json!({"model": "m", "max_tokens": 1}),
        json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        body(json!({"model": ""})),
        body(json!({"model": null})),
        body(json!({"model": "m".repeat(257)})),
        body(json!({"max_tokens": 0})),
        body(json!({"max_tokens": null})),
        body(json!({"messages": []})),
        body(json!({"messages": null})),
        body(json!({"temperature": 1.1})),
        body(json!({"top_p": "x"})),
        body(json!({"top_k": -1})),
        body(json!({"stop_sequences": "x"})),
        body(json!({"stop_sequences": [""]})),
        body(json!({"stream": 1})),
        body(json!({"system": 1})),
        body(json!({"system": [{"type": "image"}]})),
        body(json!({"metadata": "x"})),
        body(json!({"metadata": {"user_id": 1}})),
        body(json!({"thinking": {"type": "enabled"}})),
        body(json!({"thinking": {"type": "enabled", "budget_tokens": 1023}})),
        body(json!({"thinking": {"type": "hard"}})),
        body(json!({"output_config": {"effort": "none"}})),
        body(json!({"output_config": {"format": {"type": "xml"}}})),
        body(json!({"output_format": {"type": "json_schema", "schema": []}})),
        body(json!({"service_tier": 1})),
        body(json!({"tools": {}})),
        body(json!({"tools": [{"input_schema": {}}]})),
        body(json!({"tools": [{"name": "f"}]})),
        body(json!({"tools": [{"name": "f", "input_schema": "{}"}]})),
        body(json!({"tool_choice": "auto"})),
        body(json!({"tool_choice": {"type": "tool"}})),
        message(json!("hi")),
        message(json!({"role": "tool", "content": "x"})),
        message(json!({"role": "user"})),
        message(json!({"role": "user", "content": []})),
        message(json!({"role": "user", "content": 7})),
        user(json!({"text": "x"})),
        user(json!({"type": "text"})),
        user(json!({"type": "image"})),
        user(json!({"type": "image", "source": {"type": "url"}})),
        user(json!({"type": "image", "source": {"type": "base64", "data": "x"}})),
        user(json!({"type": "document", "source": "x"})),
        user(json!({"type": "tool_result", "content": "x"})),
        user(json!({"type": "tool_result", "tool_use_id": "c", "is_error": "no"})),
        assistant(json!({"type": "thinking", "thinking": "x"})),
        assistant(json!({"type": "redacted_thinking", "data": ""})),
        assistant(json!({"type": "tool_use", "id": "c", "name": "f"})),
        assistant(json!({"type": "tool_use", "id": "c", "name": "f", "input": "{}"})),
        assistant(json!({"type": "tool_use", "id": "", "name": "f", "input": {}})),
    ];
    let shown = testing::refusals(Dialect::Messages, &mistakes);
    insta::assert_snapshot!(shown);
}

#[test]
fn a_body_to_be_counted_needs_no_cap() {
    let text = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}).to_string();
    let json = Json::parse(text.as_bytes()).unwrap();
    assert_eq!(decode_to_count(text.as_bytes(), &json).unwrap().request.messages.len(), 1);
}

#[test]
fn model_and_cap_are_edited_where_they_stand_and_nothing_else() {
    let text = r#"{ "max_tokens" : 9, "messages":[{"role":"user","content":"max_tokens"}], "model" : "a" }"#;
    let json = Json::parse(text.as_bytes()).unwrap();
    let points = Dialect::Messages.decode(text.as_bytes(), &json).unwrap().edits;
    let edits =
        Edits { model: Some("b".into()), max_tokens: Some(5), cap_field: CapField::OnlyMaxTokens, ..Edits::default() };
    let edited = edit::apply(text.as_bytes(), &points, &edits);
    assert_eq!(edit::verify(&json, &edited, &edits), Ok(()));
    let expected = text.replace(": 9", ": 5").replace("\"a\"", "\"b\"");
    assert_eq!(std::str::from_utf8(&edited).unwrap(), expected);
}

fn any_message() -> impl Strategy<Value = Value> {
    (0..9, ".{1,8}", ".{0,12}", any_value(), extras(), extras()).prop_map(|(kind, name, text, value, extra, inner)| {
        let (role, block) = match kind {
            0 => ("user", json!({"type": "text", "text": text})),
            1 => ("user", json!({"type": "image", "source": {"type": "url", "url": name}})),
            2 => ("user", json!({"type": "document", "title": text, "source": {"type": "base64", "data": name}})),
            3 => ("user", json!({"type": "tool_result", "tool_use_id": name, "content": text})),
            4 => (
                "user",
                json!({"type": "tool_result", "tool_use_id": name, "content": [{"type": "text", "text": text}]}),
            ),
            5 => ("assistant", json!({"type": "thinking", "thinking": text, "signature": name})),
            6 => ("assistant", json!({"type": "redacted_thinking", "data": name})),
            7 => ("assistant", json!({"type": "server_tool_use", "id": name, "input": value})),
            _ => ("user", json!({"type": "search_result", "source": name, "title": text, "content": [value]})),
        };
        extended(json!({"role": role, "content": [extended(block, inner)]}), extra)
    })
}

proptest! {
    #[test]
    fn every_leaf_and_unknown_key_of_a_body_is_among_the_parts(
        messages in prop::collection::vec(any_message(), 1..4),
        extra in extras(),
        (top_k, stop, schema, metadata, system) in (0..i64::from(u32::MAX), ".{1,5}", extras(), extras(), ".{0,8}"),
    ) {
        let body = extended(json!({
            "model": "m", "max_tokens": 7, "messages": messages, "top_k": top_k, "stop_sequences": [stop],
            "metadata": metadata, "stream": true, "system": [extended(json!({"type": "text", "text": system}), extra.clone())],
            "tools": [{"name": "f", "input_schema": schema.clone()}],
            "output_config": {"format": {"type": "json_schema", "schema": schema}},
        }), extra);
        prop_assert!(testing::all_is_among_the_parts(Dialect::Messages, &body)?);
    }

    #[test]
    fn what_a_call_was_given_stands_in_the_parts_as_it_is_and_as_it_is_meant(input in extras()) {
        let block = json!({"type": "tool_use", "id": "c", "name": "f", "input": input});
        let body = message(json!({"role": "assistant", "content": [block.clone()]}));
        let mut wanted = HashMap::new();
        leaves(&block["input"], &mut wanted);
        with(&body.to_string(), |decoded| {
            let parts = decoded.unwrap().parts;
            let arguments: Vec<_> = parts.iter().filter(|part| part.source == Source::ToolArguments).collect();
            prop_assert_eq!(arguments[0].text.as_ref(), block["input"].to_string());
            for text in wanted.keys() {
                prop_assert!(arguments.iter().any(|part| part.text.contains(text)), "{text:?}");
            }
            Ok(())
        })?;
    }

    #[test]
    fn no_json_makes_the_decoder_panic(
        value in any_value(), key in "messages|model|tools|system|thinking|output_config|metadata|tool_choice",
    ) {
        let mut body = body(json!({}));
        body[key] = value;
        with(&body.to_string(), |decoded| drop(decoded));
    }
}

#[test]
fn what_chat_completions_are_told_of_a_body_stands_in_its_parts() {
    use crate::dialect::{Target, Wire, faithful};
    let mut body = everything();
    body["messages"][0]["content"].as_array_mut().unwrap().pop();
    let text = body.to_string();
    let json = Json::parse(text.as_bytes()).unwrap();
    let decoded = Dialect::Messages.decode(text.as_bytes(), &json).unwrap();
    let target = Target { model: "gpt", max_output: 64, cap_field: CapField::MaxTokens, stream_options: true };
    let rendered = Wire::Chat.render(&decoded.request, &target).unwrap();
    assert_eq!(faithful::verify(&rendered.body, &decoded.parts, Wire::Chat.words(Task::Chat), &target), Ok(()));
    assert_eq!(rendered.losses, ["thoughts", "tool_failed", "top_k"]);
}
