//! The store at growing sizes: writing, finding, reporting, deleting. `cargo bench --bench record -- 10000 100000`.
#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a report for the terminal")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ajar::chat::{MicroUsd, RequestId};
use ajar::record::{Cache, Outcome, Recorder, Records, Row, StoreOptions, Timing};
use jiff::{SignedDuration, Timestamp};
use ulid::Ulid;

/// A decision record of usual size: about 1.5 KiB.
fn decision(n: u64) -> String {
    let candidate = r#"{"dest":"gpt-eu","p_ok":0.95,"p_ok_low":0.93,"n":900,"usd":0.0091,"ttft_ms":610}"#;
    let candidates = vec![candidate; 16].join(",");
    format!(r#"{{"v":1,"n":{n},"route":{{"id":"everything","candidates":[{candidates}]}}}}"#)
}

/// Request number `n`, ten a second.
fn row(n: u64, start: Timestamp, attributes: &[Arc<BTreeMap<String, String>>]) -> Row {
    let at = start + SignedDuration::from_millis(i64::try_from(n).unwrap() * 100);
    let mut row =
        Row::new(RequestId(Ulid::from_parts(at.as_millisecond().unsigned_abs(), u128::from(n))), at, "openai.chat");
    row.attributes = attributes[n as usize % attributes.len()].clone();
    row.key = Some(format!("key-{}", n % 50).into());
    row.outcome = if n.is_multiple_of(20) { Outcome::Refused } else { Outcome::Answered };
    row.class = Some(["public", "internal", "confidential"][n as usize % 3].into());
    row.served_by = Some(["qwen-local", "mini", "sonnet"][n as usize % 3].into());
    row.local = Some(n.is_multiple_of(3));
    row.cache = if n.is_multiple_of(10) { Cache::Hit } else { Cache::Miss };
    (row.input_tokens, row.output_tokens, row.cost) = (Some(1000 + n % 500), Some(n % 700), Some(MicroUsd(n % 10_000)));
    row.timing = Timing { ttft: Some((n % 900) as f64), total: (n % 5000) as f64, ..Timing::default() };
    row.decision = decision(n);
    row
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn main() {
    // The binary is also run by `cargo test --benches`, with flags of its own.
    let sizes: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000] } else { sizes };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("{:>9}  {:<34} {:>12}", "rows", "what", "result");
    for size in sizes {
        runtime.block_on(measure(size));
    }
}

async fn measure(size: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ajar.db");
    let report = |what: &str, value: f64, unit: &str| println!("{size:>9}  {what:<34} {value:>12.3} {unit}");
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();

    let recorder = Recorder::start(StoreOptions::new(&path)).await.unwrap();
    let (seconds, push) = fill(&recorder, size, start).await;
    report("written per second", size as f64 / seconds, "rows/s");
    report("push, mean of a busy queue", push.as_secs_f64() * 1e6 / size as f64, "µs");
    report("commit of one row, flushed", flushed(&recorder, size, start).await, "ms");
    recorder.close().await;
    report("file, per row", std::fs::metadata(&path).unwrap().len() as f64 / size as f64, "bytes");

    let mut records = Records::open(&path).await.unwrap();
    let last = records.tail(1).await.unwrap().remove(0);
    let id = last.row.id.to_string();
    let middle = start + SignedDuration::from_millis(i64::try_from(size).unwrap() * 50);
    macro_rules! timed {
        ($what:literal, $question:expr) => {
            let began = Instant::now();
            black_box($question.await.unwrap());
            report($what, milliseconds(began), "ms");
        };
    }
    timed!("show by id", records.show(&id));
    timed!("tail 20", records.tail(20));
    timed!("stats of everything", records.stats(start));
    timed!("stats of the last half", records.stats(middle));
    timed!("spend of everything, by hour", records.spend_since(start));
    timed!("export of everything", records.export_jsonl(&mut std::io::sink(), start));
    timed!("delete one key of fifty", records.delete_by_key("key-7"));
}

/// Pushes rows as fast as they are written. Returns the seconds until all are on disk, and the time spent pushing.
async fn fill(recorder: &Recorder, size: u64, start: Timestamp) -> (f64, Duration) {
    let attributes: Vec<_> =
        (0..8).map(|team| Arc::new(BTreeMap::from([("team".to_owned(), format!("team-{team}"))]))).collect();
    let (began, mut pushing) = (Instant::now(), Duration::ZERO);
    for n in 0..size {
        while recorder.queued() > 16_000 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let row = row(n, start, &attributes);
        let push = Instant::now();
        recorder.record(row);
        pushing += push.elapsed();
    }
    recorder.flush().await;
    assert_eq!(recorder.lost(), 0);
    (began.elapsed().as_secs_f64(), pushing)
}

/// Median time until a single row is on disk, when it is asked for at once.
async fn flushed(recorder: &Recorder, size: u64, start: Timestamp) -> f64 {
    let mut times = Vec::new();
    for n in 0..51 {
        let began = Instant::now();
        recorder.record(row(size + n, start, &[Arc::default()]));
        recorder.flush().await;
        times.push(milliseconds(began));
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
