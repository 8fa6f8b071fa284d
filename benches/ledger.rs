//! What the egress ledger costs: entries a second and the wait of each under `required`, by how many ask at a time, and
//! how fast a chain is verified. `cargo bench --bench ledger -- 20000`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a report for the terminal")]

#[path = "../tests/support/mod.rs"]
#[allow(unused_imports, reason = "each that includes it uses a part of it")]
mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ajar::audit::reader::Against;
use ajar::audit::{Audit, EgressLedger, LedgerOptions, Mode};
use ajar::chat::{MicroUsd, RequestId};
use ajar::govern::PriceList;
use ajar::policy::permit::Outbound;
use ajar::policy::{Boundary, Decision, DestinationId, Permit, PolicySet, Source, load};
use support::{Random, Request};

/// Bodies of a usual size.
const BODY: [u8; 4096] = [b'x'; 4096];

/// Makes permits for an external destination of the shipped set.
struct Permits {
    set: PolicySet,
    decision: Decision,
    to: DestinationId,
}

impl Permits {
    fn new() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/policies/default/policy.yaml");
        let prices = PriceList::embedded();
        let sources = [Source { file: file.to_owned(), text: std::fs::read_to_string(file).unwrap() }];
        let set = load(&sources, &|model| prices.price(model)).unwrap();
        let mut random = Random::new(7);
        let outside = |id: &DestinationId| set.destination(*id).boundary == Boundary::External;
        let (decision, to) = (0..10_000)
            .find_map(|_| {
                let decision = Request::random(&set, &mut random).decide(&set);
                let to = decision.plan().iter().map(|candidate| candidate.id).find(outside)?;
                Some((decision, to))
            })
            .unwrap();
        Self { set, decision, to }
    }

    fn make(&self) -> Permit {
        let headers = [("content-type", "application/json"), ("authorization", "Bearer key")];
        let url = "https://api.example.com/v1/chat/completions";
        let expires = Instant::now() + Duration::from_secs(60);
        let outbound = Outbound { url, headers: &headers, body: &BODY, max_cost: MicroUsd(1), expires };
        self.decision.grant(&self.set, self.to).unwrap().permit(&outbound)
    }
}

fn main() {
    // The binary is also run by `cargo test --benches`, with flags of its own.
    let entries = std::env::args().find_map(|arg| arg.parse().ok()).unwrap_or(5000);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(measure(entries));
}

async fn measure(entries: u64) {
    let permits = Arc::new(Permits::new());
    println!("{:<12} {:>8} {:>12} {:>10} {:>10} {:>10}", "audit", "at once", "entries/s", "p50", "p99", "max");
    for (mode, at_once) in
        [(Mode::Required, 1), (Mode::Required, 8), (Mode::Required, 64), (Mode::Required, 256), (Mode::BestEffort, 64)]
    {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let ledger = open(folder.path(), mode).await;
        let (rate, mut waits) = enter(&ledger, &permits, entries, at_once).await;
        waits.sort_unstable();
        let at = |quantile: f64| {
            format!("{:.3} ms", waits[(quantile * (waits.len() - 1) as f64) as usize].as_secs_f64() * 1e3)
        };
        println!("{:<12} {at_once:>8} {rate:>12.0} {:>10} {:>10} {:>10}", mode.name(), at(0.5), at(0.99), at(1.0));
        ledger.close().await;
    }
    verify(&permits, 20 * entries).await;
}

async fn open(folder: &Path, mode: Mode) -> EgressLedger {
    let options = LedgerOptions { mode, ..LedgerOptions::new(folder.join("ledger.db"), folder.join("ledger.key")) };
    EgressLedger::start(options).await.unwrap()
}

/// Entries a second, and how long each was waited for.
async fn enter(ledger: &EgressLedger, permits: &Arc<Permits>, entries: u64, at_once: u64) -> (f64, Vec<Duration>) {
    let left = Arc::new(AtomicU64::new(entries));
    let began = Instant::now();
    let clients: Vec<_> = (0..at_once)
        .map(|_| {
            let (ledger, permits, left) = (ledger.clone(), permits.clone(), left.clone());
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok() {
                    let permit = permits.make();
                    let begun = Instant::now();
                    ledger.enter(permit, RequestId(ulid::Ulid::generate()), 1).await.unwrap();
                    waits.push(begun.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for client in clients {
        waits.extend(client.await.unwrap());
    }
    ledger.flush().await;
    (entries as f64 / began.elapsed().as_secs_f64(), waits)
}

async fn verify(permits: &Arc<Permits>, entries: u64) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ledger = open(folder.path(), Mode::Required).await;
    enter(&ledger, permits, entries, 2000).await;
    ledger.close().await;
    let path = folder.path().join("ledger.db");
    let bytes = std::fs::metadata(&path).unwrap().len();
    let mut audit = Audit::open(&path).await.unwrap();
    for _ in 0..3 {
        let began = Instant::now();
        let found = audit.verify(Against::default(), |_| {}).await.unwrap();
        assert!(found.is_sound() && found.entries == entries);
        let rate = entries as f64 / began.elapsed().as_secs_f64();
        println!("verified {entries} entries of {} bytes each: {rate:.0} a second", bytes / entries);
    }
}
