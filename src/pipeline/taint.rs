//! What conversations rose to. Remembered in memory, and behind that in the record's file, so that neither a restart nor
//! a full memory forgets.
//!
//! Only what a request rose to above where it started is kept, so an ordinary conversation costs nothing. What counts is
//! what the set in force decides, also while another one is tried.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};
use moka::ops::compute::Op;
use moka::sync::Cache;
use tokio::time::timeout;

use super::Policy;
use super::companions::Companion;
use super::conversation::{Conversation, answer, is_known};
use super::view::Weighed;
use crate::chat::{ChatRequest, RequestId};
use crate::policy::explain::Before;
use crate::policy::set::{Basis, Floor, KnownBy};
use crate::policy::{Class, Inputs, PolicySet, decide};
use crate::record::{ConversationId, Conversations, Kept, Recorder, StoreError};

/// Conversations in memory; of more, those not asked for longest are in the file only.
const REMEMBERED: u64 = 100_000;

/// How long a request waits at most until what it rose to is on disk.
const DURABLE_WITHIN: Duration = Duration::from_secs(1);

/// What all conversations rose to.
pub struct Taints {
    secret: [u8; 32],
    /// `None` for one that had not risen when the file was asked.
    memory: Cache<ConversationId, Option<Kept>>,
    store: Option<Conversations>,
    recorder: Option<Recorder>,
}

impl Taints {
    /// Known under `secret`; without a record in this process only.
    pub fn new(secret: [u8; 32], record: Option<(Conversations, Recorder)>) -> Self {
        let (store, recorder) = record.unzip();
        Self { secret, memory: Cache::new(REMEMBERED), store, recorder }
    }

    /// The conversation of `request`, for `tenant`.
    pub(super) fn conversation(&self, tenant: &str, headers: &HeaderMap, request: &ChatRequest) -> Conversation {
        Conversation::of(&self.secret, tenant, headers, request)
    }

    /// What `set` lets be known of a request's conversation. Where nobody can say what that was before, it is unknown.
    pub(super) async fn recall(
        &self,
        set: &PolicySet,
        tenant: &str,
        headers: &HeaderMap,
        request: &ChatRequest,
    ) -> Recalled {
        let by = &set.conversations.by;
        if !is_known(by, headers, request) {
            return Recalled::default();
        }
        let conversation = self.conversation(tenant, headers, request);
        let mut past = Past::default();
        for id in conversation.known(by) {
            match self.find(id).await {
                Ok(kept) => past.kept.extend(kept),
                Err(error) => {
                    tracing::warn!(%error, "What a conversation rose to is not known: it counts as the highest class.");
                    past.unknown = true;
                }
            }
        }
        Recalled { conversation: Some(conversation), past }
    }

    async fn find(&self, id: ConversationId) -> Result<Option<Kept>, StoreError> {
        if let Some(known) = self.memory.get(&id) {
            return Ok(known.filter(|kept| kept.until > Timestamp::now()));
        }
        let Some(store) = &self.store else { return Ok(None) };
        let found = store.find(&id).await?;
        // It may have risen in the meantime.
        Ok(self.memory.entry(id).or_insert(found).into_value())
    }

    /// Keeps what the conversation rose to. On disk, or as good as, when this returns.
    pub(super) async fn keep(&self, recalled: &Recalled, risen: &Risen) {
        let by = &risen.policy.set.conversations.by;
        let ids = recalled.conversation.map(|conversation| conversation.lasting(by)).unwrap_or_default();
        let rose = ids.into_iter().fold(false, |rose, id| self.note(id, risen) | rose);
        let Some(recorder) = self.recorder.as_ref().filter(|_| rose) else { return };
        if timeout(DURABLE_WITHIN, recorder.flush()).await.is_err() {
            tracing::warn!("What a conversation rose to is not on disk yet: a restart now would forget it.");
        }
    }

