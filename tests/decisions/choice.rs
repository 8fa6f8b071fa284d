//! Who is asked first among those who may and can answer.

use std::time::Duration;

use ajar::chat::MicroUsd;
use ajar::policy::decide::Answered;
use ajar::policy::decision::{Choice, RefusalKind, RefusedBy};
use ajar::policy::{Barrier, DestinationId, DestinationState, Fact, Outcome, PolicySet, Refusal};

use crate::support::Request;
use crate::{FAR, HOME, WIDE, YES, listed, plain, plan, set, with};

/// One route with this objective.
fn aiming(objective: &str) -> PolicySet {
    let routes =
        format!("routes: [{{ id: all, order: 1, candidates: [home, far, wide], objective: {{ {objective} }} }}]\n");
    set(&routes)
}

/// The plain request with these chances of a good answer and costs in millionths of a dollar.
fn weighed(set: &PolicySet, chances: [Option<f64>; 3], costs: [u64; 3]) -> Request {
    let mut request = plain(set);
    for (state, (p_ok, cost)) in request.states.iter_mut().zip(chances.into_iter().zip(costs)) {
        (state.p_ok, state.worst_case) = (p_ok, Some(MicroUsd(cost)));
    }
    request
}

fn asked(set: &PolicySet, request: &Request) -> (String, Outcome) {
    let decision = request.decide(set);
    (plan(set, &decision), decision.outcome)
}

fn going(plan: &str, choice: Choice) -> (String, Outcome) {
    (plan.to_owned(), Outcome::Go(choice))
}

fn refused(kind: RefusalKind) -> (String, Outcome) {
    (String::new(), Outcome::Refuse(Refusal { kind, by: RefusedBy::Route(0) }))
}

