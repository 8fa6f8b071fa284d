//! Leaves out the slow detectors where they cannot change the answer.

use crate::classify::Truth;
use crate::policy::PolicySet;
use crate::policy::decision::Decision;
use crate::policy::set::Boundary;

/// Most models whose every combination of verdicts is tried; with more, all look.
const MAX_MODELS: usize = 3;

/// Whether what the models will say could change what is done with the request.
///
/// `verdicts` are those of the other detectors, with the models' as unknown; `waiting` are the models' indices. They are
/// left out only if nobody outside may receive the request whatever they say, and if every decision that they could
/// lead to acts the same. Left out, they stay unknown, which is what this was decided on.
pub(super) fn models_matter(
    set: &PolicySet,
    verdicts: &[Truth],
    waiting: &[u16],
    decide: impl Fn(&[Truth]) -> Decision,
) -> bool {
    if waiting.is_empty() || waiting.len() > MAX_MODELS {
        return !waiting.is_empty();
    }
    let undecided = decide(verdicts);
    let leaves = undecided.permitted.iter().any(|id| set.destination(id).boundary == Boundary::External);
    leaves || (0..1 << waiting.len()).any(|said: u32| !decide(&as_said(verdicts, waiting, said)).acts_as(&undecided))
}

/// The verdicts with those of the models as the bits of `said` have it.
fn as_said(verdicts: &[Truth], waiting: &[u16], said: u32) -> Vec<Truth> {
    let mut verdicts = verdicts.to_vec();
    for (bit, detector) in waiting.iter().enumerate() {
        verdicts[usize::from(*detector)] = if said >> bit & 1 == 1 { Truth::True } else { Truth::False };
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::policy::facts::{RequestFacts, facts};
    use crate::policy::load::{Source, load};
    use crate::policy::set::TransformSet;
    use crate::policy::{DestinationState, Inputs, decide};

    /// The second detector stands for a model: here only its verdict counts.
    fn set(rules: &str) -> PolicySet {
        let text = format!(
            "ajar: policy/v1\nname: test\nauthority: base\nclasses: [internal, confidential, restricted]\n\
             default_class: internal\ndetectors:\n  card: {{ kind: checksum, recognizers: [pan_luhn] }}\n  \
             person: {{ kind: pattern, set: contact@1 }}\ndestinations:\n  \
             home: {{ via: embedded, model: small, boundary: host }}\n  \
             away: {{ via: api, model: large, boundary: external, region: eu, accepts: internal, price: {{ input: 1, output: 1 }} }}\n\
             {rules}routes:\n  - {{ id: all, order: 1, candidates: [home, away] }}\n"
        );
        let source = Source { file: "test.yaml".to_owned(), text };
        load(&[source], &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn matters(set: &PolicySet, card: Truth) -> bool {
        models_matter(set, &[card, Truth::Unknown], &[1], |verdicts| {
            let request = RequestFacts { findings: verdicts, ..RequestFacts::default() };
            let facts = facts(set, &request, &BTreeMap::new());
            let states = vec![DestinationState::default(); set.destinations.len()];
            decide(
                set,
                &Inputs {
                    facts: &facts,
                    states: &states,
                    floor: None,
                    preference: None,
                    insists: false,
                    able: TransformSet::default(),
                },
            )
        })
    }

    const RAISE: &str = "classify:\n  - { id: card, raise: restricted, when: finding.card }\n  \
        - { id: person, raise: confidential, when: finding.person }\n";

    #[test]
    fn models_need_not_look_where_the_class_is_as_high_as_they_could_raise_it() {
        assert!(!matters(&set(RAISE), Truth::True));
    }

    #[test]
    fn models_look_where_the_class_depends_on_them_and_where_others_are_let_in() {
        assert!(matters(&set(RAISE), Truth::False));
        assert!(matters(&set("classify:\n  - { id: card, raise: restricted, when: finding.card }\n"), Truth::False));
    }

    #[test]
    fn models_look_where_a_route_or_a_guard_asks_for_them() {
        let guard = format!("{RAISE}guards:\n  - {{ id: nobody, block: private, when: finding.person }}\n");
        assert!(matters(&set(&guard), Truth::True));
    }

    #[test]
    fn without_models_there_is_nothing_to_wait_for() {
        let set = set(RAISE);
        assert!(!models_matter(&set, &[Truth::True; 2], &[], |_| panic!("nothing to decide")));
    }
}
