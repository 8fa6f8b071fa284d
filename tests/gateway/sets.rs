//! The shipped sets, each with its own configuration, in front of a simulated provider.

use std::path::Path;

use ajar::app;
use ajar::config::Config;

use crate::harness::{Reply, Setup, client, user};
use crate::sim::{Script, Sim};

/// Each shipped configuration, and who answers an ordinary question where there is no local model.
const SHIPPED: [(&str, &str); 4] =
    [("ajar", "gpt"), ("privacy-gateway", "mistral"), ("cost-control", "mini"), ("coding-assistant", "devstral")];

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
    let url = format!("http://{}/v1/chat/completions", running.data);
    let request = client().post(url).header("content-type", "application/json").body(user(text).to_string());
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
    let decision: serde_json::Value = serde_json::from_str(&gateway.rows(1).await[0].decision).unwrap();
    let basis: Vec<_> = decision["destinations"].as_array().unwrap().iter().map(|d| &d["p_ok_basis"]).collect();
    assert_eq!(basis, ["assumed", "assumed"]);
}
