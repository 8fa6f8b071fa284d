//! How long it takes to look at a request: detectors, difficulty and names.

use std::hint::black_box;

use ajar::chat::{Part, Source};
use ajar::classify::difficulty::Estimator;
use ajar::classify::names::{Recogniser, Thresholds};
use ajar::classify::{DetectorKind, DetectorSpec, PatternSet, Recognizer, Scanner};
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

fn scan(c: &mut Criterion) {
    let scanner = all();
    let accents = PROSE.replace('e', "é");
    let mut group = c.benchmark_group("scan");
    for (name, text) in [
        ("prompt_400_bytes", PROSE.repeat(2)[..400].to_owned()),
        ("prompt_4_kib", PROSE.repeat(20)[..4096].to_owned()),
        ("prose_64_kib", PROSE.repeat((64 << 10) / PROSE.len())),
        ("code_64_kib", CODE.repeat((64 << 10) / CODE.len())),
        ("accents_64_kib", accents.repeat((64 << 10) / accents.len())),
        ("digits_64_kib", "1024 2048 4096, 17.5 and 2024-10-12; ".repeat((64 << 10) / 37)),
    ] {
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

criterion_group!(benches, scan, conversation, difficulty, names);
criterion_main!(benches);
