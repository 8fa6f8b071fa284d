//! Plan to attempts: the embedded engine and remote providers.
//!
//! [`Dispatcher::prepare`] builds what one attempt at one destination sends, and [`Dispatcher::attempt`] makes it; which
//! destinations, in which order and under which reservation is the pipeline's matter.

pub mod answer;
mod attempt;
pub mod failure;
pub mod local;
mod prepare;
pub mod remote;

use std::collections::HashMap;
use std::time::Duration;

pub use answer::{Answer, Broken, DeltaStream, Frame, FrameStream};
pub use attempt::{Attempt, Departure, Prepared};
pub use failure::Failure;

use self::local::{Engine, EngineFacts, EngineState};
pub use self::remote::Affinity;
use self::remote::{Numbers, Provider, Resting};
use crate::audit::EgressLedger;
use crate::chat::{ChatRequest, Task};
use crate::dialect::{Dialect, Feature, Uses};
use crate::policy::Destination;

/// What the embedded engine can do.
const ENGINE: [Feature; 11] = [
    Feature::Stream,
    Feature::LogitBias,
    Feature::JsonObject,
    Feature::JsonSchema,
    Feature::Grammar,
    Feature::ServerForm,
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

    /// For how long `destination` is better not called, from now on, where that is known.
    pub fn rest(&self, destination: &Destination) -> Option<Duration> {
        self.provider(destination)?.rest()
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
        uses.missing_from(self.abilities(destination, dialect, uses)).iter().next().map(Feature::name)
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

    /// What `destination` can do for a client that speaks `dialect` and `uses` this.
    fn abilities(&self, destination: &Destination, dialect: Dialect, uses: Uses) -> Uses {
        if destination.is_embedded() {
            return ENGINE.iter().copied().collect();
        }
        match self.provider(destination) {
            Some(provider) if self.translates(destination, dialect, uses) => provider.wire().expresses(),
            // Who does not know the field would give any answer, and nobody would notice.
            Some(provider) if !provider.holds_grammars() => Uses::all().without(Feature::Grammar),
            Some(_) | None => Uses::all(),
        }
    }

    /// Whether bodies for `destination` are written anew for a client that speaks `dialect` and `uses` this.
    pub fn translates(&self, destination: &Destination, dialect: Dialect, uses: Uses) -> bool {
        let anew = |provider: &Provider| !speaks(provider, destination, dialect) || is_foreign(provider, uses);
        self.provider(destination).is_some_and(anew)
    }

    fn provider(&self, destination: &Destination) -> Option<&Provider> {
        self.providers.get(&destination.via)
    }
}

/// Whether a request that `uses` this says the form of the answer in a field that `provider` does not know.
fn is_foreign(provider: &Provider, uses: Uses) -> bool {
    uses.contains(Feature::ServerForm) && !provider.holds_grammars()
}

/// Whether what a client says in `dialect` goes to `destination` in the client's own bytes.
fn speaks(provider: &Provider, destination: &Destination, dialect: Dialect) -> bool {
    provider.wire().speaks(dialect) && destination.serves.contains(dialect.task())
}
