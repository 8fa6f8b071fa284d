//! The shipped policy sets load, and their own tests pass.
use ajar::classify::DetectorKind;
use ajar::govern::Price;
use ajar::policy::{Source, load};

#[test]
fn the_default_set_loads_and_passes_its_own_tests() {
    let text = std::fs::read_to_string("policies/default/policy.yaml").expect("the shipped policy");
    let sources = [Source { file: "policies/default/policy.yaml".into(), text }];
    let set = load(&sources, &|_| Price::from_usd_per_million(0.15, 0.60, None)).unwrap_or_else(|p| panic!("{p}"));
    assert!(set.cases.len() >= 10);
}

/// A set with one detector, and a word list beside it.
fn load_with(detector: &str) -> Result<ajar::policy::PolicySet, ajar::yaml::Problems> {
    let text = std::fs::read_to_string("policies/default/policy.yaml").expect("the shipped policy");
    let text = text.replacen("detectors:", &format!("detectors:\n  names: {detector}\n#"), 1);
    let source = |file: &str, text: String| Source { file: file.into(), text };
    let sources = [source("policy.yaml", text), source("names.txt", "# customers\nFalconer\n\n Blue Heron \n".into())];
    load(&sources, &|_| Price::from_usd_per_million(0.15, 0.60, None))
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
        let problems = load_with(mistake).expect_err("it is refused").to_string();
        assert!(problems.contains(way_out), "{problems}");
    }
}
