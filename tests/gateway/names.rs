//! What a model recognises decides where a request may go, and so does a model that had no time to look.

use crate::harness::{Gateway, Setup, user};
use crate::sim::{Script, Sim};

const LETTER: &str = "Please write to Maria Gonzalez, 12 Oak Street, Springfield, IL 62704.";

/// A gateway that keeps names with addresses at home, and says nothing of what it could not look at.
async fn gateway(far: &Sim, home: &Sim, deadline: &str) -> Gateway {
    let detectors = format!(
        "detectors:\n  person: {{ kind: model, model: names@1, threshold: {{ PERSON: 0.5 }}, deadline: {deadline} }}\n  \
         lives: {{ kind: model, model: names@1, threshold: {{ ADDRESS: 0.5 }}, deadline: {deadline} }}\n"
    );
    let classify = "classify:\n  - { id: somebody, raise: restricted, when: finding.person && finding.lives }\n";
    let setup = Setup::new().policy("detectors:\n", &detectors).policy("classify:\n", classify);
    setup.provider("far", far).provider("home", home).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_an_address_stays_at_home_and_a_name_alone_may_leave() {
    let (far, home) = (Sim::start(Script::echo()), Sim::start(Script::echo()));
    let gateway = gateway(&far, &home, "10s").await;
    for (text, leaves) in
        [(LETTER, false), ("Ask Maria Gonzalez how to sort a list.", true), ("How do I sort a list?", true)]
    {
        let before = far.requests().len();
        assert_eq!(gateway.ask(&user(text)).await.status, 200);
        assert_eq!(far.requests().len() > before, leaves, "{text}");
    }
    let rows = gateway.rows(3).await;
    let letter = rows.iter().find(|row| row.class.as_deref() == Some("restricted")).unwrap();
    assert_eq!(letter.class_basis.as_deref(), Some("statistical"));
    assert!(!far.saw("Oak Street") && home.saw("Oak Street"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_models_had_no_time_to_look_at_stays_at_home() {
    let (far, home) = (Sim::start(Script::echo()), Sim::start(Script::echo()));
    let gateway = gateway(&far, &home, "1ns").await;
    assert_eq!(gateway.ask(&user("How do I sort a list?")).await.status, 200);
    assert_eq!((far.requests().len(), home.requests().len()), (0, 1));
    assert_eq!(gateway.rows(1).await[0].class_basis.as_deref(), Some("unknown"));
}
