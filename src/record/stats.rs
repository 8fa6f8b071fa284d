//! Sums over the records: who answered, of which class, how it ended, what it cost, how long it took.

use jiff::Timestamp;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query};

use crate::chat::MicroUsd;

use super::StoreError;
use super::columns::{natural, timestamp};
use super::query::Records;
use super::row::Outcome;

/// A report over some time.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Everything.
    pub total: Sums,
    /// By destination, class and outcome; most requests first.
    pub groups: Vec<Group>,
}

/// Requests with the same destination, class and outcome.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Who answered.
    pub served_by: Option<String>,
    /// The class.
    pub class: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Their sums.
    pub sums: Sums,
}

/// Sums over requests. What is not known of a request is counted apart and not as zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sums {
    /// How many.
    pub requests: u64,
    /// Prompt tokens.
    pub input_tokens: u64,
    /// Answer tokens.
    pub output_tokens: u64,
    /// Requests whose tokens are not known.
    pub tokens_unknown: u64,
    /// What they cost.
    pub cost: MicroUsd,
    /// Requests whose cost is not known.
    pub cost_unknown: u64,
    /// Answered without a destination's work: from the cache, or together with another request.
    pub cache_hits: u64,
    /// Where the cache was asked.
    pub cache_lookups: u64,
    /// Answered inside the boundary.
    pub local: u64,
    /// Answered by any destination.
    pub served: u64,
    /// Half of them took at most this long, in milliseconds.
    pub p50_ms: f64,
    /// 95 of 100 took at most this long, in milliseconds.
    pub p95_ms: f64,
}

impl Sums {
    /// Cache hits among the lookups; `None` where there was none.
    pub fn cache_hit_share(&self) -> Option<f64> {
        share(self.cache_hits, self.cache_lookups)
    }

    /// What was answered inside the boundary, of all that was answered; `None` where nothing was.
    pub fn local_share(&self) -> Option<f64> {
        share(self.local, self.served)
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The times come as one JSON array per group: far cheaper than to rank them in SQL.
const BY_GROUP: &str = "SELECT served_by, class, outcome, count(*) AS requests,
      coalesce(sum(input_tokens), 0) AS input_tokens, coalesce(sum(output_tokens), 0) AS output_tokens,
      sum(input_tokens IS NULL OR output_tokens IS NULL) AS tokens_unknown,
      coalesce(sum(cost_uusd), 0) AS cost, sum(cost_uusd IS NULL) AS cost_unknown,
      sum(cache IN ('hit', 'coalesced')) AS cache_hits, sum(cache <> 'bypass') AS cache_lookups,
      sum(local IS 1) AS local, sum(local IS NOT NULL) AS served, json_group_array(total_ms) AS times
    FROM request WHERE at >= ?
    GROUP BY served_by, class, outcome ORDER BY requests DESC, served_by, class, outcome";

impl Records {
    /// The report over everything that came in since `since`.
    pub async fn stats(&mut self, since: Timestamp) -> Result<Stats, StoreError> {
        let rows = query(BY_GROUP).bind(timestamp(since)).fetch_all(&mut self.conn).await?;
        let (mut total, mut all_times, mut groups) = (Sums::default(), Vec::new(), Vec::with_capacity(rows.len()));
        for row in &rows {
            let (mut group, mut times) = group(row)?;
            group.sums.set_percentiles(&mut times);
            total.add(&group.sums);
            all_times.append(&mut times);
            groups.push(group);
        }
        total.set_percentiles(&mut all_times);
        Ok(Stats { total, groups })
    }
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.output_tokens += other.output_tokens;
        self.tokens_unknown += other.tokens_unknown;
        self.cost += other.cost;
        self.cost_unknown += other.cost_unknown;
        self.cache_hits += other.cache_hits;
        self.cache_lookups += other.cache_lookups;
        self.local += other.local;
        self.served += other.served;
    }

    fn set_percentiles(&mut self, times: &mut [f64]) {
        times.sort_unstable_by(f64::total_cmp);
        self.p50_ms = percentile(times, 50);
        self.p95_ms = percentile(times, 95);
    }
}

/// By nearest rank: the smallest of the `sorted` times that at least `percent` of them do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

fn group(row: &SqliteRow) -> Result<(Group, Vec<f64>), StoreError> {
    let bad = |column| StoreError::Row { id: "statistics".into(), column };
    let times = serde_json::from_str(row.try_get("times")?).map_err(|_| bad("total_ms"))?;
    let group = Group {
        served_by: row.try_get("served_by")?,
        class: row.try_get("class")?,
        outcome: Outcome::parse(row.try_get("outcome")?).ok_or_else(|| bad("outcome"))?,
        sums: sums(row)?,
    };
    Ok((group, times))
}

/// Without the percentiles.
fn sums(row: &SqliteRow) -> Result<Sums, StoreError> {
    let count = |column| row.try_get::<i64, _>(column).map(natural);
    Ok(Sums {
        requests: count("requests")?,
        input_tokens: count("input_tokens")?,
        output_tokens: count("output_tokens")?,
        tokens_unknown: count("tokens_unknown")?,
        cost: MicroUsd(count("cost")?),
        cost_unknown: count("cost_unknown")?,
        cache_hits: count("cache_hits")?,
        cache_lookups: count("cache_lookups")?,
        local: count("local")?,
        served: count("served")?,
        ..Sums::default()
    })
}
