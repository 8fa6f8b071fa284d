//! The sections of the language: what each accepts, what it means, and what a mistake in it is told.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use ajar::govern::Price;
use ajar::policy::cases::{Given, outcome};
use ajar::policy::quality::{Check, Commit, Signal, Switch};
use ajar::policy::set::Basis;
use ajar::policy::{DestinationId, PolicySet, Source, load, price_file};

const BASE: &str = r"
ajar: policy/v1
name: base
authority: base
classes: [public, internal, secret]
default_class: internal
attributes:
  key.app: { one_of: [legal-review, legal-hr, chat], default: chat }
  key.region: { one_of: [eu, us], required: true }
  key.data: { one_of: [none, phi], default: none }
detectors:
  card: { kind: checksum, recognizers: [pan_luhn] }
destinations:
  home:  { via: embedded, model: small, boundary: host }
  cheap: { via: api, model: gpt-mini, boundary: external, region: us, accepts: internal, usd_per_1k: 1 }
  best:  { via: api, model: gpt-big, boundary: external, region: eu, accepts: secret, usd_per_1k: 5, training: never }
";

const ROUTES: &str = "routes: [{ id: all, order: 1, candidates: [home, cheap, best] }]\n";

fn source(file: &str, text: &str) -> Source {
    Source { file: file.into(), text: text.into() }
}

fn set(rest: &str) -> PolicySet {
    load(&[source("p.yaml", &format!("{BASE}{rest}"))], &|_| None).unwrap_or_else(|problems| panic!("{problems}"))
}

