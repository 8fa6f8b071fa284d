//! One JSON object a line, for every other tool.

use std::collections::BTreeMap;
use std::io::Write;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::{AssertSqlSafe, query};

use crate::chat::Priority;

use super::StoreError;
use super::columns::{SELECT, timestamp};
use super::query::{Entry, Records, entry};
use super::row::{Row, Transformed};

impl Records {
    /// Writes every row that came in since `since` as a line of JSON, in the order of writing, and returns how many
    /// they were. The fields are named as the columns; `decision` is the decision record itself.
    pub async fn export_jsonl(&mut self, to: &mut (dyn Write + Send), since: Timestamp) -> Result<u64, StoreError> {
        let sql = format!("{SELECT} WHERE at >= ? ORDER BY seq");
        let mut rows = query(AssertSqlSafe(sql)).bind(timestamp(since)).fetch(&mut self.conn);
        let mut written = 0;
        while let Some(row) = rows.try_next().await? {
            serde_json::to_writer(&mut *to, &entry(&row)?.line()).map_err(std::io::Error::from)?;
            to.write_all(b"\n")?;
            written += 1;
        }
        to.flush()?;
        Ok(written)
    }
}

impl Entry {
    /// The row as JSON, as the export writes it. Stored text is part of it.
    pub fn to_json(&self) -> Result<String, StoreError> {
        Ok(serde_json::to_string(&self.line()).map_err(std::io::Error::from)?)
    }

    fn line(&self) -> Line<'_> {
        Line::new(self.seq, &self.row)
    }
}

#[derive(Serialize)]
struct Line<'a> {
    seq: i64,
    id: String,
    at: String,
    tenant: Option<&'a str>,
    key: Option<&'a str>,
    attributes: &'a BTreeMap<String, String>,
    dialect: &'a str,
    asked_model: Option<&'a str>,
    status: u16,
    outcome: &'static str,
    reason: Option<&'a str>,
    class: Option<&'a str>,
    class_basis: Option<&'a str>,
    route: Option<&'a str>,
    served_by: Option<&'a str>,
    local: Option<bool>,
    plan: Vec<&'a str>,
    cache: &'static str,
    stream: bool,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cached_tokens: Option<u64>,
    cost_uusd: Option<u64>,
    usage_estimated: bool,
    est_gain: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_logprob: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_entropy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_margin: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_logprob: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean_entropy: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    parse_ms: Option<f64>,
    classify_ms: Option<f64>,
    decide_ms: Option<f64>,
    queue_ms: Option<f64>,
    ttft_ms: Option<f64>,
    total_ms: f64,
    attempts: u32,
    policy: Option<&'a str>,
    bytes_out: u64,
    decision: Decision<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    would_have: Option<Decision<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    differs: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    widens: Option<bool>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    transforms: &'a [Transformed],
    #[serde(skip_serializing_if = "Option::is_none")]
    prompt: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<&'a str>,
}

/// JSON as such; what is none, as a string.
#[derive(Serialize)]
#[serde(untagged)]
enum Decision<'a> {
    Json(&'a RawValue),
    Text(&'a str),
}

impl<'a> Decision<'a> {
    fn new(text: &'a str) -> Self {
        serde_json::from_str(text).map_or(Self::Text(text), Self::Json)
    }
}

impl<'a> Line<'a> {
    fn new(seq: i64, row: &'a Row) -> Self {
        Self {
            seq,
            id: row.id.to_string(),
            at: timestamp(row.at),
            tenant: row.tenant.as_deref(),
            key: row.key.as_deref(),
            attributes: &row.attributes,
            dialect: &row.dialect,
            asked_model: row.asked_model.as_deref(),
            status: row.status,
            outcome: row.outcome.name(),
            reason: row.reason.as_deref(),
            class: row.class.as_deref(),
            class_basis: row.class_basis.as_deref(),
            route: row.route.as_deref(),
            served_by: row.served_by.as_deref(),
            local: row.local,
            plan: row.plan.iter().map(|d| &**d).collect(),
            cache: row.cache.name(),
            stream: row.stream,
            input_tokens: row.input_tokens,
            output_tokens: row.output_tokens,
            cached_tokens: row.cached_tokens,
            cost_uusd: row.cost.map(|cost| cost.0),
            usage_estimated: row.usage_estimated,
            est_gain: row.est_gain,
            first_logprob: row.confidence.map(|sure| sure.first.logprob),
            first_entropy: row.confidence.map(|sure| sure.first.entropy),
            first_margin: row.confidence.map(|sure| sure.first.margin),
            mean_logprob: row.confidence.map(|sure| sure.mean_logprob),
            mean_entropy: row.confidence.map(|sure| sure.mean_entropy),
            priority: row.priority.map(Priority::name),
            parse_ms: row.timing.parse,
            classify_ms: row.timing.classify,
            decide_ms: row.timing.decide,
            queue_ms: row.timing.queue,
            ttft_ms: row.timing.ttft,
            total_ms: row.timing.total,
            attempts: row.attempts,
            policy: row.policy.as_deref(),
            bytes_out: row.bytes_out,
            decision: Decision::new(&row.decision),
            would_have: row.would_have.as_ref().map(|would| Decision::new(&would.record)),
            differs: row.would_have.as_ref().and_then(|would| would.differs),
            widens: row.would_have.as_ref().and_then(|would| would.widens),
            transforms: &row.transforms,
            prompt: row.text.as_ref().map(|text| text.prompt.expose()),
            answer: row.text.as_ref().map(|text| text.answer.expose()),
        }
    }
}
