//! `ajar audit`

mod report;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::Timestamp;

use super::log::{ago, new_table, or_dash};
use super::{ConfigArgs, Out, duration};
use crate::app;
use crate::audit::checkpoint::read_checkpoints;
use crate::audit::reader::Against;
use crate::audit::report::{Question, Tally};
use crate::audit::{Audit, Entry, PublicKey, SigningKey, Verification, What};
use crate::config::Config;
use crate::record::Records;

/// Where the ledger is.
#[derive(clap::Args)]
pub(super) struct LedgerArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The ledger's file, instead of the configuration's.
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
}

/// What it is verified against.
#[derive(clap::Args)]
pub(super) struct AgainstArgs {
    /// A file of checkpoints that was kept elsewhere, one a line. May be repeated.
    #[arg(long = "checkpoint", value_name = "FILE")]
    checkpoints: Vec<PathBuf>,
    /// The key that must have signed, as `ajar audit key` printed it. May be repeated.
    #[arg(long = "public-key", value_name = "HEX", value_parser = public_key)]
    keys: Vec<PublicKey>,
}

#[derive(clap::Subcommand)]
pub(super) enum Action {
    /// Print the public half of the key that checkpoints are signed with; make the key if there is none yet.
    Key {
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// The latest entries, a line each.
    List {
        #[command(flatten)]
        ledger: LedgerArgs,
        /// How many.
        #[arg(short = 'n', default_value_t = 20)]
        lines: u32,
        /// Only those of this request, by its whole id.
        #[arg(long, value_name = "ID")]
        request: Option<String>,
    },
    /// Print the latest signed checkpoint, to be kept elsewhere.
    Checkpoint {
        #[command(flatten)]
        ledger: LedgerArgs,
    },
    /// Find any changed, missing, inserted, reordered or cut off entry. Exit code 2 if there is one.
    Verify {
        #[command(flatten)]
        ledger: LedgerArgs,
        #[command(flatten)]
        against: AgainstArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// One page on what was sent of a class, in Markdown. Exit code 2 if any of it went outside, an entry is missing or
    /// the ledger does not verify.
    Report {
        #[command(flatten)]
        ledger: LedgerArgs,
        #[command(flatten)]
        against: AgainstArgs,
        /// The class; those above it are included.
        #[arg(long)]
        class: String,
        /// How far back, as in `7d`, `90d`.
        #[arg(long, default_value = "90d", value_parser = duration)]
        since: Duration,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(action: Action) -> Result<ExitCode> {
    let out = &mut Out;
    match action {
        Action::Key { config } => {
            writeln!(out, "{}", SigningKey::load_or_create(&config.load()?.ledger.key)?.public())?;
        }
        Action::List { ledger, lines, request } => {
            writeln!(out, "{}", table(&ledger.open().await?.tail(lines, request.as_deref()).await?))?;
        }
        Action::Checkpoint { ledger } => match ledger.open().await?.checkpoint().await? {
            Some(checkpoint) => writeln!(out, "{}", checkpoint.line())?,
            None => bail!("the ledger has no checkpoint yet: the first follows the first entry within a second"),
        },
        Action::Verify { ledger, against, json } => {
            let verification = ledger.open().await?.verify(against.read()?, |_| {}).await?;
            if json {
                serde_json::to_writer_pretty(&mut *out, &verification)?;
                writeln!(out)?;
            } else {
                write!(out, "{}", verified(&verification, &against))?;
            }
            return Ok(found_wrong(!verification.is_sound()));
        }
        Action::Report { ledger, against, class, since, json } => {
            return report_on(&ledger, &against, &class, since, json, out).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

impl LedgerArgs {
    async fn open(&self) -> Result<Audit> {
        let path = match &self.ledger {
            Some(path) => path.clone(),
            None => self.config.load()?.ledger.path,
        };
        Ok(Audit::open(&path).await?)
    }
}

impl AgainstArgs {
    fn read(&self) -> Result<Against> {
        let mut checkpoints = Vec::new();
        for path in &self.checkpoints {
            checkpoints.extend(read_checkpoints(path)?);
        }
        Ok(Against { checkpoints, keys: self.keys.clone() })
    }
}

fn public_key(text: &str) -> Result<PublicKey, String> {
    PublicKey::parse(text).ok_or_else(|| "expected 64 hexadecimal digits, as `ajar audit key` prints them".to_owned())
}

/// What is wrong with what was looked at is no failure of the command.
fn found_wrong(wrong: bool) -> ExitCode {
    if wrong { ExitCode::from(2) } else { ExitCode::SUCCESS }
}

// === list

fn table(entries: &[Entry]) -> comfy_table::Table {
    let mut table =
        new_table(["entry", "time", "request", "attempt", "destination", "class", "basis", "bytes", "body"]);
    for Entry { seq, at, what, .. } in entries {
        let row = match what {
            What::Sent(sent) => [
                sent.request.clone(),
                sent.attempt.to_string(),
                format!("{} ({})", sent.destination, sent.boundary),
                sent.class.clone(),
                sent.basis.clone(),
                sent.bytes.to_string(),
                sent.body.to_hex()[..16].to_owned(),
            ],
            What::Gap { boundary, lost } => {
                let dash = || or_dash(None::<u8>);
                let missing = format!("{lost} missing ({boundary})");
                [dash(), dash(), missing, dash(), dash(), dash(), dash()]
            }
        };
        table.add_row([seq.to_string(), at.clone()].into_iter().chain(row));
    }
    table
}

// === verify

fn verified(found: &Verification, against: &AgainstArgs) -> String {
    let mut shown = format!("ledger       {}\n", found.ledger);
    let numbers = found.numbers.map_or(String::new(), |(first, last)| format!(": {first} to {last}"));
    shown += &format!("entries      {}{numbers}\n", found.entries);
    if found.pruned > 0 {
        shown += &format!("removed      1 to {} for age, as signed\n", found.pruned);
    }
    if found.lost > 0 {
        shown += &format!("gaps         {} bodies were sent without an entry\n", found.lost);
    }
    let confirmed = |confirmed: &Option<crate::audit::verify::Confirmed>| match confirmed {
        Some(confirmed) => format!("up to entry {}, signed {}", confirmed.entries, confirmed.at),
        None => "nothing".to_owned(),
    };
    shown += &format!("own checkpoints confirm   {}\n", confirmed(&found.confirmed));
    if !against.checkpoints.is_empty() {
        shown += &format!("those kept elsewhere      {}\n", confirmed(&found.confirmed_elsewhere));
    }
    for key in &found.keys {
        let trusted = if against.keys.is_empty() { "not compared: see --public-key" } else { "trusted" };
        shown += &format!("signed by    {key} ({trusted})\n");
    }
    for fault in &found.faults {
        shown += &format!("✗ {fault}\n");
    }
    if found.further_faults > 0 {
        shown += &format!("✗ and {} more\n", found.further_faults);
    }
    if found.is_sound() {
        shown += "✓ no entry was changed, removed, inserted, reordered or cut off";
        shown += if against.checkpoints.is_empty() || against.keys.is_empty() {
            ", unless by somebody who has the key:\n  give a checkpoint that was kept elsewhere, and the public key, to rule that out\n"
        } else {
            "\n"
        };
    }
    shown
}

// === report

async fn report_on(
    ledger: &LedgerArgs,
    against: &AgainstArgs,
    class: &str,
    since: Duration,
    json: bool,
    out: &mut impl Write,
) -> Result<ExitCode> {
    let config = ledger.config.load()?;
    let set = app::load_sets(&config)?.in_force;
    let (since, until) = (ago(since)?, Timestamp::now());
    let (from, to) = (format!("{since:.3}"), format!("{until:.3}"));
    let question = Question::new(class, &set.classes, &set.digest, from, to)
        .with_context(|| format!("the policies have no class `{class}`; they have {}", set.classes.join(", ")))?;
    let mut tally = Tally::new(question);
    let verification = ledger.open().await?.verify(against.read()?, |entry| tally.count(entry)).await?;
    let requests = by_class(&config, since).await?;
    let report = tally.report(requests, verification);
    if json {
        serde_json::to_writer_pretty(&mut *out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}", report::page(&report, against))?;
    }
    Ok(found_wrong(!report.holds))
}

async fn by_class(config: &Config, since: Timestamp) -> Result<Option<Vec<crate::record::ClassGroup>>> {
    let Some(path) = &config.record.path else { return Ok(None) };
    let mut records = Records::open(path).await?;
    let groups = records.by_class(since).await?;
    records.close().await?;
    Ok(Some(groups))
}
