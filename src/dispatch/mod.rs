//! Plan to attempts: the embedded engine and remote providers.
//!
//! [`Dispatcher::prepare`] builds what one attempt at one destination sends, and [`Dispatcher::attempt`] makes it; which
//! destinations, in which order and under which reservation is the pipeline's matter.

pub mod answer;
pub mod failure;
pub mod local;
pub mod remote;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, TryStreamExt};

pub use answer::{Answer, Broken, DeltaStream, Frame, FrameStream};
pub use failure::Failure;

use self::local::{Engine, EngineFacts, EngineState, Job, Notes, Sharing, Turn};
pub use self::remote::Affinity;
use self::remote::{Lease, Numbers, Provider, Reading, Resting};
use crate::audit::EgressLedger;
use crate::chat::reply::Embedded;
use crate::chat::{ChatRequest, Json, MicroUsd, Priority, RequestId, ResponseFormat, Streaming, Task, Usage};
use crate::dialect::anthropic::header::{self, Said};
use crate::dialect::edit::{self, EditPoints, Edits, StreamOptions};
use crate::dialect::{Dialect, Feature, SERVICE_TIER, Target, Uses, faithful};
use crate::egress::Shipment;
use crate::policy::permit::Outbound;
use crate::policy::{Destination, Grant, Permit, TransformSet};
use crate::transform::{Disguise, Outgoing, Restorer, TransformError};

/// What the embedded engine can do.
const ENGINE: [Feature; 10] = [
    Feature::Stream,
    Feature::LogitBias,
    Feature::JsonObject,
    Feature::JsonSchema,
    Feature::Grammar,
    Feature::SeveralChoices,
    Feature::Logprobs,
    Feature::Tools,
    Feature::Prediction,
    Feature::ReasoningEffort,
];

/// What the embedded engine can be asked for.
const ENGINE_TASKS: [Task; 3] = [Task::Chat, Task::Completions, Task::Embeddings];

/// Why an embedded destination cannot be called whose engine is stuck.
pub const MODEL_STUCK: &str = "model_stuck";

/// Everybody who answers, by the names policies use.
pub struct Dispatcher {
    /// An engine that is configured but not loaded here is `None`.
    engines: HashMap<String, Option<Engine>>,
    providers: HashMap<String, Provider>,
    ledger: EgressLedger,
    numbers: Numbers,
}

/// What an attempt carries.
pub struct Attempt<'a> {
    /// Of which request.
    pub id: RequestId,
    /// Which attempt of that request, from 1.
    pub number: u32,
    /// What the client speaks.
    pub dialect: Dialect,
    /// To whom.
    pub destination: &'a Destination,
    /// The request, neutral.
    pub request: &'a Arc<ChatRequest>,
    /// The client's bytes.
    pub body: &'a Bytes,
    /// Where they may be edited.
    pub points: &'a EditPoints,
    /// Fields of the body that have no neutral word.
    pub unsaid: &'a [&'static str],
    /// What the client says in headers of Anthropic's dialect.
    pub said: &'a Said,
    /// Cap on the answer in tokens.
    pub max_output: u32,
    /// What it can cost at most.
    pub max_cost: MicroUsd,
    /// When the client has waited long enough.
    pub deadline: Instant,
    /// With whom the engine may share computed prompts.
    pub sharing: Sharing,
    /// How urgent it is to the engine.
    pub priority: Priority,
    /// Which of a provider's credentials suits it.
    pub affinity: Affinity,
    /// Is told what the engine notes of it.
    pub notes: Notes,
}

/// An attempt that can be made: its body is built, transformed and found clean.
pub enum Prepared {
    /// The engine in this process sees the request as it came.
    Local {
        /// Which.
        engine: Engine,
        /// What the client asked for and the engine is not told.
        losses: Vec<&'static str>,
    },
    /// A provider gets this, and nothing else.
    Remote(Box<Departure>),
}

/// What leaves, and how its answer is read.
pub struct Departure {
    permit: Permit,
    shipment: Shipment,
    lease: Lease,
    restorer: Option<Arc<Restorer>>,
    replaced: u32,
    losses: Vec<&'static str>,
}

impl Prepared {
    /// How many originals the body has pseudonyms for.
    pub fn replaced(&self) -> u32 {
        match self {
            Self::Local { .. } => 0,
            Self::Remote(departure) => departure.replaced,
        }
    }

    /// What the client asked for and the destination is not told, since its dialect has no word for it.
    pub fn losses(&self) -> &[&'static str] {
        match self {
            Self::Local { losses, .. } => losses,
            Self::Remote(departure) => &departure.losses,
        }
    }
}

impl Dispatcher {
    /// From the engines by name and by model, the providers by name, and the ledger of what is sent to them.
    pub fn new(
        engines: HashMap<String, Option<Engine>>,
        providers: HashMap<String, Provider>,
        ledger: EgressLedger,
    ) -> Self {
        Self { engines, providers, ledger, numbers: Numbers::default() }
    }

