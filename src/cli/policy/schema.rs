//! `ajar policy schema`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use crate::cli::Out;
use crate::policy::schema::{json_schema, reference};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    /// Print the language's reference instead, as Markdown.
    #[arg(long)]
    markdown: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode> {
    match args.markdown {
        true => write!(Out, "{}", reference())?,
        false => writeln!(Out, "{}", serde_json::to_string_pretty(&json_schema())?)?,
    }
    Ok(ExitCode::SUCCESS)
}