/// What the loader says about `rest`, with places relative to its first line.
fn told(rest: &str) -> String {
    let before = BASE.lines().count();
    let problems = load(&[source("p.yaml", &format!("{BASE}{rest}"))], &|_| None).expect_err("accepted");
    let lines = problems.iter().map(|problem| {
        let line = problem.place.at.map_or(0, |(line, _)| (line as usize).saturating_sub(before));
        let column = problem.place.at.map_or(0, |(_, column)| column);
        format!("{line}:{column}: {}{}", problem.code.map(|c| format!("{c}: ")).unwrap_or_default(), problem.message)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn permitted(set: &PolicySet, given: &Given) -> Vec<String> {
    outcome(set, given).permitted.iter().map(|id| set.destination(id).name.clone()).collect()
}

fn with(attributes: &[(&str, &str)]) -> Given {
    let attributes = attributes.iter().map(|(name, word)| ((*name).to_owned(), (*word).to_owned())).collect();
    Given { attributes, ..Given::default() }
}

// === expressions

#[test]
fn tests_of_texts_pick_the_words_and_destinations_that_meet_them() {
    let guards = r#"
guards:
  - { id: legal, when: 'key.app.startsWith("legal-")', only: 'dest.name == "home"' }
  - { id: small-only, when: 'key.app.matches("^ch.t$")', deny: 'dest.model.endsWith("-big") && dest.via.contains("p")' }
"#;
    let set = set(&format!("{guards}{ROUTES}"));
    for (app, expected) in [("legal-hr", vec!["home"]), ("legal-review", vec!["home"]), ("chat", vec!["home", "cheap"])]
    {
        assert_eq!(permitted(&set, &with(&[("key.app", app)])), expected, "{app}");
    }
    assert_eq!(permitted(&set, &with(&[("key.app", "unknown")])), ["home"], "unknown restricts");
}

#[test]
fn a_destination_may_be_compared_with_an_attribute() {
    let guards = "guards: [{ id: stay, only: 'dest.boundary == \"host\" || dest.region == key.region' }]\n";
    let set = set(&format!("{guards}{ROUTES}"));
    assert_eq!(permitted(&set, &with(&[("key.region", "eu")])), ["home", "best"]);
    assert_eq!(permitted(&set, &with(&[("key.region", "us")])), ["home", "cheap"]);
    assert_eq!(permitted(&set, &Given::default()), ["home"], "a region nobody knows equals none");
    let guards = "guards: [{ id: leave, deny: 'dest.boundary == \"external\" && key.region != dest.region' }]\n";
    let set = self::set(&format!("{guards}{ROUTES}"));
    assert_eq!(permitted(&set, &with(&[("key.region", "eu")])), ["home", "best"]);
    assert_eq!(permitted(&set, &Given::default()), ["home"]);
}

#[test]
fn mistakes_in_expressions_are_told_with_place_and_way_out() {
    let guards = r#"guards:
  - { id: a, when: 'key.app.startsWith("law-")', block: x }
  - { id: b, when: 'key.app.startsWith(key.data)', block: x }
  - { id: c, when: 'key.app.matches("(")', block: x }
  - { id: d, when: 'tokens.input.contains("1")', block: x }
  - { id: e, when: 'key.app.size() > 3', block: x }
  - { id: f, when: 'dest.region == key.region', block: x }
  - { id: g, deny: 'dest.model.contains("claude")' }
  - { id: h, deny: 'dest.region == key.app' }
  - { id: i, deny: 'dest.region == dest.tier' }
  - { id: j, deny: 'dest.region < key.region' }
"#;
    insta::assert_snapshot!(told(&format!("{guards}{ROUTES}")));
}

// === estimators, cascades, affinity

#[test]
fn estimators_and_affinity_are_typed_and_kept() {
    let rest = "estimators:
  best: { assumed: 0.95 }
  home:
    signal: [request_shape, token_margin]
    artifact: calibration/home.bin
    min_samples: 500
    max_age: 30d
    on_missing: unknown
affinity: { key: conversation, switch_down: never, price_prompt_cache: true }
";
    let set = set(&format!("{rest}{ROUTES}"));
    let [best, home] = &set.estimators[..] else { panic!("{:?}", set.estimators) };
    assert_eq!((best.destination, best.assumed), (DestinationId(2), Some(0.95)));
    assert_eq!(home.signals, [Signal::RequestShape, Signal::TokenMargin]);
    assert_eq!((home.min_samples, home.max_age.unwrap().as_secs(), home.assumed), (Some(500), 30 * 86_400, None));
    let affinity = set.affinity.unwrap();
    assert_eq!((affinity.switch_up, affinity.switch_down), (Switch::Immediate, Switch::Never));
    assert!(affinity.price_prompt_cache);
}

#[test]
fn an_assumed_chance_fills_in_and_what_is_known_or_given_as_unknown_stands() {
    let rest = "estimators: { cheap: { assumed: 0.9 } }
routes:
  - { id: all, order: 1, candidates: [home, cheap, best], objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: [home] } }
";
    let set = set(rest);
    let (home, cheap) = (DestinationId(0), DestinationId(1));
    let first = |p_ok: &[(DestinationId, Option<f64>)]| {
        let decision = outcome(&set, &Given { p_ok: p_ok.iter().copied().collect(), ..Given::default() });
        (set.destination(decision.plan()[0].id).name.clone(), decision.plan()[0].p_ok)
    };
    assert_eq!(first(&[(home, Some(0.5))]), ("cheap".to_owned(), Some(0.9)));
    assert_eq!(first(&[(home, Some(0.5)), (cheap, Some(0.3)), (DestinationId(2), Some(0.9))]).0, "best");
    assert_eq!(first(&[(home, Some(0.5)), (cheap, None)]).0, "home", "nobody is known to be good enough");
}

const CASCADE: &str = "routes:
  - id: code
    order: 1
    candidates: [home, cheap, best]
    objective: { minimize: cost, where: { p_ok: 0.8 }, if_unknown: cascade }
    cascade:
      start: home
      skip_below: 0.25
      verify:
        - { check: tool_call_schema }
        - { check: parses, languages: [rust, python] }
        - { check: p_true, calibrated: true }
        - { check: judge, runs_on: best }
      accept: { p_ok: 0.8 }
      escalate_to: [best, cheap]
      commit: { after_tokens: 16 }
      max_attempts: 2
      max_added_latency: 6s
      carry_draft: false
";

#[test]
fn everything_a_cascade_says_is_kept() {
    let set = set(CASCADE);
    let cascade = set.routes[0].cascade.as_ref().unwrap();
    let checks: Vec<_> = cascade.verify.iter().map(|v| v.check).collect();
    assert_eq!(checks, [Check::ToolCallSchema, Check::Parses, Check::PTrue, Check::Judge]);
    assert_eq!(cascade.verify[1].languages, ["rust", "python"]);
    assert!(cascade.verify[2].calibrated);
    assert_eq!(cascade.verify[3].runs_on, Some(DestinationId(2)));
    assert_eq!((cascade.commit, cascade.accept, cascade.carry_draft), (Commit::AfterTokens(16), Some(0.8), false));
    assert_eq!(cascade.max_added_latency.unwrap().as_secs(), 6);
}

#[test]
fn mistakes_in_estimators_cascades_and_affinity_are_told() {
    let rest = "estimators:
  bets: { assumed: 0.9 }
  home: { assumed: 95 }
  cheap: { signal: [vibes], on_missing: zero }
  best: { artifact: a, runs_on: cheap, assume: 0.9 }
affinity: { key: talk, switch_up: soon }
routes:
  - { id: a, order: 1, candidates: [home], cascade: { start: best, escalate_to: [], skip_below: 0.1 } }
  - id: b
    order: 2
    candidates: [home, cheap]
    objective: { minimize: cost, where: { p_ok: 0.5 }, if_unknown: cascade }
  - id: c
    order: 3
    candidates: [home, cheap]
    objective: { minimize: cost, where: { p_ok: 0.5 }, if_unknown: later }
    cascade: { start: home, skip_below: 0.6, escalate_to: [home, cheap], max_attempts: 1, commit: { after: 3 }, verify: [{ check: parses }, { check: judge }, { chek: p_true }] }
";
    insta::assert_snapshot!(told(rest));
}

// === detectors

#[test]
fn labels_models_and_services_are_detectors_and_say_how_much_they_can_be_relied_on() {
    let text = BASE.replace(
        "detectors:\n",
        "detectors:\n  repo: { kind: label, header: X-Ajar-Label, key: data }\n  marked: { kind: label, words: [SECRET] }\n  \
         person: { kind: model, model: names@1, runs_on: host, deadline: 200ms, threshold: { PERSON: 0.55 } }\n  \
         dlp: { kind: external, via: best, deadline: 1s }\n",
    );
    let classify = "classify:
  - { id: a, raise: secret, when: finding.repo }
  - { id: b, raise: secret, when: finding.marked || finding.repo }
  - { id: c, raise: secret, when: finding.marked || finding.person }
  - { id: d, raise: secret, when: '!(finding.dlp == false)' }
  - { id: e, raise: secret, when: 'key.app == \"chat\"' }
";
    let set = load(&[source("p.yaml", &format!("{text}{classify}{ROUTES}"))], &|_| None).unwrap();
    let bases: Vec<_> = set.classify.iter().map(|rule| rule.basis).collect();
    let expected = [Basis::Declared, Basis::Deterministic, Basis::Statistical, Basis::Statistical, Basis::Declared];
    assert_eq!(bases, expected);
    assert_eq!(set.labels[0].header.as_deref(), Some("x-ajar-label"));
    assert_eq!(set.labels[0].key.as_deref(), Some("data"));
    assert_eq!(set.helpers.len(), 1);
}

#[test]
fn mistakes_in_detectors_are_told_and_one_that_runs_where_not_everything_may_go_is_refused() {
    let detectors = "  a: { kind: label }
  b: { kind: label, key: dat }
  c: { kind: model, runs_on: cheap }
  d: { kind: external, via: cheap, deadline: 1s }
  e: { kind: external, via: chaep, deadline: soon }
  f: { kind: model, model: m, threshold: { PERSON: 55 } }
  g: { kind: lable }
  9h: { kind: label, header: x }
destinations:
";
    let text = format!("{}{ROUTES}", BASE.replace("destinations:\n", detectors));
    let problems = load(&[source("p.yaml", &text)], &|_| None).expect_err("accepted");
    insta::assert_snapshot!(problems);
}

// === destinations and prices

#[test]
fn what_is_inside_lies_in_a_zone_and_what_is_outside_in_none() {
    let set = set(ROUTES);
    let zone = |name: &str| set.destination(set.destination_named(name).unwrap()).property("zone");
    assert_eq!((zone("home"), zone("best")), (Some("host"), None));
    let text = BASE.replace("region: eu, accepts", "zone: dc1, region: eu, accepts");
    let problems = load(&[source("p.yaml", &format!("{text}{ROUTES}"))], &|_| None).unwrap_err().to_string();
    assert!(problems.contains("`best` is external and so in no zone"), "{problems}");
}

#[test]
fn a_model_without_a_price_is_an_error_with_the_way_out() {
    let text = format!("{}{ROUTES}", BASE.replace(", usd_per_1k: 1", ""));
    let problems = load(&[source("p.yaml", &text)], &|_| None).unwrap_err().to_string();
    assert_eq!(
        problems,
        "p.yaml:15:10: E008: the price of `cheap` (model `gpt-mini`) is unknown, so it could never be called; state one \
         as `price: { input, output }`, in USD per million tokens"
    );
    assert!(load(&[source("p.yaml", &text)], &|model| (model == "gpt-mini").then_some(Price::FREE)).is_ok());
}

#[test]
fn prices_may_be_pinned_to_a_file_that_whoever_loads_the_set_reads() {
    let prices = "prices: { source: pinned, file: prices/october.yaml, unknown_price: deny }\n";
    let file = price_file(&[source("p.yaml", &format!("{BASE}{prices}{ROUTES}"))]).unwrap();
    assert_eq!(file.path, "prices/october.yaml");
    assert_eq!(price_file(&[source("p.yaml", &format!("{BASE}{ROUTES}"))]), None);
    set(&format!("{prices}{ROUTES}"));
    assert_eq!(
        told(&format!("prices: {{ source: pinned, unknown_price: zero }}\n{ROUTES}")),
        "1:9: pinned prices need a `file`, as in `file: prices/2026-10.yaml`\n\
         1:42: E001: unknown value `zero`; expected one of `deny`"
    );
}

// === several files

#[test]
fn a_team_file_may_not_define_what_belongs_to_base_files() {
    let base = source("base.yaml", &format!("{BASE}{ROUTES}"));
    let team = "ajar: policy/v1
name: team
authority: team
classes: [a]
sealed: []
default_class: public
prices: { source: catalogue }
baseline: []
destinations: {}
declassify: []
invariants: []
guards: [{ id: fine, deny: 'dest.name == \"best\"' }]
";
    insta::assert_snapshot!(load(&[base, source("team.yaml", team)], &|_| None).expect_err("accepted"));
}

#[test]
fn an_unknown_key_without_a_likely_meaning_is_answered_with_the_keys_there_are() {
    let told = told(&format!("guards: [{{ id: a, xyz: 1, block: no }}]\n{ROUTES}"));
    assert_eq!(
        told,
        "1:19: E001: unknown key `xyz` in a guard; expected one of `id`, `when`, `only`, `deny`, `require`, `cap`, `block`"
    );
}
