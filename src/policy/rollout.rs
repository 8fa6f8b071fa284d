//! Trying a set before it is in force: which requests it may decide, what it may do at most, and how it differs.
//!
//! A canary is decided by the new set *within* the old one: who may receive the request is the intersection of both, what
//! must be done to the body their union, and caps the lower of the two. So it can never leak more than either.

use super::decision::{Decision, Outcome};
use super::set::{Destination, DestinationId, DestinationSet, PolicySet, Store, TransformSet};
use crate::chat::MicroUsd;
use crate::yaml::Place;

/// How a set comes into force.
#[derive(Clone, Debug, PartialEq)]
pub struct Rollout {
    /// Where it stands.
    pub place: Place,
    /// Whether the set is in force or only tried.
    pub mode: Mode,
    /// What share of the stable values the set decides as a canary, from 0 to 100.
    pub percent: f64,
    /// What is stable.
    pub by: By,
    /// The folder of the set that is in force meanwhile, relative to this set's.
    pub compare_with: Option<String>,
}

impl Rollout {
    /// Which set decides for this stable value. The same value is always on the same side, across restarts and edits of
    /// the set, and one that was in stays in as the share grows.
    pub fn side(&self, set_name: &str, stable: &[u8]) -> Side {
        let mut hasher = blake3::Hasher::new_derive_key("ajar rollout v1: which set decides");
        hasher.update(&(set_name.len() as u64).to_le_bytes()).update(set_name.as_bytes()).update(stable);
        let mut first = [0; 8];
        first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
        let on_trial = self.mode == Mode::Canary && is_among(u64::from_le_bytes(first), self.percent);
        if on_trial { Side::OnTrial } else { Side::InForce }
    }
}

/// Whether one of 2⁶⁴ places is among the first `percent` of them: none at 0, all at 100.
fn is_among(place: u64, percent: f64) -> bool {
    // As many bits as a float has, so that the last place is below 1.
    let share = (place >> (u64::BITS - f64::MANTISSA_DIGITS)) as f64 / (1_u64 << f64::MANTISSA_DIGITS) as f64;
    share * 100.0 < percent
}

/// Whether a set is in force or only tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It decides.
    Enforce,
    /// It is evaluated and recorded, and the client is warned where it would refuse or choose differently.
    Warn,
    /// It is evaluated and recorded, and nothing else changes.
    Shadow,
    /// It decides for some, within what the set in force permits.
    Canary,
}

impl Mode {
    /// All, with their words.
    pub const ALL: [(&'static str, Self); 4] =
        [("enforce", Self::Enforce), ("warn", Self::Warn), ("shadow", Self::Shadow), ("canary", Self::Canary)];

    /// The word used in policies and records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Warn => "warn",
            Self::Shadow => "shadow",
            Self::Canary => "canary",
        }
    }
}

/// What a canary's side is chosen by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The virtual key.
    Key,
    /// The key's tenant.
    Tenant,
    /// The key and how the conversation began.
    Conversation,
}

impl By {
    /// All, with their words.
    pub const ALL: [(&'static str, Self); 3] =
        [("key", Self::Key), ("tenant", Self::Tenant), ("conversation", Self::Conversation)];

    /// The word used in policies.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Tenant => "tenant",
            Self::Conversation => "conversation",
        }
    }
}

/// Which of two sets decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The set in force.
    InForce,
    /// The set that is tried.
    OnTrial,
}

impl Side {
    /// The word used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::OnTrial => "on_trial",
        }
    }
}

/// For each destination of the set on trial, the same one of the set in force, if there is one.
#[derive(Clone, Debug)]
pub struct Counterparts(Vec<Option<DestinationId>>);

impl Counterparts {
    /// A name alone does not make two destinations the same: what is behind it must be the same as well, and a sink may
    /// not store more.
    pub fn new(in_force: &PolicySet, on_trial: &PolicySet) -> Self {
        let counterpart = |tried: &Destination| {
            let id = in_force.destination_named(&tried.name)?;
            is_same(in_force.destination(id), tried).then_some(id)
        };
        Self(on_trial.destinations.iter().map(counterpart).collect())
    }

    /// The destination of the set in force that is the tried set's `id`.
    pub fn of(&self, id: DestinationId) -> Option<DestinationId> {
        self.0.get(usize::from(id.0)).copied().flatten()
    }

    /// What the tried set permits and the set in force does not, by the tried set's ids.
    pub fn widened(&self, in_force: &Decision, on_trial: &Decision) -> DestinationSet {
        let also = |id: DestinationId| self.of(id).is_some_and(|old| in_force.permitted.contains(old));
        let mut wider = on_trial.permitted;
        on_trial.permitted.iter().filter(|id| also(*id)).for_each(|id| wider.remove(id));
        wider
    }
}

