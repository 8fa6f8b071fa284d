//! What steps contain.

use proptest::prelude::*;

use super::{Limits, Schedule, Work};

const LIMITS: Limits = Limits { piece: 4, step: 8, gap: 8, overhead: 1 };

/// What is expected of a sequence that computes nothing yet.
const WAITS: (usize, usize) = (0, usize::MAX);

fn prompt(slot: usize, range: std::ops::Range<usize>, last: bool) -> Work {
    Work::Prompt { slot, range, last }
}

#[test]
fn a_long_prompt_is_cut_and_does_not_keep_others_from_generating() {
    let mut schedule = Schedule::new(2, LIMITS);
    schedule.admit(0, 0, 2);
    schedule.admit(1, 0, 9);
    let (one, both) = (Work::Next { slot: 0 }, vec![Work::Next { slot: 0 }, Work::Next { slot: 1 }]);
    for expected in [
        vec![prompt(0, 0..2, true)],
        vec![one.clone()],
        vec![prompt(1, 0..4, false)],
        vec![one.clone()],
        vec![prompt(1, 4..8, false)],
        vec![one],
        vec![prompt(1, 8..9, true)],
        both,
    ] {
        let step = schedule.plan(|_| true);
        assert_eq!(step, expected);
        schedule.advance(&step);
    }
}

#[test]
fn where_several_prompts_wait_more_of_them_is_computed_between_two_tokens() {
    let mut schedule = Schedule::new(3, LIMITS);
    schedule.admit(0, 0, 1);
    next(&mut schedule, 2);
    schedule.admit(1, 0, 8);
    schedule.admit(2, 0, 9);
    // Two pieces, as long as both wait.
    assert_eq!(next(&mut schedule, 7), [vec![1], vec![1], vec![0, 1], vec![2], vec![0, 1], vec![2], vec![0, 1]]);
}

#[test]
fn where_several_wait_as_many_are_computed_together_as_a_step_holds() {
    let mut schedule = Schedule::new(16, LIMITS);
    (0..16).for_each(|slot| schedule.admit(slot, 0, 4));
    assert_eq!(next(&mut schedule, 2), [vec![0, 1], vec![0, 1]]);
    let mut two = Schedule::new(2, LIMITS);
    (0..2).for_each(|slot| two.admit(slot, 0, 2));
    assert_eq!(next(&mut two, 2), [vec![0, 1], vec![0, 1]]);
}

#[test]
fn prompts_that_are_all_but_known_do_not_wait_for_longer_ones() {
    let mut schedule = Schedule::new(6, LIMITS);
    for (slot, done) in [3, 3, 3, 3, 0, 0].into_iter().enumerate() {
        schedule.admit(slot, done, 4);
    }
    // A fifth would delay four first tokens by four tokens each, and save six that wait a step that is worth one.
    assert_eq!(next(&mut schedule, 2), [vec![0, 1, 2, 3], vec![4]]);
}

#[test]
fn a_long_prompt_is_computed_along_with_those_that_end_but_not_with_another_long_one() {
    let mut schedule = Schedule::new(4, LIMITS);
    for (slot, total) in [1, 9, 9, 9].into_iter().enumerate() {
        schedule.admit(slot, 0, total);
    }
    assert_eq!(schedule.plan(|_| true), [prompt(0, 0..1, true), prompt(1, 0..4, false)]);
    assert_eq!(next(&mut schedule, 4), [vec![0, 1], vec![0], vec![1], vec![1]]);
}

/// Whom the next steps compute.
fn next(schedule: &mut Schedule, steps: usize) -> Vec<Vec<usize>> {
    let step = |_| {
        let step = schedule.plan(|_| true);
        schedule.advance(&step);
        step.iter().map(Work::slot).collect()
    };
    (0..steps).map(step).collect()
}

#[test]
fn the_prompt_nearest_to_its_end_goes_first() {
    let mut schedule = Schedule::new(3, LIMITS);
    for (slot, total) in [20, 12, 16].into_iter().enumerate() {
        schedule.admit(slot, 0, total);
    }
    assert_eq!(next(&mut schedule, 3), [[1], [1], [1]]);
}

