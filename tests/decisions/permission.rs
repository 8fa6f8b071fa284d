//! Who may receive a request, and what must be done to it first.

use std::time::{Duration, Instant};

use ajar::chat::MicroUsd;
use ajar::policy::decision::{RefusalKind, RefusedBy};
use ajar::policy::permit::Outbound;
use ajar::policy::set::Basis;
use ajar::policy::{Barrier, Class, DestinationId, DestinationSet, Fact, Outcome, PolicySet, Refusal, Transform};

use crate::support::Request;
use crate::{FAR, HOME, WIDE, YES, listed, of_app, permitted, plain, transforms, with};

/// What somebody's application is worth: `b` is confidential, `c` is secret.
const CLASSIFY: &str = "classify:
  - { id: b, raise: confidential, when: 'key.app == \"b\"' }
  - { id: c, raise: secret, when: 'key.app == \"c\"' }
";

fn declassified_by(rules: &str) -> PolicySet {
    listed(&format!("{CLASSIFY}declassify:\n{rules}"))
}

fn who(set: &PolicySet, request: &Request) -> String {
    permitted(set, &request.decide(set))
}

#[test]
fn a_ceiling_lets_in_its_own_class_and_none_above() {
    let set = listed(CLASSIFY);
    assert_eq!(who(&set, &of_app(&set, "a")), "home far wide log copy");
    assert_eq!(who(&set, &of_app(&set, "b")), "home wide log");
    assert_eq!(who(&set, &of_app(&set, "c")), "home wide log");
    let decision = of_app(&set, "b").decide(&set);
    assert_eq!((decision.barriers[1], decision.barriers[2]), (Barrier::Class, Barrier::None));
}

#[test]
fn a_way_down_is_gone_by_models_up_to_its_class_and_by_no_sink() {
    let set = declassified_by("  - { id: masked, up_to: confidential, to: internal, requires: [pseudonymize] }\n");
    let decision = of_app(&set, "b").decide(&set);
    assert_eq!(permitted(&set, &decision), "home far wide log");
    assert_eq!((decision.ways[1], decision.transforms[1]), (Some(0), transforms(&[Transform::Pseudonymize])));
    assert_eq!((decision.class_sent(&set, FAR), decision.class_sent(&set, WIDE)), (Class(1), Class(2)));
    assert_eq!((decision.way(&set, FAR).unwrap().id.as_str(), decision.way(&set, WIDE).is_none()), ("masked", true));
    assert_eq!(who(&set, &of_app(&set, "c")), "home wide log");
    let decision = of_app(&set, "a").decide(&set);
    assert_eq!((decision.ways[1], decision.transforms[1].is_empty()), (None, true), "who needs none goes none");
}

#[test]
fn a_way_down_that_asks_for_nothing_is_gone_by_sinks_too() {
    let set = declassified_by("  - { id: plainly, up_to: confidential, to: internal, requires: [] }\n");
    assert_eq!(who(&set, &of_app(&set, "b")), "home far wide log copy");
}

#[test]
fn a_way_down_that_ends_above_the_ceiling_leads_nowhere() {
    let set = declassified_by("  - { id: short, up_to: secret, to: confidential, requires: [pseudonymize] }\n");
    assert_eq!(who(&set, &of_app(&set, "c")), "home wide log");
}

#[test]
fn a_way_down_is_open_only_where_its_condition_is_certainly_true() {
    let rule = "  - { id: found, up_to: confidential, to: internal, requires: [], when: finding.card }\n";
    let set = declassified_by(rule);
    let b = crate::app(&set.vocabulary, "b");
    let found = |fact| who(&set, &with(&set, &[("key.app", b), ("finding.card", fact)]));
    assert_eq!(found(YES), "home far wide log copy");
    assert_eq!(found(Fact::Bool(false)), "home wide log");
    assert_eq!(found(Fact::Unknown), "home wide log");
}

#[test]
fn where_something_could_not_be_looked_at_no_second_look_counts_as_clean() {
    let requires = |what: &str| {
        declassified_by(&format!("  - {{ id: down, up_to: confidential, to: internal, requires: [{what}] }}\n"))
    };
    for (what, scanned, unscanned) in [
        ("pseudonymize, rescan_clean", "home far wide log", "home wide log"),
        ("pseudonymize", "home far wide log", "home far wide log"),
    ] {
        let set = requires(what);
        let b = crate::app(&set.vocabulary, "b");
        let any = |fact| who(&set, &with(&set, &[("key.app", b), ("unknown.any", fact)]));
        assert_eq!(any(Fact::Bool(false)), scanned, "{what}");
        assert_eq!((any(YES), any(Fact::Unknown)), (unscanned.to_owned(), unscanned.to_owned()), "{what}");
    }
}

