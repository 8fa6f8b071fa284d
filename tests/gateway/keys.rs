//! Virtual keys: who may ask, how often, and how much they are told.

use serde_json::json;

use crate::harness::{Gateway, Reply, Setup, client, user};
use crate::sim::{Script, Sim};

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

async fn models(gateway: &Gateway, key: Option<&str>) -> Reply {
    let request = client().get(gateway.data("/v1/models"));
    let request = key.iter().fold(request, |request, key| request.bearer_auth(key));
    Reply::read(request.send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_key_nothing_happens_but_a_count() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far).set("anonymous.allow", "none");
    let key = setup.key("desk", "");
    let gateway = setup.start().await;
    let longer = format!("{key}x");
    let wrong =
        ["", "Bearer", "Bearer ", "Bearer wrong", "Basic d3Jvbmc6d3Jvbmc=", &key, &bearer(&longer), "Bearer \u{e9}"];
    for header in wrong {
        let reply = gateway.ask_with(&user("hello"), &[("authorization", header)]).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (401, "invalid_api_key"), "{header:?}");
        assert!(!reply.text().contains("wrong") && reply.header("x-ajar-id").is_empty());
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }
    assert_eq!(gateway.ask(&user("hello")).await.status, 401);
    assert_eq!(models(&gateway, None).await.status, 401);
    assert_eq!(models(&gateway, Some("wrong")).await.status, 401);
    assert_eq!(far.connections(), 0);
    let refused = (wrong.len() + 3) as f64;
    assert_eq!(gateway.metric("ajar_unauthenticated_total").await, refused);

    assert_eq!(gateway.ask_with(&user("hello"), &[("authorization", &bearer(&key))]).await.status, 200);
    let listed = models(&gateway, Some(&key)).await.json();
    let ids: Vec<&str> = listed["data"].as_array().unwrap().iter().filter_map(|m| m["id"].as_str()).collect();
    assert_eq!(ids, ["auto", "far", "home"]);
    let rows = gateway.rows(1).await;
    assert_eq!((rows[0].key.as_deref(), rows[0].tenant.as_deref()), (Some("desk"), Some("desk")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_no_anonymous_client() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    setup.key("desk", "");
    let gateway = setup.start().await;
    assert_eq!(gateway.ask(&user("hello")).await.status, 200, "the anonymous subject is allowed on this host");
    assert_eq!(gateway.ask_with(&user("hello"), &[("authorization", "Bearer wrong")]).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_key_configured_clients_on_this_host_may_send_one_that_means_nothing() {
    let far = Sim::start(Script::echo());
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    let reply = gateway.ask_with(&user("hello"), &[("authorization", "Bearer sk-anything")]).await;
    assert_eq!(reply.status, 200);
    assert!(!far.saw("sk-anything"));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_not_disturbed() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    let limited = bearer(&setup.key("limited", "requests_per_minute: 2, burst: 2"));
    let other = bearer(&setup.key("other", ""));
    let gateway = setup.start().await;
    let ask = async |key: &str| gateway.ask_with(&user("hello"), &[("authorization", key)]).await;
    assert_eq!((ask(&limited).await.status, ask(&limited).await.status), (200, 200));
    let reply = ask(&limited).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (429, "rate_limit_exceeded"));
    assert!((1..=30).contains(&reply.header("retry-after").parse::<u64>().unwrap()));
    assert_eq!(ask(&other).await.status, 200);
    let rows = gateway.rows(4).await;
    assert_eq!(rows.iter().filter(|row| row.outcome.name() == "limited").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_explain_as_much_as_the_key_allows() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    let levels = ["none", "reason", "full"];
    let keys = levels.map(|level| bearer(&setup.key(level, &format!("explain: {level}"))));
    let gateway = setup.start().await;
    let reason: &[&str] = &["x-ajar-reason", "x-ajar-cache", "x-ajar-served-by", "x-ajar-cost"];
    let full: &[&str] = &["x-ajar-route", "x-ajar-policy"];
    let told = [(&keys[0], vec![]), (&keys[1], reason.to_vec()), (&keys[2], [reason, full].concat())];
    for (key, expected) in told {
        let reply = gateway.ask_with(&user("hello"), &[("authorization", key)]).await;
        assert_eq!(reply.header("x-ajar-id").len(), 26);
        let names: Vec<&str> = [reason, full].concat().into_iter().filter(|n| !reply.header(n).is_empty()).collect();
        assert_eq!(names, expected);
    }
    let whole = gateway.ask_with(&user("hello"), &[("authorization", &keys[2])]).await;
    let values = ["x-ajar-served-by", "x-ajar-route", "x-ajar-reason"].map(|name| whole.header(name));
    assert_eq!(values, ["far", "all", "listed_first"]);
    assert_eq!(whole.header("x-ajar-policy").len(), 12);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_a_preference_and_never_a_way_around_the_policy() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = Setup::new().provider("far", &far).provider("home", &home).start().await;
    let named = |model: &str, text: &str| {
        let mut body = user(text);
        body["model"] = json!(model);
        body
    };
    let reply = gateway.ask(&named("home", "hello")).await;
    assert_eq!((reply.content().as_str(), reply.header("x-ajar-reason")), ("home", "client_preference"));
    let reply = gateway.ask(&named("far", "my card is 4111 1111 1111 1111")).await;
    assert_eq!(reply.content(), "home");
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_page_gets_nothing_without_a_key_though_its_browser_is_on_this_host() {
    let far = Sim::start(Script::echo());
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.status, 200);
    let page = gateway.ask_with(&user("hello"), &[("origin", "https://elsewhere.example")]).await;
    assert_eq!((page.status, page.error().0.as_str()), (401, "invalid_api_key"));
    assert_eq!(far.counts().requests, 1);
}
