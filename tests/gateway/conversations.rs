//! A conversation keeps the class that it rose to: what follows stays home, whatever it says by itself.

use ajar::record::Row;
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::harness::{Gateway, POLICY, Reply, Setup, eventually, streamed, user, with};
use crate::sim::{Script, Sim};

const CARD: &str = "is 4111 1111 1111 1111 a valid card?";
const SSN: &str = "whose is the SSN 536-22-8145?";
const NAME: &str = "x-ajar-session";

/// Two providers, and a gateway between them.
struct World {
    far: Sim,
    home: Sim,
    gateway: Gateway,
}

impl World {
    async fn new(setup: Setup) -> Self {
        let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
        let gateway = setup.provider("far", &far).provider("home", &home).start().await;
        Self { far, home, gateway }
    }

    /// Who answers `text` in the conversation called `name`.
    async fn says(&self, name: &str, text: &str) -> String {
        self.says_with(text, &[(NAME, name)]).await
    }

    async fn says_with(&self, text: &str, headers: &[(&str, &str)]) -> String {
        let reply = self.gateway.ask_with(&user(text), headers).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.content()
    }

    async fn last(&self, n: usize) -> Row {
        self.gateway.rows(n).await.pop().unwrap()
    }
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

/// The class of the record, and what it rests on.
fn class(row: &Row) -> (&str, &str) {
    (row.class.as_deref().unwrap(), row.class_basis.as_deref().unwrap())
}

/// The answer's id, as a client would name it in `previous_response_id`.
fn id(reply: &Reply) -> String {
    let first =
        if reply.header("content-type") == "text/event-stream" { reply.events()[0].clone() } else { reply.text() };
    serde_json::from_str::<Value>(&first).unwrap()["id"].as_str().unwrap().to_owned()
}

fn continuing(id: &str) -> Value {
    with(user("summarise that"), json!({ "previous_response_id": id }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follow_up_in_a_named_conversation_stays_home_and_the_record_says_since_when() {
    let world = World::new(Setup::new()).await;
    assert_eq!(world.says("s-1", "summarise that").await, "far");
    assert_eq!(world.says("s-1", CARD).await, "home");
    assert_eq!(world.says("s-1", "summarise that").await, "home");
    assert_eq!(world.says("s-2", "summarise that").await, "far", "another conversation");
    assert_eq!(world.says_with("summarise that", &[]).await, "far", "no conversation is named");
    assert_eq!(world.says_with(CARD, &[]).await, "home");
    assert_eq!(world.says_with(CARD.trim_end_matches('?'), &[(NAME, "")]).await, "home");
    assert_eq!(world.says_with("summarise that", &[(NAME, "")]).await, "far", "an empty name names nothing");
    assert_eq!(world.says_with("summarise that", &[("session_id", "s-1")]).await, "home", "as agents name it");
    let rows = world.gateway.rows(9).await;
    assert_eq!([class(&rows[1]), class(&rows[2])], [("restricted", "deterministic"), ("restricted", "conversation")]);
    let decision: Value = serde_json::from_str(&rows[2].decision).unwrap();
    let told = json!({ "value": "restricted", "basis": "conversation", "by": ["conversation"],
        "conversation": { "class": "restricted", "since": rows[1].id.to_string() } });
    assert_eq!(decision["class"], told);
    assert!(!world.far.saw("4111"));
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_conversations_of_their_own_and_keys_of_one_tenant_share_them() {
    let mut setup = Setup::new();
    let keys = [setup.key("a", "tenant: red"), setup.key("b", "tenant: red"), setup.key("c", "tenant: blue")];
    let world = World::new(setup).await;
    let mut said = Vec::new();
    for (key, text) in [(0, CARD), (0, "go on"), (1, "go on"), (2, "go on")] {
        said.push(world.says_with(text, &[("authorization", &bearer(&keys[key])), (NAME, "main")]).await);
    }
    assert_eq!(said, ["home", "home", "home", "far"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_conversation_rose_to_survives_a_restart_and_is_kept_without_name_or_text() {
    let world = World::new(Setup::new()).await;
    assert_eq!(world.says("the-name-of-it", CARD).await, "home");
    let reply = world.gateway.ask_with(&user(CARD), &[]).await;
    let folder = world.gateway.folder.path().to_owned();
    // The file in which everything is before it is merged.
    let log = std::fs::read(folder.join("ajar.db-wal")).unwrap();
    let World { far, home, gateway } = world;
    let world = World { far, home, gateway: gateway.restart().await };
    assert_eq!(world.says("the-name-of-it", "summarise that").await, "home");
    assert_eq!(world.gateway.ask(&continuing(&id(&reply))).await.content(), "home");
    assert_eq!(world.says("another", "summarise that").await, "far");
    for bytes in [log, std::fs::read(folder.join("ajar.db")).unwrap()] {
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("restricted") && !holds("the-name-of-it") && !holds("4111 1111"));
        assert!(!holds(&id(&reply)), "nor the ids of answers");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_continues_an_answer_inherits_the_class_of_the_request_that_it_answered() {
    let raise_a_little = ("raise: restricted, when: finding.gov_id", "raise: internal, when: finding.gov_id");
    let setup = Setup::new()
        .policy(raise_a_little.0, raise_a_little.1)
        .policy("accepts: public, price", "accepts: internal, price");
    let world = World::new(setup).await;
    let mut asked = 0;
    for (text, answers, expected) in [(SSN, "far", "internal"), (CARD, "home", "restricted")] {
        for body in [user(text), streamed(user(text))] {
            let reply = world.gateway.ask(&body).await;
            assert_eq!(reply.content(), answers);
            let next = world.gateway.ask(&continuing(&id(&reply))).await;
            assert_eq!(next.content(), answers);
            asked += 2;
            assert_eq!(class(&world.last(asked).await), (expected, "conversation"));
            let after = world.gateway.ask(&continuing(&id(&next))).await;
            assert_eq!(after.content(), answers, "and so on");
            asked += 1;
        }
    }
    let open = world.gateway.ask(&user("hello")).await;
    assert_eq!(
        world.gateway.ask(&continuing(&format!("{}-not", id(&open)))).await.content(),
        "far",
        "of an answer that nobody gave"
    );
    assert_eq!(class(&world.last(asked + 2).await), ("public", "declared"));
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_known_by_their_opening_where_a_policy_asks_for_it() {
    for (by, third) in [("opening", "home"), ("header", "far")] {
        let world = World::new(Setup::new().policy_tail(&format!("conversations: {{ by: [{by}], ttl: 1h }}\n"))).await;
        let turn = |texts: &[&str]| {
            let roles = ["user", "assistant"].iter().cycle();
            let messages: Vec<Value> =
                texts.iter().zip(roles).map(|(t, r)| json!({ "role": r, "content": t })).collect();
            json!({ "model": "auto", "messages": messages })
        };
        let mut said = Vec::new();
        for texts in
            [&["help me"][..], &["help me", "with what?", CARD], &["help me", "with what?", "with that"], &["help us"]]
        {
            said.push(world.gateway.ask(&turn(texts)).await.content());
        }
        assert_eq!(said, ["far", "home", third, "far"], "{by}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_class_that_no_longer_exists_counts_as_the_highest() {
    let world = World::new(Setup::new()).await;
    assert_eq!(world.says("s", CARD).await, "home");
    let renamed = POLICY.replace("restricted", "secret");
    // Now it is the name of the lowest but one.
    let reordered = POLICY.replace("[public, internal, restricted]", "[public, restricted, internal, secret]");
    let reordered =
        reordered.replace("sealed: [restricted]\n", "").replace("accepts: public, price", "accepts: restricted, price");
    let reordered = reordered.replace("accepts: restricted, store", "accepts: secret, store");
    for (policy, expected) in
        [(renamed, ("home", "secret")), (reordered, ("far", "restricted")), (POLICY.to_owned(), ("home", "restricted"))]
    {
        world.gateway.replace("policies/policy.yaml", &policy);
        let reply = world.gateway.reload().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(world.says("s", "summarise that").await, expected.0);
        let rows = world.gateway.running.gateway.clone();
        eventually("the row is written", async || rows.metrics.in_flight.get() == 0).await;
    }
    let classes: Vec<_> = world.gateway.rows(4).await.iter().map(|row| row.class.clone().unwrap()).collect();
    assert_eq!(
        classes.iter().map(|class| &**class).collect::<Vec<_>>(),
        ["restricted", "secret", "restricted", "restricted"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_counts_and_a_dry_run_does_not() {
    let mut setup =
        Setup::new().policy("routes:", "guards:\n  - { id: no, when: finding.card, block: no_cards }\nroutes:");
    let key = bearer(&setup.key("full", "explain: full"));
    let world = World::new(setup).await;
    let dry = [("authorization", key.as_str()), (NAME, "s"), ("x-ajar-dry-run", "1")];
    assert_eq!(world.gateway.ask_with(&user(CARD), &dry).await.status, 200);
    assert_eq!(world.says_with("go on", &dry[..2]).await, "far");
    let refused = world.gateway.ask_with(&user(CARD), &dry[..2]).await;
    assert_eq!((refused.status, refused.header("x-ajar-reason")), (403, "no_cards"));
    assert_eq!(world.says_with("go on", &dry[..2]).await, "home");
    let told = world.gateway.ask_with(&user("go on"), &dry).await.json();
    assert_eq!(told["class"]["conversation"]["since"], refused.header("x-ajar-id"));
    let headers = [("x-ajar-key", "full"), (NAME, "s")];
    let mut request = world.gateway.client.post(world.gateway.operator("/api/explain")).body(user("go on").to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let told = Reply::read(request.send().await.unwrap()).await.json();
    assert_eq!((&told["class"]["value"], &told["class"]["basis"]), (&json!("restricted"), &json!("conversation")));
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_set_in_force_decides_is_kept_while_another_is_tried() {
    for rollout in ["mode: shadow", "mode: canary, percent: 100"] {
        // It finds no cards, and calls a secret restricted that the set in force does not mind.
        let tried = POLICY.replace("name: test", "name: tried").replace("pan_luhn, iban_mod97", "btc_address");
        let in_force = POLICY.replace("  - { id: secrets,  raise: restricted, when: finding.secret }\n", "");
        let rollout = format!("rollout: {{ {rollout}, compare_with: ../in-force }}\n");
        let setup = Setup::new().whole_policy(format!("{tried}{rollout}")).policy_beside("in-force", in_force);
        let world = World::new(setup).await;
        assert_eq!(world.says("cards", CARD).await, "home", "{rollout}");
        assert_eq!(world.says("cards", "go on").await, "home", "{rollout}");
        world.says("keys", "my key is AKIAQYLPMN5HFIQR7XYA").await;
        assert_eq!(world.says("keys", "go on").await, "far", "{rollout}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_cannot_answer_restricts_who_names_a_conversation_and_taints_nothing() {
    let world = World::new(Setup::new()).await;
    assert_eq!(world.says("known", "hello").await, "far");
    let file = world.gateway.folder.path().join("ajar.db");
    let mut conn = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    sqlx::query("ALTER TABLE conversation RENAME TO elsewhere").execute(&mut conn).await.unwrap();
    assert_eq!(world.says("known", "hello").await, "far", "what was asked before is remembered");
    assert_eq!(world.says("new", "hello").await, "home");
    assert_eq!(world.says_with("hello", &[]).await, "far");
    assert_eq!(class(&world.gateway.rows(4).await[2]), ("restricted", "unknown"));
    sqlx::query("ALTER TABLE elsewhere RENAME TO conversation").execute(&mut conn).await.unwrap();
    assert_eq!(world.says("new", "hello").await, "far");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_the_cache_is_not_served_across_classes() {
    let world = World::new(Setup::new()).await;
    let fixed = with(user("hello"), json!({ "temperature": 0 }));
    assert_eq!(world.gateway.ask_with(&fixed, &[]).await.content(), "far");
    assert_eq!(world.says("s", CARD).await, "home");
    let tainted = world.gateway.ask_with(&fixed, &[(NAME, "s")]).await;
    assert_eq!((tainted.content().as_str(), tainted.header("x-ajar-cache")), ("home", "bypass"));
    assert_eq!(class(&world.last(3).await), ("restricted", "conversation"));
    assert_eq!(world.home.counts().requests, 2);
}
