//! Spending limits.

use crate::chat::MicroUsd;
use crate::policy::expr::DestinationCondition;
use crate::yaml::Place;

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
