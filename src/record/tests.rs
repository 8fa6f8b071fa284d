//! The store as a whole: written through the queue, read, deleted, killed.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::{AssertSqlSafe, Connection, query, query_scalar};
use tempfile::TempDir;
use ulid::Ulid;

use crate::chat::reply::{Certainty, Confidence};
use crate::chat::{MicroUsd, Priority, RequestId};
use crate::govern::Spend;

use super::*;

fn start_time() -> Timestamp {
    "2026-11-24T09:12:03.114Z".parse().unwrap()
}

/// Request number `n`, a second after number `n - 1`.
fn row(n: u64) -> Row {
    let at = start_time() + SignedDuration::from_secs(i64::try_from(n).unwrap());
    Row::new(RequestId(Ulid::from_parts(u64::try_from(at.as_millisecond()).unwrap(), u128::from(n))), at, "openai.chat")
}

/// A row with something in every column.
fn full_row(n: u64) -> Row {
    Row {
        tenant: Some("acme".into()),
        key: Some("support-bot".into()),
        attributes: Arc::new(BTreeMap::from([("team".into(), "red \"1\"".into())])),
        asked_model: Some("gpt-4o".into()),
        status: 200,
        outcome: Outcome::Answered,
        reason: Some("cheapest".into()),
        class: Some("internal".into()),
        class_basis: Some("deterministic".into()),
        route: Some("everything".into()),
        served_by: Some("qwen-local".into()),
        local: Some(true),
        plan: vec!["qwen-local".into(), "mini".into()],
        cache: Cache::Miss,
        stream: true,
        input_tokens: Some(3120),
        output_tokens: Some(412),
        cached_tokens: Some(2048),
        cost: Some(MicroUsd(9100)),
        usage_estimated: true,
        est_gain: Some(0.25),
        confidence: Some(Confidence {
            first: Certainty { logprob: -0.125, entropy: 0.75, margin: 0.5 },
            mean_logprob: -0.25,
            mean_entropy: 0.375,
        }),
        priority: Some(Priority::Low),
        timing: Timing {
            parse: Some(0.3),
            classify: Some(12.1),
            decide: Some(0.02),
            queue: Some(0.0),
            ttft: Some(588.0),
            total: 4120.5,
        },
        attempts: 1,
        policy: Some("sha256:ab".into()),
        bytes_out: 77,
        decision: r#"{"v":1,"route":{"id":"everything"}}"#.into(),
        would_have: Some(WouldHave {
            record: r#"{"plan":["mini"],"widens":["mini"]}"#.into(),
            differs: Some(true),
            widens: Some(true),
        }),
        transforms: vec![Transformed { restored: 2, unrestored: 1, ..Transformed::new("gpt-eu", 2, true) }],
        text: Some(StoredText { prompt: "wörds of the prompt".into(), answer: "words of the answer".into() }),
        ..row(n)
    }
}

struct Store {
    folder: TempDir,
}

impl Store {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("ajar.db")
    }

    fn options(&self) -> StoreOptions {
        StoreOptions { patience: Duration::from_millis(50), ..StoreOptions::new(self.path()) }
    }

    async fn recorder(&self) -> Recorder {
        Recorder::start(self.options()).await.unwrap()
    }

    async fn records(&self) -> Records {
        Records::open(&self.path()).await.unwrap()
    }

    /// A store that holds `rows`, closed.
    async fn holding(rows: impl IntoIterator<Item = Row>) -> Self {
        let store = Self::new();
        let recorder = store.recorder().await;
        rows.into_iter().for_each(|row| recorder.record(row));
        recorder.close().await;
        store
    }

    /// Whether `text` stands anywhere in the files.
    fn contains(&self, text: &str) -> bool {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|file| std::fs::read(file.unwrap().path()));
        files.map(Result::unwrap).any(|bytes| bytes.windows(text.len()).any(|w| w == text.as_bytes()))
    }
}

fn ids(entries: &[Entry]) -> Vec<u128> {
    entries.iter().map(|e| e.row.id.0.random()).collect()
}

#[tokio::test]
async fn every_column_comes_back_as_it_was_recorded_and_unknown_stays_unknown() {
    let store = Store::holding([full_row(1), row(2)]).await;
    let entries = store.records().await.tail(10).await.unwrap();
    assert_eq!(entries.iter().map(|e| &e.row).collect::<Vec<_>>(), [&full_row(1), &row(2)]);
}

