//! What analysis says about whole policies: proofs, differences, warnings, missing tests.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use ajar::govern::Price;
use ajar::policy::analysis::{Change, Fate, diff, lint, mutate};
use ajar::policy::{PolicySet, Source, load};

/// A gateway for two regions, with everything that analysis looks at.
const BASE: &str = r#"ajar: policy/v1
name: gateway
authority: base
classes: [public, internal, confidential, restricted]
sealed: [restricted]
default_class: internal
attributes:
  key.region: { one_of: [eu, us], required: true }
  key.app:    { one_of: [support, other], default: other }
  client.label: { one_of: [none, restricted], default: none }
detectors:
  card:   { kind: checksum, recognizers: [pan_luhn] }
  secret: { kind: pattern, set: secrets@1 }
classify:
  - { id: payment,  raise: restricted,   when: finding.card }
  - { id: secrets,  raise: confidential, when: finding.secret }
  - { id: declared, raise: restricted,   when: 'client.label == "restricted"' }
destinations:
  home:  { via: embedded, model: m, boundary: host }
  eu:    { via: p, model: m, boundary: external, region: eu, accepts: internal, usd_per_1k: 1 }
  us:    { via: p, model: m, boundary: external, region: us, accepts: internal, usd_per_1k: 1 }
  cache: { via: sink/cache, boundary: host, accepts: internal, scope: key }
declassify:
  - { id: pseudonymised, up_to: confidential, to: internal, requires: [pseudonymize, rescan_clean], when: 'key.app == "support"' }
budgets:
  - { id: day, per: key, window: day, limit: 5 USD, ladder: [{ at: 1.00, only: 'dest.boundary == "host"' }] }
guards:
  - { id: eu-stays, when: 'key.region == "eu"', only: 'dest.boundary == "host" || dest.region == "eu"' }
  - { id: media-stays, when: uses.image, only: 'dest.boundary == "host"' }
  - { id: short, when: 'key.app == "other"', cap: { max_output: 500 } }
routes:
  - { id: support, order: 1, when: 'key.app == "support"', candidates: [eu, home] }
  - { id: rest, order: 9, candidates: [home, eu, us] }
"#;

fn source(text: &str) -> [Source; 1] {
    [Source { file: "gateway.yaml".into(), text: text.to_owned() }]
}

