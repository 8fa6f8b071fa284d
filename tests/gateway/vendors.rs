//! Servers that speak OpenAI's chat completions with ways of their own, reached by configuration only: what docs/providers.md
//! says of each.

use serde_json::{Value, json};

use crate::harness::{Gateway, Setup, streamed, user, with};
use crate::sim::{Answer, Fault, Quirk, Script, Sim};

/// The fields that docs/providers.md gives it, but for the URL.
fn fields(quirk: Quirk) -> (&'static str, &'static str) {
    match quirk {
        Quirk::Azure => ("azure-openai", "credential: { file: TOKEN }"),
        Quirk::Mistral => ("openai", "credential: { file: TOKEN }, stream_options: false"),
        _ => ("openai", "credential: { file: TOKEN }"),
    }
}

struct World {
    far: Sim,
    gateway: Gateway,
}

impl World {
    async fn new(quirk: Quirk, script: Script) -> Self {
        let far = Sim::start(script.quirk(quirk).bearer("key-1"));
        let (dialect, fields) = fields(quirk);
        let url = match quirk {
            Quirk::Azure => far.base_url().replace("/v1", "/openai/v1"),
            _ => far.base_url(),
        };
        Self::at(far, dialect, &url, fields).await
    }

    async fn at(far: Sim, dialect: &str, url: &str, fields: &str) -> Self {
        let setup = Setup::new().policy("[far, home]", "[far]").provider("home", &far);
        let token = setup.folder().join("token");
        std::fs::write(&token, "key-1").unwrap();
        let fields = fields.replace("TOKEN", &token.display().to_string());
        let provider = format!("  far: {{ dialect: {dialect}, base_url: \"{url}\", {fields} }}\n");
        Self { far, gateway: setup.provider_line(&provider).start().await }
    }

    fn received(&self) -> Value {
        serde_json::from_slice(&self.far.requests().last().expect("the provider was asked").body).unwrap()
    }
}

