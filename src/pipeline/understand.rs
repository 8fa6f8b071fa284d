//! From bytes to a decision: read, decode, classify, decide.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use super::entry::{Entry, millis};
use super::lazily::models_matter;
use super::{Gateway, Policy};
use crate::cache::CacheControl;
use crate::cache::key::{CacheKey, Scope};
use crate::chat::{ChatRequest, Json, MicroUsd, Part, Role, Source, Text};
use crate::classify::{Gain, Scan, Truth};
use crate::govern::{Price, Spender, Subject};
use crate::policy::decision::{Decision, Outcome, Refusal, RefusalKind};
use crate::policy::explain::{Explanation, Seen};
use crate::policy::facts::{RequestFacts, facts};
use crate::policy::set::{Budget, Store};
use crate::policy::{Barrier, Destination, DestinationId, DestinationState, Facts, Inputs, TransformSet, decide};
use crate::record::StoredText;
use crate::serve::body::read_body;
use crate::serve::openai::decode::{Decoded, EditPoints, decode};
use crate::serve::openai::error::ApiError;
use crate::serve::openai::{Feature, Uses};

/// Cap on an answer where neither client, policy nor price list knows one, in tokens.
const DEFAULT_MAX_OUTPUT: u32 = 4096;

/// A request that was understood and may go somewhere.
pub(crate) struct Call {
    pub(crate) policy: Arc<Policy>,
    pub(crate) decision: Box<Decision>,
    pub(crate) request: Arc<ChatRequest>,
    pub(crate) body: Bytes,
    pub(crate) points: EditPoints,
    /// Prompt tokens, estimated from above.
    pub(crate) tokens_input: u64,
    pub(crate) deadline: Instant,
    /// Where its answer is kept, if it may be kept at all.
    pub(crate) cache_key: Option<CacheKey>,
    pub(crate) cache_control: CacheControl,
}

impl Call {
    pub(crate) fn streams(&self) -> bool {
        self.request.streaming.is_on()
    }

    /// The cap on the answer at a destination, in tokens.
    pub(crate) fn max_output(&self, gateway: &Gateway, id: DestinationId) -> u32 {
        let asked = self.request.sampling.max_tokens;
        let usual = usual_max_output(gateway, &self.policy, id);
        let cap = self.decision.max_output.unwrap_or(u32::MAX);
        asked.unwrap_or(usual).min(cap)
    }
}

/// Reads, decodes, classifies and decides; the entry learns everything on the way.
///
/// # Errors
/// What the client is to be told: a body that is wrong, a limit that is reached, a policy that says no.
pub(crate) async fn understand(
    gateway: &Gateway,
    subject: &Arc<Subject>,
    head: &Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<Call, ApiError> {
    if let Some(Err(wait)) = subject.limiter.as_ref().map(|limiter| limiter.check()) {
        let limited = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "the rate limit of this key is reached");
        return Err(limited.retry_after(wait));
    }
    let server = &gateway.config.server;
    let body = read_body(body, server.body, server.idle_timeout).await?;
    let read = Instant::now();
    let json = Json::parse(&body)?;
    let decoded = decode(&body, &json)?;
    entry.row.asked_model = Some(decoded.request.model.clone());
    entry.row.stream = decoded.request.streaming.is_on();
    entry.row.timing.parse = Some(millis(read.elapsed()));

    let policy = gateway.policy.load_full();
    let preference = preference(gateway, &policy, &decoded.request.model)?;
    let view = View { gateway, policy: &policy, subject, headers: &head.headers };
    let weighed = view.weigh(&decoded, preference);
    note(entry, &policy, &weighed);
    gateway.metrics.classified(&policy.set, &weighed.verdicts);
    if let Outcome::Refuse(refusal) = &weighed.decision.outcome {
        return Err(refused(refusal, &weighed.decision));
    }
    if keeps_text(&policy, &weighed.decision) {
        // The body was parsed, so it is UTF-8.
        let prompt = std::str::from_utf8(&body).unwrap_or_default().into();
        entry.row.text = Some(StoredText { prompt, answer: Text::default() });
    }
    let cache_control = head.headers.get(http::header::CACHE_CONTROL).and_then(|v| v.to_str().ok());
    let cache_control = cache_control.map(CacheControl::parse).unwrap_or_default();
    let cache_key = view.cache_key(&decoded, &weighed.decision, cache_control, &json);
    let Decoded { request, edits, .. } = decoded;
    let tokens_input = weighed.tokens_input;
    Ok(Call {
        decision: Box::new(weighed.decision),
        request: Arc::new(request),
        points: edits,
        tokens_input,
        deadline: entry.started() + server.deadline,
        cache_key,
        cache_control,
        body: body.clone(),
        policy,
    })
}

