//! What must hold for every policy set that loads, shown over random sets: unknown restricts, and the order of rules
//! has no meaning.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::collections::BTreeMap;
use std::fmt::Write;

use ajar::classify::Truth;
use ajar::govern::Price;
use ajar::policy::cases::{Given, outcome};
use ajar::policy::{Decision, PolicySet, Source, load};
use proptest::prelude::*;
use proptest::sample::subsequence;

const DETECTORS: [&str; 4] = ["card", "secret", "label", "contact"];
const KINDS: [&str; 4] = [
    "{ kind: checksum, recognizers: [pan_luhn] }",
    "{ kind: pattern, set: secrets@1 }",
    "{ kind: pattern, set: document-labels@1 }",
    "{ kind: pattern, set: contact@1 }",
];
const CLASSES: [&str; 4] = ["public", "internal", "confidential", "restricted"];

/// A random policy: each list of rules as lines of YAML, so that they can be shuffled.
#[derive(Clone, Debug)]
struct Draft {
    baselines: Vec<String>,
    classify: Vec<String>,
    declassify: Vec<String>,
    guards: Vec<String>,
    ceilings: Vec<&'static str>,
}

impl Draft {
    fn yaml(&self) -> String {
        let mut text = String::from(
            "ajar: policy/v1\nname: random\nauthority: base\nclasses: [public, internal, confidential, restricted]\n\
             sealed: [restricted]\ndefault_class: confidential\nattributes:\n  key.app: { one_of: [a, b, c], default: a }\n  \
             key.team: { one_of: [x, y], required: true }\n  key.region: { one_of: [eu, us], required: true }\n  client.label: { one_of: [none, high], default: none }\ndetectors:\n",
        );
        for (name, kind) in DETECTORS.iter().zip(KINDS) {
            writeln!(text, "  {name}: {kind}").unwrap();
        }
        text.push_str("destinations:\n  home: { via: embedded, model: m, boundary: host }\n");
        for (i, ceiling) in self.ceilings.iter().enumerate() {
            let region = ["eu", "us"][i % 2];
            writeln!(
                text,
                "  out{i}: {{ via: p, model: m, boundary: external, region: {region}, accepts: {ceiling}, usd_per_1k: 1 }}"
            )
            .unwrap();
        }
        for (section, rules) in [
            ("baseline", &self.baselines),
            ("classify", &self.classify),
            ("declassify", &self.declassify),
            ("guards", &self.guards),
        ] {
            if !rules.is_empty() {
                writeln!(text, "{section}:").unwrap();
                rules.iter().enumerate().for_each(|(i, rule)| writeln!(text, "  - {{ id: r{i}, {rule} }}").unwrap());
            }
        }
        text.push_str("routes:\n  - { id: all, order: 1, candidates: [home, out0] }\n");
        text
    }

    /// The set, if the draft is one: polarity and sealing rule some out, which is part of what is tested.
    fn load(&self) -> Option<PolicySet> {
        let sources = [Source { file: "random.yaml".into(), text: self.yaml() }];
        load(&sources, &|_| Some(Price::FREE)).ok()
    }
}

fn atom() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(&DETECTORS[..]).prop_map(|d| format!("finding.{d}")),
        prop::sample::select(&DETECTORS[..]).prop_map(|d| format!("unknown.{d}")),
        Just("unknown.any".to_owned()),
        prop::sample::select(vec!["a", "b", "c"]).prop_map(|w| format!("key.app == \"{w}\"")),
        prop::sample::select(vec!["x", "y"]).prop_map(|w| format!("key.team != \"{w}\"")),
        prop::sample::select(vec!["startsWith", "endsWith", "contains", "matches"])
            .prop_map(|test| format!("key.team.{test}(\"x\")")),
        Just("client.label == \"high\"".to_owned()),
        Just("uses.image".to_owned()),
        prop::sample::select(&CLASSES[..]).prop_map(|c| format!("class >= {c}")),
        prop::sample::select(&CLASSES[..]).prop_map(|c| format!("class <= {c}")),
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

fn rules(rule: impl Strategy<Value = String> + 'static, most: usize) -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(rule, 0..=most)
}

fn draft() -> impl Strategy<Value = Draft> {
    let class = || prop::sample::select(&CLASSES[..]);
    let baseline = (class(), condition()).prop_map(|(c, when)| format!("class: {c}, when: '{when}'"));
    let classify = (class(), condition()).prop_map(|(c, when)| format!("raise: {c}, when: '{when}'"));
    let requires = subsequence(vec!["pseudonymize", "rescan_clean"], 0..=2);
    let declassify = (class(), class(), requires, condition()).prop_map(|(up_to, to, requires, when)| {
        format!("up_to: {up_to}, to: {to}, requires: [{}], when: '{when}'", requires.join(", "))
    });
    let effect = prop::sample::select(vec![
        "only: 'dest.boundary == \"host\"'",
        "only: 'dest.boundary == \"host\" || dest.region == \"eu\"'",
        "deny: 'dest.region == \"us\"'",
        "deny: 'dest.name == \"out0\" && finding.card'",
        "only: 'dest.boundary == \"host\" || dest.region == key.region'",
        "deny: 'dest.region != key.region && dest.boundary == \"external\"'",
        "deny: 'dest.name.startsWith(\"out\") && unknown.any'",
        "require: [pseudonymize]",
        "cap: { max_output: 100 }",
    ]);
    let guard = (condition(), effect).prop_map(|(when, effect)| format!("when: '{when}', {effect}"));
    (
        rules(baseline, 2),
        rules(classify, 5),
        rules(declassify, 2),
        rules(guard, 5),
        prop::collection::vec(class(), 1..4),
    )
        .prop_map(|(baselines, classify, declassify, guards, ceilings)| Draft {
            baselines,
            classify,
            declassify,
            guards,
            ceilings,
        })
}