fn thinking() -> Script {
    let answer = Answer::Thought { thought: "hm, a river".to_owned(), text: "It is a river.\n語 😀".to_owned() };
    Script::answering(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grammar_goes_to_nobody_but_who_is_said_to_hold_answers_to_it() {
    let grammar = json!({"grammar": "root ::= [a-z]+"});
    for fields in ["grammars: true", "grammars: false"] {
        let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
        let gateway = Setup::new().provider("far", &far).provider_at("home", &home.base_url(), fields).start().await;
        let reply = gateway.ask(&with(user("what?"), grammar.clone())).await;
        if fields == "grammars: true" {
            assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "home"), "{}", reply.text());
            let sent: Value = serde_json::from_slice(&home.requests()[0].body).unwrap();
            assert_eq!(sent["grammar"], grammar["grammar"]);
        } else {
            assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (422, Some("capability_missing")));
            assert_eq!(home.counts().requests, 0);
        }
        assert_eq!(far.counts().requests, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_in_a_servers_own_field_reaches_who_knows_that_as_it_is_and_others_as_response_format() {
    let setup = |far: &Sim, fields: &str| {
        Setup::new().provider_at("far", &far.base_url(), fields).provider_at("home", &far.base_url(), fields)
    };
    let schema = json!({ "type": "object", "properties": { "river": { "type": "string" } } });
    for own in [
        json!({ "guided_json": schema }),
        json!({ "structured_outputs": { "json": schema } }),
        json!({ "json_schema": schema }),
    ] {
        for fields in ["grammars: true", "grammars: false"] {
            let far = Sim::start(Script::text("a river"));
            let gateway = setup(&far, fields).start().await;
            let asked = with(user("what?"), own.clone());
            let reply = gateway.ask(&asked).await;
            assert_eq!((reply.status, reply.content().as_str()), (200, "a river"), "{}", reply.text());
            let sent: Value = serde_json::from_slice(&far.requests()[0].body).unwrap();
            let key = own.as_object().unwrap().keys().next().unwrap();
            if fields == "grammars: true" {
                assert_eq!((&sent[key], &sent["response_format"]), (&own[key], &Value::Null));
            } else {
                let form = json!({ "name": "answer", "schema": schema, "strict": true });
                let form = json!({ "type": "json_schema", "json_schema": form });
                assert_eq!((sent.get(key), &sent["response_format"]), (None, &form));
            }
            assert_eq!(sent["messages"], asked["messages"]);
        }
    }
    // What has no other word is refused, as it could not be sent.
    let far = Sim::start(Script::text("a river"));
    let gateway = setup(&far, "grammars: false").start().await;
    for beside in [json!({ "x_extra": true }), json!({ "guided_regex": "a" })] {
        let form = if beside.get("x_extra").is_some() { json!({ "guided_json": schema }) } else { json!({}) };
        let reply = gateway.ask(&with(with(user("what?"), form), beside)).await;
        assert_eq!((reply.status, reply.json()["error"]["code"].as_str()), (422, Some("capability_missing")));
    }
    assert_eq!(far.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_names_what_the_request_uses_and_nobody_there_can_do() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let grammar = with(user("what?"), json!({"grammar": "root ::= [a-z]+"}));
    for (fields, status, told) in [
        ("grammars: false", 422, "no model that may answer this request can do what it uses (`grammar`)"),
        (
            "grammars: true, credential: { env: AJAR_TEST_IS_NOT_SET }",
            503,
            "no model that may answer this request and can do what it uses (`grammar`) is available now",
        ),
    ] {
        let setup = Setup::new().provider_at("far", &far.base_url(), fields).provider("home", &home);
        let reply = setup.start().await.ask(&grammar).await;
        let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert_eq!((reply.status, message.split(';').next()), (status, Some(told)), "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn words_and_counts_come_whole_and_streamed_from_every_vendor() {
    for quirk in Quirk::ALL {
        let world = World::new(quirk, thinking()).await;
        let usage = json!({"stream_options": {"include_usage": true}, "max_completion_tokens": 64});
        let asked = [user("what?"), streamed(user("what?")), with(streamed(user("what?")), usage)];
        for body in &asked {
            let reply = world.gateway.ask(body).await;
            assert_eq!(reply.status, 200, "{quirk:?}: {}", reply.text());
            let text = reply.text();
            assert!(text.contains("river.") && text.contains("語"), "{quirk:?}: {text}");
            let is_stream = body["stream"] == true;
            assert_eq!(is_stream, text.ends_with("data: [DONE]\n\n"), "{quirk:?}: {text}");
            let sent = world.received();
            let cap = if quirk == Quirk::Azure { "max_completion_tokens" } else { "max_tokens" };
            assert!(sent[cap].is_u64(), "{quirk:?}: {sent}");
            let asks = is_stream && quirk != Quirk::Mistral;
            assert_eq!(sent.get("stream_options").is_some(), asks, "{quirk:?}: {sent}");
        }
        for row in world.gateway.rows(asked.len()).await {
            let counted = (row.usage_estimated, row.output_tokens > Some(0), row.input_tokens > Some(0));
            assert_eq!(counted, (false, true, true), "{quirk:?}: {row:#?}");
            let cached = match quirk {
                Quirk::DeepSeek => Some(2),
                // They say nothing of it, which is not none.
                Quirk::Vllm | Quirk::Sglang | Quirk::Ollama => None,
                _ => Some(0),
            };
            assert_eq!(row.cached_tokens, cached, "{quirk:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_reach_clients_of_other_dialects_wherever_the_vendor_keeps_them() {
    for quirk in Quirk::ALL {
        let world = World::new(quirk, thinking()).await;
        let body = with(user("what?"), json!({"max_tokens": 64}));
        let reply = world.gateway.ask_at("/v1/messages", &body, &[]).await.json();
        let blocks: Vec<(&Value, &Value)> = reply["content"]
            .as_array()
            .unwrap_or_else(|| panic!("{quirk:?}: {reply}"))
            .iter()
            .map(|block| (&block["thinking"], &block["text"]))
            .collect();
        let (thought, text) = (json!("hm, a river"), json!("It is a river.\n語 😀"));
        let expected = [(&thought, &Value::Null), (&Value::Null, &text)];
        let expected = if quirk == Quirk::Azure { &expected[1..] } else { &expected };
        assert_eq!(blocks, expected, "{quirk:?}");
        let stream = world.gateway.ask_at("/v1/messages", &streamed(body), &[]).await.text();
        assert_eq!(stream.contains("thinking_delta"), quirk != Quirk::Azure, "{quirk:?}: {stream}");
        assert!(stream.contains("message_stop"), "{quirk:?}: {stream}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_finds_wrong_is_told_in_its_words_whatever_their_shape() {
    for quirk in Quirk::ALL {
        for status in [400, 422] {
            let world = World::new(quirk, Script::text("x").fault(Fault::Status { status, retry_after: None })).await;
            let reply = world.gateway.ask(&user("hi")).await;
            assert_eq!((reply.status, reply.error().0.as_str()), (400, "upstream_rejected"), "{quirk:?}");
            let error = reply.json();
            assert_eq!(error["error"]["message"], "The request was refused.", "{quirk:?}: {error}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_in_the_middle_is_no_end_whatever_its_shape() {
    for quirk in Quirk::ALL {
        let script = Script::answering(Answer::Tokens(20)).fault(Fault::ErrorEvent { after: 6 });
        let world = World::new(quirk, script).await;
        for path in ["/v1/chat/completions", "/v1/messages"] {
            let body = with(streamed(user("hi")), json!({"max_tokens": 64}));
            let reply = world.gateway.ask_at(path, &body, &[]).await;
            let text = reply.text();
            assert!(text.contains("upstream_error"), "{quirk:?} {path}: {text}");
            assert!(!text.contains("[DONE]") && !text.contains("message_stop"), "{quirk:?} {path}: {text}");
        }
        let rows = world.gateway.rows(2).await;
        assert!(rows.iter().all(|row| row.reason.as_deref() == Some("upstream_error")), "{quirk:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn azure_is_called_as_its_own_client_calls_it_in_both_forms() {
    let forms = [
        ("/openai/v1", "", "/openai/v1/chat/completions"),
        ("/openai/v1", "api_version: preview,", "/openai/v1/chat/completions?api-version=preview"),
        (
            "/openai",
            "api_version: 2024-10-21,",
            "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21",
        ),
    ];
    for (base, version, path) in forms {
        for header in ["api-key", "authorization"] {
            let far = Sim::start(Script::text("from azure").quirk(Quirk::Azure).bearer("key-1"));
            let url = far.base_url().replace("/v1", base);
            // A token of Entra is a bearer token.
            let fields = format!("{version} credential: {{ file: TOKEN }}, credential_header: {header}");
            let world = World::at(far, "azure-openai", &url, &fields).await;
            for body in [user("hi"), streamed(user("hi"))] {
                let reply = world.gateway.ask(&body).await;
                assert_eq!((reply.status, reply.content().as_str()), (200, "from azure"), "{}", reply.text());
            }
            let request = world.far.requests().pop().unwrap();
            assert_eq!(request.path, path);
            let sent = if header == "api-key" { "key-1" } else { "Bearer key-1" };
            assert_eq!(request.headers[header], sent);
            let other = if header == "api-key" { "authorization" } else { "api-key" };
            assert!(!request.headers.contains_key(other));
        }
    }
}
