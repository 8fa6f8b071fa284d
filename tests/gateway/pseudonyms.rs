//! What identifies somebody has a pseudonym outside and is itself again in the answer, whatever way it takes.

use ajar::record::Row;
use serde_json::{Value, json};

use crate::harness::{Gateway, POLICY, Setup, streamed, user, with};
use crate::leak::{GRAMMARS, PARTS};
use crate::sim::{Answer, Fault, On, Script, Sim};

const MAIL: &str = "maria.gonzalez@corp.com";
const LETTER: &str = "Please write to Maria Gonzalez, 12 Oak Street, Springfield, IL 62704.";

/// Contact data, cards and people at an address are internal, and may leave as pseudonyms in a style.
pub fn policy(style: &str) -> String {
    let detectors = "detectors:\n  contact: { kind: pattern, set: contact@1 }\n  \
        person: { kind: model, model: names@1, threshold: { PERSON: 0.5 }, deadline: 10s }\n  \
        lives: { kind: model, model: names@1, threshold: { ADDRESS: 0.5 }, deadline: 10s }\n";
    let classify = "classify:\n  - { id: contacts, raise: internal, when: finding.contact }\n  \
        - { id: somebody, raise: internal, when: finding.person && finding.lives }\n";
    let declassify = format!(
        "declassify:\n  - {{ id: known-by-another-name, up_to: internal, to: public, \
         requires: [pseudonymize, rescan_clean], style: {style} }}\nroutes:\n"
    );
    POLICY
        .replace("detectors:\n", detectors)
        .replace("classify:\n", classify)
        .replace("raise: restricted, when: finding.card", "raise: internal, when: finding.card")
        .replace("routes:\n", &declassify)
}

fn setup(far: &Sim, home: &Sim, style: &str) -> Setup {
    Setup::new().whole_policy(policy(style)).provider_at("far", &far.base_url(), GRAMMARS).provider("home", home)
}

async fn gateway(far: &Sim, style: &str) -> Gateway {
    setup(far, far, style).start().await
}

/// The only transform of a row: replaced, restored, unrestored, clean.
fn done(row: &Row) -> (u32, u32, u32, bool) {
    let [one] = &row.transforms[..] else { panic!("one transform: {row:?}") };
    (one.replaced, one.restored, one.unrestored, one.rescan_clean)
}

/// The pseudonym that the provider saw last.
fn pseudonym(far: &Sim) -> String {
    let body = String::from_utf8(far.requests().last().expect("a request").body.to_vec()).unwrap();
    let at = body.find("EMAIL_").expect("a pseudonym");
    body[at..at + "EMAIL_000000".len()].to_owned()
}

