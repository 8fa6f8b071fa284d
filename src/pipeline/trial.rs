//! A policy set that is only tried: what it would have decided, and the few requests that it decides.
//!
//! Whatever goes wrong in it, the request goes on as the set in force decided.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::generation::Trial;
use super::preference::preference;
use super::view::{View, Weighed};
use crate::chat::{ChatRequest, RequestId, Role};
use crate::dialect::Decoded;
use crate::govern::Subject;
use crate::policy::decision::{Decision, Outcome};
use crate::policy::explain::RolloutExplanation;
use crate::policy::rollout::{Bounds, By, Mode, Side, differs};
use crate::policy::{DestinationSet, PolicySet};
use crate::record::{Label, WouldHave};

/// What the client is warned of where the tried set would ask somebody else.
const OTHER_CHOICE: &str = "other_choice";

/// What came of trying.
pub(super) struct Tried {
    mode: Mode,
    side: Side,
    /// What the tried set decided within the one in force: only where it decides.
    pub(super) decided: Option<Box<Weighed>>,
    /// For the record.
    pub(super) would_have: WouldHave,
    /// For the client.
    pub(super) warning: Option<Label>,
}

/// Evaluates the set that is tried, if there is one, on what the set in force saw.
pub(super) fn try_out(view: &View<'_>, decoded: &Decoded<'_>, weighed: &Weighed) -> Option<Tried> {
    let trial = view.generation.trial.as_ref()?;
    let started = Instant::now();
    let tried = guarded(|| evaluate(view, trial, decoded, weighed, started)).unwrap_or_else(|| failed(trial));
    view.gateway.metrics.tried(started.elapsed(), tried.would_have.differs);
    Some(tried)
}

impl Tried {
    /// For people who ask.
    pub(super) fn explain(&self) -> RolloutExplanation {
        RolloutExplanation {
            mode: self.mode.name(),
            side: self.side.name(),
            would_have: serde_json::from_str(&self.would_have.record).unwrap_or_default(),
        }
    }

    /// Tells operators of what clients are warned of.
    pub(super) fn report(&self, id: RequestId) {
        if let Some(warning) = &self.warning {
            tracing::warn!(%id, %warning, "The policies that are tried would refuse this request or choose differently.");
        }
    }
}

/// What `evaluate` gives, or `None` where it panics.
fn guarded<T>(evaluate: impl FnOnce() -> T) -> Option<T> {
    // Nothing outlives the closure but its result, so nothing can be seen half done.
    catch_unwind(AssertUnwindSafe(evaluate)).ok()
}

fn failed(trial: &Trial) -> Tried {
    #[derive(Serialize)]
    struct Failed<'a> {
        policy: &'a str,
        mode: &'static str,
        side: &'static str,
        failed: bool,
    }
    tracing::error!(policy = trial.policy.set.short_digest(), "Trying a policy set failed; the set in force decided.");
    let (mode, side) = (trial.rollout.mode, Side::InForce);
    let failed = Failed { policy: &trial.policy.names.digest, mode: mode.name(), side: side.name(), failed: true };
    let record = serde_json::to_string(&failed).unwrap_or_default();
    let would_have = WouldHave { record, differs: None, widens: None };
    Tried { mode, side, decided: None, would_have, warning: None }
}

