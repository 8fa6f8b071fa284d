//! The sections that decide what a request is and where it may go.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use super::{Condition, Dollars, Span};
use crate::chat::Task;
use crate::classify::{Language, PatternSet, Recognizer};
use crate::policy::set::{KnownBy, Transform};

/// An attribute: `one_of` for a word, `cells` for a number. Without a default, one that is absent is unknown.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Attribute {
    /// Its words, 1 to 64; any other word counts as unknown.
    #[schemars(length(min = 1, max = 64))]
    pub one_of: Option<Vec<String>>,
    /// It is a number; where conditions cut it.
    pub cells: Option<Vec<f64>>,
    /// Its value when nobody sets it.
    pub default: Option<Scalar>,
    /// Says that there is no default, so that an absent one is unknown.
    pub required: Option<bool>,
    /// Who vouches for it; `client.*` is always the client's word.
    pub trust: Option<Trust>,
}

/// Who vouches for an attribute.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Trust {
    /// The operator: keys' attributes.
    Operator,
    /// The client says so: may restrict or choose, never widen.
    Client,
}

/// A value of an attribute.
#[derive(JsonSchema)]
#[schemars(untagged)]
pub enum Scalar {
    /// A word.
    Word(String),
    /// A number.
    Number(f64),
    /// `true` or `false`.
    Flag(bool),
}

/// A detector.
#[derive(JsonSchema)]
#[schemars(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detector {
    /// Identifiers that a checksum or an issuing rule confirms.
    Checksum {
        /// Which.
        #[schemars(extend("items" = { "type": "string", "enum": Recognizer::NAMES.as_slice() }))]
        recognizers: Vec<String>,
    },
    /// A versioned set of exact patterns.
    Pattern {
        /// Which.
        #[schemars(extend("enum" = PatternSet::NAMES))]
        set: String,
        /// For `document-labels@1`: words instead of the usual markings.
        words: Option<Vec<String>>,
    },
    /// An organisation's names: of customers, projects, products. From `words`, `file` or both.
    Dictionary {
        /// The names.
        words: Option<Vec<String>>,
        /// A word list beside the policy, `names.txt`: one a line, without empty ones and those that begin with `#`.
        file: Option<String>,
        /// In which case a name matches; `any` unless you say otherwise.
        case: Option<Case>,
    },
    /// A label, which can only add a finding.
    Label {
        /// Words that mark a document; a capital matches as written, small letters in any case.
        words: Option<Vec<String>>,
        /// A header of the request: found where it is there and does not say `none`.
        header: Option<String>,
        /// An attribute of the key, without `key.`: found where it is not `none`.
        key: Option<String>,
    },
    /// Prose in another language than people use here: a statistical finding, and unknown where a long text is in none.
    Language {
        /// The usual languages, two letters each.
        #[schemars(extend("items" = { "type": "string", "enum": Language::NAMES.as_slice() }))]
        languages: Vec<String>,
    },
    /// What a model recognises: a statistical finding. Loads only in a build that can run the model.
    Model {
        /// Its name and version.
        model: String,
        /// `host`, or a destination that accepts the highest class (E005).
        runs_on: Option<String>,
        /// How long it may take for a request; what it has not said by then is unknown.
        deadline: Option<Span>,
        /// What score of an entity counts as a finding, 0 to 1.
        threshold: Option<BTreeMap<String, f64>>,
    },
    /// What another service recognises: a statistical finding. No build can ask one yet.
    External {
        /// A destination that accepts the highest class (E005).
        via: String,
        /// How long it may take.
        deadline: Span,
    },
}

/// In which case a name matches.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
pub enum Case {
    /// In any.
    Any,
    /// As it is written here: for names that are also words.
    AsWritten,
}

/// A class a request may start in, lower than `default_class`; the lowest that certainly applies.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Baseline {
    /// Its name.
    pub id: String,
    /// The class.
    pub class: String,
    /// Applies only if certainly true; may not use `client.*` (E010).
    pub when: Condition,
}

/// What raises the class.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct ClassRule {
    /// Its name.
    pub id: String,
    /// To at least this class.
    pub raise: String,
    /// Applies unless certainly false.
    pub when: Condition,
}

/// A conversation keeps the class that a request of it rose to, above where that started: later ones can only be higher.
/// Without this section it is known by `header` and `response`, for `24h`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Conversations {
    /// What it is known by, within a tenant. `header`: its name in `x-ajar-session`, `x-session-id` or `session_id`.
    /// `response`: the answer that `previous_response_id` names. `opening`: its words up to the first of the user, which
    /// several conversations may share. An empty list keeps nothing.
    #[schemars(extend("items" = { "type": "string", "enum": KnownBy::ALL.map(|(name, _)| name) }))]
    pub by: Option<Vec<String>>,
    /// How long after its last request, at least; and at most half as long again.
    pub ttl: Option<Span>,
}

