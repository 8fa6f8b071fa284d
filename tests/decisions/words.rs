//! What decisions are called and compared by.

use ajar::chat::MicroUsd;
use ajar::policy::decision::{Choice, RefusalKind, RefusedBy, RuleSet};
use ajar::policy::facts::seen_again;
use ajar::policy::rollout::{By, Mode, Side};
use ajar::policy::set::Basis;
use ajar::policy::{Barrier, Class, Decision, DestinationSet, Fact, Outcome, Refusal, Transform};

use crate::support::Request;
use crate::{FAR, YES, listed, plain, transforms, with};

#[test]
fn a_set_of_rules_holds_what_was_put_in_at_the_edges_of_its_words_too() {
    let mut rules = RuleSet::default();
    let inside = [0, 1, 63, 64, 66, 130, RuleSet::MAX - 1];
    inside.into_iter().for_each(|index| rules.insert(index));
    let found: Vec<usize> = (0..2 * RuleSet::MAX).filter(|index| rules.contains(*index)).collect();
    assert_eq!(found, inside);
}

/// Clients and records know them.
#[test]
fn the_codes_of_choices_and_refusals_stay_as_they_are() {
    let choices = [
        (Choice::Listed, "listed_first"),
        (Choice::Preferred, "client_preference"),
        (Choice::Objective, "meets_objective"),
        (Choice::QualityUnknown, "quality_unknown"),
        (Choice::Cascade, "cascade"),
        (Choice::BestAvailable, "below_quality_target"),
    ];
    choices.into_iter().for_each(|(choice, code)| assert_eq!(choice.code(), code));
    let kinds = [
        (RefusalKind::Policy, "policy_unsatisfiable"),
        (RefusalKind::Budget, "budget_exhausted"),
        (RefusalKind::Capability, "capability_missing"),
        (RefusalKind::Unavailable, "destination_unavailable"),
    ];
    kinds.into_iter().for_each(|(kind, code)| assert_eq!(kind.code(), code));
    Mode::ALL.into_iter().for_each(|(word, mode)| assert_eq!(mode.name(), word));
    By::ALL.into_iter().for_each(|(word, by)| assert_eq!(by.name(), word));
    assert_eq!([Side::InForce, Side::OnTrial].map(Side::name), ["in_force", "on_trial"]);
}

#[test]
fn what_only_grows_when_detectors_fail_is_a_matter_of_permission_and_nothing_else_is() {
    let permission = [Barrier::Class, Barrier::Guard(0), Barrier::Budget(0), Barrier::Rollout, Barrier::Transform];
    assert!(permission.into_iter().all(Barrier::is_permission));
    let ability = [
        Barrier::None,
        Barrier::Price,
        Barrier::Cost,
        Barrier::Lacks("tools"),
        Barrier::Unavailable("failed"),
        Barrier::Slow,
    ];
    assert!(!ability.into_iter().any(Barrier::is_permission));
}

#[test]
fn decisions_act_alike_only_if_nothing_that_acts_on_the_request_differs() {
    let set = listed("");
    let decision = plain(&set).decide(&set);
    let refusal = Refusal { kind: RefusalKind::Policy, by: RefusedBy::Route(0) };
    let changes: [&dyn Fn(&mut Decision); 9] = [
        &|other| other.class = Class(0),
        &|other| other.basis = Basis::Unknown,
        &|other| other.permitted = DestinationSet::of(FAR),
        &|other| other.transforms[1] = transforms(&[Transform::RescanClean]),
        &|other| other.ways[1] = Some(0),
        &|other| other.route = None,
        &|other| other.max_output = Some(1),
        &|other| other.max_cost = Some(MicroUsd(1)),
        &|other| other.outcome = Outcome::Refuse(refusal),
    ];
    for (n, change) in changes.into_iter().enumerate() {
        let mut other = decision.clone();
        change(&mut other);
        assert!(!decision.acts_as(&other) && !other.acts_as(&decision), "change {n}");
    }
    let mut dearer = plain(&set);
    dearer.states[2].worst_case = Some(MicroUsd(1001));
    assert!(!decision.acts_as(&dearer.decide(&set)), "the plan differs");
    let mut explained = decision.clone();
    explained.guards.insert(3);
    explained.baseline = Some(1);
    assert!(decision.acts_as(&explained), "which rules led to it is no act");
}

#[test]
fn only_what_certainly_cannot_be_looked_into_is_flagged() {
    let set = listed("");
    let flags = |request: Request| request.decide(&set).flags().collect::<Vec<_>>();
    assert_eq!(flags(plain(&set)), [""; 0]);
    assert_eq!(flags(with(&set, &[("uses.uninspectable", YES)])), ["uninspectable"]);
    assert_eq!(flags(with(&set, &[("uses.uninspectable", Fact::Unknown)])), [""; 0]);
    assert_eq!(flags(with(&set, &[("uses.image", YES)])), [""; 0]);
}

#[test]
fn a_second_look_brings_its_verdicts_and_can_only_add_that_something_is_uninspectable() {
    use ajar::classify::Truth::{False, True, Unknown};
    let set = listed("");
    let before = with(&set, &[("uses.image", YES)]).facts;
    let fact = |facts: &ajar::policy::Facts, name: &str| facts.get(set.vocabulary.slot(name).unwrap());
    let again = seen_again(&set, &before, &[True, Unknown], true);
    let names = ["finding.card", "finding.mail", "unknown.card", "unknown.mail", "unknown.any", "uses.uninspectable"];
    let no = Fact::Bool(false);
    assert_eq!(names.map(|name| fact(&again, name)), [YES, Fact::Unknown, no, YES, YES, YES]);
    assert_eq!(fact(&again, "uses.image"), YES);
    let clean = seen_again(&set, &again, &[False, False], false);
    assert_eq!(names.map(|name| fact(&clean, name)), [no, no, no, no, no, YES], "it was met before");
    let unseen = seen_again(&set, &before, &[True], false);
    assert_eq!(names.map(|name| fact(&unseen, name)), [YES, Fact::Unknown, no, YES, YES, no], "a missing verdict");
}
