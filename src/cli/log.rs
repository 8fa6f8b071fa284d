//! `ajar log`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use comfy_table::{ContentArrangement, LineStyle, Table, presets};
use jiff::Timestamp;

use super::{ConfigArgs, duration};
use crate::chat::reply::Confidence;
use crate::record::{Entry, Records, Row, Sums};

/// How often `--follow` looks for new rows.
const FOLLOW: Duration = Duration::from_millis(250);
/// Rows read at once while following.
const BATCH: u32 = 500;

/// Where the record is.
#[derive(clap::Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    config: ConfigArgs,
    /// The SQLite file, instead of the configuration's.
    #[arg(long, value_name = "FILE")]
    store: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
pub(super) enum Action {
    /// The latest requests, a line each.
    Tail {
        #[command(flatten)]
        store: StoreArgs,
        /// How many.
        #[arg(short = 'n', default_value_t = 20)]
        lines: u32,
        /// Go on with new ones as they come.
        #[arg(long, short)]
        follow: bool,
    },
    /// One request with its whole decision.
    Show {
        #[command(flatten)]
        store: StoreArgs,
        /// Its id, as in `x-ajar-id`, or the beginning of it.
        id: String,
        /// Print the row as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sums by destination, class and outcome.
    Stats {
        #[command(flatten)]
        store: StoreArgs,
        /// How far back, as in `1h`, `7d`.
        #[arg(long, default_value = "1d", value_parser = duration)]
        since: Duration,
    },
    /// All rows as JSON lines on standard output.
    Export {
        #[command(flatten)]
        store: StoreArgs,
        /// The only format so far.
        #[arg(long, required = true)]
        jsonl: bool,
        /// How far back, as in `1h`, `7d`.
        #[arg(long, default_value = "183d", value_parser = duration)]
        since: Duration,
    },
    /// Delete rows for good.
    Delete {
        #[command(flatten)]
        store: StoreArgs,
        /// The row with this id.
        #[arg(long, required_unless_present = "key", conflicts_with = "key")]
        id: Option<String>,
        /// Every row of this key.
        #[arg(long)]
        key: Option<String>,
    },
}

pub(super) async fn run(action: Action) -> Result<ExitCode> {
    let out = &mut std::io::stdout();
    match action {
        Action::Tail { store, lines, follow } => tail(&mut store.open().await?, lines, follow, out).await?,
        Action::Show { store, id, json } => {
            let entry = store.open().await?.show(&id).await?;
            let shown = if json { entry.to_json()? } else { show(&entry.row) };
            writeln!(out, "{shown}")?;
        }
        Action::Stats { store, since } => stats(&mut store.open().await?, ago(since)?, out).await?,
        Action::Export { store, since, jsonl: _ } => {
            store.open().await?.export_jsonl(&mut std::io::stdout(), ago(since)?).await?;
        }
        Action::Delete { store, id, key } => delete(&mut store.open().await?, id, key, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

impl StoreArgs {
    async fn open(&self) -> Result<Records> {
        let path = match &self.store {
            Some(path) => path.clone(),
            None => {
                self.config.load()?.record.path.context("the configuration keeps no record; name one with --store")?
            }
        };
        Ok(Records::open(&path).await?)
    }
}

pub(super) fn ago(duration: Duration) -> Result<Timestamp> {
    Timestamp::now().checked_sub(duration).context("that is before time began")
}

async fn tail(records: &mut Records, lines: u32, follow: bool, out: &mut impl Write) -> Result<()> {
    let entries = records.tail(lines).await?;
    let mut last = entries.last().map_or(0, |entry| entry.seq);
    if !follow {
        writeln!(out, "{}", table(&entries))?;
        return Ok(());
    }
    entries.iter().try_for_each(|entry| writeln!(out, "{}", line(&entry.row)))?;
    loop {
        for entry in records.after(last, BATCH).await? {
            last = entry.seq;
            writeln!(out, "{}", line(&entry.row))?;
        }
        tokio::time::sleep(FOLLOW).await;
    }
}

fn table(entries: &[Entry]) -> Table {
    let mut table = new_table([
        "id",
        "time",
        "key",
        "class",
        "route",
        "served by",
        "outcome",
        "cache",
        "in",
        "out",
        "USD",
        "TTFT ms",
        "total ms",
    ]);
    for Entry { row, .. } in entries {
        table.add_row([
            row.id.to_string(),
            row.at.strftime("%m-%d %H:%M:%S").to_string(),
            or_dash(row.key.as_deref()),
            or_dash(row.class.as_deref()),
            or_dash(row.route.as_deref()),
            or_dash(row.served_by.as_deref()),
            outcome(row),
            row.cache.name().to_owned(),
            or_dash(row.input_tokens),
            or_dash(row.output_tokens),
            or_dash(row.cost),
            or_dash(row.timing.ttft.map(|ms| format!("{ms:.1}"))),
            format!("{:.1}", row.timing.total),
        ]);
    }
    table
}

fn line(row: &Row) -> String {
    format!(
        "{} {} key={} class={} route={} served_by={} outcome={} cache={} in={} out={} usd={} total_ms={:.1}",
        row.at,
        row.id,
        or_dash(row.key.as_deref()),
        or_dash(row.class.as_deref()),
        or_dash(row.route.as_deref()),
        or_dash(row.served_by.as_deref()),
        outcome(row),
        row.cache.name(),
        or_dash(row.input_tokens),
        or_dash(row.output_tokens),
        or_dash(row.cost),
        row.timing.total,
    )
}

fn outcome(row: &Row) -> String {
    match &row.reason {
        Some(reason) if row.outcome != crate::record::Outcome::Answered => format!("{} ({reason})", row.outcome.name()),
        _ => row.outcome.name().to_owned(),
    }
}

fn show(row: &Row) -> String {
    let decision = serde_json::from_str::<serde_json::Value>(&row.decision).unwrap_or_default();
    let timing = &row.timing;
    let ms = |value: Option<f64>| value.map_or("–".to_owned(), |ms| format!("{ms:.3} ms"));
    let fields = [
        ("id", row.id.to_string()),
        ("time", row.at.to_string()),
        ("key", or_dash(row.key.as_deref())),
        ("asked for", or_dash(row.asked_model.as_deref())),
        ("outcome", format!("{} (HTTP {})", outcome(row), row.status)),
        ("class", format!("{} ({})", or_dash(row.class.as_deref()), or_dash(row.class_basis.as_deref()))),
        ("gain", or_dash(row.est_gain.map(|gain| format!("{gain:.3}")))),
        ("route", or_dash(row.route.as_deref())),
        ("reason", or_dash(row.reason.as_deref())),
        ("plan", if row.plan.is_empty() { "nobody".to_owned() } else { row.plan.join(", then ") }),
        ("attempts", row.attempts.to_string()),
        ("served by", or_dash(row.served_by.as_deref())),
        ("cache", row.cache.name().to_owned()),
        ("tokens", format!("{} in, {} out", or_dash(row.input_tokens), or_dash(row.output_tokens))),
        ("cost", row.cost.map_or("unknown".to_owned(), |cost| format!("${cost}"))),
        ("left the host", left_the_host(row)),
        ("parse", ms(timing.parse)),
        ("classify", ms(timing.classify)),
        ("decide", ms(timing.decide)),
        ("waited", or_dash(waited(row))),
        ("confidence", or_dash(row.confidence.as_ref().map(confidence))),
        ("first token", ms(timing.ttft)),
        ("total", ms(Some(timing.total))),
        ("policy", or_dash(row.policy.as_deref())),
    ];
    let mut shown: String = fields.iter().map(|(name, value)| format!("{name:<14} {value}\n")).collect();
    shown.push_str("decision\n");
    shown.push_str(&serde_json::to_string_pretty(&decision).unwrap_or_default());
    shown
}

/// In an engine's line.
fn waited(row: &Row) -> Option<String> {
    let priority = row.priority?.name();
    let waited = row.timing.queue.map_or("until it was over".to_owned(), |ms| format!("{ms:.3} ms"));
    Some(format!("{waited}, priority {priority}"))
}

fn confidence(sure: &Confidence) -> String {
    let (margin, logprob, entropy) = (sure.first.margin, sure.mean_logprob, sure.mean_entropy);
    format!("first margin {margin:.3}, mean log-probability {logprob:.3}, mean entropy {entropy:.3}")
}

fn left_the_host(row: &Row) -> String {
    match row.bytes_out {
        0 => "nothing".to_owned(),
        bytes => format!("{bytes} bytes"),
    }
}

async fn stats(records: &mut Records, since: Timestamp, out: &mut impl Write) -> Result<()> {
    let stats = records.stats(since).await?;
    let mut table =
        new_table(["served by", "class", "outcome", "requests", "in", "out", "USD", "cache hits", "p50 ms", "p95 ms"]);
    for group in &stats.groups {
        let names = [or_dash(group.served_by.as_deref()), or_dash(group.class.as_deref()), group.outcome.name().into()];
        table.add_row(names.into_iter().chain(numbers(&group.sums)));
    }
    table.add_row(["total".to_owned(), String::new(), String::new()].into_iter().chain(numbers(&stats.total)));
    writeln!(out, "{table}")?;
    let percent = |share: Option<f64>| share.map_or("–".to_owned(), |share| format!("{:.0}%", share * 100.0));
    let (local, hits) = (stats.total.local_share(), stats.total.cache_hit_share());
    writeln!(out, "answered at home: {}, found in the cache: {} of those looked up", percent(local), percent(hits))?;
    for gap in records.gaps(since).await? {
        writeln!(out, "{} rows were lost before {}: the store could not keep up", gap.lost, gap.at)?;
    }
    Ok(())
}

fn numbers(sums: &Sums) -> [String; 7] {
    [
        sums.requests.to_string(),
        sums.input_tokens.to_string(),
        sums.output_tokens.to_string(),
        sums.cost.to_string(),
        sums.cache_hits.to_string(),
        format!("{:.1}", sums.p50_ms),
        format!("{:.1}", sums.p95_ms),
    ]
}

async fn delete(records: &mut Records, id: Option<String>, key: Option<String>, out: &mut impl Write) -> Result<()> {
    let deleted = match (id, key) {
        (Some(id), _) => match records.delete_by_id(&id).await? {
            true => 1,
            false => bail!("no row has the id `{id}`; deleting needs the whole id"),
        },
        (None, Some(key)) => records.delete_by_key(&key).await?,
        (None, None) => 0,
    };
    writeln!(out, "{deleted} deleted")?;
    Ok(())
}

pub(super) fn new_table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    let style = presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─'));
    table.load_style(style).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

pub(super) fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or("–".to_owned(), |value| value.to_string())
}
