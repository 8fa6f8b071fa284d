//! What must hold for every policy set that loads, shown over random sets: unknown restricts, more rules restrict, the
//! order of rules has no meaning, and proofs agree with decisions.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;

use ajar::chat::MicroUsd;
use ajar::classify::Truth;
use ajar::govern::Price;
use ajar::policy::analysis::refutations;
use ajar::policy::cases::{Given, outcome};
use ajar::policy::facts::{RequestFacts, facts};
use ajar::policy::rollout::{Bounds, Counterparts};
use ajar::policy::vocabulary::Fact;
use ajar::policy::{
    Class, Decision, DestinationId, DestinationState, Facts, Floor, Inputs, Outcome, PolicySet, Source, Transform,
    TransformSet, decide, decide_within, load, load::read,
};
use ajar::yaml::Problems;
use proptest::prelude::*;
use proptest::sample::subsequence;

use support::{Random, Request, Size, random_policy};

const DETECTORS: [&str; 4] = ["card", "secret", "label", "contact"];
const KINDS: [&str; 4] = [
    "{ kind: checksum, recognizers: [pan_luhn] }",
    "{ kind: pattern, set: secrets@1 }",
    "{ kind: pattern, set: document-labels@1 }",
    "{ kind: pattern, set: contact@1 }",
];
const CLASSES: [&str; 4] = ["public", "internal", "confidential", "restricted"];
/// The sections with rules, in the order of [`Draft::rules`].
const SECTIONS: [&str; 5] = ["baseline", "classify", "declassify", "guards", "budgets"];
const CLASSIFY: usize = 1;
const DECLASSIFY: usize = 2;
const GUARDS: usize = 3;
const BUDGETS: usize = 4;
/// Most budgets of a draft, one more that a test adds included.
const MOST_BUDGETS: usize = 4;

/// A random policy: each rule is one line of YAML, so that rules can be shuffled, added and left out.
#[derive(Clone, Debug)]
struct Draft {
    rules: [Vec<String>; SECTIONS.len()],
    ceilings: Vec<&'static str>,
}

impl Draft {
    /// Without the rules that the loader refuses (what it accepts, it must have judged rightly: that is tested too).
    fn settled(mut self) -> Self {
        let Err(problems) = self.try_load() else { return self };
        let refused: Vec<u32> = problems.iter().filter_map(|problem| problem.place.at).map(|(line, _)| line).collect();
        let text = self.yaml();
        let lines: Vec<&str> = text.lines().collect();
        let refused: Vec<&str> = refused.iter().map(|line| lines[*line as usize - 1]).collect();
        for rules in &mut self.rules {
            rules.retain(|rule| !refused.iter().any(|line| line.contains(rule.as_str())));
        }
        self
    }

    fn load(&self) -> PolicySet {
        self.try_load().unwrap_or_else(|problems| panic!("{problems}\n{}", self.yaml()))
    }

    fn try_load(&self) -> Result<PolicySet, Problems> {
        load(&[Source { file: "random.yaml".into(), text: self.yaml() }], &|_| Some(Price::FREE))
    }

    fn yaml(&self) -> String {
        let mut text = self.header();
        for (section, rules) in SECTIONS.iter().zip(&self.rules) {
            write_rules(&mut text, section, rules, |_| true);
        }
        text.push_str(ROUTES);
        text
    }

