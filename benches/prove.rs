//! How long proofs take and how much memory, and how both grow with the number of detectors.
//!
//! No statistics: a proof happens once, when a set loads, and the question is whether it takes milliseconds or minutes.

#[expect(unused_imports, reason = "requests are for those who decide")]
#[path = "../tests/support/mod.rs"]
mod support;

use std::fmt::Write;
use std::time::Instant;

use ajar::govern::Price;
use ajar::policy::analysis::{diff, lint, refutations};
use ajar::policy::load::read;
use ajar::policy::{PolicySet, Source};

use support::{Random, Size, random_policy};

const RULES: usize = 200;
const DESTINATIONS: usize = 20;

fn main() {
    eprintln!("{RULES} rules, {DESTINATIONS} destinations; peak memory is the process's so far");
    eprintln!(
        "{:>9} {:>7} {:>9} {:>8} {:>8} {:>8} {:>8}",
        "detectors", "proved", "refuted", "proofs", "diff", "lint", "peak"
    );
    for detectors in [4, 8, 12, 16, 32] {
        let set = set(detectors, 1);
        let (broken, proofs) = timed(|| refutations(&set).len());
        let (_, compared) = timed(|| diff(&set, &without_a_guard(&set)));
        let (_, linted) = timed(|| lint(&set));
        let proved = set.invariants.len() - broken;
        eprintln!(
            "{detectors:>9} {proved:>7} {broken:>9} {proofs:>6.2} s {compared:>6.2} s {linted:>6.2} s {:>5} MB",
            peak_mb()
        );
    }
}

/// A random set with two invariants for each detector: one that a guard holds, and one that nothing may hold.
fn set(detectors: usize, seed: u64) -> PolicySet {
    let size = Size { rules: RULES, destinations: DESTINATIONS, detectors };
    let mut text = random_policy(&mut Random::new(seed), size);
    let names: Vec<String> = load(&text).detectors.iter().map(|detector| detector.name.clone()).collect();
    let guards: String = names.iter().step_by(2).fold(String::from("guards:\n"), |mut guards, name| {
        let only = "only: 'dest.boundary == \"host\"'";
        let _ = writeln!(guards, "  - {{ id: holds-{name}, when: finding.{name}, {only} }}");
        guards
    });
    text = text.replacen("guards:\n", &guards, 1);
    text.push_str("invariants:\n");
    for name in names {
        let external = "dest.boundary == \"external\"";
        let _ = writeln!(text, "  - {{ id: {name}, never: 'finding.{name} && {external}' }}");
        let _ =
            writeln!(text, "  - {{ id: {name}-high, never: 'unknown.{name} && class >= restricted && {external}' }}");
    }
    load(&text)
}

/// A change as people make it.
fn without_a_guard(set: &PolicySet) -> PolicySet {
    let mut changed = set.clone();
    changed.guards.remove(0);
    changed
}

fn load(text: &str) -> PolicySet {
    let sources = [Source { file: "random.yaml".into(), text: text.to_owned() }];
    read(&sources, &|_| Price::from_usd_per_million(1.0, 2.0, None)).unwrap_or_else(|problems| panic!("{problems}"))
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let begun = Instant::now();
    let done = work();
    (done, begun.elapsed().as_secs_f64())
}

fn peak_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or_default() / 1024
}
