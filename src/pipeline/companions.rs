//! Who answered conversations last, so that these can stay with whom has their prompt in a cache, or has sealed a part of it.
//!
//! A preference among those whom the policy permits anyway, in memory only: whatever is forgotten costs a cache, not an
//! answer.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;

use super::conversation::Conversation;
use crate::chat::{ChatRequest, Role};
use crate::dialect::Dialect;
use crate::dispatch::Affinity;
use crate::policy::decide::Answered;
use crate::policy::{Destination, PolicySet};

/// Conversations that are remembered at most.
const REMEMBERED: u64 = 100_000;
/// For how long without a request: providers keep prompts for minutes, at most an hour.
const TTL: Duration = Duration::from_secs(3600);

/// Who answered conversations last.
pub struct Companions(Cache<[u8; 32], Arc<str>>);

/// What is known of who answered a request's conversation.
#[derive(Debug, Default)]
pub(crate) struct Companion {
    /// By what the conversation is known; `None` where it does not matter who answered it.
    conversation: Option<Conversation>,
    /// The destination's name, where there was an answer.
    pub(super) destination: Option<Arc<str>>,
    /// Whether the request belongs to who answered.
    bound: bool,
    /// Whether a person speaks again, and not a tool.
    user_turn: bool,
}

impl Default for Companions {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_idle(TTL).build())
    }
}

impl Companions {
    /// Who answered the conversation of `request`, where that matters to `set`, to the request or, as `spread` says, to
    /// the credentials of providers.
    pub(super) fn recall(
        &self,
        set: &PolicySet,
        spread: bool,
        dialect: Dialect,
        request: &ChatRequest,
        conversation: impl FnOnce() -> Conversation,
    ) -> Companion {
        // Who continues an answer of responses continues one that is kept here; elsewhere it is only a word.
        let continues = dialect == Dialect::Responses && request.continues.is_some();
        let bound = request.is_sealed() || continues;
        // Chat completions have no seals.
        let seals = dialect != Dialect::Chat || request.reasoning.is_some();
        if set.affinity.is_none() && !spread && !bound && !seals {
            return Companion::default();
        }
        let conversation = conversation();
        let user_turn = request.messages.last().is_some_and(|message| message.role == Role::User);
        let destination = self.0.get(conversation.id());
        Companion { conversation: Some(conversation), destination, bound, user_turn }
    }

    /// `destination` has begun to answer.
    pub(super) fn note(&self, companion: &Companion, destination: &Arc<str>) {
        if let Some(conversation) = &companion.conversation
            && companion.destination.as_ref() != Some(destination)
        {
            self.0.insert(*conversation.id(), destination.clone());
        }
    }
}

impl Companion {
    /// What it says of `destination`, where a request like this one has at most `input` tokens of prompt and `output` of answer.
    pub(super) fn answered(&self, destination: &Destination, input: u64, output: u64) -> Option<Answered> {
        self.destination.as_ref().filter(|name| ***name == *destination.name)?;
        let cached = destination.price.map(|price| price.from_cache(input, output));
        Some(Answered { bound: self.bound, user_turn: self.user_turn, cached })
    }

    /// By what a provider's credentials are chosen.
    pub(super) fn affinity(&self) -> Affinity {
        self.conversation.map(|conversation| conversation.affinity(self.bound)).unwrap_or_default()
    }
}
