//! The embedded engine with the real default model, under the shipped policy, the simulator in the closed model's place.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

#[path = "../support/gguf.rs"]
#[allow(dead_code, reason = "each that includes it uses a part of it")]
mod gguf;

use self::gguf::GgufFile;
use crate::binary::Served;
use crate::harness::{Gateway, Reply, Setup, client, eventually, streamed, user, with};
use crate::sim::{Script, Sim};

/// A request that only this host may answer.
pub const AT_HOME: [(&str, &str); 1] = [("x-ajar-label", "restricted")];

/// The shipped policy and default model; `make models` fetches the latter.
pub fn setup(engine: &str) -> Setup {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let policy = std::fs::read_to_string(root.join("policies/default/policy.yaml")).unwrap();
    let models = root.join("models");
    Setup::new().whole_policy(policy).section(&format!(
        "models_dir: {}\nlocal:\n  smollm2: {{ model: smollm2-135m, threads: 1, {engine} }}\n",
        models.display()
    ))
}

pub async fn gateway(closed: &Sim, engine: &str) -> Gateway {
    let gateway = setup(engine).provider("openai", closed).start().await;
    let ready = async || gateway.get(gateway.operator("/readyz")).await.status == 200;
    eventually("the model is loaded", ready).await;
    gateway
}

/// The engine's facts as operators see them.
pub async fn engine(gateway: &Gateway) -> Value {
    gateway.get(gateway.operator("/readyz")).await.json()["engines"][0].clone()
}

pub fn local(text: &str, fields: Value) -> Value {
    with(with(user(text), json!({ "model": "local" })), fields)
}

