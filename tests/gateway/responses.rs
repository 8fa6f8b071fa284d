//! OpenAI's responses: clients that speak them, before providers of every dialect, and providers that do, behind clients
//! of another.

use serde_json::{Value, json};

use crate::harness::{Gateway, Reply, Setup, streamed, user, with};
use crate::sim::{Answer, Break, Fault, Script, Sim};

const PATH: &str = "/v1/responses";

/// What providers speak.
const ALL: [&str; 4] = ["openai", "openai-responses", "anthropic", "gemini"];

/// A gateway before one outside provider that speaks `dialect`.
pub struct World {
    pub far: Sim,
    pub home: Sim,
    pub gateway: Gateway,
}

impl World {
    pub async fn new(dialect: &str, script: Script) -> Self {
        Self::with(Setup::new(), dialect, script).await
    }

    pub async fn with(setup: Setup, dialect: &str, script: Script) -> Self {
        let (far, home) = (Sim::start(script), Sim::start(Script::text("home")));
        let setup = setup.provider_speaking("far", &far, dialect).provider("home", &home);
        Self { gateway: setup.start().await, far, home }
    }

    /// What a client of responses is told.
    async fn respond(&self, body: &Value) -> Reply {
        self.gateway.ask_at(PATH, body, &[]).await
    }

    /// The last body that the provider outside got.
    pub fn received(&self) -> Value {
        serde_json::from_slice(&self.far.requests().last().expect("the provider was asked").body).unwrap()
    }
}

fn asks(text: &str) -> Value {
    json!({"model": "far", "input": text})
}

/// The whole answer, streamed or not, as its `response` object.
fn response(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{}", reply.text());
    if reply.header("content-type") != "text/event-stream" {
        return reply.json();
    }
    let events: Vec<Value> = reply.events().iter().map(|event| serde_json::from_str(event).unwrap()).collect();
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number, "{event}");
    }
    events.last().unwrap()["response"].clone()
}

fn item<'a>(response: &'a Value, kind: &str) -> &'a Value {
    let items = response["output"].as_array().unwrap();
    items.iter().find(|item| item["type"] == kind).unwrap_or_else(|| panic!("no {kind} in {response}"))
}

fn said(response: &Value) -> &str {
    item(response, "message")["content"][0]["text"].as_str().unwrap()
}

fn calling() -> Script {
    Script::answering(Answer::ToolCall { name: "weather".to_owned(), arguments: "{\"city\":\"Ulm\"}".to_owned() })
}

