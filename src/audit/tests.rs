//! The ledger as a whole: what is entered, what happens when it cannot be, and that nobody alters it unseen.

mod altering;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use blake3::Hash;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, query, query_scalar, raw_sql};
use tempfile::TempDir;

use super::checkpoint::read_checkpoints;
use super::columns::insert;
use super::entry::genesis;
use super::reader::Against;
use super::*;
use crate::chat::RequestId;
use crate::policy::{Boundary, Permit};

const NO_TRIGGERS: &str = "DROP TRIGGER entry_insert; DROP TRIGGER entry_update; DROP TRIGGER entry_delete;";

fn options(folder: &Path) -> LedgerOptions {
    LedgerOptions {
        checkpoints: Some(folder.join("checkpoints.jsonl")),
        mode: Mode::Required,
        patience: Duration::from_millis(100),
        // Only at the end, unless a test says otherwise.
        checkpoint_interval: Duration::from_secs(3600),
        ..LedgerOptions::new(folder.join("ledger.db"), folder.join("ledger.key"))
    }
}

fn permit(boundary: Boundary, body: &[u8]) -> Permit {
    Permit::of(boundary, "internal", body, Instant::now() + Duration::from_secs(60))
}

fn id(n: u64) -> RequestId {
    RequestId(ulid::Ulid::from_parts(1_700_000_000_000, n.into()))
}

async fn enter(ledger: &EgressLedger, n: u64) -> Result<Entered, LedgerError> {
    ledger.enter(permit(Boundary::External, format!("body {n}").as_bytes()), id(n), 1).await
}

/// A ledger of `n` entries that was closed in order, with a checkpoint after each third.
async fn written(n: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let options = LedgerOptions { checkpoint_entries: 3, ..options(folder.path()) };
    let ledger = EgressLedger::start(options).await.unwrap();
    for n in 1..=n {
        enter(&ledger, n).await.unwrap();
    }
    ledger.close().await;
    folder
}

async fn raw(path: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}

async fn alter(path: &Path, sql: impl Into<String>) {
    let mut conn = raw(path).await;
    raw_sql(AssertSqlSafe(format!("{NO_TRIGGERS}{}", sql.into()))).execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
}

async fn verify(path: &Path, against: Against) -> Verification {
    Audit::open(path).await.unwrap().verify(against, |_| {}).await.unwrap()
}

/// A copy of a closed ledger, to be altered.
fn copy(folder: &TempDir) -> PathBuf {
    static COPIES: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let n = COPIES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let copy = folder.path().join(format!("copy-{n}.db"));
    std::fs::copy(folder.path().join("ledger.db"), &copy).unwrap();
    copy
}

async fn faults_after(folder: &TempDir, sql: impl Into<String>) -> Vec<Fault> {
    let copy = copy(folder);
    alter(&copy, sql).await;
    verify(&copy, Against::default()).await.faults
}

/// The checkpoints that were shipped, and the public key.
fn kept_elsewhere(folder: &TempDir) -> Against {
    let key = SigningKey::load(&folder.path().join("ledger.key")).unwrap().public();
    Against { checkpoints: read_checkpoints(&folder.path().join("checkpoints.jsonl")).unwrap(), keys: vec![key] }
}

// === entering

