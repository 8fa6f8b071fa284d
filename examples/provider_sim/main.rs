//! Serves a simulated OpenAI for demonstrations and benchmarks: `cargo run --example provider_sim -- --help`.

mod sim;

use std::{
    fs::File,
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser;

use sim::{Answer, Break, Fault, On, Recorded, Script, Sim};

/// A simulated OpenAI provider.
#[derive(Parser)]
struct Flags {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:9100")]
    listen: SocketAddr,
    /// The only API key accepted; without it, any.
    #[arg(long)]
    bearer: Option<String>,
    /// A model that exists (repeatable); without it, every name does.
    #[arg(long = "model")]
    models: Vec<String>,
    #[command(flatten)]
    answer: AnswerFlags,
    /// Time to the first byte.
    #[arg(long, default_value = "0ms", value_parser = humantime::parse_duration)]
    first_byte: Duration,
    /// Pause between two events of a stream.
    #[arg(long, default_value = "0ms", value_parser = humantime::parse_duration)]
    gap: Duration,
    /// What goes wrong: status=503, retry-after=2s (with 429), hang-accept, hang-before-headers, hang-mid-stream=3, pings=3,
    /// cut=3, reset=3, malformed=3, error-event=3, no-done, no-usage, slow-drip=5, oversized-line=1000000,
    /// content-type=text/html (repeatable; a number is the events sent before it, or bytes).
    #[arg(long = "fault", value_parser = fault)]
    faults: Vec<Fault>,
    /// Only every n-th request fails.
    #[arg(long, default_value_t = 1)]
    every: u64,
    /// Appends every byte received to this file.
    #[arg(long)]
    record: Option<PathBuf>,
}

/// What the model says; by default, deterministic prose of 40 tokens.
#[derive(clap::Args)]
struct AnswerFlags {
    /// Always this text.
    #[arg(long, group = "says")]
    text: Option<String>,
    /// The last user message.
    #[arg(long, group = "says")]
    echo: bool,
    /// Prose of so many tokens.
    #[arg(long, default_value_t = 40)]
    tokens: usize,
    /// For benchmarks: precomputed, of this many bytes; `--tokens` content chunks when streamed.
    #[arg(long, group = "says")]
    canned: Option<usize>,
    /// JSON lines of `{prompt, response}` or `{prompt, responses: {model: text}}`, answered first.
    #[arg(long)]
    recorded: Option<PathBuf>,
    /// Whose `responses` count, by prefix.
    #[arg(long, default_value = "gpt")]
    recorded_model: String,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let copy = flags.record.as_ref().map(|path| File::options().create(true).append(true).open(path)).transpose();
    let copy = copy.context("cannot open the file of `--record`")?;
    let listen = flags.listen;
    let sim = Sim::listen(listen, script(flags)?, copy).with_context(|| format!("cannot listen on `{listen}`"))?;
    writeln!(io::stdout(), "listening on {}", sim.base_url())?;
    sim.wait();
    Ok(())
}

fn script(flags: Flags) -> anyhow::Result<Script> {
    let mut script = Script::answering(answer(&flags.answer)).latency(flags.first_byte, flags.gap).models(flags.models);
    script.bearer = flags.bearer;
    script.recorded =
        flags.answer.recorded.map(|path| Recorded::load(&path, &flags.answer.recorded_model)).transpose()?;
    let on = if flags.every <= 1 { On::All } else { On::Every(flags.every) };
    Ok(flags.faults.into_iter().fold(script.unrecorded(), |script, fault| script.fault_on(on, fault)))
}

fn answer(flags: &AnswerFlags) -> Answer {
    match (&flags.text, flags.canned) {
        (Some(text), _) => Answer::Text(text.clone()),
        (None, Some(bytes)) => Answer::canned(bytes, flags.tokens),
        (None, None) if flags.echo => Answer::Echo,
        (None, None) => Answer::Tokens(flags.tokens),
    }
}

fn fault(text: &str) -> Result<Fault, String> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let number = || value.parse::<usize>().map_err(|_| format!("`{name}` needs a number, as in `{name}=3`"));
    Ok(match name {
        "status" => Fault::Status {
            status: value.parse().map_err(|_| "`status` needs a number, as in `status=503`".to_owned())?,
            retry_after: None,
        },
        "retry-after" => Fault::Status {
            status: 429,
            retry_after: Some(humantime::parse_duration(value).map_err(|error| error.to_string())?),
        },
        "hang-accept" => Fault::HangAccept,
        "hang-before-headers" => Fault::HangBeforeHeaders,
        "hang-mid-stream" => Fault::HangMidStream { after: number()? },
        "cut" => Fault::Cut { after: number()?, how: Break::Fin },
        "reset" => Fault::Cut { after: number()?, how: Break::Reset },
        "malformed" => Fault::MalformedChunk { after: number()? },
        "error-event" => Fault::ErrorEvent { after: number()? },
        "no-done" => Fault::NoDone,
        "no-usage" => Fault::NoUsage,
        "pings" => Fault::Pings { after: number()?, every: Duration::from_millis(100) },
        "slow-drip" => Fault::SlowDrip { bytes: number()?, every: Duration::from_millis(10) },
        "oversized-line" => Fault::OversizedLine { bytes: number()? },
        "content-type" => Fault::WrongContentType(value.to_owned()),
        _ => return Err(format!("unknown fault `{name}`; `--help` lists them")),
    })
}