    /// The ledger of what is sent.
    pub fn ledger(&self) -> &EgressLedger {
        &self.ledger
    }

    /// What the metrics say of providers.
    pub fn numbers(&self) -> &Numbers {
        &self.numbers
    }

    /// Notes in the [`Numbers`] in which state providers are now.
    pub fn observe(&self) {
        for (name, provider) in &self.providers {
            provider.observe(name, &self.numbers);
        }
    }

    /// The engine that serves `destination`, if that is embedded.
    pub fn engine(&self, destination: &Destination) -> Option<&Engine> {
        self.engines.get(&destination.model).and_then(Option::as_ref).filter(|_| destination.is_embedded())
    }

    /// The state of the engine called `name`, where it is loaded here.
    pub fn engine_facts(&self, name: &str) -> Option<EngineFacts> {
        Some(self.engines.get(name)?.as_ref()?.facts())
    }

    /// Stops all engines and waits until their threads have ended.
    pub async fn shutdown(&self) {
        for engine in self.engines.values().flatten() {
            engine.shutdown();
        }
        for engine in self.engines.values().flatten() {
            engine.stopped().await;
        }
    }

    /// Why `destination` cannot be called now, if so.
    pub fn unavailable(&self, destination: &Destination) -> Option<&'static str> {
        if destination.is_embedded() {
            let Some(engine) = self.engines.get(&destination.model) else { return Some("not_configured") };
            return match engine.as_ref().map(|engine| engine.facts().state) {
                Some(EngineState::Stuck) => Some(MODEL_STUCK),
                Some(EngineState::Failed) => Some("model_failed"),
                Some(EngineState::Stopped) => Some("stopped"),
                Some(EngineState::Unloaded | EngineState::Loading | EngineState::Ready) | None => None,
            };
        }
        match self.providers.get(&destination.via) {
            None => Some("not_configured"),
            Some(provider) => provider.resting().map(Resting::code),
        }
    }

    /// Whether a call to `destination` may be a retry; it is counted.
    pub fn may_retry(&self, destination: &Destination) -> bool {
        let may = self.provider(destination).is_some_and(Provider::may_retry);
        if may {
            self.numbers.retried(&destination.via);
        }
        may
    }

    /// How many credentials a request to `destination` may be tried with.
    pub fn credentials(&self, destination: &Destination) -> usize {
        self.provider(destination).map_or(1, Provider::credentials)
    }

    /// Whether `destination` may let in the same request with another credential.
    pub fn has_fresh_credential(&self, destination: &Destination) -> bool {
        self.provider(destination).is_some_and(Provider::has_fresh_credential)
    }

    /// Whether it matters to anybody which conversation a request belongs to.
    pub fn has_affinity(&self) -> bool {
        self.providers.values().any(|provider| provider.credentials() > 1)
    }

    /// Reads the credentials of all providers again, and says which are different now.
    pub fn read_credentials(&self) -> Vec<String> {
        let read = |(name, provider): (&String, &Provider)| {
            provider
                .read_credentials()
                .into_iter()
                .map(move |place| format!("provider `{name}`: {place} has another credential"))
                .collect::<Vec<_>>()
        };
        self.providers.iter().flat_map(read).collect()
    }

    /// What a request in `dialect` that `uses` this needs, and `destination` lacks.
    pub fn lacks(&self, destination: &Destination, dialect: Dialect, uses: Uses) -> Option<&'static str> {
        let task = dialect.task();
        if !destination.answers(task) || !self.can(destination, dialect) {
            return Some(task.name());
        }
        uses.missing_from(self.abilities(destination, dialect)).iter().next().map(Feature::name)
    }

    /// Whether it is known that `destination` cannot think as `request` asks it to.
    pub fn ignores_reasoning(&self, destination: &Destination, request: &ChatRequest) -> bool {
        self.engine(destination).is_some_and(|engine| engine.ignores_reasoning(request))
    }

    /// Whether what `dialect` is for can be asked of `destination` at all.
    fn can(&self, destination: &Destination, dialect: Dialect) -> bool {
        if destination.is_embedded() {
            return ENGINE_TASKS.contains(&dialect.task());
        }
        let wire = self.provider(destination).map(Provider::wire);
        wire.is_none_or(|wire| wire.speaks(dialect) || wire.can(dialect.task()))
    }

    /// What `destination` can do for a client that speaks `dialect`.
    fn abilities(&self, destination: &Destination, dialect: Dialect) -> Uses {
        if destination.is_embedded() {
            return ENGINE.iter().copied().collect();
        }
        match self.provider(destination) {
            Some(provider) if !speaks(provider, destination, dialect) => provider.wire().expresses(),
            // Who does not know the field would give any answer, and nobody would notice.
            Some(provider) if !provider.holds_grammars() => Uses::all().without(Feature::Grammar),
            Some(_) | None => Uses::all(),
        }
    }

    /// Whether bodies for `destination` are written anew for a client that speaks `dialect`.
    pub fn translates(&self, destination: &Destination, dialect: Dialect) -> bool {
        self.provider(destination).is_some_and(|provider| !speaks(provider, destination, dialect))
    }

    /// Builds what an attempt sends: the client's bytes, transformed by `disguise` where the grant asks for transforms,
    /// with the edits that are ours, under a permit for exactly these bytes. The grant is used up, whatever becomes of
    /// it.
    ///
    /// # Errors
    /// [`Failure::Transform`], [`Failure::Unfaithful`], and [`Failure::Resting`] without a credential; nothing has left then.
    pub fn prepare(
        &self,
        grant: Grant,
        attempt: &Attempt<'_>,
        disguise: Option<&Disguise<'_>>,
    ) -> Result<Prepared, Failure> {
        if grant.transforms() != disguise.map_or(TransformSet::default(), |disguise| disguise.transforms) {
            return Err(Failure::Unfaithful);
        }
        match (self.engine(attempt.destination), disguise) {
            (Some(_), Some(_)) => return Err(TransformError::Embedded.into()),
            (Some(engine), None) => {
                let is_heard = |name: &&str| attempt.request.flex && *name == SERVICE_TIER;
                let unsaid = attempt.unsaid.iter().filter(|name| !is_heard(name)).copied();
                let losses = unsaid.chain(engine.unheard(attempt.request)).collect();
                return Ok(Prepared::Local { engine: engine.clone(), losses });
            }
            (None, _) => {}
        }
        // `unavailable` keeps destinations without a provider out of every plan.
        let provider = self.provider(attempt.destination).ok_or(Failure::Unfaithful)?;
        let target = provider.target(&attempt.destination.model, attempt.max_output);
        let speaks = speaks(provider, attempt.destination, attempt.dialect);
        let (outgoing, mut losses) = match speaks && !provider.wire().refuses_seals(attempt.request) {
            true => (edited(attempt, disguise, &target)?, Vec::new()),
            false => translated(provider, attempt, disguise, &target)?,
        };
        if !speaks && attempt.dialect == Dialect::Completions {
            losses.push("raw_prompt");
        }
        let Outgoing { body, restorer, replaced } = outgoing;
        let said = match (speaks, disguise) {
            (true, None) => attempt.said.clone(),
            // Nothing in a header is transformed.
            (true, Some(_)) => attempt.said.without_betas(),
            (false, _) => Said::default(),
        };
        if attempt.said.betas.is_some() && said.plain_betas().is_none() {
            losses.push(header::BETA);
        }
        let lease = provider.lease(attempt.affinity)?;
        let task = attempt.dialect.task();
        let task = if !speaks && task.generates() { Task::Chat } else { task };
        let streams = attempt.request.streaming.is_on();
        let shipment = provider.shipment(body.into(), &target, task, streams, &said, &lease)?;
        let permit = grant.permit(&Outbound {
            url: shipment.url.as_str(),
            headers: &shipment.header_refs(),
            body: &shipment.body,
            max_cost: attempt.max_cost,
            expires: attempt.deadline,
        });
        Ok(Prepared::Remote(Box::new(Departure { permit, shipment, lease, restorer, replaced, losses })))
    }

    /// One attempt.
    ///
    /// # Errors
    /// See [`Failure`]; nothing of an answer has reached the client then.
    pub async fn attempt(&self, prepared: Prepared, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
        let left = attempt.deadline.saturating_duration_since(Instant::now());
        let work = match prepared {
            Prepared::Local { engine, .. } => generate(engine, attempt).left_future(),
            Prepared::Remote(departure) => self.call(*departure, attempt).right_future(),
        };
        tokio::time::timeout(left, work).await.unwrap_or(Err(Failure::Deadline))
    }

    async fn call(&self, departure: Departure, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
        let Departure { permit, shipment, lease, restorer, .. } = departure;
        let provider = self.provider(attempt.destination).ok_or(Failure::Unfaithful)?;
        let speaks = speaks(provider, attempt.destination, attempt.dialect);
        let reading = Reading {
            dialect: attempt.dialect,
            speaks,
            asked_usage: attempt.request.streaming == Streaming::On { usage: true },
            answers_json: matches!(
                attempt.request.response_format,
                ResponseFormat::JsonObject | ResponseFormat::JsonSchema(_)
            ),
            // Other answers repeat nothing of the request.
            restorer: restorer.filter(|_| attempt.dialect.task().generates()),
        };
        let ticket = provider.admit()?;
        let entered = self.ledger.enter(permit, attempt.id, attempt.number).await?;
        let answer = provider.call(entered, shipment, lease, reading, attempt.deadline).await;
        self.numbers.called(&attempt.destination.via, &answer);
        match &answer {
            Ok(_) => ticket.succeeded(Instant::now()),
            Err(failure) => ticket.failed(failure, Instant::now()),
        }
        answer
    }

    fn provider(&self, destination: &Destination) -> Option<&Provider> {
        self.providers.get(&destination.via)
    }
}