#[tokio::test]
async fn what_is_entered_is_on_disk_with_the_hash_of_its_bytes_and_verifies() {
    let folder = written(7).await;
    let mut audit = Audit::open(&folder.path().join("ledger.db")).await.unwrap();
    let entries = audit.tail(100, None).await.unwrap();
    let numbers: Vec<u64> = entries.iter().map(|entry| entry.seq).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    let What::Sent(sent) = &entries[4].what else { panic!("{:?}", entries[4]) };
    assert_eq!((sent.request.as_str(), sent.attempt, sent.bytes), (id(5).to_string().as_str(), 1, 6));
    assert_eq!(
        (sent.destination.as_str(), sent.origin.as_str(), sent.boundary.as_str()),
        ("far", "https://a", "external")
    );
    assert_eq!((sent.class.as_str(), sent.basis.as_str(), sent.transforms.as_str()), ("internal", "declared", ""));
    assert_eq!(sent.body, blake3::hash(b"body 5"));
    assert_eq!(audit.tail(100, Some(&id(5).to_string())).await.unwrap(), entries[4..5]);
    let found = audit.verify(kept_elsewhere(&folder), |_| {}).await.unwrap();
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!((found.entries, found.numbers, found.lost), (7, Some((1, 7)), 0));
    assert_eq!(found.confirmed.unwrap().entries, 7);
    assert_eq!(found.confirmed_elsewhere.unwrap().entries, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_come_together_share_commits_and_each_has_one_entry() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = EgressLedger::start(options(folder.path())).await.unwrap();
    let entering = (0..500).map(|n| {
        let ledger = ledger.clone();
        tokio::spawn(async move { enter(&ledger, n).await.unwrap() })
    });
    for task in entering.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    // No flush: whoever was let through is on disk.
    let found = verify(&folder.path().join("ledger.db"), Against::default()).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!((found.entries, ledger.numbers().entries.get()), (500, 500));
    ledger.close().await;
}

#[tokio::test]
async fn required_refuses_while_the_file_cannot_be_written_and_goes_on_after() {
    let folder = tempfile::tempdir().unwrap();
    let ledger = EgressLedger::start(options(folder.path())).await.unwrap();
    enter(&ledger, 1).await.unwrap();
    let mut other = raw(&folder.path().join("ledger.db")).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for n in 2..4 {
        let error = enter(&ledger, n).await.unwrap_err();
        assert!(matches!(error, LedgerError::Unwritten(_)), "{error}");
    }
    assert_eq!(ledger.numbers().failing.get(), 1);
    // To destinations inside nobody waits.
    ledger.enter(permit(Boundary::Host, b"home"), id(4), 1).await.unwrap();
    lock.rollback().await.unwrap();
    enter(&ledger, 5).await.unwrap();
    assert_eq!(ledger.numbers().failing.get(), 0);
    ledger.close().await;
    let mut audit = Audit::open(&folder.path().join("ledger.db")).await.unwrap();
    let sent = |entry: &Entry| match &entry.what {
        What::Sent(sent) => sent.request.clone(),
        What::Gap { .. } => panic!("a gap, though nothing was sent"),
    };
    let mut requests: Vec<String> = audit.tail(9, None).await.unwrap().iter().map(sent).collect();
    requests.sort();
    assert_eq!(requests, [id(1), id(4), id(5)].map(|id| id.to_string()));
    assert!(verify(&folder.path().join("ledger.db"), kept_elsewhere(&folder)).await.is_sound());
}

#[tokio::test]
async fn best_effort_lets_through_and_leaves_a_gap_of_what_could_not_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let options = LedgerOptions { mode: Mode::BestEffort, queue: 1, ..options(folder.path()) };
    let ledger = EgressLedger::start(options).await.unwrap();
    let mut other = raw(&folder.path().join("ledger.db")).await;
    let lock = other.begin_with("BEGIN IMMEDIATE").await.unwrap();
    for n in 0..50 {
        enter(&ledger, n).await.unwrap();
    }
    let lost = ledger.numbers().lost.get();
    assert!(lost > 0);
    lock.rollback().await.unwrap();
    ledger.flush().await;
    let found = verify(&folder.path().join("ledger.db"), Against::default()).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!(found.lost, lost);
    assert_eq!(found.entries - 1 + lost, 50, "every body is an entry or in the gap");
    ledger.close().await;
}

#[tokio::test]
async fn without_a_ledger_nothing_can_be_sent() {
    let ledger = EgressLedger::none();
    assert!(matches!(ledger.enter(permit(Boundary::Host, b""), id(1), 1).await.unwrap_err(), LedgerError::Closed));
    let folder = tempfile::tempdir().unwrap();
    let ledger = EgressLedger::start(options(folder.path())).await.unwrap();
    ledger.close().await;
    assert!(matches!(enter(&ledger, 1).await.unwrap_err(), LedgerError::Closed));
}