/// Whoever receives content.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Destination {
    /// `embedded`, a provider's name in the configuration, or `sink/cache`, `sink/decision-log`, `sink/responses`.
    pub via: String,
    /// The model's name there; for `embedded` a name under `local` in the configuration, or what that names. Not for sinks.
    pub model: Option<String>,
    /// What it can be asked for; `[chat]` unless you say otherwise. Of a destination that does not serve `completions`,
    /// they are asked as chat. Not for sinks.
    #[schemars(length(min = 1), extend("items" = { "type": "string", "enum": Task::ALL.map(|(name, _)| name) }))]
    pub serves: Option<Vec<String>>,
    /// Inside or outside.
    pub boundary: Boundary,
    /// The highest class it may receive; mandatory if external (E004), else the highest there is.
    pub accepts: Option<String>,
    /// Where it is; mandatory if external (E004).
    pub region: Option<String>,
    /// `local`, `cheap`, `frontier`: your word.
    pub tier: Option<String>,
    /// The trusted zone it lies in; `host` unless you say otherwise. Only with `boundary: host`.
    pub zone: Option<String>,
    /// How long the provider keeps content: your word.
    pub retention: Option<String>,
    /// Whether the provider may train on content: your word.
    pub training: Option<String>,
    /// Who else processes content for the provider: your word.
    pub subprocessor: Option<String>,
    /// Context window in tokens; else the price list's, or the engine's.
    pub context: Option<u32>,
    /// What tokens cost; else what `prices` says. A model without a price does not load (E008).
    pub price: Option<Price>,
    /// One flat price per thousand tokens, instead of `price`.
    #[schemars(range(min = 0))]
    pub usd_per_1k: Option<f64>,
    /// Of `sink/decision-log`: whether the record keeps the words of classes it accepts.
    pub store: Option<Store>,
    /// Of `sink/cache`: answers are shared within a tenant, which is the key unless the configuration says otherwise.
    pub scope: Option<CacheScope>,
    /// Of `sink/cache`: keep answers of `temperature` above 0 too.
    pub sampled: Option<bool>,
}

/// Whether a destination lies inside your zone.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Boundary {
    /// This process, this host, or a zone you trust.
    Host,
    /// Anywhere else.
    External,
}

/// What a sink stores.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Store {
    /// Findings, counts, hashes: no text.
    Features,
    /// Prompts and answers as well.
    Text,
}

/// Who shares a cache.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum CacheScope {
    /// Keys of one tenant.
    Key,
}

/// USD per million tokens.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Price {
    /// Of the prompt.
    #[schemars(range(min = 0))]
    pub input: f64,
    /// Of the answer.
    #[schemars(range(min = 0))]
    pub output: f64,
    /// Of what the provider had in its prompt cache; else as `input`.
    #[schemars(range(min = 0))]
    pub cached_input: Option<f64>,
}

/// A way down: what the body counts as once transformed.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Declassify {
    /// Its name.
    pub id: String,
    /// Applies to classes up to this; none of them sealed (E006).
    pub up_to: String,
    /// What the transformed body counts as.
    pub to: String,
    /// What must be done for it.
    #[schemars(extend("items" = { "type": "string", "enum": Transform::ALL.map(|(name, _)| name) }))]
    pub requires: Option<Vec<String>>,
    /// What pseudonyms look like; `tag` unless you say otherwise. Only with `pseudonymize`.
    pub style: Option<Style>,
    /// Applies only if certainly true; may not use `client.*` (E010). Without it always.
    pub when: Option<Condition>,
}

/// What a pseudonym looks like.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Style {
    /// `PERSON_7KQ2M4`: for code, JSON and whatever programs read.
    Tag,
    /// Of the same form, from ranges that are nobody's: for prose.
    Surrogate,
}

/// A rule that only restricts; it needs at least one effect.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Guard {
    /// Its name.
    pub id: String,
    /// Applies unless certainly false. Without it always.
    pub when: Option<Condition>,
    /// Keeps only destinations for which this is certainly true.
    pub only: Option<Condition>,
    /// Removes destinations for which this may be true.
    pub deny: Option<Condition>,
    /// What must be done to a body before it goes outside.
    #[schemars(extend("items" = { "type": "string", "enum": Transform::ALL.map(|(name, _)| name) }))]
    pub require: Option<Vec<String>>,
    /// Limits for one request.
    pub cap: Option<Cap>,
    /// Refuses altogether, for this reason.
    pub block: Option<String>,
}

/// Limits for one request.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Cap {
    /// Most output tokens.
    pub max_output: Option<u32>,
    /// Most US dollars.
    #[schemars(range(min = 0))]
    pub usd: Option<f64>,
}

/// A spending limit: the worst case is reserved before a call and settled after it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Budget {
    /// Its name: `budget.<id>` is the used share.
    pub id: String,
    /// `key`, `request`, `all`, or an attribute of the key such as `team`.
    pub per: String,
    /// Calendar period in UTC; not for `per: request`.
    pub window: Option<Window>,
    /// How much.
    pub limit: Dollars,
    /// What happens as it fills.
    pub ladder: Vec<Step>,
}

/// The period of a budget.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum Window {
    /// A calendar hour.
    Hour,
    /// A calendar day.
    Day,
    /// A calendar month.
    Month,
}

/// A step of a budget's ladder; applies unless the used share is certainly below `at`.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Step {
    /// Share of the limit: 0.9 is 90%.
    #[schemars(range(min = 0))]
    pub at: f64,
    /// Factor by which external destinations look dearer to objectives.
    #[schemars(range(min = 0))]
    pub reprice: Option<f64>,
    /// Keeps only destinations for which this is certainly true.
    pub only: Option<Condition>,
    /// Removes destinations for which this may be true.
    pub deny: Option<Condition>,
    /// Refuses altogether, for this reason.
    pub refuse: Option<String>,
}

/// Where prices come from.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Prices {
    /// Which list.
    pub source: PriceSource,
    /// For `pinned`: the file, relative to the set's folder, but not in it.
    pub file: Option<String>,
    /// What a model without a price is: not to be called.
    pub unknown_price: Option<UnknownPrice>,
}

/// Which list of prices.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum PriceSource {
    /// The one built into ajar.
    Catalogue,
    /// A file of your own.
    Pinned,
}

/// What a model without a price is.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case")]
pub enum UnknownPrice {
    /// Not to be called.
    Deny,
}

/// What must never happen: false for every request and every destination that may receive it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
pub struct Invariant {
    /// Its name.
    pub id: String,
    /// The condition; it may use every name, `class` and `dest.*` too.
    pub never: Condition,
}