/// A request whose answer does not end before its cap: its end tokens are forbidden.
pub fn endless(text: &str) -> Value {
    local(text, json!({ "max_tokens": 1500, "temperature": 1, "logit_bias": { "0": -100, "2": -100 } }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_answer_and_a_stream_say_the_same_and_count_the_same() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let body = local("Count from one to fifty in words.", json!({ "max_tokens": 12, "temperature": 0 }));
    let whole = gateway.ask(&body).await;
    assert_eq!((whole.status, whole.header("x-ajar-served-by")), (200, "local"), "{}", whole.text());
    let answer = whole.json();
    assert_eq!(answer["object"], "chat.completion");
    assert_eq!(answer["choices"][0]["finish_reason"], "length");
    assert_eq!(answer["usage"]["completion_tokens"], 12);
    assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(8));
    let asked = with(streamed(body), json!({ "stream_options": { "include_usage": true } }));
    let stream = gateway.ask(&asked).await;
    let events = stream.events();
    assert_eq!(events.last().map(String::as_str), Some("[DONE]"));
    assert!(!whole.content().is_empty());
    assert_eq!(stream.content(), whole.content());
    let usage: Value = serde_json::from_str(&events[events.len() - 2]).unwrap();
    for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
        assert_eq!(usage["usage"][count], answer["usage"][count]);
    }
    // The same prompt again: all of it is computed already but its last token, which the answer starts from.
    let cached = &usage["usage"]["prompt_tokens_details"]["cached_tokens"];
    assert_eq!(cached.as_u64().map(|cached| cached + 1), usage["usage"]["prompt_tokens"].as_u64());
    for row in gateway.rows(2).await {
        assert_eq!((row.local, row.output_tokens, row.cost.unwrap().0), (Some(true), Some(12), 0));
        assert_eq!((row.bytes_out, row.usage_estimated), (0, false));
        assert!(row.timing.queue.is_some_and(|queue| queue < row.timing.total), "{:?}", row.timing);
        let sure = row.confidence.expect("the engine measures it");
        assert!(sure.mean_logprob < 0.0 && sure.mean_entropy > 0.0 && sure.first.margin < 1.0, "{sure:?}");
    }
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    for name in ["local_first_margin", "local_surprisal_nats", "local_entropy_nats"] {
        assert!(metrics.contains(&format!("ajar_{name}_count{{destination=\"local\"}} 2")), "{name} in {metrics}");
    }
    assert_eq!(closed.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_on_demand_is_loaded_for_whoever_asks_first_and_never_holds_up_readiness() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 512, sequences: 1, load: on_demand").await;
    assert_eq!(engine(&gateway).await["state"], "unloaded");
    let metric = async |state: &str| {
        let metrics = gateway.get(gateway.operator("/metrics")).await.text();
        metrics.contains(&format!("ajar_local_state{{engine=\"smollm2\",state=\"{state}\"}} 1"))
    };
    assert!(metric("unloaded").await);
    let answer = gateway.ask(&local("Say hello.", json!({ "max_tokens": 4 }))).await;
    assert_eq!((answer.status, answer.header("x-ajar-served-by")), (200, "local"), "{}", answer.text());
    assert_eq!(engine(&gateway).await["state"], "ready");
    assert!(metric("ready").await);
    assert_eq!(engine(&gateway).await["gpu_layers"], 0);
    assert!(
        gateway.get(gateway.operator("/metrics")).await.text().contains("ajar_local_gpu_layers{engine=\"smollm2\"} 0")
    );
    assert_eq!(closed.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_stops_where_it_is_told_to_and_a_seed_repeats_it() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let whole =
        gateway.ask(&local("Name some colours.", json!({ "max_tokens": 30, "temperature": 0 }))).await.content();
    let stop: String = whole.chars().skip(whole.chars().count() / 2).take(4).collect();
    let fields = json!({ "max_tokens": 30, "temperature": 0, "stop": [stop] });
    let stopped = gateway.ask(&local("Name some colours.", fields)).await;
    assert_eq!(stopped.json()["choices"][0]["finish_reason"], "stop");
    assert_eq!(stopped.content(), whole[..whole.find(&stop).unwrap()]);

    let sampled = |seed: u32| local("Invent a name.", json!({ "max_tokens": 16, "temperature": 1, "seed": seed }));
    let (a, b, c) = (gateway.ask(&sampled(7)).await, gateway.ask(&sampled(7)).await, gateway.ask(&sampled(8)).await);
    assert_eq!((a.header("x-ajar-cache"), b.header("x-ajar-cache")), ("bypass", "bypass"));
    assert_eq!(a.content(), b.content());
    assert_ne!(a.content(), c.content());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hard_question_goes_out_and_with_a_card_number_in_it_stays() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let hard = "Prove that every continuous function on a compact metric space is uniformly continuous, then derive \
        the modulus of continuity for f(x) = sqrt(x) on [0, 1] and implement a verified C++ routine that bounds it.";
    let private = format!("{hard} Charge 4111 1111 1111 1111.");
    let kept = gateway.ask(&with(user(&private), json!({ "max_tokens": 8 }))).await;
    assert_eq!((kept.status, kept.header("x-ajar-served-by")), (200, "local"));
    let named = gateway.ask(&with(user(&private), json!({ "max_tokens": 8, "model": "gpt" }))).await;
    assert_eq!((named.status, named.header("x-ajar-served-by")), (200, "local"));
    assert_eq!(closed.connections(), 0);
    let sent = gateway.ask(&user(hard)).await;
    assert_eq!((sent.content().as_str(), sent.header("x-ajar-served-by")), ("closed", "gpt"));
    let rows = gateway.rows(3).await;
    let classes: Vec<_> = rows.iter().map(|row| row.class.as_deref().unwrap()).collect();
    assert_eq!(classes, ["restricted", "restricted", "internal"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_sends_elsewhere_whoever_may_go_and_the_others_away_for_a_while() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 2048, sequences: 1, queue: 1").await;
    let first = gateway.open(streamed(endless("one")).to_string(), &AT_HOME).await;
    let waiting = endless("two");
    let second = gateway.ask_with(&waiting, &AT_HOME);
    let third = async {
        let is_full = async || engine(&gateway).await["queue"] == 1 && engine(&gateway).await["free_slots"] == 0;
        eventually("the queue is full", is_full).await;
        let refused = gateway.ask_with(&endless("three"), &AT_HOME).await;
        assert_eq!((refused.status, refused.error().0.as_str()), (503, "local_queue_full"));
        assert!(refused.header("retry-after").parse::<u64>().is_ok_and(|seconds| seconds >= 1));
        assert_eq!(gateway.ask(&endless("four")).await.content(), "closed");
    };
    tokio::select! {
        answer = second => panic!("answered before its turn: {answer:?}"),
        () = third => {}
    }
    drop(first);
    eventually("the engine is idle", async || engine(&gateway).await["free_slots"] == 1).await;
    let mut outcomes: Vec<_> = gateway.rows(4).await.iter().map(|row| row.outcome.name()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, ["answered", "failed", "hung_up", "hung_up"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_longer_than_the_context_is_refused_also_where_only_the_tokeniser_knows() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 512, sequences: 1").await;
    // The second has about a token per character, four times what the estimate from above can exclude.
    for text in ["word ".repeat(2000), "7 ? 3 ! ".repeat(180)] {
        let reply = gateway.ask_with(&user(&text), &AT_HOME).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "context_length_exceeded"), "{}", text.len());
    }
    let rows = gateway.rows(2).await;
    assert!(rows.iter().all(|row| row.outcome.name() == "invalid"), "{rows:#?}");
    assert_eq!(closed.connections(), 0);
    let reply = gateway.ask_with(&with(user("hello"), json!({ "max_tokens": 4 })), &AT_HOME).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_frees_its_slot() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 2048, sequences: 1").await;
    let mut answer = gateway.open(streamed(endless("Tell a long story.")).to_string(), &AT_HOME).await;
    answer.chunk().await.unwrap().expect("the stream has begun");
    assert_eq!(engine(&gateway).await["free_slots"], 0);
    drop(answer);
    let left = std::time::Instant::now();
    eventually("the slot is free", async || engine(&gateway).await["free_slots"] == 1).await;
    assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
    let row = gateway.rows(1).await.remove(0);
    assert_eq!((row.outcome.name(), row.status, row.usage_estimated), ("hung_up", 499, true));
    assert!(row.output_tokens < Some(1500));
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_counted_as_the_named_model_reads_them_and_estimated_for_who_names_none() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 1").await;
    let body = with(user("Count from one to fifty in words."), json!({ "model": "local", "max_tokens": 1 }));
    let counted = gateway.ask_at("/v1/messages/count_tokens", &body, &[]).await;
    let answered = gateway.ask_at("/v1/messages", &body, &[]).await.json();
    assert_eq!(counted.json()["input_tokens"], answered["usage"]["input_tokens"], "{answered}");
    assert_eq!(counted.header("x-ajar-warning"), "");
    let any = gateway.ask_at("/v1/messages/count_tokens", &with(body, json!({ "model": "auto" })), &[]).await;
    assert_eq!(any.header("x-ajar-warning"), "estimated");
    // Its template adds a system prompt, of which the estimate by length knows nothing.
    let short = with(user("hi"), json!({ "model": "local" }));
    let tokens = async |model: &str| {
        let body = with(short.clone(), json!({ "model": model }));
        gateway.ask_at("/v1/messages/count_tokens", &body, &[]).await.json()["input_tokens"].as_u64().unwrap()
    };
    assert!(tokens("local").await > 20 && tokens("auto").await >= tokens("local").await);
    assert_eq!(gateway.rows(1).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_the_queue_or_a_whole_answer_frees_its_place_and_leaves_one_record() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 2048, sequences: 1").await;
    let facts = async |name: &str, value: u64| {
        eventually(name, async || engine(&gateway).await[name] == value).await;
    };
    let whole = gateway.open(endless("Tell a long story.").to_string(), &AT_HOME);
    let at_work = async {
        facts("free_slots", 0).await;
        let waiting = gateway.open(endless("Tell another.").to_string(), &AT_HOME);
        tokio::select! {
            _ = waiting => panic!("answered out of turn"),
            () = facts("queue", 1) => {}
        }
        let left = std::time::Instant::now();
        facts("queue", 0).await;
        assert!(left.elapsed() < Duration::from_secs(2), "{:?}", left.elapsed());
        assert_eq!(engine(&gateway).await["free_slots"], 0, "the other is still at work");
    };
    tokio::select! {
        _ = whole => panic!("answered too soon"),
        () = at_work => {}
    }
    facts("free_slots", 1).await;
    let rows = gateway.rows(2).await;
    assert!(rows.iter().all(|row| (row.outcome.name(), row.status) == ("hung_up", 499)), "{rows:#?}");
    assert_eq!(closed.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_choices_come_whole_and_streamed_with_their_indices() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let body = local("Name some colours.", json!({ "max_tokens": 8, "temperature": 0, "n": 3 }));
    let whole = gateway.ask(&body).await.json();
    let choices = whole["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 3, "{whole}");
    let content = |index: usize| choices[index]["message"]["content"].as_str().unwrap();
    assert!(!content(0).is_empty() && content(1) == content(0) && content(2) == content(0));
    assert!(choices.iter().enumerate().all(|(index, choice)| choice["index"] == index));
    assert_eq!(whole["usage"]["completion_tokens"], 24);
    let mut streamed_texts = vec![String::new(); 3];
    for event in gateway.ask(&streamed(body)).await.events() {
        let Ok(chunk) = serde_json::from_str::<Value>(&event) else { continue };
        for choice in chunk["choices"].as_array().unwrap() {
            let text = choice["delta"]["content"].as_str().unwrap_or_default();
            streamed_texts[choice["index"].as_u64().unwrap() as usize].push_str(text);
        }
    }
    assert!(streamed_texts.iter().all(|text| text == content(0)), "{streamed_texts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_predicted_answer_is_the_same_and_its_usage_tells_what_the_prediction_was_worth() {
    let closed = Sim::start(Script::text("closed"));
    let ask = |fields: Value| {
        local("Count from one to fifty in words.", with(json!({ "max_tokens": 40, "temperature": 0 }), fields))
    };
    let details = |answer: &Reply| answer.json()["usage"]["completion_tokens_details"].clone();
    let in_parts = |text: &str| {
        let (first, rest) = text.split_at(text.len() / 2);
        json!([{ "type": "text", "text": first }, { "type": "text", "text": rest }])
    };
    for content in [|text: &str| json!(text), in_parts] {
        // How many guesses are worth making is up to the machine, but an engine that knows nothing of guesses tries some.
        let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
        let plain = gateway.ask(&ask(json!({}))).await;
        assert_eq!(details(&plain), json!({ "reasoning_tokens": 0 }));
        let prediction = json!({ "type": "content", "content": content(&plain.content()) });
        let predicted = gateway.ask(&ask(json!({ "prediction": prediction }))).await;
        assert_eq!((predicted.status, predicted.header("x-ajar-served-by")), (200, "local"), "{}", predicted.text());
        assert_eq!(predicted.content(), plain.content());
        let details = details(&predicted);
        assert!(details["accepted_prediction_tokens"].as_u64() > Some(0), "{details}");
        assert!(details["rejected_prediction_tokens"].is_u64(), "{details}");
    }
    assert_eq!(closed.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn likelihoods_come_whole_and_streamed_in_openais_shape() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let fields = json!({ "max_tokens": 4, "temperature": 0, "logprobs": true, "top_logprobs": 2 });
    let body = local("Name some colours.", fields);
    let whole = gateway.ask(&body).await.json();
    let content = whole["choices"][0]["logprobs"]["content"].as_array().unwrap_or_else(|| panic!("{whole}")).clone();
    assert_eq!(content.len(), 4);
    let tokens: String = content.iter().map(|likely| likely["token"].as_str().unwrap()).collect();
    assert_eq!(tokens, whole["choices"][0]["message"]["content"].as_str().unwrap());
    for likely in &content {
        assert!(likely["logprob"].as_f64().unwrap() <= 0.0 && likely["bytes"].is_array(), "{likely}");
        assert_eq!(likely["top_logprobs"].as_array().unwrap().len(), 2);
    }
    let mut streamed_content = Vec::new();
    for event in gateway.ask(&streamed(body)).await.events() {
        let Ok(chunk) = serde_json::from_str::<Value>(&event) else { continue };
        streamed_content.extend(chunk["choices"][0]["logprobs"]["content"].as_array().cloned().unwrap_or_default());
    }
    let tokens = |all: &[Value]| all.iter().map(|likely| likely["token"].clone()).collect::<Vec<_>>();
    assert_eq!(tokens(&streamed_content), tokens(&content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_called_whole_and_streamed_and_its_result_can_be_given_back() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let schema = json!({
        "type": "object",
        "properties": { "city": { "enum": ["Ulm", "Bonn"] } },
        "required": ["city"],
        "additionalProperties": false,
    });
    let function = json!({ "name": "weather", "description": "The weather.", "parameters": schema, "strict": true });
    let tools = json!({
        "tools": [{ "type": "function", "function": function }],
        "tool_choice": "required",
        "parallel_tool_calls": false,
        "temperature": 0,
        "max_tokens": 60,
    });
    let body = local("How is the weather in Ulm?", tools);
    let whole = gateway.ask_with(&body, &AT_HOME).await.json();
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null),
        "{whole}"
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    let arguments: Value = serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert!(arguments["city"] == "Ulm" || arguments["city"] == "Bonn", "{arguments}");

    let (mut streamed_arguments, mut pieces, mut ids) = (String::new(), 0, Vec::new());
    for event in gateway.ask_with(&streamed(body.clone()), &AT_HOME).await.events() {
        let Ok(chunk) = serde_json::from_str::<Value>(&event) else { continue };
        for call in chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten() {
            ids.extend(call["id"].as_str().map(str::to_owned));
            let piece = call["function"]["arguments"].as_str().unwrap_or_default();
            streamed_arguments.push_str(piece);
            pieces += usize::from(!piece.is_empty());
        }
    }
    assert_eq!((Value::from(streamed_arguments), ids.len()), (call["function"]["arguments"].clone(), 1));
    assert!(pieces > 1, "arguments come as they are generated");

    let mut next = body;
    let messages = next["messages"].as_array_mut().unwrap();
    messages.push(choice["message"].clone());
    messages.push(json!({ "role": "tool", "tool_call_id": call["id"], "content": "It rains." }));
    let said = gateway.ask_with(&with(next, json!({ "tool_choice": "none" })), &AT_HOME).await;
    assert_eq!(said.status, 200, "{}", said.text());
    assert!(!said.content().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_every_dialect_are_answered_and_told_what_the_engine_is_not() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "sequences: 2").await;
    let thought = json!({"type": "thinking", "thinking": "hm", "signature": "c2VhbA=="});
    let messages = json!({"model": "local", "max_tokens": 8, "top_k": 3, "service_tier": "auto", "output_config": {"effort": "high"}, "messages": [
        {"role": "user", "content": "Hi."}, {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes?"}]},
        {"role": "user", "content": "Say hello."}]});
    let responses = json!({"model": "local", "input": "Say hello.", "max_output_tokens": 2, "metadata": {"a": "b"},
        "reasoning": {"effort": "low"}});
    // This model never thinks.
    let chat = local("Say hello.", json!({"max_tokens": 8, "reasoning_effort": "none"}));
    for (path, body, end, warning) in [
        ("/v1/messages", messages, "event: message_stop\n", "not sent: service_tier, thoughts, reasoning_effort"),
        ("/v1/responses", responses, "event: response.incomplete\n", "not sent: metadata, reasoning_effort"),
        ("/v1/chat/completions", chat.clone(), "data: [DONE]\n", ""),
        // It may wait, which the engine understands.
        ("/v1/chat/completions", with(chat, json!({"service_tier": "flex"})), "data: [DONE]\n", ""),
    ] {
        let whole = gateway.ask_at(path, &body, &AT_HOME).await;
        assert_eq!((whole.status, whole.header("x-ajar-served-by")), (200, "local"), "{path}: {}", whole.text());
        assert_eq!(whole.header("x-ajar-warning"), warning, "{path}");
        let stream = gateway.ask_at(path, &streamed(body), &AT_HOME).await;
        assert!(stream.text().contains(end), "{path}: {}", stream.text());
    }
    assert_eq!(closed.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grammar_holds_the_answer_whole_and_streamed_in_each_of_its_spellings() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 512, sequences: 2").await;
    let grammar = "root ::= (\"Monday\" | \"Friday\") \", \" [1-9] \" pm\"";
    for form in [
        json!({"response_format": {"type": "grammar", "grammar": grammar}}),
        json!({"grammar": grammar}),
        json!({"structured_outputs": {"grammar": grammar}}),
        json!({"structured_outputs": {"choice": ["Monday, 3 pm", "Friday, 4 pm"]}}),
    ] {
        // Whoever is asked for by name, nobody else could hold it.
        let body = with(with(user("When?"), form), json!({"max_tokens": 30, "temperature": 1.5}));
        for body in [body.clone(), streamed(body)] {
            let reply = gateway.ask(&body).await;
            assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "local"), "{}", reply.text());
            let said = reply.content();
            let rest = said.strip_prefix("Monday, ").or_else(|| said.strip_prefix("Friday, "));
            let hour = rest.and_then(|rest| rest.strip_suffix(" pm"));
            assert!(hour.is_some_and(|hour| hour.len() == 1 && ("1"..="9").contains(&hour)), "{said}");
        }
    }
    assert_eq!(closed.counts().requests, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_gone_on_with_as_it_is_whole_and_streamed_and_nothing_is_lost() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = gateway(&closed, "context: 1024, sequences: 2").await;
    let body = json!({ "model": "local", "prompt": "One, two, three,", "max_tokens": 8, "temperature": 0 });
    let ask = async |fields: Value| {
        let reply = gateway.ask_at("/v1/completions", &with(body.clone(), fields), &[]).await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "local"), "{}", reply.text());
        assert_eq!(reply.header("x-ajar-warning"), "", "it is told all");
        reply
    };
    let whole = ask(json!({ "logprobs": 2 })).await.json();
    let said = whole["choices"][0]["text"].as_str().unwrap();
    assert!(!said.is_empty() && whole["usage"]["prompt_tokens"].as_u64() < Some(10), "no template: {whole}");
    let likely = &whole["choices"][0]["logprobs"];
    let tokens = likely["tokens"].as_array().unwrap();
    assert_eq!(tokens.iter().map(|token| token.as_str().unwrap()).collect::<String>(), said);
    assert_eq!((tokens.len(), likely["top_logprobs"][0].as_object().unwrap().len()), (8, 2));
    let echoed = ask(json!({ "echo": true })).await.json();
    assert_eq!(echoed["choices"][0]["text"], format!("One, two, three,{said}"));
    let stream = ask(json!({ "stream": true })).await;
    let events = stream.events();
    let chunks = events.iter().filter(|event| *event != "[DONE]");
    let chunks = chunks.map(|event| serde_json::from_str::<Value>(event).unwrap());
    let streamed: String = chunks.map(|chunk| chunk["choices"][0]["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!((streamed.as_str(), events.last().map(String::as_str)), (said, Some("[DONE]")));
    assert_eq!(closed.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_become_vectors_in_this_process_and_what_is_restricted_too() {
    let far = Sim::start(Script::default());
    let setup = Setup::new()
        .policy(
            "\n  cache: {",
            "\n  vectors: { via: embedded, model: bert, boundary: host, serves: [embeddings] }\n  cache: {",
        )
        .policy("candidates: [far, home]", "candidates: [far, home, vectors]");
    let file = setup.folder().join("bert.gguf");
    std::fs::write(&file, GgufFile::bert().bytes()).unwrap();
    let engine = format!("local:\n  bert: {{ model: {}, context: 256, sequences: 1, threads: 1 }}\n", file.display());
    let setup = setup.provider("far", &far).provider("home", &far).section(&engine);
    // A file that nobody knows is tried by the program first.
    let served = Served::start(&setup.write());
    let (data, ready) = (format!("http://{}/v1/embeddings", served.data), format!("http://{}/readyz", served.operator));
    let ready = async || client().get(&ready).send().await.is_ok_and(|response| response.status() == 200);
    eventually("the model is loaded", ready).await;
    let ask = async |fields: Value| {
        let body = with(json!({ "model": "auto", "input": ["he said", "card 4111 1111 1111 1111"] }), fields);
        Reply::read(client().post(&data).body(body.to_string()).send().await.unwrap()).await
    };
    let reply = ask(json!({})).await;
    assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "vectors"), "{}", reply.text());
    let answer = reply.json();
    let vector = answer["data"][1]["embedding"].as_array().unwrap();
    let length: f64 = vector.iter().map(|number| number.as_f64().unwrap().powi(2)).sum();
    assert!((length - 1.0).abs() < 1e-3, "{length}");
    assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(10), "{}", answer["usage"]);
    assert!(ask(json!({ "encoding_format": "base64" })).await.json()["data"][0]["embedding"].is_string());
    assert_eq!(ask(json!({ "dimensions": 8 })).await.error().0, "capability_missing");
    let long = ask(json!({ "input": ["fine", "x".repeat(300)] })).await;
    assert_eq!((long.status, long.error().0.as_str()), (400, "context_length_exceeded"), "{}", long.text());
    assert_eq!(far.connections(), 0);
}
