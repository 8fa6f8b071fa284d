//! The shipped policy sets load with their configurations, prove their invariants and pass their own tests.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::path::Path;

use ajar::app;
use ajar::classify::DetectorKind;
use ajar::config::Config;
use ajar::govern::{NewKey, Pepper, Price};
use ajar::policy::analysis::{Fate, diff, lint, mutate};
use ajar::policy::{self, PolicySet, Source};
use ajar::yaml::Problems;

/// Each shipped configuration with the set that it names.
const SHIPPED: [(&str, &str); 6] = [
    ("config/ajar.yaml", "default"),
    ("config/privacy-gateway.yaml", "privacy-gateway"),
    ("config/cost-control.yaml", "cost-control"),
    ("config/coding-assistant.yaml", "coding-assistant"),
    ("config/strict.yaml", "strict"),
    ("config/balanced.yaml", "balanced"),
];

fn load(config: &str) -> PolicySet {
    let config = Config::load(Path::new(config), &Vec::new()).unwrap_or_else(|problems| panic!("{problems}"));
    app::load_policy(&config).unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn every_shipped_set_loads_with_its_configuration_and_passes_its_own_tests() {
    for (config, name) in SHIPPED {
        let set = load(config);
        assert_eq!(set.name, name);
        assert!(set.cases.len() >= 10 && set.invariants.len() >= 4, "{name}");
        assert!(set.cases.iter().any(|case| case.expect.permitted.is_some()), "{name} asserts no permitted set");
    }
    let folders = std::fs::read_dir("policies").unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir());
    assert_eq!(folders.count(), SHIPPED.len(), "a folder without a configuration");
}

#[test]
fn no_shipped_set_can_be_made_laxer_without_a_test_or_an_invariant_that_notices() {
    for (config, name) in SHIPPED {
        for (mutant, fate) in mutate(&load(config)) {
            assert!(!matches!(fate, Fate::Survived(_)), "{name}: {}: {fate:?}", mutant.what);
        }
    }
}

/// Everything that leaves under `strict` leaves under `balanced`, for every request.
#[test]
fn strict_permits_nothing_that_balanced_does_not() {
    let changes = diff(&load("config/balanced.yaml"), &load("config/strict.yaml"));
    let widenings: Vec<_> = changes.iter().filter(|change| change.widens).collect();
    assert!(widenings.is_empty(), "{widenings:#?}");
    let refused = changes.iter().filter(|change| change.id.starts_with("refuses/gpt/"));
    let refused: Vec<_> = refused.map(|change| change.request.clone().unwrap()).collect();
    assert!(refused.len() >= 2, "{changes:#?}");
}

/// As `ajar policy lint --deny-warnings` asks.
#[test]
fn shipped_sets_are_warned_of_nothing() {
    for (config, name) in SHIPPED {
        let warnings = lint(&load(config));
        assert!(warnings.is_empty(), "{name}: {warnings}");
    }
}

#[test]
fn what_keeps_a_shipped_set_from_being_warned_of_is_warned_of_where_it_is_missing() {
    let text = std::fs::read_to_string("policies/coding-assistant/policy.yaml").unwrap();
    let rules = &text[..text.find("invariants:").unwrap()];
    for (code, piece, by) in [
        ("W103", "if_unknown: cascade", "if_unknown: [devstral, sonnet, coder]"),
        ("W108", "max_added_latency: 6s", ""),
        ("W110", "only: 'dest.boundary == \"host\"' }\n\nguards", "reprice: 3 }\n\nguards"),
        ("W112", " && client.kind == \"chat\"", ""),
        ("W114", "", ""),
    ] {
        assert!(rules.contains(piece), "{piece}");
        let source = Source { file: "policy.yaml".into(), text: rules.replacen(piece, by, 1) };
        let set = policy::load(&[source], &|_| Price::from_usd_per_million(0.15, 0.60, None));
        let warnings = lint(&set.unwrap_or_else(|p| panic!("{p}"))).to_string();
        assert!(warnings.contains(code), "{code}: {warnings}");
    }
}