#[tokio::test]
async fn two_processes_on_one_file_make_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let one = EgressLedger::start(options(folder.path())).await.unwrap();
    let two = EgressLedger::start(options(folder.path())).await.unwrap();
    for n in 0..20 {
        enter(if n % 2 == 0 { &one } else { &two }, n).await.unwrap();
    }
    one.close().await;
    two.close().await;
    let found = verify(&folder.path().join("ledger.db"), Against::default()).await;
    assert!(found.is_sound(), "{:?}", found.faults);
    assert_eq!(found.entries, 20);
}

#[tokio::test]
async fn the_file_is_private_and_another_programs_is_refused() {
    let folder = written(1).await;
    #[cfg(unix)]
    {
        let mode = std::fs::metadata(folder.path().join("ledger.db")).unwrap();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777, 0o600);
    }
    let path = folder.path().join("other.db");
    let mut conn = SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
    raw_sql("CREATE TABLE mine (x)").execute(&mut conn).await.unwrap();
    let other = LedgerOptions { path: path.clone(), ..options(folder.path()) };
    assert!(matches!(EgressLedger::start(other).await.unwrap_err(), LedgerError::Foreign(_)));
    assert!(matches!(Audit::open(&path).await.unwrap_err(), LedgerError::Foreign(_)));
    let missing = folder.path().join("missing.db");
    assert!(matches!(Audit::open(&missing).await.unwrap_err(), LedgerError::Missing(_)));
    assert!(!missing.exists());
}

#[tokio::test]
async fn sqlite_itself_refuses_to_change_remove_or_replace_an_entry() {
    let folder = written(3).await;
    let mut conn = raw(&folder.path().join("ledger.db")).await;
    for sql in [
        "UPDATE entry SET class = 'public' WHERE seq = 2",
        "DELETE FROM entry WHERE seq = 1",
        "DELETE FROM entry",
        "INSERT OR REPLACE INTO entry SELECT * FROM entry WHERE seq = 2",
        "INSERT INTO entry SELECT 9, kind, at, request, attempt, destination, origin, boundary, class, basis, transforms, \
         body, bytes, policy, audit, lost, prev, hash FROM entry WHERE seq = 2",
    ] {
        let error = raw_sql(sql).execute(&mut conn).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{sql}: {error}");
    }
}

// === checkpoints

#[tokio::test]
async fn a_checkpoint_follows_so_many_entries_so_much_time_and_the_stop() {
    let folder = written(7).await;
    let counts: Vec<u64> = kept_elsewhere(&folder).checkpoints.iter().map(|c| c.entries).collect();
    assert_eq!(counts, [3, 6, 7]);
    let folder = tempfile::tempdir().unwrap();
    let options = LedgerOptions { checkpoint_interval: Duration::from_millis(20), ..options(folder.path()) };
    let ledger = EgressLedger::start(options.clone()).await.unwrap();
    enter(&ledger, 1).await.unwrap();
    let file = folder.path().join("checkpoints.jsonl");
    while !file.exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(ledger.numbers().checkpointed.get() > 1.7e9);
    ledger.close().await;
    // Nothing new: nothing is signed, not by the stop and not by the next start.
    let ledger = EgressLedger::start(options).await.unwrap();
    ledger.close().await;
    let checkpoints = read_checkpoints(&file).unwrap();
    assert_eq!(checkpoints.iter().map(|c| c.entries).collect::<Vec<_>>(), [1]);
    let mut audit = Audit::open(&folder.path().join("ledger.db")).await.unwrap();
    assert_eq!(audit.checkpoint().await.unwrap().as_ref(), checkpoints.last());
}

#[tokio::test]
async fn what_a_crash_left_without_a_checkpoint_gets_one_at_the_next_start() {
    let folder = written(4).await;
    alter(&folder.path().join("ledger.db"), "DELETE FROM checkpoint").await;
    let ledger = EgressLedger::start(options(folder.path())).await.unwrap();
    ledger.close().await;
    let mut audit = Audit::open(&folder.path().join("ledger.db")).await.unwrap();
    assert_eq!(audit.checkpoint().await.unwrap().unwrap().entries, 4);
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_shipped_holds_nothing_up_and_is_stored() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = Some(folder.path().join("ledger.key/no/folder"));
    let ledger = EgressLedger::start(LedgerOptions { checkpoints: nowhere, ..options(folder.path()) }).await.unwrap();
    enter(&ledger, 1).await.unwrap();
    ledger.close().await;
    let found = verify(&folder.path().join("ledger.db"), Against::default()).await;
    assert_eq!((found.is_sound(), found.confirmed.unwrap().entries), (true, 1));
}

