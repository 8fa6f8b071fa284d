//! The credentials of one provider: which one the next call uses, and which rest since the provider refused them.
//!
//! A conversation stays with its credential, for what a provider keeps of a prompt, or has sealed, is often known to one
//! account only: the credential with the highest hash of conversation and place is taken (rendezvous hashing, Thaler and
//! Ravishankar 1998), unless it has clearly more to do than its share (bounded loads, Mirrokni et al. 2016).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use secrecy::{ExposeSecret, SecretString};

use super::resting::Resting;
use crate::config::Credential;

/// How long a credential rests that was refused for the first time; twice as long each next time in a row.
const SHORTEST: Duration = Duration::from_secs(5);
/// Longest rest of a credential that is refused.
const LONGEST: Duration = Duration::from_secs(300);
/// Longest pause that is granted to a provider that limits the rate.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Calls beyond its share that a credential takes to stay with its conversations.
const SLACK: u32 = 4;

/// What a call would like of its credential.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Affinity {
    /// A hash of the conversation.
    pub conversation: u64,
    /// Whether it holds what only the account that sealed it can open.
    pub sealed: bool,
}

/// All credentials of a provider; where it wants none, one that sends nothing.
pub(super) struct Keys {
    provider: String,
    places: Vec<Option<Credential>>,
    states: Mutex<Vec<State>>,
}

#[derive(Default)]
struct State {
    token: Option<Arc<SecretString>>,
    rest: Option<Rest>,
    /// Refusals since it was last accepted.
    refusals: u32,
    under_way: u32,
}

#[derive(Clone, Copy)]
struct Rest {
    until: Instant,
    why: Refusal,
}

/// What a provider finds wrong with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is used too often; for so long it must not be used at all.
    Limited(Duration),
    /// It is not known, or not any more.
    Unknown,
    /// It may not do this. That may be the request's fault, so it is avoided and not barred.
    Forbidden,
}

/// Whether a credential can be used now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Free,
    /// Only if no other is free.
    Avoided,
    Barred(Resting),
}

/// A credential in use. Dropped without a word, it says nothing about the credential.
pub struct Lease {
    keys: Arc<Keys>,
    at: usize,
    token: Option<Arc<SecretString>>,
}

impl Keys {
    /// Reads all credentials.
    pub(super) fn new(provider: &str, credentials: &[Credential]) -> Arc<Self> {
        let mut places: Vec<_> = credentials.iter().cloned().map(Some).collect();
        if places.is_empty() {
            places.push(None);
        }
        let states = places.iter().map(|_| State::default()).collect();
        let keys = Self { provider: provider.to_owned(), places, states: Mutex::new(states) };
        keys.read_again();
        Arc::new(keys)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.places.len()
    }

    /// Reads all credentials again, and says which are different now. One that is different is used at once.
    pub(super) fn read_again(&self) -> Vec<String> {
        let mut changed = Vec::new();
        for (at, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let read = place.read();
            if let Err(why) = &read {
                tracing::warn!(provider = self.provider, why, "A provider's credential is not there.");
            }
            let token = read.ok();
            self.with(|states| {
                if states[at].token.as_deref().map(SecretString::expose_secret)
                    != token.as_ref().map(SecretString::expose_secret)
                {
                    let under_way = states[at].under_way;
                    states[at] = State { token: token.map(Arc::new), under_way, ..State::default() };
                    changed.push(place.to_string());
                }
            });
        }
        changed
    }

    /// Why no call can be made now, if so.
    pub(super) fn resting(&self, now: Instant) -> Option<Resting> {
        self.pick(Affinity::default(), now).err()
    }

    /// For how long no credential can be used, from now on; zero where one may be tried, and `None` where there is none.
    pub(super) fn rest(&self, now: Instant) -> Option<Duration> {
        self.with(|states| {
            let present =
                states.iter().zip(&self.places).filter(|(state, place)| state.token.is_some() || place.is_none());
            present.map(|(state, _)| state.bar(now)).min()
        })
    }

