//! What decisions are made of: sets, names, what is known of a destination.

use ajar::classify::Truth;
use ajar::policy::set::{Basis, Store};
use ajar::policy::vocabulary::{Term, Trust, Type};
use ajar::policy::{
    Boundary, Class, Destination, DestinationId, DestinationSet, Fact, Transform, TransformSet, Vocabulary,
};

use crate::{FAR, HOME, WIDE, listed, plain, set, transforms};

fn of(ids: &[u8]) -> DestinationSet {
    let mut set = DestinationSet::EMPTY;
    ids.iter().for_each(|id| set.insert(DestinationId(*id)));
    set
}

#[test]
fn sets_of_destinations_are_sets_up_to_the_last_that_a_policy_can_have() {
    let (some, others) = (of(&[0, 5, 63]), of(&[1, 5]));
    assert_eq!(some.iter().map(|id| id.0).collect::<Vec<_>>(), [0, 5, 63]);
    assert!((0..64).all(|id| some.contains(DestinationId(id)) == matches!(id, 0 | 5 | 63)));
    assert_eq!((some.and(others), some.or(others)), (of(&[5]), of(&[0, 1, 5, 63])));
    assert_eq!((some.without(others), others.without(some)), (of(&[0, 63]), of(&[1])));
    let mut fewer = some;
    fewer.remove(DestinationId(63));
    fewer.remove(DestinationId(1));
    assert_eq!((fewer, DestinationSet::of(DestinationId(5))), (of(&[0, 5]), of(&[5])));
    assert_eq!([true, false, true].into_iter().collect::<DestinationSet>(), of(&[0, 2]));
    assert!(DestinationSet::EMPTY.is_empty() && !some.is_empty() && DestinationSet::EMPTY.iter().next().is_none());
}

#[test]
fn sets_of_transforms_are_sets() {
    use Transform::{HumanOk, Pseudonymize, RescanClean, Rewrite};
    let (some, others) = (transforms(&[Pseudonymize, HumanOk]), transforms(&[RescanClean, HumanOk]));
    assert_eq!([Pseudonymize, RescanClean, Rewrite, HumanOk].map(|t| some.contains(t)), [true, false, false, true]);
    assert_eq!(some.union(others), transforms(&[Pseudonymize, RescanClean, HumanOk]));
    let mut fewer = some;
    fewer.remove(HumanOk);
    fewer.remove(Rewrite);
    assert_eq!(fewer, transforms(&[Pseudonymize]));
    assert!(some.names().eq(["pseudonymize", "human_ok"]));
    assert!(TransformSet::default().is_empty() && !fewer.is_empty());
}

#[test]
fn a_destination_says_each_of_its_properties_and_no_other() {
    let words = Destination::PROPERTIES.map(|property| format!("the {property}"));
    let [name, via, model, _, region, tier, zone, retention, training, subprocessor] = words.clone();
    let destination = Destination {
        name,
        via,
        model,
        region: Some(region),
        tier: Some(tier),
        zone: Some(zone),
        retention: Some(retention),
        training: Some(training),
        subprocessor: Some(subprocessor),
        ..listed("").destination(FAR).clone()
    };
    for (property, word) in Destination::PROPERTIES.into_iter().zip(&words) {
        let expected = if property == "boundary" { "external" } else { word };
        assert_eq!(destination.property(property), Some(expected));
    }
    assert_eq!(destination.property("accepts"), None);
    assert_eq!(listed("").destination(HOME).property("boundary"), Some("host"));
}

#[test]
fn models_sinks_and_the_engine_are_told_apart() {
    let set = listed("");
    let each = |is: fn(&Destination) -> bool| set.destinations.iter().map(is).collect::<Vec<_>>();
    assert_eq!(each(Destination::is_model), [true, true, true, false, false]);
    assert_eq!(each(Destination::is_embedded), [true, false, false, false, false]);
    assert_eq!(each(Destination::is_free), [true, false, false, true, true]);
    assert_eq!(each(|destination| destination.store == Store::Features), [true; 5]);
}