    /// The same set in two files, every other rule in each.
    fn load_from_two_files(&self) -> PolicySet {
        let mut texts = [self.header(), "ajar: policy/v1\nname: rest\nauthority: base\n".to_owned()];
        for (section, rules) in SECTIONS.iter().zip(&self.rules) {
            for (parity, text) in texts.iter_mut().enumerate() {
                write_rules(text, section, rules, |i| i % 2 == parity);
            }
        }
        texts[1].push_str(ROUTES);
        let [first, second] = texts;
        let sources = [Source { file: "b.yaml".into(), text: second }, Source { file: "a.yaml".into(), text: first }];
        load(&sources, &|_| Some(Price::FREE)).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn header(&self) -> String {
        let mut text = String::from(
            "ajar: policy/v1\nname: random\nauthority: base\nclasses: [public, internal, confidential, restricted]\n\
             sealed: [restricted]\ndefault_class: confidential\nattributes:\n  key.app: { one_of: [a, b, c], default: a }\n  \
             key.team: { one_of: [x, y], required: true }\n  key.region: { one_of: [eu, us], required: true }\n  client.label: { one_of: [none, high], default: none }\ndetectors:\n",
        );
        for (name, kind) in DETECTORS.iter().zip(KINDS) {
            writeln!(text, "  {name}: {kind}").unwrap();
        }
        text.push_str("destinations:\n  home: { via: embedded, model: m, boundary: host }\n");
        text.push_str("  log: { via: sink/decision-log, boundary: external, region: eu, accepts: restricted }\n");
        for (i, ceiling) in self.ceilings.iter().enumerate() {
            let region = ["eu", "us"][i % 2];
            writeln!(
                text,
                "  out{i}: {{ via: p, model: m, boundary: external, region: {region}, accepts: {ceiling}, usd_per_1k: 1 }}"
            )
            .unwrap();
        }
        text
    }

    fn shuffled(&self, random: &mut Random) -> Self {
        let mut draft = self.clone();
        for rules in &mut draft.rules {
            for i in (1..rules.len()).rev() {
                rules.swap(i, random.below(i + 1));
            }
        }
        draft
    }
}

const ROUTES: &str = "routes:
  - { id: hard, order: 1, when: est.gain >= 0.5, candidates: [out0, home], objective: { maximize: p_ok } }
  - { id: all, order: 2, candidates: [home, out0] }
";

fn write_rules(text: &mut String, section: &str, rules: &[String], wanted: impl Fn(usize) -> bool) {
    let wanted: Vec<&String> = rules.iter().enumerate().filter(|(i, _)| wanted(*i)).map(|(_, rule)| rule).collect();
    if !wanted.is_empty() {
        writeln!(text, "{section}:").unwrap();
        wanted.iter().for_each(|rule| writeln!(text, "  - {{ {rule} }}").unwrap());
    }
}

// === random rules

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => prop::sample::select(&DETECTORS[..]).prop_map(|d| format!("finding.{d}")),
        2 => prop::sample::select(&DETECTORS[..]).prop_map(|d| format!("unknown.{d}")),
        1 => Just("unknown.any".to_owned()),
        1 => prop::sample::select(vec!["a", "b", "c"]).prop_map(|w| format!("key.app == \"{w}\"")),
        1 => prop::sample::select(vec!["x", "y"]).prop_map(|w| format!("key.team != \"{w}\"")),
        1 => prop::sample::select(vec!["startsWith", "endsWith", "contains", "matches"])
            .prop_map(|test| format!("key.team.{test}(\"x\")")),
        1 => Just("client.label == \"high\"".to_owned()),
        1 => Just("uses.image".to_owned()),
        1 => Just("tokens.input > 500".to_owned()),
        1 => prop::sample::select(&CLASSES[..]).prop_map(|c| format!("class >= {c}")),
        1 => prop::sample::select(&CLASSES[..]).prop_map(|c| format!("class <= {c}")),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(3, 8, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

/// `only` or `deny`, with and without facts in it.
fn restriction() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("only: 'dest.boundary == \"host\"'".to_owned()),
        Just("deny: 'dest.region == \"us\"'".to_owned()),
        Just("only: 'dest.boundary == \"host\" || dest.region == key.region'".to_owned()),
        Just("deny: 'dest.region != key.region && dest.boundary == \"external\"'".to_owned()),
        Just("deny: 'dest.name.startsWith(\"out\") && unknown.any'".to_owned()),
        condition().prop_map(|c| format!("only: 'dest.boundary == \"host\" || {c}'")),
        condition().prop_map(|c| format!("deny: 'dest.name == \"out0\" && {c}'")),
        condition().prop_map(|c| format!("deny: 'dest.region == \"eu\" || dest.name == \"out0\" && {c}'")),
    ]
}