#[test]
fn pinned_prices_count_instead_of_the_catalogue() {
    let set = load("config/cost-control.yaml");
    let mini = set.destination(set.destination_named("mini").unwrap());
    assert_eq!(mini.price.unwrap().worst_case(1_000_000, 1_000_000).as_usd(), 2.25);
}

#[test]
fn a_key_may_carry_what_a_budget_counts_by_and_nothing_else_unheard_of() {
    let folder = tempfile::tempdir().unwrap();
    let hash = NewKey::generate(&Pepper::generate().unwrap()).unwrap().hash;
    let told = |attributes: &str| {
        let text = std::fs::read_to_string("config/cost-control.yaml").unwrap();
        let keys = format!("keys: [{{ name: k, hash: \"{hash}\", attributes: {attributes} }}]\n");
        let file = folder.path().join("ajar.yaml");
        std::fs::write(&file, text + &keys).unwrap();
        let config = Config::load(&file, &Vec::new()).unwrap_or_else(|problems| panic!("{problems}"));
        app::load_policy(&config).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(told("{ role: staff, team: legal }"), Ok(()));
    assert!(told("{ role: staff, taem: legal }").unwrap_err().contains("no attribute `key.taem`"));
}

#[test]
fn a_set_with_a_detector_that_this_build_cannot_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let policy = std::fs::read_to_string("policies/default/policy.yaml").unwrap();
    let detectors = "detectors:\n  person: { kind: model, model: nobody@1 }\n  dlp: { kind: external, via: local, deadline: 1s }\n  \
         pet: { kind: model, model: names@1, threshold: { PERSONS: 0.5 } }\n";
    let with = policy.replacen("detectors:", detectors, 1);
    std::fs::write(folder.path().join("policy.yaml"), with).unwrap();
    let overrides = vec![("policies".to_owned(), folder.path().display().to_string())];
    let config = Config::load(Path::new("config/ajar.yaml"), &overrides).unwrap();
    let told = app::load_policy(&config).map(|_| ()).unwrap_err().to_string();
    assert!(told.contains("the detector `person` needs the model `nobody@1`, which this build cannot run"), "{told}");
    assert!(told.contains("the detector `pet`: `names@1` recognises no `PERSONS`; did you mean `PERSON`?"), "{told}");
    assert!(told.contains("the detector `dlp` runs elsewhere, which this build cannot ask"), "{told}");
}

/// A set with one detector, and a word list beside it.
fn load_with(detector: &str) -> Result<PolicySet, Problems> {
    let text = std::fs::read_to_string("policies/default/policy.yaml").unwrap();
    let text = text.replacen("detectors:", &format!("detectors:\n  names: {detector}\n#"), 1);
    let source = |file: &str, text: String| Source { file: file.into(), text };
    let sources = [source("policy.yaml", text), source("names.txt", "# customers\nFalconer\n\n Blue Heron \n".into())];
    policy::load(&sources, &|_| Price::from_usd_per_million(0.15, 0.60, None))
}

#[test]
fn a_dictionary_has_its_names_from_the_policy_and_from_a_word_list_beside_it() {
    let set = load_with("{ kind: dictionary, words: [Nightjar], file: names.txt }").unwrap_or_else(|p| panic!("{p}"));
    let words = ["Nightjar", "Falconer", "Blue Heron"].map(str::to_owned).to_vec();
    assert_eq!(set.detectors[0].kind, DetectorKind::Dictionary { words, as_written: false });
    for (mistake, way_out) in [
        ("{ kind: dictionary, file: others.txt }", "there is no word list `others.txt` beside the policy"),
        ("{ kind: dictionary }", "a dictionary has names"),
    ] {
        let problems = load_with(mistake).unwrap_err().to_string();
        assert!(problems.contains(way_out), "{problems}");
    }
}
