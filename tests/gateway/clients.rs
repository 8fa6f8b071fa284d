//! The official client libraries, and frameworks on top of them, against the real binary: before a simulated provider of
//! each wire format, and with the embedded model behind it. `make compat` installs them and runs this, which keeps the
//! tables in docs/compatibility.md.

mod table;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::binary::Served;
use crate::harness::{Setup, client, eventually};
use crate::sim::{Answer, Script, Sim};

/// Restricted requests are nobody's, and an answer of thousands of tokens costs too much.
const POLICY: &str = r#"
ajar: policy/v1
name: clients
authority: base
classes: [public, restricted]
sealed: [restricted]
default_class: public
attributes:
  client.label: { one_of: [none], default: none }
detectors:
  card: { kind: checksum, recognizers: [pan_luhn] }
classify:
  - { id: payment, raise: restricted, when: finding.card }
destinations:
  far:  { DESTINATION, accepts: public }
  near: { via: near, model: any, boundary: external, region: us, accepts: public, price: { input: 0, output: 0 },
          serves: [embeddings, moderations] }
  kept: { via: sink/responses, boundary: host, accepts: public }
routes:
  - { id: all, order: 900, candidates: [far, near], needs: { reasoning: if_used } }
budgets:
  - { id: purse, per: request, limit: 1 USD, ladder: [{ at: 1.00, refuse: budget_exhausted }] }
"#;

/// A program in tests/sdk.
struct Client {
    program: &'static str,
    /// The words that it is run with.
    words: &'static str,
    /// What it speaks.
    dialect: &'static str,
}

const fn the(program: &'static str, words: &'static str, dialect: &'static str) -> Client {
    Client { program, words, dialect }
}

const CHAT: &str = "chat completions";
const RESPONSES: &str = "responses";
const MESSAGES: &str = "messages";

const CLIENTS: [Client; 14] = [
    the("openai_python.py", "", CHAT),
    the("openai_responses.py", "", RESPONSES),
    the("anthropic_python.py", "", MESSAGES),
    the("openai_node.mjs", "", CHAT),
    the("openai_responses.mjs", "", RESPONSES),
    the("anthropic_node.mjs", "", MESSAGES),
    the("langchain_clients.py", "", CHAT),
    the("langchain_clients.py", "responses", RESPONSES),
    the("langchain_clients.py", "anthropic", MESSAGES),
    the("llamaindex_clients.py", "", CHAT),
    the("llamaindex_clients.py", "anthropic", MESSAGES),
    the("vercel_clients.mjs", "", CHAT),
    the("vercel_clients.mjs", "responses", RESPONSES),
    the("vercel_clients.mjs", "anthropic", MESSAGES),
];

/// What a simulated provider speaks, and a model that does.
const WIRES: [(&str, &str); 4] = [
    ("openai", "gpt-5-mini"),
    ("openai-responses", "gpt-5-mini"),
    ("anthropic", "claude-sonnet-4-6"),
    ("gemini", "gemini-2.5-flash"),
];

/// A model that calls tools, or thinks, where it is told to.
fn script() -> Script {
    let city = |city| ("weather".to_owned(), format!("{{\"city\":\"{city}\"}}"));
    let one = |name: &str, arguments: &str| Answer::ToolCall { name: name.to_owned(), arguments: arguments.to_owned() };
    let thought = Answer::Thought { thought: "hm, a river".to_owned(), text: "It is one.".to_owned() };
    Script::answering(Answer::Tokens(20))
        .when("two cities", Answer::ToolCalls(["Ulm", "Oslo"].map(city).into()))
        .when("weather in Ulm", one("weather", "{\"city\":\"Ulm\"}"))
        .when("Call City", one("City", "{\"name\":\"Ulm\"}"))
        .when("Name a city", Answer::Text("{\"name\":\"Ulm\"}".to_owned()))
        .when("think hard", thought)
}

fn setup(destination: &str) -> Setup {
    let setup = Setup::new().whole_policy(POLICY.replace("DESTINATION", destination));
    // LlamaIndex knows Anthropic's models by name.
    setup.section("models: { unknown_model: reject, claude-sonnet-4-0: far }\n")
}

/// How one client's checks ended.
struct Run {
    client: usize,
    passed: bool,
    output: String,
}

