//! How long it takes to look at a request: detectors, difficulty and names.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ajar::chat::{Part, Source};
use ajar::classify::difficulty::Estimator;
use ajar::classify::names::{Recogniser, Thresholds};
use ajar::classify::{DetectorKind, DetectorSpec, ModelSpec, PatternSet, Recognizer, Scanner};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};

const PROSE: &str = "The committee met on Tuesday to talk about the harvest, which had been poor for the third year. \
Some of the older members remembered a time when the river ran high until June; others said that memory is kind. \
Nothing was decided, except that the mill would be repaired before the frost and that everyone would bring wood. ";

const CODE: &str = "impl Iterator for Steps {\n    type Item = (usize, f64);\n\n    fn next(&mut self) -> Option<Self::Item> {\n        \
let step = self.left.checked_sub(1)?;\n        self.left = step;\n        Some((step, self.size * step as f64 / 16.0))\n    }\n}\n\n";

/// A dictionary of two thousand names of two words.
fn dictionary() -> Vec<String> {
    let syllables = ["bor", "cal", "den", "fir", "gos", "hul", "jam", "kel", "lum", "mor", "nev", "pas"];
    let name = |n: usize| [n % 12, n / 12 % 12, n / 144 % 12].map(|i| syllables[i]).concat();
    (0..2000).map(|n| format!("{} {}", name(n), name(n * 7 + 3))).collect()
}

fn all() -> Scanner {
    let spec = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
    let checksum = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
    Scanner::new(&[
        spec("identifier", DetectorKind::Checksum(checksum)),
        spec("contact", DetectorKind::Pattern(PatternSet::Contact)),
        spec("secret", DetectorKind::Pattern(PatternSet::Secrets)),
        spec("label", DetectorKind::Pattern(PatternSet::DocumentLabels)),
        spec("names", DetectorKind::Dictionary { words: dictionary(), as_written: false }),
    ])
}

/// Lines of one kind, each with other values: as many as have the given number of bytes.
fn lines(bytes: usize, line: impl Fn(&mut dyn FnMut(u64) -> u64) -> String) -> String {
    let mut state = 1_u64;
    let mut below = |n: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % n
    };
    let mut text = String::with_capacity(bytes + 256);
    while text.len() < bytes {
        text += &line(&mut below);
    }
    text.truncate(bytes);
    text
}

fn log(below: &mut dyn FnMut(u64) -> u64) -> String {
    format!(
        "2026-11-{:02}T17:{:02}:{:02}.{:03}Z INFO  worker[{}] request {:08x} took {}.{} ms, status=200 path=/v1/items/{}\n",
        1 + below(28),
        below(60),
        below(60),
        below(1000),
        below(32),
        below(u64::from(u32::MAX)),
        below(90),
        below(10),
        below(10_000),
    )
}

fn json(below: &mut dyn FnMut(u64) -> u64) -> String {
    format!(
        "{{\"id\": {}, \"name\": \"blue chair\", \"price\": {}.{:02}, \"tags\": [\"wood\", \"oak\"], \"in_stock\": {}, \"seen\": {}}},\n",
        below(100_000),
        below(500),
        below(100),
        below(2) == 0,
        below(1000),
    )
}

/// Integers of one to ten figures, ten a line.
fn integers(below: &mut dyn FnMut(u64) -> u64) -> String {
    let mut number = |_| {
        let most = 10_u64.pow(1 + below(10) as u32);
        below(most).to_string()
    };
    (0..10).map(&mut number).collect::<Vec<_>>().join(", ") + "\n"
}

fn decimals(below: &mut dyn FnMut(u64) -> u64) -> String {
    let row: Vec<String> = (0..8).map(|_| format!("{}.{:04}", below(1000), below(10_000))).collect();
    row.join(",") + "\n"
}

/// Sixteen figures, as identifiers of rows are.
fn keys(below: &mut dyn FnMut(u64) -> u64) -> String {
    format!("{:08}{:08}\n", below(100_000_000), below(100_000_000))
}

