//! The shipped sets, each with its own configuration, in front of a simulated provider.

use std::path::Path;

use ajar::app;
use ajar::config::Config;
use ajar::record::Records;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use serde_json::{Value, json};

use crate::harness::{Reply, Setup, client, user};
use crate::sim::{Script, Sim};

/// Each shipped configuration, and who answers an ordinary question where there is no local model.
const SHIPPED: [(&str, &str); 6] = [
    ("ajar", "gpt"),
    ("privacy-gateway", "mistral"),
    ("cost-control", "mini"),
    ("coding-assistant", "devstral"),
    ("strict", "gpt"),
    ("balanced", "gpt"),
];

const SECRET: &str = "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYzKq3pL9sTv";

/// The shipped configuration with this machine's paths, ports of its own, and every provider replaced by `sim`.
fn localised(name: &str, folder: &Path, sim: &Sim) -> Config {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(format!("config/{name}.yaml"))).unwrap();
    for file in ["token", "model.gguf"] {
        std::fs::write(folder.join(file), "nothing").unwrap();
    }
    let at = |file: &str| folder.join(file).display().to_string();
    let lines = text.lines().map(|line| match line.trim_start().split_once(": ") {
        Some(("base_url", _)) => format!("    base_url: {}", sim.base_url()),
        Some(("credential", _)) => format!("    credential: {{ file: {} }}", at("token")),
        Some(("listen" | "operator", _)) => line.replace("8080", "0").replace("8081", "0"),
        Some(("policies", set)) => format!("policies: {}", root.join(set.split(' ').next().unwrap()).display()),
        Some(("record", _)) => format!("record: {{ store: sqlite, path: {} }}", at("ajar.db")),
        Some(("smollm2", _)) => format!("  smollm2-135m: {{ model: {} }}", at("model.gguf")),
        Some(("qwen", _)) => format!("  qwen2.5-coder-1.5b: {{ model: {} }}", at("model.gguf")),
        _ => line.to_owned(),
    });
    let file = folder.join("ajar.yaml");
    std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
    Config::load(&file, &Vec::new()).unwrap_or_else(|problems| panic!("{problems}"))
}

async fn ask(running: &app::Running, text: &str) -> Reply {
    send(running, &user(text)).await
}

async fn send(running: &app::Running, body: &Value) -> Reply {
    let url = format!("http://{}/v1/chat/completions", running.data);
    let request = client().post(url).header("content-type", "application/json").body(body.to_string());
    Reply::read(request.send().await.expect("the gateway answers")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_shipped_set_serves_and_lets_no_secret_out() {
    for (name, expected) in SHIPPED {
        let folder = tempfile::tempdir().unwrap();
        let sim = Sim::start(Script::text("an answer"));
        let config = localised(name, folder.path(), &sim);
        let running = app::start(config).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let reply = ask(&running, "What is a harbour ferry?").await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, expected), "{name}: {}", reply.text());
        let reply = ask(&running, &format!("Why does this fail? {SECRET}")).await;
        assert_eq!(reply.status, 503, "{name}: {}", reply.text());
        assert!(sim.saw("harbour ferry") && !sim.saw("wJalrXUtnFEMI"), "{name}");
        running.stop().await;
    }
}

