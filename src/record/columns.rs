//! Rows to SQL and back: the one place that knows the columns of `schema.sql`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _};

use crate::chat::reply::{Certainty, Confidence};
use crate::chat::{MicroUsd, Priority, RequestId, Text};

use super::StoreError;
use super::row::{Cache, Label, Outcome, Row, StoredText, Timing, WouldHave};

const COLUMNS: &str = "seq, id, at, tenant, key, attributes, dialect, asked_model, status, outcome, reason, class, \
    class_basis, route, served_by, local, plan, cache, stream, input_tokens, output_tokens, cached_tokens, cost_uusd, \
    usage_estimated, est_gain, parse_ms, classify_ms, decide_ms, queue_ms, ttft_ms, total_ms, attempts, policy, \
    bytes_out, would_have, differs, widens, transforms, first_logprob, first_entropy, first_margin, mean_logprob, \
    mean_entropy, priority";

/// Rows per statement: few statements for large batches, and few enough different ones to stay prepared.
const CHUNKS: [usize; 3] = [64, 8, 1];

/// Statements for each of [`CHUNKS`].
static INSERTS: LazyLock<[Inserts; 3]> = LazyLock::new(|| CHUNKS.map(Inserts::new));

struct Inserts {
    rows: usize,
    /// Both tables in one go: every statement costs two switches between threads.
    sql: Arc<str>,
}

impl Inserts {
    fn new(rows: usize) -> Self {
        let requests = tuples(COLUMNS.split(',').count(), rows);
        let decisions = tuples(2, rows);
        // A batch may be written again when nobody knows whether its commit went through: the id decides.
        let sql = format!(
            "INSERT OR IGNORE INTO request ({COLUMNS}) VALUES {requests}; WITH new (seq, record) AS (VALUES {decisions}) \
             INSERT INTO decision SELECT new.* FROM new JOIN request USING (seq)"
        );
        Self { rows, sql: sql.into() }
    }
}

const INSERT_TEXT: &str = "INSERT INTO text SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM request WHERE seq = ?1)";

fn tuples(columns: usize, rows: usize) -> String {
    let tuple = format!("({})", vec!["?"; columns].join(","));
    vec![tuple; rows].join(",")
}

/// Writes `rows`, numbered from `seq` on. To be called within a transaction.
pub(super) async fn insert(conn: &mut SqliteConnection, mut rows: &[Row], mut seq: i64) -> Result<(), sqlx::Error> {
    while let Some(inserts) = INSERTS.iter().find(|i| i.rows <= rows.len()) {
        let (chunk, rest) = rows.split_at(inserts.rows);
        insert_chunk(conn, inserts, chunk, seq).await?;
        rows = rest;
        seq += inserts.rows as i64;
    }
    Ok(())
}

