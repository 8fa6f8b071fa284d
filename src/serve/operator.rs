//! The operators' listener: health, metrics, explain. Never on the data port.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

use super::body::read_body;
use crate::audit::EgressLedger;
use crate::dialect::Dialect;
use crate::dialect::error::ApiError;
use crate::dispatch::local::{EngineFacts, EngineState};
use crate::pipeline::{self, Gateway, Reload};

/// The routes.
pub fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/api/explain", post(explain))
        .route("/api/reload", post(reload))
        .fallback(unknown_path)
        .with_state(gateway)
}

async fn unknown_path() -> ApiError {
    let served = "`GET /healthz`, `/readyz` and `/metrics`, and `POST /api/explain` and `/api/reload`";
    ApiError::new(StatusCode::NOT_FOUND, format!("unknown path; operators find {served} here"))
}

/// What `GET /readyz` tells.
#[derive(JsonSchema, Serialize)]
pub struct Readiness<'a> {
    ready: bool,
    policy: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<Rollout<'a>>,
    reload: Option<&'a Reload>,
    engines: Vec<Engine<'a>>,
    destinations: Vec<Destination<'a>>,
    records: Option<Records>,
    ledger: Ledger,
}

/// The set that is tried beside the one in force.
#[derive(JsonSchema, Serialize)]
struct Rollout<'a> {
    policy: &'a str,
    mode: &'static str,
    percent: f64,
}

#[derive(JsonSchema, Serialize)]
struct Engine<'a> {
    name: &'a str,
    state: &'static str,
    queue: usize,
    free_slots: usize,
    tokens_per_second: f64,
    ttft_ms: f64,
    gpu_layers: usize,
}

#[derive(JsonSchema, Serialize)]
struct Destination<'a> {
    name: &'a str,
    unavailable: Option<&'static str>,
}

#[derive(JsonSchema, Serialize)]
struct Records {
    written: u64,
    queued: usize,
    lost: u64,
}

#[derive(JsonSchema, Serialize)]
struct Ledger {
    audit: &'static str,
    /// Whether the latest write went through; while it did not and audit is required, nothing goes outside.
    writable: bool,
    written: u64,
    lost: u64,
}

impl Ledger {
    fn of(ledger: &EgressLedger) -> Self {
        let numbers = ledger.numbers();
        Self {
            audit: ledger.mode().name(),
            writable: numbers.failing.get() == 0,
            written: numbers.entries.get(),
            lost: numbers.lost.get(),
        }
    }
}

/// Ready once no engine is still loading: who cannot be reached then is known, and the policy takes that into account.
async fn ready(State(gateway): State<Arc<Gateway>>) -> Response {
    let generation = gateway.generation.load();
    let policy = &generation.policy;
    let reload = gateway.reloads.last();
    let engines: Vec<_> = engines(&gateway).collect();
    let readiness = Readiness {
        ready: engines.iter().all(|(_, facts)| facts.on_demand || facts.state != EngineState::Loading),
        policy: policy.set.short_digest(),
        rollout: generation.trial.as_ref().map(|trial| Rollout {
            policy: trial.policy.set.short_digest(),
            mode: trial.rollout.mode.name(),
            percent: trial.rollout.percent,
        }),
        reload: reload.as_deref(),
        engines: engines
            .iter()
            .map(|(name, facts)| Engine {
                name,
                state: facts.state.name(),
                queue: facts.queue,
                free_slots: facts.free_slots,
                tokens_per_second: facts.tokens_per_second,
                ttft_ms: facts.ttft_ms,
                gpu_layers: facts.gpu_layers,
            })
            .collect(),
        destinations: (policy.set.destinations.iter().filter(|d| d.is_model()))
            .map(|d| Destination { name: &d.name, unavailable: gateway.dispatcher.unavailable(d) })
            .collect(),
        records: gateway.recorder.as_ref().map(|r| Records {
            written: r.written(),
            queued: r.queued(),
            lost: r.lost(),
        }),
        ledger: Ledger::of(gateway.dispatcher.ledger()),
    };
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, json(&readiness)).into_response()
}

/// The embedded engines by name.
fn engines(gateway: &Gateway) -> impl Iterator<Item = (&str, EngineFacts)> {
    let names = gateway.config.local.iter().map(|local| local.name.as_str());
    names.filter_map(|name| Some((name, gateway.dispatcher.engine_facts(name)?)))
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    gateway.dispatcher.observe();
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    for (name, facts) in engines(&gateway) {
        gateway.metrics.engine(name, &facts);
    }
    ([(CONTENT_TYPE, content_type)], gateway.metrics.encode()).into_response()
}

/// What the query says that a body is written in.
fn dialect(query: &str) -> Result<Option<Dialect>, ApiError> {
    let Some(name) = query.split('&').find_map(|pair| pair.strip_prefix("dialect=")) else { return Ok(None) };
    let unknown = || {
        let message = format!("`dialect` is one of `{}`, or absent", Dialect::ALL.map(Dialect::name).join("`, `"));
        ApiError::new(StatusCode::BAD_REQUEST, message).code("invalid_value")
    };
    Dialect::named(name).map(Some).ok_or_else(unknown)
}

/// What would be decided about this body, for the key named in `x-ajar-key` or the anonymous subject. Executes nothing.
async fn explain(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Result<Response, ApiError> {
    let (head, body) = request.into_parts();
    let dialect = dialect(head.uri.query().unwrap_or_default())?;
    let body = read_body(body, gateway.config.server.body, gateway.config.server.idle_timeout).await?;
    let generation = gateway.generation.load_full();
    let subject = match head.headers.get("x-ajar-key").map(|name| name.to_str().unwrap_or_default()) {
        None => gateway.anonymous.clone(),
        Some(name) => generation.keys.named(name).cloned().ok_or_else(|| {
            ApiError::new(StatusCode::NOT_FOUND, "no key has the name in `x-ajar-key`").code("key_not_found")
        })?,
    };
    pipeline::explain(&gateway, &generation, &subject, &head.headers, (dialect, &body), |explanation| json(explanation))
        .await
}

/// Reads policies and keys again. 200 when they are in force, 422 with every error when those before stay.
async fn reload(State(gateway): State<Arc<Gateway>>) -> Result<Response, ApiError> {
    let reload = gateway.reloads.ask().await.ok_or_else(|| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway is stopping, or its reloads have ended")
    })?;
    let status = if reload.ok { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok((status, json(&*reload)).into_response())
}

fn json<T: Serialize>(value: &T) -> Response {
    let body = serde_json::to_string_pretty(value).unwrap_or_default() + "\n";
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}
