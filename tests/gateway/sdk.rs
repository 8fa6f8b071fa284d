//! The official SDKs of OpenAI and Anthropic, for Python and Node, against the real binary.

use std::path::Path;
use std::process::Command;

use crate::binary::Served;
use crate::embeddings::serving;
use crate::harness::Setup;
use crate::sim::{Answer, Script, Sim};

const MODELS: &str = "models: { unknown_model: reject }\n";

/// Runs `scripts/sdk-check.sh` against a gateway.
fn check(setup: Setup, arguments: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let venv = root.join(target).join("sdk-venv/installed.txt");
    assert!(venv.exists(), "the SDKs are not installed; run `scripts/sdk-venv.sh` (as `make test` does)");
    let served = Served::start(&setup.write());
    wait_until_ready(&served);
    let url = format!("http://{}/v1", served.data);
    let script = root.join("scripts/sdk-check.sh");
    let output = Command::new(script).arg(&url).args(arguments).output().expect("the script runs");
    let shown = String::from_utf8(output.stdout).unwrap() + std::str::from_utf8(&output.stderr).unwrap();
    assert!(output.status.success(), "{shown}");
    let npm = Command::new("npm").arg("--version").output().is_ok();
    assert!(!npm || !shown.contains("skipped"), "{shown}");
}

fn wait_until_ready(served: &Served) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}/readyz", served.operator);
    let client = crate::harness::client();
    let ready = async || client.get(&url).send().await.is_ok_and(|response| response.status() == 200);
    runtime.block_on(crate::harness::eventually("the gateway is ready", ready));
}

/// A model that calls a tool, or thinks, where it is told to.
fn scripted() -> Script {
    let calls = ["Ulm", "Oslo"].map(|city| ("weather".to_owned(), format!("{{\"city\": \"{city}\"}}")));
    let thought = Answer::Thought { thought: "hm".to_owned(), text: "a river".to_owned() };
    Script::default().when("weather in two cities", Answer::ToolCalls(calls.into())).when("think hard", thought)
}

#[test]
fn the_official_sdks_talk_to_closed_models_through_the_gateway_whatever_those_speak() {
    for dialect in ["openai", "anthropic"] {
        let far = Sim::start(scripted());
        let setup = Setup::new().provider_speaking("far", &far, dialect).provider("home", &far);
        let mut setup = serving(setup).section(MODELS);
        let key = setup.key("sdk", "explain: full");
        check(setup, &[&key, "far", "scripted"]);
        assert!(far.counts().requests > 30, "{dialect}");
    }
}

#[cfg(feature = "llama")]
#[test]
fn the_official_sdks_talk_to_the_embedded_model() {
    let far = Sim::start(Script::default());
    let engine = "context: 1024, sequences: 2";
    let mut setup = crate::local::setup(engine).provider("openai", &far).section(MODELS);
    let key = setup.key("sdk", "explain: full");
    check(setup, &[&key, "local"]);
}