/// Everything that is known before anybody answers goes into the record.
fn note(entry: &mut Entry, policy: &Policy, weighed: &Weighed) {
    let row = &mut entry.row;
    row.timing.classify = Some(millis(weighed.classifying));
    row.timing.decide = Some(millis(weighed.deciding));
    row.policy = Some(policy.names.digest.clone());
    row.class = Some(policy.names.classes[usize::from(weighed.decision.class.0)].clone());
    row.class_basis = Some(weighed.decision.basis.name().into());
    row.route = weighed.decision.route.map(|i| policy.names.routes[usize::from(i)].clone());
    row.est_gain = weighed.gain.map(|gain| gain.value);
    row.plan = weighed.decision.plan().iter().map(|c| policy.names.destination(c.id)).collect();
    row.decision = serde_json::to_string(&weighed.explain(policy)).unwrap_or_default();
    row.reason = Some(match &weighed.decision.outcome {
        Outcome::Go(choice) => choice.code().into(),
        Outcome::Refuse(refusal) => refusal.reason(&policy.set).to_owned().into(),
    });
}

/// Explains what would be decided about `body` for `subject`, without executing anything, in whatever form `show` gives
/// the explanation.
///
/// # Errors
/// As for a real request with this body.
pub fn explain<T>(
    gateway: &Gateway,
    subject: &Subject,
    headers: &HeaderMap,
    body: &[u8],
    show: impl FnOnce(&Explanation<'_>) -> T,
) -> Result<T, ApiError> {
    let json = Json::parse(body)?;
    let decoded = decode(body, &json)?;
    let policy = gateway.policy.load_full();
    let preference = preference(gateway, &policy, &decoded.request.model)?;
    let view = View { gateway, policy: &policy, subject, headers };
    let weighed = view.weigh(&decoded, preference);
    Ok(show(&weighed.explain(&policy)))
}

/// From where a request is looked at.
struct View<'a> {
    gateway: &'a Gateway,
    policy: &'a Policy,
    subject: &'a Subject,
    headers: &'a HeaderMap,
}

/// A request classified and decided.
struct Weighed {
    scan: Scan,
    verdicts: Vec<Truth>,
    gain: Option<Gain>,
    facts: Facts,
    states: Vec<DestinationState>,
    preference: Option<DestinationId>,
    decision: Decision,
    tokens_input: u64,
    classifying: Duration,
    deciding: Duration,
}

impl Weighed {
    fn explain<'a>(&'a self, policy: &'a Policy) -> Explanation<'a> {
        let inputs = Inputs {
            facts: &self.facts,
            states: &self.states,
            preference: self.preference,
            able: TransformSet::default(),
        };
        let seen = Seen { verdicts: &self.verdicts, findings: &self.scan.findings, gain: self.gain };
        crate::policy::explain::explain(&policy.set, &inputs, &self.decision, seen)
    }
}

