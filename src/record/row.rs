//! What is kept of one request.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::chat::reply::Confidence;
use crate::chat::{MicroUsd, Priority, RequestId, Text};

/// A word of ours: mostly a constant, owned where it was read back from the store.
pub type Label = Cow<'static, str>;

/// One request. What is not known is `None`, never zero.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The request's id.
    pub id: RequestId,
    /// When it came in; kept to the millisecond.
    pub at: Timestamp,
    /// Whose caches the key shares.
    pub tenant: Option<Arc<str>>,
    /// The key's name.
    pub key: Option<Arc<str>>,
    /// The attributes that the policy saw.
    pub attributes: Arc<BTreeMap<String, String>>,
    /// The client API: `openai.chat` and so on.
    pub dialect: Label,
    /// The model name as the client wrote it.
    pub asked_model: Option<String>,
    /// HTTP status of the answer.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it ended so, as one code.
    pub reason: Option<Label>,
    /// The class of the request.
    pub class: Option<Arc<str>>,
    /// What the class rests on: `deterministic` or `statistical`.
    pub class_basis: Option<Label>,
    /// The policy's route.
    pub route: Option<Arc<str>>,
    /// The destination that answered.
    pub served_by: Option<Arc<str>>,
    /// Whether it is inside the boundary: this process or this host.
    pub local: Option<bool>,
    /// The destinations that could be tried, in order.
    pub plan: Vec<Arc<str>>,
    /// What the cache did.
    pub cache: Cache,
    /// Whether the answer was streamed.
    pub stream: bool,
    /// Prompt tokens.
    pub input_tokens: Option<u64>,
    /// Answer tokens.
    pub output_tokens: Option<u64>,
    /// Prompt tokens read from a prefix cache.
    pub cached_tokens: Option<u64>,
    /// What it cost.
    pub cost: Option<MicroUsd>,
    /// Whether the tokens were counted here, as the provider did not report them.
    pub usage_estimated: bool,
    /// How much better the closed model was expected to do.
    pub est_gain: Option<f64>,
    /// How sure the embedded model was of its answer.
    pub confidence: Option<Confidence>,
    /// How urgent it was to the engine that it waited for.
    pub priority: Option<Priority>,
    /// How long it took.
    pub timing: Timing,
    /// How often a destination was tried.
    pub attempts: u32,
    /// Digest of the policies in force.
    pub policy: Option<Arc<str>>,
    /// Body bytes that left for external destinations.
    pub bytes_out: u64,
    /// What was done to the body for each destination that may have it only transformed, attempt by attempt.
    pub transforms: Vec<Transformed>,
    /// The policy's whole decision record, as JSON.
    pub decision: String,
    /// What a policy set that is only tried says of it.
    pub would_have: Option<WouldHave>,
    /// The words themselves: only where the policy says so.
    pub text: Option<StoredText>,
}

impl Row {
    /// A request that has just come in. As long as nobody says otherwise it counts as failed.
    pub fn new(id: RequestId, at: Timestamp, dialect: impl Into<Label>) -> Self {
        Self {
            id,
            at,
            tenant: None,
            key: None,
            attributes: Arc::default(),
            dialect: dialect.into(),
            asked_model: None,
            status: 500,
            outcome: Outcome::Failed,
            reason: None,
            class: None,
            class_basis: None,
            route: None,
            served_by: None,
            local: None,
            plan: Vec::new(),
            cache: Cache::Bypass,
            stream: false,
            input_tokens: None,
            output_tokens: None,
            cached_tokens: None,
            cost: None,
            usage_estimated: false,
            est_gain: None,
            confidence: None,
            priority: None,
            timing: Timing::default(),
            attempts: 0,
            policy: None,
            bytes_out: 0,
            transforms: Vec::new(),
            decision: "{}".to_owned(),
            would_have: None,
            text: None,
        }
    }
}

/// What a policy set that is only tried would have decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WouldHave {
    /// All of it, as JSON.
    pub record: String,
    /// Whether it chooses differently; `None` where trying it failed.
    pub differs: Option<bool>,
    /// Whether it permits somebody whom the set in force does not; `None` where trying it failed.
    pub widens: Option<bool>,
}

/// What was done to the body before it went, or was not to go, to a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transformed {
    /// The destination.
    pub destination: String,
    /// How many originals were replaced by pseudonyms.
    pub replaced: u32,
    /// How many pseudonyms were put back in the answer.
    pub restored: u32,
    /// How many words of the answer look like pseudonyms and stand for nothing.
    pub unrestored: u32,
    /// Whether the outgoing body was found clean; if not, nothing left.
    pub rescan_clean: bool,
}

impl Transformed {
    /// A body for `destination`, of which no answer has come yet.
    pub fn new(destination: &str, replaced: u32, rescan_clean: bool) -> Self {
        Self { destination: destination.to_owned(), replaced, restored: 0, unrestored: 0, rescan_clean }
    }
}

/// Prompt and answer, where they may be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredText {
    /// The request's words.
    pub prompt: Text,
    /// The answer's words.
    pub answer: Text,
}

/// Durations in milliseconds; `None` where the request did not get that far.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Reading and decoding the body.
    pub parse: Option<f64>,
    /// Detectors and difficulty.
    pub classify: Option<f64>,
    /// The policy.
    pub decide: Option<f64>,
    /// Waiting for the local engine.
    pub queue: Option<f64>,
    /// From the start to the first content byte.
    pub ttft: Option<f64>,
    /// From the start to the end.
    pub total: f64,
}

/// A closed set of words: its names, and how to read them back.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant),+ }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in the store, in exports and in metrics.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// Reads the word back.
            pub fn parse(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

words! {
    /// How a request ended.
    Outcome {
        /// The client got an answer.
        Answered = "answered",
        /// A policy said no.
        Refused = "refused",
        /// The client asked what would be decided, and nothing was done.
        DryRun = "dry_run",
        /// Something broke.
        Failed = "failed",
        /// The client left before the end.
        HungUp = "hung_up",
        /// The request itself was wrong.
        Invalid = "invalid",
        /// The key asked too often, or its budget is used up.
        Limited = "limited",
        /// ajar was stopping.
        ShuttingDown = "shutting_down",
    }
}

words! {
    /// What the cache did for a request.
    Cache {
        /// It answered.
        Hit = "hit",
        /// It had no answer.
        Miss = "miss",
        /// It was not asked.
        Bypass = "bypass",
        /// The answer to the same request, then under way, was shared.
        Coalesced = "coalesced",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        assert!(Outcome::ALL.iter().all(|o| Outcome::parse(o.name()) == Some(*o)));
        assert!(Cache::ALL.iter().all(|c| Cache::parse(c.name()) == Some(*c)));
        assert_eq!(Outcome::parse("fine"), None);
    }

    #[test]
    fn debug_of_a_row_shows_no_text() {
        let mut row = Row::new(RequestId(ulid::Ulid(1)), Timestamp::UNIX_EPOCH, "openai.chat");
        row.text = Some(StoredText { prompt: "my secret".into(), answer: "your secret".into() });
        assert!(!format!("{row:?}").contains("secret"));
    }
}
