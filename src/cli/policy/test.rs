//! `ajar policy test`

use std::process::ExitCode;

use anyhow::Result;

use super::SetArgs;
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
#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let set = args.set.load()?;
    println!(
        "set `{}` {}: {} tests passed, {} invariants proved",
        set.name,
        set.short_digest(),
        set.cases.len(),
        set.invariants.len()
    );
    Ok(if args.mutate { mutate(&set) } else { ExitCode::SUCCESS })
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn mutate(set: &PolicySet) -> ExitCode {
    let (mut killed, mut survived) = (0, 0);
    for (mutant, fate) in analysis::mutate(set) {
        match fate {
            Fate::Killed(_) => killed += 1,
            Fate::Equivalent => {
                println!("{}: {}: no request was found that is decided otherwise", mutant.place, mutant.what)
            }
            Fate::Survived(test) => {
                survived += 1;
                println!("{}: {}: no test notices; this one would:\n{}", mutant.place, mutant.what, indented(&test));
            }
        }
    }
    println!("{killed} mutants noticed, {survived} not");
    if survived == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