#[test]
fn what_a_guard_requires_shuts_sinks_outside_only_and_a_way_down_leads_to_models_under_their_ceiling() {
    let set = listed(
        "declassify:
  - { id: asks, up_to: secret, to: internal, requires: [pseudonymize] }
  - { id: plain, up_to: secret, to: internal, requires: [] }
  - { id: short, up_to: secret, to: confidential, requires: [] }
guards: [{ id: mask, require: [pseudonymize] }, { id: no, block: no }]
",
    );
    let each = |is: &dyn Fn(&Destination) -> bool| set.destinations.iter().map(is).collect::<Vec<_>>();
    assert_eq!(each(&|to| set.guards[0].shuts(to)), [false, false, false, false, true]);
    assert_eq!(each(&|to| set.guards[1].shuts(to)), [false; 5]);
    assert_eq!(each(&|to| set.declassify[0].leads_to(to)), [true, true, true, false, false]);
    assert_eq!(each(&|to| set.declassify[1].leads_to(to)), [true; 5]);
    assert_eq!(each(&|to| set.declassify[2].leads_to(to)), [true, false, true, true, false]);
}

#[test]
fn names_lead_to_what_they_name() {
    let set = listed("estimators: { far: { assumed: 0.9 } }\n");
    assert_eq!((set.destination_named("far"), set.destination_named("fra")), (Some(FAR), None));
    assert_eq!((set.class_named("secret"), set.class_named("high")), (Some(Class(3)), None));
    assert_eq!((set.class_name(Class(3)), set.top_class()), ("secret", Class(4)));
    assert_eq!((set.assumed_quality(FAR), set.assumed_quality(WIDE)), (Some(0.9), None));
    assert_eq!(set.sink("cache").map(|(id, sink)| (id, sink.name.as_str())), Some((DestinationId(4), "copy")));
    assert!(set.sink("cach").is_none());
    assert_eq!((set.short_digest(), set.digest.len()), (&set.digest[..12], 64));
}

#[test]
fn conversations_are_kept_unless_they_are_known_by_nothing() {
    assert!(listed("").conversations.are_kept());
    let forgetful = set("conversations: { by: [] }\nroutes: [{ id: all, order: 1, candidates: [home] }]\n");
    assert!(!forgetful.conversations.are_kept());
}

/// Records and policies know them.
#[test]
fn the_words_for_boundaries_bases_and_types_stay_as_they_are() {
    let types = [Type::Bool, Type::Number, Type::Word(Vec::new())];
    assert_eq!(types.map(|kind| kind.name()), ["a truth value", "a number", "a word"]);
    assert_eq!([Boundary::Host, Boundary::External].map(Boundary::name), ["host", "external"]);
    let bases = [Basis::Declared, Basis::Deterministic, Basis::Statistical, Basis::Conversation, Basis::Unknown];
    let words = ["declared", "deterministic", "statistical", "conversation", "unknown"];
    assert_eq!(bases.map(Basis::name), words);
}

#[test]
fn a_verdict_that_is_not_known_is_a_fact_that_is_not_known() {
    let facts = [Fact::Bool(true), Fact::Bool(false), Fact::Unknown];
    assert_eq!([Truth::True, Truth::False, Truth::Unknown].map(Fact::from), facts);
}

#[test]
fn a_word_outside_the_vocabulary_of_its_term_is_unknown() {
    let mut vocabulary = Vocabulary::default();
    let mut add = |name: &str, kind| {
        let (name, default, trust) = (name.to_owned(), Fact::Unknown, Trust::Operator);
        vocabulary.add(Term { name, kind, default, trust, grows_with_unknown: false })
    };
    assert!(add("flag", Type::Bool) && add("count", Type::Number));
    assert!(add("region", Type::Word(vec!["eu".into(), "us".into()])) && !add("flag", Type::Number));
    let word = |name, word| vocabulary.word(vocabulary.slot(name).unwrap(), word);
    assert_eq!(["true", "false", "yes"].map(|w| word("flag", w)), [Fact::Bool(true), Fact::Bool(false), Fact::Unknown]);
    assert_eq!(["2.5", "few"].map(|w| word("count", w)), [Fact::Number(2.5), Fact::Unknown]);
    assert_eq!(["us", "eu", "de"].map(|w| word("region", w)), [Fact::Word(1), Fact::Word(0), Fact::Unknown]);
    assert!(vocabulary.slot("zone").is_none() && vocabulary.names().eq(["flag", "count", "region"]));
}

#[test]
fn facts_have_their_defaults_until_they_are_set() {
    let set = listed("");
    let slot = |name| set.vocabulary.slot(name).unwrap();
    let mut facts = set.vocabulary.facts();
    assert_eq!((facts.get(slot("key.app")), facts.get(slot("tokens.input"))), (Fact::Word(0), Fact::Unknown));
    facts.set(slot("tokens.input"), Fact::Number(7.0));
    assert_eq!((facts.number(slot("tokens.input")), facts.number(slot("key.app"))), (Some(7.0), None));
    assert_eq!(plain(&set).facts.number(slot("tokens.max_output")), Some(100.0));
}
