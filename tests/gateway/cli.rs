//! The commands, as people type them.

use std::path::Path;
use std::process::Stdio;

use ajar::chat::{MicroUsd, RequestId};
use ajar::record::{Outcome, Recorder, Row, StoreOptions};
use serde_json::Value;

use crate::binary::{ajar, printed, run};
use crate::harness::Setup;

/// The shipped configuration and policy, with paths that hold in any folder.
fn shipped(folder: &Path) -> std::path::PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("config/ajar.yaml")).unwrap();
    let policies = root.join("policies/default");
    let text = text.replace("policies: policies/default", &format!("policies: {}", policies.display()));
    let file = folder.join("ajar.yaml");
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn check_reports_every_mistake_with_its_place_and_a_way_out() {
    let setup = Setup::new()
        .policy("raise: restricted, when: finding.card", "raise: restrictd, when: finding.card")
        .policy("when: finding.gov_id", "when: finding.gov_ids")
        .policy("region: us, accepts: public, ", "")
        .policy("[far, home]", "[fra, home]");
    let config = setup.write();
    let folder = setup.folder();
    let text = std::fs::read_to_string(&config).unwrap();
    let broken = text.replace("commit_interval: 10ms", "commit_intervall: 10ms").replace("listen: 127", "listen: 999");
    let file = folder.join("broken.yaml");
    std::fs::write(&file, format!("{broken}nonsense: true\n")).unwrap();
    let mut shown = String::new();
    for file in ["broken.yaml", "ajar.yaml"] {
        let output = run(folder, &["check", "--config", file]);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        shown += &format!("== {file}\n{}", String::from_utf8(output.stderr).unwrap());
    }
    insta::assert_snapshot!(shown.replace(folder.to_str().unwrap(), "FOLDER"));
}

#[test]
fn check_refuses_a_model_name_that_stands_for_somebody_who_answers_nothing() {
    let setup = Setup::new().section("models: { \"gpt-*\": log }\n");
    let config = setup.write();
    let output = run(setup.folder(), &["check", "--config", config.to_str().unwrap()]);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("`log`, which is no destination that answers; expected one of `far`, `home`"), "{told}");
}

#[test]
fn a_pepper_that_is_not_there_is_named_with_the_way_out() {
    let url = "http://127.0.0.1:1/v1";
    let mut setup = Setup::new().provider_at("far", url, "").provider_at("home", url, "");
    setup.key("desk", "");
    let config = setup.write();
    let args = ["serve", "--config", config.to_str().unwrap(), "--set", "pepper=lost"];
    let output = run(setup.folder(), &args);
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(told.contains("`lost` is not there") && told.contains("`ajar keys new NAME`"), "{told}");
}

#[test]
fn check_warns_of_files_without_which_serve_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let config = shipped(folder.path());
    let args = ["keys", "new", "--config", config.to_str().unwrap(), "desk"];
    let shown = printed(folder.path(), &args);
    let entry: String = shown.lines().filter(|line| line.starts_with("  ")).map(|line| format!("{line}\n")).collect();
    let text = std::fs::read_to_string(&config).unwrap();
    let warnings = |text: &str, more: &[&str]| {
        std::fs::write(&config, format!("{text}keys:\n{entry}")).unwrap();
        let shown = printed(folder.path(), &[&["check", "--config", "ajar.yaml"], more].concat());
        shown.lines().filter(|line| line.starts_with("warning: ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let told = warnings(&text, &["--set", "pepper=lost"]);
    assert!(
        told.len() == 2 && told[0].contains("`lost` is not there") && told[0].contains("`ajar keys new NAME`"),
        "{told:?}"
    );
    assert!(told[1].contains("does not exist") && told[1].contains("ajar models pull"), "{told:?}");
    let own = folder.path().join("own.gguf");
    let text = text.replace("smollm2: { model: smollm2-135m", &format!("smollm2-135m: {{ model: {}", own.display()));
    let told = warnings(&text, &[]);
    assert!(told.len() == 1 && told[0].contains("correct `local.smollm2-135m.model`"), "{told:?}");
    std::fs::write(&own, "GGUF").unwrap();
    assert!(warnings(&text, &[]).is_empty(), "it is not read through");
}

#[test]
fn what_a_command_finds_is_its_exit_code_though_nobody_reads_what_it_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let widening = ["policy", "diff", "policies/strict", "policies/balanced"];
    for (args, code) in [(&["openapi"][..], 0), (&widening[..], 2)] {
        let mut child = ajar(root, args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            (output.status.code(), String::from_utf8(output.stderr).unwrap().as_str()),
            (Some(code), ""),
            "{args:?}"
        );
    }
}

#[test]
fn check_accepts_what_is_shipped() {
    let folder = tempfile::tempdir().unwrap();
    let config = shipped(folder.path());
    let shown = printed(folder.path(), &["check", "--config", config.to_str().unwrap()]);
    assert!(shown.contains("set `default`") && shown.contains("tests passed"), "{shown}");
}

#[test]
fn explain_shows_why_a_private_and_a_hard_request_go_where_they_go() {
    let folder = tempfile::tempdir().unwrap();
    let config = shipped(folder.path());
    std::fs::write(folder.path().join("token"), "sk-test").unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("{ env: OPENAI_API_KEY }", "{ file: token }")).unwrap();
    let private = "Is the card 4111 1111 1111 1111 of jane.doe@example.com still valid?";
    let hard = "Prove that every continuous function on a compact metric space is uniformly continuous, then derive \
        the modulus of continuity for f(x) = sqrt(x) on [0, 1] and implement a verified C++ routine that bounds it.";
    let mut shown = String::new();
    for (name, prompt) in [("private", private), ("hard", hard)] {
        let file = folder.path().join(format!("{name}.json"));
        let body = serde_json::json!({ "model": "auto", "messages": [{ "role": "user", "content": prompt }] });
        std::fs::write(&file, body.to_string()).unwrap();
        let args = ["explain", "--config", "ajar.yaml", "--request", file.to_str().unwrap()];
        let text = printed(folder.path(), &args);
        assert!(!text.contains("4111") && !text.contains("jane"), "no text of the request: {text}");
        shown += &format!("== {name}\n{text}");
        let json: Value = serde_json::from_str(&printed(folder.path(), &[&args[..], &["--json"]].concat())).unwrap();
        assert_eq!(json["plan"][0], if name == "private" { "local" } else { "gpt" }, "{json:#}");
    }
    let digest = regex::Regex::new("[0-9a-f]{12,64}").unwrap();
    insta::assert_snapshot!(digest.replace_all(&shown, "[digest]"));
}

