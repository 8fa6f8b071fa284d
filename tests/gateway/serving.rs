//! Paths, ports, health, and stopping.

use std::time::Duration;

use ajar::record::Records;
use serde_json::json;

use crate::harness::{Gateway, Reply, Setup, client, eventually, streamed, user};
use crate::sim::{Answer, Script, Sim};

async fn gateway(far: &Sim) -> Gateway {
    Setup::new().provider("far", far).provider("home", far).start().await
}

async fn request(method: http::Method, url: String) -> Reply {
    Reply::read(client().request(method, url).body("{}").send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_wrong_methods_are_refused_in_openais_shape_and_nothing_passes_through() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let (get, post, delete) = (http::Method::GET, http::Method::POST, http::Method::DELETE);
    let unknown = [
        "/",
        "/v1",
        "/v1/",
        "/v1/embedding",
        "/v1/chat/completions/",
        "/v1//chat/completions",
        "/V1/models",
        "/v1/../v1/x",
        "/v1/chat%2fcompletions",
        "/healthz",
        "/readyz",
        "/metrics",
        "/api/explain",
    ];
    for path in unknown {
        for method in [&get, &post] {
            let reply = request(method.clone(), gateway.data(path)).await;
            assert_eq!((reply.status, reply.error().0.as_str()), (404, "not_found"), "{method} {path}");
        }
    }
    for (method, path) in [(&get, "/v1/chat/completions"), (&delete, "/v1/chat/completions"), (&post, "/v1/models")] {
        let reply = request(method.clone(), gateway.data(path)).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (405, "method_not_allowed"), "{method} {path}");
    }
    for path in ["/v1/chat/completions", "/v1/models"] {
        let reply = request(post.clone(), gateway.operator(path)).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (404, "not_found"), "{path} on the operators' port");
    }
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_model_of_the_list_is_there_by_itself_and_no_other() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let get = async |path: &str| request(http::Method::GET, gateway.data(path)).await;
    let list = get("/v1/models").await.json();
    let models = list["data"].as_array().unwrap();
    assert_eq!(models.len(), 3);
    for model in models {
        let path = format!("/v1/models/{}", model["id"].as_str().unwrap());
        assert_eq!(get(&path).await.json(), *model, "{path}");
    }
    // Names of a policy that receive something and answer nothing, and names that the configuration maps, are no models.
    for name in ["log", "gpt-4o", "nobody", "a%20b"] {
        let reply = get(&format!("/v1/models/{name}")).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (404, "model_not_found"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_here_looks_at_is_refused_by_name_and_leaves_neither_record_nor_byte() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    for path in [
        "audio/speech",
        "images/generations",
        "files",
        "files/f_1",
        "batches",
        "uploads/u_1",
        "threads/t_1/runs",
        "fine_tuning/jobs",
        "assistants",
        "vector_stores",
        "realtime/sessions",
        "videos",
        "messages/batches/b_1",
    ] {
        for method in [http::Method::GET, http::Method::POST, http::Method::DELETE] {
            let reply = request(method, gateway.data(&format!("/v1/{path}"))).await;
            assert_eq!((reply.status, reply.error().0.as_str()), (404, "not_served"), "{path}");
            assert!(reply.text().contains("`/v1/embeddings`"), "it says what is served: {}", reply.text());
        }
    }
    let spoken =
        client().post(gateway.data("/v1/messages/batches")).header("anthropic-version", "2023-06-01").body("{");
    let reply = Reply::read(spoken.send().await.unwrap()).await.json();
    assert_eq!((&reply["type"], &reply["error"]["details"]["error_code"]), (&json!("error"), &json!("not_served")));
    gateway.rows(0).await;
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_health_readiness_and_counts() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    assert_eq!(gateway.get(gateway.operator("/healthz")).await.text(), "ok\n");
    gateway.ask(&user("hello")).await;
    gateway.rows(1).await;
    let ready = gateway.get(gateway.operator("/readyz")).await;
    let detail = ready.json();
    assert_eq!((ready.status, &detail["ready"], &detail["engines"]), (200, &json!(true), &json!([])));
    assert_eq!(detail["destinations"][0], json!({ "name": "far", "unavailable": null }));
    assert_eq!(detail["records"], json!({ "written": 1, "queued": 0, "lost": 0 }));
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    assert!(metrics.contains("ajar_requests_total{destination=\"far\",outcome=\"answered\""), "{metrics}");
    assert!(metrics.ends_with("# EOF\n"));
    assert_eq!(gateway.metric("ajar_requests_in_flight").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn explaining_executes_and_records_nothing() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    setup.key("closed", "attributes: { desk: closed }");
    let gateway = setup.start().await;
    let ask = async |key: Option<&str>, body: String| {
        let request = client().post(gateway.operator("/api/explain")).body(body);
        let request = key.iter().fold(request, |request, key| request.header("x-ajar-key", *key));
        Reply::read(request.send().await.unwrap()).await
    };
    let plain = ask(None, user("hello").to_string()).await.json();
    assert_eq!((&plain["class"]["value"], &plain["plan"]), (&json!("public"), &json!(["far", "home"])));
    let closed = ask(Some("closed"), user("hello").to_string()).await.json();
    assert_eq!((&closed["class"]["value"], &closed["plan"]), (&json!("restricted"), &json!(["home"])));
    let card = ask(None, user("4111 1111 1111 1111").to_string()).await;
    assert_eq!(card.json()["plan"], json!(["home"]));
    assert!(!card.text().contains("4111"), "an explanation holds no text");
    assert_eq!(ask(Some("nobody"), user("hello").to_string()).await.status, 404);
    assert_eq!(ask(None, "{".to_owned()).await.status, 400);
    for body in [json!({ "model": "auto", "input": "hello" }), json!({ "model": "auto", "prompt": "hello" })] {
        assert_eq!(
            ask(None, body.to_string()).await.json()["plan"],
            json!(["far", "home"]),
            "told by its shape: {body}"
        );
    }
    assert_eq!(far.connections(), 0);
    gateway.rows(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_any_dialect_is_explained_by_its_name() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far).await;
    let ask = async |dialect: &str, body: serde_json::Value| {
        let url = gateway.operator(&format!("/api/explain?dialect={dialect}"));
        Reply::read(client().post(url).body(body.to_string()).send().await.unwrap()).await
    };
    let said = json!([{ "role": "user", "content": "card 4111 1111 1111 1111" }]);
    for (dialect, body) in [
        ("openai.chat", json!({ "model": "auto", "messages": said.clone() })),
        ("anthropic.messages", json!({ "model": "auto", "max_tokens": 9, "messages": said.clone() })),
        ("openai.responses", json!({ "model": "auto", "input": said.clone() })),
        ("openai.completions", json!({ "model": "auto", "prompt": "card 4111 1111 1111 1111" })),
    ] {
        let reply = ask(dialect, body).await;
        assert_eq!((reply.status, &reply.json()["plan"]), (200, &json!(["home"])), "{dialect}: {}", reply.text());
    }
    let embedding = ask("openai.embeddings", json!({ "model": "auto", "input": "hello" })).await;
    assert!(embedding.text().contains("it does not serve `embeddings`"), "{}", embedding.text());
    assert_eq!(ask("openai.images", json!({})).await.status, 400);
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_what_is_in_flight_finish_and_records_it() {
    let far = Sim::start(
        Script::answering(Answer::Tokens(10)).latency(Duration::from_millis(100), Duration::from_millis(30)),
    );
    let gateway = gateway(&far).await;
    let answer = gateway.open(streamed(user("hello")).to_string(), &[]).await;
    let address = gateway.data("/v1/models");
    let Gateway { running, folder, .. } = gateway;
    let stopped = tokio::spawn(running.stop());
    let refused = async || client().get(address.clone()).send().await.is_err();
    eventually("new connections are refused", refused).await;
    let reply = Reply::read(answer).await;
    assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
    stopped.await.unwrap();
    let mut records = Records::open(&folder.path().join("ajar.db")).await.unwrap();
    let rows = records.tail(10).await.unwrap();
    assert_eq!(rows.iter().map(|entry| entry.row.outcome.name()).collect::<Vec<_>>(), ["answered"]);
}
