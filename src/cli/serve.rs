//! `ajar serve`

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use super::ConfigArgs;
use crate::app::{self, Watch};
use crate::pipeline::Gateway;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// Write log lines as JSON.
    #[arg(long)]
    json_logs: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    log(args.json_logs);
    let config = args.config.load()?;
    let watch = Watch::new(&config);
    let running = app::start(config).await?;
    let generation = running.gateway.generation.load_full();
    let policy = generation.policy.set.short_digest().to_owned();
    tracing::info!(applications = %running.data, operators = %running.operator, policy, "Serving.");
    if generation.keys.is_empty() {
        tracing::warn!(
            "No keys are configured: only clients on this host are served, as the anonymous subject. \
             `ajar keys new NAME` makes a key."
        );
    }
    drop(generation);
    let watching = tokio::spawn(watch.run(running.gateway.clone()));
    serve_until_stopped(&running.gateway).await?;
    watching.abort();
    tracing::info!("Stopping: requests in flight may finish, new ones are refused.");
    running.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// llama.cpp tells its life at `info`.
const LEVELS: &str = "info,llama-cpp-2=error";

/// The levels are those of `RUST_LOG`, or the usual ones.
fn log(json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVELS));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    if json {
        lines.json().init();
    } else {
        lines.with_ansi(std::io::stderr().is_terminal()).init();
    }
}

/// SIGHUP reloads, SIGTERM and SIGINT end it.
async fn serve_until_stopped(gateway: &Gateway) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let reloading = async {
        while hang_up.recv().await.is_some() {
            // What came of it is in the log.
            gateway.reloads.ask().await;
        }
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = reloading => {}
    }
    Ok(())
}
