//! A decision in words and numbers. Features only: no text of the request.
//!
//! [`summarize`] is what every request leaves in the record; [`explain`] goes through every rule again and says of each
//! what it did, for people who ask.

mod data;
mod reasons;
mod summary;
mod text;

pub use data::{
    BudgetExplanation, CandidateExplanation, ClassExplanation, DestinationExplanation, DetectorExplanation,
    Explanation, FindingExplanation, GuardExplanation, RolloutExplanation, RouteExplanation, RuleExplanation,
    StepExplanation, explain,
};
pub(in crate::policy) use reasons::choice;
pub use summary::{
    ClassSummary, ConversationSummary, DestinationSummary, DetectorVerdict, GainExplanation, PolicyName, Summary,
    barrier, summarize,
};

use super::decision::Decision;
use super::set::{DestinationSet, Floor};
use crate::chat::{RequestId, Source};
use crate::classify::{Finding, Gain, Truth};
use crate::govern::Standing;

/// What the classifier said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen<'a> {
    /// One verdict per detector.
    pub verdicts: &'a [Truth],
    /// The findings.
    pub findings: &'a [Finding],
    /// The estimated gain.
    pub gain: Option<Gain>,
    /// What the request's conversation was before.
    pub before: Option<Before>,
    /// Whether the detectors were stopped before they had looked at all.
    pub stopped: bool,
}

impl Seen<'_> {
    /// What operators should know of the decision and of what it was made on.
    fn flags(self, decision: &Decision) -> Vec<&'static str> {
        decision.flags().chain(self.stopped.then_some("scan_stopped")).collect()
    }
}

/// What a request's conversation was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before {
    /// What counts for it.
    pub floor: Floor,
    /// The request with which it rose so high; `None` where nobody can say what it was.
    pub since: Option<RequestId>,
}

/// What only a full explanation needs to know.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances<'a> {
    /// Where each part of the request stands.
    pub sources: &'a [Source],
    /// Where each budget stands, in the set's order; `None` for one per request.
    pub budgets: &'a [Option<Standing>],
    /// Prompt tokens, estimated from above.
    pub tokens_input: u64,
    /// Whom the set in force keeps out where this set is only tried.
    pub outside: DestinationSet,
}
