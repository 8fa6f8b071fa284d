//! `ajar check`

use std::process::ExitCode;

use anyhow::Result;

use super::ConfigArgs;
use crate::app;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let config = args.config.load()?;
    let set = app::load_policy(&config)?;
    println!("{}: ok", args.config.file().display());
    println!(
        "{}: ok, set `{}` {}, {} destinations, {} guards, {} routes, {} tests passed",
        config.policies.display(),
        set.name,
        set.short_digest(),
        set.destinations.len(),
        set.guards.len(),
        set.routes.len(),
        set.cases.len(),
    );
    Ok(ExitCode::SUCCESS)
}
