//! The egress ledger in a whole gateway: everything that reaches a provider was entered before, and nothing of it can be
//! read there.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ajar::audit::checkpoint::read_checkpoints;
use ajar::audit::reader::Against;
use ajar::audit::{Audit, Entry, Sent, What};
use serde_json::Value;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use crate::binary::{Served, printed, run};
use crate::harness::{Gateway, Setup, client, streamed, user};
use crate::sim::{Answer, Fault, Script, Sim};

const REQUIRED: &str = "ledger: { audit: required }\n";

/// What the ledger beside a gateway's record says was sent; the chain must be sound.
async fn sent(folder: &Path) -> Vec<Sent> {
    let mut audit = Audit::open(&folder.join("ledger.db")).await.unwrap();
    let mut sent = Vec::new();
    let found = audit.verify(Against::default(), |Entry { what, .. }| match what {
        What::Sent(entry) => sent.push(entry.clone()),
        What::Gap { .. } => {}
    });
    let found = found.await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    sent
}

/// The hashes of the bodies that a provider received.
fn received(sim: &Sim) -> Vec<String> {
    sim.requests().iter().map(|request| blake3::hash(&request.body).to_hex().to_string()).collect()
}

async fn locked(folder: &Path) -> SqliteConnection {
    let mut conn = SqliteConnectOptions::new().filename(folder.join("ledger.db")).connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut conn).await.unwrap();
    conn
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_has_an_entry_with_the_hash_of_what_its_provider_received() {
    let far = Sim::start(Script::echo().fault(Fault::Status { status: 500, retry_after: None }));
    let home = Sim::start(Script::echo());
    for (mode, section) in [("required", REQUIRED), ("best_effort", "")] {
        let gateway = Setup::new().provider("far", &far).provider("home", &home).section(section).start().await;
        let (before_far, before_home) = (far.requests().len(), home.requests().len());
        assert_eq!(gateway.ask(&user("one")).await.status, 200);
        assert_eq!(gateway.ask(&streamed(user("two"))).await.status, 200);
        gateway.running.gateway.dispatcher.ledger().flush().await;
        let rows = gateway.rows(2).await;
        let sent = sent(gateway.folder.path()).await;
        assert_eq!(sent.len(), 4, "{mode}: {sent:?}");
        let hashes = |boundary: &str| -> Vec<String> {
            let there = sent.iter().filter(|entry| entry.boundary == boundary);
            there.map(|entry| entry.body.to_hex().to_string()).collect()
        };
        assert_eq!(hashes("external"), received(&far)[before_far..]);
        assert_eq!(hashes("host"), received(&home)[before_home..]);
        for (row, entries) in rows.iter().zip(sent.chunks(2)) {
            for (entry, (attempt, destination)) in entries.iter().zip([(1, "far"), (2, "home")]) {
                assert_eq!((entry.request.as_str(), entry.attempt), (row.id.to_string().as_str(), attempt));
                assert_eq!((entry.destination.as_str(), entry.class.as_str()), (destination, "public"));
                assert_eq!(Some(entry.basis.as_str()), row.class_basis.as_deref());
                assert_eq!(Some(entry.policy.as_str()), row.policy.as_deref());
            }
            let origin = far.base_url().trim_end_matches("/v1").to_owned();
            assert_eq!((entries[0].origin.as_str(), entries[0].audit.as_str()), (origin.as_str(), mode));
            assert_eq!(entries[1].audit, "best_effort", "nobody waits where nothing leaves");
        }
        let ledger = gateway.get(gateway.operator("/readyz")).await.json()["ledger"].clone();
        assert_eq!((ledger["audit"].as_str(), ledger["written"].as_u64()), (Some(mode), Some(4)));
        assert_eq!(
            (ledger["writable"].as_bool(), gateway.metric("ajar_ledger_entries_total").await),
            (Some(true), 4.0)
        );
        gateway.running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_from_the_cache_or_refused_has_no_entry() {
    let far = Sim::start(Script::echo());
    let gateway = Setup::new().provider("far", &far).provider_at("home", &crate::harness::nobody(), "").start().await;
    let same = crate::harness::with(user("same"), serde_json::json!({ "temperature": 0 }));
    for _ in 0..3 {
        assert_eq!(gateway.ask(&same).await.status, 200);
    }
    // Restricted: only `home` may have it, and nobody is there.
    assert_eq!(gateway.ask(&user("my card is 4111 1111 1111 1111")).await.status, 502);
    gateway.running.gateway.dispatcher.ledger().flush().await;
    let there: Vec<_> = sent(gateway.folder.path()).await.into_iter().map(|s| (s.destination, s.class)).collect();
    let entry = |destination: &str, class: &str| (destination.to_owned(), class.to_owned());
    // Each of two attempts to reach `home` has its own.
    assert_eq!(there, [entry("far", "public"), entry("home", "restricted"), entry("home", "restricted")]);
    assert_eq!(far.counts().requests, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_ledger_must_be_written_and_cannot_be_nothing_leaves_and_home_still_answers() {
    let (far, home) = (Sim::start(Script::echo()), Sim::start(Script::echo()));
    let setup = |routes: &str| {
        let setup = Setup::new().provider("far", &far).provider("home", &home).section(REQUIRED);
        setup.policy("candidates: [far, home]", &format!("candidates: [{routes}]"))
    };
    let gateway = setup("far").start().await;
    let lock = locked(gateway.folder.path()).await;
    for body in [user("hello"), streamed(user("hello"))] {
        let reply = gateway.ask(&body).await;
        assert_eq!((reply.status, reply.error().0.as_str()), (503, "audit_unavailable"), "{}", reply.text());
        assert!(!reply.text().contains("ledger.db"), "{}", reply.text());
    }
    assert_eq!((far.connections(), home.connections()), (0, 0));
    let readiness = gateway.get(gateway.operator("/readyz")).await.json();
    assert_eq!(readiness["ledger"]["writable"], false, "{readiness}");
    assert_eq!(gateway.metric("ajar_ledger_failing").await, 1.0);
    let rows = gateway.rows(2).await;
    let told = |row: &ajar::record::Row| (row.bytes_out, row.cost.is_none(), row.reason.clone().unwrap_or_default());
    assert!(rows.iter().all(|row| told(row) == (0, true, "audit_unavailable".into())), "{rows:#?}");
    // As soon as it can be written again, everything is as before.
    lock.close().await.unwrap();
    assert_eq!(gateway.ask(&user("hello again")).await.status, 200);
    assert_eq!(gateway.metric("ajar_ledger_failing").await, 0.0);
    assert_eq!(sent(gateway.folder.path()).await.len(), 1);
    gateway.running.stop().await;

    let gateway = setup("far, home").start().await;
    let _lock = locked(gateway.folder.path()).await;
    let reply = gateway.ask(&user("hello")).await;
    assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, "home"), "{}", reply.text());
    assert_eq!((far.counts().requests, home.counts().requests), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn under_best_effort_requests_are_served_meanwhile_and_entered_later() {
    let far = Sim::start(Script::echo());
    let gateway = Setup::new().provider("far", &far).provider("home", &far).start().await;
    let lock = locked(gateway.folder.path()).await;
    for n in 0..5 {
        assert_eq!(gateway.ask(&user(&format!("question {n}"))).await.status, 200);
    }
    lock.close().await.unwrap();
    gateway.running.gateway.dispatcher.ledger().flush().await;
    let hashes: Vec<_> = sent(gateway.folder.path()).await.iter().map(|s| s.body.to_hex().to_string()).collect();
    assert_eq!(hashes, received(&far));
    assert_eq!(gateway.metric("ajar_ledger_lost_total").await, 0.0);
}

// === the real binary

const CLIENTS: usize = 6;
/// Answers before the process is killed.
const ANSWERS: usize = 120;

/// Asks until the process is gone, or nobody counts any more.
async fn ask_on(url: String, name: String, answers: Arc<AtomicUsize>) {
    let client = client();
    for n in 0.. {
        let request = client.post(&url).body(user(&format!("{name}, question {n}")).to_string()).send();
        let Ok(response) = request.await else { return };
        if response.bytes().await.is_err() {
            return;
        }
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_nine_leaves_no_body_at_the_provider_that_is_not_in_the_ledger() {
    let far = Sim::start(Script::answering(Answer::Tokens(5)));
    let setup = Setup::new().provider("far", &far).provider("home", &far).section(REQUIRED);
    let config = setup.write();
    for round in 0..3 {
        let mut served = Served::start(&config);
        let url = format!("http://{}/v1/chat/completions", served.data);
        let answers = Arc::new(AtomicUsize::new(0));
        let ask = |n| tokio::spawn(ask_on(url.clone(), format!("round {round}, client {n}"), answers.clone()));
        let clients: Vec<_> = (0..CLIENTS).map(ask).collect();
        while answers.load(Ordering::Relaxed) < ANSWERS {
            assert!(clients.iter().any(|client| !client.is_finished()), "the process ended by itself");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        served.child.kill().unwrap();
        for client in clients {
            client.await.unwrap();
        }
        served.child.wait().unwrap();
        let entered: HashSet<_> = sent(setup.folder()).await.iter().map(|s| s.body.to_hex().to_string()).collect();
        let received = received(&far);
        assert!(received.len() >= ANSWERS * (round + 1));
        let missing = received.iter().filter(|hash| !entered.contains(*hash)).count();
        assert_eq!(missing, 0, "of {} bodies", received.len());
    }
}

/// Starts `ajar serve` where no file can grow beyond `blocks` of 512 bytes; returns it with its address.
fn serve_on_a_small_disk(config: &Path, blocks: u32) -> (std::process::Child, String) {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$@\"");
    let args = ["-c", &script, "sh", env!("CARGO_BIN_EXE_ajar"), "serve", "--json-logs", "--config"];
    let mut command = Command::new("sh");
    command.args(args).arg(config).current_dir(config.parent().unwrap()).env_clear().env("RUST_LOG", "info");
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let serving = lines.by_ref().map(Result::unwrap).find(|line| line.contains("Serving."));
    let serving: Value = serde_json::from_str(&serving.expect("it serves")).unwrap();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (child, format!("http://{}/v1/chat/completions", serving["fields"]["applications"].as_str().unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_required_refuses_and_best_effort_serves_on() {
    const MOST: usize = 3000;
    for (section, required) in [(REQUIRED, true), ("", false)] {
        let far = Sim::start(Script::answering(Answer::Tokens(1)));
        let setup = Setup::new().provider("far", &far).provider("home", &far).section(section);
        let setup = setup.policy("candidates: [far, home]", "candidates: [far]");
        let (mut child, url) = serve_on_a_small_disk(&setup.write(), 192);
        let (client, mut refused, mut answered) = (client(), 0, 0);
        // A refusal may be followed by some success: SQLite moves its log into the file, as long as that may grow.
        while refused < 20 && answered < if required { MOST } else { 500 } {
            let question = user(&format!("question {}", refused + answered)).to_string();
            let reply = client.post(&url).body(question).send().await.unwrap();
            match reply.status().as_u16() {
                200 => answered += 1,
                503 => {
                    refused += 1;
                    assert!(reply.text().await.unwrap().contains("audit_unavailable"));
                }
                other => panic!("{other}: {}", reply.text().await.unwrap()),
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let received = received(&far);
        assert_eq!(received.len(), answered, "what was refused did not leave");
        assert_eq!(refused > 0, required, "{refused} refused, {answered} answered");
        if required {
            let entered: HashSet<_> = sent(setup.folder()).await.iter().map(|s| s.body.to_hex().to_string()).collect();
            assert!(received.iter().all(|hash| entered.contains(hash)));
        }
    }
}

// === the commands

/// A gateway that was asked a few things and stopped, with checkpoints in `elsewhere.jsonl`.
async fn audited() -> (Gateway, Sim) {
    let far = Sim::start(Script::echo());
    let home = far.base_url();
    let setup = Setup::new().provider("far", &far).provider_at("home", &home, "");
    let checkpoints = setup.folder().join("elsewhere.jsonl");
    let section = format!("ledger: {{ audit: required, checkpoints: {} }}\n", checkpoints.display());
    let gateway = setup.section(&section).start().await;
    for text in ["one", "two", "my card is 4111 1111 1111 1111", "three"] {
        assert_eq!(gateway.ask(&user(text)).await.status, 200, "{text}");
    }
    assert_eq!(gateway.ask_with(&user("four"), &[("x-ajar-label", "restricted")]).await.status, 200);
    assert_eq!(gateway.send("{", &[]).await.status, 400);
    gateway.rows(6).await;
    (gateway, far)
}

fn redacted(text: &str) -> String {
    let patterns = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "[time]"),
        (r"\b[0-9A-HJKMNP-TV-Z]{26}\b", "[ulid]"),
        (r"\b[0-9a-f]{64}\b", "[hash of 64 digits]"),
        (r"\b[0-9a-f]{12,16}\b", "[digest]"),
        (r"127\.0\.0\.1:\d+", "127.0.0.1:[port]"),
        (r" +\|", " |"),
        (r"-{3,}", "---"),
    ];
    let redact = |text: String, (pattern, by): (&str, &str)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, by).into_owned()
    };
    patterns.into_iter().fold(text.to_owned(), redact)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_verify_report_list_and_export() {
    let (gateway, _far) = audited().await;
    let folder = gateway.folder.path().to_owned();
    gateway.running.stop().await;
    let audit = |args: &[&str]| printed(&folder, &[&["audit"], args, &["--config", "ajar.yaml"]].concat());
    let key = audit(&["key"]);
    let key = key.trim();
    let against = ["--checkpoint", "elsewhere.jsonl", "--public-key", key];
    let mut shown = String::new();
    for (name, args) in [
        ("list", vec!["list"]),
        ("verify", vec!["verify"]),
        ("verify against what was kept elsewhere", [&["verify"], &against[..]].concat()),
        ("report", [&["report", "--class", "restricted", "--since", "1h"], &against[..]].concat()),
        ("report on a class that is sent", vec!["report", "--class", "internal"]),
    ] {
        shown += &format!("== {name}\n{}\n", redacted(&audit(&args)));
    }
    insta::assert_snapshot!(shown);
    let exported: ajar::audit::Checkpoint = serde_json::from_str(&audit(&["checkpoint"])).unwrap();
    assert_eq!(Some(&exported), read_checkpoints(&folder.join("elsewhere.jsonl")).unwrap().last());
    let report: Value = serde_json::from_str(&audit(&["report", "--class", "restricted", "--json"])).unwrap();
    assert_eq!((report["holds"].as_bool(), report["sent_outside"].as_u64()), (Some(true), Some(0)), "{report:#}");
    let verified: Value = serde_json::from_str(&audit(&["verify", "--json"])).unwrap();
    assert_eq!(verified["faults"].as_array().map(Vec::len), Some(0), "{verified:#}");
    // Exit code 2: the class did go outside.
    let public = run(&folder, &["audit", "report", "--class", "public", "--config", "ajar.yaml"]);
    assert_eq!(public.status.code(), Some(2));
    assert!(
        String::from_utf8(public.stdout).unwrap().contains("3 bodies of class `public` or above were sent outside")
    );
    let unknown = run(&folder, &["audit", "report", "--class", "secret", "--config", "ajar.yaml"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8(unknown.stderr).unwrap().contains("they have public, internal, restricted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_altered_ledger_fails_its_verification_and_its_report() {
    let (gateway, _far) = audited().await;
    let folder = gateway.folder.path().to_owned();
    gateway.running.stop().await;
    let mut conn = SqliteConnectOptions::new().filename(folder.join("ledger.db")).connect().await.unwrap();
    let sql = "DROP TRIGGER entry_update; UPDATE entry SET class = 'public' WHERE class = 'restricted'; \
        DROP TRIGGER entry_delete; DELETE FROM entry WHERE seq = 5";
    sqlx::raw_sql(sql).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let mut shown = String::new();
    for args in [&["verify"][..], &["report", "--class", "restricted"]] {
        let output = run(&folder, &[&["audit"], args, &["--config", "ajar.yaml"]].concat());
        assert_eq!(output.status.code(), Some(2));
        shown += &redacted(&String::from_utf8(output.stdout).unwrap());
    }
    insta::assert_snapshot!(shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_no_header_and_no_credential_is_in_the_ledger_its_checkpoints_or_its_reports() {
    let far = Sim::start(Script::text("canary-answer"));
    let mut setup = Setup::new();
    let key = setup.key("desk", "attributes: { desk: open }");
    std::fs::write(setup.folder().join("token"), "canary-credential").unwrap();
    let credential = format!("credential: {{ file: {}/token }}", setup.folder().display());
    let checkpoints = setup.folder().join("elsewhere.jsonl");
    let section = format!("ledger: {{ audit: required, checkpoints: {} }}\n", checkpoints.display());
    let setup = setup.provider_at("far", &far.base_url(), &credential).provider("home", &far).section(&section);
    let gateway = setup.start().await;
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("x-canary", "canary-header"), ("x-ajar-label", "canary-label")];
    for body in [user("canary-prompt"), streamed(user("canary-prompt"))] {
        for headers in [&headers[..1], &headers[..2], &headers[..]] {
            assert_eq!(gateway.ask_with(&body, headers).await.status, 200);
        }
    }
    assert!(far.saw("canary-prompt") && far.saw("canary-credential"));
    let folder = gateway.folder.path().to_owned();
    gateway.running.stop().await;
    let seed = std::fs::read_to_string(folder.join("ledger.key")).unwrap();
    let mut sinks: Vec<(String, Vec<u8>)> = Vec::new();
    for file in std::fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()) {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("ledger.db") || name == "elsewhere.jsonl" {
            sinks.push((name, std::fs::read(file).unwrap()));
        }
    }
    assert!(sinks.len() >= 2);
    for args in [&["list"][..], &["verify", "--json"], &["report", "--class", "restricted"], &["checkpoint"], &["key"]]
    {
        let output = run(&folder, &[&["audit"], args, &["--config", "ajar.yaml"]].concat());
        sinks.push((args[0].to_owned(), [output.stdout, output.stderr].concat()));
    }
    for (name, bytes) in sinks {
        for secret in ["canary", key.as_str(), seed.trim()] {
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "`{secret}` in {name}");
        }
    }
}
