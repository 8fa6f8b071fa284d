//! The plan's candidates in turn, each under its own reservation and grant, until one answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::StatusCode;

use super::Gateway;
use super::encode::{Body, Encoding, encode};
use super::entry::Entry;
use super::generation::books;
use super::meter::Meter;
use super::respond::Head;
use super::understand::Call;
use crate::chat::MicroUsd;
use crate::classify::Scanner;
use crate::dialect::error::ApiError;
use crate::dialect::refusal::Words;
use crate::dispatch::local::{EngineError, Sharing};
use crate::dispatch::{Attempt, Failure, FrameStream, Prepared};
use crate::egress::SendError;
use crate::govern::{Exhausted, Price, Reservation, Spender};
use crate::policy::decision::Candidate;
use crate::policy::{Boundary, DestinationId, Grant};
use crate::record::Transformed;

/// Attempts per request, all destinations together.
const MAX_ATTEMPTS: u32 = 4;
/// Destinations that are tried.
const MAX_DESTINATIONS: u32 = 3;
/// Longest pause before a destination is tried again, unless it asks for more.
const BACKOFF: Duration = Duration::from_millis(400);
/// Longest pause that a destination is granted while the client waits.
const MAX_WAIT: Duration = Duration::from_secs(5);

/// An answer that has begun.
pub(crate) struct Begun {
    pub(crate) head: Head,
    pub(crate) destination: DestinationId,
    pub(crate) body: Answered,
    /// Settles and records when the answer ends.
    pub(crate) meter: Meter,
}

/// The answer itself.
pub(crate) enum Answered {
    /// All of it.
    Whole(Bytes),
    /// As it comes, until the deadline.
    Stream(FrameStream, Instant),
}

/// Why there is no answer, with the record that must still be written.
pub(crate) type Ended = Box<(Entry, ApiError)>;

/// Tries the plan's candidates in order, and then once more those that might do better in a moment, as far as each
/// provider's budget of retries goes. Who may be tried can only shrink: each attempt needs its own grant from the one
/// decision.
///
/// # Errors
/// The last failure, as the client is to be told.
pub(crate) async fn dispatch(gateway: &Arc<Gateway>, call: Call, mut entry: Entry) -> Result<Begun, Ended> {
    let mut trying = Trying {
        error: ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "no model is available"),
        unfit: None,
        unledgered: false,
        over: false,
        again: Vec::new(),
        tried: 0,
    };
    for candidate in call.decision.plan() {
        if trying.over || trying.tried == MAX_DESTINATIONS {
            break;
        }
        if let Some((body, reservation)) = trying.attempt(gateway, &call, &mut entry, candidate).await {
            return Ok(begun(gateway, &call, candidate, entry, body, reservation));
        }
    }
    for (candidate, wait) in std::mem::take(&mut trying.again) {
        let destination = call.policy.set.destination(candidate.id);
        let pause = wait.max(BACKOFF.mul_f64(fraction()));
        let in_time = pause <= MAX_WAIT && Instant::now() + pause < call.deadline;
        if trying.over || trying.tried >= MAX_ATTEMPTS || !in_time || !gateway.dispatcher.may_retry(destination) {
            continue;
        }
        tokio::time::sleep(pause).await;
        if let Some((body, reservation)) = trying.attempt(gateway, &call, &mut entry, &candidate).await {
            return Ok(begun(gateway, &call, &candidate, entry, body, reservation));
        }
    }
    if let Some(code) = trying.unfit {
        entry.row.reason = Some(code.into());
    }
    Err(Box::new((entry, trying.error)))
}

/// What is known of a request's attempts so far.
struct Trying {
    /// What the client is told if no other attempt succeeds.
    error: ApiError,
    /// Why the last body could not be made fit to leave.
    unfit: Option<&'static str>,
    /// What could not be entered in the ledger for one destination outside cannot be for the next.
    unledgered: bool,
    /// Nobody else would do better.
    over: bool,
    /// Who might do better in a moment, and for what pause they ask.
    again: Vec<(Candidate, Duration)>,
    /// How often a destination was tried, with as many of its credentials as it refused.
    tried: u32,
}