fn weather() -> Value {
    json!([{"type": "function", "name": "weather", "description": "of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}])
}

#[tokio::test]
async fn words_come_whole_and_streamed_whatever_the_provider_speaks() {
    for dialect in ALL {
        let world = World::new(dialect, Script::text("It is a river.\n語 😀")).await;
        for body in [asks("what is it?"), streamed(asks("what is it?"))] {
            let reply = world.respond(&body).await;
            let response = response(&reply);
            assert_eq!(said(&response), "It is a river.\n語 😀", "{dialect}");
            assert_eq!((&response["object"], &response["status"]), (&json!("response"), &json!("completed")));
            assert!(response["usage"]["input_tokens"].as_u64() > Some(0), "{response}");
            assert!(response["id"].as_str().unwrap().starts_with("resp_"));
        }
        let rows = world.gateway.rows(2).await;
        for row in rows {
            assert_eq!(
                (row.dialect, row.served_by.as_deref(), row.status),
                ("openai.responses".into(), Some("far"), 200)
            );
            assert!(!row.usage_estimated && row.output_tokens > Some(0), "{dialect}");
        }
    }
}

#[tokio::test]
async fn a_provider_of_the_same_dialect_gets_the_clients_bytes_and_the_client_the_providers() {
    let world = World::new("openai-responses", Script::text("hi")).await;
    let body =
        r#"{ "model":"far", "input" : [{"role":"user","content":"h\u0069"}], "temperature":0.50, "stream":true }"#;
    let reply = world.gateway.ask_at(PATH, &serde_json::from_str(body).unwrap(), &[]).await;
    assert!(reply.text().contains("\"obfuscation\":\"xxxxxxxxx\""), "the provider's own frames: {}", reply.text());
    let sent = world.received();
    assert_eq!(sent["model"], "gpt-4o-mini");
    assert_eq!(sent["input"][0]["content"], "hi");
    assert!(sent["max_output_tokens"].is_u64() && sent["stream_options"].is_null(), "{sent}");
    assert_eq!(world.far.requests().last().unwrap().path, "/v1/responses");
}

#[tokio::test]
async fn tools_are_called_whole_and_streamed_and_their_results_reach_the_provider() {
    for dialect in ["openai", "openai-responses"] {
        let world = World::new(dialect, calling()).await;
        let body = with(asks("weather in Ulm?"), json!({"tools": weather(), "tool_choice": "required"}));
        for body in [body.clone(), streamed(body.clone())] {
            let response = response(&world.respond(&body).await);
            let call = item(&response, "function_call");
            assert_eq!((&call["name"], &call["arguments"]), (&json!("weather"), &json!("{\"city\":\"Ulm\"}")));
            assert_eq!(response["tools"].as_array().map(Vec::len), Some(if dialect == "openai" { 1 } else { 0 }));
        }
        let call = json!({"type": "function_call", "call_id": "c1", "name": "weather", "arguments": "{}"});
        let result = json!({"type": "function_call_output", "call_id": "c1", "output": "sunny"});
        let input = json!([{"role": "user", "content": "weather?"}, call, result]);
        response(&world.respond(&json!({"model": "far", "input": input, "tools": weather()})).await);
        let sent = world.received();
        match dialect {
            "openai" => {
                assert_eq!(sent["messages"][1]["tool_calls"][0]["function"]["name"], "weather", "{sent}");
                assert_eq!(sent["messages"][2], json!({"role": "tool", "content": "sunny", "tool_call_id": "c1"}));
                assert_eq!(sent["tools"][0]["function"]["name"], "weather");
            }
            _ => assert_eq!(sent["input"], input),
        }
    }
}

#[tokio::test]
async fn forms_images_and_effort_reach_a_provider_of_chat_completions() {
    let world = World::new("openai", Script::text("{\"a\":1}")).await;
    let format = json!({"type": "json_schema", "name": "s", "schema": {"type": "object"}, "strict": true});
    let image = json!({"type": "input_image", "image_url": "https://a.example/b.png"});
    let body = json!({"model": "far", "instructions": "be brief", "text": {"format": format.clone()},
        "reasoning": {"effort": "low", "summary": "auto"}, "metadata": {"a": "b"}, "max_output_tokens": 64,
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "what is it?"}, image]}]});
    let reply = world.respond(&body).await;
    let response = response(&reply);
    assert_eq!((said(&response), &response["text"]["format"]["name"]), ("{\"a\":1}", &json!("s")));
    assert_eq!(response["max_output_tokens"], 64);
    let sent = world.received();
    assert_eq!(
        sent["response_format"]["json_schema"],
        json!({"name": "s", "schema": {"type": "object"}, "strict": true})
    );
    assert_eq!(sent["messages"][0], json!({"role": "system", "content": "be brief"}));
    assert_eq!(sent["messages"][1]["content"][1]["image_url"]["url"], "https://a.example/b.png");
    assert_eq!(sent["reasoning_effort"], "low");
    let warning = reply.header("x-ajar-warning").to_owned();
    assert!(warning.is_empty() || warning.contains("metadata") && warning.contains("reasoning_summary"), "{warning}");
}

#[tokio::test]
async fn an_answer_that_is_cut_short_says_so() {
    for dialect in ALL {
        let world = World::new(dialect, Script::text("one two three four five six")).await;
        for body in [asks("count"), streamed(asks("count"))] {
            let response = response(&world.respond(&with(body, json!({"max_output_tokens": 3}))).await);
            assert_eq!(response["status"], "incomplete", "{dialect}");
            assert_eq!(response["incomplete_details"]["reason"], "max_output_tokens");
        }
    }
}

