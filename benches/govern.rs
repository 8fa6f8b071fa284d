//! What the checks before every request cost: key, rate limit, budgets, price.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

use ajar::chat::{MicroUsd, Priority, Usage};
use ajar::govern::{
    Budget, Explain, KeyEntry, Keyring, Ledger, Limiter, NewKey, Pepper, Per, PriceList, RateLimit, Spender, Window,
};
use criterion::{Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use secrecy::ExposeSecret;

fn keys(c: &mut Criterion) {
    let Ok(pepper) = Pepper::generate() else { return };
    let new: Vec<NewKey> = (0..1000).filter_map(|_| NewKey::generate(&pepper).ok()).collect();
    let entry = |(i, key): (usize, &NewKey)| KeyEntry {
        name: format!("key-{i}"),
        hash: key.hash.clone(),
        tenant: None,
        attributes: BTreeMap::new(),
        explain: Explain::None,
        limit: None,
        priority: Priority::default(),
    };
    let entries: Vec<KeyEntry> = new.iter().enumerate().map(entry).collect();
    let Ok(ring) = Keyring::build(&entries, pepper, None) else { return };
    let key = new[500].key.expose_secret();
    c.bench_function("authenticate, of 1000 keys", |b| b.iter(|| ring.authenticate(black_box(key)).is_some()));

    let limiter = Limiter::new(RateLimit { per_minute: NonZeroU32::MAX, burst: None });
    c.bench_function("rate limit", |b| b.iter(|| limiter.check().is_ok()));
}

fn budgets(c: &mut Criterion) {
    let budget = |id: &str, per, window| Budget { id: id.into(), per, window, limit: MicroUsd(u64::MAX) };
    let ledger = Ledger::new(vec![
        budget("team-month", Per::Attribute("team".into()), Window::Month),
        budget("key-day", Per::Key, Window::Day),
        budget("request", Per::Request, Window::Forever),
    ]);
    let attributes = BTreeMap::from([("team".to_owned(), "red".to_owned())]);
    let now = Timestamp::UNIX_EPOCH;
    let reserve_and_settle = |key: &str| {
        let who = Spender { key, attributes: &attributes };
        if let Ok(reservation) = ledger.reserve(who, MicroUsd(100), now) {
            reservation.settle(MicroUsd(0));
        }
    };
    c.bench_function("reserve and settle, 3 budgets", |b| b.iter(|| reserve_and_settle("key")));
    for i in 0..10_000 {
        reserve_and_settle(&format!("key-{i}"));
    }
    c.bench_function("reserve and settle, 10,000 keys", |b| b.iter(|| reserve_and_settle("key-5000")));
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                reserve_and_settle("other");
            }
        });
        c.bench_function("reserve and settle, contended", |b| b.iter(|| reserve_and_settle("key")));
        stop.store(true, Ordering::Relaxed);
    });
    let who = Spender { key: "key", attributes: &attributes };
    c.bench_function("used fraction", |b| b.iter(|| ledger.used_fraction("key-day", who, now)));
}

fn prices(c: &mut Criterion) {
    let list = PriceList::embedded();
    let usage = Usage { input: 3120, output: 412, cached_input: 2048, ..Usage::default() };
    c.bench_function("price and cost", |b| {
        b.iter(|| list.price(black_box("openai/gpt-4o-mini")).map(|price| price.cost(usage)));
    });
    c.bench_function("parse the embedded price list", |b| b.iter(PriceList::embedded));
}

criterion_group!(benches, keys, budgets, prices);
criterion_main!(benches);
