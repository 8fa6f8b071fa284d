//! How one of those who are permitted is chosen.

use std::time::Duration;

use super::DestinationId;
use crate::chat::MicroUsd;
use crate::policy::expr::Condition;
use crate::policy::quality::Cascade;
use crate::yaml::Place;

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
    /// Whether a candidate is left out that is known not to think as the request asks it to.
    pub needs_reasoning: bool,
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
