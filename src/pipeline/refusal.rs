//! What a client is told where nobody may, or can, answer.

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;

use super::dispatching::not_now;
use super::view::{View, Weighed};
use crate::chat::Task;
use crate::dialect::error::ApiError;
use crate::dispatch::MODEL_STUCK;
use crate::dispatch::local::EngineError;
use crate::govern::Explain;
use crate::policy::Barrier;
use crate::policy::decision::{Decision, Refusal, RefusalKind};
use crate::policy::explain::DestinationExplanation;

/// What the client is told.
pub(super) fn refused(refusal: &Refusal, view: &View<'_>, weighed: &Weighed, task: Task) -> ApiError {
    let decision = &weighed.decision;
    let too_long = decision.barriers.contains(&Barrier::Lacks("context"));
    let lacking = lacking(decision);
    let (status, message) = match refusal.kind {
        RefusalKind::Policy => (StatusCode::FORBIDDEN, "the policy permits nobody to answer this request".to_owned()),
        RefusalKind::Budget => (StatusCode::TOO_MANY_REQUESTS, "the budget does not cover this request".to_owned()),
        RefusalKind::Capability if too_long => {
            let message = "the prompt is longer than the context of every model that may answer it";
            return ApiError::new(StatusCode::BAD_REQUEST, message).code("context_length_exceeded");
        }
        RefusalKind::Capability if nobody_serves(task, decision) => {
            let task = task.name();
            let message = format!(
                "nobody who may answer this request serves `{task}`: `serves` of a policy's destination says who does"
            );
            (StatusCode::UNPROCESSABLE_ENTITY, message)
        }
        RefusalKind::Capability => {
            let message = format!("no model that may answer this request can do what it uses (`{lacking}`)");
            (StatusCode::UNPROCESSABLE_ENTITY, message)
        }
        RefusalKind::Unavailable if absent(view, weighed).any(|(_, why)| why == MODEL_STUCK) => {
            return not_now(&EngineError::Stuck);
        }
        RefusalKind::Unavailable => {
            let message = match (too_long, lacking.is_empty()) {
                (true, _) => "no model that may answer this request and has the context for it is available now".into(),
                (false, true) => "no model that may answer this request is available now".into(),
                (false, false) => {
                    format!(
                        "no model that may answer this request and can do what it uses (`{lacking}`) is available now"
                    )
                }
            };
            (StatusCode::SERVICE_UNAVAILABLE, message)
        }
    };
    // The policy's own word is in the record and in `x-ajar-reason`.
    let tells = refusal.kind == RefusalKind::Unavailable && view.subject.explain == Explain::Full;
    let message = if tells { message + &left_out(view, weighed) } else { message };
    let error = ApiError::new(status, message).code(refusal.kind.code());
    ApiError { retry_after: rest(view, weighed), ..error }
}

/// What speaks against each who answers, in the words of the explanation.
fn left_out(view: &View<'_>, weighed: &Weighed) -> String {
    let explanation = weighed.explain(view, &[]);
    let told = |d: &DestinationExplanation<'_>| format!("; `{}`: {}", d.name, d.reasons.join(", "));
    explanation.destinations.iter().filter(|d| d.answers && !d.reasons.is_empty()).map(told).collect()
}

/// When the first that is absent comes back, where that is known.
fn rest(view: &View<'_>, weighed: &Weighed) -> Option<Duration> {
    absent(view, weighed).filter_map(|(i, _)| weighed.inputs().states[i].rest).min()
}

/// By number, those who were asked and whose absence is all that speaks against them, and why they are absent.
fn absent(view: &View<'_>, weighed: &Weighed) -> impl Iterator<Item = (usize, &'static str)> {
    let (inputs, decision) = (weighed.inputs(), &weighed.decision);
    let named = inputs.preference.filter(|_| inputs.insists);
    let candidates = |route: u16| view.policy().set.routes[usize::from(route)].candidates.as_slice();
    let routed = decision.route.filter(|_| !inputs.insists).map_or(&[][..], candidates);
    let asked = named.into_iter().chain(routed.iter().copied()).map(|id| usize::from(id.0));
    asked.filter_map(|i| match decision.barriers[i] {
        Barrier::Unavailable(why) => Some((i, why)),
        _ => None,
    })
}

/// What the request uses and somebody cannot do, for a sentence.
fn lacking(decision: &Decision) -> String {
    let lacks = decision.barriers.iter().filter_map(|barrier| match barrier {
        Barrier::Lacks(what) if Task::named(what).is_none() => Some(*what),
        _ => None,
    });
    lacks.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join("`, `")
}

/// Whether those that lack something all lack what is asked for itself.
fn nobody_serves(task: Task, decision: &Decision) -> bool {
    decision.barriers.iter().all(|barrier| match barrier {
        Barrier::Lacks(what) => *what == task.name(),
        _ => true,
    })
}