/// Runs all clients, as many at once as there are cores.
fn run_all(mut setup: Setup, words: &str) -> Vec<Run> {
    let key = setup.key("clients", "explain: full");
    let served = Served::start(&setup.write());
    wait_until_ready(&served);
    let url = format!("http://{}/v1", served.data);
    let (next, runs) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((client, of)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, CLIENTS.get(at)?)))
        {
            let mut command = of.command();
            command.args([&url, &key, "far"]).args(words.split_whitespace()).args(of.words.split_whitespace());
            let ended = command.output().unwrap_or_else(|error| panic!("{}: {error}", of.program));
            let passed = ended.status.success();
            let text = |bytes| String::from_utf8(bytes).expect("programs write UTF-8");
            let output = text(ended.stdout) + &text(ended.stderr);
            runs.lock().unwrap().push(Run { client, passed, output });
        }
    };
    std::thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(work))));
    let mut runs = runs.into_inner().unwrap();
    runs.sort_by_key(|run| run.client);
    runs
}

impl Client {
    /// LlamaIndex does not go with the current libraries.
    fn command(&self) -> Command {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
        let environment = if self.program.contains("llamaindex") { "llamaindex" } else { "sdk" };
        let mut command = match self.program.ends_with(".mjs") {
            true => Command::new("node"),
            false => Command::new(root.join(target).join(format!("{environment}-venv/bin/python"))),
        };
        command.arg(root.join("tests/sdk").join(self.program));
        command
    }

    fn is_python(&self) -> bool {
        self.program.ends_with(".py")
    }
}

fn wait_until_ready(served: &Served) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{}/readyz", served.operator);
    let client = client();
    let ready = async || client.get(&url).send().await.is_ok_and(|response| response.status() == 200);
    runtime.block_on(eventually("the gateway is ready", ready));
}

fn simulated(wire: &str, model: &str) -> Vec<Run> {
    let far = Sim::start(script());
    let outside =
        format!("via: far, model: {model}, boundary: external, region: us, price: {{ input: 0, output: 100 }}");
    let runs = run_all(setup(&outside).provider_speaking("far", &far, wire).provider("near", &far), "scripted");
    assert!(far.counts().requests > 100, "{wire}");
    runs
}

fn embedded() -> Vec<Run> {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
    let inside = "via: embedded, model: smollm2-135m, boundary: host, price: { input: 0, output: 150 }";
    let engine = format!(
        "models_dir: {}\nlocal:\n  smollm2: {{ model: smollm2-135m, threads: 1, context: 8192, sequences: 2 }}\n",
        models.display()
    );
    let near = Sim::start(script());
    let runs = run_all(setup(inside).section(&engine).provider("near", &near), "");
    assert_eq!(near.counts().requests, 0, "embeddings are asked for of scripted models only");
    runs
}

#[test]
#[ignore = "needs the client libraries: `make compat`"]
fn client_libraries_and_frameworks_talk_to_every_provider_and_the_embedded_model() {
    let outside: Vec<_> = WIRES.iter().map(|(wire, model)| (*wire, simulated(wire, model))).collect();
    let all: Vec<_> = outside.into_iter().chain([("embedded", embedded())]).collect();
    let failures: Vec<String> = all.iter().flat_map(|(behind, runs)| failures(behind, runs)).collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
    let (embedded, outside) = all.split_last().unwrap();
    table::keep(&[
        table::Table { title: "Before simulated providers of all four wire formats", behind: outside },
        table::Table {
            title: "Before the embedded model, SmolLM2 with 135 million parameters",
            behind: std::slice::from_ref(embedded),
        },
    ]);
}

/// What failed, and the whole output of programs that say of no check that it did.
fn failures(behind: &str, runs: &[Run]) -> Vec<String> {
    let failed = runs.iter().filter(|run| !run.passed).map(|run| {
        let Client { program, words, .. } = &CLIENTS[run.client];
        let lines: Vec<&str> = run.output.lines().filter(|line| line.starts_with("FAILED")).collect();
        let told = if lines.is_empty() { run.output.clone() } else { lines.join("\n") };
        format!("== {behind}: {program} {words}\n{told}")
    });
    failed.collect()
}