fn evaluate(view: &View<'_>, trial: &Trial, decoded: &Decoded<'_>, weighed: &Weighed, started: Instant) -> Tried {
    let side = trial.rollout.side(&trial.policy.set.name, &stable(trial.rollout.by, view.subject, &decoded.request));
    let trying = View { side: Side::OnTrial, ..*view };
    // A name that only the set in force knows is no preference in this one.
    let preference = preference(view.gateway, &trial.policy, &decoded.request).ok().flatten();
    let alone = trying.weigh_again(decoded, preference, weighed, trial.scans_alike(view.policy()));
    let (in_force, on_trial) = (&view.policy().set, &trial.policy.set);
    let widened = trial.counterparts.widened(&weighed.decision, &alone.decision);
    let differs = differs((in_force, &weighed.decision), (on_trial, &alone.decision));
    let opinion = Opinion {
        policy: &trial.policy.names.digest,
        mode: trial.rollout.mode.name(),
        side: side.name(),
        class: on_trial.class_name(alone.decision.class),
        said: Said::of(on_trial, &alone.decision),
        permitted: names(on_trial, alone.decision.permitted),
        in_force: InForce { policy: &in_force.digest, said: Said::of(in_force, &weighed.decision) },
        differs,
        widens: names(on_trial, widened),
        us: microseconds(started.elapsed()),
    };
    let record = serde_json::to_string(&opinion).unwrap_or_default();
    let warning = (trial.rollout.mode == Mode::Warn && differs).then(|| warning(on_trial, &alone.decision));
    let within = |alone| trying.decide_within(alone, &Bounds::of(&weighed.decision, &trial.counterparts));
    Tried {
        mode: trial.rollout.mode,
        side,
        would_have: WouldHave { record, differs: Some(differs), widens: Some(!widened.is_empty()) },
        warning,
        decided: (side == Side::OnTrial).then(|| Box::new(within(alone))),
    }
}

/// The record's `would_have`.
#[derive(Serialize)]
struct Opinion<'a> {
    policy: &'a str,
    mode: &'static str,
    side: &'static str,
    class: &'a str,
    #[serde(flatten)]
    said: Said<'a>,
    permitted: Vec<&'a str>,
    in_force: InForce<'a>,
    differs: bool,
    /// Whom the tried set lets in and the set in force does not.
    widens: Vec<&'a str>,
    us: f64,
}

#[derive(Serialize)]
struct InForce<'a> {
    policy: &'a str,
    #[serde(flatten)]
    said: Said<'a>,
}

/// What a set said.
#[derive(Serialize)]
struct Said<'a> {
    plan: Vec<&'a str>,
    reason: &'a str,
    refused: bool,
    /// What the first of the plan can cost at most, in micro-dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    worst_case_uusd: Option<u64>,
}

impl<'a> Said<'a> {
    fn of(set: &'a PolicySet, decision: &'a Decision) -> Self {
        let (reason, refused) = match decision.outcome {
            Outcome::Go(choice) => (choice.code(), false),
            Outcome::Refuse(refusal) => (refusal.reason(set), true),
        };
        let plan = decision.plan();
        Self {
            plan: plan.iter().map(|candidate| set.destination(candidate.id).name.as_str()).collect(),
            reason,
            refused,
            worst_case_uusd: plan.first().map(|candidate| candidate.worst_case.0),
        }
    }
}

fn names(set: &PolicySet, ids: DestinationSet) -> Vec<&str> {
    ids.iter().map(|id| set.destination(id).name.as_str()).collect()
}

fn warning(set: &PolicySet, decision: &Decision) -> Label {
    match decision.outcome {
        Outcome::Refuse(refusal) => Label::Owned(refusal.reason(set).to_owned()),
        Outcome::Go(_) => Label::Borrowed(OTHER_CHOICE),
    }
}

/// What a canary's side is chosen by. Turns of a conversation begin alike, so its beginning stands for it.
fn stable(by: By, subject: &Subject, request: &ChatRequest) -> Vec<u8> {
    match by {
        By::Key => subject.name.as_bytes().to_vec(),
        By::Tenant => subject.tenant.as_bytes().to_vec(),
        By::Conversation => {
            let mut stable = subject.name.as_bytes().to_vec();
            let first = request.messages.iter().position(|message| message.role == Role::User);
            for message in request.messages.iter().take(first.map_or(usize::MAX, |at| at + 1)) {
                let text = message.text();
                stable.extend((text.len() as u64).to_le_bytes());
                stable.extend(text.as_bytes());
            }
            stable
        }
    }
}

fn microseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e7).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_ends_the_trial_and_nothing_else() {
        assert_eq!(guarded(|| 1), Some(1));
        assert_eq!(guarded(|| -> u8 { panic!("on purpose") }), None);
    }
}
