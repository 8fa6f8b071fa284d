//! Policies that are tried before they are in force.

use std::collections::BTreeMap;

use ajar::record::Row;
use serde_json::{Value, json};

use crate::binary::{printed, run};
use crate::harness::{Gateway, POLICY, Setup, streamed, user, with};
use crate::sim::{Script, Sim};

const CARD: &str = "is 4111 1111 1111 1111 a valid card?";
/// Where the set in force is.
const OLD: &str = "in-force";

/// What the tests try: it lets restricted requests out, asks home first for the others, and keeps text.
fn loose() -> String {
    POLICY
        .replace("name: test", "name: loose")
        .replace("sealed: [restricted]\n", "")
        .replace("region: us, accepts: public", "region: us, accepts: restricted")
        .replace("store: features", "store: text")
        .replace("candidates: [far, home]", "candidates: [home, far]")
        .replace("routes:\n", "routes:\n  - { id: cards, order: 1, when: finding.card, candidates: [far, home] }\n")
}

fn setup(tried: &str, rollout: &str) -> Setup {
    let rollout = format!("rollout: {{ {rollout}, compare_with: ../{OLD} }}\n");
    Setup::new().whole_policy(format!("{tried}{rollout}")).policy_beside(OLD, POLICY)
}

fn opinion(row: &Row) -> Value {
    serde_json::from_str(&row.would_have.as_ref().expect("something is tried").record).unwrap()
}