#[test]
fn a_long_prompt_comes_to_its_end_though_short_ones_keep_coming() {
    let mut schedule = Schedule::new(3, LIMITS);
    schedule.admit(0, 0, 40);
    let mut steps = 0;
    while schedule.reads(0) {
        for slot in 1..3 {
            if !schedule.reads(slot) {
                schedule.admit(slot, 0, 4);
            }
        }
        next(&mut schedule, 1);
        steps += 1;
    }
    assert!((10..=10 * 3 * super::TURNS).contains(&steps), "{steps} steps");
}

#[test]
fn in_each_fourth_step_prompts_take_turns() {
    let mut schedule = Schedule::new(3, LIMITS);
    (0..3).for_each(|slot| schedule.admit(slot, 0, 100));
    let turns: Vec<_> = next(&mut schedule, 12).into_iter().skip(3).step_by(4).collect();
    assert_eq!(turns, [[0], [1], [2]]);
}

#[test]
fn a_sequence_that_cannot_send_is_left_out_and_others_go_on() {
    let mut schedule = Schedule::new(2, LIMITS);
    (0..2).for_each(|slot| schedule.admit(slot, 0, 1));
    // It does not begin either: its first token could not be sent.
    assert_eq!(schedule.plan(|slot| slot != 0), [prompt(1, 0..1, true)]);
    next(&mut schedule, 3);
    assert_eq!(schedule.plan(|slot| slot != 0), [Work::Next { slot: 1 }]);
}

#[test]
fn a_prompt_goes_on_behind_what_is_kept_in_whole_pieces() {
    let mut schedule = Schedule::new(1, LIMITS);
    schedule.admit(0, 3, 12);
    for piece in [prompt(0, 3..7, false), prompt(0, 7..11, false), prompt(0, 11..12, true)] {
        let step = schedule.plan(|_| true);
        assert_eq!(step, [piece]);
        schedule.advance(&step);
    }
}

#[test]
fn one_that_waits_is_due_when_its_leader_has_done_enough_or_is_gone() {
    let mut schedule = Schedule::new(3, LIMITS);
    schedule.admit(0, 0, 100);
    schedule.wait(1, 0, 5);
    schedule.wait(2, 0, 90);
    assert_eq!((schedule.due(), schedule.busy()), (vec![], 3));
    for _ in 0..2 {
        let step = schedule.plan(|_| true);
        assert_eq!(step.len(), 1, "who waits computes nothing");
        schedule.advance(&step);
    }
    assert_eq!(schedule.due(), [1]);
    schedule.release(0);
    assert_eq!(schedule.due(), [1, 2]);
}

#[test]
fn one_that_follows_computes_nothing_and_begins_with_its_leader() {
    let mut schedule = Schedule::new(3, LIMITS);
    schedule.admit(0, 0, 5);
    schedule.follow(1, 0);
    schedule.follow(2, 0);
    for _ in 0..2 {
        let step = schedule.plan(|_| true);
        assert_eq!((step.len(), schedule.due()), (1, vec![]));
        schedule.advance(&step);
    }
    assert_eq!(schedule.followers(0), [1, 2]);
    schedule.join(1);
    assert_eq!(schedule.plan(|_| true), [Work::Next { slot: 0 }, Work::Next { slot: 1 }]);
    // Whoever has lost its leader computes by itself.
    schedule.release(0);
    assert_eq!((schedule.due(), schedule.followers(0)), (vec![2], vec![2]));
}

#[test]
fn sequences_stay_neighbours() {
    let mut schedule = Schedule::new(6, LIMITS);
    assert_eq!(schedule.free(), [0, 1, 2, 3, 4, 5]);
    schedule.admit(2, 0, 1);
    assert_eq!(schedule.free(), [1, 3]);
    schedule.admit(3, 0, 1);
    schedule.admit(4, 0, 1);
    schedule.release(3);
    assert_eq!(schedule.free(), [1, 3, 5]);
}