fn is_same(old: &Destination, new: &Destination) -> bool {
    // What an operator calls it says nothing about who is behind it.
    let mut properties = Destination::PROPERTIES.iter().filter(|property| **property != "tier");
    let stores_no_more = new.store == Store::Features || old.store == Store::Text;
    stores_no_more && properties.all(|property| old.property(property) == new.property(property))
}

/// What a decision may do at most: what another set decided about the same request.
#[derive(Clone, Debug)]
pub struct Bounds {
    pub(super) permitted: DestinationSet,
    pub(super) transforms: [TransformSet; DestinationSet::MAX],
    pub(super) max_output: Option<u32>,
    pub(super) max_cost: Option<MicroUsd>,
}

impl Bounds {
    /// Of what the set in force decided, in the tried set's ids.
    pub fn of(in_force: &Decision, counterparts: &Counterparts) -> Self {
        let mut bounds = Self {
            permitted: DestinationSet::EMPTY,
            transforms: [TransformSet::default(); DestinationSet::MAX],
            max_output: in_force.max_output,
            max_cost: in_force.max_cost,
        };
        for (i, counterpart) in counterparts.0.iter().enumerate() {
            let Some(old) = *counterpart else { continue };
            if in_force.permitted.contains(old) {
                bounds.permitted.insert(DestinationId(i as u8));
            }
            bounds.transforms[i] = in_force.transforms[usize::from(old.0)];
        }
        bounds
    }

    /// Whom they keep out, of the first `destinations` ids.
    pub fn outside(&self, destinations: usize) -> DestinationSet {
        (0..destinations).map(|i| !self.permitted.contains(DestinationId(i as u8))).collect()
    }
}

/// Who is asked first, or why nobody is: what two sets are compared by.
pub fn choice<'a>(set: &'a PolicySet, decision: &'a Decision) -> Result<&'a str, &'a str> {
    match (decision.outcome, decision.plan().first()) {
        (Outcome::Refuse(refusal), _) => Err(refusal.reason(set)),
        (Outcome::Go(_), Some(first)) => Ok(&set.destination(first.id).name),
        (Outcome::Go(choice), None) => Err(choice.code()),
    }
}

/// Whether two sets choose differently. Two refusals are the same, whatever their words.
pub fn differs(in_force: (&PolicySet, &Decision), on_trial: (&PolicySet, &Decision)) -> bool {
    choice(in_force.0, in_force.1).ok() != choice(on_trial.0, on_trial.1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canary(percent: f64) -> Rollout {
        Rollout { place: Place::whole("test"), mode: Mode::Canary, percent, by: By::Key, compare_with: None }
    }

    fn inside(percent: f64) -> Vec<usize> {
        let on_trial = |n: &usize| canary(percent).side("next", format!("key {n}").as_bytes()) == Side::OnTrial;
        (0..10_000).filter(on_trial).collect()
    }

    #[test]
    fn a_share_is_what_it_says_and_grows_by_newcomers_only() {
        assert_eq!((inside(0.0).len(), inside(100.0).len()), (0, 10_000));
        let (few, more) = (inside(10.0), inside(25.0));
        assert!((900..1100).contains(&few.len()) && (2350..2650).contains(&more.len()), "{} {}", few.len(), more.len());
        assert!(few.iter().all(|n| more.contains(n)));
        let elsewhere =
            (0..10_000).filter(|n| canary(10.0).side("other", format!("key {n}").as_bytes()) == Side::OnTrial);
        assert_ne!(few, elsewhere.collect::<Vec<_>>(), "another rollout tries others");
    }

    #[test]
    fn no_place_is_among_none_and_each_among_all_and_the_middle_begins_the_second_half() {
        let middle = 1 << 63;
        assert_eq!([0, middle, u64::MAX].map(|place| is_among(place, 0.0)), [false; 3]);
        assert_eq!([0, middle - 1, middle, u64::MAX].map(|place| is_among(place, 50.0)), [true, true, false, false]);
        assert_eq!([0, middle, u64::MAX].map(|place| is_among(place, 100.0)), [true; 3]);
    }

    #[test]
    fn only_a_canary_decides() {
        for (_, mode) in Mode::ALL.into_iter().filter(|(_, mode)| *mode != Mode::Canary) {
            let rollout = Rollout { mode, ..canary(100.0) };
            assert_eq!(rollout.side("next", b"key"), Side::InForce);
        }
    }

    #[test]
    fn the_side_of_a_key_is_the_same_after_a_restart() {
        // Written down once: a change of the hash would move everybody's keys.
        let sides =
            ["a", "b", "c", "d", "e", "f", "g", "h"].map(|key| canary(50.0).side("next", key.as_bytes()).name());
        insta::assert_debug_snapshot!(sides);
    }
}