    /// How many are in which state.
    pub(super) fn observed(&self, now: Instant) -> [(&'static str, i64); 5] {
        let standings = self.standings(now);
        let count = |of: Standing| i64::try_from(standings.iter().filter(|is| **is == of).count()).unwrap_or(i64::MAX);
        [
            ("free", count(Standing::Free)),
            ("forbidden", count(Standing::Avoided)),
            ("limited", count(Standing::Barred(Resting::Limited))),
            ("refused", count(Standing::Barred(Resting::Refused))),
            ("missing", count(Standing::Barred(Resting::NoCredential))),
        ]
    }

    /// Whether a credential is left that the provider has not refused lately.
    pub(super) fn has_fresh(&self, now: Instant) -> bool {
        self.standings(now).contains(&Standing::Free)
    }

    /// A credential for a call.
    ///
    /// # Errors
    /// Why there is none now.
    pub(super) fn lease(self: &Arc<Self>, affinity: Affinity, now: Instant) -> Result<Lease, Resting> {
        let at = self.pick(affinity, now)?;
        let token = self.with(|states| {
            states[at].under_way += 1;
            states[at].token.clone()
        });
        Ok(Lease { keys: self.clone(), at, token })
    }

    fn pick(&self, affinity: Affinity, now: Instant) -> Result<usize, Resting> {
        let standings = self.standings(now);
        let of = |wanted: Standing| (0..standings.len()).filter(|at| standings[*at] == wanted).collect::<Vec<_>>();
        let mut candidates = of(Standing::Free);
        if candidates.is_empty() {
            candidates = of(Standing::Avoided);
        }
        if !affinity.sealed {
            self.leave_out_the_busy(&mut candidates);
        }
        let best = candidates.into_iter().max_by_key(|at| weight(affinity.conversation, *at));
        best.ok_or_else(|| {
            let barred = |why| standings.contains(&Standing::Barred(why));
            let first = [Resting::Limited, Resting::Refused].into_iter().find(|why| barred(*why));
            first.unwrap_or(Resting::NoCredential)
        })
    }

    fn leave_out_the_busy(&self, candidates: &mut Vec<usize>) {
        let under_way = self.with(|states| states.iter().map(|state| state.under_way).collect::<Vec<_>>());
        let all: u32 = candidates.iter().map(|at| under_way[*at]).sum();
        let share = (5 * (all + 1)).div_ceil(4 * u32::try_from(candidates.len().max(1)).unwrap_or(u32::MAX));
        candidates.retain(|at| under_way[*at] < share + SLACK);
    }

    fn standings(&self, now: Instant) -> Vec<Standing> {
        self.with(|states| {
            let standing = |(state, place): (&State, &Option<Credential>)| state.standing(place.is_some(), now);
            states.iter().zip(&self.places).map(standing).collect()
        })
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<State>) -> T) -> T {
        // Nothing in here panics; if it did, the numbers would still be numbers.
        look(&mut self.states.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What people call the credential at this place.
    fn name(&self, at: usize) -> String {
        self.places[at].as_ref().map_or("none".to_owned(), ToString::to_string)
    }
}

impl State {
    fn standing(&self, wanted: bool, now: Instant) -> Standing {
        match self.rest {
            _ if wanted && self.token.is_none() => Standing::Barred(Resting::NoCredential),
            Some(Rest { until, why: Refusal::Limited(_) }) if now < until => Standing::Barred(Resting::Limited),
            Some(Rest { until, why: Refusal::Unknown }) if now < until => Standing::Barred(Resting::Refused),
            // One call finds out whether it is known again.
            Some(Rest { why: Refusal::Unknown, .. }) if self.under_way > 0 => Standing::Barred(Resting::Refused),
            Some(Rest { until, why: Refusal::Forbidden }) if now < until => Standing::Avoided,
            Some(_) | None => Standing::Free,
        }
    }

    /// For how long it must not be used.
    fn bar(&self, now: Instant) -> Duration {
        let barred = self.rest.filter(|rest| rest.why != Refusal::Forbidden);
        barred.map_or(Duration::ZERO, |rest| rest.until.saturating_duration_since(now))
    }

    /// For how long it rests with this.
    fn refused(&mut self, why: Refusal, now: Instant) -> Duration {
        let rest = match why {
            Refusal::Limited(wait) => wait.min(LONGEST_PAUSE),
            Refusal::Unknown | Refusal::Forbidden => {
                (SHORTEST * 2_u32.saturating_pow(self.refusals.min(8))).min(LONGEST)
            }
        };
        self.refusals += u32::from(!matches!(why, Refusal::Limited(_)));
        self.rest = Some(Rest { until: now + rest, why });
        rest
    }
}

/// How well a credential suits a conversation.
fn weight(conversation: u64, at: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (conversation, at).hash(&mut hasher);
    hasher.finish()
}

impl Lease {
    /// What to send; `None` where the provider wants nothing.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref().map(SecretString::expose_secret)
    }

    /// The provider took it.
    pub(super) fn accepted(&self) {
        self.judge(|state| (state.rest, state.refusals) = (None, 0));
    }

    /// The provider did not.
    pub(super) fn refused(&self, why: Refusal, now: Instant) {
        let Some(rest) = self.judge(|state| state.refused(why, now)) else { return };
        if let Refusal::Unknown | Refusal::Forbidden = why {
            let (provider, credential, seconds) = (&self.keys.provider, self.keys.name(self.at), rest.as_secs_f64());
            tracing::warn!(provider, credential, seconds, "A provider refuses a credential, which rests for a while.");
        }
    }

    /// What is said of a credential that was replaced meanwhile says nothing of the new one.
    fn judge<T>(&self, verdict: impl FnOnce(&mut State) -> T) -> Option<T> {
        let same = |state: &State| match (&self.token, &state.token) {
            (Some(used), Some(now)) => Arc::ptr_eq(used, now),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        self.keys.with(|states| same(&states[self.at]).then(|| verdict(&mut states[self.at])))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.keys.with(|states| states[self.at].under_way -= 1);
    }
}

#[cfg(test)]
mod tests;
