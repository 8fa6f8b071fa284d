//! `ajar check`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::{ConfigArgs, Out};
use crate::app::{self, Sets};
use crate::policy::PolicySet;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let config = args.config.load()?;
    let Sets { in_force, on_trial } = app::load_sets(&config)?;
    writeln!(Out, "{}: ok", args.config.file().display())?;
    writeln!(
        Out,
        "{}: ok, {}",
        config.policies.display(),
        counted(on_trial.as_ref().map_or(&in_force, |(set, _)| set))
    )?;
    if let Some((_, rollout)) = on_trial {
        writeln!(Out, "only tried ({}); in force meanwhile: {}", rollout.mode.name(), counted(&in_force))?;
    }
    for missing in app::missing_files(&config) {
        writeln!(Out, "warning: `ajar serve` will not start here: {missing}")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn counted(set: &PolicySet) -> String {
    format!(
        "set `{}` {}, {} destinations, {} guards, {} routes, {} invariants proved, {} tests passed",
        set.name,
        set.short_digest(),
        set.destinations.len(),
        set.guards.len(),
        set.routes.len(),
        set.invariants.len(),
        set.cases.len(),
    )
}
