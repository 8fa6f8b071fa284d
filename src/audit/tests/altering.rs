//! Whatever is done to a ledger is found, and where.

use super::*;

/// What each column is altered to.
const ALTERED: &[(&str, &str)] = &[
    ("kind", "'gap'"),
    ("kind", "'none'"),
    ("at", "'2020-01-01T00:00:00.000Z'"),
    ("request", "'01JDXXXXXXXXXXXXXXXXXXXXXX'"),
    ("request", "NULL"),
    ("attempt", "attempt + 1"),
    ("attempt", "-1"),
    ("destination", "'home'"),
    ("origin", "'http://localhost'"),
    ("boundary", "'host'"),
    ("class", "'public'"),
    ("basis", "'deterministic'"),
    ("transforms", "'pseudonymize'"),
    ("transforms", "NULL"),
    ("body", "zeroblob(32)"),
    ("body", "zeroblob(31)"),
    ("bytes", "bytes - 1"),
    ("policy", "policy || '0'"),
    ("policy", "NULL"),
    ("audit", "'best_effort'"),
    ("audit", "NULL"),
    ("bytes", "NULL"),
    ("body", "NULL"),
    ("lost", "0"),
    ("prev", "zeroblob(32)"),
    ("hash", "zeroblob(32)"),
    ("hash", "zeroblob(7)"),
];

#[tokio::test]
async fn whatever_is_changed_in_whichever_entry_that_entry_is_named() {
    const ENTRIES: u64 = 5;
    let folder = written(ENTRIES).await;
    let mut conn = raw(&folder.path().join("ledger.db")).await;
    let columns: Vec<String> =
        query_scalar("SELECT name FROM pragma_table_info('entry')").fetch_all(&mut conn).await.unwrap();
    conn.close().await.unwrap();
    let altered = |column: &String| column == "seq" || ALTERED.iter().any(|(name, _)| name == column);
    assert!(columns.iter().all(altered), "{columns:?}");
    for seq in 1..=ENTRIES {
        for (column, value) in ALTERED {
            let faults = faults_after(&folder, format!("UPDATE entry SET {column} = {value} WHERE seq = {seq}")).await;
            let first = faults.first().unwrap_or_else(|| panic!("entry {seq}, {column} = {value}: not noticed"));
            assert_eq!(first.seq(), Some(seq), "{column} = {value}: {faults:?}");
            assert!(matches!(first, Fault::Changed { .. } | Fault::Damaged { .. }), "{faults:?}");
        }
    }
}

#[tokio::test]
async fn a_gap_that_is_altered_is_named_too() {
    let folder = tempfile::tempdir().unwrap();
    let gap = What::Gap { boundary: "external".to_owned(), lost: 3 };
    EgressLedger::start(options(folder.path())).await.unwrap().close().await;
    let path = folder.path().join("ledger.db");
    let mut conn = raw(&path).await;
    let id: String = query_scalar("SELECT id FROM ledger").fetch_one(&mut conn).await.unwrap();
    let at = "2026-11-24T12:00:00.000Z".to_owned();
    insert(&mut conn, &[Entry::chained(1, at, gap, genesis(&id))]).await.unwrap();
    conn.close().await.unwrap();
    assert!(verify(&path, Against::default()).await.is_sound());
    for change in [
        "lost = 2",
        "lost = NULL",
        "boundary = 'host'",
        "class = 'public'",
        "request = 'x'",
        "attempt = 1",
        "body = zeroblob(32)",
        "bytes = 0",
        "policy = ''",
        "audit = ''",
        "basis = ''",
        "transforms = ''",
        "origin = ''",
        "destination = ''",
    ] {
        let faults = faults_after(&folder, format!("UPDATE entry SET {change}")).await;
        assert_eq!(faults.first().and_then(Fault::seq), Some(1), "{change}: {faults:?}");
    }
}