fn guard() -> impl Strategy<Value = String> {
    let effect = prop_oneof![
        4 => restriction(),
        1 => Just("require: [pseudonymize]".to_owned()),
        1 => Just("require: [human_ok]".to_owned()),
        1 => (1..200u32).prop_map(|n| format!("cap: {{ max_output: {n} }}")),
        1 => (1..200u32).prop_map(|n| format!("cap: {{ usd: 0.{n:03} }}")),
        1 => Just("block: not_here".to_owned()),
    ];
    (condition(), effect).prop_map(|(when, effect)| format!("when: '{when}', {effect}"))
}

/// A budget with up to three steps.
fn budget() -> impl Strategy<Value = String> {
    let per = prop::sample::select(vec!["key, window: day", "team, window: month", "all, window: hour", "request"]);
    let effect = prop_oneof![restriction(), Just("reprice: 2".to_owned()), Just("refuse: spent".to_owned())];
    let step =
        (1..12u32, effect).prop_map(|(tenths, effect)| format!("{{ at: {}, {effect} }}", f64::from(tenths) / 10.0));
    (per, prop::collection::vec(step, 1..4))
        .prop_map(|(per, steps)| format!("per: {per}, limit: 1 USD, ladder: [{}]", steps.join(", ")))
}

fn class_rule() -> impl Strategy<Value = String> {
    (prop::sample::select(&CLASSES[..]), condition()).prop_map(|(c, when)| format!("raise: {c}, when: '{when}'"))
}

/// Up to `most` rules, each with an id that stays with it.
fn rules(rule: impl Strategy<Value = String> + 'static, most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(rule, 0..=most)
        .prop_map(|rules| rules.into_iter().enumerate().map(|(i, rule)| format!("id: r{i}, {rule}")).collect())
}

fn draft() -> impl Strategy<Value = Draft> {
    let class = || prop::sample::select(&CLASSES[..]);
    let baseline = (class(), condition()).prop_map(|(c, when)| format!("class: {c}, when: '{when}'"));
    let requires = subsequence(vec!["pseudonymize", "rescan_clean", "human_ok"], 0..=3);
    let declassify = (class(), class(), requires, condition()).prop_map(|(up_to, to, requires, when)| {
        format!("up_to: {up_to}, to: {to}, requires: [{}], when: '{when}'", requires.join(", "))
    });
    let rules = (
        rules(baseline, 3),
        rules(class_rule(), 5),
        rules(declassify, 4),
        rules(guard(), 6),
        rules(budget(), MOST_BUDGETS - 1),
    );
    (rules, prop::collection::vec(class(), 1..4))
        .prop_map(|((a, b, c, d, e), ceilings)| Draft { rules: [a, b, c, d, e], ceilings }.settled())
}

// === random requests

/// What is known about a request, and what this installation can do.
#[derive(Clone, Debug)]
struct Asked {
    findings: Vec<Truth>,
    attributes: BTreeMap<String, String>,
    image: bool,
    tokens: u64,
    gain: Option<f64>,
    used: Vec<f64>,
    costs: Vec<Option<u64>>,
    /// What the conversation rose to.
    before: Option<u8>,
    able: TransformSet,
}

impl Asked {
    fn floor(&self) -> Option<Floor> {
        self.before.map(|class| Floor::of(Class(class)))
    }

    fn facts(&self, set: &PolicySet) -> Facts {
        let request = RequestFacts {
            findings: &self.findings,
            uses: if self.image { &["image"] } else { &[] },
            tokens_input: self.tokens,
            tokens_max_output: self.tokens,
            gain: self.gain,
            budgets: &[],
            local: &[],
        };
        let mut facts = facts(set, &request, &self.attributes);
        // By name, so that a budget's share stays with it in whatever order budgets stand.
        for (i, used) in self.used.iter().enumerate() {
            if let Some(slot) = set.vocabulary.slot(&format!("budget.r{i}")) {
                facts.set(slot, Fact::Number(*used));
            }
        }
        facts
    }

    fn decide(&self, set: &PolicySet) -> Decision {
        self.decide_with(set, &self.facts(set))
    }

    fn decide_with(&self, set: &PolicySet, facts: &Facts) -> Decision {
        let costs = self.costs.iter().copied().cycle();
        let states: Vec<DestinationState> = (costs.take(set.destinations.len()))
            .map(|cost| DestinationState { worst_case: cost.map(MicroUsd), ..DestinationState::default() })
            .collect();
        decide(
            set,
            &Inputs { facts, states: &states, floor: self.floor(), preference: None, insists: false, able: self.able },
        )
    }