#[tokio::test]
async fn errors_have_openais_shape_and_a_broken_stream_no_end() {
    for dialect in ["openai", "openai-responses"] {
        let setup = || Setup::new().policy("candidates: [far, home]", "candidates: [far]");
        let world =
            World::with(setup(), dialect, Script::text("x").fault(Fault::Status { status: 400, retry_after: None }));
        let reply = world.await.respond(&asks("hi")).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "upstream_rejected"), "{}", reply.text());

        let cut = Fault::Cut { after: 7, how: Break::Fin };
        let world = World::with(setup(), dialect, Script::answering(Answer::Tokens(20)).fault(cut)).await;
        let reply = world.respond(&streamed(asks("hi"))).await;
        assert_eq!(reply.status, 200);
        let last: Value = serde_json::from_str(reply.events().last().unwrap()).unwrap();
        assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("upstream_broken")), "{dialect}: {last}");
        assert!(!reply.text().contains("response.completed"), "{}", reply.text());
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_body_is_told_by_its_field() {
    let world = World::new("openai", Script::text("x")).await;
    for (body, field) in [
        (json!({"model": "far"}), "input"),
        (json!({"model": "far", "input": [{"role": "user", "content": 7}]}), "input[0].content"),
        (json!({"model": "far", "input": "x", "background": true}), "background"),
    ] {
        let reply = world.respond(&body).await;
        assert_eq!((reply.status, reply.error().1.as_deref()), (400, Some(field)));
    }
    assert!(world.far.requests().is_empty());
}