impl View<'_> {
    fn weigh(&self, decoded: &Decoded<'_>, preference: Option<DestinationId>) -> Weighed {
        let start = Instant::now();
        let mut scan = self.policy.scanner.scan_exact(&self.subject.tenant, &decoded.parts);
        let gain = self.gateway.estimator.gain(&asked(&decoded.request));
        let tokens_input = estimate_tokens(&decoded.parts);
        let uses = used(decoded.uses, &scan);
        let states = self.states(decoded, tokens_input);
        // No transform exists yet: what needs one stays out.
        let able = TransformSet::default();
        let set = &self.policy.set;
        let facts = |verdicts: &[Truth]| self.facts(decoded, &uses, verdicts, gain, tokens_input);
        let decide = |facts: &Facts| decide(set, &Inputs { facts, states: &states, preference, able });
        let waiting: Vec<u16> = self.policy.scanner.models().collect();
        if models_matter(set, &self.verdicts(&scan), &waiting, |verdicts| decide(&facts(verdicts))) {
            self.recognise(&decoded.parts, &mut scan);
        }
        let classified = Instant::now();

        let verdicts = self.verdicts(&scan);
        let facts = facts(&verdicts);
        let decision = decide(&facts);
        Weighed {
            classifying: classified - start,
            deciding: classified.elapsed(),
            scan,
            verdicts,
            gain,
            facts,
            states,
            preference,
            decision,
            tokens_input,
        }
    }

    /// What the detectors, and the labels of request and key, say.
    fn verdicts(&self, scan: &Scan) -> Vec<Truth> {
        let mut verdicts: Vec<Truth> = scan.results.iter().map(|result| result.truth).collect();
        self.read_labels(&mut verdicts);
        verdicts
    }

    /// Lets the models look, as long as they may take.
    fn recognise(&self, parts: &[Part<'_>], scan: &mut Scan) {
        let scanner = &self.policy.scanner;
        // A deadline beyond what clocks can tell is none.
        let until = Instant::now().checked_add(scanner.models_deadline().unwrap_or_default());
        scanner.recognise(parts, scan, &|| until.is_none_or(|until| Instant::now() < until));
    }

    fn facts(
        &self,
        decoded: &Decoded<'_>,
        uses: &[&'static str],
        verdicts: &[Truth],
        gain: Option<Gain>,
        tokens_input: u64,
    ) -> Facts {
        let set = &self.policy.set;
        let budgets = self.budget_shares();
        let local = self.local_facts();
        let max_output = decoded.request.sampling.max_tokens.unwrap_or(DEFAULT_MAX_OUTPUT);
        let request = RequestFacts {
            findings: verdicts,
            uses,
            tokens_input,
            tokens_max_output: max_output.into(),
            gain: gain.map(|gain| gain.value),
            budgets: &budgets,
            local: &local,
        };
        facts(set, &request, &self.attributes())
    }

    /// Labels on the request and on the key can only raise a verdict.
    fn read_labels(&self, verdicts: &mut [Truth]) {
        for label in &self.policy.set.labels {
            let header = label.header.iter().flat_map(|name| self.headers.get_all(name.as_str()));
            // What cannot be read is not `none`.
            let said = header.map(|value| value.to_str().unwrap_or("unreadable").trim());
            let truth = label.truth(&self.policy.set.vocabulary, said, &self.subject.attributes);
            verdicts[label.detector] = verdicts[label.detector] | truth;
        }
    }

    fn budget_shares(&self) -> Vec<Option<f64>> {
        let now = jiff::Timestamp::now();
        let spender = Spender { key: &self.subject.name, attributes: &self.subject.attributes };
        let used = |budget: &Budget| self.gateway.ledger.used_fraction(&budget.id, spender, now);
        self.policy.set.budgets.iter().map(used).collect()
    }

    /// The key's attributes, and those that headers may set.
    fn attributes(&self) -> BTreeMap<String, String> {
        let mut attributes = BTreeMap::new();
        for (name, value) in self.subject.attributes.iter() {
            attributes.insert(format!("key.{name}"), value.clone());
        }
        for (name, header) in &self.gateway.config.headers {
            if let Some(value) = self.headers.get(header) {
                // What cannot be read is no word of the vocabulary, and so unknown.
                attributes.insert(name.clone(), value.to_str().unwrap_or_default().trim().to_owned());
            }
        }
        attributes
    }

    /// The facts of the first embedded destination.
    fn local_facts(&self) -> Vec<(&'static str, f64)> {
        let engine = self.policy.set.destinations.iter().find_map(|d| self.gateway.dispatcher.engine(d));
        engine.map_or_else(Vec::new, |engine| {
            let facts = engine.facts();
            vec![
                ("queue", facts.queue as f64),
                ("free_slots", facts.free_slots as f64),
                ("tokens_per_second", facts.tokens_per_second),
                ("ttft_ms", facts.ttft_ms),
            ]
        })
    }

    fn states(&self, decoded: &Decoded<'_>, tokens_input: u64) -> Vec<DestinationState> {
        let dispatcher = &self.gateway.dispatcher;
        let set = &self.policy.set;
        let asked = decoded.request.sampling.max_tokens;
        let state = |(i, destination): (usize, &Destination)| {
            if !destination.is_model() {
                return DestinationState { worst_case: Some(MicroUsd::ZERO), ..DestinationState::default() };
            }
            let id = DestinationId(i as u8);
            let max_output = asked.unwrap_or_else(|| usual_max_output(self.gateway, self.policy, id));
            let lacks = lacking(decoded.uses, dispatcher.abilities(destination))
                .or_else(|| self.too_long(id, tokens_input).then_some("context"));
            DestinationState {
                unavailable: dispatcher.unavailable(destination),
                lacks,
                worst_case: destination.price.map(|price| price.worst_case(tokens_input, max_output.into())),
                p_ok: None,
                assumed: false,
                ttft: None,
            }
            .assuming(set, id)
        };
        set.destinations.iter().enumerate().map(state).collect()
    }

    /// Whether the prompt surely exceeds the destination's context: the estimate is from above, so half of it counts.
    fn too_long(&self, id: DestinationId, tokens_input: u64) -> bool {
        let context = context_window(self.gateway, self.policy, id);
        context.is_some_and(|context| tokens_input / 2 > context)
    }

    fn cache_key(
        &self,
        decoded: &Decoded<'_>,
        decision: &Decision,
        control: CacheControl,
        json: &Json<'_>,
    ) -> Option<CacheKey> {
        self.gateway.cache.as_ref()?;
        let set = &self.policy.set;
        let (sink, cache) = set.sink("cache")?;
        let repeatable = decoded.request.sampling.is_deterministic() || cache.cache_sampled;
        if control.no_store || !repeatable || !decision.permitted.contains(sink) {
            return None;
        }
        let first = decision.plan().first()?;
        let scope = Scope {
            tenant: &self.subject.tenant,
            class: decision.class,
            destination: &set.destination(first.id).name,
            policy: &set.digest,
            dialect: "openai-chat",
        };
        Some(CacheKey::new(&scope, json))
    }
}

/// What the client's `model` stands for: `None` lets the policy choose.
///
/// # Errors
/// 404 for a name that nothing knows, where the configuration rejects those.
fn preference(gateway: &Gateway, policy: &Policy, model: &str) -> Result<Option<DestinationId>, ApiError> {
    let models = &gateway.config.models;
    let target = models.alias(model).unwrap_or(model);
    if target == "auto" {
        return Ok(None);
    }
    match policy.set.destination_named(target).filter(|id| policy.set.destination(*id).is_model()) {
        Some(id) => Ok(Some(id)),
        None if models.unknown_is_auto => Ok(None),
        None => Err(ApiError {
            param: Some("model".to_owned()),
            ..ApiError::new(
                StatusCode::NOT_FOUND,
                "this model does not exist; `GET /v1/models` lists what does, `auto` lets the policy choose",
            )
            .code("model_not_found")
        }),
    }
}

/// What is asked: the last user message, which says how hard the request is.
fn asked(request: &ChatRequest) -> String {
    let last = request.messages.iter().rev().find(|message| message.role == Role::User);
    last.map(|message| message.text()).unwrap_or_default()
}

/// What the request uses, and whether it holds what no detector can look into.
fn used(uses: Uses, scan: &Scan) -> Vec<&'static str> {
    uses.iter().map(Feature::name).chain(scan.uninspectable.then_some("uninspectable")).collect()
}