/// Whether what a client says in `dialect` goes to `destination` in the client's own bytes.
fn speaks(provider: &Provider, destination: &Destination, dialect: Dialect) -> bool {
    provider.wire().speaks(dialect) && destination.serves.contains(dialect.task())
}

async fn generate(engine: Engine, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
    if attempt.request.task == Task::Embeddings {
        return embed(engine, attempt).await;
    }
    let job = Job {
        request: attempt.request.clone(),
        max_output: attempt.max_output,
        deadline: attempt.deadline,
        sharing: attempt.sharing.clone(),
        priority: attempt.priority,
    };
    let generation = engine.generate_noting(job, attempt.notes.clone())?;
    engine.ready_by(attempt.deadline).await?;
    Ok(Answer::Deltas(generation.map_err(Broken::Engine).boxed(), None))
}

async fn embed(engine: Engine, attempt: &Attempt<'_>) -> Result<Answer, Failure> {
    let texts = attempt.request.messages.iter().map(|message| message.text().into()).collect();
    let turn = Turn { tenant: attempt.sharing.tenant.clone(), priority: attempt.priority };
    let vectors = engine.embed_noting(texts, turn, attempt.deadline, attempt.notes.clone());
    let (embeddings, ()) = tokio::try_join!(vectors, engine.ready_by(attempt.deadline))?;
    let usage = Some(Usage { input: embeddings.tokens, ..Usage::default() });
    Ok(Answer::Vectors(Embedded { vectors: embeddings.vectors, usage }))
}

