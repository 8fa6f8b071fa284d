//! OpenAI's embeddings: texts go where the policy lets them, and vectors of two models are never mixed in silence.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::harness::{Gateway, Reply, Setup, user, with};
use crate::sim::{Fault, Script, Sim};

const PATH: &str = "/v1/embeddings";
const CARD: &str = "my card is 4111 1111 1111 1111";

/// Destinations for every task, outside and at home.
const SERVING: &str = "
  vec:   { via: far, model: text-embedding-3-small, boundary: external, region: us, accepts: public,
           serves: [embeddings], price: { input: 1000, output: 0 } }
  near:  { via: home, model: nomic-embed, boundary: host, serves: [embeddings], price: { input: 0, output: 0 } }
  judge: { via: far, model: omni-moderation-latest, boundary: external, region: us, accepts: public,
           serves: [moderations], price: { input: 0, output: 0 } }
  guard: { via: home, model: guard-1b, boundary: host, serves: [moderations], price: { input: 0, output: 0 } }
  instruct: { via: far, model: gpt-3.5-turbo-instruct, boundary: external, region: us, accepts: public,
              serves: [completions], price: { input: 1, output: 2 } }
";

/// The policy of these tests with destinations that serve every task.
pub fn serving(setup: Setup) -> Setup {
    setup
        .policy("\n  cache: {", &format!("{SERVING}  cache: {{"))
        .policy("candidates: [far, home]", "candidates: [instruct, far, home, vec, near, judge, guard]")
}

/// A gateway before a provider outside and one at home.
pub struct World {
    pub far: Sim,
    pub home: Sim,
    pub gateway: Gateway,
}

impl World {
    pub async fn new() -> Self {
        Self::with(Setup::new(), Script::default()).await
    }

    pub async fn with(setup: Setup, script: Script) -> Self {
        let (far, home) = (Sim::start(script), Sim::start(Script::default()));
        let gateway = serving(setup).provider("far", &far).provider("home", &home).start().await;
        Self { far, home, gateway }
    }

    pub async fn ask_at(&self, path: &str, body: Value) -> Reply {
        self.gateway.ask_at(path, &body, &[]).await
    }

    async fn embed(&self, model: &str, input: Value) -> Reply {
        self.ask_at(PATH, json!({"model": model, "input": input})).await
    }
}

#[tokio::test]
async fn the_provider_gets_the_clients_bytes_and_the_client_the_providers() {
    let world = World::new().await;
    let body =
        r#"{ "input" : ["h\u0069", "b"], "model":"vec" , "encoding_format":"float", "dimensions":4, "late":[1.50] }"#;
    let reply = Reply::read(world.gateway.open_at(PATH, body, &[]).await).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let received = world.far.requests().pop().unwrap();
    assert_eq!(received.path, PATH);
    let expected = body.replace("\"vec\"", "\"text-embedding-3-small\"");
    assert_eq!(String::from_utf8(received.body.to_vec()).unwrap(), expected);
    assert!(reply.text().contains("\n  \"data\": ["), "the provider's own spacing: {}", reply.text());
    assert_eq!(reply.json()["data"][1]["embedding"].as_array().unwrap().len(), 4);
    assert_eq!((reply.header("x-ajar-served-by"), reply.header("x-ajar-reason")), ("vec", "client_preference"));
    let row = world.gateway.rows(1).await.pop().unwrap();
    assert_eq!((row.dialect.as_ref(), row.served_by.as_deref()), ("openai.embeddings", Some("vec")));
    assert_eq!((row.input_tokens, row.output_tokens, row.usage_estimated), (Some(2), Some(0), false));
    assert_eq!(row.cost.map(|cost| cost.0), Some(2_000), "two tokens in, at a thousand dollars a million");
}

#[tokio::test]
async fn vectors_come_as_numbers_and_in_base64_and_are_the_same() {
    let world = World::new().await;
    let numbers = world.embed("vec", json!("hello")).await.json();
    let packed =
        world.ask_at(PATH, json!({"model": "vec", "input": "hello", "encoding_format": "base64"})).await.json();
    let bytes = STANDARD.decode(packed["data"][0]["embedding"].as_str().unwrap()).unwrap();
    let unpacked: Vec<f64> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()).into()).collect();
    let numbers: Vec<f64> =
        numbers["data"][0]["embedding"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32 as f64).collect();
    assert_eq!(unpacked, numbers);
}

