//! What fuzzing found interesting stays as it should: each committed input, and each slip of `tests/mistakes`, passes the
//! checks of its target in the time that the fuzzer allows.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// As the fuzzer's own; inputs are at most 16 KiB.
const MOST: Duration = Duration::from_secs(1);

/// Runs `check` over every file of `folder`; returns how many there are.
fn replay(folder: &str, check: fn(&[u8])) -> usize {
    let mut files = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap() {
        let file = entry.unwrap().path();
        let data = fs::read(&file).unwrap();
        let begun = Instant::now();
        check(&data);
        assert!(begun.elapsed() < MOST, "{} took {:?}", file.display(), begun.elapsed());
        files += 1;
    }
    files
}

#[test]
fn policy_files() {
    assert!(replay("fuzz/corpus/policy_file", fuzz::policy_file) > 5);
    assert!(replay("tests/mistakes", fuzz::policy_file) > 60);
}

#[test]
fn expressions() {
    assert!(replay("fuzz/corpus/expression", fuzz::expression) > 20);
}

#[test]
fn yaml_documents() {
    assert!(replay("fuzz/corpus/yaml", fuzz::yaml) > 20);
    assert!(replay("tests/mistakes", fuzz::yaml) > 60);
}

#[test]
fn request_bodies() {
    assert!(replay("fuzz/corpus/request_json", fuzz::request_json) > 10);
}

#[test]
fn streams_of_events() {
    assert!(replay("fuzz/corpus/sse", fuzz::sse) > 10);
}
