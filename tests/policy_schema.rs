//! The published form of policy files is what the loader reads, and what is shipped has it.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use ajar::classify::{Language, Recognizer};
use ajar::policy::schema::{SECTIONS, json_schema, reference};
use ajar::policy::{Source, load};
use ajar::yaml::{Node, Problems, Shape, parse};
use serde_json::Value;

type Words = BTreeSet<String>;

#[test]
fn the_committed_schema_and_reference_are_what_the_types_say() {
    let schema = serde_json::to_string_pretty(&json_schema()).unwrap() + "\n";
    assert!(
        fs::read_to_string("policies/schema.json").unwrap() == schema,
        "`ajar policy schema > policies/schema.json`"
    );
    let committed = fs::read_to_string("docs/policy-reference.md").unwrap();
    assert!(committed == reference(), "`ajar policy schema --markdown > docs/policy-reference.md`");
}

#[test]
fn every_shipped_file_has_the_form_of_the_schema_and_says_so_to_editors() {
    let validator = jsonschema::validator_for(&json_schema()).unwrap();
    let mut files = 0;
    for set in fs::read_dir("policies").unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for file in fs::read_dir(set).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            let text = fs::read_to_string(&file).unwrap();
            let policy = json(&parse(&file.display().to_string(), &text).unwrap());
            let wrong: Vec<String> =
                validator.iter_errors(&policy).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(wrong.is_empty(), "{}: {wrong:#?}", file.display());
            assert!(text.starts_with("# yaml-language-server: $schema=../schema.json\n"), "{}", file.display());
            files += 1;
        }
    }
    assert!(files >= 4);
}

/// YAML as editors see it.
fn json(node: &Node) -> Value {
    match &node.shape {
        Shape::Null => Value::Null,
        Shape::Scalar { text, plain: true } => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone()))
        }
        Shape::Scalar { text, plain: false } => Value::String(text.clone()),
        Shape::List(items) => items.iter().map(json).collect(),
        Shape::Map(entries) => {
            let entries = entries.iter().map(|(key, value)| (key.scalar().unwrap().to_owned(), json(value)));
            Value::Object(entries.collect())
        }
    }
}

/// Every map of the language, each with a key that it does not have.
const EVERY_MAP: &str = r#"
ajar: policy/v1
name: maps
authority: base
zzz: 1
classes: [low, high]
default_class: low
attributes: { key.a: { one_of: [x], zzz: 1 } }
detectors:
  a: { kind: checksum, recognizers: [pan_luhn], zzz: 1 }
  b: { kind: pattern, set: secrets@1, zzz: 1 }
  c: { kind: label, words: [w], zzz: 1 }
  d: { kind: model, model: m, zzz: 1 }
  e: { kind: external, via: home, deadline: 1s, zzz: 1 }
  f: { kind: dictionary, words: [w], zzz: 1 }
  g: { kind: language, languages: [en], zzz: 1 }
baseline: [{ id: a, class: low, when: finding.a, zzz: 1 }]
classify: [{ id: a, raise: high, when: finding.a, zzz: 1 }]
conversations: { by: [header], zzz: 1 }
destinations:
  home: { via: embedded, model: m, boundary: host, price: { input: 1, output: 1, zzz: 1 }, zzz: 1 }
declassify: [{ id: a, up_to: high, to: low, zzz: 1 }]
guards: [{ id: a, cap: { max_output: 1, zzz: 1 }, zzz: 1 }]
budgets: [{ id: a, per: key, window: day, limit: 1 USD, ladder: [{ at: 1, refuse: no, zzz: 1 }], zzz: 1 }]
prices: { source: catalogue, zzz: 1 }
estimators: { home: { assumed: 1, zzz: 1 } }
affinity: { key: conversation, zzz: 1 }
rollout: { mode: enforce, zzz: 1 }
routes:
  - id: a
    order: 1
    candidates: [home]
    needs: { zzz: 1 }
    objective: { minimize: cost, where: { p_ok: 1, zzz: 1 }, if_unknown: cascade, zzz: 1 }
    cascade: { start: home, escalate_to: [home], accept: { p_ok: 1, zzz: 1 }, commit: { after_tokens: 1, zzz: 1 }, verify: [{ check: p_true, zzz: 1 }], zzz: 1 }
    on_empty: { refuse: no, zzz: 1 }
    zzz: 1
invariants: [{ id: a, never: finding.a, zzz: 1 }]
tests: [{ name: a, expect: { zzz: 1 }, zzz: 1 }]
"#;

/// How messages call the maps that the schema calls by these names.
const CALLED: [(&str, &str); 29] = [
    ("PolicyFile", "a policy file"),
    ("Attribute", "an attribute"),
    ("Detector", "a detector"),
    ("Baseline", "a baseline"),
    ("ClassRule", "a classify rule"),
    ("Conversations", "`conversations`"),
    ("Destination", "a destination"),
    ("Price", "a price"),
    ("Declassify", "a declassify rule"),
    ("Guard", "a guard"),
    ("Cap", "a cap"),
    ("Budget", "a budget"),
    ("Step", "a budget step"),
    ("Prices", "`prices`"),
    ("Estimator", "an estimator"),
    ("Affinity", "`affinity`"),
    ("Rollout", "`rollout`"),
    ("Route", "a route"),
    ("Needs", "`needs`"),
    ("Objective", "an objective"),
    ("Conditions", "`where`"),
    ("Cascade", "a cascade"),
    ("Accept", "`accept`"),
    ("AfterTokens", "`commit`"),
    ("Verification", "a verification"),
    ("OnEmpty", "`on_empty`"),
    ("Invariant", "an invariant"),
    ("Test", "a test"),
    ("Expect", "`expect`"),
];

