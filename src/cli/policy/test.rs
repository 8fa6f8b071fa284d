//! `ajar policy test`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::SetArgs;
use crate::cli::Out;
use crate::policy::PolicySet;
use crate::policy::analysis::{self, Fate};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    set: SetArgs,
    /// Make the set laxer in one place at a time, and show what no test and no invariant notices.
    #[arg(long)]
    mutate: bool,
}

/// The tests and the proofs are part of loading: a set that is here has passed them.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let set = args.set.load()?;
    writeln!(
        Out,
        "set `{}` {}: {} tests passed, {} invariants proved",
        set.name,
        set.short_digest(),
        set.cases.len(),
        set.invariants.len()
    )?;
    if args.mutate { mutate(&set) } else { Ok(ExitCode::SUCCESS) }
}

fn mutate(set: &PolicySet) -> Result<ExitCode> {
    let (mut killed, mut survived) = (0, 0);
    for (mutant, fate) in analysis::mutate(set) {
        match fate {
            Fate::Killed(_) => killed += 1,
            Fate::Equivalent => {
                writeln!(Out, "{}: {}: no request was found that is decided otherwise", mutant.place, mutant.what)?;
            }
            Fate::Survived(test) => {
                survived += 1;
                writeln!(
                    Out,
                    "{}: {}: no test notices; this one would:\n{}",
                    mutant.place,
                    mutant.what,
                    indented(&test)
                )?;
            }
        }
    }
    writeln!(Out, "{killed} mutants noticed, {survived} not")?;
    Ok(if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