// === retention

/// A ledger of which the first `old` of seven entries are a year old, and what retention did.
async fn pruned(old: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    EgressLedger::start(options(folder.path())).await.unwrap().close().await;
    let mut conn = raw(&folder.path().join("ledger.db")).await;
    let id: String = query_scalar("SELECT id FROM ledger").fetch_one(&mut conn).await.unwrap();
    let (mut prev, mut entries) = (genesis(&id), Vec::new());
    for seq in 1..=7 {
        let permit = permit(Boundary::External, b"body");
        let year = if seq <= old { 2025 } else { 2099 };
        let what = What::Sent(Sent::new(&permit, "01JD".to_owned(), 1, Mode::Required));
        entries.push(Entry::chained(seq, format!("{year}-01-01T00:00:00.000Z"), what, prev));
        prev = entries.last().unwrap().hash;
    }
    insert(&mut conn, &entries).await.unwrap();
    conn.close().await.unwrap();
    let keep = LedgerOptions { retention: Some(Duration::from_secs(183 * 24 * 3600)), ..options(folder.path()) };
    let ledger = EgressLedger::start(keep).await.unwrap();
    enter(&ledger, 8).await.unwrap();
    enter(&ledger, 9).await.unwrap();
    ledger.close().await;
    folder
}

#[tokio::test]
async fn what_is_too_old_is_removed_under_a_statement_and_the_rest_verifies() {
    for old in [0, 1, 5, 7] {
        let folder = pruned(old).await;
        let found = verify(&folder.path().join("ledger.db"), kept_elsewhere(&folder)).await;
        assert!(found.is_sound(), "{old}: {:?}", found.faults);
        assert_eq!((found.pruned, found.entries, found.numbers), (old, 9 - old, Some((old + 1, 9))));
        if old == 5 {
            let faults = faults_after(&folder, "DELETE FROM entry WHERE seq = 6").await;
            assert_eq!(faults, [Fault::Missing { from: 6, through: 6 }]);
            let faults = faults_after(&folder, "DELETE FROM pruned").await;
            assert_eq!(faults, [Fault::Missing { from: 1, through: 5 }]);
            let faults = faults_after(
                &folder,
                "UPDATE pruned SET statement = replace(statement, '\"through\":5', '\"through\":6')",
            );
            assert!(faults.await[0].to_string().contains("its signature does not fit"));
        }
    }
}

#[tokio::test]
async fn what_was_removed_too_young_disagrees_with_a_checkpoint_kept_elsewhere() {
    let folder = written(6).await;
    let against = kept_elsewhere(&folder);
    let path = copy(&folder);
    let mut conn = raw(&path).await;
    let id: String = query_scalar("SELECT id FROM ledger").fetch_one(&mut conn).await.unwrap();
    let hash: Vec<u8> = query_scalar("SELECT hash FROM entry WHERE seq = 4").fetch_one(&mut conn).await.unwrap();
    let head = (4, Hash::from_bytes(hash.try_into().unwrap()));
    let key = SigningKey::load(&folder.path().join("ledger.key")).unwrap();
    let (before, at) = ("2026-01-01T00:00:00.000Z".to_owned(), "2026-07-03T00:00:00.000Z".to_owned());
    let statement = Pruned::sign(&key, &id, head, before, at).line();
    query("INSERT INTO pruned VALUES (1, 4, ?)").bind(statement).execute(&mut conn).await.unwrap();
    query("DELETE FROM entry WHERE seq <= 4").execute(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    assert!(verify(&path, Against::default()).await.is_sound());
    let faults = verify(&path, against).await.faults;
    assert!(matches!(faults[..], [Fault::Pruned { through: 4, seq: 3, .. }]), "{faults:?}");
}