fn random_bytes(n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

/// What is looked at, by kind.
fn texts(bytes: usize) -> Vec<(&'static str, String)> {
    let repeat = |unit: &str| {
        let mut text = unit.repeat(1 + bytes / unit.len());
        text.truncate(text.floor_char_boundary(bytes));
        text
    };
    let encoded = BASE64_STANDARD.encode(random_bytes(bytes * 3 / 4));
    let mut wrapped = String::new();
    for (i, character) in encoded.chars().enumerate() {
        if i > 0 && i % 76 == 0 {
            wrapped.push('\n');
        }
        wrapped.push(character);
    }
    vec![
        ("prose", repeat(PROSE)),
        ("accents", repeat(&PROSE.replace('e', "é"))),
        ("code", repeat(CODE)),
        ("json", lines(bytes, json)),
        ("log_lines", lines(bytes, log)),
        ("numbers", repeat("1024 2048 4096, 17.5 and 2024-10-12; ")),
        ("integers", lines(bytes, integers)),
        ("decimals", lines(bytes, decimals)),
        ("keys_of_16", lines(bytes, keys)),
        ("base64_random", encoded),
        ("base64_in_lines", wrapped),
        ("base64_prose", BASE64_STANDARD.encode(repeat(PROSE))),
        ("hexadecimal", hex::encode(random_bytes(bytes / 2))),
    ]
}

fn scan(c: &mut Criterion) {
    let scanner = all();
    let mut group = c.benchmark_group("scan_64_kib");
    for (name, text) in texts(64 << 10) {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut number = 0;
        // Each text is a new one: what was seen before is only looked up.
        let mut fresh = || {
            number += 1;
            [Part { source: Source::User, text: format!("{text}{number:07}").into() }]
        };
        group.bench_function(name, |b| {
            b.iter_batched(&mut fresh, |parts| scanner.scan(black_box(&parts)), BatchSize::SmallInput);
        });
    }
    group.finish();
}

/// What a prompt of 4 KiB waits for the deterministic detectors, and for the statistical one: median, and 99 of 100.
fn prompts(_: &mut Criterion) {
    const RUNS: u32 = 2000;
    let model = DetectorKind::Model(ModelSpec { model: "names@1".to_owned(), thresholds: Vec::new(), deadline: None });
    let names = Scanner::new(&[DetectorSpec { name: "names".to_owned(), kind: model }]);
    let exact = all();
    eprintln!(
        "{:<24} {:>12} {:>12} {:>12} {:>12}",
        "prompt of 4 KiB", "exact p50", "exact p99", "names p50", "names p99"
    );
    for (name, text) in texts(4 << 10) {
        let of = |scanner: &Scanner| {
            let run = |n| {
                let parts = [Part { source: Source::User, text: format!("{n:07} {text}").into() }];
                let start = Instant::now();
                black_box(scanner.scan(black_box(&parts)));
                start.elapsed()
            };
            let mut took: Vec<Duration> = (0..RUNS).map(run).collect();
            took.sort_unstable();
            [0.5, 0.99].map(|share| format!("{:.0} µs", took[(f64::from(RUNS) * share) as usize].as_secs_f64() * 1e6))
        };
        let ([exact_half, exact_most], [names_half, names_most]) = (of(&exact), of(&names));
        eprintln!("{name:<24} {exact_half:>12} {exact_most:>12} {names_half:>12} {names_most:>12}");
    }
}

/// An agent's conversation of 200 messages, of which the last is new; and the same when all are.
fn conversation(c: &mut Criterion) {
    let mut group = c.benchmark_group("conversation_of_200");
    let message = |turn: usize, i: usize| format!("{turn} {i} {}", PROSE.repeat(4));
    for (name, remembered) in [("one_new", true), ("all_new", false)] {
        let scanner = all();
        let mut turn = 0;
        group.bench_function(name, |b| {
            b.iter_batched(
                || {
                    turn += 1;
                    let of = |i: usize| if remembered && i < 199 { 0 } else { turn };
                    let part = |i: usize| Part { source: Source::User, text: message(of(i), i).into() };
                    (0..200).map(part).collect::<Vec<_>>()
                },
                |parts| scanner.scan(black_box(&parts)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

fn difficulty(c: &mut Criterion) {
    let estimator = Estimator::embedded();
    let text = PROSE.repeat(4)[..1024].to_owned();
    c.bench_function("difficulty_1_kib", |b| b.iter(|| estimator.gain(black_box(&text))));
}

fn names(c: &mut Criterion) {
    let letter =
        "Dear Ms Thompson, please send it to Daniel Weber, Hauptstrasse 14, 10115 Berlin, who was born in May. ";
    let mut group = c.benchmark_group("names");
    for (name, unit) in [("prose_4_kib", PROSE), ("letters_4_kib", letter), ("code_4_kib", CODE), ("signs_4_kib", ".")]
    {
        let text = unit.repeat(4096 / unit.len());
        let find = || Recogniser::embedded().find(black_box(&text), &Thresholds::default(), &|| true);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(find));
    }
    group.finish();
}

criterion_group!(benches, prompts, scan, conversation, difficulty, names);
criterion_main!(benches);
