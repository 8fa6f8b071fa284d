//! What it takes to give a request pseudonyms, kept from its decision until an attempt needs it.

use std::sync::Arc;

use super::Policy;
use super::conversation::Conversation;
use super::understand::Considered;
use super::view::{View, Weighed};
use crate::classify::{Scanner, Truth};
use crate::dialect::{Decoded, Dialect};
use crate::policy::rollout::Side;
use crate::policy::{Class, Decision, DestinationId, DestinationSet, Facts, Style, TransformSet};
use crate::transform::{Check, Disguise, Originals, Vault};

/// A request's originals, its conversation's vault, and who must find the outgoing body clean.
pub(crate) struct Pseudonyms {
    vault: Arc<Vault>,
    originals: Originals,
    tenant: Arc<str>,
    styles: [Style; DestinationSet::MAX],
    dialect: Dialect,
    seen: Vec<Seen>,
}

/// What one policy set saw.
struct Seen {
    policy: Arc<Policy>,
    facts: Facts,
    labels: Vec<Truth>,
    /// What the body must count as at most for each destination, by the index that the deciding set gives it.
    to: [Class; DestinationSet::MAX],
}

impl Pseudonyms {
    /// Those of a decided request; `None` where nobody in its plan needs its body transformed.
    ///
    /// Where a set that is tried decided, the one in force has its say as well: what either finds is replaced, and both
    /// must find the outgoing body clean, each by its own rules.
    pub(super) fn of(considered: &Considered<'_>, decoded: &Decoded<'_>) -> Option<Self> {
        let Considered { view, weighed, in_force, .. } = considered;
        let decision = &weighed.decision;
        let transforms = |id: DestinationId| decision.transforms[usize::from(id.0)];
        if decision.plan().iter().all(|candidate| transforms(candidate.id).is_empty()) {
            return None;
        }
        let vaults = view.gateway.vaults.as_ref()?;
        let tenant = &view.subject.tenant;
        let conversation = Conversation::of(vaults.secret(), tenant, view.headers, &decoded.request);
        let mut pseudonyms = Self {
            vault: vaults.of(conversation.id()),
            originals: Originals::default(),
            tenant: tenant.clone(),
            styles: [Style::default(); DestinationSet::MAX],
            dialect: decoded.dialect,
            seen: Vec::new(),
        };
        if let (Some(in_force), Some(trial)) = (in_force, &view.generation.trial) {
            let view = View { side: Side::InForce, ..*view };
            pseudonyms.add(&view, in_force, decoded, &|id| trial.counterparts.of(id));
        }
        pseudonyms.add(view, weighed, decoded, &Some);
        Some(pseudonyms)
    }

    /// Adds what a set saw; `own` is its name for a destination of the deciding set. The last one's styles count.
    fn add(
        &mut self,
        view: &View<'_>,
        weighed: &Weighed,
        decoded: &Decoded<'_>,
        own: &dyn Fn(DestinationId) -> Option<DestinationId>,
    ) {
        let (policy, decision): (_, &Decision) = (view.policy(), &weighed.decision);
        self.originals.add(&decoded.parts, weighed.scan());
        let mut to = [decision.class; DestinationSet::MAX];
        for (i, (to, style)) in to.iter_mut().zip(&mut self.styles).enumerate() {
            let Some(id) = own(DestinationId(i as u8)) else { continue };
            *to = decision.class_sent(&policy.set, id);
            *style = decision.way(&policy.set, id).map_or(*style, |way| way.style);
        }
        let (facts, labels) = (weighed.facts().clone(), view.labels());
        self.seen.push(Seen { policy: policy.clone(), facts, labels, to });
    }

    /// How to make the body fit for `id`.
    pub(super) fn disguise<'a>(
        &'a self,
        id: DestinationId,
        transforms: TransformSet,
        go_on: &'a dyn Fn(&Scanner) -> bool,
    ) -> Disguise<'a> {
        let index = usize::from(id.0);
        let check = |seen: &'a Seen| Check {
            set: &seen.policy.set,
            scanner: &seen.policy.scanner,
            facts: &seen.facts,
            labels: &seen.labels,
            to: seen.to[index],
        };
        Disguise {
            dialect: self.dialect,
            transforms,
            vault: &self.vault,
            style: self.styles[index],
            originals: &self.originals,
            checks: self.seen.iter().map(check).collect(),
            scope: &self.tenant,
            go_on,
        }
    }
}
