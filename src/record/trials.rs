//! What a policy set on trial said of the requests that were recorded: whether to promote it.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query};

use super::StoreError;
use super::columns::{natural, timestamp};
use super::query::Records;
use crate::chat::{MicroUsd, Usage};
use crate::govern::Price;

/// How many widened requests are named.
const EXAMPLES: usize = 10;
/// What stands for a destination where there is none.
const REFUSED: &str = "refused";

/// Which pair of sets a report is about.
#[derive(Clone, Copy, Debug)]
pub struct Pair<'a> {
    /// Digest of the set in force.
    pub in_force: &'a str,
    /// Digest of the set on trial.
    pub on_trial: &'a str,
}

/// What promoting the set on trial would have changed.
#[derive(Debug, Default, Serialize)]
pub struct Promotion {
    /// Requests that both sets looked at.
    pub compared: u64,
    /// Of these, decided by the set on trial.
    pub canary: u64,
    /// Requests for which trying failed.
    pub failed: u64,
    /// Requests that other versions of the two sets looked at: not part of this report.
    pub other_versions: u64,
    /// Requests for which somebody else would be asked, by whom instead of whom.
    pub flips: Vec<Flip>,
    /// Requests that would be refused, and are not.
    pub refusals_gained: u64,
    /// Requests that are refused, and would not be.
    pub refusals_lost: u64,
    /// Requests that somebody could receive who may not now.
    pub widened: u64,
    /// Whom it lets in, and for how many requests.
    pub widened_to: BTreeMap<String, u64>,
    /// Some of these requests.
    pub examples: Vec<String>,
    /// What was spent, and what would be.
    pub spend: Spending,
    /// What the evaluation took, in microseconds.
    pub evaluation_us: Percentiles,
}

/// Requests that go to another destination.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Flip {
    /// Whom the set in force asks first, or `refused`.
    pub from: String,
    /// Whom the set on trial asks first, or `refused`.
    pub to: String,
    /// How many.
    pub requests: u64,
}

/// Money, over the requests that the set in force decided and a destination answered.
#[derive(Debug, Default, Serialize)]
pub struct Spending {
    /// How many requests.
    pub requests: u64,
    /// What they cost, as recorded.
    pub recorded_usd: f64,
    /// What they would cost: the tokens as recorded, at the price of whom the set on trial asks first. Another model
    /// answers at another length, so this is an estimate.
    pub estimated_usd: f64,
    /// What they could cost there at most.
    pub worst_case_usd: f64,
    /// Requests of which one of these is not known; they are in none of the sums.
    pub unknown: u64,
}

/// Of durations.
#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    /// Half of them are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl Records {
    /// The report over what came in since `since`; `price` is that of a destination of the set on trial. Dry runs do not
    /// count.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn promotion(
        &mut self,
        since: Timestamp,
        pair: Pair<'_>,
        price: impl Fn(&str) -> Option<Price>,
    ) -> Result<Promotion, StoreError> {
        let sql = "SELECT id, would_have, cost_uusd, input_tokens, output_tokens, cached_tokens FROM request \
            WHERE at >= ? AND would_have IS NOT NULL AND outcome <> 'dry_run' ORDER BY at";
        let mut rows = query(sql).bind(timestamp(since)).fetch(&mut self.conn);
        let mut sums = Summing::default();
        while let Some(row) = rows.try_next().await? {
            sums.add(&compared(&row)?, pair, &price);
        }
        Ok(sums.finish())
    }
}

/// One recorded request.
struct Compared {
    id: String,
    would_have: Option<WouldHave>,
    cost: Option<MicroUsd>,
    usage: Option<Usage>,
}

/// The record's `would_have`, as far as the report needs it.
#[derive(Deserialize)]
struct WouldHave {
    policy: String,
    #[serde(default)]
    failed: bool,
    side: String,
    #[serde(default)]
    plan: Vec<String>,
    worst_case_uusd: Option<u64>,
    in_force: Option<InForce>,
    #[serde(default)]
    widens: Vec<String>,
    #[serde(default)]
    us: f64,
}

#[derive(Deserialize)]
struct InForce {
    policy: String,
    plan: Vec<String>,
}

fn compared(row: &SqliteRow) -> Result<Compared, StoreError> {
    let tokens = |column| row.try_get::<Option<i64>, _>(column).map(|n| n.map(natural));
    let (input, output) = (tokens("input_tokens")?, tokens("output_tokens")?);
    let cached_input = tokens("cached_tokens")?.unwrap_or_default();
    Ok(Compared {
        id: row.try_get("id")?,
        would_have: serde_json::from_str(row.try_get("would_have")?).ok(),
        cost: tokens("cost_uusd")?.map(MicroUsd),
        usage: input.zip(output).map(|(input, output)| Usage { input, output, cached_input, ..Usage::default() }),
    })
}

#[derive(Default)]
struct Summing {
    report: Promotion,
    flips: BTreeMap<(String, String), u64>,
    recorded: MicroUsd,
    estimated: MicroUsd,
    worst_case: MicroUsd,
    took: Vec<f64>,
}

