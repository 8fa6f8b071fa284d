//! A checked policy set.

mod budget;
mod conversations;
mod destination;
mod route;
mod rules;
mod transform;

pub use self::budget::{Budget, Scope, Step, Window};
pub use self::conversations::{Conversations, Floor, KnownBy};
pub use self::destination::{Boundary, Destination, DestinationId, DestinationSet, Store};
pub use self::route::{Goal, IfUnknown, Objective, Route};
pub use self::rules::{Baseline, Basis, ClassRule, Declassify, Guard, Invariant};
pub use self::transform::{Style, Transform, TransformSet};

use super::expr::Condition;
use super::label::Label;
use super::quality::{Affinity, EstimatorSpec, Helper};
use super::vocabulary::{Slot, Vocabulary};
use crate::classify::DetectorSpec;

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
    /// What conversations keep of the class that they rose to.
    pub conversations: Conversations,
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
    /// Whether the set is in force, or how it is tried.
    pub rollout: Option<super::rollout::Rollout>,
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

    /// The class named `name`.
    pub fn class_named(&self, name: &str) -> Option<Class> {
        self.classes.iter().position(|class| class == name).map(|i| Class(i as u8))
    }

    /// The most sensitive class: what counts where a class is not known.
    pub fn top_class(&self) -> Class {
        Class(self.classes.len().saturating_sub(1) as u8)
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

    /// The sink of this kind (`cache`, `decision-log`, `responses`), if the set declares one.
    pub fn sink(&self, kind: &str) -> Option<(DestinationId, &Destination)> {
        let at = self.destinations.iter().position(|d| d.via.strip_prefix("sink/") == Some(kind))?;
        Some((DestinationId(at as u8), &self.destinations[at]))
    }
}

/// How sensitive a request is: index into the set's classes, higher is more sensitive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Class(pub u8);

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
