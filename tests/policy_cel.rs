//! Conditions against the reference language: what we accept is CEL, and where nothing is unknown it has CEL's value.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::sync::LazyLock;

use ajar::classify::Truth;
use ajar::govern::Price;
use ajar::policy::expr::{Context, DestinationCondition, Direction, ExprError, check_for_destinations, parse};
use ajar::policy::{Destination, Fact, Facts, PolicySet, Source, load};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use serde_json::{Map, Value, json};

/// Every kind of name, without a dash in any: CEL would read a subtraction.
const POLICY: &str = r"
ajar: policy/v1
name: words
authority: base
classes: [public, internal, secret]
default_class: internal
attributes:
  key.app:    { one_of: [chat, chat_eu, legal9, batch], default: chat }
  key.region: { one_of: [eu, us, asia], default: eu }
  agent.edits: { cells: [0, 3], default: 0 }
detectors:
  card: { kind: checksum, recognizers: [pan_luhn] }
destinations:
  home: { via: embedded, model: small, boundary: host, region: eu, tier: local, zone: dc1 }
  far:  { via: api, model: gpt_4o, boundary: external, region: us, tier: frontier, accepts: internal, usd_per_1k: 1 }
  near: { via: api, model: gpt_5, boundary: external, region: eu, tier: cheap, accepts: public, usd_per_1k: 1, retention: none }
budgets:
  - { id: month, per: all, window: month, limit: 1 USD, ladder: [] }
routes:
  - { id: all, order: 1, candidates: [home] }
";

static SET: LazyLock<PolicySet> = LazyLock::new(|| {
    let sources = [Source { file: "words.yaml".into(), text: POLICY.into() }];
    load(&sources, &|_| Some(Price::FREE)).unwrap_or_else(|problems| panic!("{problems}"))
});

const WORDS: [(&str, &[&str]); 2] =
    [("key.app", &["chat", "chat_eu", "legal9", "batch"]), ("key.region", &["eu", "us", "asia"])];
const NUMBERS: [&str; 5] = ["agent.edits", "tokens.input", "est.gain", "budget.month", "local.queue"];
const FLAGS: [&str; 5] = ["finding.card", "unknown.card", "unknown.any", "uses.image", "uses.tools"];
const CLASSES: [&str; 3] = ["public", "internal", "secret"];
/// Properties that every destination states: asking null for its text is an error in CEL and false here.
const STATED: [&str; 6] = ["name", "via", "model", "boundary", "region", "tier"];

fn checked(text: &str) -> Result<DestinationCondition, ExprError> {
    let context = Context {
        vocabulary: &SET.vocabulary,
        classes: &SET.classes,
        direction: Direction::Chooses,
        class_known: true,
        client_facts: true,
        destinations: &SET.destinations,
    };
    check_for_destinations(&parse(text)?, &context)
}

/// One request: everything is known.
#[derive(Clone, Debug)]
struct Known {
    words: Vec<usize>,
    numbers: Vec<f64>,
    flags: Vec<bool>,
    class: usize,
}

fn known() -> impl Strategy<Value = Known> {
    let number = prop_oneof![select(vec![-1.0, 0.0, 0.5, 1.0, 3.0]), -2.0..5.0f64];
    (
        prop::collection::vec(0..3usize, WORDS.len()),
        prop::collection::vec(number, NUMBERS.len()),
        prop::collection::vec(any::<bool>(), FLAGS.len()),
        0..CLASSES.len(),
    )
        .prop_map(|(words, numbers, flags, class)| Known { words, numbers, flags, class })
}

impl Known {
    fn facts(&self) -> Facts {
        let mut facts = SET.vocabulary.facts();
        let slot = |name: &str| SET.vocabulary.slot(name).unwrap();
        WORDS.iter().zip(&self.words).for_each(|((name, _), word)| facts.set(slot(name), Fact::Word(*word as u16)));
        NUMBERS.iter().zip(&self.numbers).for_each(|(name, number)| facts.set(slot(name), Fact::Number(*number)));
        FLAGS.iter().zip(&self.flags).for_each(|(name, flag)| facts.set(slot(name), Fact::Bool(*flag)));
        facts
    }

