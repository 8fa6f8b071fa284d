//! Budgets under every order of reserving, settling, waiting and reloading.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn noon() -> Timestamp {
    at("2026-11-24T12:00:00Z")
}

fn budget(id: &str, per: Per, window: Window, limit: u64) -> Budget {
    Budget { id: id.into(), per, window, limit: MicroUsd(limit) }
}

fn daily(limit: u64) -> Ledger {
    Ledger::new(vec![budget("day", Per::Key, Window::Day, limit)])
}

fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
}

static NO_ATTRIBUTES: BTreeMap<String, String> = BTreeMap::new();

fn key(key: &str) -> Spender<'_> {
    Spender { key, attributes: &NO_ATTRIBUTES }
}

/// The sums of the only account.
fn sums(ledger: &Ledger) -> (u64, u64) {
    let (settled, reserved) = ledger.lock().totals()[0];
    (settled.0, reserved.0)
}

#[test]
fn of_200_simultaneous_requests_against_a_budget_for_10_exactly_10_go() {
    for _ in 0..20 {
        let ledger = daily(1000);
        let (barrier, gone) = (Barrier::new(200), AtomicUsize::new(0));
        std::thread::scope(|threads| {
            for _ in 0..200 {
                threads.spawn(|| {
                    barrier.wait();
                    let reservation = ledger.reserve(key("k"), MicroUsd(100), noon());
                    // Nobody settles before everyone has asked.
                    barrier.wait();
                    if let Ok(mut reservation) = reservation {
                        gone.fetch_add(1, Ordering::Relaxed);
                        reservation.sent();
                        reservation.settle(MicroUsd(90));
                    }
                });
            }
        });
        assert_eq!((gone.into_inner(), sums(&ledger)), (10, (900, 0)));
    }
}

#[test]
fn nothing_stays_reserved_whichever_way_a_request_ends() {
    let ledger = daily(1000);
    let reserve = || ledger.reserve(key("k"), MicroUsd(100), noon()).unwrap();
    drop(reserve());
    assert_eq!(sums(&ledger), (0, 0), "nothing was sent: the money comes back");
    let mut sent = reserve();
    sent.sent();
    assert_eq!(sums(&ledger), (0, 100));
    drop(sent);
    assert_eq!(sums(&ledger), (100, 0), "bytes were sent and nobody saw the end: it is paid for");
    reserve().settle(MicroUsd(30));
    assert_eq!(sums(&ledger), (130, 0));
    let panics = || {
        let _held = reserve();
        panic!("on purpose")
    };
    let panicked: std::thread::Result<()> = std::thread::scope(|threads| threads.spawn(panics).join());
    assert!(panicked.is_err());
    assert_eq!(sums(&ledger), (130, 0), "a panic gives it back as well");
    reserve().settle(MicroUsd(2000));
    assert_eq!(sums(&ledger), (2130, 0), "a provider that charges more is believed");
    assert!(ledger.reserve(key("k"), MicroUsd(1), noon()).is_err());
    assert!(ledger.reserve(key("k"), MicroUsd::ZERO, noon()).is_ok(), "what costs nothing needs no room");
}

#[test]
fn a_reservation_takes_from_all_budgets_or_from_none() {
    let ledger = Ledger::new(vec![
        budget("all", Per::All, Window::Forever, 1000),
        budget("team", Per::Attribute("team".into()), Window::Month, 150),
        budget("request", Per::Request, Window::Forever, 120),
    ]);
    let (red, blue) = (attributes(&[("team", "red")]), attributes(&[("team", "blue")]));
    let (red, blue) = (Spender { key: "a", attributes: &red }, Spender { key: "b", attributes: &blue });
    let first = ledger.reserve(red, MicroUsd(100), noon()).unwrap();
    let denied = ledger.reserve(red, MicroUsd(100), noon()).unwrap_err();
    assert_eq!((&*denied.budget, denied.until), ("team", Some(at("2026-12-01T00:00:00Z"))));
    assert_eq!(&*ledger.reserve(blue, MicroUsd(121), noon()).unwrap_err().budget, "request");
    assert_eq!(ledger.used_fraction("all", blue, noon()), Some(0.1), "the denied ones took nothing");
    assert_eq!(ledger.used_fraction("team", blue, noon()), Some(0.0));
    let second = ledger.reserve(blue, MicroUsd(100), noon()).unwrap();
    assert_eq!(ledger.used_fraction("all", key("c"), noon()), Some(0.2));
    drop((first, second));
    assert_eq!(ledger.used_fraction("all", key("c"), noon()), Some(0.0));
    assert_eq!(ledger.used_fraction("other", red, noon()), None);
}

