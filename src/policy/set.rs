//! A checked policy set.

use std::fmt;
use std::time::Duration;

use super::expr::{Condition, DestinationCondition};
use super::label::Label;
use super::quality::{Affinity, Cascade, EstimatorSpec, Helper};
use super::vocabulary::{Slot, Vocabulary};
use crate::chat::MicroUsd;
use crate::classify::DetectorSpec;
use crate::govern::Price;
use crate::yaml::Place;

/// Everything a set of files says, checked and ready to decide.
#[derive(Clone, Debug)]
pub struct PolicySet {
    /// SHA-256 over the files, in hex: names the set in records, permits and headers.
    pub digest: String,
    /// The set's name.
    pub name: String,
    /// Classes, lowest first.
    pub classes: Vec<String>,
    /// Classes that nothing may lower.
    pub sealed: Vec<Class>,
    /// Where a request starts without a baseline.
    pub default_class: Class,
    /// All names with their slots.
    pub vocabulary: Vocabulary,
    /// Slots of the facts that ajar itself supplies.
    pub slots: BuiltinSlots,
    /// Detectors, in the order of findings' indices.
    pub detectors: Vec<DetectorSpec>,
    /// Where a request may start instead: the lowest that applies.
    pub baselines: Vec<Baseline>,
    /// What raises the class.
    pub classify: Vec<ClassRule>,
    /// Who may receive content, models and sinks alike.
    pub destinations: Vec<Destination>,
    /// The only way down.
    pub declassify: Vec<Declassify>,
    /// Rules that only restrict.
    pub guards: Vec<Guard>,
    /// Spending limits.
    pub budgets: Vec<Budget>,
    /// By ascending order; the last applies always.
    pub routes: Vec<Route>,
    /// How good each destination's answers are, where the set says how to find out.
    pub estimators: Vec<EstimatorSpec>,
    /// What keeps a conversation with its model.
    pub affinity: Option<Affinity>,
    /// Labels that are not in the text: detectors that read a header or an attribute of the key.
    pub labels: Vec<Label>,
    /// Where detectors and other helpers run that do not run in this process.
    pub helpers: Vec<Helper>,
    /// What must never happen, proved when the set loads.
    pub invariants: Vec<Invariant>,
    /// The in-file tests.
    pub cases: Vec<super::cases::Case>,
}

impl PolicySet {
    /// The first 12 hex digits of the digest, for people.
    pub fn short_digest(&self) -> &str {
        &self.digest[..12.min(self.digest.len())]
    }

    /// The destination named `name`.
    pub fn destination_named(&self, name: &str) -> Option<DestinationId> {
        self.destinations.iter().position(|d| d.name == name).map(|i| DestinationId(i as u8))
    }

    /// The destination with this id.
    pub fn destination(&self, id: DestinationId) -> &Destination {
        &self.destinations[usize::from(id.0)]
    }

    /// The class's name.
    pub fn class_name(&self, class: Class) -> &str {
        &self.classes[usize::from(class.0)]
    }

    /// The operator's own guess of the chance that `id` answers well, where the set states one.
    pub fn assumed_quality(&self, id: DestinationId) -> Option<f64> {
        self.estimators.iter().find(|estimator| estimator.destination == id)?.assumed
    }

    /// Calls `visit` for every condition of every rule.
    pub(super) fn each_condition<'a>(&'a self, visit: &mut dyn FnMut(&'a Condition)) {
        self.baselines.iter().for_each(|rule| visit(&rule.when));
        self.classify.iter().for_each(|rule| visit(&rule.when));
        self.declassify.iter().for_each(|rule| visit(&rule.when));
        self.guards.iter().for_each(|rule| visit(&rule.when));
        self.routes.iter().filter_map(|route| route.when.as_ref()).for_each(&mut *visit);
        let guards = self.guards.iter().flat_map(|rule| [&rule.only, &rule.deny]);
        let steps = self.budgets.iter().flat_map(|budget| &budget.ladder).flat_map(|step| [&step.only, &step.deny]);
        let invariants = self.invariants.iter().map(|invariant| &invariant.never);
        for condition in guards.chain(steps).flatten().chain(invariants) {
            (0..self.destinations.len()).for_each(|destination| visit(condition.of(destination)));
        }
    }

