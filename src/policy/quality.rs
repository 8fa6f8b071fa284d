//! What a set says about how good answers are and what to do about it: estimators, cascades, affinity; and where such
//! helpers run.
//!
//! Of these this build acts on a stated guess ([`EstimatorSpec::assumed`]) and on a cascade's order of attempts; the rest
//! is checked and kept.

use std::time::Duration;

use super::set::DestinationId;
use crate::yaml::Place;

/// How the chance of a good answer (`p_ok`) of one destination is found.
#[derive(Clone, Debug, PartialEq)]
pub struct EstimatorSpec {
    /// Where it stands.
    pub place: Place,
    /// Whose answers it judges.
    pub destination: DestinationId,
    /// What it looks at.
    pub signals: Vec<Signal>,
    /// The file of a calibrated estimate.
    pub artifact: Option<String>,
    /// Fewer labelled samples than this make no estimate.
    pub min_samples: Option<u64>,
    /// An older artefact makes no estimate.
    pub max_age: Option<Duration>,
    /// The operator's own guess, used where nothing better is known.
    pub assumed: Option<f64>,
    /// Where it runs; `None` is this process.
    pub runs_on: Option<DestinationId>,
}

/// What an estimator looks at, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Lengths, tools, formats, the kind of task.
    RequestShape,
    /// How an agent's last steps went.
    Trajectory,
    /// Outcomes of similar requests.
    Neighbours,
    /// A head on the local model's hidden state after prefill.
    PrefillProbe,
    /// How sure the local model was of its tokens.
    TokenMargin,
    /// How spread its choices were.
    Entropy,
    /// What the local model says of its own draft.
    PTrue,
}

impl Signal {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 7] = [
        ("request_shape", Self::RequestShape),
        ("trajectory", Self::Trajectory),
        ("neighbours", Self::Neighbours),
        ("prefill_probe", Self::PrefillProbe),
        ("token_margin", Self::TokenMargin),
        ("entropy", Self::Entropy),
        ("p_true", Self::PTrue),
    ];
}

/// Try a cheap destination first, and go on to a better one where its draft is not good enough.
#[derive(Clone, Debug, PartialEq)]
pub struct Cascade {
    /// Who drafts.
    pub start: DestinationId,
    /// A lower known chance of the start is hopeless: it goes last.
    pub skip_below: Option<f64>,
    /// How a draft is looked at, in this order.
    pub verify: Vec<Verification>,
    /// The combined chance from which a draft is accepted.
    pub accept: Option<f64>,
    /// Who answers instead, in this order.
    pub escalate_to: Vec<DestinationId>,
    /// When the answer begins to reach the client.
    pub commit: Commit,
    /// At most so many attempts.
    pub max_attempts: Option<usize>,
    /// At most so much later than without the cascade.
    pub max_added_latency: Option<Duration>,
    /// Whether the next destination is shown the draft.
    pub carry_draft: bool,
}

impl Cascade {
    /// Where `id` stands in the order of attempts; those it does not name come last.
    pub fn position(&self, id: DestinationId) -> usize {
        match self.escalate_to.iter().position(|d| *d == id) {
            _ if id == self.start => 0,
            Some(at) => at + 1,
            None => usize::MAX,
        }
    }
}

/// One look at a draft.
#[derive(Clone, Debug, PartialEq)]
pub struct Verification {
    /// What is looked at.
    pub check: Check,
    /// For [`Check::Parses`]: the languages.
    pub languages: Vec<String>,
    /// Whether its score is turned into a calibrated chance.
    pub calibrated: bool,
    /// Where it runs; `None` is this process.
    pub runs_on: Option<DestinationId>,
}

/// What a verification looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// The answer meets the JSON schema that was asked for.
    JsonSchema,
    /// Tool calls meet their tools' schemas.
    ToolCallSchema,
    /// Code parses.
    Parses,
    /// A patch applies.
    PatchApplies,
    /// The operator's test hook passes.
    TestsPass,
    /// How sure the model was of its tokens.
    TokenMargin,
    /// What the model says of its own draft.
    PTrue,
    /// What another model says of it.
    Judge,
}

impl Check {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 8] = [
        ("json_schema", Self::JsonSchema),
        ("tool_call_schema", Self::ToolCallSchema),
        ("parses", Self::Parses),
        ("patch_applies", Self::PatchApplies),
        ("tests_pass", Self::TestsPass),
        ("token_margin", Self::TokenMargin),
        ("p_true", Self::PTrue),
        ("judge", Self::Judge),
    ];
}

/// When a cascade's answer begins to reach the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Commit {
    /// Once it is accepted.
    #[default]
    AfterVerify,
    /// After the first tokens were looked at.
    AfterTokens(u32),
    /// At once: nothing is escalated, the verdict is recorded.
    Immediate,
}

/// What keeps a conversation with its model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Affinity {
    /// Where it stands.
    pub place: Place,
    /// When a better model may take over.
    pub switch_up: Switch,
    /// When a cheaper one may.
    pub switch_down: Switch,
    /// Whether a switch pays for the prompt cache that it leaves behind.
    pub price_prompt_cache: bool,
}

/// When a conversation may change its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch {
    /// With any request.
    Immediate,
    /// When a person speaks again.
    UserTurn,
    /// Not at all.
    Never,
}

impl Switch {
    /// Whether a conversation may change its model now.
    pub fn allows(self, user_turn: bool) -> bool {
        match self {
            Self::Immediate => true,
            Self::UserTurn => user_turn,
            Self::Never => false,
        }
    }

    /// All, with their names.
    pub const ALL: [(&'static str, Self); 3] =
        [("immediate", Self::Immediate), ("user_turn", Self::UserTurn), ("never", Self::Never)];
}

/// A detector, an estimator or a judge that runs on a destination: whatever it looks at goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// What it is: "the detector `person`".
    pub what: String,
    /// Where that is said.
    pub place: Place,
    /// Where it runs.
    pub destination: DestinationId,
}
