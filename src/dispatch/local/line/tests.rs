//! Who is next, and who makes room.

use proptest::prelude::*;

use super::*;
use crate::chat::Priority::{High, Low, Normal};

fn turn(tenant: &str, priority: Priority) -> Turn {
    Turn { tenant: tenant.into(), priority }
}

/// A line of these, numbered from 0.
fn line(all: &[(&str, Priority)]) -> Line<usize> {
    let mut line = Line::new();
    for (number, (tenant, priority)) in all.iter().enumerate() {
        assert_eq!(line.push(turn(tenant, *priority), number, all.len()), Ok(None));
    }
    line
}

/// All of a line, as they are taken while nobody holds anything.
fn order(mut line: Line<usize>) -> Vec<usize> {
    std::iter::from_fn(|| line.pop(|_| 0, None)).collect()
}

#[test]
fn the_highest_priority_goes_first_and_each_fourth_is_the_one_that_has_waited_longest() {
    let all = [("a", Low), ("a", Normal), ("b", High), ("a", High), ("a", High), ("a", High)];
    assert_eq!(order(line(&all)), [2, 3, 4, 0, 5, 1]);
}

#[test]
fn tenants_take_turns_and_of_one_whoever_came_first_is_next() {
    let all = [("a", Normal), ("a", Normal), ("a", Normal), ("b", Normal), ("c", Normal), ("b", Normal)];
    // The fourth is the one that has waited longest, which is whose turn it is anyway.
    assert_eq!(order(line(&all)), [0, 3, 4, 1, 5, 2]);
}

#[test]
fn a_tenant_whose_jobs_hold_sequences_comes_behind_one_that_holds_fewer() {
    let mut line = line(&[("a", Normal), ("a", Normal), ("b", Normal), ("c", Normal)]);
    let held = |tenant: &str| usize::from(tenant == "a") * 2 + usize::from(tenant == "b");
    assert_eq!([line.pop(held, None), line.pop(held, None), line.pop(held, None)], [Some(3), Some(2), Some(0)]);
}

#[test]
fn who_comes_again_and_again_does_not_pass_those_that_wait() {
    let mut line = line(&[("b", Normal), ("a", Normal), ("a", Normal), ("a", Normal)]);
    let taken: Vec<_> = (10..13)
        .map(|number| {
            let taken = line.pop(|_| 0, None);
            assert_eq!(line.push(turn("b", Normal), number, 4), Ok(None));
            taken
        })
        .collect();
    assert_eq!(taken, [Some(0), Some(1), Some(10)]);
}

#[test]
fn in_a_full_line_the_newest_of_who_has_most_makes_room_for_who_has_fewer() {
    let mut line = line(&[("a", Normal), ("a", Normal), ("a", Normal), ("b", Normal)]);
    assert_eq!(line.push(turn("a", Normal), 4, 4), Err(Full));
    assert_eq!(line.push(turn("b", Normal), 5, 4), Ok(Some(2)));
    assert_eq!(line.push(turn("b", Normal), 6, 4), Err(Full), "they would only change places");
    assert_eq!(line.push(turn("c", Normal), 7, 4), Ok(Some(5)));
    assert_eq!(line.push(turn("c", Normal), 8, 4), Err(Full));
    assert_eq!(order(line), [0, 3, 7, 1]);
}

#[test]
fn in_a_full_line_the_lowest_priority_makes_room_for_a_higher_one() {
    let mut line = line(&[("a", Low), ("b", Low), ("b", Low), ("a", High)]);
    assert_eq!(line.push(turn("c", Low), 4, 4), Ok(Some(2)), "of the same priority, the tenant with most");
    assert_eq!(line.push(turn("a", Normal), 5, 4), Ok(Some(4)));
    assert_eq!(line.push(turn("d", Low), 6, 4), Err(Full));
    assert_eq!(line.push(turn("a", High), 7, 4), Ok(Some(1)));
    assert_eq!(line.push(turn("a", High), 8, 4), Ok(Some(0)));
    assert_eq!(line.push(turn("a", High), 9, 4), Ok(Some(5)));
    assert_eq!(line.push(turn("a", High), 10, 4), Err(Full));
    assert_eq!(order(line), [3, 7, 8, 9]);
}