    /// What `set` decides as a canary beside another set.
    fn decide_within(&self, set: &PolicySet, bounds: &Bounds) -> Decision {
        let costs = self.costs.iter().copied().cycle();
        let states: Vec<DestinationState> = (costs.take(set.destinations.len()))
            .map(|cost| DestinationState { worst_case: cost.map(MicroUsd), ..DestinationState::default() })
            .collect();
        let facts = self.facts(set);
        let inputs = Inputs {
            facts: &facts,
            states: &states,
            floor: self.floor(),
            preference: None,
            insists: false,
            able: self.able,
        };
        decide_within(set, &inputs, bounds)
    }
}

fn asked() -> impl Strategy<Value = Asked> {
    let truth = prop::sample::select(vec![Truth::True, Truth::False, Truth::Unknown]);
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    let facts = (
        prop::collection::vec(truth, DETECTORS.len()),
        word(&["a", "b", "c"]),
        word(&["x", "y", "unknown"]),
        word(&["none", "high", "nonsense"]),
        word(&["eu", "us", "unknown"]),
        any::<bool>(),
        0..1_000u64,
        prop::option::of(0.0..1.0),
    );
    let used = prop::collection::vec(0.0..1.3, MOST_BUDGETS);
    let costs = prop::collection::vec(prop::option::of(0..1_500_000u64), 1..4);
    (facts, used, costs, prop::option::of(0..CLASSES.len() as u8), 0..16u8).prop_map(
        |((findings, app, team, label, region, image, tokens, gain), used, costs, before, able)| Asked {
            findings,
            attributes: BTreeMap::from([
                ("key.app".into(), app.into()),
                ("key.team".into(), team.into()),
                ("client.label".into(), label.into()),
                ("key.region".into(), region.into()),
            ]),
            image,
            tokens,
            gain,
            used,
            costs,
            before,
            able: TransformSet(able),
        },
    )
}

// === what holds

/// Names of those who are permitted by `narrow` and not by `wide`, by the sets that decided.
fn let_in(narrow: (&PolicySet, &Decision), wide: (&PolicySet, &Decision)) -> Vec<String> {
    let permitted = |(set, decision): (&PolicySet, &Decision)| -> Vec<String> {
        decision.permitted.iter().map(|id| set.destination(id).name.clone()).collect()
    };
    let wide = permitted(wide);
    permitted(narrow).into_iter().filter(|name| !wide.contains(name)).collect()
}

/// `narrow` permits nobody whom `wide` does not, at no lower class, under no higher caps.
fn restricts(what: &str, set: &PolicySet, narrow: &Decision, wide: &Decision) -> Result<(), TestCaseError> {
    let wider = let_in((set, narrow), (set, wide));
    prop_assert!(wider.is_empty(), "{what} lets in {wider:?}");
    prop_assert!(narrow.class >= wide.class, "{what} lowers the class");
    prop_assert!(below(narrow.max_output, wide.max_output), "{what} raises the cap on the output");
    prop_assert!(below(narrow.max_cost, wide.max_cost), "{what} raises the cap on the cost");
    Ok(())
}

