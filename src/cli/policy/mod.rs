//! `ajar policy`: policies as something to write, test, compare and review.

mod diff;
mod lint;
mod promote;
mod schema;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use super::ConfigArgs;
use crate::app;
use crate::policy::PolicySet;

/// The exit code where a change lets more through.
const WIDENS: u8 = 2;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Run the tests of a set, and with `--mutate` look for tests that are missing.
    Test(test::Args),
    /// Say what has no effect in a set, or another one than it seems to have.
    Lint(lint::Args),
    /// Say what a change of policies lets through, keeps out, or sends elsewhere; exit code 2 where it lets more through.
    Diff(diff::Args),
    /// Say from the record what a set that is being tried would change; exit code 2 where it lets more through.
    Promote(promote::Args),
    /// Print the JSON Schema of policy files, for editors.
    Schema(schema::Args),
}

pub(super) fn run(action: Action) -> Result<ExitCode> {
    match action {
        Action::Test(args) => test::run(&args),
        Action::Lint(args) => lint::run(&args),
        Action::Diff(args) => diff::run(&args),
        Action::Promote(args) => super::runtime()?.block_on(promote::run(args)),
        Action::Schema(args) => schema::run(&args),
    }
}

/// Which set is meant.
#[derive(clap::Args)]
struct SetArgs {
    /// The folder of the set; the one of the configuration where none is given.
    folder: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigArgs,
}

impl SetArgs {
    fn load(&self) -> Result<PolicySet> {
        match &self.folder {
            Some(folder) => Ok(app::load_set(folder)?),
            None => Ok(app::load_policy(&self.config.load()?)?),
        }
    }
}