/// Requests that hold what nobody can look into, with a word to look for at the provider.
fn uninspectable() -> Vec<(&'static str, Value)> {
    let part = |part: Value| json!({ "model": "auto", "messages": [{ "role": "user", "content": [part] }] });
    let mut bytes = vec![0; 6_000];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    let data = STANDARD.encode(&bytes);
    let file = json!({ "filename": "canaryfile.zip", "file_data": format!("data:application/zip;base64,{data}") });
    vec![
        (
            "canarypicture",
            part(json!({ "type": "image_url", "image_url": { "url": "https://example.com/canarypicture.png" } })),
        ),
        (
            "image/png",
            part(json!({ "type": "image_url", "image_url": { "url": format!("data:image/png;base64,{data}") } })),
        ),
        ("input_audio", part(json!({ "type": "input_audio", "input_audio": { "data": data, "format": "wav" } }))),
        ("canaryfile", part(json!({ "type": "file", "file": file }))),
        ("canaryarchive", user(&format!("What is in this canaryarchive? {data}"))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_can_look_into_stays_home_under_strict_and_is_recorded_under_balanced() {
    for (name, leaves) in [("strict", false), ("balanced", true)] {
        let folder = tempfile::tempdir().unwrap();
        let sim = Sim::start(Script::text("an answer"));
        let running = app::start(localised(name, folder.path(), &sim)).await.unwrap_or_else(|error| panic!("{error}"));
        for (word, body) in uninspectable() {
            let reply = send(&running, &body).await;
            assert_eq!((reply.status == 200, sim.saw(word)), (leaves, leaves), "{name}: {word}: {}", reply.text());
        }
        let harmless = "Is 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 the SHA-256 of `test`? My UUID \
            is 123e4567-e89b-42d3-a456-426614174000. \u{2207}\u{00b7}E = \u{03c1}/\u{03b5}\u{2080}. Was heißt das?";
        assert_eq!(ask(&running, harmless).await.status, 200, "{name}");
        running.stop().await;
        let mut records = Records::open(&folder.path().join("ajar.db")).await.unwrap();
        let rows = records.tail(10).await.unwrap();
        let flags = |decision: &str| serde_json::from_str::<Value>(decision).unwrap()["flags"].clone();
        let flags: Vec<Value> = rows.iter().map(|entry| flags(&entry.row.decision)).collect();
        assert!(flags[..5].iter().all(|flags| *flags == json!(["uninspectable"])) && flags[5].is_null(), "{flags:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_label_in_a_header_or_on_the_key_keeps_a_request_at_home_and_none_lets_it_go() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let mut setup = Setup::new()
        .policy("{ kind: pattern, set: document-labels@1 }", "{ kind: label, header: X-Repository, key: desk }")
        .policy("[open, closed], default: open", "[none, closed], default: none")
        .provider("far", &far)
        .provider("home", &home);
    let (plain, closed) = (setup.key("plain", "explain: full"), setup.key("closed", "attributes: { desk: closed }"));
    let gateway = setup.start().await;
    for (key, repository, expected) in [
        (&plain, None, "far"),
        (&plain, Some("none"), "far"),
        (&plain, Some("private"), "home"),
        (&plain, Some(""), "home"),
        (&closed, None, "home"),
        (&closed, Some("none"), "home"),
    ] {
        let authorization = format!("Bearer {key}");
        let mut headers = vec![("authorization", authorization.as_str())];
        headers.extend(repository.map(|word| ("x-repository", word)));
        let reply = gateway.ask_with(&user("hello"), &headers).await;
        assert_eq!((reply.status, reply.header("x-ajar-served-by")), (200, expected), "{repository:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assumed_chance_decides_while_serving_and_the_record_calls_it_that() {
    let (far, home) = (Sim::start(Script::text("far")), Sim::start(Script::text("home")));
    let objective = "{ minimize: cost, where: { p_ok: 0.8 }, if_unknown: [home] }";
    let setup = Setup::new()
        .policy("candidates: [far, home]", &format!("candidates: [home, far], objective: {objective}"))
        .policy_tail("estimators: { home: { assumed: 0.6 }, far: { assumed: 0.9 } }\n")
        .provider("far", &far)
        .provider("home", &home);
    let gateway = setup.start().await;
    let reply = gateway.ask(&user("hello")).await;
    assert_eq!((reply.header("x-ajar-served-by"), reply.header("x-ajar-reason")), ("far", "meets_objective"));
    let decision: Value = serde_json::from_str(&gateway.rows(1).await[0].decision).unwrap();
    let basis: Vec<_> = decision["destinations"].as_array().unwrap().iter().map(|d| &d["p_ok_basis"]).collect();
    assert_eq!(basis, ["assumed", "assumed"]);
}
