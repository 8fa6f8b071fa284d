//! `x-ajar-dry-run`, and the full explanation that it and the operators' listener give.

use serde_json::{Value, json};

use crate::harness::{Reply, Setup, streamed, user};
use crate::sim::{Script, Sim};

const BUDGET: &str = "budgets:\n  - { id: day, per: key, window: day, limit: 10 USD, \
    ladder: [{ at: 1.00, only: 'dest.boundary == \"host\"' }] }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_explains_and_executes_nothing() {
    let far = Sim::start(Script::echo());
    let mut setup = Setup::new().provider("far", &far).provider("home", &far).policy_tail(BUDGET);
    let (full, reason) = (setup.key("full", "explain: full"), setup.key("reason", "explain: reason"));
    let gateway = setup.start().await;
    let ask = async |key: &str, body: &Value, value: &str| {
        let authorization = format!("Bearer {key}");
        gateway.ask_with(body, &[("authorization", &authorization), ("x-ajar-dry-run", value)]).await
    };
    let mut body = user("is 4111 1111 1111 1111 valid?");
    body["messages"].as_array_mut().unwrap().insert(0, json!({ "role": "system", "content": "Write to a@b.com" }));
    for body in [body.clone(), streamed(body.clone())] {
        let reply = ask(&full, &body, "1").await;
        assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"), "{}", reply.text());
        assert_eq!(reply.header("x-ajar-id").len(), 26);
        assert!(!reply.text().contains("4111") && !reply.text().contains("a@b.com"), "never the text");
        let explained = reply.json();
        assert_eq!((&explained["class"]["value"], &explained["plan"]), (&json!("restricted"), &json!(["home"])));
        let finding = &explained["detectors"][0]["findings"][0];
        assert_eq!((&finding["entity"], &finding["source"]), (&json!("card"), &json!("user")), "{finding}");
    }
    for value in ["0", "true", "", "1, 1"] {
        let reply = ask(&full, &body, value).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (400, "invalid_header"), "{value}");
    }
    let reply = ask(&reason, &body, "1").await;
    assert_eq!((reply.status, reply.error().0.as_str()), (403, "dry_run_not_allowed"));
    assert_eq!(ask(&full, &json!({ "model": "auto" }), "1").await.status, 400, "as for a real request");
    assert_eq!(far.connections(), 0);
    let rows = gateway.rows(8).await;
    let dry: Vec<_> = rows.iter().filter(|row| row.outcome.name() == "dry_run").collect();
    assert_eq!(dry.len(), 2);
    assert!(dry.iter().all(|row| row.status == 200 && row.attempts == 0 && row.cost.is_none() && row.bytes_out == 0));
    assert!(dry.iter().all(|row| row.class.as_deref() == Some("restricted") && row.served_by.is_none()));
    let ledger = &gateway.running.gateway.generation.load().ledger;
    let nobody = std::collections::BTreeMap::new();
    let spender = ajar::govern::Spender { key: "full", attributes: &nobody };
    assert_eq!(ledger.used_fraction("day", spender, jiff::Timestamp::now()), Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_gives_every_reason_against_every_destination() {
    let far = Sim::start(Script::echo());
    let setup = Setup::new()
        .provider_at("far", &far.base_url(), "credential: { file: /no/such/file }")
        .provider("home", &far)
        .policy("routes:\n", "routes:\n  - { id: images, order: 1, when: uses.image, candidates: [home] }\n")
        .policy_tail(
            "guards:\n  - { id: shut, when: finding.card, only: 'dest.boundary == \"host\"' }\n  \
            - { id: cheap, cap: { usd: 0.0000001 } }\n  - { id: idle, when: uses.audio, deny: 'true' }\n",
        )
        .policy_tail(BUDGET);
    let gateway = setup.start().await;
    let body = user("is 4111 1111 1111 1111 valid?").to_string();
    let sent = gateway.client.post(gateway.operator("/api/explain")).body(body).send().await.unwrap();
    let explained = Reply::read(sent).await.json();
    let far = explained["destinations"].as_array().unwrap().iter().find(|d| d["name"] == "far").unwrap();
    let reasons: Vec<&str> = far["reasons"].as_array().unwrap().iter().map(|reason| reason.as_str().unwrap()).collect();
    insta::assert_json_snapshot!((
        reasons,
        &explained["guards"],
        &explained["budgets"],
        &explained["routes"],
        &explained["objective"],
        &explained["candidates"],
    ));
}