fn given() -> impl Strategy<Value = Given> {
    let truth = prop::sample::select(vec![Truth::True, Truth::False, Truth::Unknown]);
    let word = |words: &'static [&'static str]| prop::sample::select(words);
    (
        prop::collection::vec(truth, DETECTORS.len()),
        word(&["a", "b", "c"]),
        word(&["x", "y", "unknown"]),
        word(&["none", "high", "nonsense"]),
        word(&["eu", "us", "unknown"]),
        any::<bool>(),
    )
        .prop_map(|(findings, app, team, label, region, image)| Given {
            findings: findings.into_iter().enumerate().collect(),
            attributes: BTreeMap::from([
                ("key.app".into(), app.into()),
                ("key.team".into(), team.into()),
                ("client.label".into(), label.into()),
                ("key.region".into(), region.into()),
            ]),
            uses: if image { vec!["image"] } else { Vec::new() },
            ..Given::default()
        })
}

fn names(set: &PolicySet, decision: &Decision) -> Vec<String> {
    decision.permitted.iter().map(|id| set.destination(id).name.clone()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn replacing_any_finding_by_unknown_never_lets_more_destinations_in(draft in draft(), given in given()) {
        let Some(set) = draft.load() else { return Err(TestCaseError::reject("not a valid set")) };
        let known = outcome(&set, &given);
        for (detector, name) in DETECTORS.iter().enumerate() {
            let mut blind = given.clone();
            blind.findings.insert(detector, Truth::Unknown);
            let decision = outcome(&set, &blind);
            let wider: Vec<_> =
                names(&set, &decision).into_iter().filter(|name| !names(&set, &known).contains(name)).collect();
            prop_assert!(wider.is_empty(), "losing `{name}` lets in {wider:?}\n{}", draft.yaml());
            prop_assert!(decision.class >= known.class, "losing `{name}` lowers the class\n{}", draft.yaml());
        }
    }

    #[test]
    fn the_order_of_rules_and_files_has_no_meaning(draft in draft(), given in given(), seed in any::<u64>()) {
        let Some(set) = draft.load() else { return Err(TestCaseError::reject("not a valid set")) };
        let shuffled = Draft {
            baselines: rotate(&draft.baselines, seed),
            classify: rotate(&draft.classify, seed),
            declassify: rotate(&draft.declassify, seed),
            guards: rotate(&draft.guards, seed),
            ceilings: draft.ceilings.clone(),
        };
        let other = shuffled.load().expect("the same rules in another order");
        let (a, b) = (outcome(&set, &given), outcome(&other, &given));
        prop_assert_eq!(a.class, b.class);
        prop_assert_eq!(names(&set, &a), names(&other, &b));
        prop_assert_eq!(a.transforms, b.transforms);
        prop_assert_eq!(a.max_output, b.max_output);
    }
}

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
    fn a_team_file_never_lets_more_destinations_in(draft in draft(), team in team(), given in given(), ours in any::<bool>()) {
        let Some(base) = draft.load() else { return Err(TestCaseError::reject("not a valid set")) };
        let sources = [
            Source { file: "base.yaml".into(), text: draft.yaml() },
            Source { file: "team.yaml".into(), text: team.clone() },
        ];
        let Ok(both) = load(&sources, &|_| Some(Price::FREE)) else { return Err(TestCaseError::reject("not a valid file")) };
        let (before, mut given) = (outcome(&base, &given), given);
        given.findings.insert(DETECTORS.len(), if ours { Truth::True } else { Truth::Unknown });
        let after = outcome(&both, &given);
        prop_assert!(after.class >= before.class, "{}\n{}", draft.yaml(), team);
        let wider: Vec<_> =
            names(&both, &after).into_iter().filter(|name| !names(&base, &before).contains(name)).collect();
        prop_assert!(wider.is_empty(), "lets in {wider:?}\n{}\n{team}", draft.yaml());
        for id in after.permitted.iter() {
            let (asked, now) = (before.transforms[usize::from(id.0)], after.transforms[usize::from(id.0)]);
            prop_assert_eq!(asked.union(now), now, "asks less\n{}\n{}", draft.yaml(), team);
        }
    }
}

/// Another order of the same rules.
fn rotate(rules: &[String], seed: u64) -> Vec<String> {
    let mut rules = rules.to_vec();
    if !rules.is_empty() {
        let by = seed as usize % rules.len();
        rules.rotate_left(by);
        if seed % 2 == 1 {
            rules.reverse();
        }
    }
    rules
}
