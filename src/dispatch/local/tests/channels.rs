//! Answers in channels, on a template in the manner of gpt-oss.

use super::markers::tiny;
use super::tools::{call, conversation, texts};
use super::*;
use crate::chat::request::{Function, Tool, ToolCall, ToolChoice};

/// Written for these tests.
pub(super) const CHANNELS: &str = r#"
{{- '<|start|>system<|message|>Think: ' + (reasoning_effort or 'medium') + '<|end|>' }}
{%- set rest = messages[1:] if messages[0].role == 'system' else messages %}
{%- if tools or messages[0].role == 'system' %}
    {{- '<|start|>developer<|message|>' + (messages[0].content if messages[0].role == 'system' else '') }}
    {%- for tool in tools or [] %}
        {{- '\nfunctions.' + tool.function.name + ' // ' + tool.function.description }}
    {%- endfor %}
    {{- '<|end|>' }}
{%- endif %}
{%- set called = namespace(name=none) %}
{%- for message in rest %}
    {%- if 'tool_calls' in message %}
        {%- set made = message.tool_calls[0].function %}
        {%- set called.name = made.name %}
        {{- '<|start|>assistant to=functions.' + made.name + '<|channel|>commentary json<|message|>' }}
        {{- made.arguments | tojson + '<|call|>' }}
    {%- elif message.role == 'tool' %}
        {%- if called.name is none %}{{ raise_exception('nothing was called') }}{% endif %}
        {{- '<|start|>functions.' + called.name + ' to=assistant<|channel|>commentary<|message|>' }}
        {{- message.content | tojson + '<|end|>' }}
    {%- elif message.role == 'assistant' %}
        {{- '<|start|>assistant<|channel|>final<|message|>' + message.content + '<|end|>' }}
    {%- else %}
        {{- '<|start|>user<|message|>' + message.content + '<|end|>' }}
    {%- endif %}
{%- endfor %}
{#- <|channel|>analysis<|message|> is what it may begin with. #}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}
"#;

#[test]
fn a_conversation_is_written_with_one_call_and_its_result_after_the_other() {
    let model = loaded();
    let writer = PromptWriter::with_template(&model, CHANNELS, 4096).unwrap();
    let mut request = conversation("");
    let second = ToolCall { id: "call_2".to_owned(), name: "odd".to_owned(), arguments: "{}".into() };
    let result = Message { tool_call_id: Some("call_2".to_owned()), ..message(Role::Tool, "2") };
    request.messages[2].content = vec![Content::Text("I look.".into())];
    request.messages[2].tool_calls.push(second);
    request.messages.insert(3, result);
    let Tool::Function(odd) = &mut request.tools[1] else { panic!("a function") };
    odd.description = None;
    let prompt = writer.write(&request).unwrap();
    insta::assert_snapshot!(format!("{:?}\n{}", prompt.reading, texts(&model, &prompt.tokens)));
}

#[test]
fn an_answer_without_a_choice_is_begun_by_the_prompt() {
    let model = loaded();
    let writer = PromptWriter::with_template(&model, CHANNELS, 4096).unwrap();
    let asked = conversation("");
    for (choice, format, begun) in [
        (ToolChoice::Auto, ResponseFormat::Text, ""),
        (ToolChoice::Auto, ResponseFormat::JsonObject, ""),
        (ToolChoice::Required, ResponseFormat::Text, "<|channel|>commentary to=functions."),
        (ToolChoice::None, ResponseFormat::JsonObject, "<|channel|>final<|message|>"),
        (ToolChoice::None, ResponseFormat::Text, ""),
    ] {
        let request = ChatRequest { tool_choice: Some(choice), response_format: format, ..asked.clone() };
        let prompt = writer.write(&request).unwrap();
        assert_eq!(prompt.reading.begun, begun);
        assert!(texts(&model, &prompt.tokens).ends_with(&format!("<|start|>assistant{begun}")), "{begun}");
    }
}

#[tokio::test]
async fn a_call_that_must_be_made_and_a_form_that_must_be_kept_are_in_channels_too() {
    let (_folder, config) = tiny(CHANNELS, "<|channel|>");
    let engine = Engine::load(config);
    engine.ready().await.unwrap();
    let schema = r#"{"type": "object", "properties": {"n": {"enum": [1, 2]}}, "required": ["n"], "additionalProperties": false}"#;
    let function = Function { name: "f".to_owned(), parameters: Some(schema.into()), ..Function::default() };
    let asked = |seed| ChatRequest {
        messages: vec![message(Role::User, "Hi.")],
        sampling: Sampling { temperature: Some(1.5), seed: Some(seed), ..Sampling::default() },
        ..ChatRequest::default()
    };
    for seed in 0..8 {
        let tools = vec![Tool::Function(function.clone())];
        let request = ChatRequest { tools, tool_choice: Some(ToolChoice::Required), ..asked(seed) };
        let reply = call(&engine, request, 80).await;
        let made = &reply.choices[0].tool_calls;
        assert_eq!((reply.choices[0].finish, made.len(), made[0].name.as_str()), (FinishReason::ToolCalls, 1, "f"));
        assert!(["{\"n\": 1}", "{\"n\": 2}"].contains(&made[0].arguments.expose()), "{}", made[0].arguments.expose());
        let schema = Schema { schema: Some(schema.into()), strict: Some(true), ..Schema::default() };
        let request = ChatRequest { response_format: ResponseFormat::JsonSchema(schema), ..asked(seed) };
        let reply = call(&engine, request, 80).await;
        assert!(["{\"n\": 1}", "{\"n\": 2}"].contains(&reply.choices[0].text.expose()));
    }
}
