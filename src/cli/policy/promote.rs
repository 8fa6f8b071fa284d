//! `ajar policy promote`: what the record says about a set that is being tried.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use super::WIDENS;
use crate::app::{self, Sets};
use crate::cli::{ConfigArgs, Out, duration};
use crate::policy::PolicySet;
use crate::record::{Pair, Promotion, Records};

#[derive(clap::Args)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    config: ConfigArgs,
    /// How far back, as in `1h`, `7d`.
    #[arg(long, default_value = "7d", value_parser = duration)]
    since: Duration,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode> {
    let config = args.config.load()?;
    let Sets { in_force, on_trial } = app::load_sets(&config)?;
    let Some((on_trial, rollout)) = on_trial else {
        bail!("the set `{}` is in force already: its `rollout` tries nothing", in_force.name);
    };
    let path =
        config.record.path.as_ref().context("the configuration keeps no record, so there is nothing to compare")?;
    let since = Timestamp::now().checked_sub(args.since).context("that is before time began")?;
    let price = |name: &str| on_trial.destination(on_trial.destination_named(name)?).price;
    let pair = Pair { in_force: &in_force.digest, on_trial: &on_trial.digest };
    let mut records = Records::open(path).await?;
    let report = records.promotion(since, pair, price).await?;
    records.close().await?;
    let shown = match args.json {
        true => serde_json::to_string_pretty(&report)? + "\n",
        false => {
            let sets = format!("{} (in force) and {} ({})", named(&in_force), named(&on_trial), rollout.mode.name());
            text(&sets, args.since, &report)
        }
    };
    Out.write_all(shown.as_bytes())?;
    Ok(if report.widened > 0 { ExitCode::from(WIDENS) } else { ExitCode::SUCCESS })
}

fn named(set: &PolicySet) -> String {
    format!("`{}` {}", set.name, set.short_digest())
}

fn text(sets: &str, since: Duration, report: &Promotion) -> String {
    let mut out = format!("{sets}, over the last {}\n\n", humantime::format_duration(since));
    let Promotion { compared, canary, failed, other_versions, spend, evaluation_us, .. } = report;
    let mut line = |name: &str, said: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{name:<12} {said}");
    };
    line("compared", format!("{compared} requests, {canary} of them decided by the set on trial"));
    if *failed > 0 {
        line("failed", format!("{failed} requests could not be tried: the log says why"));
    }
    if *other_versions > 0 {
        line("left out", format!("{other_versions} requests that other versions of the two sets looked at"));
    }
    let flips: u64 = report.flips.iter().map(|flip| flip.requests).sum();
    line("flips", format!("{flips} requests would go elsewhere"));
    for flip in &report.flips {
        line("", format!("{:>8}  {} → {}", flip.requests, flip.from, flip.to));
    }
    line("refusals", format!("{} gained, {} lost", report.refusals_gained, report.refusals_lost));
    let known = spend.requests - spend.unknown;
    line("spend", format!("${:.6} as recorded, over {known} requests with known cost", spend.recorded_usd));
    line("", format!("${:.6} estimated: the same tokens at the tried set's prices", spend.estimated_usd));
    line("", format!("${:.6} at most: the tried set's worst cases", spend.worst_case_usd));
    line(
        "evaluation",
        format!("{} µs median, {} µs p99, {} µs max", evaluation_us.p50, evaluation_us.p99, evaluation_us.max),
    );
    line("widenings", format!("{} requests could go where they may not now", report.widened));
    for (name, requests) in &report.widened_to {
        line("", format!("{requests:>8}  to {name}"));
    }
    for id in &report.examples {
        line("", format!("          ajar log show {id}"));
    }
    out
}
