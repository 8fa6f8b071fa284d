//! Shows the gateway at work: starts it with the shipped configuration and policy, sends it the prompts of
//! `prompts.yaml`, and prints what the record says about each.
//!
//! The closed model is played by the provider simulator, unless `OPENAI_API_KEY` is set. The exit status is 1 when a
//! prompt did not go where the file says it should.

mod client;
mod gateway;
mod prompts;
mod show;
#[path = "../provider_sim/sim.rs"]
mod sim;

use std::{
    env,
    io::{self, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use ajar::{
    config::Config,
    record::{Records, Row},
};
use anyhow::{Context as _, Result};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use client::Client;
use gateway::Gateway;
use prompts::{Expect, Prompt};
use show::Seen;
use sim::{Answer, Script, Sim};

/// A dozen prompts through the gateway, and what was decided about each.
#[derive(Parser)]
struct Flags {
    /// The configuration to serve with.
    #[arg(long, default_value = "config/ajar.yaml")]
    config: PathBuf,
    /// Record into this file, instead of the configuration's.
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
}

/// The longest that a row may take to be written, in looks and the time between two.
const LOOKS: (u32, Duration) = (100, Duration::from_millis(50));
/// How fast the simulated closed model is.
const SIMULATED_LATENCY: (Duration, Duration) = (Duration::from_millis(350), Duration::from_millis(12));
/// How much it says, in tokens.
const SIMULATED_TOKENS: usize = 90;
/// A private line shorter than this may occur anywhere.
const TELLING: usize = 24;

#[tokio::main]
async fn main() -> ExitCode {
    run(&Flags::parse()).await.unwrap_or_else(|error| {
        eprintln!("{error:#}");
        ExitCode::FAILURE
    })
}

async fn run(flags: &Flags) -> Result<ExitCode> {
    let prompts = Prompt::all()?;
    let binary = gateway::binary()?;
    let sim = env::var_os("OPENAI_API_KEY").is_none_or(|key| key.is_empty()).then(simulator);
    let overrides = overrides(flags, sim.as_ref());
    let record = Config::load(&flags.config, &overrides)?.record.path.context("the configuration keeps no record")?;

    let progress = spinner();
    progress.set_message("starting the gateway and loading the model");
    let gateway = Gateway::start(&binary, &flags.config, &overrides, sim.is_some())?;
    let client = Client::new()?;
    client.until_ready(gateway.operator).await?;

    let mut records = Records::open(&record).await?;
    let mut seen = Vec::new();
    for (number, prompt) in (1..).zip(prompts) {
        progress.set_message(format!("{number}: {}: {}", prompt.id, prompt.shows));
        let id = client.ask(gateway.data, prompt.body().to_string()).await;
        let id = id.with_context(|| format!("`{}`", prompt.id))?;
        let row = row(&mut records, &id).await?;
        seen.push(Seen { prompt, row });
    }
    progress.finish_and_clear();
    drop(gateway);
    report(flags, &binary, &seen, sim.as_ref())
}

/// A closed model that says something of everything.
fn simulator() -> Sim {
    let (first_byte, gap) = SIMULATED_LATENCY;
    Sim::start(Script::answering(Answer::Tokens(SIMULATED_TOKENS)).latency(first_byte, gap))
}

/// What differs from the configuration: free ports, so that the demo disturbs nobody, and who plays the closed model.
fn overrides(flags: &Flags, sim: Option<&Sim>) -> Vec<(String, String)> {
    let any_port = "127.0.0.1:0".to_owned();
    let mut overrides = vec![("server.listen".to_owned(), any_port.clone()), ("server.operator".to_owned(), any_port)];
    overrides.extend(sim.map(|sim| ("providers.openai.base_url".to_owned(), sim.base_url())));
    overrides.extend(flags.record.as_ref().map(|file| ("record.path".to_owned(), file.display().to_string())));
    overrides
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
        spinner.set_style(style);
    }
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

/// The request's row; it is written a moment after the answer.
async fn row(records: &mut Records, id: &str) -> Result<Row> {
    let (looks, pause) = LOOKS;
    for _ in 1..looks {
        if let Ok(entry) = records.show(id).await {
            return Ok(entry.row);
        }
        tokio::time::sleep(pause).await;
    }
    Ok(records.show(id).await?.row)
}

fn report(flags: &Flags, binary: &Path, seen: &[Seen], sim: Option<&Sim>) -> Result<ExitCode> {
    let out = &mut io::stdout().lock();
    let closed = if sim.is_some() { "simulated" } else { "OpenAI" };
    writeln!(out, "{}\n\n{}", show::table(seen, closed), show::summary(seen))?;
    let mut mismatches: Vec<String> = seen.iter().filter_map(Seen::mismatch).collect();
    if let Some(sim) = sim {
        let mut leaked = leaked(seen, sim);
        let calls = sim.requests().len();
        writeln!(
            out,
            "The simulated closed model received {calls} requests; {} lines of private prompts are in them.",
            leaked.len()
        )?;
        leaked.dedup();
        mismatches.extend(leaked.iter().map(|id| format!("lines of `{id}` reached the closed model")));
    }
    if let Some(private) = seen.iter().find(|one| one.prompt.expect == Expect::Private) {
        let store = flags.record.as_ref().map_or(String::new(), |file| format!(" --store {}", file.display()));
        let (name, id) = (&private.prompt.id, private.row.id);
        writeln!(out, "Why `{name}` stayed, in full: {} log show {id}{store}", binary.display())?;
    }
    for mismatch in &mismatches {
        writeln!(out, "not as it should be: {mismatch}")?;
    }
    Ok(if mismatches.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The prompts of which a telling line reached the simulator, once for each line.
fn leaked<'a>(seen: &'a [Seen], sim: &Sim) -> Vec<&'a str> {
    let private = seen.iter().map(|one| &one.prompt).filter(|prompt| prompt.expect == Expect::Private);
    let lines = private.flat_map(|prompt| prompt.text.lines().map(move |line| (prompt.id.as_str(), line.trim())));
    lines.filter(|(_, line)| line.len() >= TELLING && sim.saw(line)).map(|(id, _)| id).collect()
}
