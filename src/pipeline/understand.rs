//! From bytes to a decision: read, decode, classify, decide.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use ulid::Ulid;

use super::companions::Companion;
use super::continuing::{self, Keeping, Received};
use super::entry::{Entry, millis};
use super::preference::preference;
use super::pseudonyms::Pseudonyms;
use super::refusal::refused;
use super::repeat::Repeat;
use super::taint::{Recalled, Risen};
use super::trial::{Tried, try_out};
use super::view::{View, Weighed, usual_max_output};
use super::{Gateway, Generation, Policy};
use crate::chat::{ChatRequest, Json, Part, Priority, RequestId, Source, Text};
use crate::dialect::anthropic::header::Said;
use crate::dialect::edit::EditPoints;
use crate::dialect::error::ApiError;
use crate::dialect::{BadRequest, Decoded, Dialect, Uses};
use crate::govern::Subject;
use crate::policy::DestinationId;
use crate::policy::decision::{Decision, Outcome};
use crate::policy::explain::Explanation;
use crate::policy::rollout::Side;
use crate::policy::set::Store;
use crate::record::StoredText;
use crate::serve::body::{expect_plain, read_body};

/// A request that was understood and may go somewhere.
pub(crate) struct Call {
    /// Whose it is.
    pub(crate) tenant: Arc<str>,
    /// How urgent it is to the engine.
    pub(crate) priority: Priority,
    /// What was in force when it came in.
    pub(crate) generation: Arc<Generation>,
    /// Which of its policy sets decided.
    pub(crate) side: Side,
    pub(crate) policy: Arc<Policy>,
    pub(crate) decision: Box<Decision>,
    pub(crate) request: Arc<ChatRequest>,
    pub(crate) body: Bytes,
    pub(crate) points: EditPoints,
    /// What it needs.
    pub(crate) uses: Uses,
    /// Fields of the body that have no neutral word.
    pub(crate) unsaid: Vec<&'static str>,
    /// What the client says in headers of Anthropic's dialect.
    pub(crate) said: Said,
    /// Prompt tokens, estimated from above.
    pub(crate) tokens_input: u64,
    pub(crate) deadline: Instant,
    /// How it is known again, if its answer may be anybody else's.
    pub(crate) repeat: Option<Repeat>,
    /// Who answered its conversation last.
    pub(crate) companion: Companion,
    /// What it takes to transform its body, where somebody in the plan may have it only so.
    pub(crate) pseudonyms: Option<Box<Pseudonyms>>,
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
    generation: Arc<Generation>,
    subject: &Arc<Subject>,
    head: &Parts,
    body: Body,
    entry: &mut Entry,
) -> Result<Call, ApiError> {
    let received = receive(gateway, subject, entry.dialect, &head.headers, body).await?;
    let read = Instant::now();
    let json = Json::parse(&received.body)?;
    let said = said(entry.dialect, &head.headers);
    let decoded = decode(entry.dialect, &said, &received, &json)?;
    let Received { body, turns, .. } = &received;
    entry.asks(&decoded.request, read.elapsed());

    let headers = &head.headers;
    let recalled = recall(gateway, &generation, &subject.tenant, headers, &decoded).await;
    let beforehand = gateway.apart.look(gateway, &generation, &subject.tenant, &decoded).await;
    let (side, past, beforehand) = (Side::InForce, &recalled.past, beforehand.as_ref());
    let view = View { gateway, generation: &generation, side, subject, headers, past, beforehand };
    let considered = consider(view, &decoded, entry.row.id)?;
    let pseudonyms = Pseudonyms::of(&considered, &decoded).map(Box::new);
    let Considered { view, weighed, risen, tried, .. } = considered;
    let policy = view.policy().clone();
    note(entry, &policy, &weighed, tried);
    gateway.metrics.classified(&policy.set, &weighed.verdicts);
    // Before anything is sent, and also where nothing will be.
    if let Some(risen) = risen {
        gateway.taints.keep(&recalled, &risen).await;
        entry.rose(risen);
    }
    if let Outcome::Refuse(refusal) = &weighed.decision.outcome {
        return Err(refused(refusal, &view, &weighed, decoded.request.task));
    }
    if keeps_text(&policy, &weighed.decision) {
        // The body was parsed, so it is UTF-8.
        let prompt = std::str::from_utf8(body).unwrap_or_default().into();
        entry.row.text = Some(StoredText { prompt, answer: Text::default() });
    }
    entry.keeps(
        turns.clone().and_then(|turns| Keeping::of(gateway, &policy, &weighed.decision, &subject.tenant, turns)),
    );
    let repeat = Repeat::of(&view, &decoded, &weighed.decision, (body, &json), said.betas.as_ref().map(Text::expose))?;
    let side = view.side;
    let companion = recalled.past.companion;
    if let (Some(last), Some(first)) = (&companion.destination, weighed.decision.plan().first()) {
        gateway.metrics.accompanied(policy.names.destination(first.id) == *last);
    }
    let Decoded { request, edits, uses, unsaid, .. } = decoded;
    Ok(Call {
        tenant: subject.tenant.clone(),
        priority: if request.flex { Priority::Low } else { subject.priority },
        decision: Box::new(weighed.decision),
        request: Arc::new(request),
        points: edits,
        uses,
        unsaid,
        said,
        tokens_input: weighed.tokens_input,
        deadline: entry.started() + gateway.config.server.deadline,
        repeat,
        companion,
        pseudonyms,
        body: body.clone(),
        generation,
        side,
        policy,
    })
}