/// Whether some bytes of it, or what identifies it, reached the provider.
fn saw_any(far: &Sim, words: &[&str]) -> bool {
    words.iter().any(|word| far.saw(word) || far.saw(&word.to_lowercase()) || far.saw(&word.to_uppercase()))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_sees_no_original_in_any_part_of_a_request() {
    for style in ["tag", "surrogate"] {
        let far = Sim::start(Script::echo());
        let gateway = gateway(&far, style).await;
        for (part, body) in PARTS {
            for body in [body(MAIL), streamed(body(&format!("ask {MAIL}, soon")))] {
                let reply = gateway.ask(&body).await;
                assert_eq!(reply.status, 200, "{style}, {part}: {}", reply.text());
                assert_eq!(reply.header("x-ajar-served-by"), "far", "{style}, {part}");
            }
        }
        assert!(!saw_any(&far, &["maria.gonzalez", "corp.com", "gonzalez"]), "{style}");
        let rows = gateway.rows(2 * PARTS.len()).await;
        for row in rows {
            let (replaced, _, unrestored, clean) = done(&row);
            assert!(replaced >= 1 && unrestored == 0 && clean, "{row:?}");
            assert_eq!((row.class.as_deref(), row.served_by.as_deref()), (Some("internal"), Some("far")));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_client_gets_the_originals_back_whole_or_streamed_wherever_the_stream_is_cut() {
    let text = format!("write to {MAIL} or {} or 10.1.2.3, {MAIL}'s host; call +49 30 901820", MAIL.to_uppercase());
    for style in ["tag", "surrogate"] {
        let far = Sim::start(Script::echo());
        let gateway = gateway(&far, style).await;
        assert_eq!(gateway.ask(&user(&text)).await.content(), text, "{style}");
        for bytes in [1, 2, 3, 7, 64, 100_000] {
            far.set_script(Script::echo().fault(Fault::SlowDrip { bytes, every: std::time::Duration::ZERO }));
            let reply = gateway.ask(&streamed(user(&text))).await;
            assert_eq!(reply.content(), text, "{style}, cut every {bytes} bytes");
            assert_eq!(reply.events().last().map(String::as_str), Some("[DONE]"));
        }
        far.set_script(Script::echo().fault(Fault::NoDone));
        assert_eq!(gateway.ask(&streamed(user(&text))).await.content(), text, "{style}, without an end marker");
        let rows = gateway.rows(8).await;
        assert!(rows.iter().all(|row| done(row) == (5, 5, 0, true)), "{:?}", rows[0].transforms);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_at_an_address_leaves_as_somebody_else() {
    for style in ["tag", "surrogate"] {
        let far = Sim::start(Script::echo());
        let gateway = gateway(&far, style).await;
        let text = format!("{LETTER} Thank you, Maria Gonzalez!");
        let reply = gateway.ask(&user(&text)).await;
        assert_eq!((reply.content(), reply.header("x-ajar-served-by")), (text, "far"));
        assert!(!saw_any(&far, &["Maria", "Gonzalez", "Oak Street", "Springfield"]), "{style}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_of_tool_calls_are_restored_and_stay_json() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far, "tag").await;
    let ask = with(user(MAIL), json!({ "tools": [{ "type": "function", "function": { "name": "write" } }] }));
    assert_eq!(gateway.ask(&ask).await.status, 200);
    let arguments = json!({ "to": pseudonym(&far), "also": [pseudonym(&far).to_lowercase()] }).to_string();
    far.set_script(Script::answering(Answer::ToolCall { name: "write".to_owned(), arguments }));
    let whole = gateway.ask(&ask).await.json();
    let call = &whole["choices"][0]["message"]["tool_calls"][0]["function"];
    let expected = json!({ "to": MAIL, "also": [MAIL] });
    assert_eq!(serde_json::from_str::<Value>(call["arguments"].as_str().unwrap()).unwrap(), expected);
    let mut streamed_arguments = String::new();
    for event in gateway.ask(&streamed(ask)).await.events().iter().filter(|event| *event != "[DONE]") {
        let chunk: Value = serde_json::from_str(event).unwrap();
        let delta = &chunk["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"];
        streamed_arguments.push_str(delta.as_str().unwrap_or_default());
    }
    assert_eq!(serde_json::from_str::<Value>(&streamed_arguments).unwrap(), expected);
    assert!(!saw_any(&far, &["gonzalez"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_keeps_its_pseudonyms_over_turns_and_reloads() {
    let far = Sim::start(Script::echo());
    let gateway = gateway(&far, "tag").await;
    assert_eq!(gateway.ask(&user(MAIL)).await.status, 200);
    let first = pseudonym(&far);
    gateway.edit("policies/policy.yaml", "order: 900", "order: 901");
    assert_eq!(gateway.reload().await.status, 200);
    // The client replays what it got: the original.
    let turns = json!([{ "role": "user", "content": MAIL }, { "role": "assistant", "content": MAIL },
        { "role": "user", "content": format!("and {MAIL}?") }]);
    assert_eq!(gateway.ask(&json!({ "model": "auto", "messages": turns })).await.content(), format!("and {MAIL}?"));
    assert_eq!(pseudonym(&far), first);
    assert!(!saw_any(&far, &["gonzalez"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_restored_for_another_tenant_conversation_or_request() {
    let far = Sim::start(Script::echo());
    let mut setup = setup(&far, &far, "tag");
    let keys = [setup.key("one", ""), setup.key("two", "")].map(|key| format!("Bearer {key}"));
    let gateway = setup.start().await;
    let ask = async |key: &str, session: &str, text: &str| {
        gateway.ask_with(&user(text), &[("authorization", key), ("x-ajar-session", session)]).await.content()
    };
    assert_eq!(ask(&keys[0], "a", MAIL).await, MAIL);
    let foreign = pseudonym(&far);
    far.set_script(Script::text(format!("it is {foreign}")));
    let spoiled = format!("it is {foreign}");
    for (key, session, text) in [
        (&keys[1], "a", "who is other@corp.com?"),
        (&keys[0], "b", "who is other@corp.com?"),
        // Even where the conversation knows it: this request did not hold it.
        (&keys[0], "a", "who is other@corp.com?"),
    ] {
        assert_eq!(ask(key, session, text).await, spoiled);
    }
    // The same text in another conversation, and for another tenant, has another pseudonym.
    for (key, session) in [(&keys[1], "a"), (&keys[0], "b")] {
        ask(key, session, MAIL).await;
        assert_ne!(pseudonym(&far), foreign);
    }
    assert_eq!(ask(&keys[0], "a", MAIL).await, format!("it is {MAIL}"));
    let rows = gateway.rows(7).await;
    assert!(rows[1..4].iter().all(|row| done(row).1 == 0 && done(row).2 == 1), "counted as invented");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_model_invents_stays_and_is_counted() {
    let far = Sim::start(Script::text("ask EMAIL_000000 or PERSON_ABCDEF, not PERSON_"));
    let gateway = gateway(&far, "tag").await;
    for body in [user(MAIL), streamed(user(MAIL))] {
        assert_eq!(gateway.ask(&body).await.content(), "ask EMAIL_000000 or PERSON_ABCDEF, not PERSON_");
    }
    assert!(gateway.rows(2).await.iter().all(|row| done(row) == (1, 0, 2, true)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_goes_to_the_next_candidate_and_nothing_of_it_outside() {
    let (far, home) = (Sim::start(Script::echo()), Sim::start(Script::echo()));
    let gateway = setup(&far, &home, "tag").start().await;
    let number = with(user("hello"), json!({ "x_extra": 4111111111111111_u64 }));
    for body in [number.clone(), streamed(number.clone())] {
        let reply = gateway.ask(&body).await;
        assert_eq!((reply.content(), reply.header("x-ajar-served-by")), ("hello".to_owned(), "home"));
    }
    assert_eq!(far.connections(), 0);
    assert!(home.saw("4111111111111111"));
    for row in gateway.rows(2).await {
        assert!(!done(&row).3 && row.bytes_out == 0 && row.attempts == 1, "{row:?}");
        assert_eq!(row.transforms[0].destination, "far");
    }
    let alone = setup(&far, &home, "tag").policy("candidates: [far, home]", "candidates: [far]").start().await;
    let reply = alone.ask(&number).await;
    assert_eq!((reply.status, reply.error().0.as_str()), (403, "rescan_not_clean"));
    let row = &alone.rows(1).await[0];
    assert_eq!((row.outcome.name(), row.reason.as_deref()), ("refused", Some("rescan_not_clean")));
    assert_eq!(far.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_the_host_sees_originals_and_the_provider_still_none() {
    let far = Sim::start(Script::echo().fault_on(On::First(1), Fault::Status { status: 500, retry_after: None }));
    let home = Sim::start(Script::echo());
    let gateway = setup(&far, &home, "surrogate").start().await;
    let reply = gateway.ask(&user(MAIL)).await;
    assert_eq!((reply.content().as_str(), reply.header("x-ajar-served-by")), (MAIL, "home"));
    assert!(home.saw(MAIL) && !saw_any(&far, &["gonzalez"]) && far.counts().requests == 1);
    assert_eq!(gateway.ask(&user(MAIL)).await.content(), MAIL);
    assert!(!saw_any(&far, &["gonzalez"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_originals_nor_pseudonyms_are_kept_shared_or_shown() {
    let far = Sim::start(Script::echo());
    let mut setup = setup(&far, &far, "tag");
    let key = format!("Bearer {}", setup.key("full", "explain: full"));
    let gateway = setup.start().await;
    let fixed = with(user(MAIL), json!({ "temperature": 0 }));
    for _ in 0..2 {
        let reply = gateway.ask(&fixed).await;
        assert_eq!((reply.content().as_str(), reply.header("x-ajar-cache")), (MAIL, "bypass"));
    }
    assert_eq!(far.counts().requests, 2);
    let explained = gateway.ask_with(&fixed, &[("authorization", &key), ("x-ajar-dry-run", "1")]).await;
    let transforms = json!(["pseudonymize", "rescan_clean"]);
    let to_far = explained.json()["destinations"].as_array().unwrap().iter().find(|d| d["name"] == "far").cloned();
    assert_eq!(to_far.unwrap()["transforms"], transforms, "{}", explained.text());
    gateway.rows(3).await;
    let files = ["ajar.db", "ajar.db-wal"].map(|name| gateway.folder.path().join(name));
    let disk: Vec<u8> = files.iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect();
    let disk: String = disk.iter().map(|byte| char::from(*byte)).collect();
    assert!(disk.contains("rescan_clean") && !disk.contains("gonzalez") && !disk.contains(&pseudonym(&far)));
    assert!(!explained.text().contains("gonzalez") && !explained.text().contains("EMAIL_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_replaces_what_either_set_finds_and_is_clean_by_both() {
    // The tried set finds no contact data, and would send it as it is.
    let blind = POLICY.replace("name: test", "name: blind");
    let rollout = "rollout: { mode: canary, percent: 100, by: key, compare_with: ../in-force }\n";
    let far = Sim::start(Script::echo());
    let setup = Setup::new().whole_policy(format!("{blind}{rollout}")).policy_beside("in-force", policy("tag"));
    let gateway = setup.provider("far", &far).provider("home", &far).start().await;
    let reply = gateway.ask(&user(&format!("write to {MAIL}"))).await;
    assert_eq!((reply.content(), reply.header("x-ajar-served-by")), (format!("write to {MAIL}"), "far"));
    assert!(!saw_any(&far, &["gonzalez", "corp.com"]));
    let row = &gateway.rows(1).await[0];
    assert_eq!((done(row), row.class.as_deref()), ((1, 1, 0, true), Some("public")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guard_may_ask_for_pseudonyms_where_the_class_asks_for_nothing() {
    let (far, home) = (Sim::start(Script::echo()), Sim::start(Script::echo()));
    let policy = POLICY
        .replace("detectors:\n", "detectors:\n  contact: { kind: pattern, set: contact@1 }\n")
        .replace("routes:\n", "guards:\n  - { id: always, require: [pseudonymize] }\nroutes:\n");
    let gateway = Setup::new().whole_policy(policy).provider("far", &far).provider("home", &home).start().await;
    let reply = gateway.ask(&user(MAIL)).await;
    assert_eq!((reply.content().as_str(), reply.header("x-ajar-served-by")), (MAIL, "far"));
    assert!(!saw_any(&far, &["gonzalez"]));
    assert_eq!(gateway.ask(&with(user(MAIL), json!({ "model": "home" }))).await.content(), MAIL);
    assert!(home.saw(MAIL), "the host sees originals");
    let rows = gateway.rows(2).await;
    assert_eq!((done(&rows[0]), rows[0].class.as_deref()), ((1, 1, 0, true), Some("public")));
    assert!(rows[1].transforms.is_empty());
}