#[test]
fn adapters_take_turns_of_a_few_steps_and_one_alone_goes_on() {
    let mut schedule = Schedule::new(3, LIMITS);
    for (slot, adapter) in [(0, 0), (1, 2), (2, 0)] {
        schedule.assign(slot, adapter);
        schedule.admit(slot, 0, 1);
    }
    let alternating = [vec![vec![0, 2]; 4], vec![vec![1]; 4], vec![vec![0, 2]; 4]].concat();
    assert_eq!(next(&mut schedule, 12), alternating);
    schedule.release(1);
    assert_eq!(next(&mut schedule, 6), vec![vec![0, 2]; 6]);
}

/// What happens to a schedule from outside.
#[derive(Clone, Debug)]
enum Event {
    /// A sequence with so many tokens, of which a share is kept.
    Admit(usize, f64),
    /// A sequence that waits for another.
    Wait(usize, usize),
    Release(usize),
    Step(Vec<bool>),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        ((1..40_usize), 0.0..1.0).prop_map(|(total, kept)| Event::Admit(total, kept)),
        ((0..4_usize), 1..40_usize).prop_map(|(leader, until)| Event::Wait(leader, until)),
        (0..4_usize).prop_map(Event::Release),
        prop::collection::vec(any::<bool>(), 4).prop_map(Event::Step),
    ]
}

