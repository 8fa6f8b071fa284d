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
    for destination in set.destinations.iter().filter(|d| d.price.is_none()) {
        println!(
            "{}: warning: the price of `{}` (model `{}`) is unknown, so it is never called; state one as `price: {{ input, output }}`",
            destination.place, destination.name, destination.model
        );
    }
    Ok(ExitCode::SUCCESS)
}