/// Every field that may hold text, each with a card number in it.
fn fields() -> Vec<Value> {
    const CARD: &str = "4111 1111 1111 1111";
    let item = |item: Value| json!({"input": ["?", item]});
    let part = |part: Value| item(json!({"role": "user", "content": [part]}));
    let mut bodies = vec![
        json!({"input": CARD}),
        json!({"instructions": CARD}),
        json!({"user": CARD}),
        json!({"safety_identifier": CARD}),
        json!({"prompt_cache_key": CARD}),
        json!({"service_tier": CARD}),
        json!({"include": [CARD]}),
        json!({"metadata": {"a": CARD}}),
        json!({"metadata": {CARD: "a"}}),
        json!({CARD: 1}),
        json!({"prompt": {"variables": {"a": CARD}}}),
        json!({"reasoning": {"effort": CARD}}),
        json!({"reasoning": {"summary": CARD}}),
        json!({"text": {"verbosity": CARD}}),
        json!({"text": {"format": {"type": "json_schema", "name": "s", "schema": {"title": CARD}}}}),
        json!({"tools": [{"type": "function", "name": CARD}]}),
        json!({"tools": [{"type": "function", "name": "f", "description": CARD}]}),
        json!({"tools": [{"type": "function", "name": "f", "parameters": {"properties": {CARD: {}}}}]}),
        json!({"tools": [{"type": "mcp", "server_url": CARD}]}),
        json!({"tools": [{"type": "function", "name": "f"}], "tool_choice": {"type": "function", "name": CARD}}),
        json!({"stream_options": {"x": CARD}}),
        part(json!({"type": "input_text", "text": CARD})),
        part(json!({"type": "input_text", "text": "a", "note": CARD})),
        part(json!({"type": "input_image", "image_url": CARD})),
        part(json!({"type": "input_file", "file_data": CARD})),
        part(json!({"type": "input_file", "filename": CARD, "file_id": "f"})),
        item(json!({"role": "assistant", "content": [{"type": "output_text", "text": CARD}]})),
        item(
            json!({"role": "assistant", "content": [{"type": "output_text", "text": "", "annotations": [{"url": CARD}]}]}),
        ),
        item(json!({"role": "assistant", "content": [{"type": "refusal", "refusal": CARD}]})),
        item(
            json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": json!({"a": CARD}).to_string()}),
        ),
        item(json!({"type": "function_call", "call_id": CARD, "name": "f", "arguments": ""})),
        item(json!({"type": "function_call_output", "call_id": "c", "output": CARD})),
        item(json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": CARD}]})),
        item(json!({"type": "reasoning", "id": "r", "summary": [], "encrypted_content": CARD})),
        item(json!({"type": "unheard_of", "what": {"deep": [CARD]}})),
    ];
    for body in &mut bodies {
        if body["input"].is_null() {
            body["input"] = "hi".into();
        } else if body["input"][0] == "?" {
            body["input"][0] = json!({"role": "user", "content": "hi"});
        }
    }
    bodies
}

#[tokio::test]
async fn what_must_stay_home_stays_home_from_every_field() {
    for dialect in ALL {
        let world = World::new(dialect, Script::text("far")).await;
        let fields = fields();
        for body in &fields {
            let body = with(body.clone(), json!({"model": "auto"}));
            let reply = world.respond(&body).await;
            assert!([200, 422].contains(&reply.status), "{body}: {}", reply.text());
        }
        assert!(world.far.requests().is_empty(), "{dialect}");
        assert!(world.home.counts().requests > 10);
        for row in world.gateway.rows(fields.len()).await {
            assert_eq!(row.class.as_deref(), Some("restricted"));
        }
    }
}

#[tokio::test]
async fn a_client_of_chat_completions_is_served_by_a_provider_of_responses() {
    let thought = Answer::Thought { thought: "hm, a river".to_owned(), text: "a river".to_owned() };
    let call = Answer::ToolCall { name: "f".to_owned(), arguments: "{\"a\":1}".to_owned() };
    let script = Script::text("It is.").when("think", thought).when("call", call);
    let world = World::new("openai-responses", script).await;
    let ask = |text: &str| with(user(text), json!({"model": "far", "stream_options": null}));
    for body in [ask("say"), streamed(ask("say"))] {
        let reply = world.gateway.ask(&body).await;
        assert_eq!((reply.status, reply.content().as_str()), (200, "It is."), "{}", reply.text());
    }
    assert!(world.gateway.ask(&streamed(ask("say"))).await.text().ends_with("data: [DONE]\n\n"));
    let reply = world.gateway.ask(&ask("think")).await.json();
    assert_eq!(reply["choices"][0]["message"]["reasoning_content"], "hm, a river");
    let tools = json!({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
        "response_format": {"type": "json_object"}, "seed": 7});
    let called = world.gateway.ask(&with(ask("call"), tools.clone())).await;
    let choice = &called.json()["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["tool_calls"][0]["function"]["arguments"]),
        (&json!("tool_calls"), &json!("{\"a\":1}"))
    );
    let sent = world.received();
    assert_eq!((&sent["store"], &sent["text"]["format"]["type"]), (&json!(false), &json!("json_object")), "{sent}");
    assert_eq!(sent["tools"][0]["name"], "f");
    let calls = world.gateway.ask(&streamed(with(ask("call"), tools))).await.text();
    assert!(calls.contains("\"tool_calls\"") && calls.ends_with("data: [DONE]\n\n"), "{calls}");
}

/// With answers kept up to a class.
pub fn keeping(accepts: &str) -> Setup {
    let kept = format!("  kept:  {{ via: sink/responses, boundary: host, accepts: {accepts} }}\n  log: ");
    Setup::new().policy("  log: ", &kept)
}

fn continuing(id: &str, model: &str, text: &str) -> Value {
    json!({"model": model, "input": text, "previous_response_id": id})
}

async fn asked(world: &World, body: &Value) -> String {
    response(&world.respond(body).await)["id"].as_str().unwrap().to_owned()
}

fn referring(items: &[&Value], text: &str) -> Value {
    let references = items.iter().map(|item| json!({"type": "item_reference", "id": item["id"]}));
    let asked = |text| json!({"role": "user", "content": text});
    let input = [asked("hello")].into_iter().chain(references).chain([asked(text)]);
    json!({"model": "far", "input": input.collect::<Vec<_>>()})
}

#[tokio::test]
async fn items_of_answers_that_are_kept_may_be_referred_to_wherever_they_are_served() {
    let thought = Answer::Thought { thought: "hm".to_owned(), text: "the Danube".to_owned() };
    for dialect in ["openai", "anthropic", "gemini"] {
        let world = World::with(keeping("public"), dialect, Script::answering(thought.clone())).await;
        let one = response(&world.respond(&with(asks("name a river"), json!({"instructions": "be brief"}))).await);
        let body = referring(&[item(&one, "reasoning"), item(&one, "message")], "and another?");
        assert_eq!(said(&response(&world.respond(&body).await)), "the Danube", "{dialect}");
        assert!(world.received().to_string().contains("the Danube"), "{dialect}: {}", world.received());
        let unheard = json!({"id": "msg_01M8KS1N32DDBG3XVPWFRNAYPX_0"});
        let reply = world.respond(&referring(&[&unheard], "and?")).await;
        assert_eq!((reply.status, reply.error()), (400, ("item_not_found".to_owned(), Some("input".to_owned()))));
    }
}

#[tokio::test]
async fn what_is_referred_to_is_looked_at_as_if_it_had_been_sent() {
    let world = World::with(keeping("public"), "openai", Script::text("4111 1111 1111 1111")).await;
    let one = response(&world.respond(&asks("a card number, please")).await);
    let reply =
        world.respond(&with(referring(&[item(&one, "message")], "is it valid?"), json!({"model": "auto"}))).await;
    assert_eq!(said(&response(&reply)), "home");
    assert_eq!(world.far.requests().len(), 1);
}

#[tokio::test]
async fn a_conversation_goes_on_by_an_answers_id_wherever_it_is_served() {
    let call = Answer::ToolCall { name: "f".to_owned(), arguments: "{}".to_owned() };
    for first in [asks("name a river"), streamed(asks("name a river"))] {
        let script = Script::text("the Danube").when("call", call.clone());
        let world = World::with(keeping("public"), "openai-responses", script).await;
        let one = asked(&world, &with(first, json!({"instructions": "be brief"}))).await;
        let tools = json!({"tools": [{"type": "function", "name": "f"}]});
        let two = asked(&world, &with(continuing(&one, "far", "call f"), tools.clone())).await;
        let sent = world.received();
        assert_eq!(sent["previous_response_id"], Value::Null);
        assert_eq!(sent["input"].as_array().map(Vec::len), Some(3), "{sent}");
        let call_id = response(&world.gateway.get(world.gateway.data(&format!("{PATH}/{two}"))).await);
        let call_id = item(&call_id, "function_call")["call_id"].clone();
        let result = json!([{"type": "function_call_output", "call_id": call_id, "output": "done"}]);
        let third = with(continuing(&two, "home", ""), json!({"input": result}));
        let third = response(&world.respond(&with(third, tools)).await);
        assert_eq!((said(&third), &third["previous_response_id"]), ("home", &json!(two)));
        let home = &world.home.requests()[0];
        let messages = serde_json::from_slice::<Value>(&home.body).unwrap()["messages"].clone();
        assert_eq!(
            messages,
            json!([
            {"role": "user", "content": "name a river"},
            {"role": "assistant", "content": "the Danube"},
            {"role": "user", "content": "call f"},
            {"role": "assistant", "tool_calls": [
                {"id": call_id, "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "content": "done", "tool_call_id": call_id}])
        );
    }
}

#[tokio::test]
async fn what_is_not_kept_cannot_be_continued() {
    let missing = async |world: &World, id: &str, headers: &[(&str, &str)]| {
        let reply = world.gateway.ask_at(PATH, &continuing(id, "far", "go on"), headers).await;
        let expected = ("previous_response_not_found".to_owned(), Some("previous_response_id".to_owned()));
        assert_eq!((reply.status, reply.error()), (400, expected));
    };
    // Nobody said that answers may be kept.
    let world = World::new("openai", Script::text("x")).await;
    let id = asked(&world, &asks("hi")).await;
    missing(&world, &id, &[]).await;

    let world = World::with(keeping("public"), "openai", Script::text("x")).await;
    let id = asked(&world, &with(asks("hi"), json!({"store": false}))).await;
    missing(&world, &id, &[]).await;
    missing(&world, "resp_unheard_of", &[]).await;
    let label = [("x-ajar-label", "restricted")];
    let restricted = response(&world.gateway.ask_at(PATH, &asks("hi"), &label).await);
    missing(&world, restricted["id"].as_str().unwrap(), &[]).await;

    let world = World::with(keeping("public").set("responses.ttl", "50ms"), "openai", Script::text("x")).await;
    let id = asked(&world, &asks("hi")).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    missing(&world, &id, &[]).await;
}

#[tokio::test]
async fn a_tenant_continues_and_reads_only_its_own_answers() {
    let mut setup = keeping("public");
    let keys = ["a", "b"].map(|name| format!("Bearer {}", setup.key(name, "")));
    let world = World::with(setup, "openai", Script::text("x")).await;
    let headers = |key: usize| [("authorization", keys[key].as_str())];
    let one = response(&world.gateway.ask_at(PATH, &asks("hi"), &headers(0)).await);
    let id = one["id"].as_str().unwrap();
    let go_on = continuing(id, "far", "go on");
    assert_eq!(world.gateway.ask_at(PATH, &go_on, &headers(1)).await.status, 400);
    assert_eq!(world.gateway.ask_at(PATH, &go_on, &headers(0)).await.status, 200);
    let url = world.gateway.data(&format!("{PATH}/{id}"));
    let send = async |method: reqwest::Method, key: usize| {
        let request = world.gateway.client.request(method, &url).header("authorization", &keys[key]);
        Reply::read(request.send().await.unwrap()).await
    };
    let (get, delete) = (reqwest::Method::GET, reqwest::Method::DELETE);
    assert_eq!(send(get.clone(), 0).await.json(), one);
    assert_eq!([send(get.clone(), 1).await.status, send(delete.clone(), 1).await.status], [404, 404]);
    assert_eq!(world.gateway.get(url.clone()).await.status, 404, "nobody's tenant");
    assert_eq!(send(delete, 0).await.json()["deleted"], true);
    assert_eq!([send(get, 0).await.status, world.gateway.ask_at(PATH, &go_on, &headers(0)).await.status], [404, 400]);
}

#[tokio::test]
async fn what_was_said_before_is_classified_with_what_follows_and_nothing_of_it_leaves() {
    for dialect in ALL {
        let world = World::with(keeping("restricted"), dialect, Script::text("far")).await;
        let auto = |body: Value| with(body, json!({"model": "auto"}));
        let one = asked(&world, &auto(asks("is 4111 1111 1111 1111 a valid card?"))).await;
        let two = response(&world.respond(&auto(continuing(&one, "", "and now?"))).await);
        let three = response(&world.respond(&auto(continuing(two["id"].as_str().unwrap(), "", "thanks"))).await);
        assert_eq!((said(&two), said(&three)), ("home", "home"));
        assert!(world.far.requests().is_empty(), "{dialect}");
        assert!(world.gateway.rows(3).await.iter().all(|row| row.class.as_deref() == Some("restricted")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pseudonyms_leave_and_originals_come_back_also_in_what_is_continued() {
    const MAIL: &str = "maria.gonzalez@corp.com";
    let kept = "  kept:  { via: sink/responses, boundary: host, accepts: restricted }\n  log: ";
    let policy = crate::pseudonyms::policy("tag").replace("  log: ", kept);
    for dialect in ALL {
        let world = World::with(Setup::new().whole_policy(policy.clone()), dialect, Script::echo()).await;
        for first in [asks(MAIL), streamed(asks(MAIL))] {
            let one = response(&world.respond(&first).await);
            assert_eq!(said(&one), MAIL, "{dialect}");
            let two = continuing(one["id"].as_str().unwrap(), "far", "and now?");
            assert_eq!(said(&response(&world.respond(&two).await)), "and now?", "{dialect}");
        }
        assert_eq!(world.far.counts().requests, 4);
        assert!(!world.far.saw("maria.gonzalez"), "{dialect}");
        assert!(world.gateway.rows(4).await.iter().all(|row| row.class.as_deref() == Some("internal")));
    }
}

#[tokio::test]
async fn what_a_kept_answer_was_given_is_listed_for_its_tenant_alone() {
    let mut setup = keeping("public");
    let (mine, other) = (setup.key("mine", ""), setup.key("other", ""));
    let world = World::with(setup, "openai", Script::text("the Danube")).await;
    let bearer = |key: &str| format!("Bearer {key}");
    let ask = async |body: Value| {
        let reply = world.gateway.ask_at(PATH, &body, &[("authorization", &bearer(&mine))]).await;
        response(&reply)["id"].as_str().unwrap().to_owned()
    };
    let one = ask(asks("name a river")).await;
    let two = ask(continuing(&one, "far", "and another")).await;
    let list = async |key: &str, query: &str| {
        let url = world.gateway.data(&format!("{PATH}/{two}/input_items{query}"));
        let request = world.gateway.client.get(url).header("authorization", bearer(key));
        Reply::read(request.send().await.unwrap()).await
    };
    let listed = list(&mine, "?order=asc").await.json();
    let texts: Vec<&str> =
        listed["data"].as_array().unwrap().iter().map(|item| item["content"][0]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["name a river", "the Danube", "and another"], "{listed}");
    assert_eq!((&listed["object"], &listed["has_more"]), (&json!("list"), &json!(false)));
    assert_eq!(list(&mine, "?limit=1").await.json()["data"][0]["content"][0]["text"], "and another");
    assert_eq!(list(&mine, "?limit=0").await.status, 400);
    assert_eq!(list(&other, "").await.status, 404);
    assert_eq!(list("ajar-none", "").await.status, 401);
}
