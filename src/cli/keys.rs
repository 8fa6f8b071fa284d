//! `ajar keys`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use secrecy::ExposeSecret;

use super::{ConfigArgs, Out};
use crate::app::read_pepper;
use crate::govern::{NewKey, Pepper};

#[derive(clap::Subcommand)]
pub(super) enum Action {
    /// Make a key and print its entry for the configuration. The key itself is shown once and stored nowhere.
    New {
        #[command(flatten)]
        config: ConfigArgs,
        /// The key's name in policies, budgets and records.
        name: String,
    },
}

pub(super) fn run(action: &Action) -> Result<ExitCode> {
    let Action::New { config, name } = action;
    let path = config.load()?.pepper;
    let pepper = if path.exists() { read_pepper(&path)? } else { new_pepper(&path)? };
    let key = NewKey::generate(&pepper).context("no randomness")?;
    writeln!(Out, "key (for the client, shown only now): {}", key.key.expose_secret())?;
    writeln!(Out, "\nentry for `keys:` in {}:", config.file().display())?;
    writeln!(Out, "  - name: {}", yaml(name))?;
    writeln!(Out, "    hash: \"{}\"", key.hash)?;
    writeln!(Out, "    attributes: {{}}")?;
    writeln!(Out, "    explain: reason")?;
    Ok(ExitCode::SUCCESS)
}

/// A name as YAML reads it.
fn yaml(name: &str) -> String {
    let is_plain = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain { name.to_owned() } else { serde_json::Value::from(name).to_string() }
}

/// Written for its owner only, and never over another.
fn new_pepper(path: &Path) -> Result<Pepper> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    let pepper = Pepper::generate().context("no randomness")?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| path.display().to_string())?;
    file.write_all(pepper.expose())?;
    Ok(pepper)
}
