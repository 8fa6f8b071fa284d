//! What the documents say about policies and codes is so.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ajar::govern::PriceList;
use ajar::policy::{Source, load};

#[test]
fn the_policy_explained_in_the_readme_loads_and_passes_its_test() {
    let readme = fs::read_to_string("README.md").unwrap();
    let (_, rest) = readme.split_once("```yaml\n").unwrap();
    let (policy, _) = rest.split_once("```").unwrap();
    let text = format!("ajar: policy/v1\nname: readme\nauthority: base\n{policy}");
    let prices = PriceList::embedded();
    let set = load(&[Source { file: "README.md".to_owned(), text }], &|model| prices.price(model)).unwrap();
    assert_eq!(set.cases.len(), 1);
}

#[test]
fn the_codes_of_the_loader_are_those_that_are_documented() {
    let mut source = String::new();
    read_all(Path::new("src"), &mut source);
    let guide = fs::read_to_string("docs/policies.md").unwrap();
    let documented = guide.lines().filter_map(|line| line.strip_prefix("| ")?.get(..4)).filter(|cell| is_code(cell));
    assert_eq!(codes(&source), documented.collect());
}

#[test]
fn the_codes_that_clients_are_told_are_documented() {
    let mut source = String::new();
    read_all(Path::new("src"), &mut source);
    let file = |name: &str| fs::read_to_string(Path::new("src").join(name)).unwrap();
    let errors = file("dialect/error.rs");
    let given = source.split(".code(\"").skip(1).chain(errors.split("bad(\"").skip(1));
    let mut told: BTreeSet<String> = given.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect();
    for name in [
        "dispatch/answer.rs",
        "dispatch/failure.rs",
        "dispatch/local/error.rs",
        "dispatch/remote/resting.rs",
        "transform/disguise.rs",
    ] {
        let text = file(name);
        let (body, _) = text.split_once("fn code(").unwrap().1.split_once("\n    }\n").unwrap();
        told.extend(body.split('"').skip(1).step_by(2).map(str::to_owned));
    }
    assert!(told.len() > 45, "{told:?}");
    let documented = fs::read_to_string("docs/api.md").unwrap();
    told.retain(|code| !documented.contains(&format!("`{code}`")));
    assert_eq!(told, BTreeSet::new());
}

#[test]
fn the_metrics_that_operators_are_shown_are_documented() {
    let mut source = String::new();
    read_all(Path::new("src"), &mut source);
    let registered = ["register(\"", "register_with_unit(\""].into_iter().flat_map(|call| source.split(call).skip(1));
    let mut names: BTreeSet<&str> = registered.filter_map(|rest| Some(rest.split_once('"')?.0)).collect();
    assert!(names.len() > 25, "{names:?}");
    let pages =
        ["api", "audit", "models", "operations"].map(|page| fs::read_to_string(format!("docs/{page}.md")).unwrap());
    names.retain(|name| !pages.concat().contains(&format!("`ajar_{name}")));
    assert_eq!(names, BTreeSet::new());
}

/// Everything in quotes that looks like `E001`.
fn codes(text: &str) -> BTreeSet<&str> {
    text.split('"').filter(|piece| is_code(piece)).collect()
}

fn is_code(text: &str) -> bool {
    text.strip_prefix('E').is_some_and(|digits| digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn read_all(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.extension() {
            _ if path.is_dir() => read_all(&path, text),
            Some(extension) if extension == "rs" => *text += &fs::read_to_string(&path).unwrap(),
            _ => {}
        }
    }
}