/// What is known of a request's conversation.
pub(super) async fn recall(
    gateway: &Gateway,
    generation: &Generation,
    tenant: &str,
    headers: &HeaderMap,
    decoded: &Decoded<'_>,
) -> Recalled {
    let (set, request) = (&generation.policy.set, &decoded.request);
    let mut recalled = gateway.taints.recall(set, tenant, headers, request).await;
    let (spread, conversation) =
        (gateway.dispatcher.has_affinity(), || gateway.taints.conversation(tenant, headers, request));
    recalled.past.companion = gateway.companions.recall(set, spread, decoded.dialect, request, conversation);
    recalled
}

/// What a client says in headers of Anthropic's dialect, where it speaks that.
pub(super) fn said(dialect: Dialect, headers: &HeaderMap) -> Said {
    if dialect == Dialect::Messages { Said::of(headers) } else { Said::default() }
}

/// Understands a request: its body, and what beside it may leave.
///
/// # Errors
/// What is wrong with the body.
pub(super) fn decode<'a>(
    dialect: Dialect,
    said: &Said,
    received: &'a Received,
    json: &'a Json<'a>,
) -> Result<Decoded<'a>, BadRequest> {
    let mut decoded = dialect.decode(&received.body, json)?;
    if let Some(continues) = &received.continues {
        decoded.request.continues = Some(continues.clone());
    }
    let part = |text: &Text| Part { source: Source::Metadata, text: text.expose().to_owned().into() };
    decoded.parts.extend(said.betas.as_ref().map(part));
    Ok(decoded)
}

/// Takes one request from the key's rate, and reads the body, with the conversation that it continues.
pub(super) async fn receive(
    gateway: &Gateway,
    subject: &Subject,
    dialect: Dialect,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, ApiError> {
    if let Some(Err(wait)) = subject.limiter.as_ref().map(|limiter| limiter.check()) {
        let limited = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "the rate limit of this key is reached");
        return Err(limited.retry_after(wait));
    }
    expect_plain(headers)?;
    let server = &gateway.config.server;
    let body = read_body(body, server.body, server.idle_timeout).await?;
    continuing::receive(gateway, &subject.tenant, dialect, body)
}

/// A request that was decided.
pub(super) struct Considered<'a> {
    /// From where: the set that decided.
    pub(super) view: View<'a>,
    pub(super) weighed: Weighed,
    /// What the set in force leaves to the conversation.
    pub(super) risen: Option<Risen>,
    /// What a set that is tried says.
    pub(super) tried: Option<Tried>,
    /// What the set in force decided, where it did not have the last word.
    pub(super) in_force: Option<Weighed>,
}

