//! What a ledger and the record beside it say about one class: the page that a security review asks for.

use std::collections::BTreeMap;

use serde::Serialize;

use super::entry::{Entry, What};
use super::verify::Verification;
use crate::policy::Boundary;
use crate::record::ClassGroup;

/// Which class, in which order of classes, over which time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The class asked about.
    pub class: String,
    /// Classes of the policies in force that are not below it, lowest first.
    pub at_or_above: Vec<String>,
    /// Those that are below it. A class that is in neither list is counted as one above.
    pub below: Vec<String>,
    /// From when on.
    pub since: String,
    /// Until when: the time of the report.
    pub until: String,
    /// The digest of the policies that the order of classes is from.
    pub policy: String,
}

impl Question {
    /// About `class`, given all `classes`, lowest first. `None` if it is none of them.
    pub fn new(class: &str, classes: &[String], policy: &str, since: String, until: String) -> Option<Self> {
        let at = classes.iter().position(|known| known == class)?;
        Some(Self {
            class: class.to_owned(),
            at_or_above: classes[at..].to_vec(),
            below: classes[..at].to_vec(),
            since,
            until,
            policy: policy.to_owned(),
        })
    }

    /// Whether `class` is at or above the one asked about, or unknown.
    pub fn concerns(&self, class: &str) -> bool {
        !self.below.iter().any(|below| below == class)
    }
}

/// Entries that are alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Kind {
    /// The destination's name.
    pub destination: String,
    /// Scheme, host and port.
    pub origin: String,
    /// `host` or `external`.
    pub boundary: String,
    /// The class of what was sent.
    pub class: String,
    /// What the class rests on.
    pub basis: String,
    /// What was done to the body.
    pub transforms: String,
    /// `required` where the entry was on disk before anything left, else `best_effort`.
    pub audit: String,
}

/// How many, and how much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Entries.
    pub entries: u64,
    /// Bytes of their bodies.
    pub bytes: u64,
}

/// A row of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// What the entries have in common.
    #[serde(flatten)]
    pub kind: Kind,
    /// How many they are.
    #[serde(flatten)]
    pub sums: Sums,
    /// Whether the class is at or above the one asked about.
    pub concerned: bool,
}

/// Policies under which something was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyUse {
    /// Their digest.
    pub policy: String,
    /// The first entry's time.
    pub first: String,
    /// The last entry's time.
    pub last: String,
    /// How many entries.
    pub entries: u64,
}

/// Gathers entries for a [`Report`] while a chain is verified.
#[derive(Clone, Debug)]
pub struct Tally {
    question: Question,
    groups: BTreeMap<Kind, Sums>,
    policies: BTreeMap<String, PolicyUse>,
    lost: [u64; 2],
}

/// The whole report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// What was asked.
    pub question: Question,
    /// Whether nothing of the class was sent outside, no entry is missing and the chain verifies.
    pub holds: bool,
    /// Bodies of the class that were sent outside.
    pub sent_outside: u64,
    /// Bodies that were sent outside and of which there is no entry.
    pub unknown_outside: u64,
    /// Bodies that were sent to destinations inside and of which there is no entry.
    pub unknown_inside: u64,
    /// Entries by destination, class and basis.
    pub sent: Vec<Group>,
    /// Policies under which something was sent.
    pub policies: Vec<PolicyUse>,
    /// Requests of the class in the record; `None` where no record is kept.
    pub requests: Option<Vec<ClassGroup>>,
    /// Requests that ended before they were classified, so that nothing of them was sent.
    pub unclassified: u64,
    /// What verifying the chain found.
    pub verification: Verification,
}

impl Tally {
    /// For this question.
    pub fn new(question: Question) -> Self {
        Self { question, groups: BTreeMap::new(), policies: BTreeMap::new(), lost: [0; 2] }
    }

    /// Counts an entry, if it is of the time asked about.
    pub fn count(&mut self, entry: &Entry) {
        if entry.at < self.question.since {
            return;
        }
        let sent = match &entry.what {
            What::Sent(sent) => sent,
            What::Gap { boundary, lost } => {
                let inside = boundary == Boundary::Host.name();
                self.lost[usize::from(!inside)] += lost;
                return;
            }
        };
        let kind = Kind {
            destination: sent.destination.clone(),
            origin: sent.origin.clone(),
            boundary: sent.boundary.clone(),
            class: sent.class.clone(),
            basis: sent.basis.clone(),
            transforms: sent.transforms.clone(),
            audit: sent.audit.clone(),
        };
        let sums = self.groups.entry(kind).or_default();
        sums.entries += 1;
        sums.bytes += sent.bytes;
        let first =
            || PolicyUse { policy: sent.policy.clone(), first: entry.at.clone(), last: entry.at.clone(), entries: 0 };
        let policy = self.policies.entry(sent.policy.clone()).or_insert_with(first);
        policy.entries += 1;
        policy.last.clone_from(&entry.at);
    }

    /// The report, with what the record has and what verifying found.
    pub fn report(self, requests: Option<Vec<ClassGroup>>, verification: Verification) -> Report {
        let question = self.question;
        let sent: Vec<Group> = self
            .groups
            .into_iter()
            .map(|(kind, sums)| Group { concerned: question.concerns(&kind.class), kind, sums })
            .collect();
        // Whatever is not said to be inside counts as outside.
        let outside = |group: &&Group| group.concerned && group.kind.boundary != Boundary::Host.name();
        let sent_outside = sent.iter().filter(outside).map(|group| group.sums.entries).sum();
        let mut policies: Vec<PolicyUse> = self.policies.into_values().collect();
        policies.sort_by(|a, b| (&a.first, &a.policy).cmp(&(&b.first, &b.policy)));
        let all = requests.as_deref().unwrap_or_default();
        let unclassified = all.iter().filter(|group| group.class.is_none()).map(|group| group.requests).sum();
        let requests = requests.map(|mut groups| {
            groups.retain(|group| group.class.as_deref().is_some_and(|class| question.concerns(class)));
            groups
        });
        let [unknown_inside, unknown_outside] = self.lost;
        let holds = sent_outside == 0 && unknown_outside == 0 && verification.is_sound();
        Report {
            question,
            holds,
            sent_outside,
            unknown_outside,
            unknown_inside,
            sent,
            policies,
            requests,
            unclassified,
            verification,
        }
    }
}
