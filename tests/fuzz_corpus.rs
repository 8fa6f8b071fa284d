//! What fuzzing found interesting stays as it should: each committed input, and each slip of `tests/mistakes`, passes the
//! checks of its target in the time that the fuzzer allows.

#![allow(clippy::unwrap_used, reason = "a test that fails at an unwrap says where")]

#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use self::fuzz::support::Random;
use self::fuzz::support::grafts::transplanted;

/// As the fuzzer's own; inputs are at most 16 KiB.
const MOST: Duration = Duration::from_secs(1);

/// Bytes that matter to readers of JSON and of events.
const SIGNS: &[u8] = b"\"\\{}[]:, 0a\n";
/// Variations of each committed input.
const VARIATIONS: usize = 300;

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

/// Runs `check` over variations of every file of `folder`: bytes left out, doubled, changed, and taken from another file.
fn vary(folder: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files: Vec<Vec<u8>> =
        fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect();
    let mut random = Random::new(7);
    for (index, file) in files.iter().enumerate().filter(|(_, file)| file.len() > 8) {
        for _ in 0..VARIATIONS {
            let mut varied = file.clone();
            for _ in 0..1 + random.below(3) {
                let (at, length) = (random.below(varied.len() - 4), 1 + random.below(3));
                let other = &files[(index + random.below(files.len())) % files.len()];
                let piece = match random.below(4) {
                    0 => Vec::new(),
                    1 => varied[at..at + length].repeat(2),
                    2 => vec![SIGNS[random.below(SIGNS.len())]],
                    _ => other.iter().copied().skip(random.below(other.len() + 1)).take(1 + random.below(40)).collect(),
                };
                varied.splice(at..at + length, piece);
                if varied.len() < 8 {
                    break;
                }
            }
            check(&varied);
        }
    }
}

/// Runs `check` over bodies in which values stand where others stood before: of the same file, of another, or of no kind.
fn transplant(folder: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = fs::read_dir(folder).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
    let bodies: Vec<Value> = files.filter_map(|file| serde_json::from_slice(&file).ok()).collect();
    let mut random = Random::new(11);
    for body in &bodies {
        for _ in 0..VARIATIONS {
            check(transplanted(body, &bodies, &mut random).to_string().as_bytes());
        }
    }
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
fn grammars() {
    assert!(replay("fuzz/corpus/grammar", fuzz::grammar) > 10);
    vary("fuzz/corpus/grammar", fuzz::grammar);
}

#[test]
fn yaml_documents() {
    assert!(replay("fuzz/corpus/yaml", fuzz::yaml) > 20);
    assert!(replay("tests/mistakes", fuzz::yaml) > 60);
}

#[test]
fn request_bodies() {
    assert!(replay("fuzz/corpus/request_json", fuzz::request_json) > 20);
    vary("fuzz/corpus/request_json", fuzz::request_json);
    transplant("fuzz/corpus/request_json", fuzz::request_json);
}

#[test]
fn streams_of_events() {
    assert!(replay("fuzz/corpus/sse", fuzz::sse) > 15);
    vary("fuzz/corpus/sse", fuzz::sse);
    assert!(replay("tests/streams", fuzz::sse) >= 8);
}

#[test]
fn conversations_that_are_continued() {
    for folder in ["fuzz/corpus/continued", "fuzz/corpus/request_json", "tests/streams"] {
        assert!(replay(folder, fuzz::continued) > 5);
        vary(folder, fuzz::continued);
    }
    transplant("fuzz/corpus/continued", fuzz::continued);
}