    /// The same as CEL sees it: dotted names are maps in maps, classes are numbers in their order.
    fn context(&self, destination: &Destination) -> cel::Context<'static, 'static> {
        let mut roots = Map::new();
        let mut put = |name: &str, value: Value| {
            let (group, member) = name.split_once('.').unwrap();
            roots.entry(group).or_insert_with(|| json!({}))[member] = value;
        };
        WORDS.iter().zip(&self.words).for_each(|((name, words), word)| put(name, json!(words[*word])));
        NUMBERS.iter().zip(&self.numbers).for_each(|(name, number)| put(name, json!(number)));
        FLAGS.iter().zip(&self.flags).for_each(|(name, flag)| put(name, json!(flag)));
        for property in Destination::PROPERTIES {
            put(&format!("dest.{property}"), json!(destination.property(property)));
        }
        let mut context = cel::Context::default();
        roots.into_iter().for_each(|(name, value)| context.add_variable(name, value).unwrap());
        for (rank, class) in CLASSES.iter().enumerate() {
            context.add_variable(*class, rank as i64).unwrap();
        }
        context.add_variable("class", self.class as i64).unwrap();
        context
    }
}

/// Compares for every destination; `condition` is what we made of `text`.
fn compare(text: &str, condition: &DestinationCondition, known: &Known) -> Result<(), TestCaseError> {
    let program = match cel::Program::compile(text) {
        Ok(program) => program,
        Err(error) => return Err(TestCaseError::fail(format!("`{text}` is not CEL: {error}"))),
    };
    let facts = known.facts();
    for (i, destination) in SET.destinations.iter().enumerate() {
        let ours = condition.eval(i, &facts, known.class as u8);
        let theirs = program.execute(&known.context(destination));
        let expected = match &theirs {
            Ok(cel::Value::Bool(true)) => Truth::True,
            Ok(cel::Value::Bool(false)) => Truth::False,
            other => return Err(TestCaseError::fail(format!("`{text}` is no truth value in CEL: {other:?}"))),
        };
        prop_assert_eq!(ours, expected, "`{}` for {:?} and `{}`", text, known, &destination.name);
    }
    Ok(())
}

fn relation() -> impl Strategy<Value = &'static str> {
    select(vec!["==", "!=", "<", "<=", ">", ">="])
}

fn equality() -> impl Strategy<Value = &'static str> {
    select(vec!["==", "!="])
}

fn quoted(text: &str, raw: bool, double: bool) -> String {
    let quote = if double { '"' } else { '\'' };
    format!("{}{quote}{text}{quote}", if raw { "r" } else { "" })
}

/// A name whose value is a text, with a text it may have.
fn text_of() -> impl Strategy<Value = (String, String)> {
    let word = select(WORDS.to_vec()).prop_flat_map(|(name, words)| (Just(name.to_owned()), select(words.to_vec())));
    let own = (select(&STATED[..]), 0..3usize)
        .prop_map(|(property, i)| (format!("dest.{property}"), SET.destinations[i].property(property).unwrap_or("eu")));
    prop_oneof![word, own].prop_map(|(name, text)| (name, text.to_owned()))
}

fn atom() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        (0..5i64).prop_map(|n| n.to_string()),
        select(vec!["0.5", "1.00", "-1", "-0.25", "3.0"]).prop_map(str::to_owned)
    ];
    let class = || (relation(), select(&CLASSES[..]));
    let style = || (any::<bool>(), any::<bool>());
    let test = select(vec!["startsWith", "endsWith", "contains", "matches"]);
    prop_oneof![
        select(&FLAGS[..]).prop_map(str::to_owned),
        (select(&FLAGS[..]), equality(), any::<bool>()).prop_map(|(name, r, value)| format!("{name} {r} {value}")),
        (select(&NUMBERS[..]), relation(), number.clone()).prop_map(|(name, r, n)| format!("{name} {r} {n}")),
        (select(&NUMBERS[..]), relation(), number.clone()).prop_map(|(name, r, n)| format!("{n} {r} {name}")),
        (select(&NUMBERS[..]), prop::collection::vec(number, 1..4))
            .prop_map(|(name, ns)| format!("{name} in [{}]", ns.join(", "))),
        class().prop_map(|(r, class)| format!("class {r} {class}")),
        class().prop_map(|(r, class)| format!("{class} {r} class")),
        prop::collection::vec(select(&CLASSES[..]), 1..3).prop_map(|names| format!("class in [{}]", names.join(", "))),
        (text_of(), equality(), style())
            .prop_map(|((name, text), r, (raw, double))| format!("{name} {r} {}", quoted(&text, raw, double))),
        (text_of(), style())
            .prop_map(|((name, text), (raw, double))| format!("{name} in [{}]", quoted(&text, raw, double))),
        (text_of(), test, 0..3usize, 3..9usize, style()).prop_map(|((name, text), test, from, to, (raw, double))| {
            let part = text.get(from..to.min(text.len())).unwrap_or(&text);
            format!("{name}.{test}({})", quoted(part, raw, double))
        }),
        (text_of(), select(vec![r"^[a-z]+$", r"\d", "u|s", "^$|e", r"(?i)EU$", "[", r"\p{Greek}", "a{2}"]))
            .prop_map(|((name, _), pattern)| format!("{name}.matches({})", quoted(pattern, true, true))),
        equality().prop_map(|r| format!("dest.region {r} key.region")),
        equality().prop_map(|r| format!("key.region {r} dest.region")),
        equality().prop_map(|r| format!("dest.retention {r} 'none'")),
        any::<bool>().prop_map(|value| value.to_string()),
    ]
}

