//! Nobody stays in a slot without getting on.

use proptest::prelude::*;

use super::{Limits, STAY, Schedule, Slot, TURNS, Work};

const SLOTS: usize = 4;
const LIMITS: Limits = Limits { piece: 4, step: 4, gap: 4, overhead: 1 };
const ADAPTERS: usize = 2;
/// After so many steps whoever could get on has: in one of `TURNS` steps prompts take turns, adapters take theirs, and
/// every other step is for those that generate.
const PATIENCE: usize = 2 * TURNS * SLOTS * (ADAPTERS * STAY + 1);

/// What happens before a step.
#[derive(Clone, Debug)]
enum Event {
    /// A sequence with so many tokens of prompt, computed by an adapter.
    Admit(usize, usize),
    /// A sequence that waits for another's beginning.
    Wait(usize, usize),
    /// A further choice of whoever computes its prompt there.
    Follow(usize),
    Release(usize),
}

fn event() -> impl Strategy<Value = Option<Event>> {
    let event = prop_oneof![
        4 => (1..60_usize, 0..ADAPTERS).prop_map(|(total, adapter)| Event::Admit(total, adapter)),
        1 => (0..SLOTS, 1..60_usize).prop_map(|(leader, until)| Event::Wait(leader, until)),
        1 => (0..SLOTS).prop_map(Event::Follow),
        2 => (0..SLOTS).prop_map(Event::Release),
    ];
    prop::option::of(event)
}

fn apply(schedule: &mut Schedule, event: &Event) {
    let free = schedule.free().first().copied();
    match (event, free) {
        (Event::Release(slot), _) => schedule.release(*slot),
        (Event::Admit(total, adapter), Some(slot)) => {
            schedule.assign(slot, *adapter);
            schedule.admit(slot, 0, *total);
        }
        (Event::Wait(leader, until), Some(slot)) if schedule.reads(*leader) => {
            schedule.assign(slot, schedule.adapters[*leader]);
            schedule.wait(slot, *leader, *until);
        }
        (Event::Follow(leader), Some(slot)) if schedule.leads(*leader) => {
            schedule.assign(slot, schedule.adapters[*leader]);
            schedule.follow(slot, *leader);
        }
        _ => {}
    }
}

/// Whom `slot` waits for, over as many as wait for each other; itself where it waits for nobody.
fn works_for(schedule: &Schedule, slot: usize) -> usize {
    match schedule.slots[slot] {
        Slot::Wait { leader, .. } | Slot::Follow { leader } => works_for(schedule, leader),
        Slot::Free | Slot::Prompt { .. } | Slot::Generate => slot,
    }
}

/// One round as the worker does it: who has waited long enough begins, then a step. The slots that worked in it.
fn round(schedule: &mut Schedule, ready: &[bool]) -> Vec<usize> {
    for slot in schedule.due() {
        schedule.admit(slot, 0, 7);
    }
    let step = schedule.plan(|slot| ready[slot]);
    schedule.advance(&step);
    for work in &step {
        if let Work::Prompt { slot, last: true, .. } = work {
            schedule.followers(*slot).into_iter().for_each(|follower| schedule.join(follower));
        }
    }
    step.iter().map(Work::slot).collect()
}

proptest! {
    #[test]
    fn whoever_is_in_a_slot_and_could_get_on_does_so_soon_or_whom_it_waits_for_does(
        rounds in prop::collection::vec((event(), prop::array::uniform4(prop::bool::weighted(0.9))), 1..400),
    ) {
        let mut schedule = Schedule::new(SLOTS, LIMITS);
        let mut idle = [0; SLOTS];
        for (event, ready) in rounds {
            event.iter().for_each(|event| apply(&mut schedule, event));
            let leaders: Vec<usize> = (0..SLOTS).map(|slot| works_for(&schedule, slot)).collect();
            let worked = round(&mut schedule, &ready);
            for slot in 0..SLOTS {
                let leader = leaders[slot];
                let could = schedule.slots[slot] != Slot::Free && ready[leader];
                let did = worked.contains(&leader) || worked.contains(&slot);
                idle[slot] = if could && !did { idle[slot] + 1 } else { 0 };
                prop_assert!(idle[slot] <= PATIENCE, "slot {slot} of {:?}", schedule.slots);
            }
        }
    }
}

/// Short prompts by one adapter keep coming beside a long one, and another adapter has the turns in between.
#[test]
fn a_long_prompt_comes_to_its_end_beside_short_ones_and_another_adapter() {
    let mut schedule = Schedule::new(SLOTS, LIMITS);
    for (slot, adapter) in [(0, 0), (1, 0), (3, 1)] {
        schedule.assign(slot, adapter);
    }
    schedule.admit(1, 0, 40);
    let mut steps = 0;
    while schedule.reads(1) {
        for slot in [0, 3] {
            if !schedule.reads(slot) {
                schedule.admit(slot, 0, 4);
            }
        }
        round(&mut schedule, &[true; SLOTS]);
        steps += 1;
        assert!(steps <= 10 * PATIENCE, "{schedule:?}");
    }
}