impl Trying {
    /// Tries a destination with one credential after the other, as long as it refuses only those: that has cost nothing.
    async fn attempt(
        &mut self,
        gateway: &Gateway,
        call: &Call,
        entry: &mut Entry,
        candidate: &Candidate,
    ) -> Option<(Body, Reservation)> {
        let (dispatcher, destination) = (&gateway.dispatcher, call.policy.set.destination(candidate.id));
        if self.unledgered && destination.boundary == Boundary::External {
            return None;
        }
        let before = entry.row.attempts;
        for left in (0..dispatcher.credentials(destination)).rev() {
            let grant = call.decision.grant(&call.policy.set, candidate.id)?;
            let reservation = match reserve(call, entry, candidate.worst_case) {
                Ok(reservation) => reservation,
                Err(exhausted) => {
                    self.error = budget_error(&exhausted);
                    break;
                }
            };
            match attempt(gateway, call, entry, candidate, grant, reservation).await {
                Ok(answer) => return Some(answer),
                Err(failure) => {
                    report(call, entry, candidate, &failure);
                    let another = failure.is_the_credentials() && dispatcher.has_fresh_credential(destination);
                    if !another || left == 0 {
                        self.note(candidate, &failure, dispatcher.rest(destination));
                        break;
                    }
                }
            }
        }
        self.tried += u32::from(entry.row.attempts > before);
        None
    }

    /// `rest` is for how long the destination is left alone from now on, where that is known.
    fn note(&mut self, candidate: &Candidate, failure: &Failure, rest: Option<Duration>) {
        self.error = client_error(failure);
        if matches!(failure, Failure::Resting(_)) {
            self.error.retry_after = rest;
        }
        self.unfit = matches!(failure, Failure::Transform(_)).then(|| failure.code());
        self.unledgered |= matches!(failure, Failure::Ledger(_));
        self.over = !failure.is_worth_another();
        if failure.is_transient() {
            self.again.push((*candidate, failure.retry_after().unwrap_or_default()));
        }
    }
}

/// Between 0 and 1: pauses of many that fail together must differ.
fn fraction() -> f64 {
    f64::from(getrandom::u32().unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

fn reserve(call: &Call, entry: &Entry, worst_case: MicroUsd) -> Result<Reservation, Exhausted> {
    let key = entry.row.key.as_deref().unwrap_or_default();
    let spender = Spender { key, attributes: &entry.row.attributes };
    call.generation.ledger.reserve_by(books(call.side), spender, worst_case, jiff::Timestamp::now())
}

async fn attempt(
    gateway: &Gateway,
    call: &Call,
    entry: &mut Entry,
    candidate: &Candidate,
    grant: Grant,
    mut reservation: Reservation,
) -> Result<(Body, Reservation), Failure> {
    let attempt = to_attempt(gateway, call, entry, candidate);
    let destination = attempt.destination;
    // Only a body that is transformed or translated is looked at again.
    let looked_at =
        !grant.transforms().is_empty() || gateway.dispatcher.translates(destination, entry.dialect, call.uses);
    let work = if looked_at { call.body.len() } else { 0 };
    let prepare = || prepare(gateway, call, entry, &attempt, candidate.id, grant);
    let prepared = match gateway.apart.run(work, prepare).await {
        Ok(prepared) => prepared,
        Err(failure) => {
            reservation.settle(MicroUsd::ZERO);
            return Err(failure);
        }
    };
    entry.losses = prepared.losses().to_vec();
    entry.row.attempts += 1;
    if destination.is_embedded() {
        entry.row.priority = Some(call.priority);
    }
    let external = destination.boundary == Boundary::External;
    let body = call.body.len() as u64;
    if external {
        entry.row.bytes_out += body;
        // From here on a reservation that nobody settles counts as spent: when the client leaves, say.
        reservation.sent();
        entry.sent(reservation.amount());
    }
    let answer = match gateway.dispatcher.attempt(prepared, &attempt).await {
        Ok(answer) => encode(answer, encoding(call, entry, &destination.name)).await,
        Err(failure) => Err(failure),
    };
    match answer {
        Ok(body) => Ok((body, reservation)),
        Err(failure) => {
            let spent = if external && failure.may_cost() { reservation.amount() } else { MicroUsd::ZERO };
            reservation.settle(spent);
            entry.unanswered(spent);
            if external && !failure.may_have_left() {
                entry.row.bytes_out -= body;
            }
            Err(failure)
        }
    }
}

fn to_attempt<'a>(gateway: &Gateway, call: &'a Call, entry: &Entry, candidate: &Candidate) -> Attempt<'a> {
    Attempt {
        id: entry.row.id,
        number: entry.row.attempts + 1,
        dialect: entry.dialect,
        destination: call.policy.set.destination(candidate.id),
        request: &call.request,
        body: &call.body,
        points: &call.points,
        uses: call.uses,
        unsaid: &call.unsaid,
        said: &call.said,
        max_output: call.max_output(gateway, candidate.id),
        max_cost: candidate.worst_case,
        deadline: call.deadline,
        sharing: Sharing {
            tenant: call.tenant.clone(),
            class: call.policy.names.classes[usize::from(call.decision.class.0)].clone(),
        },
        priority: call.priority,
        affinity: call.companion.affinity(),
        notes: entry.notes.clone(),
    }
}