/// Where no cap is the highest.
fn below<T: Ord>(a: Option<T>, b: Option<T>) -> bool {
    b.is_none_or(|b| a.is_some_and(|a| a <= b))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_detector_that_fails_lets_in_nobody_whatever_it_would_have_said(draft in draft(), asked in asked()) {
        let set = draft.load();
        for (detector, name) in DETECTORS.iter().enumerate() {
            let saying = |verdict| {
                let mut asked = asked.clone();
                asked.findings[detector] = verdict;
                asked.decide(&set)
            };
            let blind = saying(Truth::Unknown);
            for verdict in [Truth::True, Truth::False] {
                restricts(&format!("losing `{name}`, which says {verdict:?},"), &set, &blind, &saying(verdict))?;
            }
        }
        let all = Asked { findings: vec![Truth::Unknown; DETECTORS.len()], ..asked.clone() };
        restricts("losing all detectors", &set, &all.decide(&set), &asked.decide(&set))?;
    }

    #[test]
    fn any_fact_that_is_not_known_lets_in_nobody(draft in draft(), asked in asked()) {
        let set = draft.load();
        let facts = asked.facts(&set);
        let known = asked.decide_with(&set, &facts);
        // `unknown.*` says whether a finding is known; it changes with the finding, as above.
        for name in set.vocabulary.names().filter(|name| !name.starts_with("finding.")) {
            let mut blind = facts.clone();
            blind.set(set.vocabulary.slot(name).unwrap(), Fact::Unknown);
            restricts(&format!("not knowing `{name}`"), &set, &asked.decide_with(&set, &blind), &known)?;
        }
    }

    #[test]
    fn a_canary_lets_in_nobody_whom_either_set_keeps_out_and_asks_for_all_that_either_asks(
        old in draft(),
        new in draft(),
        asked in asked(),
    ) {
        let (old, new) = (old.load(), new.load());
        let (before, alone) = (asked.decide(&old), asked.decide(&new));
        let counterparts = Counterparts::new(&old, &new);
        let canary = asked.decide_within(&new, &Bounds::of(&before, &counterparts));
        prop_assert_eq!(let_in((&new, &canary), (&old, &before)), Vec::<String>::new());
        prop_assert_eq!(let_in((&new, &canary), (&new, &alone)), Vec::<String>::new());
        for id in canary.permitted.iter() {
            let twin = counterparts.of(id).expect("who is permitted by both is in both");
            let transforms = |decision: &Decision, id: DestinationId| decision.transforms[usize::from(id.0)];
            let either = transforms(&before, twin).union(transforms(&alone, id));
            prop_assert_eq!(transforms(&canary, id), either);
        }
        prop_assert!(canary.plan().iter().all(|candidate| canary.permitted.contains(candidate.id)));
        for caps in [(before.max_output, before.max_cost), (alone.max_output, alone.max_cost)] {
            prop_assert!(below(canary.max_output, caps.0) && below(canary.max_cost, caps.1));
        }
        let widened = counterparts.widened(&before, &alone);
        let names: Vec<&str> = widened.iter().map(|id| new.destination(id).name.as_str()).collect();
        prop_assert_eq!(names, let_in((&new, &alone), (&old, &before)));
    }

    #[test]
    fn a_conversation_that_rose_lets_in_nobody_and_what_it_rose_to_is_the_least(draft in draft(), asked in asked()) {
        let set = draft.load();
        let mut before = asked.decide(&set);
        for class in asked.before.map_or(0, |class| class + 1)..CLASSES.len() as u8 {
            let decision = Asked { before: Some(class), ..asked.clone() }.decide(&set);
            prop_assert!(decision.class >= Class(class));
            restricts(&format!("a conversation of class {class}"), &set, &decision, &before)?;
            before = decision;
        }
    }

    #[test]
    fn a_budget_that_fills_lets_in_nobody(draft in draft(), asked in asked(), more in 0.0..1.0f64) {
        let set = draft.load();
        let before = asked.decide(&set);
        for budget in 0..MOST_BUDGETS {
            let mut later = asked.clone();
            later.used[budget] += more;
            restricts(&format!("spending from budget {budget}"), &set, &later.decide(&set), &before)?;
        }
    }

    #[test]
    fn the_order_of_rules_and_files_has_no_meaning(draft in draft(), asked in asked(), seed in any::<u64>()) {
        let set = draft.load();
        let shuffled = draft.shuffled(&mut Random::new(seed));
        let a = asked.decide(&set);
        for other in [shuffled.load(), shuffled.load_from_two_files()] {
            let b = asked.decide(&other);
            prop_assert_eq!((a.class, a.basis), (b.class, b.basis));
            prop_assert_eq!(a.permitted, b.permitted);
            prop_assert_eq!(a.transforms, b.transforms);
            prop_assert_eq!((a.max_output, a.max_cost, a.route), (b.max_output, b.max_cost, b.route));
            prop_assert_eq!(a.plan(), b.plan());
            let kind = |decision: &Decision| match decision.outcome {
                Outcome::Go(choice) => Ok(choice),
                Outcome::Refuse(refusal) => Err(refusal.kind),
            };
            prop_assert_eq!(kind(&a), kind(&b));
        }
    }
}

