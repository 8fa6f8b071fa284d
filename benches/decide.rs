//! How long a decision takes, and how that grows with the number of rules.
//!
//! Criterion estimates means; what a request waits for is a quantile. So each set is also measured decision by decision.

#[path = "../tests/support/mod.rs"]
mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use ajar::govern::PriceList;
use ajar::policy::{PolicySet, Source, load};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};

use support::{Random, Request, Size, random_policy};

const DECISIONS: usize = 200_000;
/// Decided in turn, so that neither the facts nor the branches of the one before are of use to the next.
const REQUESTS: usize = 20_000;

fn decide(c: &mut Criterion) {
    let mut medians: Vec<(usize, Duration)> = Vec::new();
    eprintln!("{:<40} {:>9} {:>9} {:>9} {:>9} {:>9}", "per decision", "mean", "p50", "p99", "p99.9", "max");
    for rules in [10, 100, 200, 1000] {
        let set = random_set(rules);
        let requests = requests(&set);
        medians.push((rules, quantiles(&format!("{rules} rules, 20 destinations"), &set, &requests)));
        criterion(c, &format!("decide/{rules} rules, 20 destinations"), &set, &requests);
    }
    for pair in medians.windows(2) {
        let [(fewer, fast), (more, slow)] = pair else { continue };
        let times = slow.as_secs_f64() / fast.as_secs_f64();
        eprintln!(
            "{fewer} to {more} rules: {:.1} times the rules, {times:.1} times the time",
            *more as f64 / *fewer as f64
        );
    }
    let set = shipped();
    let requests = requests(&set);
    quantiles("the default set", &set, &requests);
    criterion(c, "decide/the default set", &set, &requests);
}

fn requests(set: &PolicySet) -> Vec<Request> {
    let mut random = Random::new(7);
    (0..REQUESTS).map(|_| Request::random(set, &mut random)).collect()
}

/// Prints the quantiles, and returns the median: on a busy machine the mean is about the other processes.
fn quantiles(name: &str, set: &PolicySet, requests: &[Request]) -> Duration {
    for request in requests {
        black_box(request.decide(set));
    }
    let mut times: Vec<Duration> = (requests.iter().cycle().take(DECISIONS))
        .map(|request| {
            let begun = Instant::now();
            black_box(request.decide(black_box(set)));
            begun.elapsed()
        })
        .collect();
    times.sort_unstable();
    let mean = times.iter().sum::<Duration>() / DECISIONS as u32;
    let micros = |time: Duration| format!("{:.2} µs", time.as_secs_f64() * 1e6);
    let at = |quantile: f64| micros(times[(quantile * (DECISIONS - 1) as f64) as usize]);
    eprintln!("{name:<40} {:>9} {:>9} {:>9} {:>9} {:>9}", micros(mean), at(0.5), at(0.99), at(0.999), at(1.0));
    times[DECISIONS / 2]
}

fn criterion(c: &mut Criterion, name: &str, set: &PolicySet, requests: &[Request]) {
    let mut next = requests.iter().cycle();
    c.bench_function(name, |b| b.iter_batched(|| next.next(), |r| r.map(|r| r.decide(set)), BatchSize::SmallInput));
}

#[expect(clippy::panic, reason = "a benchmark of a set that does not load has nothing to measure")]
fn read(file: &str, text: String) -> PolicySet {
    let prices = PriceList::embedded();
    load(&[Source { file: file.to_owned(), text }], &|model| prices.price(model))
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn random_set(rules: usize) -> PolicySet {
    let size = Size { rules, destinations: 20, detectors: 12 };
    read("random.yaml", random_policy(&mut Random::new(42), size))
}

fn shipped() -> PolicySet {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/default/policy.yaml");
    read(file, std::fs::read_to_string(file).unwrap_or_default())
}

criterion_group!(benches, decide);
criterion_main!(benches);