impl Considered<'_> {
    /// Everything about the decision, for people.
    pub(super) fn explain<'a>(&'a self, decoded: &Decoded<'_>) -> Explanation<'a> {
        let rollout = self.tried.as_ref().map(Tried::explain);
        Explanation { rollout, ..self.weighed.explain(&self.view, &decoded.parts) }
    }
}

/// Decides by the set in force and, where one is tried, by that.
///
/// # Errors
/// A model name that nothing knows, where the configuration rejects those.
pub(super) fn consider<'a>(view: View<'a>, decoded: &Decoded<'_>, id: RequestId) -> Result<Considered<'a>, ApiError> {
    let preference = preference(view.gateway, view.policy(), &decoded.request)?;
    let weighed = view.weigh(decoded, preference);
    let risen = Risen::of(view.policy(), &weighed, view.past, id);
    let mut tried = try_out(&view, decoded, &weighed);
    match tried.as_mut().and_then(|tried| tried.decided.take()) {
        Some(decided) => {
            let view = View { side: Side::OnTrial, ..view };
            Ok(Considered { view, weighed: *decided, risen, tried, in_force: Some(weighed) })
        }
        None => Ok(Considered { view, weighed, risen, tried, in_force: None }),
    }
}

/// Everything that is known before anybody answers goes into the record.
pub(super) fn note(entry: &mut Entry, policy: &Policy, weighed: &Weighed, tried: Option<Tried>) {
    if let Some(tried) = tried {
        tried.report(entry.row.id);
        entry.warning = tried.warning;
        entry.row.would_have = Some(tried.would_have);
    }
    let row = &mut entry.row;
    row.timing.classify = Some(millis(weighed.classifying));
    row.timing.decide = Some(millis(weighed.deciding));
    row.policy = Some(policy.names.digest.clone());
    row.class = Some(policy.names.classes[usize::from(weighed.decision.class.0)].clone());
    row.class_basis = Some(weighed.decision.basis.name().into());
    row.route = weighed.decision.route.map(|i| policy.names.routes[usize::from(i)].clone());
    row.est_gain = weighed.gain.map(|gain| gain.value);
    row.plan = weighed.decision.plan().iter().map(|c| policy.names.destination(c.id)).collect();
    row.decision = serde_json::to_string(&weighed.summarize(policy)).unwrap_or_default();
    row.reason = Some(match &weighed.decision.outcome {
        Outcome::Go(choice) => choice.code().into(),
        Outcome::Refuse(refusal) => refusal.reason(&policy.set).to_owned().into(),
    });
}

/// Explains what would be decided about `body`, in `dialect` or what it looks like, for `subject`, without executing anything, in whatever form `show` gives
/// the explanation.
///
/// # Errors
/// As for a real request with this body.
pub async fn explain<T>(
    gateway: &Gateway,
    generation: &Generation,
    subject: &Subject,
    headers: &HeaderMap,
    (dialect, body): (Option<Dialect>, &[u8]),
    show: impl FnOnce(&Explanation<'_>) -> T,
) -> Result<T, ApiError> {
    let json = Json::parse(body)?;
    let decoded = dialect.unwrap_or_else(|| Dialect::guess(&json)).decode(body, &json)?;
    let recalled = recall(gateway, generation, &subject.tenant, headers, &decoded).await;
    let beforehand = gateway.apart.look(gateway, generation, &subject.tenant, &decoded).await;
    let (side, past, beforehand) = (Side::InForce, &recalled.past, beforehand.as_ref());
    let view = View { gateway, generation, side, subject, headers, past, beforehand };
    let considered = consider(view, &decoded, RequestId(Ulid::nil()))?;
    Ok(show(&considered.explain(&decoded)))
}

/// Whether the policy keeps text of requests of this class in the record.
fn keeps_text(policy: &Policy, decision: &Decision) -> bool {
    let sink = policy.set.sink("decision-log");
    sink.is_some_and(|(id, sink)| sink.store == Store::Text && decision.permitted.contains(id))
}
