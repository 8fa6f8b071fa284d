//! `ajar policy …`, with the real binary: what it prints, and what its exit code says.

use std::path::Path;

use crate::binary::run;

const DEFAULT: &str = include_str!("../../policies/default/policy.yaml");

/// Writes a set into a folder of this name.
fn set(folder: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(folder.join(name)).unwrap();
    std::fs::write(folder.join(name).join("policy.yaml"), text).unwrap();
}

/// The exit code and everything printed.
fn policy(folder: &Path, args: &[&str]) -> (Option<i32>, String) {
    let output = run(folder, &[&["policy"], args].concat());
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

/// Without the lines that hold any of `words`.
fn without(text: &str, words: &[&str]) -> String {
    let kept = text.lines().filter(|line| !words.iter().any(|word| line.contains(word)));
    kept.map(|line| format!("{line}\n")).collect()
}

#[test]
fn diff_holds_a_widening_back_until_it_is_accepted_by_name() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path(), "old", DEFAULT);
    let tests = DEFAULT.find("tests:").unwrap();
    set(folder.path(), "new", &without(&DEFAULT[..tests], &["id: media-stays"]));
    let (code, text) = policy(folder.path(), &["diff", "old", "new"]);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("permits/gpt/guard/media-stays"), "{text}");
    assert!(text.contains("may now go to `gpt`, which the guard `media-stays` kept from it"), "{text}");
    let (code, text) = policy(folder.path(), &["diff", "old", "new", "--allow", "permits/gpt/guard/media-stays"]);
    assert_eq!(code, Some(0), "{text}");
    let (code, text) = policy(folder.path(), &["diff", "new", "old", "--json"]);
    assert_eq!(code, Some(0), "to restrict is always allowed: {text}");
    let changes: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(changes[0]["id"], "refuses/gpt/guard/media-stays");
    assert_eq!(changes[0]["widens"], false);
}

#[test]
fn mutation_fails_while_a_test_is_missing_and_prints_it() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path(), "whole", DEFAULT);
    let (code, text) = policy(folder.path(), &["test", "whole", "--mutate"]);
    assert_eq!(code, Some(0), "{text}");
    let invariants = DEFAULT.find("invariants:").unwrap();
    set(folder.path(), "untested", &DEFAULT[..invariants]);
    let (code, text) = policy(folder.path(), &["test", "untested", "--mutate"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("drop classify rule `payment`: no test notices; this one would:"), "{text}");
    assert!(text.contains("    given: { finding.card: true }\n    expect: { permitted: [local] }"), "{text}");
}

#[test]
fn lint_fails_only_where_warnings_are_denied() {
    let folder = tempfile::tempdir().unwrap();
    set(folder.path(), "shipped", DEFAULT);
    assert_eq!(policy(folder.path(), &["lint", "shipped", "--deny-warnings"]).0, Some(0));
    let stated = "  - { id: unscanned-stays-home,  never: 'unknown.any && dest.boundary == \"external\"' }\n";
    assert!(DEFAULT.contains(stated));
    set(folder.path(), "set", &DEFAULT.replace(stated, ""));
    let (code, text) = policy(folder.path(), &["lint", "set"]);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("W114: the guard `unscanned-stays` never decides"), "{text}");
    assert_eq!(policy(folder.path(), &["lint", "set", "--deny-warnings"]).0, Some(1));
}

#[test]
fn a_broken_invariant_stops_the_start_with_the_request_that_breaks_it() {
    let folder = tempfile::tempdir().unwrap();
    let text = DEFAULT.replace("accepts: internal, tier: cheap", "accepts: confidential, tier: cheap");
    set(folder.path(), "set", &text.replace("class >= restricted &&", "class >= confidential &&"));
    let (code, text) = policy(folder.path(), &["test", "set"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("E003: invariant `restricted-stays-home` is broken: a request with"), "{text}");
}
