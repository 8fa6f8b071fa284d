//! Counters and clocks in Prometheus' format. Labels are names of the policy set and of our own words, never text.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::audit::Numbers;
use crate::classify::Truth;
use crate::dispatch;
use crate::dispatch::local::{EngineFacts, EngineState};
use crate::pipeline::Reload;
use crate::policy::PolicySet;
use crate::record::Row;

/// All metrics.
pub struct Metrics {
    registry: Registry,
    /// Requests that were authenticated and have not ended.
    pub in_flight: Gauge,
    /// Requests refused for want of a valid key.
    pub unauthenticated: Counter,
    requests: Family<RequestLabels, Counter>,
    tokens: Family<TokenLabels, Counter>,
    cost: Family<DestinationLabels, Counter<f64, AtomicU64>>,
    unknowns: Family<DetectorLabels, Counter>,
    ttft: Family<DestinationLabels, Histogram>,
    total: Family<DestinationLabels, Histogram>,
    reloads: Family<ResultLabels, Counter>,
    loaded: Gauge<f64, AtomicU64>,
    refused: Gauge,
    tried: Family<ResultLabels, Counter>,
    trying: Histogram,
    accompanied: Family<ResultLabels, Counter>,
    engine_state: Family<EngineStateLabels, Gauge>,
    engine_queue: Family<EngineLabels, Gauge>,
    engine_busy: Family<EngineLabels, Gauge>,
    engine_gpu_layers: Family<EngineLabels, Gauge>,
    engine_guessed: Family<EngineLabels, Gauge>,
    engine_guessed_right: Family<EngineLabels, Gauge>,
    margin: Family<DestinationLabels, Histogram>,
    surprisal: Family<DestinationLabels, Histogram>,
    entropy: Family<DestinationLabels, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EngineLabels {
    engine: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EngineStateLabels {
    engine: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    destination: String,
    outcome: &'static str,
    cache: &'static str,
    class: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DestinationLabels {
    destination: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TokenLabels {
    destination: String,
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DetectorLabels {
    detector: String,
}

impl Default for Metrics {
    fn default() -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 16));
        let nats = || Histogram::new(exponential_buckets(0.03125, 2.0, 9));
        let shares = || Histogram::new(linear_buckets(0.1, 0.1, 9));
        let mut metrics = Self {
            registry: Registry::with_prefix("ajar"),
            in_flight: Gauge::default(),
            unauthenticated: Counter::default(),
            requests: Family::default(),
            tokens: Family::default(),
            cost: Family::default(),
            unknowns: Family::default(),
            ttft: Family::new_with_constructor(seconds),
            total: Family::new_with_constructor(seconds),
            reloads: Family::default(),
            loaded: Gauge::default(),
            refused: Gauge::default(),
            tried: Family::default(),
            trying: Histogram::new(exponential_buckets(1e-6, 2.0, 18)),
            accompanied: Family::default(),
            engine_state: Family::default(),
            engine_queue: Family::default(),
            engine_busy: Family::default(),
            engine_gpu_layers: Family::default(),
            engine_guessed: Family::default(),
            engine_guessed_right: Family::default(),
            margin: Family::new_with_constructor(shares),
            surprisal: Family::new_with_constructor(nats),
            entropy: Family::new_with_constructor(nats),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&mut self) {
        let r = &mut self.registry;
        r.register("requests_in_flight", "Requests that have not ended", self.in_flight.clone());
        r.register("unauthenticated", "Requests refused for want of a valid key", self.unauthenticated.clone());
        r.register("requests", "Requests by who answered and how they ended", self.requests.clone());
        r.register("tokens", "Tokens by destination and kind", self.tokens.clone());
        r.register("cost_usd", "What calls cost, in US dollars", self.cost.clone());
        r.register("detector_unknown", "Requests that a detector could not look at", self.unknowns.clone());
        let seconds = || Unit::Seconds;
        r.register_with_unit("time_to_first_token", "From arrival to the first content", seconds(), self.ttft.clone());
        r.register_with_unit("request_duration", "From arrival to the end", seconds(), self.total.clone());
        r.register("policy_reloads", "Reloads by what came of them", self.reloads.clone());
        r.register("policy_reload_refused", "1 while the latest reload was refused", self.refused.clone());
        let loaded = "When the policies in force were loaded, in seconds since 1970";
        r.register_with_unit("policy_loaded_timestamp", loaded, seconds(), self.loaded.clone());
        r.register("rollout_compared", "Requests that a set on trial looked at", self.tried.clone());
        let stays = "Requests of conversations by whether they go to who answered before";
        r.register("affinity", stays, self.accompanied.clone());
        let trying = "What looking at them costs each request";
        r.register_with_unit("rollout_evaluation", trying, seconds(), self.trying.clone());
        r.register("local_state", "1 for the state that an embedded model is in", self.engine_state.clone());
        r.register("local_queue", "Requests that wait for an embedded model", self.engine_queue.clone());
        let layers = "Layers of an embedded model that a GPU computes";
        r.register("local_gpu_layers", layers, self.engine_gpu_layers.clone());
        r.register("local_guessed_tokens", "Tokens guessed since the start", self.engine_guessed.clone());
        let right = "Tokens that were guessed and then drawn, since the start";
        r.register("local_guessed_right_tokens", right, self.engine_guessed_right.clone());
        r.register("local_busy_sequences", "Sequences of an embedded model that are at work", self.engine_busy.clone());
        let margin = "How much likelier an answer's first token was to an embedded model than the next likeliest";
        r.register("local_first_margin", margin, self.margin.clone());
        let nats = || Unit::Other("nats".to_owned());
        let surprisal = "How unlikely an answer's tokens were to an embedded model: minus their mean log-probability";
        r.register_with_unit("local_surprisal", surprisal, nats(), self.surprisal.clone());
        let entropy = "How unsure an embedded model was of an answer's tokens: their mean entropy";
        r.register_with_unit("local_entropy", entropy, nats(), self.entropy.clone());
    }

    /// Counts a request whose conversation somebody has answered before: whether it goes there again.
    pub fn accompanied(&self, stays: bool) {
        let result = if stays { "stays" } else { "leaves" };
        self.accompanied.get_or_create(&ResultLabels { result }).inc();
    }

    /// Shows the egress ledger's numbers too.
    pub fn watch_ledger(&mut self, ledger: &Numbers) {
        let r = &mut self.registry;
        r.register("ledger_entries", "Entries of the egress ledger that were written", ledger.entries.clone());
        r.register(
            "ledger_lost",
            "Bodies that were sent without an entry, as it could not be written",
            ledger.lost.clone(),
        );
        r.register("ledger_failing", "1 while the egress ledger cannot be written", ledger.failing.clone());
        let checkpointed = "When the latest checkpoint was signed, in seconds since 1970";
        r.register_with_unit("ledger_checkpoint_timestamp", checkpointed, Unit::Seconds, ledger.checkpointed.clone());
    }

    /// Shows how providers fare, too.
    pub fn watch_providers(&mut self, providers: &dispatch::remote::Numbers) {
        let r = &mut self.registry;
        r.register("provider_calls", "Calls to providers by what came of them", providers.calls.clone());
        let retries = "Calls that were made since one before had failed";
        r.register("provider_retries", retries, providers.retries.clone());
        r.register("provider_breaker", "1 for the state that the breaker is in", providers.breakers.clone());
        r.register("provider_credentials", "Credentials by state", providers.credentials.clone());
    }

    /// Counts a request that has ended.
    pub fn finished(&self, row: &Row) {
        self.in_flight.dec();
        let destination = row.served_by.as_deref().unwrap_or("none").to_owned();
        let class = row.class.as_deref().unwrap_or("none").to_owned();
        let labels = RequestLabels {
            destination: destination.clone(),
            outcome: row.outcome.name(),
            cache: row.cache.name(),
            class,
        };
        self.requests.get_or_create(&labels).inc();
        for (kind, tokens) in [("input", row.input_tokens), ("output", row.output_tokens)] {
            let labels = TokenLabels { destination: destination.clone(), kind };
            self.tokens.get_or_create(&labels).inc_by(tokens.unwrap_or(0));
        }
        let labels = DestinationLabels { destination };
        self.cost.get_or_create(&labels).inc_by(row.cost.unwrap_or_default().as_usd());
        self.total.get_or_create(&labels).observe(row.timing.total / 1e3);
        if let Some(ttft) = row.timing.ttft {
            self.ttft.get_or_create(&labels).observe(ttft / 1e3);
        }
        if let Some(sure) = &row.confidence {
            self.margin.get_or_create(&labels).observe(sure.first.margin);
            self.surprisal.get_or_create(&labels).observe(-sure.mean_logprob);
            self.entropy.get_or_create(&labels).observe(sure.mean_entropy);
        }
    }

    /// Counts detectors that could not look: a rise means that requests are being kept at home needlessly.
    pub fn classified(&self, set: &PolicySet, verdicts: &[Truth]) {
        for (spec, verdict) in set.detectors.iter().zip(verdicts) {
            if *verdict == Truth::Unknown {
                self.unknowns.get_or_create(&DetectorLabels { detector: spec.name.clone() }).inc();
            }
        }
    }

    /// Policies, keys and budgets came into force.
    pub fn policies_loaded(&self, at: jiff::Timestamp) {
        self.loaded.set(at.as_millisecond() as f64 / 1e3);
    }

    /// Counts a reload.
    pub fn reloaded(&self, reload: &Reload) {
        let result = match (reload.ok, reload.changed.is_empty()) {
            (false, _) => "refused",
            (true, true) => "unchanged",
            (true, false) => "ok",
        };
        self.reloads.get_or_create(&ResultLabels { result }).inc();
        self.refused.set((!reload.ok).into());
    }

    /// Counts a request that a set on trial looked at: `differs` is `None` where that failed.
    pub fn tried(&self, took: Duration, differs: Option<bool>) {
        let result = match differs {
            Some(false) => "same",
            Some(true) => "differs",
            None => "failed",
        };
        self.tried.get_or_create(&ResultLabels { result }).inc();
        self.trying.observe(took.as_secs_f64());
    }

    /// What the embedded engine called `engine` says of itself now.
    pub fn engine(&self, engine: &str, facts: &EngineFacts) {
        for state in EngineState::ALL {
            let labels = EngineStateLabels { engine: engine.to_owned(), state: state.name() };
            self.engine_state.get_or_create(&labels).set((facts.state == state).into());
        }
        let labels = EngineLabels { engine: engine.to_owned() };
        self.engine_queue.get_or_create(&labels).set(facts.queue as i64);
        self.engine_gpu_layers.get_or_create(&labels).set(facts.gpu_layers as i64);
        self.engine_guessed.get_or_create(&labels).set(facts.guessed as i64);
        self.engine_guessed_right.get_or_create(&labels).set(facts.guessed_right as i64);
        self.engine_busy.get_or_create(&labels).set((facts.sequences - facts.free_slots) as i64);
    }

    /// All metrics as OpenMetrics text.
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}
