//! From what is known about a request to the policy's facts.

use std::collections::BTreeMap;

use super::vocabulary::{Fact, Facts};
use super::{PolicySet, Slot};
use crate::classify::Truth;

/// What is known about a request.
#[derive(Clone, Debug, Default)]
pub struct RequestFacts<'a> {
    /// One verdict per detector, in the set's order; missing ones are unknown.
    pub findings: &'a [Truth],
    /// Names of what the request uses: `image`, `tools`, `stream`, …
    pub uses: &'a [&'static str],
    /// Prompt tokens, estimated.
    pub tokens_input: u64,
    /// Cap on the answer in tokens.
    pub tokens_max_output: u64,
    /// Expected advantage of the closed model.
    pub gain: Option<f64>,
    /// Used share of each budget, in the set's order; missing ones are unknown.
    pub budgets: &'a [Option<f64>],
    /// The engine's state by name, without the `local.`; missing ones are unknown.
    pub local: &'a [(&'static str, f64)],
}

/// The word of [`USES`] for content that no detector can look into: media, or a long stretch that says nothing readable.
pub const UNINSPECTABLE: &str = "uninspectable";

/// The words that may follow `uses.`.
pub const USES: [&str; 15] = [
    "image",
    "audio",
    "file",
    "tools",
    "json_object",
    "json_schema",
    "grammar",
    "reasoning_effort",
    "logprobs",
    "several_choices",
    "stream",
    "completions",
    "embeddings",
    "moderations",
    UNINSPECTABLE,
];

/// The numbers that may follow `local.`.
pub const LOCAL: [&str; 4] = ["queue", "free_slots", "tokens_per_second", "ttft_ms"];

/// The facts of one request: `attributes` are those of the key and the client, by full name.
pub fn facts(set: &PolicySet, request: &RequestFacts<'_>, attributes: &BTreeMap<String, String>) -> Facts {
    let mut facts = set.vocabulary.facts();
    let slots = &set.slots;
    set_findings(set, &mut facts, request.findings);
    for (name, slot) in &slots.uses {
        facts.set(*slot, Fact::Bool(request.uses.contains(name)));
    }
    set_some(&mut facts, slots.tokens_input, Fact::Number(request.tokens_input as f64));
    set_some(&mut facts, slots.tokens_max_output, Fact::Number(request.tokens_max_output as f64));
    set_some(&mut facts, slots.gain, request.gain.map_or(Fact::Unknown, Fact::Number));
    for (slot, used) in slots.budgets.iter().zip(request.budgets) {
        facts.set(*slot, used.map_or(Fact::Unknown, Fact::Number));
    }
    for (name, slot) in &slots.local {
        let known = request.local.iter().find(|(n, _)| n == name);
        facts.set(*slot, known.map_or(Fact::Unknown, |(_, value)| Fact::Number(*value)));
    }
    for (name, word) in attributes {
        if let Some(slot) = set.vocabulary.slot(name) {
            facts.set(slot, set.vocabulary.word(slot, word));
        }
    }
    facts
}

/// The facts of the same request with other verdicts, which may also have met what no detector can look into.
pub fn seen_again(set: &PolicySet, facts: &Facts, findings: &[Truth], uninspectable: bool) -> Facts {
    let mut facts = facts.clone();
    set_findings(set, &mut facts, findings);
    let slot = set.slots.uses.iter().find(|(name, _)| *name == "uninspectable").filter(|_| uninspectable);
    set_some(&mut facts, slot.map(|(_, slot)| *slot), Fact::Bool(true));
    facts
}

fn set_findings(set: &PolicySet, facts: &mut Facts, findings: &[Truth]) {
    let slots = &set.slots;
    let mut any_unknown = false;
    for (i, (finding, unknown)) in slots.findings.iter().zip(&slots.unknowns).enumerate() {
        let truth = findings.get(i).copied().unwrap_or_default();
        facts.set(*finding, truth.into());
        facts.set(*unknown, Fact::Bool(truth == Truth::Unknown));
        any_unknown |= truth == Truth::Unknown;
    }
    set_some(facts, slots.unknown_any, Fact::Bool(any_unknown));
}

fn set_some(facts: &mut Facts, slot: Option<Slot>, value: Fact) {
    if let Some(slot) = slot {
        facts.set(slot, value);
    }
}
