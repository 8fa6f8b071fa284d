//! `ajar policy`: policies as something to write and review.

mod schema;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Subcommand)]
pub(super) enum Action {
    /// Print the JSON Schema of policy files, for editors.
    Schema(schema::Args),
}

pub(super) fn run(action: Action) -> Result<ExitCode> {
    match action {
        Action::Schema(args) => schema::run(&args),
    }
}