fn condition() -> impl Strategy<Value = String> {
    atom().prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} && {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} || {b}")),
            inner.clone().prop_map(|a| format!("({a})")),
            inner.prop_map(|a| format!("!({a})")),
        ]
    })
}

/// Pieces of the language, of CEL and of nothing, in any order.
fn soup() -> impl Strategy<Value = String> {
    let pieces = vec![
        "key.app",
        "class",
        "public",
        "finding.card",
        "uses.image",
        "agent.edits",
        "dest.region",
        "key.region",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "(",
        ")",
        "[",
        "]",
        ",",
        ".",
        "?",
        ":",
        "{",
        "}",
        "'chat'",
        "\"eu\"",
        "r'eu'",
        "R'eu'",
        "b'eu'",
        "''",
        "'''eu'''",
        "\\",
        "1",
        "0.5",
        "1.",
        ".5",
        "1e3",
        "1u",
        "0x10",
        "true",
        "false",
        "null",
        "has",
        "startsWith",
        ".startsWith('c')",
        ".matches(r'^c')",
        ".contains",
        ".size()",
        "//",
        "\n",
        "if",
    ];
    prop::collection::vec((select(pieces), select(vec!["", " "])), 1..9)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, gap)| format!("{piece}{gap}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_accepted_has_the_value_that_cel_gives_it(text in condition(), known in known()) {
        match checked(&text) {
            Ok(condition) => compare(&text, &condition, &known)?,
            // A text that no value has, a pattern that is none.
            Err(error) => prop_assert_eq!(error.code, "E001", "{}", text),
        }
    }

    #[test]
    fn whatever_is_typed_is_refused_or_is_what_cel_reads(text in soup(), known in known()) {
        if let Ok(condition) = checked(&text) {
            compare(&text, &condition, &known)?;
        }
    }
}

#[test]
fn most_random_conditions_are_accepted_so_that_the_comparison_means_something() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let texts = (0..1000).map(|_| condition().new_tree(&mut runner).unwrap().current());
    let accepted = texts.filter(|text| checked(text).is_ok()).count();
    assert!(accepted > 500, "{accepted} of 1000");
}

#[test]
fn what_cel_has_beyond_the_subset_is_refused_and_never_read_as_something_else() {
    for text in [
        "has(key.app)",
        "size(key.app) > 3",
        "key.app.size() > 3",
        "[1, 2].exists(x, x == 1)",
        "key['app'] == 'chat'",
        "finding.card ? true : false",
        "tokens.input + 1 > 2",
        "tokens.input * 2.0 > 2.0",
        "-tokens.input > 2.0",
        "key.app == 'ch' + 'at'",
        "key.app == \"\\x63hat\"",
        "key.app == '''chat'''",
        "key.app == b'chat'",
        "key.app == null",
        "tokens.input > 1u",
        "tokens.input > 1e3",
        "tokens.input > 0x10",
        "tokens.input > .5",
        "key.app in []",
        "key.app in {'chat': 1}",
        "finding.card // and so on",
        "finding.card == finding.card == true",
        "key.app == key.app",
        "dest.region == dest.tier",
        "key.app.startsWith(key.region)",
        "'chat'.startsWith('c')",
        "key.app.startsWith('c').startsWith('t')",
        "key.app.matches('(')",
        "key.app",
        "1 == 1",
    ] {
        assert!(checked(text).is_err(), "`{text}` is accepted");
    }
}
