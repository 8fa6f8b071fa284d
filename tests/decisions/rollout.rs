//! What a set on trial may do at most, and how it is compared.

use ajar::chat::MicroUsd;
use ajar::policy::rollout::{Bounds, Counterparts, choice, differs};
use ajar::policy::{
    Barrier, Decision, DestinationId, DestinationSet, Inputs, Outcome, PolicySet, Source, Transform, decide_within,
    load,
};

use crate::support::Request;
use crate::{BASE, FAR, HOME, ROUTES, WIDE, YES, listed, permitted, plain, plan, transforms, with};

/// The base with other words in it.
fn altered(from: &str, to: &str) -> PolicySet {
    let text = format!("{BASE}{ROUTES}").replace(from, to);
    assert_ne!(text, format!("{BASE}{ROUTES}"));
    load(&[Source { file: "altered.yaml".into(), text }], &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
}

fn within(set: &PolicySet, request: &Request, in_force: &PolicySet) -> (Decision, Bounds) {
    let counterparts = Counterparts::new(in_force, set);
    let bounds = Bounds::of(&with(in_force, &[("finding.card", YES)]).decide(in_force), &counterparts);
    let Request { facts, states, floor, preference, insists, able } = request;
    let (floor, preference) = (*floor, *preference);
    let inputs = Inputs { facts, states, floor, preference, insists: *insists, able: *able };
    (decide_within(set, &inputs, &bounds), bounds)
}

#[test]
fn within_another_set_nobody_it_keeps_out_is_let_in_and_all_it_asks_is_asked() {
    let in_force = listed(
        "guards:
  - { id: no-wide, when: finding.card, deny: 'dest.name == \"wide\"' }
  - { id: mask, when: finding.card, require: [pseudonymize], cap: { max_output: 10, usd: 0.002 } }
",
    );
    let on_trial = listed("guards: [{ id: rescan, require: [rescan_clean], cap: { max_output: 20, usd: 0.001 } }]\n");
    let (decision, bounds) = within(&on_trial, &plain(&on_trial), &in_force);
    assert_eq!((permitted(&on_trial, &decision).as_str(), decision.barriers[2]), ("home far log", Barrier::Rollout));
    assert_eq!(decision.transforms[1], transforms(&[Transform::Pseudonymize, Transform::RescanClean]));
    assert!(decision.transforms[0].is_empty());
    assert_eq!((decision.max_output, decision.max_cost), (Some(10), Some(MicroUsd(1000))));
    let outside: Vec<_> = bounds.outside(5).iter().collect();
    assert_eq!(outside, [WIDE, DestinationId(4)]);
}

#[test]
fn a_set_within_itself_decides_as_it_does_alone() {
    let set = listed("guards: [{ id: mail, when: finding.card, deny: 'dest.name == \"wide\"' }]\n");
    let request = with(&set, &[("finding.card", YES)]);
    let (decision, _) = within(&set, &request, &set);
    assert!(decision.acts_as(&request.decide(&set)));
}

#[test]
fn destinations_are_the_same_only_if_what_is_behind_them_is_and_sinks_store_no_more() {
    let base = listed("");
    let same = |tried: &PolicySet, id| Counterparts::new(&base, tried).of(id);
    assert_eq!(same(&base, FAR), Some(FAR));
    for change in ["region: de, accepts: internal, usd", "region: us, training: never, accepts: internal, usd"] {
        let tried = altered("region: us, accepts: internal, usd", change);
        assert_eq!((same(&tried, FAR), same(&tried, HOME)), (None, Some(HOME)), "{change}");
    }
    assert_eq!(same(&altered("far", "near"), FAR), None);
    let tier = altered("region: us, accepts: internal, usd", "region: us, tier: cheap, accepts: internal, usd");
    assert_eq!(same(&tier, FAR), Some(FAR), "what it is called says nothing of who it is");
    let (log, more) = (DestinationId(3), altered("accepts: sealed", "accepts: sealed, store: text"));
    assert_eq!(same(&more, log), None);
    assert_eq!(Counterparts::new(&more, &base).of(log), Some(log), "one that stores less is let in");
    assert_eq!(Counterparts::new(&more, &more).of(log), Some(log));
    assert_eq!(same(&base, DestinationId(60)), None);
}

#[test]
fn what_only_the_tried_set_permits_is_wider() {
    let (narrow, wide) = (listed("guards: [{ id: no, deny: 'dest.name == \"far\"' }]\n"), listed(""));
    let decisions = (plain(&narrow).decide(&narrow), plain(&wide).decide(&wide));
    let counterparts = Counterparts::new(&narrow, &wide);
    assert_eq!(counterparts.widened(&decisions.0, &decisions.1), DestinationSet::of(FAR));
    assert!(counterparts.widened(&decisions.1, &decisions.0).is_empty());
}

#[test]
fn sets_differ_where_others_are_asked_first_and_not_where_both_refuse() {
    let set = listed(
        "guards: [{ id: no, when: finding.card, block: cards }, { id: nor, when: finding.mail, block: mails }]\n",
    );
    let served = plain(&set).decide(&set);
    let other = Request { preference: Some(FAR), ..plain(&set) }.decide(&set);
    let refused = ["finding.card", "finding.mail"].map(|fact| with(&set, &[(fact, YES)]).decide(&set));
    assert_eq!((choice(&set, &served), choice(&set, &refused[0])), (Ok("home"), Err("cards")));
    assert_eq!(plan(&set, &other), "far home wide");
    assert!(matches!(refused[1].outcome, Outcome::Refuse(_)));
    assert!(!differs((&set, &served), (&set, &served)) && !differs((&set, &refused[0]), (&set, &refused[1])));
    assert!(differs((&set, &served), (&set, &other)) && differs((&set, &served), (&set, &refused[0])));
}
