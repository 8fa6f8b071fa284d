//! A step that does not end.

use super::*;
use crate::dispatch::local::Turn;
use crate::dispatch::local::watchdog::Bounds;

/// A step that waits for no permit is done long before.
const BOUND: Duration = Duration::from_millis(150);

/// An engine that takes a step for each of `permits`, and is stuck where one takes longer than `bound`.
pub(crate) fn watched(permits: std_mpsc::Receiver<()>, bound: Duration) -> Engine {
    let shared = scripted(permits, PREFIX_CACHE).0;
    Engine::of(shared.watched(Bounds { least: bound, most: bound }), SLOTS, QUEUE, Vec::new())
}

#[tokio::test]
async fn a_step_that_does_not_end_ends_what_was_asked_and_once_it_does_the_engine_goes_on() {
    let (permit, permits) = std_mpsc::channel();
    let engine = watched(permits, BOUND);
    let asked: Vec<_> = (0..SLOTS + 1).map(|_| engine.generate(job("abc", 5)).unwrap()).collect();
    for generation in asked {
        assert_eq!(collect(generation).await.3, Some(EngineError::Stuck));
    }
    until(&engine, |e| e.facts().queue == 0).await;
    assert_eq!(engine.facts().state, EngineState::Stuck);
    assert_eq!(engine.generate(job("abc", 5)).err(), Some(EngineError::Stuck));
    let turn = Turn { tenant: "a".into(), priority: Priority::Normal };
    let soon = Instant::now() + Duration::from_secs(60);
    assert_eq!(engine.count(Arc::default(), turn, soon).await, Err(EngineError::Stuck));
    assert_eq!((engine.ready().await, engine.ready_by(soon).await), (Err(EngineError::Stuck), Err(EngineError::Stuck)));
    drop(permit);
    until(&engine, |e| e.facts().state == EngineState::Ready && e.facts().free_slots == SLOTS).await;
    assert_eq!(collect(engine.generate(job("abc", 5)).unwrap()).await.0, "xxxxx");
}

#[tokio::test]
async fn what_was_said_before_a_step_got_stuck_is_heard() {
    let (permit, permits) = std_mpsc::channel();
    let engine = watched(permits, BOUND);
    (0..2).for_each(|_| permit.send(()).unwrap());
    let generation = engine.generate(job("abc", 5)).unwrap();
    let (text, finish, _, error) = collect(generation).await;
    assert_eq!((text.as_str(), finish, error), ("xx", None, Some(EngineError::Stuck)));
}

#[tokio::test]
async fn who_has_nothing_to_do_or_waits_for_a_reader_is_not_stuck() {
    let bound = Duration::from_millis(400);
    let shared = scripted(std_mpsc::channel().1, PREFIX_CACHE).0.watched(Bounds { least: bound, most: bound });
    let mut states = shared.state.subscribe();
    let engine = Engine::of(shared, SLOTS, QUEUE, Vec::new());
    engine.ready().await.unwrap();
    states.mark_unchanged();
    tokio::time::sleep(2 * bound).await;
    let unread = engine.generate(job("a", 60)).unwrap();
    tokio::time::sleep(2 * bound).await;
    assert_eq!(engine.facts().free_slots, SLOTS - 1, "it waits for its reader");
    assert_eq!(collect(unread).await.0.len(), 60);
    assert!(!states.has_changed().unwrap());
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_step_that_does_not_end() {
    let (_permit, permits) = std_mpsc::channel();
    let engine = watched(permits, BOUND);
    let _asked = engine.generate(job("abc", 5)).unwrap();
    until(&engine, |e| e.facts().free_slots < SLOTS).await;
    engine.shutdown();
    engine.stopped().await;
    assert_eq!(engine.facts().state, EngineState::Stuck);
}
