//! The command line.

mod audit;
mod check;
mod evaluate;
mod explain;
mod keys;
mod log;
mod models;
mod openapi;
mod out;
mod policy;
mod serve;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{CommandFactory, Parser, Subcommand};

use self::out::Out;
use crate::config::Config;

/// A reverse proxy for LLM calls: policies on privacy, cost and difficulty choose, request by request, between an open
/// model in this process and a closed one behind an API.
#[derive(Parser)]
#[command(name = "ajar", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration is, and what to change in it.
#[derive(clap::Args, Clone)]
pub(crate) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, short, env = "AJAR_CONFIG", default_value = "config/ajar.yaml")]
    config: PathBuf,
    /// Overrides one value, as in `--set server.listen=0.0.0.0:8080`. May be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", value_parser = assignment)]
    set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// Reads it.
    pub(crate) fn load(&self) -> Result<Config> {
        Ok(Config::load(&self.config, &self.set)?)
    }

    /// The file's name.
    pub(crate) fn file(&self) -> &Path {
        &self.config
    }
}

fn assignment(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((path, value)) => Ok((path.to_owned(), value.to_owned())),
        None => Err("expected PATH=VALUE".to_owned()),
    }
}

/// A span of time.
fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "expected a time such as `1h` or `7d`".to_owned())
}

#[derive(Subcommand)]
enum Command {
    /// Serve applications, and operators on a listener of their own, until SIGTERM.
    Serve(serve::Args),
    /// Check configuration and policies, and run the policies' own tests.
    Check(check::Args),
    /// Say what would be decided about a request, and why, without executing it.
    Explain(explain::Args),
    /// Write, test, review and compare policies.
    #[command(subcommand)]
    Policy(policy::Action),
    /// Make virtual keys.
    #[command(subcommand)]
    Keys(keys::Action),
    /// Read the record.
    #[command(subcommand)]
    Log(log::Action),
    /// Verify and report what was sent to whom.
    #[command(subcommand)]
    Audit(audit::Action),
    /// List, fetch and verify open models.
    #[command(subcommand)]
    Models(models::Action),
    /// Measure detectors, the difficulty model or the recogniser of names on labelled data.
    #[command(subcommand)]
    Evaluate(evaluate::Subject),
    /// Fit a model that ships with the program.
    #[command(subcommand)]
    Fit(evaluate::Fit),
    /// Print the OpenAPI document of all that is served.
    Openapi,
    /// Print a completion script for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Runs the command line; errors go to standard error, one line each where there are several.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", told(&error));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Serve(args) => runtime()?.block_on(serve::run(args)),
        Command::Check(args) => check::run(&args),
        Command::Explain(args) => runtime()?.block_on(explain::run(args)),
        Command::Policy(action) => policy::run(action),
        Command::Keys(action) => keys::run(&action),
        Command::Log(action) => runtime()?.block_on(log::run(action)),
        Command::Audit(action) => runtime()?.block_on(audit::run(action)),
        Command::Models(action) => runtime()?.block_on(models::run(action)),
        Command::Evaluate(subject) => evaluate::run(&subject),
        Command::Openapi => openapi::run(),
        Command::Fit(model) => evaluate::fit(&model),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "ajar", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().context("cannot start the runtime")
}

/// The error and its causes, but for those that an outer one has told already.
fn told(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        cause if told.is_empty() => cause,
        cause if told.ends_with(&cause) => told,
        cause => format!("{told}: {cause}"),
    })
}

/// `ajar log tail | head` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::StartError;
    use crate::yaml::{Place, Problems};

    #[test]
    fn no_two_arguments_have_the_same_name() {
        <Cli as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_cause_that_was_told_is_not_told_again() {
        let mut problems = Problems::new();
        problems.add(&Place::whole("a.yaml"), "wrong");
        let told_once = told(&anyhow::Error::from(StartError::from(problems)));
        assert_eq!(told_once, "a.yaml: wrong");
        let causes = anyhow::anyhow!("no such file").context("reading `a`").context("cannot start");
        assert_eq!(told(&causes), "cannot start: reading `a`: no such file");
    }
}