    /// The sink of this kind (`cache`, `decision-log`), if the set declares one.
    pub fn sink(&self, kind: &str) -> Option<(DestinationId, &Destination)> {
        let at = self.destinations.iter().position(|d| d.via.strip_prefix("sink/") == Some(kind))?;
        Some((DestinationId(at as u8), &self.destinations[at]))
    }
}

/// How sensitive a request is: index into the set's classes, higher is more sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u8);

/// Index of a destination in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub u8);

/// A set of destinations, at most 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationSet(pub u64);

impl DestinationSet {
    /// The most destinations a policy set can have.
    pub const MAX: usize = 64;
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Just `id`.
    pub fn of(id: DestinationId) -> Self {
        Self(1 << id.0)
    }

    /// Whether `id` is in it.
    pub fn contains(self, id: DestinationId) -> bool {
        self.0 & (1 << id.0) != 0
    }

    /// With `id`.
    pub fn insert(&mut self, id: DestinationId) {
        self.0 |= 1 << id.0;
    }

    /// Without `id`.
    pub fn remove(&mut self, id: DestinationId) {
        self.0 &= !(1 << id.0);
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those not in `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, lowest index first.
    pub fn iter(self) -> impl Iterator<Item = DestinationId> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let id = (!rest.is_empty()).then(|| DestinationId(rest.0.trailing_zeros() as u8))?;
            rest.remove(id);
            Some(id)
        })
    }
}

/// From one flag per destination.
impl FromIterator<bool> for DestinationSet {
    fn from_iter<I: IntoIterator<Item = bool>>(flags: I) -> Self {
        Self(flags.into_iter().enumerate().fold(0, |set, (i, flag)| set | (u64::from(flag) << i)))
    }
}

/// Whether a destination lies inside the operator's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// In this process, on this host, or in a zone the operator trusts.
    Host,
    /// Anywhere else.
    External,
}

/// Anything that receives content.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where it is defined.
    pub place: Place,
    /// Its name in the set.
    pub name: String,
    /// `embedded`, the name of a provider in the configuration, or `sink/…`.
    pub via: String,
    /// The model there; empty for sinks.
    pub model: String,
    /// Inside or outside.
    pub boundary: Boundary,
    /// The highest class it may receive.
    pub accepts: Class,
    /// Where it is.
    pub region: Option<String>,
    /// `local`, `cheap`, `frontier`: the operator's word.
    pub tier: Option<String>,
    /// The trusted zone's name: `host` where a destination inside states none; nothing outside has one.
    pub zone: Option<String>,
    /// How long the provider keeps content.
    pub retention: Option<String>,
    /// Whether the provider may train on content.
    pub training: Option<String>,
    /// Who else processes content for the provider.
    pub subprocessor: Option<String>,
    /// Its context window in tokens, where the policy states it.
    pub context: Option<u32>,
    /// What a token costs; `None` means unknown, and then it is never called.
    pub price: Option<Price>,
    /// What a sink stores.
    pub store: Store,
    /// Whether a cache also holds sampled answers (`temperature` above 0).
    pub cache_sampled: bool,
}

impl Destination {
    /// The `dest.*` names.
    pub const PROPERTIES: [&str; 10] =
        ["name", "via", "model", "boundary", "region", "tier", "zone", "retention", "training", "subprocessor"];

    /// The value of `dest.<property>`; `None` is null.
    pub fn property(&self, property: &str) -> Option<&str> {
        match property {
            "name" => Some(&self.name),
            "via" => Some(&self.via),
            "model" => Some(&self.model),
            "boundary" => Some(match self.boundary {
                Boundary::Host => "host",
                Boundary::External => "external",
            }),
            "region" => self.region.as_deref(),
            "tier" => self.tier.as_deref(),
            "zone" => self.zone.as_deref(),
            "retention" => self.retention.as_deref(),
            "training" => self.training.as_deref(),
            "subprocessor" => self.subprocessor.as_deref(),
            _ => None,
        }
    }

    /// Whether it answers requests: every destination that is no sink.
    pub fn is_model(&self) -> bool {
        !self.via.starts_with("sink/")
    }

    /// Whether a request there costs nothing, however long it is.
    pub fn is_free(&self) -> bool {
        self.price == Some(Price::FREE)
    }

    /// Whether it is the engine in this process.
    pub fn is_embedded(&self) -> bool {
        self.via == "embedded"
    }
}

/// What a sink stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Findings, counts, hashes: no text.
    #[default]
    Features,
    /// Prompts and answers as well, up to the ceiling.
    Text,
}

/// What must be done to a body before it may go where its class alone would not be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Transform {
    /// Replace identifying values by tokens, restored in the answer.
    Pseudonymize,
    /// Scan the outgoing bytes again and find them clean.
    RescanClean,
    /// Have the local model rewrite the request without private detail.
    Rewrite,
    /// A person approves.
    HumanOk,
}

impl Transform {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("pseudonymize", Self::Pseudonymize),
        ("rescan_clean", Self::RescanClean),
        ("rewrite", Self::Rewrite),
        ("human_ok", Self::HumanOk),
    ];
}

/// A set of transforms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TransformSet(pub u8);

impl TransformSet {
    /// With `transform`.
    pub fn insert(&mut self, transform: Transform) {
        self.0 |= 1 << transform as u8;
    }

    /// Without `transform`.
    pub fn remove(&mut self, transform: Transform) {
        self.0 &= !(1 << transform as u8);
    }

    /// Whether `transform` is in it.
    pub fn contains(self, transform: Transform) -> bool {
        self.0 & (1 << transform as u8) != 0
    }

    /// Those in either.
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The names, in the order of [`Transform::ALL`].
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Transform::ALL.into_iter().filter(move |(_, t)| self.contains(*t)).map(|(name, _)| name)
    }
}

/// Slots of the facts that ajar itself supplies.
#[derive(Clone, Debug, Default)]
pub struct BuiltinSlots {
    /// `finding.<detector>`, one per detector.
    pub findings: Vec<Slot>,
    /// `unknown.<detector>`, one per detector.
    pub unknowns: Vec<Slot>,
    /// `unknown.any`
    pub unknown_any: Option<Slot>,
    /// `uses.*`, by name.
    pub uses: Vec<(&'static str, Slot)>,
    /// `tokens.input`
    pub tokens_input: Option<Slot>,
    /// `tokens.max_output`
    pub tokens_max_output: Option<Slot>,
    /// `est.gain`
    pub gain: Option<Slot>,
    /// `local.queue`, `local.free_slots`, `local.tokens_per_second`, `local.ttft_ms`.
    pub local: Vec<(&'static str, Slot)>,
    /// `budget.<id>`, one per budget.
    pub budgets: Vec<Slot>,
}

/// A class a request may start in.
#[derive(Clone, Debug)]
pub struct Baseline {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// The class.
    pub class: Class,
    /// Applies only if certainly true.
    pub when: Condition,
}

/// What raises the class.
#[derive(Clone, Debug)]
pub struct ClassRule {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// To at least this.
    pub raise: Class,
    /// What the rule relies on.
    pub basis: Basis,
    /// Applies unless certainly false.
    pub when: Condition,
}

/// What a class relies on, strongest guarantee first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Labels of keys, clients or documents, or the default: provable end to end.
    Declared,
    /// Checksums and exact patterns.
    Deterministic,
    /// A model's opinion: as good as the model.
    Statistical,
    /// Something could not be looked at.
    Unknown,
}

impl Basis {
    /// The name used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Deterministic => "deterministic",
            Self::Statistical => "statistical",
            Self::Unknown => "unknown",
        }
    }
}

/// A way down.
#[derive(Clone, Debug)]
pub struct Declassify {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Applies to classes up to this.
    pub up_to: Class,
    /// The class the transformed body counts as.
    pub to: Class,
    /// What must be done for it.
    pub requires: TransformSet,
    /// Applies only if certainly true.
    pub when: Condition,
}

/// A rule that only restricts.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Applies unless certainly false.
    pub when: Condition,
    /// Keeps only destinations for which this is certainly true.
    pub only: Option<DestinationCondition>,
    /// Removes destinations for which this may be true.
    pub deny: Option<DestinationCondition>,
    /// What must be done to the body, wherever it goes outside.
    pub require: TransformSet,
    /// At most this many output tokens.
    pub max_output: Option<u32>,
    /// At most this much for one request.
    pub max_cost: Option<MicroUsd>,
    /// Refuse with this reason.
    pub block: Option<String>,
}

/// Over what a budget counts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Each virtual key.
    Key,
    /// Each value of this key attribute, such as `team`.
    Attribute(String),
    /// Each request on its own.
    Request,
    /// The whole installation.
    All,
}

/// The period of a budget; calendar periods are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// A calendar hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
    /// One request.
    Request,
}

/// A spending limit.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Over what it counts.
    pub per: Scope,
    /// For how long.
    pub window: Window,
    /// How much.
    pub limit: MicroUsd,
    /// What happens as it fills, by ascending share.
    pub ladder: Vec<Step>,
}

/// A step of a budget's ladder: applies unless the budget's used share is certainly below `at`.
#[derive(Clone, Debug)]
pub struct Step {
    /// Share of the limit, 0 to 1 or above.
    pub at: f64,
    /// Factor by which remote looks dearer to objectives.
    pub reprice: Option<f64>,
    /// Keeps only destinations for which this is certainly true.
    pub only: Option<DestinationCondition>,
    /// Removes destinations for which this may be true.
    pub deny: Option<DestinationCondition>,
    /// Refuse with this reason.
    pub refuse: Option<String>,
}

/// A rule that chooses among what is permitted.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// Lower goes first.
    pub order: u32,
    /// Applies only if certainly true.
    pub when: Option<Condition>,
    /// Whom it may choose, in order of preference.
    pub candidates: Vec<DestinationId>,
    /// What to optimise; without one the listed order decides.
    pub objective: Option<Objective>,
    /// Whom to try first, and who comes after.
    pub cascade: Option<Cascade>,
    /// A candidate whose 95th percentile time to first token is known to be above this is left out.
    pub ttft: Option<Duration>,
    /// Whether a destination that the client names goes first, if it is permitted.
    pub honour_preference: bool,
    /// The reason given when nobody is left.
    pub on_empty: String,
}

/// What a route optimises.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The goal.
    pub goal: Goal,
    /// Candidates below this chance of a good answer do not meet the objective.
    pub min_p_ok: Option<f64>,
    /// Candidates dearer than this do not meet the objective.
    pub max_cost: Option<MicroUsd>,
    /// What to do where the local candidate's `p_ok` is unknown.
    pub if_unknown: IfUnknown,
    /// Whether to refuse when nobody meets it, rather than to take the best.
    pub refuse_below: bool,
}

/// "lowest cost where p_ok ≥ 0.85"
impl fmt::Display for Objective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.goal {
            Goal::MinimizeCost => "lowest cost",
            Goal::MaximizeQuality => "highest p_ok",
        })?;
        let p_ok = self.min_p_ok.map(|min| format!("p_ok ≥ {min}"));
        let cost = self.max_cost.map(|max| format!("cost ≤ ${max}"));
        let conditions: Vec<String> = p_ok.into_iter().chain(cost).collect();
        match conditions.is_empty() {
            true => Ok(()),
            false => write!(f, " where {}", conditions.join(" and ")),
        }
    }
}

/// What an objective does where nobody knows how good the local candidate is.
#[derive(Clone, Debug, PartialEq)]
pub enum IfUnknown {
    /// Ask in this order.
    Order(Vec<DestinationId>),
    /// Start the route's cascade.
    Cascade,
}

/// The goal of an objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// The cheapest that meets the conditions.
    MinimizeCost,
    /// The best that meets the conditions.
    MaximizeQuality,
}

/// What must never happen: for every request and every destination that may receive it, the condition is certainly
/// false.
#[derive(Clone, Debug)]
pub struct Invariant {
    /// Its id.
    pub id: String,
    /// Where it stands.
    pub place: Place,
    /// The condition.
    pub never: DestinationCondition,
}