#[test]
fn the_first_route_whose_condition_is_certainly_true_is_taken() {
    let set = set("routes:
  - { id: cards, order: 2, when: finding.card, candidates: [wide] }
  - { id: mails, order: 1, when: finding.mail, candidates: [far] }
  - { id: rest, order: 3, candidates: [home] }
");
    let route = |known: &[(&str, Fact)]| {
        let decision = with(&set, known).decide(&set);
        (plan(&set, &decision), decision.route)
    };
    assert_eq!(route(&[]), ("home".into(), Some(2)));
    assert_eq!(route(&[("finding.card", YES)]), ("wide".into(), Some(1)));
    assert_eq!(route(&[("finding.card", YES), ("finding.mail", YES)]), ("far".into(), Some(0)));
    assert_eq!(route(&[("finding.card", Fact::Unknown)]), ("home".into(), Some(2)));
}

#[test]
fn a_plan_has_the_open_candidates_in_their_order_with_what_is_known_of_each() {
    let set = listed("");
    let mut request = weighed(&set, [Some(0.5), None, Some(0.9)], [0, 7, 9]);
    assert_eq!(asked(&set, &request), going("home far wide", Choice::Listed));
    request.states[1].unavailable = Some("failed");
    let decision = request.decide(&set);
    let planned: Vec<_> = decision.plan().iter().map(|c| (c.id, c.p_ok, c.worst_case)).collect();
    assert_eq!(planned, [(HOME, Some(0.5), MicroUsd(0)), (WIDE, Some(0.9), MicroUsd(9))]);
    let shown = format!("{decision:?}");
    assert!(shown.contains("DestinationId(2)") && !shown.contains("DestinationId(1)"), "{shown}");
}

#[test]
fn who_is_known_to_be_slower_than_the_route_allows_is_left_out() {
    let set = set("routes: [{ id: all, order: 1, candidates: [home, far, wide], needs: { ttft_p95: 800ms } }]\n");
    let mut request = plain(&set);
    request.states[0].ttft = Some(Duration::from_millis(800));
    request.states[1].ttft = Some(Duration::from_millis(801));
    let decision = request.decide(&set);
    assert_eq!((plan(&set, &decision).as_str(), decision.barriers[1]), ("home wide", Barrier::Slow));
}

#[test]
fn who_cannot_think_as_it_is_asked_to_is_left_out_where_the_route_needs_that() {
    for (needs, planned, barrier) in [
        (", needs: { reasoning: if_used }", "home wide", Barrier::Lacks("reasoning_effort")),
        ("", "home far wide", Barrier::None),
    ] {
        let set = set(&format!("routes: [{{ id: all, order: 1, candidates: [home, far, wide]{needs} }}]\n"));
        let mut request = plain(&set);
        request.states[1].ignores_reasoning = true;
        let decision = request.decide(&set);
        assert_eq!((plan(&set, &decision).as_str(), decision.barriers[1]), (planned, barrier));
    }
}

#[test]
fn a_refusal_says_what_would_have_to_change() {
    let set = set("guards: [{ id: cap, cap: { usd: 0.001 } }]
routes: [{ id: all, order: 1, candidates: [home, far], needs: { ttft_p95: 800ms } }]
");
    let none = plain(&set).states[0];
    let kind = |home: DestinationState, far: DestinationState| {
        let mut request = plain(&set);
        (request.states[0], request.states[1]) = (home, far);
        asked(&set, &request)
    };
    let gone = DestinationState { unavailable: Some("failed"), ..none };
    let slow = DestinationState { ttft: Some(Duration::from_secs(1)), ..none };
    let unable = DestinationState { lacks: Some("tools"), ..none };
    let dear = DestinationState { worst_case: Some(MicroUsd(1001)), ..none };
    let unpriced = DestinationState { worst_case: None, ..none };
    assert_eq!(kind(unable, gone), refused(RefusalKind::Unavailable));
    assert_eq!(kind(slow, unable), refused(RefusalKind::Unavailable));
    assert_eq!(kind(dear, unable), refused(RefusalKind::Capability));
    assert_eq!(kind(dear, unpriced), refused(RefusalKind::Budget));
    assert_eq!(kind(unpriced, unpriced), refused(RefusalKind::Policy));
    assert_eq!(kind(unpriced, none), going("far", Choice::Listed));
}

#[test]
fn a_route_that_nobody_is_left_of_refuses_with_its_own_word_or_the_kinds() {
    for (on_empty, word) in [(", on_empty: { refuse: closed }", "closed"), ("", "destination_unavailable")] {
        let set = set(&format!("routes: [{{ id: all, order: 1, candidates: [home]{on_empty} }}]\n"));
        let mut request = plain(&set);
        request.states[0].unavailable = Some("failed");
        let Outcome::Refuse(refusal) = request.decide(&set).outcome else { panic!("served") };
        assert_eq!(refusal.reason(&set), word);
    }
}

#[test]
fn the_cheapest_of_those_that_meet_the_objective_goes_first_and_those_that_do_not_come_last() {
    let set = aiming("minimize: cost, where: { p_ok: 0.8, usd: 0.5 }, if_unknown: [home]");
    let ask = |chances, costs| asked(&set, &weighed(&set, chances, costs));
    let good = [Some(0.8), Some(0.9), Some(0.95)];
    assert_eq!(ask(good, [300, 200, 100]), going("wide far home", Choice::Objective));
    assert_eq!(ask(good, [300, 100, 300]), going("far home wide", Choice::Objective), "of equals the first listed");
    assert_eq!(ask([Some(0.79), Some(0.9), Some(0.95)], [0, 300, 200]), going("wide far home", Choice::Objective));
    assert_eq!(ask([Some(0.8), Some(0.9), None], [300, 200, 100]), going("far home wide", Choice::Objective));
    assert_eq!(ask(good, [500_000, 500_001, 600_000]), going("home wide far", Choice::Objective));
}

#[test]
fn where_nobody_meets_the_objective_the_best_goes_first_or_the_route_refuses() {
    let objective = "minimize: cost, where: { p_ok: 0.8 }, if_unknown: [home]";
    let below = [Some(0.5), Some(0.7), Some(0.6)];
    let best = aiming(objective);
    let request = weighed(&best, below, [1, 3, 2]);
    assert_eq!(asked(&best, &request), going("far wide home", Choice::BestAvailable));
    assert!(request.decide(&best).flags().eq(["below_quality_target"]));
    let refuse = aiming(&format!("{objective}, when_none_meets: refuse"));
    assert_eq!(asked(&refuse, &weighed(&refuse, below, [1, 3, 2])), refused(RefusalKind::Policy));
    let named = Request { preference: Some(WIDE), ..weighed(&refuse, below, [1, 3, 2]) };
    assert_eq!(asked(&refuse, &named), going("wide far home", Choice::Preferred), "the client chose");
    let met = weighed(&refuse, [Some(0.5), Some(0.7), Some(0.8)], [1, 3, 2]);
    assert_eq!(asked(&refuse, &met), going("wide far home", Choice::Objective));
    assert_eq!(met.decide(&refuse).flags().count(), 0);
}

#[test]
fn the_best_goes_first_where_quality_is_the_goal_and_an_unknown_chance_is_none() {
    let set = aiming("maximize: p_ok");
    let ask = |chances| asked(&set, &weighed(&set, chances, [1, 2, 3]));
    assert_eq!(ask([Some(0.5), Some(0.7), Some(0.9)]), going("wide far home", Choice::Objective));
    assert_eq!(ask([None, Some(0.1), None]), going("far home wide", Choice::Objective));
}

#[test]
fn where_the_first_local_candidate_is_an_unknown_quantity_the_route_says_whom_to_ask() {
    let set = aiming("minimize: cost, where: { p_ok: 0.8 }, if_unknown: [wide, home]");
    let ask = |chances| asked(&set, &weighed(&set, chances, [1, 2, 3]));
    assert_eq!(ask([None, Some(0.9), Some(0.9)]), going("wide home far", Choice::QualityUnknown));
    assert_eq!(ask([Some(0.9), None, None]), going("home far wide", Choice::Objective));
    let without_target = aiming("minimize: cost, where: { usd: 1 }, if_unknown: [wide]");
    let request = weighed(&without_target, [None; 3], [1, 2, 3]);
    assert_eq!(asked(&without_target, &request), going("home far wide", Choice::Objective));
}

#[test]
fn a_cascade_starts_at_home_and_escalates_as_listed_unless_that_is_hopeless_or_good_enough() {
    let set = set("routes:
  - id: code
    order: 1
    candidates: [home, far, wide]
    objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: cascade }
    cascade: { start: home, skip_below: 0.25, escalate_to: [wide, far], max_attempts: 2 }
");
    let from = |home| weighed(&set, [home, Some(0.9), Some(0.95)], [1, 2, 3]);
    let ask = |home| asked(&set, &from(home));
    assert_eq!(ask(None), going("home wide", Choice::Cascade));
    assert_eq!(ask(Some(0.25)), going("home wide", Choice::Cascade));
    assert_eq!(ask(Some(0.79)), going("home wide", Choice::Cascade));
    assert_eq!(ask(Some(0.8)), going("home far wide", Choice::Objective));
    assert_eq!(ask(Some(0.24)), going("far wide home", Choice::Objective));
    let poor = weighed(&set, [Some(0.24), Some(0.1), Some(0.2)], [1, 2, 3]);
    assert_eq!(asked(&set, &poor), going("wide far home", Choice::BestAvailable), "what is hopeless goes last");
    let named = Request { preference: Some(FAR), ..from(None) };
    assert_eq!(asked(&set, &named), going("far home wide", Choice::Preferred));
    let mut away = from(None);
    away.states[0].unavailable = Some("not_loaded");
    assert_eq!(asked(&set, &away), going("wide far", Choice::QualityUnknown), "it cannot start");
}

#[test]
fn whom_a_cascade_does_not_name_comes_last() {
    let set = set("routes:
  - id: code
    order: 1
    candidates: [far, wide, home]
    objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: cascade }
    cascade: { start: home, escalate_to: [wide] }
");
    let request = weighed(&set, [Some(0.5), Some(0.9), Some(0.9)], [1, 2, 3]);
    assert_eq!(asked(&set, &request), going("home wide far", Choice::Cascade));
    let unnamed = Request { preference: Some(FAR), ..request };
    assert_eq!(asked(&set, &unnamed), going("far home wide", Choice::Preferred));
}

#[test]
fn a_budget_that_runs_ahead_makes_those_outside_look_dearer_by_its_factor() {
    let set = set("budgets: [{ id: day, per: key, window: day, limit: 5 USD, ladder: [{ at: 0.5, reprice: 2 }, { at: 0.9, reprice: 1.5 }] }]
routes: [{ id: all, order: 1, candidates: [home, far], objective: { minimize: cost } }]
");
    let first = |used: f64, home: u64, far: u64| {
        let mut request = weighed(&set, [None; 3], [home, far, 0]);
        request.facts.set(set.vocabulary.slot("budget.day").unwrap(), Fact::Number(used));
        asked(&set, &request).0
    };
    assert_eq!(first(0.4, 1_000_000, 600_000), "far home");
    assert_eq!(first(0.5, 1_000_000, 600_000), "home far");
    assert_eq!(first(0.5, 1_000_000, 400_000), "far home");
    assert_eq!(first(1.0, 1_000_000, 600_000), "home far", "the highest factor holds");
}

#[test]
fn the_destination_that_the_client_names_goes_first_if_it_may_and_can_answer() {
    let set = set("guards: [{ id: mail, when: finding.mail, deny: 'dest.name == \"wide\"' }]
routes: [{ id: all, order: 1, candidates: [home, far] }]
");
    let naming = |id, request: Request| asked(&set, &Request { preference: Some(id), ..request });
    assert_eq!(naming(FAR, plain(&set)), going("far home", Choice::Preferred));
    assert_eq!(naming(HOME, plain(&set)), going("home far", Choice::Preferred));
    assert_eq!(naming(WIDE, plain(&set)), going("wide home far", Choice::Preferred), "it need not be a candidate");
    assert_eq!(naming(WIDE, with(&set, &[("finding.mail", YES)])), going("home far", Choice::Listed));
    assert_eq!(naming(DestinationId(3), plain(&set)), going("home far", Choice::Listed), "a sink answers nothing");
}

#[test]
fn a_preference_leaves_the_order_of_the_others_and_a_route_may_ignore_it() {
    let honoured = listed("");
    let named = |set: &PolicySet| asked(set, &Request { preference: Some(WIDE), ..plain(set) });
    assert_eq!(named(&honoured), going("wide home far", Choice::Preferred));
    let ignored = set("routes: [{ id: all, order: 1, candidates: [home, far, wide], preference: ignore }]\n");
    assert_eq!(named(&ignored), going("home far wide", Choice::Listed));
}

#[test]
fn a_guess_of_the_set_fills_in_only_where_nothing_is_known() {
    let set = listed("estimators: { far: { assumed: 0.9 } }\n");
    let nothing = DestinationState { lacks: Some("tools"), ..DestinationState::default() };
    let guessed = DestinationState { p_ok: Some(0.9), assumed: true, ..nothing };
    assert_eq!((nothing.assuming(&set, FAR), nothing.assuming(&set, HOME)), (guessed, nothing));
    let known = DestinationState { p_ok: Some(0.2), ..nothing };
    assert_eq!(known.assuming(&set, FAR), known);
}

#[test]
fn where_the_client_insists_the_named_answers_or_nobody_and_the_refusal_says_what_speaks_against_it() {
    let set = listed("");
    let insisting = |preference: Option<DestinationId>, change: &dyn Fn(&mut Request)| {
        let mut request = Request { preference, insists: true, ..plain(&set) };
        change(&mut request);
        asked(&set, &request)
    };
    let as_it_is = |_: &mut Request| {};
    assert_eq!(insisting(Some(FAR), &as_it_is), going("far", Choice::Preferred));
    assert_eq!(insisting(None, &as_it_is), refused(RefusalKind::Policy));
    let absent = |request: &mut Request| request.states[1].unavailable = Some("breaker_open");
    assert_eq!(insisting(Some(FAR), &absent), refused(RefusalKind::Unavailable));
    let others_absent = |request: &mut Request| request.states[0].unavailable = Some("breaker_open");
    assert_eq!(insisting(Some(FAR), &others_absent), going("far", Choice::Preferred));
    let secret = |request: &mut Request| {
        request.floor = Some(ajar::policy::Floor::of(ajar::policy::Class(2)));
        request.states[0].unavailable = Some("breaker_open");
    };
    assert_eq!(insisting(Some(FAR), &secret), refused(RefusalKind::Policy), "it is the class that speaks against it");
}

#[test]
fn who_is_for_something_else_does_not_hide_why_the_others_may_not_answer() {
    let set = listed("");
    let lacking = |what: [Option<&'static str>; 3]| {
        let mut request = plain(&set);
        request.floor = Some(ajar::policy::Floor::of(ajar::policy::Class(4)));
        for (state, lacks) in request.states.iter_mut().zip(what) {
            state.lacks = lacks;
        }
        asked(&set, &request)
    };
    assert_eq!(lacking([Some("chat"), None, None]), refused(RefusalKind::Policy), "home makes vectors only");
    assert_eq!(lacking([Some("tools"), None, None]), refused(RefusalKind::Capability), "home could answer otherwise");
    let mut request = plain(&set);
    request.states.iter_mut().for_each(|state| state.lacks = Some("chat"));
    assert_eq!(asked(&set, &request), refused(RefusalKind::Capability), "nobody is for it");
}

#[test]
fn a_route_that_ignores_names_gives_an_insisting_client_its_own_or_nobody() {
    let set = set("routes: [{ id: all, order: 1, candidates: [home, far], preference: ignore }]\n");
    let insisting = |id| asked(&set, &Request { preference: Some(id), insists: true, ..plain(&set) });
    assert_eq!(insisting(FAR), going("far", Choice::Listed));
    assert_eq!(insisting(WIDE), refused(RefusalKind::Policy));
}

/// The plain request of a conversation that `wide` answered before, at these costs of `home`, `far` and `wide`.
fn answered_by_wide(set: &PolicySet, answered: Answered, costs: [u64; 3]) -> Request {
    let mut request = weighed(set, [None; 3], costs);
    request.states[usize::from(WIDE.0)].answered = Some(answered);
    request
}

fn switching(words: &str) -> PolicySet {
    listed(&format!("affinity: {{ key: conversation, {words} }}\n"))
}

const TURN: Answered = Answered { bound: false, user_turn: true, cached: None };

#[test]
fn without_a_word_of_the_set_only_what_belongs_to_somebody_stays_and_only_where_it_costs_no_more() {
    let set = listed("");
    let bound = Answered { bound: true, ..TURN };
    let order = |answered, costs| asked(&set, &answered_by_wide(&set, answered, costs));
    assert_eq!(order(bound, [5, 5, 5]), going("wide home far", Choice::Stays));
    assert_eq!(order(bound, [5, 5, 6]), going("home far wide", Choice::Listed));
    assert_eq!(order(TURN, [5, 5, 5]), going("home far wide", Choice::Listed));
}

#[test]
fn a_conversation_changes_its_model_when_the_set_says_so_up_and_down() {
    let (person, tool) = (TURN, Answered { user_turn: false, ..TURN });
    let (up, down) = ([9, 5, 5], [1, 5, 5]);
    for (words, costs, of_person, of_tool) in [
        ("switch_up: immediate", up, false, false),
        ("switch_up: user_turn", up, false, true),
        ("switch_up: never", up, true, true),
        ("switch_down: immediate", down, false, false),
        ("switch_down: user_turn", down, false, true),
        ("switch_down: never", down, true, true),
        // Both are as good as stated.
        ("price_prompt_cache: false", down, false, true),
    ] {
        let set = switching(words);
        for (answered, stays) in [(person, of_person), (tool, of_tool)] {
            let first =
                if stays { going("wide home far", Choice::Stays) } else { going("home far wide", Choice::Listed) };
            assert_eq!(asked(&set, &answered_by_wide(&set, answered, costs)), first, "{words} {answered:?}");
            let bound = Answered { bound: true, ..answered };
            let decided = asked(&set, &answered_by_wide(&set, bound, costs));
            assert_eq!(decided, going("wide home far", Choice::Stays), "{words}: it belongs there");
        }
    }
}

#[test]
fn a_switch_down_must_be_worth_more_than_the_prompt_cache_where_the_set_says_so() {
    let set = switching("switch_down: immediate, price_prompt_cache: true");
    for (cached, stays) in [(Some(3), true), (Some(4), false), (None, false)] {
        let answered = Answered { cached: cached.map(MicroUsd), ..TURN };
        let (_, outcome) = asked(&set, &answered_by_wide(&set, answered, [3, 9, 9]));
        let choice = if stays { Choice::Stays } else { Choice::Listed };
        assert_eq!(outcome, Outcome::Go(choice), "{cached:?}");
    }
}

#[test]
fn who_answered_before_is_asked_only_if_they_may_and_can_and_the_client_names_nobody() {
    let set = switching("switch_up: never, switch_down: never");
    let mut request = answered_by_wide(&set, Answered { bound: true, ..TURN }, [5, 5, 5]);
    request.preference = Some(FAR);
    assert_eq!(asked(&set, &request), going("far home wide", Choice::Preferred));
    request.preference = None;
    request.states[usize::from(WIDE.0)].unavailable = Some("failed");
    assert_eq!(asked(&set, &request), going("home far", Choice::Listed));
    request.states[usize::from(HOME.0)].answered = Some(TURN);
    assert_eq!(asked(&set, &request), going("home far", Choice::Listed), "it is first anyway");
}
