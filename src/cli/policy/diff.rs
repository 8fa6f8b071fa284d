//! `ajar policy diff`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::WIDENS;
use crate::app;
use crate::cli::Out;
use crate::policy::analysis::{self, Change};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// The folder of the set in force.
    old: PathBuf,
    /// The folder of the set that is to take its place.
    new: PathBuf,
    /// Accepts a widening by its id. May be repeated.
    #[arg(long, value_name = "ID")]
    allow: Vec<String>,
    /// Print the changes as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let (old, new) = (app::load_set(&args.old)?, app::load_set(&args.new)?);
    let changes = analysis::diff(&old, &new);
    let widens = |change: &&Change| change.widens && !args.allow.contains(&change.id);
    let widening = changes.iter().filter(widens).count();
    if args.json {
        writeln!(Out, "{}", serde_json::to_string_pretty(&changes)?)?;
    } else {
        changes.iter().try_for_each(|change| writeln!(Out, "{}", told(change, widens(&change))))?;
        let changed = changes.len();
        writeln!(Out, "changes: {changed}, of which let more through and are not accepted: {widening}")?;
    }
    Ok(if widening > 0 { ExitCode::from(WIDENS) } else { ExitCode::SUCCESS })
}

fn told(change: &Change, widens: bool) -> String {
    let mark = match (widens, change.widens) {
        (true, _) => "widens ",
        (false, true) => "allowed",
        (false, false) => "       ",
    };
    let request = change.request.as_ref().map(|given| format!("\n          given: {given}"));
    format!("{mark}  {}\n          {}{}", change.id, change.message, request.unwrap_or_default())
}