impl Summing {
    fn add(&mut self, request: &Compared, pair: Pair<'_>, price: impl Fn(&str) -> Option<Price>) {
        let would = request.would_have.as_ref().filter(|would| would.policy == pair.on_trial);
        let Some(would) = would else {
            self.report.other_versions += 1;
            return;
        };
        let in_force = match &would.in_force {
            Some(in_force) if in_force.policy == pair.in_force => in_force,
            _ if would.failed => {
                self.report.failed += 1;
                return;
            }
            _ => {
                self.report.other_versions += 1;
                return;
            }
        };
        self.report.compared += 1;
        self.took.push(would.us);
        self.choice(in_force.plan.first(), would.plan.first());
        self.widening(&request.id, &would.widens);
        match would.side.as_str() {
            "on_trial" => self.report.canary += 1,
            _ => self.spend(request, would, price),
        }
    }

    fn choice(&mut self, from: Option<&String>, to: Option<&String>) {
        match (from, to) {
            (Some(_), None) => self.report.refusals_gained += 1,
            (None, Some(_)) => self.report.refusals_lost += 1,
            _ => {}
        }
        if from != to {
            let name = |name: Option<&String>| name.map_or(REFUSED, String::as_str).to_owned();
            *self.flips.entry((name(from), name(to))).or_default() += 1;
        }
    }

    fn widening(&mut self, id: &str, widens: &[String]) {
        if widens.is_empty() {
            return;
        }
        self.report.widened += 1;
        for name in widens {
            *self.report.widened_to.entry(name.clone()).or_default() += 1;
        }
        if self.report.examples.len() < EXAMPLES {
            self.report.examples.push(id.to_owned());
        }
    }

    /// What nobody was asked for costs nothing on either side and says nothing.
    fn spend(&mut self, request: &Compared, would: &WouldHave, price: impl Fn(&str) -> Option<Price>) {
        let Some(usage) = request.usage else { return };
        self.report.spend.requests += 1;
        let estimate = match would.plan.first() {
            Some(first) => {
                price(first).zip(would.worst_case_uusd).map(|(price, worst)| (price.cost(usage), MicroUsd(worst)))
            }
            None => Some((MicroUsd::ZERO, MicroUsd::ZERO)),
        };
        match request.cost.zip(estimate) {
            Some((recorded, (estimated, worst_case))) => {
                self.recorded += recorded;
                self.estimated += estimated;
                self.worst_case += worst_case;
            }
            None => self.report.spend.unknown += 1,
        }
    }

    fn finish(mut self) -> Promotion {
        self.took.sort_unstable_by(f64::total_cmp);
        let mut flips: Vec<Flip> =
            self.flips.into_iter().map(|((from, to), requests)| Flip { from, to, requests }).collect();
        flips.sort_by_key(|flip| std::cmp::Reverse(flip.requests));
        let spend = Spending {
            recorded_usd: self.recorded.as_usd(),
            estimated_usd: self.estimated.as_usd(),
            worst_case_usd: self.worst_case.as_usd(),
            ..self.report.spend
        };
        let evaluation_us =
            Percentiles { p50: rank(&self.took, 50), p99: rank(&self.took, 99), max: rank(&self.took, 100) };
        Promotion { flips, spend, evaluation_us, ..self.report }
    }
}

/// By nearest rank.
fn rank(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Pair<'_> = Pair { in_force: "old", on_trial: "new" };

    fn request(id: &str, would_have: serde_json::Value, cost: u64) -> Compared {
        let usage = Usage { input: 1_000_000, ..Usage::default() };
        let would_have = serde_json::from_value(would_have).ok();
        Compared { id: id.to_owned(), would_have, cost: Some(MicroUsd(cost)), usage: Some(usage) }
    }

    fn would(side: &str, from: &[&str], to: &[&str], widens: &[&str], us: f64) -> serde_json::Value {
        serde_json::json!({
            "policy": "new", "side": side, "plan": to, "widens": widens, "us": us, "worst_case_uusd": 9,
            "in_force": { "policy": "old", "plan": from },
        })
    }

    #[test]
    fn a_report_tells_flips_refusals_widenings_and_money_of_this_pair_of_sets_alone() {
        let mut other = would("in_force", &["gpt"], &["gpt"], &[], 1.0);
        other["in_force"]["policy"] = "older".into();
        let requests = [
            request("a", would("in_force", &["gpt", "home"], &["home"], &[], 5.0), 2_000_000),
            request("b", would("in_force", &["home"], &["home"], &["far"], 7.0), 0),
            request("c", would("on_trial", &["home"], &[], &[], 9.0), 0),
            request("d", would("in_force", &[], &["gpt"], &["gpt"], 6.0), 0),
            request("e", other, 1),
            request("f", serde_json::json!({ "policy": "new", "side": "in_force", "failed": true }), 1),
        ];
        let mut sums = Summing::default();
        let price =
            |name: &str| if name == "gpt" { Price::from_usd_per_million(1.5, 2.0, None) } else { Some(Price::FREE) };
        requests.iter().for_each(|request| sums.add(request, PAIR, price));
        insta::assert_json_snapshot!(sums.finish());
    }
}