#[tokio::test]
async fn each_entry_that_is_removed_is_missed() {
    const ENTRIES: u64 = 7;
    let folder = written(ENTRIES).await;
    for seq in 1..=ENTRIES {
        let faults = faults_after(&folder, format!("DELETE FROM entry WHERE seq = {seq}")).await;
        let expected = if seq == ENTRIES { "is missing at the end" } else { "is missing" };
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0].seq(), Some(seq));
        assert!(faults[0].to_string().contains(expected), "{}", faults[0]);
        // Those after it given the numbers before theirs: the first of them is not what was hashed.
        let closed = format!("DELETE FROM entry WHERE seq = {seq}; UPDATE entry SET seq = seq - 1 WHERE seq > {seq}");
        let faults = faults_after(&folder, closed).await;
        assert_eq!(faults.first().and_then(Fault::seq), Some(seq), "{faults:?}");
    }
}

#[tokio::test]
async fn each_tail_that_is_cut_off_is_missed_and_elsewhere_even_if_its_checkpoints_are_cut_off_too() {
    let folder = written(7).await;
    for last in 0..7 {
        let cut = format!("DELETE FROM entry WHERE seq > {last};");
        let faults = faults_after(&folder, cut.clone()).await;
        assert_eq!(faults.last().and_then(Fault::seq), Some(last + 1), "{faults:?}");
        let path = copy(&folder);
        alter(&path, format!("{cut} DELETE FROM checkpoint")).await;
        let found = verify(&path, kept_elsewhere(&folder)).await;
        assert_eq!(found.faults.len(), 1, "{:?}", found.faults);
        let [Fault::Truncated { last: kept, through: 7, external: true, .. }] = found.faults[..] else { panic!() };
        assert_eq!(kept, last);
    }
}

const COPY_OF: &str = "kind, at, request, attempt, destination, origin, boundary, class, basis, transforms, body, bytes, \
    policy, audit, lost, prev, hash FROM entry";

#[tokio::test]
async fn entries_that_are_inserted_repeated_or_swapped_are_named() {
    let folder = written(6).await;
    for seq in 1..=6 {
        // A copy of entry 1 in the place of `seq`, all from there on one number later.
        let shift =
            format!("UPDATE entry SET seq = -seq WHERE seq >= {seq}; UPDATE entry SET seq = 1 - seq WHERE seq < 0;");
        let from = if seq == 1 { 3 } else { 1 };
        let inserted = format!("{shift} INSERT INTO entry SELECT {seq}, {COPY_OF} WHERE seq = {from}");
        let faults = faults_after(&folder, inserted).await;
        assert_eq!(faults.first().and_then(Fault::seq), Some(seq), "{faults:?}");
    }
    let appended = faults_after(&folder, format!("INSERT INTO entry SELECT 7, {COPY_OF} WHERE seq = 6")).await;
    assert_eq!(appended, [Fault::Changed { seq: 7 }]);
    for (a, b) in [(1, 2), (2, 5), (5, 6)] {
        let swap = format!(
            "UPDATE entry SET seq = -1 WHERE seq = {a}; UPDATE entry SET seq = {a} WHERE seq = {b}; \
             UPDATE entry SET seq = {b} WHERE seq = -1"
        );
        let faults = faults_after(&folder, swap).await;
        let named: Vec<_> = faults.iter().filter_map(Fault::seq).collect();
        assert!(named.contains(&a) && named.contains(&b), "{faults:?}");
    }
    // A table without a primary key can have a number twice.
    let twice = "CREATE TABLE copy AS SELECT * FROM entry; DROP TABLE entry; ALTER TABLE copy RENAME TO entry; \
        INSERT INTO entry SELECT * FROM entry WHERE seq = 3";
    let path = copy(&folder);
    alter(&path, twice).await;
    assert_eq!(verify(&path, Against::default()).await.faults, [Fault::Inserted { seq: 3 }]);
}