/// What an answer by `destination` says about itself where it is written here.
fn encoding(call: &Call, entry: &Entry, destination: &str) -> Encoding {
    Encoding {
        dialect: entry.dialect,
        id: format!("{}{}", entry.dialect.id_prefix(), entry.row.id),
        created: entry.row.at.as_second(),
        model: destination.to_owned(),
        input_tokens: call.tokens_input,
        streaming: call.request.streaming,
        request: call.request.clone(),
    }
}

/// Builds what the attempt sends; the record learns what was done to it.
fn prepare(
    gateway: &Gateway,
    call: &Call,
    entry: &mut Entry,
    attempt: &Attempt<'_>,
    id: DestinationId,
    grant: Grant,
) -> Result<Prepared, Failure> {
    let transforms = grant.transforms();
    if transforms.is_empty() {
        return gateway.dispatcher.prepare(grant, attempt, None);
    }
    let started = Instant::now();
    let go_on = |scanner: &Scanner| scanner.models_deadline().is_none_or(|deadline| started.elapsed() < deadline);
    let disguise = call.pseudonyms.as_ref().map(|pseudonyms| pseudonyms.disguise(id, transforms, &go_on));
    let prepared = gateway.dispatcher.prepare(grant, attempt, disguise.as_ref());
    let replaced = prepared.as_ref().map_or(0, Prepared::replaced);
    let destination = call.policy.names.destination(id);
    entry.row.transforms.push(Transformed::new(&destination, replaced, prepared.is_ok()));
    prepared
}

fn begun(
    gateway: &Gateway,
    call: &Call,
    candidate: &Candidate,
    mut entry: Entry,
    body: Body,
    reservation: Reservation,
) -> Begun {
    let destination = call.policy.set.destination(candidate.id);
    let served_by = call.policy.names.destination(candidate.id);
    gateway.companions.note(&call.companion, &served_by);
    entry.row.served_by = Some(served_by.clone());
    entry.row.local = Some(destination.boundary == Boundary::Host);
    let losses = std::mem::take(&mut entry.losses).into();
    // `decide` lets nobody without a price into a plan.
    let price = destination.price.unwrap_or(Price::FREE);
    let mut meter = Meter::new(entry, price, reservation, call.tokens_input);
    let (body, cost) = match body {
        Body::Whole(frame) => {
            meter.observe(&frame);
            (Answered::Whole(frame.bytes), Some(meter.entry().total_cost(meter.cost())))
        }
        Body::Stream(frames) => (Answered::Stream(frames, call.deadline), None),
    };
    Begun { head: Head { served_by, losses, cost }, destination: candidate.id, body, meter }
}

