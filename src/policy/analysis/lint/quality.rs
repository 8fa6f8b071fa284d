//! Estimates and cascades: W103, W106, W108.

use super::Linter;
use crate::chat::MicroUsd;
use crate::policy::cases::DEFAULT_TOKENS;
use crate::policy::quality::{Cascade, Commit};
use crate::policy::set::{IfUnknown, Route, Scope};

impl Linter<'_> {
    pub(super) fn quality(&mut self) {
        for (index, route) in self.set.routes.iter().enumerate() {
            self.without_estimate(route);
            if let Some(cascade) = &route.cascade {
                self.dear_cascade(route, cascade);
                self.late_answer(index, route, cascade);
            }
        }
    }

    // === W103

    fn without_estimate(&mut self, route: &Route) {
        let set = self.set;
        let Some(objective) = &route.objective else { return };
        let Some(wanted) = objective.min_p_ok else { return };
        // Whoever nobody knows may draft: that is what such a cascade is for.
        let drafts = route.cascade.as_ref().filter(|_| objective.if_unknown == IfUnknown::Cascade).map(|c| c.start);
        // An artefact says nothing yet: only a guess gives a chance.
        let unknown = route.candidates.iter().filter(|id| set.assumed_quality(**id).is_none() && Some(**id) != drafts);
        let names: Vec<String> = unknown.map(|id| format!("`{}`", set.destination(*id).name)).collect();
        if !names.is_empty() {
            let message = format!(
                "the route `{}` wants a p_ok of {wanted}, and nothing says how good {} is; state a guess, as \
                 in `estimators: {{ name: {{ assumed: 0.8 }} }}`",
                route.id,
                names.join(", ")
            );
            self.warnings.add_coded(&route.place, "W103", message);
        }
    }

    // === W106

    /// Every attempt of a cascade is paid.
    fn dear_cascade(&mut self, route: &Route, cascade: &Cascade) {
        let set = self.set;
        let attempts = std::iter::once(&cascade.start).chain(&cascade.escalate_to);
        let attempts = attempts.take(cascade.max_attempts.unwrap_or(usize::MAX));
        let price = |id: &_| set.destination(*id).price.map(|price| price.worst_case(DEFAULT_TOKENS, DEFAULT_TOKENS));
        let cost = attempts.filter_map(price).fold(MicroUsd::ZERO, |sum, cost| sum + cost);
        let caps = set.budgets.iter().filter(|budget| budget.per == Scope::Request).map(|budget| budget.limit);
        let cap = caps.chain(route.objective.as_ref().and_then(|objective| objective.max_cost)).min();
        if let Some(cap) = cap.filter(|cap| cost > *cap) {
            let message = format!(
                "all attempts of the cascade of route `{}` can cost ${cost} together with {DEFAULT_TOKENS} tokens in and \
                 out, more than the ${cap} that one request may cost; try fewer, or raise the limit",
                route.id
            );
            self.warnings.add_coded(&route.place, "W106", message);
        }
    }

    // === W108

    fn late_answer(&mut self, index: usize, route: &Route, cascade: &Cascade) {
        // Who says how long they may wait knows that they do.
        if cascade.commit != Commit::AfterVerify || cascade.max_added_latency.is_some() {
            return;
        }
        let taken = self.analysis.encoded[0].routes[index];
        let streaming = self.analysis.space.inputs.iter().find(|input| input.name == "uses.stream");
        // Where no condition looks at it, any request may stream.
        let streams = streaming.map_or(taken, |input| input.deviates());
        if !self.never(&[taken, streams]) {
            let message = format!(
                "the route `{}` shows nothing before a draft is accepted, and streaming clients wait for that; commit \
                 `after_tokens`, bound the wait by `max_added_latency`, or keep `uses.stream` out of the route",
                route.id
            );
            self.warnings.add_coded(&route.place, "W108", message);
        }
    }
}
