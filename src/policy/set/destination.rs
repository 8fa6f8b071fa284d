//! Who may receive content.

use crate::chat::{Task, Tasks};
use crate::govern::Price;
use crate::yaml::Place;

use super::Class;

/// Index of a destination in the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestinationId(pub u8);

/// A set of destinations, at most 64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DestinationSet(pub u64);

impl DestinationSet {
    /// The most destinations a policy set can have.
    pub const MAX: usize = 64;
    /// None.
    pub const EMPTY: Self = Self(0);

    /// Just `id`.
    pub fn of(id: DestinationId) -> Self {
        Self(1 << id.0)
    }

    /// Whether `id` is in it.
    pub fn contains(self, id: DestinationId) -> bool {
        self.0 & (1 << id.0) != 0
    }

    /// With `id`.
    pub fn insert(&mut self, id: DestinationId) {
        self.0 |= 1 << id.0;
    }

    /// Without `id`.
    pub fn remove(&mut self, id: DestinationId) {
        self.0 &= !(1 << id.0);
    }

    /// Those in both.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those not in `other`.
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each, lowest index first.
    pub fn iter(self) -> impl Iterator<Item = DestinationId> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let id = (!rest.is_empty()).then(|| DestinationId(rest.0.trailing_zeros() as u8))?;
            rest.remove(id);
            Some(id)
        })
    }
}

/// From one flag per destination.
impl FromIterator<bool> for DestinationSet {
    fn from_iter<I: IntoIterator<Item = bool>>(flags: I) -> Self {
        let mut set = Self::EMPTY;
        for (id, _) in (0..).map(DestinationId).zip(flags).filter(|(_, flag)| *flag) {
            set.insert(id);
        }
        set
    }
}

/// Whether a destination lies inside the operator's zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// In this process, on this host, or in a zone the operator trusts.
    Host,
    /// Anywhere else.
    External,
}

impl Boundary {
    /// The word in policies and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::External => "external",
        }
    }
}

/// Anything that receives content.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where it is defined.
    pub place: Place,
    /// Its name in the set.
    pub name: String,
    /// `embedded`, the name of a provider in the configuration, or `sink/…`.
    pub via: String,
    /// The model there; empty for sinks.
    pub model: String,
    /// Inside or outside.
    pub boundary: Boundary,
    /// What it can be asked for; nothing where it is a sink.
    pub serves: Tasks,
    /// The highest class it may receive.
    pub accepts: Class,
    /// Where it is.
    pub region: Option<String>,
    /// `local`, `cheap`, `frontier`: the operator's word.
    pub tier: Option<String>,
    /// The trusted zone's name: `host` where a destination inside states none; nothing outside has one.
    pub zone: Option<String>,
    /// How long the provider keeps content.
    pub retention: Option<String>,
    /// Whether the provider may train on content.
    pub training: Option<String>,
    /// Who else processes content for the provider.
    pub subprocessor: Option<String>,
    /// Its context window in tokens, where the policy states it.
    pub context: Option<u32>,
    /// What a token costs; `None` means unknown, and then it is never called.
    pub price: Option<Price>,
    /// What a sink stores.
    pub store: Store,
    /// Whether a cache also holds sampled answers (`temperature` above 0).
    pub cache_sampled: bool,
}

impl Destination {
    /// The `dest.*` names.
    pub const PROPERTIES: [&str; 10] =
        ["name", "via", "model", "boundary", "region", "tier", "zone", "retention", "training", "subprocessor"];

    /// The value of `dest.<property>`; `None` is null.
    pub fn property(&self, property: &str) -> Option<&str> {
        match property {
            "name" => Some(&self.name),
            "via" => Some(&self.via),
            "model" => Some(&self.model),
            "boundary" => Some(self.boundary.name()),
            "region" => self.region.as_deref(),
            "tier" => self.tier.as_deref(),
            "zone" => self.zone.as_deref(),
            "retention" => self.retention.as_deref(),
            "training" => self.training.as_deref(),
            "subprocessor" => self.subprocessor.as_deref(),
            _ => None,
        }
    }

    /// Whether it answers requests: every destination that is no sink.
    pub fn is_model(&self) -> bool {
        !self.via.starts_with("sink/")
    }

    /// Whether it can be asked for `task`. What completes texts in the way of a conversation does so badly, but it does.
    pub fn answers(&self, task: Task) -> bool {
        self.serves.contains(task) || task == Task::Completions && self.serves.contains(Task::Chat)
    }

    /// Whether a request there costs nothing, however long it is.
    pub fn is_free(&self) -> bool {
        self.price == Some(Price::FREE)
    }

    /// Whether it is the engine in this process.
    pub fn is_embedded(&self) -> bool {
        self.via == "embedded"
    }
}

/// What a sink stores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Findings, counts, hashes: no text.
    #[default]
    Features,
    /// Prompts and answers as well, up to the ceiling.
    Text,
}