fn set(text: &str) -> PolicySet {
    load(&source(text), &|_| Some(Price::FREE)).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What loading says about `BASE` with these invariants.
fn refused(invariants: &[&str]) -> String {
    let lines = invariants.iter().map(|rule| format!("  - {{ {rule} }}\n")).collect::<String>();
    let text = format!("{BASE}invariants:\n{lines}");
    load(&source(&text), &|_| Some(Price::FREE)).unwrap_err().to_string()
}

// === proofs

#[test]
fn what_holds_for_every_request_is_proved() {
    set(&format!(
        "{BASE}invariants:\n  \
         - {{ id: sealed, never: 'class >= restricted && dest.boundary == \"external\"' }}\n  \
         - {{ id: cards, never: 'finding.card && dest.boundary == \"external\"' }}\n  \
         - {{ id: eu, never: 'key.region == \"eu\" && dest.boundary == \"external\" && dest.region != \"eu\"' }}\n  \
         - {{ id: broke, never: 'budget.day >= 1.00 && dest.boundary == \"external\"' }}\n  \
         - {{ id: kept, never: 'class >= confidential && dest.name == \"cache\" && !(key.app == \"support\")' }}\n"
    ));
}

#[test]
fn a_broken_invariant_is_refuted_by_a_request_that_a_person_can_try() {
    insta::assert_snapshot!(refused(&[
        "id: names-stay, never: 'class >= confidential && dest.boundary == \"external\"'",
        "id: us-is-closed, never: 'dest.name == \"us\"'",
        "id: labels, never: 'client.label == \"restricted\" && dest.boundary == \"host\"'",
        "id: large, never: 'tokens.input > 8000 && dest.region == \"eu\"'",
        "id: blind, never: 'unknown.secret && dest.boundary == \"external\"'",
    ]));
}

#[test]
fn unknown_counts_as_broken_for_nobody_can_be_sure() {
    let message = refused(&["id: only-us, never: 'key.region == \"us\" && dest.name == \"eu\"'"]);
    assert!(message.contains("a request with key.region unknown could reach `eu`"), "{message}");
}

// === differences

fn changes(old: &str, new: &str) -> Vec<Change> {
    diff(&set(old), &set(new))
}

fn told(changes: &[Change]) -> String {
    let line = |change: &Change| {
        let mark = if change.widens { "widens" } else { "      " };
        format!("{mark} {}: {} {}\n", change.id, change.message, change.request.as_deref().unwrap_or("-"))
    };
    changes.iter().map(line).collect()
}

#[test]
fn a_set_does_not_differ_from_itself() {
    assert_eq!(changes(BASE, BASE), []);
}

#[test]
fn every_kind_of_change_is_told_with_the_smallest_request_that_shows_it() {
    let new = BASE
        .replace("us:    { via: p, model: m, boundary: external, region: us, accepts: internal", "us:    { via: p, model: m, boundary: external, region: us, accepts: confidential")
        .replace("requires: [pseudonymize, rescan_clean]", "requires: [rescan_clean]")
        .replace("  - { id: media-stays, when: uses.image, only: 'dest.boundary == \"host\"' }\n", "  - { id: audio-stays, when: uses.audio, only: 'dest.boundary == \"host\"' }\n")
        .replace("max_output: 500", "max_output: 900")
        .replace("limit: 5 USD", "limit: 50 USD")
        .replace("eu:    { via: p, model: m,", "eu:    { via: q, model: m,")
        .replace("recognizers: [pan_luhn]", "recognizers: [iban_mod97]")
        .replace("candidates: [eu, home]", "candidates: [home]")
        .replace("declassify:", "  far: { via: p, model: m, boundary: external, region: us, accepts: public, usd_per_1k: 1 }\n  near: { via: p, model: m, boundary: external, region: us, accepts: internal, usd_per_1k: 1 }\ndeclassify:");
    insta::assert_snapshot!(told(&changes(BASE, &new)));
}

#[test]
fn every_part_of_a_route_that_chooses_is_compared() {
    let route = |how: &str| {
        BASE.replace("order: 9, candidates: [home, eu, us]", &format!("order: 9, candidates: [home, eu, us]{how}"))
    };
    let objective = "objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: [eu, home]";
    let old = route(&format!(", {objective} }}"));
    for how in [
        String::new(),
        ", objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: [home, eu] }".to_owned(),
        ", objective: { minimize: cost, where: { p_ok: 0.9 }, if_unknown: [eu, home] }".to_owned(),
        format!(", {objective}, when_none_meets: refuse }}"),
        format!(", {objective} }}, needs: {{ ttft_p95: 2s }}"),
        format!(", {objective} }}, needs: {{ reasoning: if_used }}"),
        format!(", {objective} }}, on_empty: {{ refuse: nobody }}"),
        format!(", {objective} }}, preference: ignore"),
    ] {
        let changes = changes(&old, &route(&how));
        let ids: Vec<&str> = changes.iter().map(|change| change.id.as_str()).collect();
        assert_eq!(ids, ["chooses/rest/rest"], "{how}");
    }
}

#[test]
fn a_guess_or_a_price_that_changes_is_told() {
    let old = format!("{BASE}estimators: {{ eu: {{ assumed: 0.9 }} }}\n");
    let new = old
        .replace("assumed: 0.9", "assumed: 0.7")
        .replace("region: us, accepts: internal, usd_per_1k: 1", "region: us, accepts: internal, usd_per_1k: 2");
    insta::assert_snapshot!(told(&changes(&old, &new)));
}

#[test]
fn what_only_restricts_widens_nothing() {
    let new = BASE
        .replace("accepts: internal, usd_per_1k: 1 }\n  us:", "accepts: public, usd_per_1k: 1 }\n  us:")
        .replace(
            "guards:\n",
            "guards:\n  - { id: night, when: uses.tools, deny: 'dest.region == \"us\"', require: [pseudonymize] }\n",
        )
        .replace("limit: 5 USD", "limit: 4 USD")
        .replace("recognizers: [pan_luhn]", "recognizers: [pan_luhn, iban_mod97]");
    let changes = changes(BASE, &new);
    assert!(changes.iter().all(|change| !change.widens), "{}", told(&changes));
    assert!(changes.len() >= 4, "{}", told(&changes));
}

#[test]
fn a_word_that_only_the_new_set_knows_was_unknown_to_the_old_one() {
    let new = BASE.replace("key.region: { one_of: [eu, us]", "key.region: { one_of: [eu, us, asia]");
    let changes = changes(BASE, &new);
    let [change] = &changes[..] else { panic!("{}", told(&changes)) };
    assert_eq!(change.id, "permits/us/guard/eu-stays");
    assert_eq!(change.request.as_deref(), Some("{ key.region: asia }"), "which was no word, and so held the guard");
}

// === warnings

#[test]
fn every_warning_names_the_rule_and_the_way_out() {
    let text = BASE
        .replace("guards:\n", "guards:\n  - { id: idle, when: finding.card, only: 'dest.boundary == \"host\"' }\n  - { id: never, when: 'key.app == \"support\" && key.app == \"other\"', deny: 'dest.name == \"us\"' }\n")
        .replace("routes:\n", "routes:\n  - { id: loud, order: 0, when: 'client.label == \"restricted\"', candidates: [us] }\n  - { id: same, order: 2, when: 'key.app == \"support\" && uses.tools', candidates: [us] }\n  - { id: tools, order: 3, when: uses.tools, candidates: [us, home] }\n  - { id: files, order: 4, when: uses.file, candidates: [home, us] }\n")
        .replace("accepts: internal, scope: key", "accepts: restricted, scope: key")
        .replace("only: 'dest.boundary == \"host\"' }] }", "reprice: 2 }] }")
        .replace("declassify:", "  shut: { via: p, model: m, boundary: external, region: us, accepts: public, usd_per_1k: 1 }\ndeclassify:");
    let text = format!(
        "{text}tests:\n  - name: support\n    given: {{ key.app: support, key.region: eu, finding.secret: true }}\n    expect: {{ route: support }}\n"
    );
    insta::assert_snapshot!(lint(&set(&text)).to_string());
}

// === missing tests

#[test]
fn the_tests_that_mutation_proposes_notice_what_nobody_noticed() {
    let mut text = format!("{BASE}tests:\n");
    let before = survivors(&set(&format!("{BASE}tests: []\n")));
    assert!(before.len() >= 10, "{before:#?}");
    before.iter().for_each(|test| text.push_str(&indented(test)));
    let after = survivors(&set(&text));
    assert!(after.is_empty(), "{after:#?}\n{text}");
}

fn survivors(set: &PolicySet) -> Vec<String> {
    let fates = mutate(set).into_iter().map(|(_, fate)| fate);
    fates.filter_map(|fate| if let Fate::Survived(test) = fate { Some(test) } else { None }).collect()
}

fn indented(test: &str) -> String {
    test.lines().map(|line| format!("  {line}\n")).collect()
}

#[test]
fn an_invariant_notices_a_mutant_as_a_test_does() {
    let text =
        format!("{BASE}invariants:\n  - {{ id: cards, never: 'finding.card && dest.boundary == \"external\"' }}\n");
    let fates = mutate(&set(&text));
    let payment = fates.iter().find(|(mutant, _)| mutant.what == "drop classify rule `payment`").unwrap();
    assert_eq!(payment.1, Fate::Killed("invariant `cards`".into()));
}
