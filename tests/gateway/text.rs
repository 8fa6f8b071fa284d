//! What of the words themselves is kept, and where.

use serde_json::json;

use crate::harness::{Gateway, Setup, streamed, user, with};
use crate::sim::{Script, Sim};

const CARD: &str = "my card is 4111 1111 1111 1111, thanks";

/// Every byte of the record on disk, its write-ahead log included.
fn disk(gateway: &Gateway) -> String {
    let files = ["ajar.db", "ajar.db-wal"].map(|name| gateway.folder.path().join(name));
    let bytes: Vec<u8> = files.iter().filter_map(|file| std::fs::read(file).ok()).flatten().collect();
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_no_word_of_prompt_or_answer_reaches_the_disk() {
    let sim = Sim::start(Script::echo());
    let gateway = Setup::new().provider("far", &sim).provider("home", &sim).start().await;
    for body in [user("the heron stands"), streamed(user("the heron stands")), user(CARD)] {
        assert_eq!(gateway.ask(&body).await.status, 200);
    }
    let rows = gateway.rows(3).await;
    assert!(rows.iter().all(|row| row.text.is_none()));
    let disk = disk(&gateway);
    assert!(disk.contains("anonymous"), "the rows are there");
    assert!(!disk.contains("heron") && !disk.contains("4111"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_stores_text_gets_that_of_classes_up_to_its_ceiling_and_no_other() {
    let sim = Sim::start(Script::echo());
    let log = "log:   { via: sink/decision-log, boundary: host, accepts: restricted, store: features }";
    let setup = Setup::new().provider("far", &sim).provider("home", &sim);
    let setup = setup.policy(log, "log: { via: sink/decision-log, boundary: host, accepts: public, store: text }");
    let gateway = setup.start().await;
    let repeated = with(user("the heron stands"), json!({ "temperature": 0 }));
    for body in [streamed(user("the heron stands")), repeated.clone(), repeated, user(CARD)] {
        assert_eq!(gateway.ask(&body).await.status, 200);
    }
    let rows = gateway.rows(4).await;
    for row in &rows[..3] {
        let text = row.text.as_ref().expect("text of a public request");
        assert!(text.prompt.expose().contains("the heron stands"), "{}", row.cache.name());
        assert!(text.answer.expose().contains("heron"), "{}", row.cache.name());
    }
    assert_eq!(rows[2].cache.name(), "hit");
    assert!(rows[3].text.is_none(), "a restricted request is above the log's ceiling");
    assert!(!disk(&gateway).contains("4111"));
}
