//! Who makes room for whom: models that are loaded on demand and idle go when another one needs their memory.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use super::life::{Shared, State};

/// All engines of this process that may make room: they share one memory.
static RESIDENTS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

/// How long one that was asked to leave is waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often it is looked after.
const GLANCE: Duration = Duration::from_millis(2);

/// Adds one.
pub(super) fn add(shared: &Arc<Shared>) {
    let mut all = RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner);
    all.retain(|one| one.strong_count() > 0);
    all.push(Arc::downgrade(shared));
}

/// Has idle models leave, the one that was not used for longest first, until `needed` bytes are `available`; nobody leaves where
/// that would not do. Blocking.
#[cfg(feature = "llama")]
pub(super) fn make_room(needed: u64, available: impl Fn() -> u64) {
    let all = RESIDENTS.lock().unwrap_or_else(PoisonError::into_inner).clone();
    ask(all.iter().filter_map(Weak::upgrade).collect(), needed, available);
}

fn ask(all: Vec<Arc<Shared>>, needed: u64, available: impl Fn() -> u64) {
    let lacks = needed.saturating_sub(available());
    let idle = all.into_iter().filter_map(|one| Some((one.spare_for()?, one)));
    let mut idle: Vec<_> = idle.map(|(idle, one)| (idle, one.gauges.bytes.load(Relaxed), one)).collect();
    idle.sort_by_key(|(idle, ..)| std::cmp::Reverse(*idle));
    let sizes: Vec<u64> = idle.iter().map(|(_, bytes, _)| *bytes).collect();
    let Some(count) = enough(&sizes, lacks) else { return };
    let leaving: Vec<_> = idle.into_iter().take(count).map(|(.., one)| one).collect();
    for one in &leaving {
        tracing::info!(engine = one.name, "An idle local engine makes room for another.");
        one.ask_to_leave();
    }
    let until = Instant::now() + PATIENCE;
    while leaving.iter().any(|one| *one.state.borrow() == State::Ready) && Instant::now() < until {
        thread::sleep(GLANCE);
    }
}

/// How many of the first of `sizes` make up for what `lacks`; `None` where all do not.
fn enough(sizes: &[u64], lacks: u64) -> Option<usize> {
    let mut sum = 0_u64;
    let sums = std::iter::once(0).chain(sizes.iter().map(|size| {
        sum = sum.saturating_add(*size);
        sum
    }));
    sums.enumerate().find(|(_, sum)| *sum >= lacks).map(|(count, _)| count)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;
    use crate::dispatch::local::Load;
    use crate::dispatch::local::life;

    #[test]
    fn no_more_leave_than_must_and_none_where_all_are_too_little() {
        assert_eq!([0, 1, 5, 6, 7].map(|lacks| enough(&[5, 1], lacks)), [Some(0), Some(1), Some(1), Some(2), None]);
    }

    /// A model of five bytes that is loaded, not used, and takes from `free`.
    fn resident(free: &Arc<AtomicU64>, load: Load) -> Arc<Shared> {
        let free = Arc::clone(free);
        let shared = Arc::new(Shared::new("resident".to_owned(), load, move |shared| {
            free.fetch_sub(5, Relaxed);
            shared.gauges.bytes.store(5, Relaxed);
            shared.note_ready();
            while !shared.queue.is_closed() && shared.sleep(shared.queue.epoch()) {}
            free.fetch_add(5, Relaxed);
            Ok(())
        }));
        life::wake(&shared);
        while *shared.state.borrow() != State::Ready {
            thread::sleep(GLANCE);
        }
        shared
    }

    #[test]
    fn the_idle_one_that_was_not_used_for_longest_makes_room_and_one_that_is_to_stay_stays() {
        let free = Arc::new(AtomicU64::new(16));
        let on_demand = Load::OnDemand { idle: None };
        let all = [Load::Start, on_demand, on_demand].map(|load| resident(&free, load));
        all[1].note_used();
        let states = || all.each_ref().map(|one| one.state.borrow().told().name());
        let ask = |needed| ask(all.to_vec(), needed, || free.load(Relaxed));
        ask(12);
        assert_eq!((states(), free.load(Relaxed)), (["ready"; 3], 1), "nobody leaves in vain");
        ask(1);
        assert_eq!(states(), ["ready"; 3]);
        ask(6);
        assert_eq!((states(), free.load(Relaxed)), (["ready", "ready", "unloaded"], 6));
        // One that is at work does not leave.
        all[1].gauges.busy_slots.store(1, Relaxed);
        ask(11);
        assert_eq!(states(), ["ready", "ready", "unloaded"]);
        all.iter().for_each(|one| life::stop(one));
    }
}
