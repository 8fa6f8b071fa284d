//! `ajar policy lint`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::SetArgs;
use crate::cli::Out;
use crate::policy::analysis;

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    set: SetArgs,
    /// Fail where there is a warning.
    #[arg(long)]
    deny_warnings: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let set = args.set.load()?;
    let warnings = analysis::lint(&set);
    warnings.iter().try_for_each(|warning| writeln!(Out, "{warning}"))?;
    let count = warnings.len();
    writeln!(Out, "set `{}` {}: {count} warning{}", set.name, set.short_digest(), if count == 1 { "" } else { "s" })?;
    Ok(if args.deny_warnings && count > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