fn report(call: &Call, entry: &Entry, candidate: &Candidate, failure: &Failure) {
    let destination = &call.policy.set.destination(candidate.id).name;
    tracing::warn!(id = %entry.row.id, destination, code = failure.code(), error = %failure, "An attempt brought no answer.");
}

fn budget_error(exhausted: &Exhausted) -> ApiError {
    ApiError::new(StatusCode::TOO_MANY_REQUESTS, exhausted.to_string()).code("budget_exhausted")
}

/// What the client is told. A provider's own words pass only where they are about the client's request.
fn client_error(failure: &Failure) -> ApiError {
    let code = failure.code();
    let (status, message) = match failure {
        Failure::Send(SendError::ConnectTimeout(_) | SendError::FirstByte(_) | SendError::Idle(_))
        | Failure::Stalled(_)
        | Failure::Deadline => (StatusCode::GATEWAY_TIMEOUT, "the model did not answer in time".to_owned()),
        Failure::Upstream { status: StatusCode::TOO_MANY_REQUESTS, retry_after } => {
            let limited = ApiError::new(StatusCode::TOO_MANY_REQUESTS, "the provider limits the rate").code(code);
            return retry_after.map_or(limited.clone(), |wait| limited.retry_after(wait));
        }
        Failure::Rejected { body, .. } => return rejected(&body.0).code(code),
        Failure::Engine(error) if error.retry_after().is_some() => return not_now(error),
        Failure::Resting(_) => (StatusCode::SERVICE_UNAVAILABLE, "the provider is not called now".to_owned()),
        Failure::Ledger(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "what would be sent cannot be entered in the egress ledger, so nothing was sent".to_owned(),
        ),
        Failure::Engine(
            EngineError::PromptTooLong { .. } | EngineError::InputTooLong { .. } | EngineError::InputEmpty { .. },
        ) => (StatusCode::BAD_REQUEST, failure.to_string()),
        Failure::Engine(EngineError::Deadline) => (StatusCode::GATEWAY_TIMEOUT, failure.to_string()),
        Failure::Engine(EngineError::Unsupported(_)) => (StatusCode::UNPROCESSABLE_ENTITY, failure.to_string()),
        Failure::Engine(_) => (StatusCode::SERVICE_UNAVAILABLE, "the local model is not available".to_owned()),
        Failure::Unfaithful | Failure::Send(SendError::Permit(_)) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "refused to send what was not classified".to_owned())
        }
        Failure::Unfit(_) => (StatusCode::UNPROCESSABLE_ENTITY, failure.to_string()),
        Failure::Transform(_) => {
            (StatusCode::FORBIDDEN, "the request could not be made fit for anybody who may answer it".to_owned())
        }
        Failure::Send(_) => (StatusCode::BAD_GATEWAY, "the provider was not reached, or broke off".to_owned()),
        Failure::Upstream { .. } => (StatusCode::BAD_GATEWAY, "the provider failed".to_owned()),
        Failure::Unreadable => (StatusCode::BAD_GATEWAY, "the provider's answer cannot be read".to_owned()),
        Failure::Misconfigured { .. } => {
            let message = "the provider refuses the gateway's credential, or knows nothing of its URL or model; whoever \
                           operates the gateway can mend that";
            (StatusCode::BAD_GATEWAY, message.to_owned())
        }
    };
    ApiError::new(status, message).code(code)
}

/// What the client is told of an engine that is likely to be there later.
pub(super) fn not_now(error: &EngineError) -> ApiError {
    let told = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).code(error.code());
    ApiError { retry_after: error.retry_after(), ..told }
}

/// The provider's message and field, in whatever shape it says them.
fn rejected(body: &[u8]) -> ApiError {
    let Words { message, param } = Words::read(body);
    let message = message.unwrap_or_else(|| "the provider refused the request".to_owned());
    ApiError { param, ..ApiError::new(StatusCode::BAD_REQUEST, message) }
}