#[tokio::test]
async fn batches_of_every_size_keep_each_decision_with_its_row() {
    for size in [1, 7, 8, 63, 64, 65, 200] {
        let numbered = |n| Row { decision: format!("{{\"n\":{n}}}"), ..row(n) };
        let store = Store::holding((0..size).map(numbered)).await;
        let entries = store.records().await.tail(1000).await.unwrap();
        assert_eq!(entries.len() as u64, size);
        for (n, entry) in entries.iter().enumerate() {
            assert_eq!(entry.row, numbered(n as u64));
        }
    }
}

#[tokio::test]
async fn a_follower_sees_every_row_once() {
    let store = Store::new();
    let (recorder, mut records) = (store.recorder().await, None);
    let (mut cursor, mut seen) = (0, Vec::new());
    for round in 0..5 {
        (0..10).for_each(|n| recorder.record(row(round * 10 + n)));
        recorder.flush().await;
        let records = match &mut records {
            Some(records) => records,
            none => none.insert(store.records().await),
        };
        loop {
            let new = records.after(cursor, 3).await.unwrap();
            let Some(last) = new.last() else { break };
            cursor = last.seq;
            seen.extend(ids(&new));
        }
    }
    assert_eq!(seen, (0..50).collect::<Vec<u128>>());
    assert_eq!(ids(&records.unwrap().tail(3).await.unwrap()), [47, 48, 49]);
}

#[tokio::test]
async fn a_record_is_found_by_its_id_or_by_a_beginning_that_only_it_has() {
    let store = Store::holding((1..4).map(row)).await;
    let mut records = store.records().await;
    let id = row(2).id.to_string();
    assert_eq!(records.show(&id).await.unwrap().row, row(2));
    assert_eq!(records.show(&id[..10].to_lowercase()).await.unwrap().row, row(2));
    assert!(matches!(records.show(&id[..5]).await, Err(StoreError::Ambiguous(_))));
    assert!(matches!(records.show("7ZZ").await, Err(StoreError::NoRecord(_))));
}

#[tokio::test]
async fn the_same_request_is_written_once() {
    let store = Store::holding([full_row(1), row(2), full_row(1), row(3)]).await;
    let mut records = store.records().await;
    assert_eq!(ids(&records.tail(10).await.unwrap()), [1, 2, 3]);
    let decisions: i64 = query_scalar("SELECT count(*) FROM decision").fetch_one(&mut records.conn).await.unwrap();
    assert_eq!(decisions, 3);
}