async fn insert_chunk(
    conn: &mut SqliteConnection,
    inserts: &Inserts,
    rows: &[Row],
    seq: i64,
) -> Result<(), sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for (row, seq) in rows.iter().zip(seq..) {
        bind(&mut arguments, seq, row).map_err(sqlx::Error::Encode)?;
    }
    for (row, seq) in rows.iter().zip(seq..) {
        arguments.add(seq).and_then(|()| arguments.add(row.decision.as_str())).map_err(sqlx::Error::Encode)?;
    }
    sqlx::query_with(AssertSqlSafe(inserts.sql.clone()), arguments).execute(&mut *conn).await?;
    for (row, seq) in rows.iter().zip(seq..) {
        if let Some(text) = &row.text {
            let insert = sqlx::query(INSERT_TEXT).bind(seq).bind(text.prompt.expose()).bind(text.answer.expose());
            insert.execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// In the order of [`COLUMNS`].
fn bind(to: &mut SqliteArguments, seq: i64, row: &Row) -> Result<(), BoxDynError> {
    to.add(seq)?;
    to.add(row.id.to_string())?;
    to.add(timestamp(row.at))?;
    to.add(row.tenant.as_deref())?;
    to.add(row.key.as_deref())?;
    to.add(json(&*row.attributes)?)?;
    to.add(&*row.dialect)?;
    to.add(row.asked_model.as_deref())?;
    to.add(row.status)?;
    to.add(row.outcome.name())?;
    to.add(row.reason.as_deref())?;
    to.add(row.class.as_deref())?;
    to.add(row.class_basis.as_deref())?;
    to.add(row.route.as_deref())?;
    to.add(row.served_by.as_deref())?;
    to.add(row.local)?;
    to.add(json(&row.plan.iter().map(|d| &**d).collect::<Vec<_>>())?)?;
    to.add(row.cache.name())?;
    to.add(row.stream)?;
    to.add(row.input_tokens.map(integer))?;
    to.add(row.output_tokens.map(integer))?;
    to.add(row.cached_tokens.map(integer))?;
    to.add(row.cost.map(|cost| integer(cost.0)))?;
    to.add(row.usage_estimated)?;
    to.add(row.est_gain)?;
    to.add(row.timing.parse)?;
    to.add(row.timing.classify)?;
    to.add(row.timing.decide)?;
    to.add(row.timing.queue)?;
    to.add(row.timing.ttft)?;
    to.add(row.timing.total)?;
    to.add(row.attempts)?;
    to.add(row.policy.as_deref())?;
    to.add(integer(row.bytes_out))?;
    to.add(row.would_have.as_ref().map(|would| would.record.as_str()))?;
    to.add(row.would_have.as_ref().and_then(|would| would.differs))?;
    to.add(row.would_have.as_ref().and_then(|would| would.widens))?;
    let transforms = (!row.transforms.is_empty()).then(|| json(&row.transforms)).transpose()?;
    to.add(transforms)?;
    to.add(row.confidence.map(|sure| sure.first.logprob))?;
    to.add(row.confidence.map(|sure| sure.first.entropy))?;
    to.add(row.confidence.map(|sure| sure.first.margin))?;
    to.add(row.confidence.map(|sure| sure.mean_logprob))?;
    to.add(row.confidence.map(|sure| sure.mean_entropy))?;
    to.add(row.priority.map(Priority::name))
}

/// As the store keeps times: of one width, so that their order as text is their order in time.
pub(super) fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

fn json(value: &impl serde::Serialize) -> Result<String, BoxDynError> {
    Ok(serde_json::to_string(value)?)
}

fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What [`read`] needs of every record; a `WHERE` follows.
pub(super) const SELECT: &str = "SELECT request.*, decision.record AS decision, prompt, answer FROM request \
    LEFT JOIN decision USING (seq) LEFT JOIN text USING (seq)";

/// A row as the store has it.
pub(super) fn read(from: &SqliteRow) -> Result<Row, StoreError> {
    let id: String = from.try_get("id")?;
    let bad = |column| StoreError::Row { id: id.clone(), column };
    let text = |column| from.try_get::<Option<String>, _>(column);
    let shared = |column| text(column).map(|t| t.map(Arc::from));
    let label = |column| text(column).map(|t| t.map(Label::Owned));
    let count = |column| from.try_get::<Option<i64>, _>(column).map(|n| n.map(natural));
    let plan: Vec<String> = from_json(&from.try_get::<String, _>("plan")?).ok_or_else(|| bad("plan"))?;
    Ok(Row {
        id: RequestId::parse(&id).ok_or_else(|| bad("id"))?,
        at: from.try_get::<String, _>("at")?.parse().map_err(|_| bad("at"))?,
        tenant: shared("tenant")?,
        key: shared("key")?,
        attributes: Arc::new(attributes(&from.try_get::<String, _>("attributes")?).ok_or_else(|| bad("attributes"))?),
        dialect: Label::Owned(from.try_get("dialect")?),
        asked_model: text("asked_model")?,
        status: from.try_get("status")?,
        outcome: Outcome::parse(from.try_get("outcome")?).ok_or_else(|| bad("outcome"))?,
        reason: label("reason")?,
        class: shared("class")?,
        class_basis: label("class_basis")?,
        route: shared("route")?,
        served_by: shared("served_by")?,
        local: from.try_get("local")?,
        plan: plan.into_iter().map(Arc::from).collect(),
        cache: Cache::parse(from.try_get("cache")?).ok_or_else(|| bad("cache"))?,
        stream: from.try_get("stream")?,
        input_tokens: count("input_tokens")?,
        output_tokens: count("output_tokens")?,
        cached_tokens: count("cached_tokens")?,
        cost: count("cost_uusd")?.map(MicroUsd),
        usage_estimated: from.try_get("usage_estimated")?,
        est_gain: from.try_get("est_gain")?,
        confidence: confidence(from)?,
        priority: match text("priority")? {
            Some(word) => Some(Priority::parse(&word).ok_or_else(|| bad("priority"))?),
            None => None,
        },
        timing: timing(from)?,
        attempts: from.try_get("attempts")?,
        policy: shared("policy")?,
        bytes_out: natural(from.try_get("bytes_out")?),
        decision: text("decision")?.unwrap_or_default(),
        would_have: would_have(from)?,
        transforms: match text("transforms")? {
            Some(column) => from_json(&column).ok_or_else(|| bad("transforms"))?,
            None => Vec::new(),
        },
        text: stored_text(text("prompt")?, text("answer")?),
    })
}

fn timing(from: &SqliteRow) -> Result<Timing, sqlx::Error> {
    Ok(Timing {
        parse: from.try_get("parse_ms")?,
        classify: from.try_get("classify_ms")?,
        decide: from.try_get("decide_ms")?,
        queue: from.try_get("queue_ms")?,
        ttft: from.try_get("ttft_ms")?,
        total: from.try_get("total_ms")?,
    })
}

fn confidence(from: &SqliteRow) -> Result<Option<Confidence>, sqlx::Error> {
    let number = |column| from.try_get::<Option<f64>, _>(column);
    let first = (number("first_logprob")?, number("first_entropy")?, number("first_margin")?);
    let ((Some(logprob), Some(entropy), Some(margin)), Some(mean_logprob), Some(mean_entropy)) =
        (first, number("mean_logprob")?, number("mean_entropy")?)
    else {
        return Ok(None);
    };
    Ok(Some(Confidence { first: Certainty { logprob, entropy, margin }, mean_logprob, mean_entropy }))
}

fn would_have(from: &SqliteRow) -> Result<Option<WouldHave>, sqlx::Error> {
    let Some(record) = from.try_get("would_have")? else { return Ok(None) };
    Ok(Some(WouldHave { record, differs: from.try_get("differs")?, widens: from.try_get("widens")? }))
}

fn stored_text(prompt: Option<String>, answer: Option<String>) -> Option<StoredText> {
    Some(StoredText { prompt: Text::from(prompt?), answer: Text::from(answer?) })
}

/// The `attributes` column.
pub(super) fn attributes(column: &str) -> Option<BTreeMap<String, String>> {
    from_json(column)
}

fn from_json<T: serde::de::DeserializeOwned>(column: &str) -> Option<T> {
    serde_json::from_str(column).ok()
}

/// A count as the store keeps it; nobody writes negative ones.
pub(super) fn natural(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}