#[tokio::test]
async fn who_names_a_model_gets_its_vectors_or_none() {
    let world = World::with(Setup::new().section("models: { small: vec }\n"), Script::default()).await;
    for name in ["vec", "small", "text-embedding-3-small"] {
        let reply = world.embed(name, json!("hello")).await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "vec"), "{name}: {}", reply.text());
        let refused = world.embed(name, json!(["hello", CARD])).await;
        assert_eq!(
            (refused.status, refused.error().0.as_str()),
            (403, "policy_unsatisfiable"),
            "{name}: {}",
            refused.text()
        );
    }
    assert_eq!(world.embed("nomic-embed", json!(CARD)).await.header("x-ajar-served-by"), "near");
    let unknown = world.embed("text-embedding-of-tomorrow", json!("hello")).await;
    assert_eq!((unknown.status, unknown.error()), (404, ("model_not_found".to_owned(), Some("model".to_owned()))));
    let chats = world.embed("far", json!("hello")).await;
    assert_eq!((chats.status, chats.error().0.as_str()), (422, "capability_missing"), "{}", chats.text());
}

#[tokio::test]
async fn a_name_that_nothing_knows_is_refused_though_for_chat_it_would_not_be() {
    let world = World::with(Setup::new().set("models.unknown_model", "auto"), Script::default()).await;
    assert_eq!(world.gateway.ask(&with(user("hello"), json!({"model": "no-such"}))).await.status, 200);
    assert_eq!(world.embed("no-such", json!("hello")).await.status, 404);
}

#[tokio::test]
async fn where_the_named_fails_nobody_else_is_asked() {
    let failing = Script::default().fault(Fault::Status { status: 500, retry_after: None });
    let world = World::with(Setup::new(), failing).await;
    let reply = world.embed("vec", json!("hello")).await;
    assert_eq!(reply.status, 502, "{}", reply.text());
    assert_eq!(world.home.counts().requests, 0);
    let any = world.embed("auto", json!("hello")).await;
    assert_eq!((any.status, any.header("x-ajar-served-by")), (200, "near"));
}

#[tokio::test]
async fn who_names_none_gets_the_first_that_the_policy_lets_in_and_is_told_which() {
    let world = World::new().await;
    assert_eq!(world.embed("auto", json!("hello")).await.header("x-ajar-served-by"), "vec");
    let reply = world.embed("auto", json!(["hello", CARD])).await;
    assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "near"));
    assert_eq!(reply.json()["model"], "nomic-embed");
    assert!(!world.far.saw("4111") && world.home.saw("4111"));
}

#[tokio::test]
async fn each_task_goes_only_to_those_that_serve_it() {
    let world = World::new().await;
    let chat = world.gateway.ask(&with(user("hello"), json!({"model": "vec"}))).await;
    assert_eq!((chat.status, chat.header("x-ajar-served-by")), (200, "far"), "{}", chat.text());
    let plain = Setup::new().provider("far", &world.far).provider("home", &world.home).start().await;
    let refused = plain.ask_at(PATH, &json!({"model": "auto", "input": "hello"}), &[]).await;
    assert_eq!((refused.status, refused.error().0.as_str()), (422, "capability_missing"));
    assert!(refused.text().contains("`serves`"), "{}", refused.text());
    let asked: Vec<String> = world.far.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(asked, ["/v1/chat/completions"]);
}

#[tokio::test]
async fn a_provider_whose_words_have_none_for_it_is_not_asked() {
    let far = Sim::start(Script::default());
    for dialect in ["anthropic", "openai-responses"] {
        let setup = serving(Setup::new()).provider_speaking("far", &far, dialect).provider("home", &far);
        let gateway = setup.start().await;
        let reply = gateway.ask_at(PATH, &json!({"model": "vec", "input": "hello"}), &[]).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (422, "capability_missing"), "{dialect}");
        gateway.running.stop().await;
    }
    assert_eq!(far.counts().requests, 0);
}

