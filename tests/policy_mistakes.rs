//! Slips that people make, and what they are told: each file in `tests/mistakes` holds one, its message stands beside
//! it. To add one, write the file and run the test with `INSTA_UPDATE=always`; then read the message as a stranger would.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use ajar::govern::Price;
use ajar::policy::{Source, load};

const FOLDER: &str = "tests/mistakes";

/// The files with a mistake: all but the base that teams' files are loaded beside.
fn mistakes() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(FOLDER).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "yaml") && !file.ends_with("base.yaml"));
    files.sort();
    files
}

fn source(file: &Path) -> Source {
    let name = file.file_name().unwrap().to_str().unwrap().to_owned();
    Source { file: name, text: fs::read_to_string(file).unwrap() }
}

/// What whoever wrote `file` is told.
fn message(file: &Path) -> String {
    let mut sources = vec![source(file)];
    if file.to_str().unwrap().ends_with(".team.yaml") {
        sources.push(source(&Path::new(FOLDER).join("base.yaml")));
    }
    match load(&sources, &|model| (model != "gpt-of-tomorrow").then_some(Price::FREE)) {
        Ok(_) => panic!("{} loads", file.display()),
        Err(problems) => problems.to_string(),
    }
}

#[test]
fn every_mistake_is_told_with_its_place_and_the_way_out() {
    let files = mistakes();
    assert!(files.len() >= 30, "only {} mistakes", files.len());
    insta::with_settings!({ snapshot_path => "mistakes", prepend_module_to_snapshot => false, omit_expression => true }, {
        for file in files {
            let name = file.file_stem().unwrap().to_str().unwrap();
            let text = fs::read_to_string(&file).unwrap();
            let slip = text.lines().next().and_then(|line| line.strip_prefix("# ")).expect("the first line says the slip");
            insta::with_settings!({ description => slip }, { insta::assert_snapshot!(name, message(&file)) });
        }
    });
}

#[test]
fn more_names_than_facts_have_room_for_are_refused() {
    let attributes = |group: &str| -> String {
        let lines = (0..22_000).map(|i| format!("  {group}.a{i}: {{ cells: [0] }}\n"));
        format!("ajar: policy/v1\nname: many\nauthority: team\nattributes:\n{}", lines.collect::<String>())
    };
    let groups = ["key", "request", "agent"];
    let mut sources = vec![source(&Path::new(FOLDER).join("base.yaml"))];
    sources.extend(groups.map(|group| Source { file: group.into(), text: attributes(group) }));
    let problems = load(&sources, &|_| None).unwrap_err();
    assert_eq!(problems.to_string(), "policy set: a set has at most 65536 names, detectors' and budgets' included");
}

#[test]
fn every_code_of_the_language_is_shown_by_a_mistake() {
    let told: String = mistakes().iter().map(|file| message(file)).collect();
    let guide = fs::read_to_string("docs/policies.md").unwrap();
    let documented = guide.lines().filter_map(|line| line.strip_prefix("| ")?.get(..4));
    let missing: BTreeSet<&str> =
        documented.filter(|cell| cell.starts_with("E0")).filter(|code| !told.contains(&format!("{code}: "))).collect();
    assert!(missing.is_empty(), "no file in {FOLDER} shows {missing:?}");
}