#[test]
fn whoever_leaves_leaves_its_turn_and_the_others_keep_theirs() {
    let mut line = line(&[("a", Normal), ("b", Normal), ("a", Normal), ("c", Low)]);
    assert_eq!(line.take_if(|number| *number < 2), [0, 1]);
    assert_eq!((line.len(), line.push(turn("b", Normal), 4, 4)), (2, Ok(None)));
    assert_eq!(order(line), [2, 4, 3]);
}

#[test]
fn what_has_begun_goes_first_unless_somebody_is_more_urgent_or_holds_less() {
    let begun = |priority, held| Some(Rank::new(priority, held));
    let mut line = line(&[("a", Normal), ("b", Normal), ("c", High), ("d", Low)]);
    let held = |tenant: &str| usize::from(tenant != "a");
    assert_eq!(line.pop(held, begun(Normal, 0)), Some(2));
    assert_eq!(line.pop(held, begun(Normal, 0)), None);
    assert_eq!(line.pop(held, begun(Normal, 1)), Some(0));
    assert_eq!(line.pop(held, begun(Low, 0)), Some(1));
    // Each fourth is the one that has waited longest, which is what has begun.
    assert_eq!(line.pop(|_| 0, begun(Low, 9)), None);
    assert_eq!(line.pop(|_| 0, begun(Low, 9)), Some(3));
}

#[test]
fn where_nobody_may_wait_nobody_does() {
    assert_eq!(Line::new().push(turn("a", High), 0, 0), Err(Full));
}

/// What happens to a line.
#[derive(Clone, Debug)]
enum Event {
    Push(usize, Priority),
    /// Somebody is taken while each tenant holds so many sequences.
    Pop([usize; TENANTS.len()]),
    /// Those leave whose number leaves this rest.
    Leave(usize),
}

const TENANTS: [&str; 4] = ["a", "b", "c", "d"];
const CAPACITY: usize = 9;

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        5 => (0..TENANTS.len(), prop::sample::select(Priority::ALL.to_vec())).prop_map(|(t, p)| Event::Push(t, p)),
        3 => prop::array::uniform4(0..3_usize).prop_map(Event::Pop),
        1 => (0..7_usize).prop_map(Event::Leave),
    ]
}

/// One that waits, as the test knows it.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    number: usize,
    tenant: usize,
    priority: Priority,
    /// How many may be taken before it.
    patience: usize,
}

/// What must hold of a newcomer that is refused, or pushes out `left`.
fn makes_room(
    waiting: &[Waiting],
    tenant: usize,
    priority: Priority,
    left: Option<Waiting>,
) -> Result<(), TestCaseError> {
    let count = |tenant: usize, priority: Priority| {
        waiting.iter().filter(|one| (one.tenant, one.priority) == (tenant, priority)).count()
    };
    let own = count(tenant, priority) + 1;
    let lowest = waiting.iter().map(|one| one.priority).min();
    let most = (0..TENANTS.len()).map(|tenant| count(tenant, lowest.unwrap_or_default())).max();
    match left {
        Some(left) => {
            prop_assert_eq!(Some(left.priority), lowest);
            let has = count(left.tenant, left.priority);
            prop_assert_eq!(Some(has), most);
            prop_assert!(left.priority < priority || left.priority == priority && has > own);
            let same = waiting.iter().filter(|one| (one.tenant, one.priority) == (left.tenant, left.priority));
            prop_assert_eq!(same.map(|one| one.number).max(), Some(left.number));
        }
        None => prop_assert!(lowest > Some(priority) || lowest == Some(priority) && most <= Some(own)),
    }
    Ok(())
}