#[test]
fn of_several_ways_down_one_that_can_be_gone_is_gone_then_the_one_that_asks_and_lowers_least() {
    let set = declassified_by(
        "  - { id: asked, up_to: confidential, to: internal, requires: [human_ok] }
  - { id: masked, up_to: confidential, to: public, requires: [pseudonymize, rescan_clean] }
  - { id: higher, up_to: confidential, to: internal, requires: [pseudonymize, rescan_clean] }
",
    );
    let way = |able| {
        let decision = Request { able, ..of_app(&set, "b") }.decide(&set);
        (decision.way(&set, FAR).unwrap().id.clone(), decision.permitted.contains(FAR))
    };
    let all = transforms(&Transform::ALL.map(|(_, transform)| transform));
    let mut without_people = all;
    without_people.remove(Transform::HumanOk);
    assert_eq!(way(all), ("asked".into(), true));
    assert_eq!(way(without_people), ("higher".into(), true));
    assert_eq!(way(transforms(&[])), ("asked".into(), false), "a way that cannot be gone is none");
}

#[test]
fn a_guard_applies_unless_it_is_certainly_off_and_bars_whom_it_names() {
    let set = listed(
        "guards:
  - { id: only, when: finding.card, only: 'dest.boundary == \"host\" || dest.region == \"eu\"' }
  - { id: deny, when: finding.mail, deny: 'dest.region == \"eu\"' }
",
    );
    assert_eq!(who(&set, &plain(&set)), "home far wide log copy");
    for fact in [YES, Fact::Unknown] {
        let decision = with(&set, &[("finding.card", fact)]).decide(&set);
        assert_eq!((permitted(&set, &decision).as_str(), decision.barriers[1]), ("home wide log", Barrier::Guard(0)));
        assert_eq!((decision.guards.contains(0), decision.guards.contains(1)), (true, false));
        assert_eq!(who(&set, &with(&set, &[("finding.mail", fact)])), "home far log copy");
    }
}

#[test]
fn what_a_guard_requires_is_asked_of_models_outside_and_shuts_sinks_outside() {
    let set = listed("guards: [{ id: mask, require: [pseudonymize] }]\n");
    let decision = plain(&set).decide(&set);
    assert_eq!(permitted(&set, &decision), "home far wide log");
    let mask = transforms(&[Transform::Pseudonymize]);
    let none = transforms(&[]);
    assert_eq!(decision.transforms[..5], [none, mask, mask, none, none]);
    assert_eq!((decision.barriers[3], decision.barriers[4]), (Barrier::None, Barrier::Guard(0)));
}

#[test]
fn what_this_installation_cannot_do_bars_those_it_is_required_for_and_no_others() {
    let set = listed("guards: [{ id: mask, require: [pseudonymize] }]\n");
    let mut able = transforms(&Transform::ALL.map(|(_, transform)| transform));
    assert_eq!(who(&set, &Request { able, ..plain(&set) }), "home far wide log");
    able.remove(Transform::HumanOk);
    assert_eq!(who(&set, &Request { able, ..plain(&set) }), "home far wide log", "nothing asks for a person");
    able.remove(Transform::Pseudonymize);
    let decision = Request { able, ..plain(&set) }.decide(&set);
    assert_eq!((permitted(&set, &decision).as_str(), decision.barriers[1]), ("home log", Barrier::Transform));
}

#[test]
fn the_lowest_cap_of_the_guards_that_apply_holds() {
    let set = listed(
        "guards:
  - { id: a, when: finding.card, cap: { max_output: 100 } }
  - { id: b, when: finding.mail, cap: { max_output: 50, usd: 0.002 } }
  - { id: c, when: finding.card && finding.mail, cap: { usd: 0.001 } }
",
    );
    let caps = |known: &[(&str, Fact)]| {
        let decision = with(&set, known).decide(&set);
        (decision.max_output, decision.max_cost)
    };
    let (card, mail) = (("finding.card", YES), ("finding.mail", YES));
    assert_eq!(caps(&[]), (None, None));
    assert_eq!(caps(&[card]), (Some(100), None));
    assert_eq!(caps(&[mail]), (Some(50), Some(MicroUsd(2000))));
    assert_eq!(caps(&[card, mail]), (Some(50), Some(MicroUsd(1000))));
}

#[test]
fn a_guard_that_blocks_refuses_with_its_word_and_leaves_the_sinks() {
    let set = listed(
        "guards:
  - { id: quiet, cap: { max_output: 9 } }
  - { id: first, when: finding.card, block: no_cards }
  - { id: second, when: finding.card || finding.mail, block: no_mail }
",
    );
    assert!(matches!(plain(&set).decide(&set).outcome, Outcome::Go(_)));
    for (fact, guard, word) in [("finding.card", 1, "no_cards"), ("finding.mail", 2, "no_mail")] {
        let decision = with(&set, &[(fact, YES)]).decide(&set);
        let refusal = Refusal { kind: RefusalKind::Policy, by: RefusedBy::Guard(guard) };
        assert_eq!((decision.outcome, refusal.reason(&set)), (Outcome::Refuse(refusal), word));
        assert_eq!((permitted(&set, &decision).as_str(), decision.plan().len()), ("log copy", 0));
        assert_eq!(decision.barriers[0], Barrier::Guard(guard));
    }
}

