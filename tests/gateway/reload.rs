//! Policies and keys that change while requests are under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::binary::Served;
use crate::harness::{Gateway, POLICY, Reply, Setup, client, eventually, replace, streamed, user, with};
use crate::sim::{Script, Sim};

const FILE: &str = "policies/policy.yaml";
const TO_FAR: &str = "candidates: [far, home]";
/// A guard that lets nothing leave.
const SHUT: &str = "guards:\n  - { id: shut, only: 'dest.boundary == \"host\"' }\nroutes:";
/// A budget for each key.
const BUDGET: &str = "budgets:\n  - { id: day, per: key, window: day, limit: 10 USD, \
    ladder: [{ at: 1.00, only: 'dest.boundary == \"host\"' }] }\n";

fn shut() -> String {
    POLICY.replace("routes:", SHUT)
}

/// A gateway with `far` outside and `home` inside.
async fn gateway(far: &Sim, home: &Sim) -> Gateway {
    Setup::new().provider("far", far).provider("home", home).start().await
}

fn errors(reply: &Reply) -> String {
    reply.json()["errors"].as_array().unwrap().iter().map(|line| format!("{}\n", line.as_str().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_tightens_applies_to_the_very_next_request_and_says_what_changed() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = gateway(&far, &home).await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "far");
    let before = gateway.digest();
    gateway.replace(FILE, &shut());
    let reply = gateway.reload().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_ne!(gateway.digest(), before);
    assert_eq!(reply.json()["policy"], gateway.digest());
    assert!(reply.json()["changed"][0].as_str().unwrap().starts_with("policy: `test` "), "{}", reply.text());
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
    let again = gateway.reload().await;
    assert_eq!((again.status, &again.json()["changed"]), (200, &json!([])));
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    for counted in [r#"{result="ok"} 1"#, r#"{result="unchanged"} 1"#] {
        assert!(metrics.contains(&format!("ajar_policy_reloads_total{counted}")), "{metrics}");
    }
    let age = jiff::Timestamp::now().as_second() as f64 - gateway.metric("ajar_policy_loaded_timestamp_seconds").await;
    assert!((-1.0..60.0).contains(&age), "{age}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_is_wrong_in_any_way_is_refused_whole_and_readiness_says_why() {
    let far = Sim::start(Script::text("far"));
    let gateway = gateway(&far, &far).await;
    let before = gateway.digest();
    let test = "tests:\n  - { name: wrong, given: { finding.card: true }, expect: { served_by: far } }\n";
    let invariant = "invariants:\n  - { id: never-far, never: 'dest.name == \"far\"' }\n";
    let wrong = [
        ("does not parse", POLICY.replace("routes:", "routes: [")),
        ("has an unknown name", POLICY.replace("finding.card", "finding.cards")),
        ("fails its test", format!("{POLICY}{test}")),
        ("breaks its invariant", format!("{POLICY}{invariant}")),
        ("needs a provider that is not there", POLICY.replace("via: far", "via: farther")),
        ("needs a model that is not there", POLICY.replace("via: home, model", "via: embedded, model")),
    ];
    for (what, policy) in wrong {
        gateway.replace(FILE, &policy);
        let reply = gateway.reload().await;
        assert_eq!((reply.status, &reply.json()["ok"]), (422, &json!(false)), "{what}");
        assert_eq!(reply.json()["policy"], before.as_str(), "{what}");
        assert!(errors(&reply).contains("policy.yaml"), "{what}: {}", reply.text());
        let ready = gateway.get(gateway.operator("/readyz")).await;
        assert_eq!((ready.status, &ready.json()["ready"]), (200, &json!(true)), "{what}");
        assert_eq!(ready.json()["reload"], reply.json(), "{what}");
        assert_eq!(gateway.metric("ajar_policy_reload_refused").await, 1.0);
        assert_eq!(gateway.ask(&user("hello")).await.content(), "far", "{what}");
    }
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    assert!(metrics.contains(r#"ajar_policy_reloads_total{result="refused"} 6"#), "{metrics}");
    gateway.replace(FILE, POLICY);
    assert_eq!((gateway.reload().await.status, gateway.digest()), (200, before));
    assert_eq!(gateway.metric("ajar_policy_reload_refused").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_the_configuration_that_need_a_restart_are_named_and_ignored() {
    let far = Sim::start(Script::text("far"));
    let gateway = gateway(&far, &far).await;
    gateway.edit("ajar.yaml", "deadline: 60s", "deadline: 30s");
    gateway.edit("ajar.yaml", "ttl: 1h", "ttl: 2h");
    gateway.edit("ajar.yaml", "  far:", "  farther: { dialect: openai, base_url: \"http://127.0.0.1:9/v1\" }\n  far:");
    gateway.replace(FILE, &POLICY.replace("via: far", "via: farther"));
    let reply = gateway.reload().await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    let told = errors(&reply);
    assert!(told.contains("`farther`") && told.contains("need a restart: cache.ttl, providers.farther"), "{told}");
    let ignored = ["cache.ttl", "providers.farther.base_url", "providers.farther.dialect", "server.limits.deadline"];
    assert_eq!(reply.json()["ignored"], json!(ignored));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_when_policies_change_are_all_answered_and_nothing_restricted_leaves() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let setup = Setup::new().provider("far", &far).provider("home", &home).policy_tail(BUDGET);
    let gateway = Arc::new(setup.start().await);
    let other = format!("{}{BUDGET}", POLICY.replace(TO_FAR, "candidates: [home, far]"));
    let sets = [format!("{POLICY}{BUDGET}"), other];
    let done = AtomicBool::new(false);
    let flipping = async {
        let mut flips = 0;
        while !done.load(Ordering::Relaxed) {
            flips += 1;
            gateway.replace(FILE, &sets[flips % 2]);
            let reply = gateway.reload().await;
            assert_eq!((reply.status, reply.json()["changed"].as_array().unwrap().len()), (200, 1));
        }
        flips
    };
    let asking = async {
        let ask = async |client: usize| {
            for n in 0..40 {
                let open = with(user(&format!("question {client} {n}")), json!({ "max_tokens": 3 }));
                assert_eq!(gateway.ask(&open).await.status, 200);
                assert_eq!(gateway.ask(&streamed(open)).await.status, 200);
                let card = user(&format!("canary {client} {n}, card 4111 1111 1111 1111"));
                assert_eq!(gateway.ask(&card).await.content(), "home");
            }
        };
        join_all((0..8).map(ask)).await;
        done.store(true, Ordering::Relaxed);
    };
    let (flips, ()) = tokio::join!(flipping, asking);
    assert!(flips >= 4, "{flips} reloads");
    assert!(!far.saw("canary") && home.saw("canary"));
    let rows = gateway.rows(8 * 40 * 3).await;
    assert!(rows.iter().all(|row| row.outcome.name() == "answered"));
    let spent: f64 = rows.iter().map(|row| row.cost.unwrap_or_default().as_usd()).sum();
    let used = gateway.used("day", 10.0);
    assert!(spent > 0.0 && (used - spent).abs() < 1e-9, "used {used}, spent {spent}: nothing lost, nothing reserved");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_under_way_keeps_the_policies_it_began_with_and_its_record_says_so() {
    let far = Sim::start(Script::text("one two three four").latency(Duration::ZERO, Duration::from_millis(100)));
    let home = Sim::start(Script::text("home"));
    let gateway = gateway(&far, &home).await;
    let before = gateway.digest();
    let mut under_way = gateway.open(streamed(user("hello")).to_string(), &[]).await;
    under_way.chunk().await.unwrap().expect("it begins");
    gateway.replace(FILE, &shut());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(gateway.ask(&user("hello again")).await.content(), "home");
    let rest = under_way.text().await.unwrap();
    assert!(rest.contains("four") && rest.contains("[DONE]"), "{rest}");
    let rows = gateway.rows(2).await;
    let policy =
        |server: &str| rows.iter().find(|row| row.served_by.as_deref() == Some(server)).unwrap().policy.clone();
    assert_eq!((policy("far").as_deref(), policy("home").as_deref()), (Some(&*before), Some(&*gateway.digest())));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_opens_nothing_after_the_reload_and_one_that_stays_goes_on_counting() {
    let far = Sim::start(Script::text("far"));
    let mut setup = Setup::new().provider("far", &far).provider("home", &far).set("anonymous.allow", "none");
    let revoked = setup.key("revoked", "");
    let limited = setup.key("limited", "requests_per_minute: 1, burst: 1");
    let gateway = setup.start().await;
    let ask = async |key: &str| gateway.ask_with(&user("hello"), &[("authorization", &format!("Bearer {key}"))]).await;
    assert_eq!((ask(&revoked).await.status, ask(&limited).await.status), (200, 200));
    let config = std::fs::read_to_string(gateway.folder.path().join("ajar.yaml")).unwrap();
    let kept: String =
        config.lines().filter(|line| !line.contains("name: revoked")).map(|l| format!("{l}\n")).collect();
    gateway.replace("ajar.yaml", &kept);
    let reply = gateway.reload().await;
    assert_eq!(reply.json()["changed"], json!(["key `revoked`: removed"]));
    assert_eq!(reply.json()["ignored"], json!([]));
    assert_eq!((ask(&revoked).await.status, ask(&limited).await.status), (401, 429));
    gateway.replace("ajar.yaml", &config.replace("name: limited", "name: limited, explain: full"));
    assert_eq!(gateway.reload().await.json()["changed"].as_array().unwrap().len(), 2);
    assert_eq!((ask(&revoked).await.status, ask(&limited).await.status), (200, 429), "no way around a limit");
    gateway.replace("ajar.yaml", &config.replace("name: limited", "name: revoked"));
    assert_eq!(gateway.reload().await.status, 422, "two keys of one name");
    assert_eq!(ask(&revoked).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_budget_that_is_new_has_its_past_from_the_record_and_one_that_goes_and_comes_back_too() {
    let far = Sim::start(Script::text("far"));
    let home = Sim::start(Script::text("home"));
    let price = "price: { input: 0, output: 1000000 }";
    let setup = Setup::new().policy("price: { input: 1, output: 2 }", price);
    let gateway = setup.provider("far", &far).provider("home", &home).start().await;
    let dollar = |n: usize| with(user(&format!("question {n}")), json!({ "max_tokens": 1 }));
    for n in 0..3 {
        assert_eq!(gateway.ask(&dollar(n)).await.content(), "far");
    }
    let without = std::fs::read_to_string(gateway.folder.path().join(FILE)).unwrap();
    let of = |limit: usize| format!("{without}{}", BUDGET.replace("10 USD", &format!("{limit} USD")));
    gateway.rows(3).await;
    for (limit, used) in [(10, 3.0), (4, 3.0)] {
        gateway.replace(FILE, &of(limit));
        assert_eq!(gateway.reload().await.status, 200);
        assert_eq!(gateway.used("day", limit as f64), used, "of {limit}");
    }
    assert_eq!(gateway.ask(&dollar(4)).await.content(), "far", "the fourth dollar");
    assert_eq!(gateway.ask(&dollar(5)).await.content(), "home");
    gateway.rows(5).await;
    for text in [without.clone(), of(10)] {
        gateway.replace(FILE, &text);
        assert_eq!(gateway.reload().await.status, 200);
    }
    assert_eq!(gateway.used("day", 10.0), 4.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_kept_under_other_policies_is_served() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = gateway(&far, &home).await;
    let fixed = with(user("hello"), json!({ "temperature": 0 }));
    let ask = async || {
        let reply = gateway.ask(&fixed).await;
        (reply.content(), reply.header("x-ajar-cache").to_owned())
    };
    let said = |content: &str, cache: &str| (content.to_owned(), cache.to_owned());
    assert_eq!((ask().await, ask().await), (said("far", "miss"), said("far", "hit")));
    // The same destination under other rules is another question.
    gateway.replace(FILE, &POLICY.replace("routes:", "guards:\n  - { id: short, cap: { max_output: 9 } }\nroutes:"));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!((ask().await, ask().await), (said("far", "miss"), said("far", "hit")));
    gateway
        .replace(FILE, &POLICY.replace("cache: { via: sink/cache, boundary: host, accepts: public, scope: key }", ""));
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!(ask().await, said("far", "bypass"));
    gateway.replace(FILE, &shut());
    assert_eq!(gateway.reload().await.status, 200);
    assert_eq!((ask().await, ask().await), (said("home", "miss"), said("home", "hit")));
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_from_a_file_of_their_own_are_read_again_as_well() {
    let far = Sim::start(Script::text("far"));
    let list = |input: u32| {
        let price = format!("{{ input: {input}, output: 2, context: 1000, max_output: 100 }}");
        format!("source: a contract\ndate: 2026-11-01\nmodels:\n  gpt-4o-mini: {price}\n")
    };
    let setup = Setup::new()
        .policy("region: us, accepts: public, price: { input: 1, output: 2 }", "region: us, accepts: public")
        .policy_tail(
            "prices: { source: pinned, file: ../prices.list }
",
        );
    std::fs::write(setup.folder().join("prices.list"), list(1)).unwrap();
    let gateway = setup.provider("far", &far).provider("home", &far).start().await;
    let cheap = gateway.ask(&user("hello")).await;
    gateway.replace("prices.list", &list(1000));
    let reply = gateway.reload().await;
    assert_eq!(reply.json()["changed"], json!(["prices: the list is another"]), "{}", reply.text());
    let dear = gateway.ask(&user("hello")).await;
    let cost = |reply: &Reply| reply.header("x-ajar-cost").parse::<f64>().unwrap();
    assert!(cost(&dear) > 100.0 * cost(&cheap), "{} and {}", cost(&dear), cost(&cheap));
}

/// The digest that `/readyz` of a process shows.
async fn digest(served: &Served) -> Value {
    let url = format!("http://{}/readyz", served.operator);
    Reply::read(client().get(url).send().await.unwrap()).await.json()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_reloads_on_sighup_and_whenever_a_file_is_replaced_and_its_log_says_every_error() {
    let far = Sim::start(Script::text("far"));
    let mut setup = Setup::new().provider("far", &far).provider("home", &far);
    let key = setup.key("desk", "");
    let config = setup.write();
    let served = Served::start(&config);
    let first = digest(&served).await["policy"].clone();
    let file = setup.folder().join(FILE);

    replace(&file, &shut());
    eventually("a renamed file is read", async || digest(&served).await["policy"] != first).await;
    let broken = POLICY.replace("finding.card", "finding.cards").replace("finding.secret", "finding.secrets");
    replace(&file, &broken);
    eventually("a broken file is told of", async || digest(&served).await["reload"]["ok"] == false).await;
    for name in ["finding.cards", "finding.secrets"] {
        eventually("every line is logged", async || served.logged(&["reload was refused", name])).await;
    }
    // Written in place, in two steps.
    std::fs::write(&file, POLICY.split_at(200).0).unwrap();
    std::fs::write(&file, POLICY).unwrap();
    eventually("a rewritten file is read", async || digest(&served).await["policy"] == first).await;

    let text = std::fs::read_to_string(&config).unwrap();
    let without: String = text.lines().filter(|line| !line.contains("name: desk")).map(|l| format!("{l}\n")).collect();
    replace(&config, &without.replace("keys:\n", "").replace("ttl: 1h", "ttl: 3h"));
    eventually("a key is gone", async || served.logged(&["Reloaded", "key `desk`: removed"])).await;
    eventually("what needs a restart is told", async || served.logged(&["needs a restart", "cache.ttl"])).await;
    let asked = client().post(format!("http://{}/v1/chat/completions", served.data)).bearer_auth(&key);
    assert_eq!(asked.body(user("hello").to_string()).send().await.unwrap().status(), 200, "no keys, no wrong keys");

    let at = digest(&served).await["reload"]["at"].clone();
    served.signal("HUP");
    eventually("a signal reloads", async || digest(&served).await["reload"]["at"] != at).await;
    assert_eq!(digest(&served).await["reload"]["changed"], json!([]));
}