/// Prompt tokens from above: a token is hardly ever shorter than three bytes of text, and each part adds a few of its
/// own. Media are not counted here.
fn estimate_tokens(parts: &[Part<'_>]) -> u64 {
    let counted = parts.iter().filter(|part| !matches!(part.source, Source::Media | Source::Parameter));
    counted.map(|part| part.text.len() as u64 / 3 + 4).sum::<u64>() + 8
}

fn lacking(uses: Uses, abilities: Uses) -> Option<&'static str> {
    uses.missing_from(abilities).iter().next().map(Feature::name)
}

fn usual_max_output(gateway: &Gateway, policy: &Policy, id: DestinationId) -> u32 {
    let destination = policy.set.destination(id);
    let known = match destination.is_embedded() {
        true => context_window(gateway, policy, id),
        false => listed(gateway, destination, |price| price.max_output),
    };
    known.and_then(|tokens| u32::try_from(tokens).ok()).unwrap_or(DEFAULT_MAX_OUTPUT)
}

fn context_window(gateway: &Gateway, policy: &Policy, id: DestinationId) -> Option<u64> {
    let destination = policy.set.destination(id);
    if let Some(stated) = destination.context {
        return Some(stated.into());
    }
    if destination.is_embedded() {
        let local = gateway.config.local.iter().find(|l| l.name == destination.model || l.model == destination.model);
        return local.map(|local| local.context.into());
    }
    listed(gateway, destination, |price| price.context)
}

/// What the set's own price list says of a model, else what the catalogue does.
fn listed(gateway: &Gateway, destination: &Destination, what: impl Fn(Price) -> Option<u64>) -> Option<u64> {
    let catalogue = || gateway.prices.price(&destination.model).and_then(&what);
    destination.price.and_then(&what).or_else(catalogue)
}

/// Whether the policy keeps text of requests of this class in the record.
fn keeps_text(policy: &Policy, decision: &Decision) -> bool {
    let sink = policy.set.sink("decision-log");
    sink.is_some_and(|(id, sink)| sink.store == Store::Text && decision.permitted.contains(id))
}

fn refused(refusal: &Refusal, decision: &Decision) -> ApiError {
    let too_long = decision.barriers.contains(&Barrier::Lacks("context"));
    let (status, message) = match refusal.kind {
        RefusalKind::Policy => (StatusCode::FORBIDDEN, "the policy permits nobody to answer this request"),
        RefusalKind::Budget => (StatusCode::TOO_MANY_REQUESTS, "the budget does not cover this request"),
        RefusalKind::Capability if too_long => {
            let message = "the prompt is longer than the context of every model that may answer it";
            return ApiError::new(StatusCode::BAD_REQUEST, message).code("context_length_exceeded");
        }
        RefusalKind::Capability => {
            (StatusCode::UNPROCESSABLE_ENTITY, "no model that may answer this request can do what it uses")
        }
        RefusalKind::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "no model that may answer this request is available now")
        }
    };
    // The policy's own word is in the record and in `x-ajar-reason`.
    ApiError::new(status, message).code(refusal.kind.code())
}
