//! `ajar openapi`

use std::process::ExitCode;

use anyhow::Result;

use crate::openapi::document;

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run() -> Result<ExitCode> {
    println!("{}", serde_json::to_string_pretty(&document())?);
    Ok(ExitCode::SUCCESS)
}