proptest! {
    // Each case loads six sets.
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn one_more_rule_that_restricts_lets_in_nobody(
        draft in draft(),
        asked in asked(),
        (guard, raise, budget) in (guard(), class_rule(), budget()),
        (ceiling, first) in (prop::sample::select(&CLASSES[..]), any::<bool>()),
    ) {
        let set = draft.load();
        let before = asked.decide(&set);
        let mut more: Vec<(&str, Draft)> = Vec::new();
        for (section, rule) in [(GUARDS, guard), (CLASSIFY, raise), (BUDGETS, budget)] {
            let mut draft = draft.clone();
            let id = if section == BUDGETS { format!("r{}", MOST_BUDGETS - 1) } else { "added".to_owned() };
            let at = if first { 0 } else { draft.rules[section].len() };
            draft.rules[section].insert(at, format!("id: {id}, {rule}"));
            more.push((SECTIONS[section], draft.settled()));
        }
        for section in [0, DECLASSIFY] {
            let mut draft = draft.clone();
            draft.rules[section].pop();
            more.push(("one rule less that widens", draft));
        }
        let mut lower = draft.clone();
        let rank = |name: &str| CLASSES.iter().position(|class| *class == name);
        lower.ceilings[0] = if rank(ceiling) < rank(draft.ceilings[0]) { ceiling } else { draft.ceilings[0] };
        more.push(("a lower ceiling", lower));
        for (what, draft) in more {
            let stricter = draft.load();
            restricts(what, &stricter, &asked.decide(&stricter), &before)?;
        }
    }
}

#[test]
fn a_guard_that_blocks_does_not_open_what_a_budget_has_shut() {
    let guard = "id: stop, when: finding.card, block: not_here".to_owned();
    let budget = "id: r0, per: key, window: day, limit: 1 USD, ladder: [{ at: 1, only: 'dest.boundary == \"host\"' }]";
    let rules = [vec![], vec![], vec![], vec![guard], vec![budget.to_owned()]];
    let set = Draft { rules, ceilings: vec!["restricted"] }.load();
    for card in [Truth::True, Truth::False] {
        let given = Given { findings: [(0, card)].into(), budgets: [(0, Some(1.0))].into(), ..Given::default() };
        let permitted = outcome(&set, &given).permitted;
        assert!(!permitted.contains(set.destination_named("log").unwrap()), "{card:?}");
    }
}

#[test]
fn of_two_ways_down_the_one_that_this_installation_can_go_is_taken() {
    let hard = "id: hard, up_to: internal, to: public, requires: [human_ok]".to_owned();
    let easy = "id: easy, up_to: confidential, to: public, requires: [pseudonymize, rescan_clean]".to_owned();
    let raise = "id: up, raise: confidential, when: finding.card".to_owned();
    let internal = "id: down, class: internal, when: '!uses.image'".to_owned();
    let rules = [vec![internal], vec![raise], vec![hard, easy], vec![], vec![]];
    let set = Draft { rules, ceilings: vec!["public"] }.load();
    let mut able = TransformSet::default();
    [Transform::Pseudonymize, Transform::RescanClean].into_iter().for_each(|transform| able.insert(transform));
    for card in [Truth::True, Truth::False] {
        let facts = facts_of(&set, &[card, Truth::False, Truth::False, Truth::False]);
        let states = vec![DestinationState::default(); set.destinations.len()];
        let decision = decide(
            &set,
            &Inputs { facts: &facts, states: &states, floor: None, preference: None, insists: false, able },
        );
        assert!(decision.permitted.contains(set.destination_named("out0").unwrap()), "{card:?}");
    }
}

fn facts_of(set: &PolicySet, findings: &[Truth]) -> Facts {
    facts(set, &RequestFacts { findings, ..RequestFacts::default() }, &BTreeMap::new())
}

