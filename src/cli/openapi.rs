//! `ajar openapi`

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::Out;
use crate::openapi::document;

pub(super) fn run() -> Result<ExitCode> {
    writeln!(Out, "{}", serde_json::to_string_pretty(&document())?)?;
    Ok(ExitCode::SUCCESS)
}
