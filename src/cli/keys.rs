//! `ajar keys`

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use secrecy::ExposeSecret;

use super::ConfigArgs;
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

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(action: &Action) -> Result<ExitCode> {
    let Action::New { config, name } = action;
    let path = config.load()?.pepper;
    let pepper = if path.exists() { read_pepper(&path)? } else { new_pepper(&path)? };
    let key = NewKey::generate(&pepper).context("no randomness")?;
    println!("key (for the client, shown only now): {}", key.key.expose_secret());
    println!("\nentry for `keys:` in {}:", config.file().display());
    println!("  - name: {name}");
    println!("    hash: \"{}\"", key.hash);
    println!("    attributes: {{}}");
    println!("    explain: reason");
    Ok(ExitCode::SUCCESS)
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