#[tokio::test]
async fn what_nobody_can_look_at_is_refused_and_recorded() {
    let world = World::new().await;
    for (input, code) in
        [(json!([1, 2]), "tokens_not_taken"), (json!([[1], [2]]), "tokens_not_taken"), (json!([]), "invalid_value")]
    {
        let reply = world.embed("vec", input).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, code), "{}", reply.text());
    }
    assert_eq!(world.far.connections(), 0);
    assert!(world.gateway.rows(3).await.iter().all(|row| row.status == 400));
}

#[tokio::test]
async fn the_same_texts_again_come_from_the_cache_and_a_key_makes_a_repeat_one_request() {
    let world = World::new().await;
    let first = world.embed("vec", json!("hello")).await;
    let again = world.embed("vec", json!("hello")).await;
    assert_eq!((first.header("x-ajar-cache"), again.header("x-ajar-cache")), ("miss", "hit"));
    assert_eq!(first.body, again.body);
    let near = world.embed("near", json!("hello")).await;
    assert_eq!((near.header("x-ajar-cache"), near.header("x-ajar-served-by")), ("miss", "near"));
    let body = json!({"model": "vec", "input": "other"});
    for _ in 0..2 {
        let named = [("idempotency-key", "k1"), ("cache-control", "no-cache")];
        assert_eq!(world.gateway.ask_at(PATH, &body, &named).await.status, 200);
    }
    let third = json!({"model": "vec", "input": "third"});
    let reused = world.gateway.ask_at(PATH, &third, &[("idempotency-key", "k1")]).await;
    assert_eq!(reused.error().0, "idempotency_key_reused");
    assert_eq!(world.far.counts().requests, 2);
}

#[tokio::test]
async fn a_dry_run_explains_and_sends_nothing() {
    let mut setup = Setup::new();
    let key = format!("Bearer {}", setup.key("full", "explain: full"));
    let world = World::with(setup, Script::default()).await;
    let headers = [("x-ajar-dry-run", "1"), ("authorization", key.as_str())];
    let reply = world.gateway.ask_at(PATH, &json!({"model": "vec", "input": CARD}), &headers).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let text = reply.text();
    assert!(text.contains("it does not serve `embeddings`"), "{text}");
    assert!(text.contains("the client named another, and nobody else's answer would do"), "{text}");
    assert_eq!(world.far.connections() + world.home.connections(), 0);
}

#[tokio::test]
async fn gemini_is_asked_in_its_own_words_and_its_vectors_come_as_the_client_wants_them() {
    let far = Sim::start(Script::default());
    let setup = serving(Setup::new()).provider_speaking("far", &far, "gemini").provider("home", &far);
    let gateway = setup.start().await;
    let body = json!({"model": "vec", "input": ["hello", "there"], "dimensions": 3, "user": "u"});
    let reply = gateway.ask_at(PATH, &body, &[("cache-control", "no-store")]).await;
    assert_eq!((reply.status, reply.header("x-ajar-warning")), (200, "not sent: user"), "{}", reply.text());
    let numbers = reply.json();
    assert_eq!((&numbers["model"], numbers["data"][1]["embedding"].as_array().unwrap().len()), (&json!("vec"), 3));
    let packed = with(body, json!({"encoding_format": "base64"}));
    let packed = gateway.ask_at(PATH, &packed, &[]).await.json();
    let bytes = STANDARD.decode(packed["data"][1]["embedding"].as_str().unwrap()).unwrap();
    let unpacked: Vec<f32> = bytes.chunks(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
    let numbers = numbers["data"][1]["embedding"].as_array().unwrap().iter().map(|n| n.as_f64().unwrap() as f32);
    assert_eq!(unpacked, numbers.collect::<Vec<_>>());
    let received = far.requests().pop().unwrap();
    assert_eq!(received.path, "/v1/models/text-embedding-3-small:batchEmbedContents");
    let sent: Value = serde_json::from_slice(&received.body).unwrap();
    assert_eq!(
        sent["requests"][0],
        json!({"model": "models/text-embedding-3-small",
        "content": {"parts": [{"text": "hello"}]}, "outputDimensionality": 3})
    );
    let rows = gateway.rows(2).await;
    assert!(rows.iter().all(|row| row.input_tokens == Some(2) && !row.usage_estimated), "{rows:#?}");
}