#[tokio::test]
async fn statistics_count_what_is_unknown_apart() {
    let timed = |n: u64, row: Row| Row { timing: Timing { total: n as f64, ..row.timing }, ..row };
    let local = (1..=100).map(|n| timed(n, full_row(n)));
    let refused = Row { outcome: Outcome::Refused, cache: Cache::Bypass, ..timed(1000, row(101)) };
    let hit = Row { cache: Cache::Hit, local: None, served_by: None, ..timed(1, full_row(102)) };
    let external = Row { local: Some(false), served_by: Some("mini".into()), cost: None, ..timed(7, full_row(103)) };
    let store = Store::holding(local.chain([refused, hit, external])).await;

    let stats = store.records().await.stats(start_time()).await.unwrap();
    let names = stats.groups.iter().map(|g| (g.served_by.as_deref(), g.class.as_deref(), g.outcome, g.sums.requests));
    let expected = [
        (Some("qwen-local"), Some("internal"), Outcome::Answered, 100),
        (None, None, Outcome::Refused, 1),
        (None, Some("internal"), Outcome::Answered, 1),
        (Some("mini"), Some("internal"), Outcome::Answered, 1),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let local = stats.groups[0].sums;
    assert_eq!((local.p50_ms, local.p95_ms, local.cost), (50.0, 95.0, MicroUsd(910_000)));
    assert_eq!((local.input_tokens, local.output_tokens, local.tokens_unknown), (312_000, 41_200, 0));
    let total = stats.total;
    assert_eq!((total.requests, total.cost_unknown, total.tokens_unknown), (103, 2, 1));
    assert_eq!(total.cache_hit_share(), Some(1.0 / 102.0));
    assert_eq!(total.local_share(), Some(100.0 / 101.0));

    let none = store.records().await.stats(start_time() + SignedDuration::from_hours(1)).await.unwrap();
    assert_eq!((none.total, none.groups.len(), none.total.local_share()), (Sums::default(), 0, None));
}

#[tokio::test]
async fn spend_is_summed_by_key_attributes_and_hour() {
    let cost = |n, cost| Row { cost: Some(MicroUsd(cost)), text: None, ..full_row(n) };
    let anonymous = Row { key: None, ..cost(4001, 5) };
    let store = Store::holding([cost(1, 10), cost(2, 20), cost(4000, 40), anonymous, row(5)]).await;
    let spend = store.records().await.spend_since(start_time()).await.unwrap();
    let expected = |key: &str, at: &str, cost| Spend {
        key: key.into(),
        attributes: BTreeMap::from([("team".into(), "red \"1\"".into())]),
        at: at.parse().unwrap(),
        cost: MicroUsd(cost),
    };
    let (nine, ten) = ("2026-11-24T09:00:00Z", "2026-11-24T10:00:00Z");
    assert_eq!(spend, [expected("", ten, 5), expected("support-bot", nine, 30), expected("support-bot", ten, 40)]);
}

#[tokio::test]
async fn the_export_has_one_line_of_json_per_row() {
    let store = Store::holding([full_row(1), Row { decision: "not json".into(), ..row(2) }, row(3)]).await;
    let mut out = Vec::new();
    let since = start_time() + SignedDuration::from_secs(1);
    assert_eq!(store.records().await.export_jsonl(&mut out, since).await.unwrap(), 3);
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
    let none = store.records().await.export_jsonl(&mut Vec::new(), Timestamp::MAX).await.unwrap();
    assert_eq!(none, 0);
}

#[tokio::test]
async fn deleting_by_key_or_id_leaves_no_trace_in_the_files() {
    let secret = |n: u64, key: &str, words: &str| Row {
        key: Some(key.into()),
        decision: format!("{{\"about\":\"{words}\"}}"),
        text: Some(StoredText { prompt: words.into(), answer: words.into() }),
        ..full_row(n)
    };
    let many = (10..1300).map(|n| secret(n, "leaver", "words-of-the-leaver"));
    let store =
        Store::holding(many.chain([secret(1, "stayer", "words-that-stay"), secret(2, "x", "words-by-id")])).await;
    let recorder = store.recorder().await;
    let mut records = store.records().await;
    assert!(store.contains("words-of-the-leaver") && store.contains("words-by-id"));
    assert_eq!(records.delete_by_key("leaver").await.unwrap(), 1290);
    assert!(records.delete_by_id(&row(2).id.to_string()).await.unwrap());
    assert!(!records.delete_by_id(&row(2).id.to_string()).await.unwrap());
    assert_eq!(ids(&records.tail(10).await.unwrap()), [1]);
    assert!(!store.contains("leaver") && !store.contains("words-by-id"));
    assert!(store.contains("words-that-stay"));
    recorder.close().await;
}

#[tokio::test]
async fn the_number_of_a_deleted_row_is_not_given_again() {
    let store = Store::holding([row(1), row(2)]).await;
    let mut records = store.records().await;
    records.delete_by_id(&row(2).id.to_string()).await.unwrap();
    let recorder = store.recorder().await;
    recorder.record(row(3));
    recorder.close().await;
    let new = records.after(2, 10).await.unwrap();
    assert_eq!((new[0].seq, ids(&new)), (3, vec![3]));
}

#[tokio::test]
async fn the_writer_deletes_what_is_too_old() {
    let old = (0..1200).map(|n| Row { at: "2020-01-01T00:00:00Z".parse().unwrap(), ..full_row(n) });
    let store = Store::holding(old).await;
    let options = StoreOptions { retention: Some(Duration::from_secs(86_400)), ..store.options() };
    let recorder = Recorder::start(options).await.unwrap();
    recorder.record(Row { at: Timestamp::now(), ..row(5000) });
    let mut records = store.records().await;
    let deadline = Instant::now() + Duration::from_secs(20);
    while records.tail(2000).await.unwrap().len() > 1 && Instant::now() < deadline {
        recorder.flush().await;
    }
    assert_eq!(ids(&records.tail(10).await.unwrap()), [5000]);
    recorder.close().await;
}

#[tokio::test]
async fn retention_keeps_what_is_young_enough() {
    let store = Store::holding((0..20).map(full_row)).await;
    let mut records = store.records().await;
    let now = start_time() + SignedDuration::from_secs(100);
    assert_eq!(records.enforce_retention(Duration::from_secs(95), now).await.unwrap(), 5);
    assert_eq!(records.tail(100).await.unwrap().len(), 15);
    assert_eq!(records.enforce_retention(Duration::MAX, now).await.unwrap(), 0);
}

#[tokio::test]
async fn a_store_that_cannot_be_written_holds_nobody_up_and_what_it_loses_is_written_down() {
    let store = Store::new();
    let recorder = Recorder::start(StoreOptions { queue: 10, ..store.options() }).await.unwrap();
    let mut records = store.records().await;
    let lock = records.conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    let started = Instant::now();
    (0..100).for_each(|n| recorder.record(row(n)));
    assert!(started.elapsed() < Duration::from_millis(50));
    let lost = recorder.lost();
    assert!(lost > 0);
    // The writer fails at least once: it gathers, and then waits for the lock.
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(recorder.written(), 0);
    lock.rollback().await.unwrap();
    recorder.flush().await;
    assert_eq!(records.tail(100).await.unwrap().len() as u64, 100 - lost);
    let gaps = records.gaps(Timestamp::UNIX_EPOCH).await.unwrap();
    assert_eq!(gaps.iter().map(|gap| gap.lost).sum::<u64>(), lost);
    recorder.close().await;
}

#[tokio::test]
async fn closing_ends_even_if_the_store_cannot_be_written() {
    let store = Store::new();
    let recorder = store.recorder().await;
    let mut records = store.records().await;
    let _lock = records.conn.begin_with("BEGIN IMMEDIATE").await.unwrap();
    recorder.record(row(1));
    recorder.close().await;
    recorder.record(row(2));
    recorder.flush().await;
    assert_eq!((recorder.written(), recorder.lost()), (0, 2));
}

#[tokio::test]
async fn the_last_recorder_to_go_has_everything_written() {
    let store = Store::new();
    let recorder = store.recorder().await;
    (0..100).for_each(|n| recorder.record(row(n)));
    drop(recorder);
    let mut records = store.records().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while records.tail(200).await.unwrap().len() < 100 && Instant::now() < deadline {
        tokio::task::yield_now().await;
    }
    assert_eq!(records.tail(200).await.unwrap().len(), 100);
}

#[tokio::test]
async fn every_query_of_the_documentation_runs_and_every_column_is_documented() {
    let recent = Row { at: Timestamp::now(), class: Some("confidential".into()), local: Some(false), ..full_row(1) };
    let limited = Row { outcome: Outcome::Limited, id: row(2).id, ..recent.clone() };
    let store = Store::holding([recent, limited]).await;
    let mut records = store.records().await;
    let docs = include_str!("../../docs/record.md");
    let queries: Vec<&str> = docs.split("```sql\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(queries.len(), 8);
    for sql in queries {
        let rows = query(AssertSqlSafe(sql)).fetch_all(&mut records.conn).await.unwrap();
        assert!(!rows.is_empty(), "{sql}");
    }
    for table in ["request", "decision", "text", "gap"] {
        let sql = format!("SELECT name FROM pragma_table_info('{table}')");
        let columns: Vec<String> = query_scalar(AssertSqlSafe(sql)).fetch_all(&mut records.conn).await.unwrap();
        assert!(columns.iter().all(|c| docs.contains(c.as_str())), "of {columns:?}");
    }
}

const CRASH_STORE: &str = "AJAR_TEST_CRASH_STORE";

/// Runs itself as a child that writes under load, names every row that the store calls written, with its age at that
/// moment, and is killed in the middle of that.
#[test]
fn kill_nine_loses_nothing_that_was_written_and_that_takes_less_than_a_commit_interval() {
    if let Some(path) = std::env::var_os(CRASH_STORE) {
        return write_until_killed(Path::new(&path));
    }
    let store = Store::new();
    let mut written = Vec::new();
    for round in 1..=3 {
        written.extend(kill_after(&store.path(), round * 1500));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let stored = runtime.block_on(async {
            store.recorder().await.close().await;
            let mut records = store.records().await;
            let verdict: String = query_scalar("PRAGMA integrity_check").fetch_one(&mut records.conn).await.unwrap();
            assert_eq!(verdict, "ok");
            let ids = query_scalar("SELECT id FROM request JOIN decision USING (seq) ORDER BY id");
            ids.fetch_all(&mut records.conn).await.unwrap() as Vec<String>
        });
        let missing = written.iter().filter(|(id, _)| stored.binary_search(id).is_err()).count();
        assert_eq!(missing, 0, "of {} written, with {} stored", written.len(), stored.len());
    }
    // The median, as a busy machine gives no thread its time whenever it asks.
    written.sort_by_key(|(_, age)| *age);
    let (median, worst) = (written[written.len() / 2].1, written[written.len() - 1].1);
    let interval = StoreOptions::new("").commit_interval;
    assert!(median < interval, "written after {median:?} in the median, {worst:?} at worst");
}

/// The rows that the child called written before it was killed, and how old they were then.
fn kill_after(path: &Path, rows: usize) -> Vec<(String, Duration)> {
    let test = "record::tests::kill_nine_loses_nothing_that_was_written_and_that_takes_less_than_a_commit_interval";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CRASH_STORE, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut written = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        // Between lines of the test harness, and the last one may have been cut short.
        if let [id, age, "written"] = line.unwrap().split(' ').collect::<Vec<_>>()[..] {
            written.push((id.to_owned(), Duration::from_micros(age.parse().unwrap())));
        }
        if written.len() == rows {
            // SIGKILL on Unix; what the pipe still holds is read to its end.
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(written.len() >= rows, "the child ended by itself");
    written
}

fn write_until_killed(path: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recorder = runtime.block_on(Recorder::start(StoreOptions::new(path))).unwrap();
    let (mut waiting, mut out) = (std::collections::VecDeque::new(), std::io::stdout().lock());
    let (started, mut pushed) = (Instant::now(), 0);
    while started.elapsed() < Duration::from_secs(60) {
        for _ in 0..5 {
            let row = Row { id: RequestId(Ulid::generate()), ..full_row(1) };
            pushed += 1;
            waiting.push_back((Instant::now(), pushed, row.id));
            recorder.record(row);
        }
        while waiting.front().is_some_and(|(_, n, _)| recorder.written() >= *n) {
            let (at, _, id) = waiting.pop_front().unwrap();
            writeln!(out, "{id} {} written", at.elapsed().as_micros()).unwrap();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

// === conversations

fn kept(class: &str, until: Timestamp) -> Kept {
    Kept { class: class.into(), since: row(1).id, until: until.round(jiff::Unit::Millisecond).unwrap() }
}

#[tokio::test]
async fn what_a_conversation_rose_to_is_found_until_its_time_is_over_and_then_deleted() {
    let store = Store::new();
    let recorder = store.recorder().await;
    let now = Timestamp::now();
    let later = kept("restricted", now + SignedDuration::from_hours(1));
    assert!(recorder.keep([1; 32], kept("internal", later.until)) && recorder.keep([1; 32], later.clone()));
    assert!(recorder.keep([2; 32], kept("restricted", now - SignedDuration::from_secs(1))));
    recorder.flush().await;
    let conversations = Conversations::of(&store.path());
    assert_eq!(conversations.find(&[1; 32]).await.unwrap(), Some(later));
    assert_eq!(conversations.find(&[2; 32]).await.unwrap(), None, "its time is over");
    assert_eq!(conversations.find(&[3; 32]).await.unwrap(), None);
    let mut conn = open::reopen(&store.path(), Duration::from_secs(1)).await.unwrap();
    assert_eq!(conversations::forget(&mut conn, now).await.unwrap(), 1);
    let left: i64 = query_scalar("SELECT count(*) FROM conversation").fetch_one(&mut conn).await.unwrap();
    assert_eq!(left, 1);
    recorder.close().await;
}

#[tokio::test]
async fn a_store_that_is_not_there_is_an_error_and_not_an_empty_answer() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Conversations::of(&folder.path().join("no.db")).find(&[1; 32]).await.is_err());
}
