//! `ajar policy schema`

use std::process::ExitCode;

use anyhow::Result;

use crate::policy::schema::{json_schema, reference};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Print the language's reference instead, as Markdown.
    #[arg(long)]
    markdown: bool,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match args.markdown {
        true => print!("{}", reference()),
        false => println!("{}", serde_json::to_string_pretty(&json_schema())?),
    }
    Ok(ExitCode::SUCCESS)
}