#[test]
fn the_loader_and_the_schema_know_the_same_keys_everywhere() {
    let called: BTreeMap<&str, &str> = CALLED.into();
    let mut expected: BTreeMap<String, BTreeSet<Words>> = BTreeMap::new();
    let schema = json_schema();
    let definitions = schema["$defs"].as_object().unwrap();
    for (name, definition) in definitions.iter().map(|(n, d)| (n.as_str(), d)).chain([("PolicyFile", &schema)]) {
        for keys in keys_of(definition) {
            let what = called.get(name).unwrap_or_else(|| panic!("how does the loader call a `{name}`?"));
            expected.entry((*what).to_owned()).or_default().insert(keys);
        }
    }
    let mut read: BTreeMap<String, BTreeSet<Words>> = BTreeMap::new();
    for message in messages(EVERY_MAP) {
        if let Some((what, keys)) =
            message.strip_prefix("unknown key `zzz` in ").and_then(|m| m.split_once("; expected one of "))
        {
            read.entry(what.to_owned()).or_default().insert(quoted(keys));
        }
    }
    assert_eq!(read, expected);
}

#[test]
fn the_reference_has_every_section() {
    let schema = json_schema();
    let sections: BTreeSet<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(BTreeSet::from(SECTIONS), sections);
}

/// The keys of a map, or of each kind of it.
fn keys_of(definition: &Value) -> Vec<Words> {
    let kinds = definition["oneOf"].as_array().into_iter().flatten();
    let maps = std::iter::once(definition).chain(kinds).filter_map(|map| map["properties"].as_object());
    maps.map(|properties| properties.keys().cloned().collect()).collect()
}

/// Every word of the language that is one of several, replaced by one that is none.
const EVERY_WORD: &str = r#"
ajar: zzz
name: words
authority: zzz
classes: [low, high]
default_class: low
attributes: { key.a: { one_of: [x], trust: zzz } }
detectors:
  a: { kind: checksum, recognizers: [zzz] }
  b: { kind: pattern, set: zzz }
  c: { kind: zzz }
  d: { kind: dictionary, words: [w], case: zzz }
conversations: { by: [zzz] }
destinations:
  home: { via: embedded, model: m, boundary: host }
  other: { via: embedded, model: m, boundary: zzz, serves: [zzz], store: zzz, scope: zzz }
declassify: [{ id: a, up_to: low, to: low, requires: [pseudonymize], style: zzz }]
guards: [{ id: a, require: [zzz] }]
budgets: [{ id: a, per: key, window: zzz, limit: 1 USD, ladder: [] }]
prices: { source: zzz, unknown_price: zzz }
estimators: { home: { assumed: 1, signal: [zzz], on_missing: zzz } }
affinity: { key: zzz, switch_up: zzz }
rollout: { mode: zzz, by: zzz }
routes:
  - id: a
    order: 1
    candidates: [home]
    needs: { context: zzz, tools: zzz }
    preference: zzz
    objective: { minimize: zzz, when_none_meets: zzz }
    cascade: { start: home, escalate_to: [home], commit: zzz, verify: [{ check: zzz }] }
  - { id: b, order: 2, candidates: [home], objective: { maximize: zzz } }
tests: [{ name: a, expect: { external: zzz } }]
"#;

#[test]
fn the_loader_and_the_schema_know_the_same_words() {
    let mut expected = BTreeSet::new();
    words_in(&json_schema(), &mut expected);
    // This one is a word or a list, and has a message of its own.
    assert!(expected.remove(&Words::from(["cascade".to_owned()])));
    // These are too many for a message, which names the nearest or where they are listed; both sides have one constant.
    assert!(expected.remove(&Recognizer::NAMES.map(str::to_owned).into()));
    assert!(expected.remove(&Language::NAMES.map(str::to_owned).into()));
    let lists = messages(EVERY_WORD).into_iter().filter_map(|m| Some(quoted(m.split_once("; expected one of ")?.1)));
    assert_eq!(lists.collect::<BTreeSet<_>>(), expected);
}

/// All sets of words in which a value must be, the kinds of a map among them.
fn words_in(schema: &Value, found: &mut BTreeSet<Words>) {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let options = || schema["oneOf"].as_array().into_iter().flatten();
    let kinds = options().map(|option| &option["properties"]["kind"]["const"]);
    let words = listed.chain(options().map(|option| &option["const"])).chain(kinds);
    let words: Words = words.filter_map(Value::as_str).map(str::to_owned).collect();
    if !words.is_empty() {
        found.insert(words);
    }
    match schema {
        Value::Object(map) => map.values().for_each(|value| words_in(value, found)),
        Value::Array(items) => items.iter().for_each(|value| words_in(value, found)),
        _ => {}
    }
}

fn messages(policy: &str) -> Vec<String> {
    let sources = [Source { file: "p.yaml".into(), text: policy.into() }];
    let problems: Problems = load(&sources, &|_| None).expect_err("accepted");
    problems.iter().map(|problem| problem.message.clone()).collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Words {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}