    /// Keeps the same for those who will continue the answer `id`.
    pub(super) fn keep_answer(&self, tenant: &str, id: &str, risen: &Risen) {
        self.note(answer(&self.secret, tenant, id), risen);
    }

    /// Whether it was lower before. What has risen only stays known longer.
    fn note(&self, id: ConversationId, risen: &Risen) -> bool {
        let (set, now) = (&risen.policy.set, Timestamp::now());
        let ttl = set.conversations.ttl;
        // Longer than asked for, so that not every request of a conversation is written.
        let (least, until) = (later(now, ttl), later(now, ttl.saturating_add(ttl / 2)));
        let (mut rose, mut news) = (false, None);
        self.memory.entry(id).and_compute_with(|known| {
            let known = known.and_then(|entry| entry.into_value()).filter(|kept| kept.until > now);
            let higher = known.filter(|kept| class(set, &kept.class) >= class(set, &risen.class));
            rose = higher.is_none();
            news = match higher {
                None => Some(Kept { class: risen.class.clone(), since: risen.since, until }),
                Some(kept) if kept.until < least => Some(Kept { until, ..kept }),
                Some(_) => None,
            };
            news.clone().map_or(Op::Nop, |kept| Op::Put(Some(kept)))
        });
        if let (Some(recorder), Some(kept)) = (&self.recorder, news)
            && !recorder.keep(id, kept)
        {
            tracing::warn!("The record takes nothing: what a conversation rose to is known in this process only.");
        }
        rose
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// The class of `set` with this name; one that it does not have counts as the highest.
fn class(set: &PolicySet, name: &str) -> Class {
    set.class_named(name).unwrap_or(set.top_class())
}

/// What is known of a request's conversation.
#[derive(Debug, Default)]
pub(super) struct Recalled {
    /// `None` where the request says nothing of it.
    conversation: Option<Conversation>,
    pub(super) past: Past,
}

/// What a request's conversation was before.
#[derive(Debug, Default)]
pub(super) struct Past {
    kept: Vec<Kept>,
    unknown: bool,
    /// Who answered it last.
    pub(super) companion: Companion,
}

impl Past {
    /// What counts for it in the classes of `set`.
    pub(super) fn before(&self, set: &PolicySet) -> Option<Before> {
        let floor = Floor { class: set.top_class(), basis: Basis::Unknown };
        let unknown = (self.unknown && set.conversations.are_kept()).then_some(Before { floor, since: None });
        let known = self.known(set);
        // What is known says more, where it restricts as much.
        known.filter(|known| unknown.is_none() || known.floor.class == floor.class).or(unknown)
    }

    fn known(&self, set: &PolicySet) -> Option<Before> {
        let kept = self.kept.iter().filter(|_| set.conversations.are_kept());
        let before = |kept: &Kept| Before { floor: Floor::of(class(set, &kept.class)), since: Some(kept.since) };
        kept.map(before).max_by_key(|before| before.floor.class)
    }
}

/// What a request leaves to its conversation.
pub(super) struct Risen {
    policy: Arc<Policy>,
    class: Arc<str>,
    since: RequestId,
}

impl Risen {
    /// What the request `id` leaves, if it, or one before, rose above where it started. A class that counts only since
    /// nobody knew the conversation's is not left.
    pub(super) fn of(policy: &Arc<Policy>, weighed: &Weighed, past: &Past, id: RequestId) -> Option<Self> {
        let set = &policy.set;
        let before = past.known(set);
        let floor = before.map(|before| before.floor);
        let class = match past.unknown {
            true => decide(set, &Inputs { floor, ..weighed.inputs() }).class,
            false => weighed.decision.class,
        };
        let stays = before.filter(|before| before.floor.class == class).and_then(|before| before.since);
        let rose = set.conversations.are_kept() && class > weighed.decision.start(set);
        let since = stays.or(rose.then_some(id))?;
        Some(Self { policy: policy.clone(), class: policy.names.classes[usize::from(class.0)].clone(), since })
    }

    /// Whether it is left to those who continue its answer.
    pub(super) fn lasts_by_answer(&self) -> bool {
        self.policy.set.conversations.by.contains(&KnownBy::Response)
    }
}

#[cfg(test)]
mod tests {
    use ulid::Ulid;

    use super::*;
    use crate::policy::load::{Source, load};

    fn policy() -> Arc<Policy> {
        let text = "ajar: policy/v1\nname: t\nauthority: base\nclasses: [low, middle, high]\ndefault_class: low\n\
            conversations: { ttl: 1h }\ndestinations:\n  home: { via: embedded, model: m, boundary: host }\n\
            routes:\n  - { id: all, order: 1, candidates: [home] }\n";
        let source = Source { file: "t.yaml".to_owned(), text: text.to_owned() };
        Arc::new(Policy::new(load(&[source], &|_| None).unwrap_or_else(|problems| panic!("{problems}"))))
    }

    fn risen(policy: &Arc<Policy>, class: &str, n: u128) -> Risen {
        Risen { policy: policy.clone(), class: class.into(), since: RequestId(Ulid::from(n)) }
    }

    fn remembered(taints: &Taints) -> (String, u128) {
        let kept = taints.memory.get(&[1; 32]).flatten().unwrap();
        (kept.class.to_string(), kept.since.0.into())
    }

    #[test]
    fn a_class_only_rises_and_says_since_when() {
        let (taints, policy) = (Taints::new([7; 32], None), policy());
        for (class, n, rises, expected) in [
            ("middle", 1, true, ("middle", 1)),
            ("middle", 2, false, ("middle", 1)),
            ("high", 3, true, ("high", 3)),
            ("middle", 4, false, ("high", 3)),
            ("no such class", 5, false, ("high", 3)),
        ] {
            assert_eq!(taints.note([1; 32], &risen(&policy, class, n)), rises, "{class}");
            assert_eq!(remembered(&taints), (expected.0.to_owned(), expected.1));
        }
    }

    #[tokio::test]
    async fn what_is_asked_for_stays_longer_and_what_is_over_is_forgotten() {
        let (taints, policy, now) = (Taints::new([7; 32], None), policy(), Timestamp::now());
        let kept = |until| Kept { class: "high".into(), since: RequestId(Ulid::from(1_u128)), until };
        taints.memory.insert([1; 32], Some(kept(later(now, Duration::from_secs(1800)))));
        assert!(!taints.note([1; 32], &risen(&policy, "high", 2)));
        let until = taints.find([1; 32]).await.unwrap().unwrap().until;
        assert!(until >= later(now, Duration::from_secs(5400)) && remembered(&taints).1 == 1);
        taints.memory.insert([1; 32], Some(kept(now)));
        assert_eq!(taints.find([1; 32]).await.unwrap(), None);
        assert!(taints.note([1; 32], &risen(&policy, "middle", 3)), "it begins anew");
        assert_eq!(remembered(&taints), ("middle".to_owned(), 3));
    }

    #[test]
    fn what_nobody_knows_counts_as_the_highest_and_what_is_known_as_the_highest_of_it() {
        let (policy, until) = (policy(), Timestamp::MAX);
        let before = |classes: &[&str], unknown| {
            let kept = |class: &&str| Kept { class: (*class).into(), since: RequestId(Ulid::nil()), until };
            let past = Past { kept: classes.iter().map(kept).collect(), unknown, ..Past::default() };
            past.before(&policy.set).map(|before| (before.floor.class.0, before.floor.basis, before.since.is_some()))
        };
        assert_eq!(before(&[], false), None);
        assert_eq!(before(&["low", "middle"], false), Some((1, Basis::Conversation, true)));
        assert_eq!(before(&["removed"], false), Some((2, Basis::Conversation, true)));
        assert_eq!(before(&["middle"], true), Some((2, Basis::Unknown, false)));
        assert_eq!(before(&["high"], true), Some((2, Basis::Conversation, true)));
    }
}
