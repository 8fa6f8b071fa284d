//! The sections that choose among what is permitted, and the tests.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{Cap, Condition, Scalar, Span};
use crate::policy::quality::{Check, Signal, Switch};
use crate::policy::rollout::{By, Mode};
use crate::policy::set::Transform;

/// How the chance of a good answer (`p_ok`) of a destination is found. This build acts on `assumed` only.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Estimator {
    /// What it looks at.
    #[schemars(extend("items" = { "type": "string", "enum": Signal::ALL.map(|(name, _)| name) }))]
    pub signal: Option<Vec<String>>,
    /// The file of a calibrated estimate.
    pub artifact: Option<String>,
    /// Fewer labelled samples than this make no estimate.
    pub min_samples: Option<u64>,
    /// An older artefact makes no estimate.
    pub max_age: Option<Span>,
    /// Your own guess, used where nothing better is known, and recorded as `assumed`.
    #[schemars(range(min = 0, max = 1))]
    pub assumed: Option<f64>,
    /// `host`, or a destination that accepts the highest class (E005).
    pub runs_on: Option<String>,
    /// What a missing estimate means.
    pub on_missing: Option<OnMissing>,
}

/// What a missing estimate means.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum OnMissing {
    /// Nobody knows.
    Unknown,
}

/// A rule that chooses among what is permitted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Route {
    /// Its name.
    pub id: String,
    /// Lower goes first; unique (E002).
    pub order: u32,
    /// Applies only if certainly true; the last route has none.
    pub when: Option<Condition>,
    /// Destinations it may choose, in order of preference.
    pub candidates: Vec<String>,
    /// What the request needs. All but `reasoning` and `ttft_p95` are looked at anyway and may be written for the
    /// reader.
    pub needs: Option<Needs>,
    /// What to optimise; without one the listed order decides.
    pub objective: Option<Objective>,
    /// Whom to try first, and who comes after.
    pub cascade: Option<Cascade>,
    /// Whether a destination that the client names goes first, if it is permitted; `honour` unless you say otherwise.
    pub preference: Option<Preference>,
    /// What to say where nobody is left.
    pub on_empty: Option<OnEmpty>,
}

/// What a request needs.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Needs {
    /// The prompt fits into the context.
    pub context: Option<Fits>,
    /// Tool calls.
    pub tools: Option<IfUsed>,
    /// Answers that meet a JSON schema.
    pub json_schema: Option<IfUsed>,
    /// Images.
    pub vision: Option<IfUsed>,
    /// Probabilities of tokens.
    pub logprobs: Option<IfUsed>,
    /// Where the request says how much to think, a model of this process that cannot follow that is left out; else it
    /// answers with a warning.
    pub reasoning: Option<IfUsed>,
    /// A destination known to be slower to its first token (95th percentile) is left out.
    pub ttft_p95: Option<Span>,
}

/// The prompt fits.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Fits {
    /// Always looked at.
    Fits,
}

/// Needed where the request uses it.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum IfUsed {
    /// Always looked at.
    IfUsed,
}

/// What a route optimises: either `minimize` or `maximize`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Objective {
    /// The cheapest that meets the conditions.
    pub minimize: Option<Minimize>,
    /// The best that meets the conditions.
    pub maximize: Option<Maximize>,
    /// The conditions.
    #[schemars(rename = "where")]
    pub conditions: Option<Conditions>,
    /// What to do where the `p_ok` of the first candidate inside is unknown; mandatory with `where: { p_ok }` (E007).
    pub if_unknown: Option<IfUnknown>,
    /// What to do where nobody meets the conditions; `best` unless you say otherwise.
    pub when_none_meets: Option<WhenNoneMeets>,
}

/// What to minimise.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Minimize {
    /// The worst case of the request.
    Cost,
}

/// What to maximise.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Maximize {
    /// The chance of a good answer.
    POk,
}

/// The conditions of an objective.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Conditions {
    /// At least this chance of a good answer.
    #[schemars(range(min = 0, max = 1))]
    pub p_ok: Option<f64>,
    /// At most this many US dollars for the request.
    #[schemars(range(min = 0))]
    pub usd: Option<f64>,
}

/// What an objective does where nobody knows how good the local candidate is.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum IfUnknown {
    /// Ask in this order.
    Order(Vec<String>),
    /// Start the route's cascade.
    Cascade(Escalate),
}

/// Start the route's cascade.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Escalate {
    /// The only word here.
    Cascade,
}

/// What to do where nobody meets the conditions.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum WhenNoneMeets {
    /// The nearest, flagged `below_quality_target`.
    Best,
    /// Nobody.
    Refuse,
}

/// What becomes of a destination that the client names.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Preference {
    /// It goes first, if it is permitted.
    Honour,
    /// It is like any other.
    Ignore,
}

/// What to say where nobody is left.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct OnEmpty {
    /// The reason.
    pub refuse: String,
}

