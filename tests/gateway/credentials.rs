//! Several credentials of one provider: spread, resting, rotated.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::binary::Served;
use crate::harness::{Gateway, Reply, Setup, client, eventually, replace, user, with};
use crate::sim::{Fault, Script, Sim};

fn status(status: u16, seconds: Option<u64>) -> Fault {
    Fault::Status { status, retry_after: seconds.map(Duration::from_secs) }
}

/// `far` with a file for each of the `keys`, and `home` behind it.
fn setup(far: &Sim, home: &Sim, keys: &[&str]) -> Setup {
    let setup = Setup::new();
    let file = |key: &&str| {
        let file = setup.folder().join(format!("{key}.token"));
        std::fs::write(&file, format!("{key}\n")).unwrap();
        format!("{{ file: {} }}", file.display())
    };
    let files: Vec<String> = keys.iter().map(file).collect();
    let fields = format!("credential: [{}]", files.join(", "));
    setup.provider_at("far", &far.base_url(), &fields).provider("home", home)
}

/// How many requests came with each key.
fn by_key(far: &Sim) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in far.requests() {
        let key = request.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
        *counts.entry(key).or_default() += 1;
    }
    counts
}

async fn unavailable(gateway: &Gateway) -> Value {
    gateway.get(gateway.operator("/readyz")).await.json()["destinations"][0]["unavailable"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_credential_rests_and_another_answers_the_same_request_at_once() {
    for refused in [401, 403, 429] {
        let far = Sim::start(Script::text("far").fault_of_key("key-bad", status(refused, Some(30))));
        let home = Sim::start(Script::text("home"));
        let gateway = setup(&far, &home, &["key-bad", "key-good", "key-fine"]).start().await;
        for n in 0..30 {
            let reply = gateway.ask(&user(&format!("question {n}"))).await;
            assert_eq!((reply.status, reply.content().as_str()), (200, "far"), "{refused}: {}", reply.text());
        }
        let counts = by_key(&far);
        assert_eq!((counts["key-bad"], counts["key-good"] + counts["key-fine"]), (1, 30), "{refused}");
        assert!(counts["key-good"] >= 3 && counts["key-fine"] >= 3, "{counts:?}");
        let rows = gateway.rows(30).await;
        assert_eq!(rows.iter().map(|row| row.attempts).sum::<u32>(), 31);
        let of_sent = |row: &ajar::record::Row| row.cost.unwrap().0 > 0 && !row.usage_estimated;
        assert!(rows.iter().all(of_sent), "a refusal costs nothing");
        eventually("each is in the ledger", async || gateway.metric("ajar_ledger_entries_total").await == 31.0).await;
        assert_eq!(home.counts().requests, 0);
        let metrics = gateway.get(gateway.operator("/metrics")).await.text();
        let state = match refused {
            401 => "refused",
            403 => "forbidden",
            _ => "limited",
        };
        for (state, count) in [("free", 2), (state, 1)] {
            let line = format!("ajar_provider_credentials{{provider=\"far\",state=\"{state}\"}} {count}");
            assert!(metrics.contains(&line), "{line} is not in {metrics}");
        }
        let answered = "ajar_provider_calls_total{provider=\"far\",result=\"answered\"} 30";
        assert!(metrics.contains(answered) && !metrics.contains("key-"), "{metrics}");
        // Which key it was is nobody's business.
        let files =
            ["ajar.db", "ajar.db-wal", "ledger.db", "ledger.db-wal"].map(|file| gateway.folder.path().join(file));
        let kept: Vec<u8> = files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()).collect();
        assert!(!kept.windows(4).any(|window| window == b"key-"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_stays_with_its_credential() {
    let far = Sim::start(Script::text("far"));
    let gateway = setup(&far, &far, &["key-a", "key-b", "key-c"]).start().await;
    for conversation in 0..12 {
        let mut messages = vec![json!({"role": "user", "content": format!("conversation {conversation}")})];
        for turn in 0..3 {
            let body = with(user(""), json!({"messages": messages}));
            assert_eq!(gateway.ask(&body).await.status, 200);
            messages.push(json!({"role": "assistant", "content": "far"}));
            messages.push(json!({"role": "user", "content": format!("turn {turn}")}));
        }
    }
    let requests = far.requests();
    let keys: Vec<_> = requests.iter().map(|request| request.headers["authorization"].clone()).collect();
    assert!(keys.chunks(3).all(|turns| turns.iter().all(|key| *key == turns[0])));
    assert!(by_key(&far).len() > 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_are_refused_the_provider_is_unavailable_and_its_peer_answers() {
    for (refused, code) in [(401, "credential_refused"), (429, "rate_limited")] {
        let far = Sim::start(Script::text("far").fault(status(refused, Some(30))));
        let home = Sim::start(Script::text("home"));
        let gateway = setup(&far, &home, &["key-a", "key-b"]).start().await;
        for _ in 0..10 {
            assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
        }
        assert_eq!(far.counts().requests, 2, "each was tried once");
        assert_eq!(unavailable(&gateway).await, code);
        let alone = gateway.ask(&with(user("hello"), json!({"model": "far"}))).await;
        assert_eq!(alone.content(), "home");
    }
}

/// A 503 in each dialect: for how many seconds the client is told to wait.
async fn told_to_wait(gateway: &Gateway) -> Vec<String> {
    let messages = json!({ "model": "auto", "max_tokens": 9, "messages": [{ "role": "user", "content": "hello" }] });
    let mut told = Vec::new();
    for (path, body) in [
        ("/v1/chat/completions", user("hello")),
        ("/v1/messages", messages),
        ("/v1/responses", json!({ "model": "auto", "input": "hello" })),
    ] {
        let reply = gateway.ask_at(path, &body, &[]).await;
        assert_eq!(reply.status, 503, "{path}: {}", reply.text());
        told.push(reply.header("retry-after").to_owned());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_nobody_since_all_rest_is_told_when_the_first_is_back() {
    for (fault, longest) in [(status(401, None), 5), (status(429, Some(20)), 20), (status(503, Some(20)), 20)] {
        let far = Sim::start(Script::text("far").fault(fault.clone()));
        let gateway = setup(&far, &far, &["key"]).policy("[far, home]", "[far]").start().await;
        gateway.ask(&user("hello")).await;
        for told in told_to_wait(&gateway).await {
            assert!(told.parse::<u64>().is_ok_and(|s| (longest / 4..=longest).contains(&s)), "{fault:?}: {told}");
        }
    }
    let far = Sim::start(Script::text("far"));
    let absent = Setup::new().provider_at("far", &far.base_url(), "credential: { file: /no/such/file }");
    let gateway = absent.provider("home", &far).policy("[far, home]", "[far]").start().await;
    assert_eq!(told_to_wait(&gateway).await, ["", "", ""], "nobody knows when that ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_finds_nobody_is_told_what_speaks_against_each_as_far_as_its_key_is_told_reasons() {
    let far = Sim::start(Script::text("far").fault(status(429, Some(30))));
    let mut setup = setup(&far, &far, &["key-a"]).policy("[far, home]", "[far]");
    let keys = ["none", "reason", "full"].map(|explain| setup.key(explain, &format!("explain: {explain}")));
    let gateway = setup.start().await;
    let mut told = Vec::new();
    for key in &keys[..1].iter().chain(&keys).collect::<Vec<_>>() {
        let authorization = format!("Bearer {key}");
        let reply = gateway.ask_with(&user("hello"), &[("authorization", authorization.as_str())]).await;
        told.push(reply.json()["error"]["message"].as_str().unwrap().to_owned());
    }
    let plain = "no model that may answer this request is available now";
    assert_eq!(told[1..3], [plain, plain]);
    let expected = regex::Regex::new(&format!(
        "^{plain}; `far`: it is unavailable: rate limited, for (29|30) s; `home`: the route `all` does not list it$"
    ));
    assert!(expected.unwrap().is_match(&told[3]), "{}", told[3]);
    let rows = gateway.rows(4).await;
    let kept: Value = serde_json::from_str(&rows[3].decision).unwrap();
    assert_eq!(kept["destinations"][0]["because"], "unavailable/rate_limited");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_stay_home_stays_home_whatever_becomes_of_credentials() {
    let card = user("canary, card 4111 1111 1111 1111");
    for refused in [401, 403, 429] {
        let far = Sim::start(Script::text("far").fault(status(refused, None)));
        let home = Sim::start(Script::text("home").fault(status(500, None)));
        let gateway = setup(&far, &home, &["key-a", "key-b"]).start().await;
        for _ in 0..3 {
            gateway.ask(&user("hello")).await;
            let reply = gateway.ask(&card).await;
            assert!([502, 503].contains(&reply.status), "{}", reply.text());
        }
        assert!(far.saw("hello") && !far.saw("canary"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_or_appears_is_used_from_the_next_reload_on_even_beside_a_broken_policy() {
    let far = Sim::start(Script::text("far").bearer("key-new"));
    let home = Sim::start(Script::text("home"));
    let gateway = setup(&far, &home, &["key-old"]).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
    assert_eq!(unavailable(&gateway).await, "credential_refused");
    gateway.replace("key-old.token", "key-new");
    gateway.replace("policies/policy.yaml", "broken");
    let reload = gateway.reload().await;
    assert_eq!(reload.status, 422);
    let changed = reload.json()["changed"][0].as_str().unwrap().to_owned();
    assert!(changed.starts_with("provider `far`: the file `") && !changed.contains("key-new"), "{changed}");
    assert_eq!(gateway.ask(&user("hello")).await.content(), "far");
    std::fs::remove_file(gateway.folder.path().join("key-old.token")).unwrap();
    gateway.reload().await;
    assert_eq!(unavailable(&gateway).await, "no_credential");
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_uses_a_credential_as_soon_as_its_file_is_replaced_and_logs_none() {
    let far = Sim::start(Script::text("far").bearer("key-new"));
    let home = Sim::start(Script::text("home"));
    let setup = setup(&far, &home, &["key-old"]);
    let served = Served::start(&setup.write());
    let ask = async || {
        let request = client().post(format!("http://{}/v1/chat/completions", served.data));
        let request = request.header("content-type", "application/json").body(user("hello").to_string());
        Reply::read(request.send().await.unwrap()).await.content()
    };
    assert_eq!(ask().await, "home");
    replace(&setup.folder().join("key-old.token"), "key-new");
    eventually("the new one is used", async || ask().await == "far").await;
    for pieces in [["Reloaded", "another credential"], ["refuses a credential", "key-old.token"]] {
        eventually("that is logged", async || served.logged(&pieces)).await;
    }
    assert!(!served.logged(&["key-new"]) && !served.logged(&["Bearer"]));
}