proptest! {
    #[test]
    fn every_step_keeps_its_bounds_and_prompts_are_computed_once_in_order(
        events in prop::collection::vec(event(), 1..200),
    ) {
        let mut schedule = Schedule::new(4, LIMITS);
        // What is expected of each taken slot: prompt tokens done and in all.
        let mut expected: [Option<(usize, usize)>; 4] = [None; 4];
        // Prompt tokens since somebody who could generate did.
        let mut gap = 0;
        for event in events {
            match event {
                Event::Admit(total, kept) => match schedule.free().first() {
                    Some(&slot) => {
                        let done = (kept * total as f64) as usize;
                        schedule.admit(slot, done, total);
                        prop_assert!(expected[slot].replace((done, total)).is_none());
                    }
                    None => prop_assert!(expected.iter().all(Option::is_some)),
                },
                Event::Wait(leader, until) if schedule.reads(leader) => {
                    if let Some(&slot) = schedule.free().first() {
                        schedule.wait(slot, leader, until);
                        prop_assert!(expected[slot].replace(WAITS).is_none());
                    }
                }
                Event::Wait(..) => {}
                Event::Release(slot) => {
                    schedule.release(slot);
                    expected[slot] = None;
                }
                Event::Step(ready) => {
                    for slot in schedule.due() {
                        prop_assert_eq!(expected[slot].replace((0, 7)), Some(WAITS));
                        schedule.admit(slot, 0, 7);
                    }
                    let step = schedule.plan(|slot| ready[slot]);
                    let mut spent = 0;
                    let mut next = [false; 4];
                    for work in &step {
                        let (done, total) = expected[work.slot()].expect("only taken slots work");
                        match work {
                            Work::Next { slot } => next[*slot] = true,
                            Work::Guess { .. } => prop_assert!(false, "nobody has wished for guesses"),
                            Work::Prompt { slot, range, last } => {
                                prop_assert_eq!(range.start, done);
                                prop_assert_eq!(*last, range.end == total);
                                prop_assert!(*last || range.len() == LIMITS.piece);
                                spent += range.len();
                                expected[*slot] = Some((range.end, total));
                            }
                        }
                    }
                    prop_assert!(spent <= LIMITS.step);
                    let could = |slot: &usize| {
                        expected[*slot].is_some_and(|(done, total)| done == total)
                            && !step.iter().any(|work| matches!(work, Work::Prompt { slot: at, .. } if at == slot))
                            && ready[*slot]
                    };
                    let could: Vec<usize> = (0..4).filter(could).collect();
                    let did: Vec<usize> = (0..4).filter(|&slot| next[slot]).collect();
                    if spent == 0 {
                        prop_assert_eq!(&did, &could, "all who can generate do so together");
                        gap = 0;
                    } else if !could.is_empty() {
                        prop_assert!(did.is_empty());
                        gap += spent;
                        prop_assert!(gap <= LIMITS.gap);
                    }
                    schedule.advance(&step);
                }
            }
            prop_assert_eq!(schedule.busy(), expected.iter().flatten().count());
        }
        (0..4).for_each(|slot| schedule.release(slot));
        prop_assert_eq!(schedule.busy(), 0);
        prop_assert!(schedule.plan(|_| true).is_empty());
    }

    #[test]
    fn guesses_stand_behind_what_they_follow_and_fit_into_a_step(
        totals in prop::collection::vec(1..20_usize, 1..8),
        steps in 0..6_usize,
        wishes in prop::collection::vec(0..12_usize, 8),
    ) {
        let mut schedule = Schedule::new(totals.len(), LIMITS);
        totals.iter().enumerate().for_each(|(slot, &total)| schedule.admit(slot, 0, total));
        next(&mut schedule, steps);
        let plain = schedule.plan(|_| true);
        let step = schedule.add_guesses(plain.clone(), |slot, left| wishes[slot].min(left));
        let mut tokens = 0;
        for (at, work) in step.iter().enumerate() {
            match work {
                Work::Prompt { range, .. } => tokens += range.len(),
                Work::Next { .. } => {}
                Work::Guess { slot, count } => {
                    prop_assert_eq!(&step[at - 1], &Work::Next { slot: *slot });
                    prop_assert!((1..=wishes[*slot]).contains(count));
                    tokens += count;
                }
            }
        }
        prop_assert!(tokens <= LIMITS.step);
        let without: Vec<_> = step.into_iter().filter(|work| !matches!(work, Work::Guess { .. })).collect();
        prop_assert_eq!(without, plain);
    }

    #[test]
    fn a_step_is_of_one_adapter_and_each_that_can_work_soon_does(
        adapters in prop::collection::vec(0..4_usize, 1..8),
        totals in prop::collection::vec(1..30_usize, 8),
        held in prop::collection::vec(prop::collection::vec(any::<bool>(), 8), 1..60),
    ) {
        let mut schedule = Schedule::new(adapters.len(), LIMITS);
        for (slot, &adapter) in adapters.iter().enumerate() {
            schedule.assign(slot, adapter);
            schedule.admit(slot, 0, totals[slot]);
        }
        let mut waited = [0; 4];
        for held in held {
            let step = schedule.plan(|slot| !held[slot]);
            let by = |work: &Work| adapters[work.slot()];
            prop_assert!(step.iter().all(|work| by(work) == schedule.adapter_of(&step)));
            for adapter in 0..4 {
                let could = (0..adapters.len()).any(|slot| adapters[slot] == adapter && !held[slot]);
                let does = step.first().map(by) == Some(adapter);
                waited[adapter] = if could && !does { waited[adapter] + 1 } else { 0 };
                prop_assert!(waited[adapter] <= 3 * super::STAY, "{waited:?}");
            }
            schedule.advance(&step);
        }
    }

    #[test]
    fn every_prompt_is_done_after_a_bounded_number_of_steps(totals in prop::collection::vec(1..60_usize, 1..8)) {
        let mut schedule = Schedule::new(totals.len(), LIMITS);
        totals.iter().enumerate().for_each(|(slot, &total)| schedule.admit(slot, 0, total));
        // A step in which prompts are computed has one piece or more, and of two that follow each other one is such a step.
        let pieces: usize = totals.iter().map(|total| total.div_ceil(LIMITS.piece)).sum();
        for _ in 0..2 * pieces {
            schedule.advance(&schedule.clone().plan(|_| true));
        }
        prop_assert_eq!(schedule.plan(|_| true).len(), totals.len());
        let all_generate = schedule.plan(|_| true).iter().all(|work| matches!(work, Work::Next { .. }));
        prop_assert!(all_generate);
    }
}
