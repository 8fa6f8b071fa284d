//! A policy set in force, with what is built from it.

use std::sync::Arc;

use crate::classify::Scanner;
use crate::policy::{DestinationId, PolicySet};

/// A policy set with what is built from it.
pub struct Policy {
    /// The set.
    pub set: PolicySet,
    /// Its detectors.
    pub scanner: Scanner,
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
        let names = Names {
            digest: set.digest.as_str().into(),
            classes: set.classes.iter().map(|c| c.as_str().into()).collect(),
            routes: set.routes.iter().map(|r| r.id.as_str().into()).collect(),
            destinations: set.destinations.iter().map(|d| d.name.as_str().into()).collect(),
        };
        Self { scanner: Scanner::new(&set.detectors), set, names }
    }
}