#[test]
fn requests_without_the_attribute_share_one_budget() {
    let ledger = Ledger::new(vec![budget("team", Per::Attribute("team".into()), Window::Day, 100)]);
    let _held = ledger.reserve(key("a"), MicroUsd(100), noon()).unwrap();
    assert!(ledger.reserve(key("b"), MicroUsd(1), noon()).is_err());
}

#[test]
fn a_new_window_starts_at_zero_and_old_reservations_do_not_reach_into_it() {
    let ledger = daily(100);
    let late = at("2026-11-24T23:59:59Z");
    let over_midnight = ledger.reserve(key("k"), MicroUsd(100), late).unwrap();
    assert!(ledger.reserve(key("k"), MicroUsd(1), late).is_err());
    let next_day = at("2026-11-25T00:00:00Z");
    assert_eq!(ledger.used_fraction("day", key("k"), next_day), Some(0.0));
    let today = ledger.reserve(key("k"), MicroUsd(60), next_day).unwrap();
    over_midnight.settle(MicroUsd(100));
    assert_eq!(sums(&ledger), (0, 60));
    today.settle(MicroUsd(50));
    assert_eq!(sums(&ledger), (50, 0));
}

#[test]
fn a_clock_that_is_set_back_frees_nothing() {
    let ledger = daily(100);
    ledger.reserve(key("k"), MicroUsd(100), noon()).unwrap().settle(MicroUsd(100));
    assert!(ledger.reserve(key("k"), MicroUsd(1), at("2026-11-23T12:00:00Z")).is_err());
}

#[test]
fn spend_of_the_current_windows_is_restored_from_the_records() {
    let budgets = || {
        vec![
            budget("day", Per::Key, Window::Day, 100),
            budget("month", Per::Attribute("team".into()), Window::Month, 100),
            budget("one", Per::Request, Window::Forever, 100),
        ]
    };
    let ledger = Ledger::new(budgets());
    assert_eq!(ledger.restores_from(noon()), Some(at("2026-11-01T00:00:00Z")));
    let team = attributes(&[("team", "red")]);
    let spend = |at: Timestamp, cost| Spend { key: "k".into(), attributes: team.clone(), at, cost: MicroUsd(cost) };
    let records = || [spend(noon(), 10), spend(at("2026-11-23T23:00:00Z"), 20), spend(at("2026-10-31T23:00:00Z"), 40)];
    ledger.restore(records(), noon());
    let who = Spender { key: "k", attributes: &team };
    let used = |ledger: &Ledger, id| ledger.used_fraction(id, who, noon()).unwrap();
    assert_eq!((used(&ledger, "day"), used(&ledger, "month")), (0.1, 0.3));

    let mut reloaded = budgets();
    reloaded[0].limit = MicroUsd(200);
    reloaded[1].window = Window::Day;
    let reloaded = ledger.successor(reloaded, vec![]);
    assert_eq!(reloaded.restores_from(noon()), Some(at("2026-11-24T00:00:00Z")), "only what is new");
    reloaded.restore(records(), noon());
    assert_eq!((used(&reloaded, "day"), used(&reloaded, "month")), (0.05, 0.1), "not counted twice");
}

#[test]
fn a_reservation_made_before_a_reload_settles_after_it() {
    let ledger = daily(100);
    let held = ledger.reserve(key("k"), MicroUsd(100), noon()).unwrap();
    let gone = ledger.successor(vec![], vec![]);
    let back = gone.successor(vec![budget("day", Per::Key, Window::Day, 100)], vec![]);
    assert!(back.reserve(key("k"), MicroUsd(1), noon()).is_err());
    held.settle(MicroUsd(40));
    assert_eq!(sums(&back), (40, 0));
}

#[test]
fn a_budget_that_was_dropped_and_comes_back_is_restored_though_somebody_still_held_it() {
    let ledger = daily(100);
    let held = ledger.reserve(key("held"), MicroUsd(10), noon()).unwrap();
    ledger.reserve(key("k"), MicroUsd(50), noon()).unwrap().settle(MicroUsd(50));
    let gone = ledger.successor(vec![], vec![]);
    // A request of the old policies goes on reserving in them.
    ledger.reserve(key("k"), MicroUsd(7), noon()).unwrap().settle(MicroUsd(7));
    let again = [budget("day", Per::Key, Window::Day, 100)];
    assert_eq!(gone.unknown_since(&again, noon()), Some(at("2026-11-24T00:00:00Z")));
    let back = gone.successor(again.to_vec(), vec![]);
    let spend = Spend { key: "k".into(), attributes: BTreeMap::new(), at: noon(), cost: MicroUsd(57) };
    back.restore([spend], noon());
    assert_eq!(back.used_fraction("day", key("k"), noon()), Some(0.57));
    held.settle(MicroUsd(10));
    assert_eq!(back.used_fraction("day", key("held"), noon()), Some(0.1));
}

