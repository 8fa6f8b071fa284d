//! What conditions are worth, over facts that are known and unknown.

use std::collections::BTreeMap;

use ajar::classify::Truth::{False, True, Unknown};
use ajar::policy::expr::Condition;
use ajar::policy::facts::{RequestFacts, facts};
use ajar::policy::{DestinationSet, Fact, Facts, PolicySet};

use crate::{FAR, HOME, WIDE, YES, app, listed, plain, with};

/// A set whose only guard has this condition.
fn guarded(when: &str) -> PolicySet {
    listed(&format!("guards: [{{ id: it, when: '{when}', block: no }}]\n"))
}

const NO: Fact = Fact::Bool(false);
const FACTS: [Fact; 3] = [YES, NO, Fact::Unknown];

#[test]
fn and_or_and_not_are_kleenes() {
    let table = |operator: &str| {
        let set = guarded(&format!("finding.card {operator} finding.mail"));
        let of = |card, mail| {
            set.guards[0].when.eval(&with(&set, &[("finding.card", card), ("finding.mail", mail)]).facts, 0)
        };
        FACTS.map(|card| FACTS.map(|mail| of(card, mail)))
    };
    assert_eq!(table("&&"), [[True, False, Unknown], [False, False, False], [Unknown, False, Unknown]]);
    assert_eq!(table("||"), [[True, True, True], [True, False, Unknown], [True, Unknown, Unknown]]);
    let set = guarded("!finding.card");
    let not = |card| set.guards[0].when.eval(&with(&set, &[("finding.card", card)]).facts, 0);
    assert_eq!(FACTS.map(not), [False, True, Unknown]);
}

#[test]
fn a_number_is_compared_at_its_bound_and_one_that_is_none_is_unknown() {
    let values = [Fact::Number(1.0), Fact::Number(2.0), Fact::Number(3.0), Fact::Number(f64::NAN), Fact::Unknown];
    for (relation, expected) in [
        ("<", [True, False, False]),
        ("<=", [True, True, False]),
        (">", [False, False, True]),
        (">=", [False, True, True]),
        ("==", [False, True, False]),
        ("!=", [True, False, True]),
    ] {
        let set = guarded(&format!("tokens.input {relation} 2"));
        let of = |value| set.guards[0].when.eval(&with(&set, &[("tokens.input", value)]).facts, 0);
        let [less, same, more, no_number, unknown] = values.map(of);
        assert_eq!(([less, same, more], no_number, unknown), (expected, Unknown, Unknown), "{relation}");
    }
}

#[test]
fn a_word_is_one_of_those_named_and_a_fact_of_another_kind_is_unknown() {
    let set = guarded("key.app in [\"b\", \"d\"]");
    let of = |fact| set.guards[0].when.eval(&with(&set, &[("key.app", fact)]).facts, 0);
    assert_eq!(["a", "b", "c", "d"].map(|word| of(app(&set.vocabulary, word))), [False, True, False, True]);
    assert_eq!([of(Fact::Unknown), of(YES)], [Unknown, Unknown]);
}

#[test]
fn the_class_is_compared_by_its_place() {
    let set = guarded("class >= confidential");
    let facts = plain(&set).facts;
    assert_eq!([0, 1, 2, 3].map(|class| set.guards[0].when.eval(&facts, class)), [False, False, True, True]);
}

#[test]
fn a_condition_says_on_which_facts_it_depends_and_whether_it_is_fixed() {
    let set = guarded("finding.card && tokens.input > 2 || key.app == \"b\" || class >= secret");
    let when = &set.guards[0].when;
    let slots: Vec<_> = when.slots().map(|slot| set.vocabulary.term(slot).name.as_str()).collect();
    assert_eq!((slots, when.fixed()), (vec!["finding.card", "tokens.input", "key.app"], None));
    for value in [True, False, Unknown] {
        let constant = Condition::constant(value);
        assert_eq!((constant.fixed(), constant.eval(&plain(&set).facts, 0)), (Some(value), value));
        assert_eq!(constant.slots().count(), 0);
    }
}

#[test]
fn a_condition_over_destinations_is_certain_of_some_and_possible_for_more() {
    let set = listed("guards: [{ id: it, deny: 'dest.region == \"eu\" || dest.region == \"us\" && finding.card' }]\n");
    let deny = set.guards[0].deny.as_ref().unwrap();
    let over = |facts: &Facts| {
        let each = [HOME, FAR, WIDE].map(|id| deny.eval(usize::from(id.0), facts, 0));
        (each, deny.certain(facts, 0), deny.possible(facts, 0))
    };
    let us: DestinationSet = [false, true, false, false, true].into_iter().collect();
    let eu = DestinationSet::of(WIDE);
    assert_eq!(over(&with(&set, &[("finding.card", NO)]).facts), ([False, False, True], eu, eu));
    assert_eq!(over(&with(&set, &[("finding.card", Fact::Unknown)]).facts), ([False, Unknown, True], eu, eu.or(us)));
    assert_eq!(over(&with(&set, &[("finding.card", YES)]).facts), ([False, True, True], eu.or(us), eu.or(us)));
    assert_eq!(deny.of(1).slots().count(), 1);
    assert_eq!(deny.of(2).fixed(), Some(True));
}

#[test]
fn what_is_known_of_a_request_becomes_the_fact_of_its_name() {
    let set =
        listed("budgets: [{ id: day, per: key, window: day, limit: 5 USD, ladder: [{ at: 1.0, refuse: no }] }]\n");
    let request = RequestFacts {
        findings: &[True],
        uses: &["tools", "stream"],
        tokens_input: 7,
        tokens_max_output: 9,
        gain: Some(0.25),
        budgets: &[Some(0.5)],
        local: &[("free_slots", 3.0), ("queue", 2.0)],
    };
    let attributes = BTreeMap::from([("key.app".to_owned(), "b".to_owned()), ("key.none".to_owned(), "b".to_owned())]);
    let facts = facts(&set, &request, &attributes);
    let expected = [
        ("finding.card", YES),
        ("finding.mail", Fact::Unknown),
        ("unknown.card", NO),
        ("unknown.mail", YES),
        ("unknown.any", YES),
        ("uses.tools", YES),
        ("uses.stream", YES),
        ("uses.image", NO),
        ("tokens.input", Fact::Number(7.0)),
        ("tokens.max_output", Fact::Number(9.0)),
        ("est.gain", Fact::Number(0.25)),
        ("budget.day", Fact::Number(0.5)),
        ("local.queue", Fact::Number(2.0)),
        ("local.free_slots", Fact::Number(3.0)),
        ("local.ttft_ms", Fact::Unknown),
        ("key.app", Fact::Word(1)),
    ];
    for (name, fact) in expected {
        assert_eq!(facts.get(set.vocabulary.slot(name).unwrap()), fact, "{name}");
    }
}