#[test]
fn detectors_that_fail_let_nobody_into_large_sets_either() {
    let mut changed = 0;
    for seed in 0..12 {
        let mut random = Random::new(seed);
        let text = random_policy(&mut random, Size { rules: 60, destinations: 12, detectors: 12 });
        let set = load(&[Source { file: "random.yaml".into(), text }], &|_| Some(Price::FREE))
            .unwrap_or_else(|problems| panic!("seed {seed}: {problems}"));
        for _ in 0..200 {
            let request = Request::random(&set, &mut random);
            let known = request.decide(&set);
            let in_plan = |id: DestinationId| known.permitted.contains(id);
            assert!(known.plan().iter().all(|candidate| in_plan(candidate.id)), "seed {seed}: asks the forbidden");
            for detector in 0..set.detectors.len() {
                let mut blind = request.clone();
                blind.facts.set(set.slots.findings[detector], Fact::Unknown);
                blind.facts.set(set.slots.unknowns[detector], Fact::Bool(true));
                blind.facts.set(set.slots.unknown_any.unwrap(), Fact::Bool(true));
                let decision = blind.decide(&set);
                let wider = let_in((&set, &decision), (&set, &known));
                assert!(wider.is_empty(), "seed {seed}: losing detector {detector} lets in {wider:?}");
                changed += usize::from(decision.permitted != known.permitted);
            }
        }
    }
    assert!(changed > 100, "detectors decided {changed} times only: the sets show nothing");
}

/// Whatever the set says of conversations: a preference has no say in who may answer, only in who is asked first.
#[test]
fn who_answered_before_changes_the_order_of_plans_and_nothing_else() {
    let (mut moved, mut total) = (0, 0);
    for (seed, words) in
        ["", "switch_up: never, switch_down: never", "price_prompt_cache: true"].into_iter().enumerate()
    {
        let mut random = Random::new(seed as u64);
        let mut text = random_policy(&mut random, Size { rules: 60, destinations: 12, detectors: 12 });
        if !words.is_empty() {
            writeln!(text, "affinity: {{ key: conversation, {words} }}").unwrap();
        }
        let set = load(&[Source { file: "random.yaml".into(), text }], &|_| Some(Price::FREE))
            .unwrap_or_else(|problems| panic!("seed {seed}: {problems}"));
        for _ in 0..2000 {
            let request = Request::random(&set, &mut random);
            let mut without = request.clone();
            without.states.iter_mut().for_each(|state| state.answered = None);
            let (decision, plain) = (request.decide(&set), without.decide(&set));
            let ids = |decision: &Decision| decision.plan().iter().map(|c| c.id.0).collect::<Vec<_>>();
            let sorted = |mut ids: Vec<u8>| {
                ids.sort_unstable();
                ids
            };
            assert_eq!((decision.class, decision.permitted), (plain.class, plain.permitted), "seed {seed}");
            assert_eq!((decision.transforms, decision.barriers), (plain.transforms, plain.barriers), "seed {seed}");
            assert_eq!(sorted(ids(&decision)), sorted(ids(&plain)), "seed {seed}");
            moved += usize::from(ids(&decision) != ids(&plain));
            total += 1;
        }
    }
    assert!(moved > total / 100, "{moved} of {total} plans changed only: the sets show nothing");
}

// === team files