#[test]
fn budgets_on_trial_count_what_is_spent_and_bind_only_who_is_decided_by_them() {
    let ours = budget("day", Per::Key, Window::Day, 100);
    let tighter = budget("day", Per::Key, Window::Day, 50);
    let hourly = budget("hour", Per::Key, Window::Hour, 30);
    let ledger = Ledger::empty().successor(vec![ours], vec![tighter, hourly]);
    let reserve = |deciding, worst| ledger.reserve_by(deciding, key("k"), MicroUsd(worst), noon());
    let used = |books, id| ledger.used_fraction_in(books, id, key("k"), noon()).unwrap();
    reserve(Books::InForce, 40).unwrap().settle(MicroUsd(40));
    assert_eq!((used(Books::InForce, "day"), used(Books::OnTrial, "day")), (0.4, 0.8), "one account, counted once");
    assert!(used(Books::OnTrial, "hour") > 1.0, "what the others spend counts");
    assert_eq!(&*reserve(Books::OnTrial, 1).unwrap_err().budget, "hour");
    assert!(reserve(Books::InForce, 60).is_ok());
    assert_eq!(ledger.standing(Books::InForce, "hour", key("k"), noon()), None);
}

#[test]
fn scopes_are_bounded_and_those_of_past_windows_make_room() {
    let ledger = Ledger::with_capacity(vec![budget("day", Per::Key, Window::Day, 100)], 2);
    for name in ["a", "b"] {
        ledger.reserve(key(name), MicroUsd(10), noon()).unwrap().settle(MicroUsd(10));
    }
    assert!(ledger.reserve(key("c"), MicroUsd(10), noon()).is_err());
    assert!(ledger.reserve(key("a"), MicroUsd(10), noon()).is_ok(), "who has an account keeps it");
    let tomorrow = at("2026-11-25T12:00:00Z");
    assert!(ledger.reserve(key("c"), MicroUsd(10), tomorrow).is_ok());
}

#[derive(Clone, Debug)]
enum Step {
    Reserve { who: u8, worst: u64 },
    End { which: usize, sent: bool, settle: Option<u64> },
    Wait { seconds: i64 },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3u8, 0..60u64).prop_map(|(who, worst)| Step::Reserve { who, worst }),
        3 => (any::<usize>(), any::<bool>(), prop::option::of(0..60u64))
            .prop_map(|(which, sent, settle)| Step::End { which, sent, settle }),
        1 => (0..40_000i64).prop_map(|seconds| Step::Wait { seconds }),
    ];
    prop::collection::vec(step, 0..120)
}

proptest! {
    #[test]
    fn settled_and_reserved_never_exceed_the_limit(steps in steps()) {
        let ledger = Ledger::new(vec![
            budget("day", Per::Key, Window::Day, 100),
            budget("all", Per::All, Window::Day, 150),
        ]);
        let (mut now, mut held) = (noon(), Vec::new());
        for step in steps {
            match step {
                Step::Reserve { who, worst } => {
                    held.extend(ledger.reserve(key(["a", "b", "c"][usize::from(who)]), MicroUsd(worst), now));
                }
                Step::End { which, sent, settle } if !held.is_empty() => {
                    let mut one: Reservation = held.swap_remove(which % held.len());
                    if sent { one.sent() }
                    if let Some(actual) = settle { let most = one.amount(); one.settle(MicroUsd(actual).min(most)) }
                }
                Step::End { .. } => {}
                Step::Wait { seconds } => now += jiff::SignedDuration::from_secs(seconds),
            }
            for (settled, reserved) in ledger.lock().totals() {
                prop_assert!(settled + reserved <= MicroUsd(150));
            }
            for who in ["a", "b", "c"] {
                prop_assert!(ledger.used_fraction("day", key(who), now).unwrap() <= 1.0);
            }
        }
        drop(held);
        prop_assert!(ledger.lock().totals().iter().all(|(_, reserved)| *reserved == MicroUsd::ZERO));
    }
}