#[test]
fn a_new_key_is_shown_once_and_opens_the_door_of_its_pepper_only() {
    let folder = tempfile::tempdir().unwrap();
    let config = shipped(folder.path());
    let args = ["keys", "new", "--config", config.to_str().unwrap(), "desk"];
    let (first, second) = (printed(folder.path(), &args), printed(folder.path(), &args));
    let key = |text: &str| text.split_whitespace().find(|word| word.starts_with("ajar-")).unwrap().to_owned();
    assert_ne!(key(&first), key(&second));
    let pepper = folder.path().join("data/pepper");
    let pepper = ajar::govern::Pepper::new(&std::fs::read(pepper).unwrap()).unwrap();
    assert!(first.contains(&pepper.hash(&key(&first))) && first.contains("name: desk"), "{first}");
    let odd = printed(folder.path(), &["keys", "new", "--config", config.to_str().unwrap(), "front: \"desk\" #2"]);
    let lines = first.lines().chain(odd.lines()).filter(|line| line.starts_with("  "));
    let entry: String = lines.map(|line| format!("{line}\n")).collect();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}keys:\n{entry}")).unwrap();
    printed(folder.path(), &["check", "--config", config.to_str().unwrap()]);
}

/// A store of three rows of two keys.
fn store(path: &Path) -> Vec<String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let recorder = Recorder::start(StoreOptions::new(path)).await.unwrap();
        let rows = [("desk", "far", 1500), ("desk", "home", 0), ("bot", "far", 2500)];
        let ids = rows.map(|(key, served_by, cost)| {
            let mut row = Row::new(RequestId(ulid::Ulid::generate()), jiff::Timestamp::now(), "openai.chat");
            (row.key, row.served_by) = (Some(key.into()), Some(served_by.into()));
            (row.cost, row.local) = (Some(MicroUsd(cost)), Some(served_by == "home"));
            (row.outcome, row.status, row.class) = (Outcome::Answered, 200, Some("public".into()));
            let id = row.id.to_string();
            recorder.record(row);
            id
        });
        recorder.close().await;
        ids.to_vec()
    })
}

#[test]
fn the_record_is_listed_shown_summed_exported_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let ids = store(&folder.path().join("a.db"));
    let log = |args: &[&str]| printed(folder.path(), &[&["log"], args, &["--store", "a.db"]].concat());
    let listed = log(&["tail"]);
    assert!(ids.iter().all(|id| listed.contains(id)), "{listed}");
    assert!(!log(&["tail", "-n", "1"]).contains(&ids[0]));
    let shown = log(&["show", &ids[0]]);
    assert!(shown.contains("served by      far") && shown.contains("$0.001500"), "{shown}");
    let row: Value = serde_json::from_str(&log(&["show", "--json", &ids[1]])).unwrap();
    assert_eq!(row["id"], ids[1].as_str());
    let sums = log(&["stats"]);
    assert!(sums.contains("0.004000") && sums.contains("answered at home: 33%"), "{sums}");
    let exported = log(&["export", "--jsonl"]);
    let exported: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(exported.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    assert_eq!(log(&["delete", "--id", &ids[2]]), "1 deleted\n");
    assert_eq!(log(&["delete", "--key", "desk"]), "2 deleted\n");
    assert_eq!(log(&["export", "--jsonl"]), "");
    let missing = run(folder.path(), &["log", "show", &ids[0], "--store", "a.db"]);
    assert_eq!(missing.status.code(), Some(1));
    let missing = run(folder.path(), &["log", "tail", "--store", "b.db"]);
    assert!(!missing.status.success() && !folder.path().join("b.db").exists(), "reading makes no store");
}