#[test]
fn a_step_of_a_budget_applies_from_its_share_on_and_where_the_share_is_unknown() {
    let set = listed(
        "budgets:
  - id: day
    per: key
    window: day
    limit: 5 USD
    ladder: [{ at: 0.5, reprice: 2 }, { at: 0.75, deny: 'dest.region == \"us\"' }, { at: 1.0, refuse: broke }, { at: 1.5, refuse: deep }]
",
    );
    let used = |fact| with(&set, &[("budget.day", fact)]).decide(&set);
    assert_eq!(permitted(&set, &used(Fact::Number(0.74))), "home far wide log copy");
    let decision = used(Fact::Number(0.75));
    assert_eq!((permitted(&set, &decision).as_str(), decision.barriers[1]), ("home wide log", Barrier::Budget(0)));
    assert!(matches!(decision.outcome, Outcome::Go(_)));
    for share in [Fact::Number(1.0), Fact::Number(2.0), Fact::Unknown] {
        let decision = used(share);
        let refusal = Refusal { kind: RefusalKind::Budget, by: RefusedBy::Budget { budget: 0, step: 2 } };
        assert_eq!((decision.outcome, refusal.reason(&set)), (Outcome::Refuse(refusal), "broke"));
        assert_eq!(permitted(&set, &decision), "log");
    }
}

#[test]
fn a_guard_that_blocks_is_named_before_a_budget_that_is_spent_which_still_shuts_its_sinks() {
    let set = listed(
        "guards: [{ id: no, when: finding.card, block: no_cards }]
budgets:
  - { id: day, per: all, window: day, limit: 1 USD, ladder: [{ at: 1.0, refuse: broke, deny: 'dest.name == \"log\"' }] }
",
    );
    let decision = with(&set, &[("finding.card", YES), ("budget.day", Fact::Number(1.0))]).decide(&set);
    let Outcome::Refuse(refusal) = decision.outcome else { panic!("{:?}", decision.outcome) };
    assert_eq!((refusal.reason(&set), permitted(&set, &decision).as_str()), ("no_cards", "copy"));
}

#[test]
fn a_budget_for_one_request_bars_those_where_it_would_cost_more() {
    let set = listed(
        "budgets: [{ id: one, per: request, limit: 10 USD, ladder: [{ at: 1.0, refuse: dear }, { at: 2.0, refuse: dearer }] }]\n",
    );
    let mut request = plain(&set);
    let costs = [2_000_000, 10_000_000, 10_000_001];
    for (state, cost) in request.states.iter_mut().zip(costs) {
        state.worst_case = Some(MicroUsd(cost));
    }
    let decision = request.decide(&set);
    assert_eq!(permitted(&set, &decision), "home far log copy");
    assert_eq!((decision.barriers[2], decision.barriers[1]), (Barrier::Budget(0), Barrier::None));
    assert!(matches!(decision.outcome, Outcome::Go(_)), "others can answer");
}

#[test]
fn only_those_who_are_permitted_get_a_grant_and_it_says_on_what_terms() {
    let set = declassified_by("  - { id: masked, up_to: confidential, to: internal, requires: [pseudonymize] }\n");
    let decision = of_app(&set, "b").decide(&set);
    assert!(decision.grant(&set, DestinationId(4)).is_none());
    let grant = decision.grant(&set, FAR).unwrap();
    assert_eq!(grant.transforms(), transforms(&[Transform::Pseudonymize]));
    let expires = Instant::now() + Duration::from_secs(1);
    let permit = grant.permit(&Outbound { url: "https://a", headers: &[], body: b"", max_cost: MicroUsd(1), expires });
    let terms = permit.terms();
    assert_eq!((&*terms.destination, &*terms.class, terms.basis), ("far", "internal", Basis::Declared));
    assert_eq!((terms.transforms, &*terms.policy), (transforms(&[Transform::Pseudonymize]), set.digest.as_str()));
    assert!(decision.grant(&set, HOME).unwrap().transforms().is_empty());
}

#[test]
fn what_cannot_answer_may_still_receive_what_it_is_permitted() {
    let set = listed("guards: [{ id: cap, cap: { usd: 0.001 } }]\n");
    let mut request = plain(&set);
    request.states[0].unavailable = Some("not_loaded");
    request.states[1].lacks = Some("tools");
    request.states[2].worst_case = None;
    let decision = request.decide(&set);
    let expected = [Barrier::Unavailable("not_loaded"), Barrier::Lacks("tools"), Barrier::Price, Barrier::None];
    assert_eq!(decision.barriers[..4], expected);
    assert_eq!(permitted(&set, &decision), "home far wide log copy");
    assert_eq!(decision.permitted, (0..5).map(|_| true).collect::<DestinationSet>());
}

#[test]
fn a_cap_on_the_cost_lets_in_what_costs_just_that_and_the_first_barrier_is_the_one_named() {
    let set = listed("guards: [{ id: cap, cap: { usd: 0.001 } }]\n");
    let mut request = plain(&set);
    request.states[1].worst_case = Some(MicroUsd(1001));
    request.states[1].unavailable = Some("failed");
    request.states[2].worst_case = Some(MicroUsd(999));
    let decision = request.decide(&set);
    assert_eq!(decision.barriers[..3], [Barrier::None, Barrier::Cost, Barrier::None]);
}
