//! The official OpenAI SDKs' `responses` against the real binary, before providers of both of OpenAI's dialects.

use std::path::Path;
use std::process::Command;

use crate::binary::Served;
use crate::harness::{client, eventually};
use crate::responses::keeping;
use crate::sim::{Answer, Script, Sim};

/// What the models say: see `tests/sdk/openai_responses.py`.
fn script() -> Script {
    let call = Answer::ToolCall { name: "weather".to_owned(), arguments: "{\"city\":\"Ulm\"}".to_owned() };
    Script::text("a word or two")
        .when("weather", call)
        .when("Name a city", Answer::Text("{\"name\":\"Ulm\",\"people\":128000}".to_owned()))
}

#[test]
fn the_official_sdks_create_stream_and_continue_responses() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), Into::into);
    let python = root.join(target).join("sdk-venv/bin/python");
    assert!(python.exists(), "the SDKs are not installed; run `scripts/sdk-venv.sh` (as `make test` does)");
    for dialect in ["openai", "openai-responses"] {
        let (far, home) = (Sim::start(script()), Sim::start(script()));
        let mut setup = keeping("public").provider_speaking("far", &far, dialect).provider("home", &home);
        let key = setup.key("sdk", "explain: full");
        let served = Served::start(&setup.write());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, ready) = (client(), format!("http://{}/readyz", served.operator));
        let is_ready = async || client.get(&ready).send().await.is_ok_and(|response| response.status() == 200);
        runtime.block_on(eventually("the gateway is ready", is_ready));
        let url = format!("http://{}/v1", served.data);
        let run = |program: &mut Command| {
            let output = program.args([&url, &key, "far"]).output().expect("the program runs");
            let shown = String::from_utf8(output.stdout).unwrap() + std::str::from_utf8(&output.stderr).unwrap();
            assert!(output.status.success(), "{dialect}: {shown}");
        };
        run(Command::new(&python).arg(root.join("tests/sdk/openai_responses.py")));
        if root.join("tests/sdk/node_modules/openai").exists() {
            run(Command::new("node").arg(root.join("tests/sdk/openai_responses.mjs")));
        }
    }
}