/// Try a cheap destination first, and go on to a better one. It starts where `p_ok` of the start is unknown and
/// `if_unknown: cascade`, or where it is below the objective's `p_ok`. This build decides the order of attempts; drafts
/// are not verified yet, so at run time it is an order of fallbacks.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cascade {
    /// Who drafts; one of the candidates.
    pub start: String,
    /// A lower known chance of the start is hopeless: the objective ranks the others, and the start goes last.
    #[schemars(range(min = 0, max = 1))]
    pub skip_below: Option<f64>,
    /// How a draft is looked at, in this order.
    pub verify: Option<Vec<Verification>>,
    /// When a draft is accepted.
    pub accept: Option<Accept>,
    /// Who answers instead, in this order; candidates.
    #[schemars(length(min = 1))]
    pub escalate_to: Vec<String>,
    /// When the answer begins to reach the client; `after_verify` unless you say otherwise.
    pub commit: Option<Commit>,
    /// At most so many attempts.
    #[schemars(range(min = 2))]
    pub max_attempts: Option<u32>,
    /// At most so much later than without the cascade.
    pub max_added_latency: Option<Span>,
    /// Whether the next destination is shown the draft; `false` unless you say otherwise.
    pub carry_draft: Option<bool>,
}

/// One look at a draft.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Verification {
    /// What is looked at.
    #[schemars(extend("enum" = Check::ALL.map(|(name, _)| name)))]
    pub check: String,
    /// For `parses`: the languages.
    pub languages: Option<Vec<String>>,
    /// Whether its score is turned into a calibrated chance.
    pub calibrated: Option<bool>,
    /// `host`, or a destination that accepts the highest class (E005); mandatory for `judge`.
    pub runs_on: Option<String>,
}

/// When a draft is accepted.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Accept {
    /// From this combined chance on.
    #[schemars(range(min = 0, max = 1))]
    pub p_ok: f64,
}

/// When a cascade's answer begins to reach the client.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Commit {
    /// Once it is accepted, or at once.
    Moment(Moment),
    /// After the first tokens were looked at.
    Tokens(AfterTokens),
}

/// When a cascade's answer begins to reach the client.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Moment {
    /// Once it is accepted.
    AfterVerify,
    /// At once: nothing is escalated, the verdict is recorded.
    Immediate,
}

/// After the first tokens were looked at.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct AfterTokens {
    /// How many.
    pub after_tokens: u32,
}

/// What keeps a conversation with its model, among those that may and can answer. A switch is *up* where the route's first
/// has the better `p_ok` or, where that is not known, costs more. What holds thoughts that only one destination can open stays
/// with it; without this section only where that costs no more.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Affinity {
    /// What stays together.
    pub key: AffinityKey,
    /// When a better model may take over; `immediate` unless you say otherwise.
    #[schemars(extend("enum" = Switch::ALL.map(|(name, _)| name)))]
    pub switch_up: Option<String>,
    /// When a cheaper one may; `user_turn` unless you say otherwise.
    #[schemars(extend("enum" = Switch::ALL.map(|(name, _)| name)))]
    pub switch_down: Option<String>,
    /// Whether a switch down must be worth more than the prompt cache it leaves behind.
    pub price_prompt_cache: Option<bool>,
}

/// What stays together.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum AffinityKey {
    /// A conversation.
    Conversation,
}

/// Whether the set is in force, or only tried beside another that is.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Rollout {
    /// `enforce`: the set is in force, as without this section. `shadow`: it is evaluated and recorded, and nothing else
    /// changes. `warn`: clients are warned as well. `canary`: it decides for some, within what both sets permit.
    #[schemars(extend("enum" = Mode::ALL.map(|(name, _)| name)))]
    pub mode: String,
    /// For `canary`, mandatory: for what share of keys, tenants or conversations.
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<f64>,
    /// What always stays on the same side; `key` unless you say otherwise.
    #[schemars(extend("enum" = By::ALL.map(|(name, _)| name)))]
    pub by: Option<String>,
    /// The folder of the set that is in force meanwhile, relative to this one; mandatory unless `enforce`.
    #[schemars(length(min = 1))]
    pub compare_with: Option<String>,
}

/// A test: what is not given is harmless (nothing found, nothing used, nothing spent, 500 tokens in and out).
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Test {
    /// What it shows.
    pub name: String,
    /// Names of the vocabulary with their values, `p_ok.<destination>`, `cost.<destination>` (the most it can cost
    /// there, in US dollars), `client.model`, the destination that the client names, and `conversation`, the class that
    /// its conversation rose to before. `unknown` where nobody knows.
    pub given: Option<BTreeMap<String, Scalar>>,
    /// What must come out.
    pub expect: Expect,
}

/// What must come out; what is not stated may be anything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Expect {
    /// The class.
    pub class: Option<String>,
    /// Who answers first.
    pub served_by: Option<String>,
    /// The beginning of the plan.
    pub plan: Option<Vec<String>>,
    /// All models that may receive it.
    pub permitted: Option<Vec<String>>,
    /// All sinks that may receive it.
    pub sinks: Option<Vec<String>>,
    /// Nothing external may receive it.
    pub external: Option<Nobody>,
    /// What must be done to the body for the first.
    #[schemars(extend("items" = { "type": "string", "enum": Transform::ALL.map(|(name, _)| name) }))]
    pub transforms: Option<Vec<String>>,
    /// Flags of the decision.
    pub flags: Option<Vec<String>>,
    /// The route's id.
    pub route: Option<String>,
    /// The caps that hold.
    pub cap: Option<Cap>,
    /// It is refused for this reason.
    pub refused: Option<String>,
}

/// Nobody.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Nobody {
    /// The only word here.
    None,
}
