//! `ajar explain`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow};
use clap::builder::PossibleValuesParser;
use http::HeaderMap;

use super::{ConfigArgs, Out};
use crate::dialect::Dialect;
use crate::policy::explain::Explanation;
use crate::{app, pipeline};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// A file with the request's body, as an application would send it; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// The name of the key that would send it; the anonymous subject otherwise.
    #[arg(long)]
    key: Option<String>,
    /// What the request is written in, by the names that records have, such as `anthropic.messages`; else what it looks like.
    #[arg(long, value_parser = PossibleValuesParser::new(Dialect::ALL.map(Dialect::name)))]
    dialect: Option<String>,
    /// Print the explanation as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let body = read(&args.request).with_context(|| args.request.display().to_string())?;
    let gateway = app::idle(args.config.load()?)?;
    let generation = gateway.generation.load_full();
    let subject = match &args.key {
        None => gateway.anonymous.clone(),
        Some(name) => generation.keys.named(name).cloned().with_context(|| format!("no key is named `{name}`"))?,
    };
    let show = |explanation: &Explanation<'_>| match args.json {
        true => serde_json::to_string_pretty(explanation).map(|json| json + "\n"),
        false => Ok(explanation.to_text()),
    };
    let dialect = args.dialect.as_deref().and_then(Dialect::named);
    let explained = pipeline::explain(&gateway, &generation, &subject, &HeaderMap::new(), (dialect, &body), show).await;
    let shown = explained.map_err(|error| anyhow!("the request would be refused: {}", error.message))??;
    write!(Out, "{shown}")?;
    Ok(ExitCode::SUCCESS)
}

fn read(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut body = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut body)?;
        return Ok(body);
    }
    std::fs::read(path)
}
