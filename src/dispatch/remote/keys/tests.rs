use std::collections::HashMap;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;

/// Credentials in files: `0` to `n - 1`.
fn keys(n: usize) -> (TempDir, Arc<Keys>) {
    let folder = tempfile::tempdir().unwrap();
    let write = |i: usize| {
        let file = folder.path().join(i.to_string());
        std::fs::write(&file, format!("key-{i}\n")).unwrap();
        Credential::File(file)
    };
    let credentials: Vec<_> = (0..n).map(write).collect();
    let keys = Keys::new("far", &credentials);
    (folder, keys)
}

fn talk(conversation: u64) -> Affinity {
    Affinity { conversation, sealed: false }
}

fn used(keys: &Arc<Keys>, conversation: u64, now: Instant) -> String {
    keys.lease(talk(conversation), now).unwrap().token().unwrap().to_owned()
}

#[test]
fn conversations_are_spread_and_each_stays_with_its_credential() {
    let ((_folder, keys), now) = (keys(3), Instant::now());
    let mut counts = HashMap::<_, u32>::new();
    for conversation in 0..300 {
        let first = used(&keys, conversation, now);
        assert_eq!(used(&keys, conversation, now), first);
        *counts.entry(first).or_default() += 1;
    }
    assert!(counts.len() == 3 && counts.values().all(|count| (60..=140).contains(count)), "{counts:?}");
}

#[test]
fn a_refused_credential_moves_its_own_conversations_only_and_gets_them_back() {
    let ((_folder, keys), now) = (keys(3), Instant::now());
    let before: Vec<_> = (0..100).map(|conversation| used(&keys, conversation, now)).collect();
    let lease = keys.lease(talk(0), now).unwrap();
    lease.refused(Refusal::Unknown, now);
    for (conversation, before) in (0..).zip(&before) {
        let after = used(&keys, conversation, now);
        assert_eq!(after == *before, *before != lease.token().unwrap(), "{before} {after}");
    }
    drop(lease);
    let later = now + SHORTEST;
    keys.lease(talk(0), later).unwrap().accepted();
    assert_eq!((0..100).map(|conversation| used(&keys, conversation, later)).collect::<Vec<_>>(), before);
}

#[test]
fn a_busy_credential_leaves_calls_to_others_but_not_those_of_sealed_conversations() {
    let ((_folder, keys), now) = (keys(2), Instant::now());
    let leases: Vec<_> = (0..40).map(|_| keys.lease(talk(7), now).unwrap()).collect();
    let count = |token: &str| leases.iter().filter(|lease| lease.token() == Some(token)).count();
    let (one, other) = (count("key-0"), count("key-1"));
    assert!(one.min(other) >= 10, "{one} {other}");
    let sealed = keys.lease(Affinity { sealed: true, ..talk(7) }, now).unwrap();
    assert_eq!(sealed.token(), leases[0].token());
}

#[test]
fn a_limit_on_the_rate_is_granted_within_bounds_and_nobody_left_is_told_why() {
    let ((_folder, keys), now) = (keys(2), Instant::now());
    for seconds in [2, 7000] {
        keys.lease(talk(0), now).unwrap().refused(Refusal::Limited(Duration::from_secs(seconds)), now);
    }
    assert!(keys.resting(now) == Some(Resting::Limited) && !keys.has_fresh(now));
    assert_eq!(keys.rest(now), Some(Duration::from_secs(2)), "the first that may be used again");
    assert_eq!(keys.observed(now)[2], ("limited", 2));
    let later = now + Duration::from_secs(2);
    assert!(keys.resting(later).is_none() && keys.has_fresh(later));
    keys.lease(talk(0), later).unwrap().refused(Refusal::Unknown, later);
    assert_eq!(keys.resting(later), Some(Resting::Limited), "that one passes by itself");
    assert_eq!(keys.resting(later + LONGEST_PAUSE), None);
}

#[test]
fn one_that_is_refused_rests_ever_longer_and_one_call_tries_it_again() {
    let ((_folder, keys), mut now) = (keys(1), Instant::now());
    let mut before = Duration::ZERO;
    for _ in 0..12 {
        keys.lease(talk(0), now).unwrap().refused(Refusal::Unknown, now);
        let rest = keys.with(|states| states[0].rest.unwrap().until) - now;
        assert!(rest > before || rest == LONGEST, "{rest:?}");
        assert_eq!(keys.resting(now), Some(Resting::Refused));
        (before, now) = (rest, now + rest);
    }
    let trial = keys.lease(talk(0), now).unwrap();
    assert_eq!(keys.resting(now), Some(Resting::Refused), "it is being tried");
    trial.accepted();
    assert_eq!(keys.resting(now), None);
}

#[test]
fn what_is_forbidden_to_one_is_asked_of_others_first_and_bars_nobody() {
    let ((_folder, keys), now) = (keys(2), Instant::now());
    let first = keys.lease(talk(0), now).unwrap();
    first.refused(Refusal::Forbidden, now);
    let other = keys.lease(talk(0), now).unwrap();
    assert!(other.token() != first.token() && keys.has_fresh(now));
    other.refused(Refusal::Forbidden, now);
    assert!(!keys.has_fresh(now) && keys.resting(now).is_none());
    assert_eq!(keys.observed(now)[..2], [("free", 0), ("forbidden", 2)]);
    assert_eq!(keys.rest(now), Some(Duration::ZERO));
}

#[test]
fn a_file_that_changes_is_read_again_and_used_at_once_whatever_came_of_the_old_one() {
    let ((folder, keys), now) = (keys(1), Instant::now());
    let old = keys.lease(talk(0), now).unwrap();
    assert!(keys.read_again().is_empty());
    std::fs::write(folder.path().join("0"), "renewed").unwrap();
    let changed = keys.read_again();
    assert!(
        changed.len() == 1 && changed[0].starts_with("the file `") && !changed[0].contains("renewed"),
        "{changed:?}"
    );
    old.refused(Refusal::Unknown, now);
    assert_eq!(used(&keys, 0, now), "renewed");
    std::fs::remove_file(folder.path().join("0")).unwrap();
    assert_eq!(keys.read_again().len(), 1);
    assert_eq!(keys.resting(now), Some(Resting::NoCredential));
}

#[test]
fn a_provider_that_wants_none_has_one_that_sends_nothing_and_can_be_limited() {
    let (keys, now) = (Keys::new("far", &[]), Instant::now());
    let lease = keys.lease(talk(0), now).unwrap();
    assert_eq!((lease.token(), keys.count()), (None, 1));
    lease.refused(Refusal::Limited(Duration::from_secs(1)), now);
    assert_eq!(keys.resting(now), Some(Resting::Limited));
    let absent = Keys::new("far", &[Credential::File(PathBuf::from("/no/such/file"))]);
    assert_eq!((absent.resting(now), absent.rest(now)), (Some(Resting::NoCredential), None));
    assert_eq!(absent.observed(now)[4], ("missing", 1));
}
