//! Everything that a reload replaces, as one: a request keeps the generation it began with.

use std::sync::Arc;

use crate::classify::Scanner;
use crate::govern::{Books, KeyEntry, Keyring, Ledger};
use crate::policy::rollout::{Counterparts, Rollout, Side};
use crate::policy::{DestinationId, PolicySet};

/// What is in force between two reloads.
pub struct Generation {
    /// The policy set in force.
    pub policy: Arc<Policy>,
    /// The set that is tried beside it.
    pub trial: Option<Trial>,
    /// Virtual keys.
    pub keys: Keyring,
    /// What the keys were made from.
    pub entries: Vec<KeyEntry>,
    /// Budgets of both sets.
    pub ledger: Ledger,
}

impl Generation {
    /// The policy set of a side. Without a trial there is only one.
    pub fn policy(&self, side: Side) -> &Arc<Policy> {
        match (&self.trial, side) {
            (Some(trial), Side::OnTrial) => &trial.policy,
            (_, Side::InForce) | (None, Side::OnTrial) => &self.policy,
        }
    }
}

/// The budgets of a side.
pub(crate) fn books(side: Side) -> Books {
    match side {
        Side::InForce => Books::InForce,
        Side::OnTrial => Books::OnTrial,
    }
}

/// A policy set that is tried.
pub struct Trial {
    /// The set.
    pub policy: Arc<Policy>,
    /// How it is tried.
    pub rollout: Rollout,
    /// Its destinations in the set in force.
    pub counterparts: Counterparts,
    /// Names the pair of sets in keys of the cache: what a canary permits depends on both.
    pub digests: Arc<str>,
}

impl Trial {
    /// `set` as it is tried beside `in_force`. Detectors that are the same look once.
    pub fn new(set: PolicySet, rollout: Rollout, in_force: &Policy) -> Self {
        let counterparts = Counterparts::new(&in_force.set, &set);
        let digests = format!("{}+{}", in_force.set.digest, set.digest).into();
        let scanner = (set.detectors == in_force.set.detectors).then(|| in_force.scanner.clone());
        Self { policy: Arc::new(Policy::with_scanner(set, scanner)), rollout, counterparts, digests }
    }

    /// Whether its detectors are those of `in_force`.
    pub fn scans_alike(&self, in_force: &Policy) -> bool {
        Arc::ptr_eq(&self.policy.scanner, &in_force.scanner)
    }
}

/// A policy set with what is built from it.
pub struct Policy {
    /// The set.
    pub set: PolicySet,
    /// Its detectors.
    pub scanner: Arc<Scanner>,
    /// Its names, shared with the rows that mention them.
    pub names: Names,
}

/// Names as rows hold them.
pub struct Names {
    /// The set's digest.
    pub digest: Arc<str>,
    /// Classes by index.
    pub classes: Vec<Arc<str>>,
    /// Routes by index.
    pub routes: Vec<Arc<str>>,
    destinations: Vec<Arc<str>>,
}

impl Names {
    /// The name of a destination.
    pub fn destination(&self, id: DestinationId) -> Arc<str> {
        self.destinations[usize::from(id.0)].clone()
    }
}

impl Policy {
    /// Builds the detectors of `set`.
    pub fn new(set: PolicySet) -> Self {
        Self::with_scanner(set, None)
    }

    fn with_scanner(set: PolicySet, scanner: Option<Arc<Scanner>>) -> Self {
        let names = Names {
            digest: set.digest.as_str().into(),
            classes: set.classes.iter().map(|c| c.as_str().into()).collect(),
            routes: set.routes.iter().map(|r| r.id.as_str().into()).collect(),
            destinations: set.destinations.iter().map(|d| d.name.as_str().into()).collect(),
        };
        let scanner = scanner.unwrap_or_else(|| Arc::new(Scanner::new(&set.detectors)));
        Self { scanner, set, names }
    }
}