fn flags(row: &Row) -> (Option<bool>, Option<bool>) {
    row.would_have.as_ref().map(|would| (would.differs, would.widens)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shadow_changes_nothing_and_the_record_says_what_it_would_have_done() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let budget = "budgets:\n  - { id: tiny, per: key, window: day, limit: 0.000001 USD, \
        ladder: [{ at: 1.00, refuse: broke }] }\n";
    let tried = format!("{}{budget}", loose());
    let gateway = setup(&tried, "mode: shadow").provider("far", &far).provider("home", &home).start().await;
    for (text, content) in [(CARD, "home"), ("hello", "far"), ("hello again", "far")] {
        let reply = gateway.ask(&user(text)).await;
        assert_eq!(reply.content(), content);
        assert!(reply.header("x-ajar-warning").is_empty());
    }
    assert!(!far.saw("4111"));
    let rows = gateway.rows(3).await;
    let in_force = gateway.digest();
    assert!(rows.iter().all(|row| row.policy.as_deref() == Some(&*in_force) && row.text.is_none()));
    let [card, hello, again] = [0, 1, 2].map(|i| opinion(&rows[i]));
    assert_eq!(flags(&rows[1]), (Some(true), Some(true)), "the log keeps text there");
    assert_eq!((&hello["mode"], &hello["side"]), (&json!("shadow"), &json!("in_force")));
    assert_eq!((&hello["plan"], &hello["in_force"]["plan"]), (&json!(["home", "far"]), &json!(["far", "home"])));
    assert_eq!((&card["plan"][0], &card["widens"]), (&json!("far"), &json!(["far", "log"])));
    assert_eq!((&again["refused"], &again["reason"]), (&json!(true), &json!("broke")), "what was spent counts there");
    assert!(hello["us"].as_f64().unwrap() > 0.0);
    let text = format!("{hello}{card}{again}");
    assert!(!text.contains("4111") && !text.contains("hello"));
    let metrics = gateway.get(gateway.operator("/metrics")).await.text();
    assert!(metrics.contains(r#"ajar_rollout_compared_total{result="differs"} 3"#), "{metrics}");
    let ready = gateway.get(gateway.operator("/readyz")).await.json();
    assert_eq!(ready["rollout"]["mode"], "shadow");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warning_names_a_reason_only_where_the_tried_set_would_do_otherwise() {
    let far = Sim::start(Script::text("far"));
    let home = Sim::start(Script::text("home"));
    let tried = POLICY.replace("routes:", "guards:\n  - { id: no, when: finding.secret, block: no_secrets }\nroutes:");
    let tried = tried
        .replace("routes:\n", "routes:\n  - { id: long, order: 1, when: tokens.input > 90, candidates: [home] }\n");
    let mut setup = setup(&tried, "mode: warn").provider("far", &far).provider("home", &home);
    let silent = setup.key("silent", "explain: none");
    let gateway = setup.start().await;
    let secret = "my key is AKIAQYLPMN5HFIQR7XYA";
    let long = "many words ".repeat(50);
    for (text, content, warning) in
        [("hello", "far", ""), (secret, "home", "no_secrets"), (&*long, "far", "other_choice")]
    {
        for body in [user(text), streamed(user(text))] {
            let reply = gateway.ask(&body).await;
            assert_eq!((reply.content().as_str(), reply.header("x-ajar-warning")), (content, warning));
        }
    }
    let told = gateway.ask_with(&user(secret), &[("authorization", &format!("Bearer {silent}"))]).await;
    assert!(told.header("x-ajar-warning").is_empty(), "who is told nothing is told nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_decides_within_what_the_set_in_force_permits() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let old = POLICY.replace("routes:", "guards:\n  - { id: short, cap: { max_output: 7 } }\nroutes:");
    let rollout = format!("rollout: {{ mode: canary, percent: 100, compare_with: ../{OLD} }}\n");
    let setup = Setup::new().whole_policy(format!("{}{rollout}", loose())).policy_beside(OLD, old);
    let gateway = setup.provider("far", &far).provider("home", &home).start().await;
    let hello = gateway.ask(&user("hello")).await;
    assert_eq!((hello.content().as_str(), hello.header("x-ajar-route")), ("home", "all"), "it chooses");
    assert!(home.saw("\"max_tokens\":7"), "and is held to the caps of the set in force");
    let card = gateway.ask(&user(CARD)).await;
    assert_eq!((card.content().as_str(), card.header("x-ajar-route")), ("home", "cards"), "but lets nobody in");
    std::fs::write(gateway.folder.path().join("body.json"), user(CARD).to_string()).unwrap();
    let explained = printed(gateway.folder.path(), &["explain", "--config", "ajar.yaml", "--request", "body.json"]);
    let digest = regex::Regex::new("[0-9a-f]{12}").unwrap();
    insta::assert_snapshot!(digest.replace_all(&explained, "[digest]"));
    assert!(!far.saw("4111") && far.connections() == 0);
    let rows = gateway.rows(2).await;
    let tried = gateway.running.gateway.generation.load().trial.as_ref().unwrap().policy.set.digest.clone();
    assert!(rows.iter().all(|row| row.policy.as_deref() == Some(&*tried)));
    assert!(rows.iter().all(|row| row.text.is_none()), "a log that keeps text is another log");
    let card = opinion(&rows[1]);
    assert_eq!((&card["side"], &card["plan"][0]), (&json!("on_trial"), &json!("far")), "what it would do alone");
    assert_eq!(card["in_force"]["plan"], json!(["home"]));
    let decision: Value = serde_json::from_str(&rows[1].decision).unwrap();
    let far = decision["destinations"].as_array().unwrap().iter().find(|d| d["name"] == "far").unwrap();
    assert_eq!((&far["permitted"], &far["because"]), (&json!(false), &json!("rollout")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_of_the_same_name_elsewhere_is_not_the_same() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let tried = POLICY.replace(
        "via: far, model: gpt-4o-mini, boundary: external, region: us",
        "via: far, model: gpt-4o-mini, boundary: external, region: eu",
    );
    let gateway =
        setup(&tried, "mode: canary, percent: 100").provider("far", &far).provider("home", &home).start().await;
    assert_eq!(gateway.ask(&user("hello")).await.content(), "home");
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_stays_on_its_side_across_restarts_and_the_sides_share_no_answers() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let mut setup = setup(&loose(), "mode: canary, percent: 50").provider("far", &far).provider("home", &home);
    let names: Vec<String> = (0..16).map(|n| format!("key-{n}")).collect();
    let keys: Vec<String> = names.iter().map(|name| setup.key(name, "tenant: shared")).collect();
    let fixed = with(user("hello"), json!({ "temperature": 0 }));
    let sides = async |gateway: &Gateway| {
        let mut sides = BTreeMap::new();
        for (name, key) in names.iter().zip(&keys) {
            let reply = gateway.ask_with(&fixed, &[("authorization", &format!("Bearer {key}"))]).await;
            sides.insert(name.clone(), reply.content());
        }
        sides
    };
    let gateway = setup.start().await;
    let first = sides(&gateway).await;
    let on_trial = first.values().filter(|content| *content == "home").count();
    assert!((2..=14).contains(&on_trial), "{first:?}");
    assert_eq!((far.counts().requests, home.counts().requests), (1, 1), "each side has its own answer");
    let gateway = gateway.restart().await;
    assert_eq!(sides(&gateway).await, first);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_restricted_leaves_while_sets_are_tried_changed_and_promoted() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let gateway = setup(&loose(), "mode: shadow").provider("far", &far).provider("home", &home).start().await;
    let rollouts =
        ["mode: shadow", "mode: canary, percent: 50, by: conversation", "mode: canary, percent: 100", "mode: warn"];
    for n in 0..12 {
        let rollout = format!("rollout: {{ {}, compare_with: ../{OLD} }}\n", rollouts[n % rollouts.len()]);
        gateway.replace("policies/policy.yaml", &format!("{}{rollout}", loose()));
        let asking = futures_util::future::join_all((0..12).map(|i| {
            let gateway = &gateway;
            async move { gateway.ask(&user(&format!("canary {n} {i}: {CARD}"))).await.content() }
        }));
        let (reload, contents) = tokio::join!(gateway.reload(), asking);
        assert_eq!(reload.status, 200, "{}", reload.text());
        assert!(contents.iter().all(|content| content == "home"), "{contents:?}");
    }
    assert_eq!(far.connections(), 0);
    let promoted = format!("{}rollout: {{ mode: enforce, percent: 100, compare_with: ../{OLD} }}\n", loose());
    gateway.replace("policies/policy.yaml", &promoted);
    let reply = gateway.reload().await;
    assert_eq!(reply.json()["changed"].as_array().unwrap().len(), 2, "{}", reply.text());
    assert_eq!(gateway.ask(&user(CARD)).await.content(), "far", "now it is in force");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_to_compare_with_that_is_not_there_or_only_tried_itself_is_refused() {
    let far = Sim::start(Script::text("far"));
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    let tried = |with: &str| format!("{POLICY}rollout: {{ mode: shadow, compare_with: {with} }}\n");
    for (with, why) in [("../nowhere", "nowhere"), (".", "itself only tried")] {
        gateway.replace("policies/policy.yaml", &tried(with));
        let reply = gateway.reload().await;
        assert_eq!(reply.status, 422);
        assert!(reply.json()["errors"][0].as_str().unwrap().contains(why), "{}", reply.text());
    }
    assert_eq!(gateway.ask(&user("hello")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_reports_flips_spend_refusals_and_widenings_and_its_exit_code_says_whether_it_widens() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let tightened = POLICY
        .replace("name: test", "name: tightened")
        .replace("routes:", "guards:\n  - { id: no, when: finding.secret, block: no_secrets }\nroutes:")
        .replace("candidates: [far, home]", "candidates: [home, far]");
    for (tried, widens) in [(tightened, false), (loose(), true)] {
        let setup = setup(&tried, "mode: shadow").provider("far", &far).provider("home", &home);
        let gateway = setup.start().await;
        for text in ["hello", "hello again", "my key is AKIAQYLPMN5HFIQR7XYA", CARD] {
            assert_eq!(gateway.ask(&user(text)).await.status, 200);
        }
        gateway.rows(4).await;
        let folder = gateway.folder.path();
        let args = ["policy", "promote", "--config", "ajar.yaml", "--since", "1h"];
        let output = run(folder, &args);
        let code = output.status.code();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(code, Some(if widens { 2 } else { 0 }), "{text}{:?}", String::from_utf8(output.stderr));
        let json: Value = serde_json::from_slice(&run(folder, &[&args[..], &["--json"]].concat()).stdout).unwrap();
        assert_eq!((&json["compared"], &json["other_versions"]), (&json!(4), &json!(0)), "{text}");
        let flips = json["flips"].as_array().unwrap();
        assert!(flips.contains(&json!({ "from": "far", "to": "home", "requests": 2 })), "{json:#}");
        assert_eq!(json["spend"]["requests"], 4);
        assert!(json["spend"]["recorded_usd"].as_f64() > Some(0.0));
        if widens {
            // The log keeps text there, whatever the request.
            assert_eq!((&json["widened"], json["widened_to"]["far"].as_u64()), (&json!(4), Some(2)), "{json:#}");
            assert!(text.contains("ajar log show"), "{text}");
        } else {
            assert_eq!((&json["refusals_gained"], &json["widened"]), (&json!(1), &json!(0)));
            assert!(flips.contains(&json!({ "from": "home", "to": "refused", "requests": 1 })), "{json:#}");
            assert!(text.contains("2  far → home") && text.contains("1 gained, 0 lost"), "{text}");
        }
        assert!(printed(folder, &["check", "--config", "ajar.yaml"]).contains("only tried (shadow)"));
        std::fs::write(folder.join("body.json"), user(CARD).to_string()).unwrap();
        let explained = printed(folder, &["explain", "--config", "ajar.yaml", "--request", "body.json"]);
        assert!(explained.contains("rollout       shadow, decided by the set in force"), "{explained}");
        let other = if widens { "the other set says: far (listed_first)" } else { "the other set says: home" };
        assert!(explained.contains(other), "{explained}");
        gateway.running.stop().await;
    }
}