/// Replaces entry `changed` by one of another class, and chains everything after it anew.
async fn rewrite(path: &Path, changed: u64) -> (u64, Hash, String) {
    let mut audit = Audit::open(path).await.unwrap();
    let mut entries = audit.tail(1000, None).await.unwrap();
    drop(audit);
    let mut conn = raw(path).await;
    let id: String = query_scalar("SELECT id FROM ledger").fetch_one(&mut conn).await.unwrap();
    let mut prev = genesis(&id);
    for entry in &mut entries {
        let mut what = entry.what.clone();
        if let (What::Sent(sent), true) = (&mut what, entry.seq == changed) {
            sent.class = "public".to_owned();
        }
        *entry = Entry::chained(entry.seq, entry.at.clone(), what, prev);
        prev = entry.hash;
    }
    raw_sql(AssertSqlSafe(format!("{NO_TRIGGERS} DELETE FROM entry"))).execute(&mut conn).await.unwrap();
    insert(&mut conn, &entries).await.unwrap();
    conn.close().await.unwrap();
    let last = entries.last().unwrap();
    (last.seq, last.hash, last.at.clone())
}

#[tokio::test]
async fn a_chain_written_anew_disagrees_with_its_checkpoints_and_with_the_old_key_only_with_those_kept_elsewhere() {
    let folder = written(9).await;
    let key = SigningKey::load(&folder.path().join("ledger.key")).unwrap();
    for changed in [1, 4, 8] {
        let path = copy(&folder);
        let head = rewrite(&path, changed).await;
        let without_key = verify(&path, Against::default()).await.faults;
        let [Fault::Rewritten { through: 9, external: false, .. }] = without_key[..] else { panic!("{without_key:?}") };
        // The key's thief signs what was rewritten.
        let mut conn = raw(&path).await;
        let id: String = query_scalar("SELECT id FROM ledger").fetch_one(&mut conn).await.unwrap();
        let forged = Checkpoint::sign(&key, &id, head, "2026-11-24T12:00:00.000Z".to_owned());
        query("UPDATE checkpoint SET statement = ?").bind(forged.line()).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
        assert!(verify(&path, Against::default()).await.is_sound(), "nothing in the file can show it");
        let faults = verify(&path, kept_elsewhere(&folder)).await.faults;
        // Checkpoints are of entries 3, 6 and 9: the place is known as far as they tell.
        let (from, through) = ((changed - 1) / 3 * 3, changed.div_ceil(3) * 3);
        let [Fault::Rewritten { after, through: until, external: true, .. }] = faults[..] else { panic!("{faults:?}") };
        assert_eq!((after, until), (from, through));
    }
}

#[tokio::test]
async fn a_foreign_key_ledger_or_checkpoint_is_told() {
    let (folder, other) = (written(3).await, written(3).await);
    let path = folder.path().join("ledger.db");
    let keys = kept_elsewhere(&other).keys;
    let found = verify(&path, Against { keys, checkpoints: Vec::new() }).await;
    assert!(found.faults[0].to_string().contains("a key that is not trusted"), "{:?}", found.faults);
    let checkpoints = kept_elsewhere(&other).checkpoints;
    let found = verify(&path, Against { keys: Vec::new(), checkpoints }).await;
    assert!(found.faults[0].to_string().contains("of another ledger"), "{:?}", found.faults);
    let mut against = kept_elsewhere(&folder);
    against.checkpoints[0].entries += 1;
    let found = verify(&path, against).await;
    assert!(found.faults[0].to_string().contains("its signature does not fit"), "{:?}", found.faults);
    for damage in ["UPDATE checkpoint SET statement = '{}'", "INSERT INTO pruned VALUES (1, 2, 'x')"] {
        let faults = faults_after(&folder, damage).await;
        assert!(faults[0].to_string().contains("is damaged"), "{faults:?}");
    }
    assert_eq!(verify(&path, Against::default()).await.faults, []);
    let faults = faults_after(&folder, "UPDATE ledger SET id = 'other'").await;
    assert!(faults.len() >= 2, "{faults:?}");
}