/// What must hold of `taken`, which `by_turn` was so, or because it has waited longest.
fn is_next(waiting: &[Waiting], taken: Waiting, held: &[usize], by_turn: bool) -> Result<(), TestCaseError> {
    let first = |of: &dyn Fn(&Waiting) -> bool| waiting.iter().filter(|one| of(one)).map(|one| one.number).min();
    let same = |one: &Waiting| (one.tenant, one.priority) == (taken.tenant, taken.priority);
    prop_assert_eq!(first(&same), Some(taken.number), "of one tenant and priority, who came first");
    if !by_turn {
        prop_assert_eq!(first(&|_| true), Some(taken.number));
        return Ok(());
    }
    prop_assert_eq!(waiting.iter().map(|one| one.priority).max(), Some(taken.priority));
    let rivals = waiting.iter().filter(|one| one.priority == taken.priority);
    prop_assert_eq!(rivals.map(|one| held[one.tenant]).min(), Some(held[taken.tenant]));
    Ok(())
}

proptest! {
    #[test]
    fn nobody_is_lost_doubled_or_starved_and_each_is_taken_in_its_turn(events in prop::collection::vec(event(), 1..300)) {
        let mut line = Line::new();
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut taken_so_far = 0;
        for (number, event) in events.into_iter().enumerate() {
            match event {
                Event::Push(tenant, priority) => {
                    let pushed = line.push(turn(TENANTS[tenant], priority), number, CAPACITY);
                    if pushed == Ok(None) {
                        prop_assert!(waiting.len() < CAPACITY);
                    } else {
                        prop_assert_eq!(waiting.len(), CAPACITY);
                        let left = pushed.unwrap_or_default();
                        let left = left.and_then(|left| waiting.iter().find(|one| one.number == left).copied());
                        makes_room(&waiting, tenant, priority, left)?;
                        waiting.retain(|one| Some(one.number) != left.map(|left| left.number));
                    }
                    if pushed.is_ok() {
                        let patience = LONGEST as usize * (waiting.len() + 1);
                        waiting.push(Waiting { number, tenant, priority, patience });
                    }
                }
                Event::Pop(held) => {
                    let by_turn = taken_so_far % LONGEST != LONGEST - 1;
                    let tenant = |name: &str| TENANTS.iter().position(|tenant| *tenant == name).unwrap();
                    let taken = line.pop(|name| held[tenant(name)], None);
                    prop_assert_eq!(taken.is_none(), waiting.is_empty());
                    let Some(taken) = taken else { continue };
                    let at = waiting.iter().position(|one| one.number == taken).expect("who is taken has waited");
                    is_next(&waiting, waiting[at], &held, by_turn)?;
                    waiting.remove(at);
                    taken_so_far += 1;
                    for one in &mut waiting {
                        one.patience -= 1;
                        prop_assert!(one.patience > 0, "{one:?} has waited too long");
                    }
                }
                Event::Leave(rest) => {
                    let mut left = line.take_if(|number| number % 7 == rest);
                    left.sort_unstable();
                    let leaves = |one: &Waiting| one.number % 7 == rest;
                    let expected: Vec<_> = waiting.iter().filter(|one| leaves(one)).map(|one| one.number).collect();
                    prop_assert_eq!(left, expected);
                    waiting.retain(|one| !leaves(one));
                }
            }
            prop_assert_eq!(line.len(), waiting.len());
        }
    }

    #[test]
    fn nobody_has_a_second_turn_before_each_that_waits_and_holds_as_little_has_had_one(
        mut tenants in prop::collection::vec(0..TENANTS.len(), 2..40),
    ) {
        let mut line = Line::new();
        for (number, tenant) in tenants.iter().enumerate() {
            prop_assert_eq!(line.push(turn(TENANTS[*tenant], Normal), number, usize::MAX), Ok(None));
        }
        // Who had a turn since each tenant had one.
        let mut since = [[true; TENANTS.len()]; TENANTS.len()];
        for taken in 0..tenants.len() {
            let number = line.pop(|_| 0, None).expect("as many as came");
            let tenant = std::mem::replace(&mut tenants[number], usize::MAX);
            if taken as u64 % LONGEST != LONGEST - 1 {
                let waits = |other: &usize| *other != tenant && tenants.contains(other);
                prop_assert!((0..TENANTS.len()).filter(waits).all(|other| since[tenant][other]), "{tenants:?}");
            }
            since[tenant] = [false; TENANTS.len()];
            since.iter_mut().for_each(|had| had[tenant] = true);
        }
    }
}
