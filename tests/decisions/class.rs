//! How sensitive a request is, and on what that rests.

use ajar::policy::set::Basis;
use ajar::policy::{Class, Fact, Floor, PolicySet, class_of};

use crate::support::Request;
use crate::{YES, app, listed, of_app, plain, with};

const PUBLIC: Class = Class(0);
const INTERNAL: Class = Class(1);
const CONFIDENTIAL: Class = Class(2);
const SECRET: Class = Class(3);

const CLASSIFY: &str = "classify:
  - { id: card, raise: secret, when: finding.card }
  - { id: said, raise: secret, when: 'key.app == \"b\"' }
  - { id: mail, raise: confidential, when: finding.mail }
  - { id: low,  raise: internal, when: finding.mail || finding.card }
";

fn class(set: &PolicySet, request: &Request) -> (Class, Basis) {
    let decision = request.decide(set);
    assert_eq!(class_of(set, &request.facts).max(request.floor.map_or(PUBLIC, |floor| floor.class)), decision.class);
    (decision.class, decision.basis)
}

#[test]
fn only_a_baseline_that_certainly_applies_and_is_lower_moves_the_start_and_of_equals_the_first() {
    let set = listed(
        "baseline:
  - { id: same, class: internal, when: 'key.app == \"a\"' }
  - { id: first, class: public, when: 'key.app == \"b\"' }
  - { id: second, class: public, when: 'key.app == \"b\"' }
",
    );
    let start = |request: Request| {
        let decision = request.decide(&set);
        (decision.class, decision.baseline, decision.start(&set))
    };
    assert_eq!(start(of_app(&set, "a")), (INTERNAL, None, INTERNAL));
    assert_eq!(start(of_app(&set, "b")), (PUBLIC, Some(1), PUBLIC));
    assert_eq!(start(of_app(&set, "c")), (INTERNAL, None, INTERNAL));
    assert_eq!(start(with(&set, &[("key.app", Fact::Unknown)])), (INTERNAL, None, INTERNAL));
}

#[test]
fn the_class_rests_on_the_strongest_of_the_rules_that_lead_to_it() {
    let set = listed(CLASSIFY);
    let b = app(&set.vocabulary, "b");
    let (card, mail) = ("finding.card", "finding.mail");
    assert_eq!(class(&set, &plain(&set)), (INTERNAL, Basis::Declared));
    assert_eq!(class(&set, &with(&set, &[(card, YES)])), (SECRET, Basis::Deterministic));
    assert_eq!(class(&set, &with(&set, &[(card, YES), ("key.app", b)])), (SECRET, Basis::Declared));
    assert_eq!(class(&set, &with(&set, &[(card, Fact::Unknown)])), (SECRET, Basis::Unknown));
    assert_eq!(class(&set, &with(&set, &[(card, Fact::Unknown), (mail, YES)])), (SECRET, Basis::Unknown));
    assert_eq!(class(&set, &with(&set, &[(mail, YES)])), (CONFIDENTIAL, Basis::Deterministic));
}

#[test]
fn a_rule_that_leads_no_higher_than_the_start_leaves_what_the_class_rests_on() {
    let set = listed("classify: [{ id: low, raise: internal, when: finding.mail }]\n");
    let decision = with(&set, &[("finding.mail", Fact::Unknown)]).decide(&set);
    assert_eq!((decision.class, decision.basis), (INTERNAL, Basis::Declared));
    assert!(decision.classified_by.contains(0));
}

#[test]
fn a_conversation_counts_only_where_it_rose_above_the_request() {
    let set = listed(CLASSIFY);
    let rose_to = |rose: Class| Request { floor: Some(Floor::of(rose)), ..with(&set, &[("finding.mail", YES)]) };
    assert_eq!(class(&set, &rose_to(INTERNAL)), (CONFIDENTIAL, Basis::Deterministic));
    assert_eq!(class(&set, &rose_to(CONFIDENTIAL)), (CONFIDENTIAL, Basis::Deterministic));
    assert_eq!(class(&set, &rose_to(SECRET)), (SECRET, Basis::Conversation));
}