/// The client's bytes with the few edits that are ours, and transformed where that is asked for, proved to differ from
/// what was classified in nothing else.
fn edited(attempt: &Attempt<'_>, disguise: Option<&Disguise<'_>>, target: &Target<'_>) -> Result<Outgoing, Failure> {
    let edits = Edits {
        model: Some(target.model.to_owned()),
        max_tokens: attempt.dialect.task().generates().then_some(target.max_output),
        cap_field: attempt.dialect.cap_field().unwrap_or(target.cap_field),
        stream_options: match attempt.dialect.asks_for_usage() {
            true if !target.stream_options => StreamOptions::Removed,
            true if attempt.request.streaming.is_on() => StreamOptions::AskForUsage,
            _ => StreamOptions::Left,
        },
    };
    if let Some(disguise) = disguise {
        return Ok(disguise.apply(attempt.body, &edits)?);
    }
    let original = Json::parse(attempt.body).map_err(|_| Failure::Unfaithful)?;
    let body = edit::apply(attempt.body, attempt.points, &edits);
    edit::verify(&original, &body, &edits).map_err(|_| Failure::Unfaithful)?;
    Ok(Outgoing { body, restorer: None, replaced: 0 })
}

/// The request in the provider's dialect, without what others sealed, transformed before it is translated where that is
/// asked for, proved to say only what was classified; and what it leaves out.
fn translated(
    provider: &Provider,
    attempt: &Attempt<'_>,
    disguise: Option<&Disguise<'_>>,
    target: &Target<'_>,
) -> Result<(Outgoing, Vec<&'static str>), Failure> {
    let disguised = disguise.map(|disguise| disguise.apply(attempt.body, &Edits::default())).transpose()?;
    let body = disguised.as_ref().map_or(&attempt.body[..], |outgoing| &outgoing.body);
    let json = Json::parse(body).map_err(|_| Failure::Unfaithful)?;
    let decoded = attempt.dialect.decode(body, &json).map_err(|_| Failure::Unfaithful)?;
    let wire = provider.wire();
    if wire.speaks(attempt.dialect) && !decoded.uses.missing_from(wire.expresses()).is_empty() {
        // Another's seal is refused there, but what would be left out in silence is worse.
        return Ok((edited(attempt, disguise, target)?, Vec::new()));
    }
    let rendered = wire.render(&decoded.request, target)?;
    faithful::verify(&rendered.body, &decoded.parts, wire.words(decoded.request.task), target)
        .map_err(|_| Failure::Unfaithful)?;
    let losses = [attempt.unsaid, &rendered.losses].concat();
    let (restorer, replaced) = disguised.map_or((None, 0), |outgoing| (outgoing.restorer, outgoing.replaced));
    Ok((Outgoing { body: rendered.body, restorer, replaced }, losses))
}