/// Everything that a team file may hold, at random.
fn team() -> impl Strategy<Value = String> {
    let class = prop::sample::select(&CLASSES[..]);
    let rule = prop_oneof![
        (class, condition()).prop_map(|(c, when)| ("classify", format!("raise: {c}, when: '{when}'"))),
        (
            condition(),
            prop::sample::select(vec![
                "only: 'dest.region == \"eu\"'",
                "deny: 'dest.name == \"home\"'",
                "require: [rewrite]",
                "block: no",
            ])
        )
            .prop_map(|(when, effect)| ("guards", format!("when: '{when}', {effect}"))),
        (0.0..2.0f64).prop_map(|at| (
            "budgets",
            format!(
                "per: key, window: day, limit: 1 USD, ladder: [{{ at: {at:.2}, only: 'dest.boundary == \"host\"' }}]"
            ),
        )),
        condition().prop_map(|when| ("routes", format!("order: 0, when: '{when}', candidates: [out0]"))),
    ];
    prop::collection::vec(rule, 1..6).prop_map(|rules| {
        let mut text = String::from(
            "ajar: policy/v1\nname: team\nauthority: team\nattributes:\n  key.squad: { one_of: [red, blue], required: true }\n\
             detectors:\n  ours: { kind: pattern, set: contact@1 }\nestimators: { out0: { assumed: 0.99 } }\n",
        );
        for section in ["classify", "guards", "budgets", "routes"] {
            // A second route of the same order is an error.
            let most = if section == "routes" { 1 } else { 9 };
            let rules: Vec<_> = rules.iter().filter(|(of, _)| *of == section).take(most).collect();
            if !rules.is_empty() {
                writeln!(text, "{section}:").unwrap();
                rules.iter().enumerate().for_each(|(i, (_, rule))| writeln!(text, "  - {{ id: t{i}, {rule} }}").unwrap());
            }
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn a_team_file_never_lets_more_destinations_in(draft in draft(), team in team(), asked in asked(), ours in any::<bool>()) {
        let base = draft.load();
        let sources = [
            Source { file: "base.yaml".into(), text: draft.yaml() },
            Source { file: "team.yaml".into(), text: team.clone() },
        ];
        let Ok(both) = load(&sources, &|_| Some(Price::FREE)) else { return Err(TestCaseError::reject("not a valid file")) };
        let before = asked.decide(&base);
        let mut asked = asked;
        asked.findings.push(if ours { Truth::True } else { Truth::Unknown });
        let after = asked.decide(&both);
        prop_assert!(after.class >= before.class, "{}\n{}", draft.yaml(), team);
        let wider = let_in((&both, &after), (&base, &before));
        prop_assert!(wider.is_empty(), "lets in {wider:?}\n{}\n{team}", draft.yaml());
        for id in after.permitted.iter() {
            let (asked, now) = (before.transforms[usize::from(id.0)], after.transforms[usize::from(id.0)]);
            prop_assert_eq!(asked.union(now), now, "asks less\n{}\n{}", draft.yaml(), team);
        }
    }
}

// === proofs

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// An invariant that is proved holds in every request that is tried, one that is refuted is broken by the request
    /// that refutes it.
    #[test]
    fn proofs_agree_with_decisions(draft in draft(), never in condition(), requests in prop::collection::vec(asked(), 300)) {
        let text = |invariants: &str| format!("{}{invariants}", draft.yaml());
        let invariants = format!(
            "invariants:\n  - {{ id: a, never: '{never} && dest.boundary == \"external\"' }}\n  \
             - {{ id: b, never: 'dest.name == \"out0\" && {never}' }}\n"
        );
        let sources = |text: String| [Source { file: "random.yaml".into(), text }];
        let refused = match load(&sources(text(&invariants)), &|_| Some(Price::FREE)) {
            Ok(_) => false,
            Err(problems) if problems.iter().all(|problem| problem.code == Some("E003")) => true,
            // A condition that the language does not have, such as a comparison with nothing.
            Err(_) => return Err(TestCaseError::reject("not a valid invariant")),
        };
        let set = read(&sources(text(&invariants)), &|_| Some(Price::FREE)).unwrap();
        let broken = refutations(&set);
        prop_assert_eq!(!broken.is_empty(), refused);
        for refutation in &broken {
            let witness = refutation.witness.as_ref().expect("small sets are always decided");
            let given = witness.given(&set);
            let decision = outcome(&set, &given);
            prop_assert!(decision.permitted.contains(refutation.destination), "{witness}\n{}", text(&invariants));
        }
        for mut asked in requests {
            asked.able = TransformSet(u8::MAX);
            let (facts, decision) = (asked.facts(&set), asked.decide(&set));
            for (i, invariant) in set.invariants.iter().enumerate() {
                if broken.iter().any(|refutation| refutation.invariant == i) {
                    continue;
                }
                for id in decision.permitted.iter() {
                    let value = invariant.never.eval(usize::from(id.0), &facts, decision.class.0);
                    prop_assert_eq!(value, Truth::False, "{:?}\n{}", asked, text(&invariants));
                }
            }
        }
    }
}
