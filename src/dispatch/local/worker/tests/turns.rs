//! Who gets a sequence, and who is sent away.

use futures_util::future::join_all;

use super::*;
use crate::dispatch::local::Notes;

/// A job of `tenant` that takes one step.
fn job_of(tenant: &str, priority: Priority) -> Job {
    let sharing = Sharing { tenant: tenant.into(), class: "public".into() };
    Job { sharing, priority, ..job("abc", 1) }
}

/// An engine whose sequences are all held by jobs of `tenant` that go on until the permit is dropped, and these.
async fn busy(tenant: &str, queue: usize) -> (Engine, std_mpsc::Sender<()>, Vec<Generation>) {
    let (permit, permits) = std_mpsc::channel();
    let engine = start(permits, queue);
    let mut held = Vec::new();
    for slot in 0..SLOTS {
        held.push(engine.generate(Job { max_output: 9, ..job_of(tenant, Priority::Normal) }).unwrap());
        if slot > 0 {
            // Whoever comes during a step begins behind it.
            permit.send(()).unwrap();
        }
        until(&engine, |e| e.facts().free_slots == SLOTS - slot - 1).await;
    }
    (engine, permit, held)
}

/// In which order `jobs`, which wait together, begin.
async fn order(engine: &Engine, permit: std_mpsc::Sender<()>, jobs: &[(&str, Priority)]) -> Vec<usize> {
    let waits: Vec<_> = jobs.iter().map(|_| Notes::default()).collect();
    let begun: Vec<_> = jobs
        .iter()
        .zip(&waits)
        .map(|((tenant, priority), waited)| {
            let arrived = Instant::now();
            (arrived, engine.generate_noting(job_of(tenant, *priority), waited.clone()).unwrap())
        })
        .collect();
    drop(permit);
    let (arrived, begun): (Vec<_>, Vec<_>) = begun.into_iter().unzip();
    join_all(begun.into_iter().map(collect)).await;
    let began = |at: &usize| arrived[*at] + waits[*at].waited().expect("all have begun");
    let mut order: Vec<usize> = (0..jobs.len()).collect();
    order.sort_by_key(began);
    order
}

#[tokio::test]
async fn the_more_urgent_begin_first_and_tenants_take_turns() {
    let (engine, permit, _held) = busy("x", 8).await;
    let jobs = [
        ("a", Priority::Normal),
        ("a", Priority::Normal),
        ("b", Priority::Low),
        ("b", Priority::Normal),
        ("b", Priority::High),
    ];
    // The fourth is the one that has waited longest.
    assert_eq!(order(&engine, permit, &jobs).await, [4, 0, 3, 1, 2]);
}

#[tokio::test]
async fn whoever_holds_sequences_comes_behind_whoever_holds_none() {
    let (engine, permit, mut held) = busy("a", 8).await;
    drop(held.pop());
    let jobs = [("a", Priority::Normal), ("b", Priority::Normal)];
    assert_eq!(order(&engine, permit, &jobs).await, [1, 0]);
}

#[tokio::test]
async fn in_a_full_queue_one_makes_room_for_a_tenant_that_has_none_there() {
    let (engine, permit, _held) = busy("a", QUEUE).await;
    let greedy: Vec<_> = (0..QUEUE).map(|_| engine.generate(job_of("a", Priority::Normal)).unwrap()).collect();
    assert!(matches!(engine.generate(job_of("a", Priority::Normal)), Err(EngineError::QueueFull { .. })));
    let other = engine.generate(job_of("b", Priority::Normal)).unwrap();
    assert_eq!(engine.facts().queue, QUEUE);
    drop(permit);
    let ends: Vec<_> = join_all(greedy.into_iter().map(collect)).await.into_iter().map(|answer| answer.3).collect();
    assert!(matches!(ends[..], [None, Some(EngineError::QueueFull { .. })]), "{ends:?}");
    assert_eq!(collect(other).await.0, "x");
}

#[tokio::test]
async fn of_a_burst_as_many_as_there_is_room_for_are_taken_and_the_others_told_at_once_and_none_begins_too_late() {
    let (permit, permits) = std_mpsc::channel();
    let (engine, computed) = counting(permits, 8, PREFIX_CACHE);
    let deadline = Instant::now() + Duration::from_millis(500);
    let burst = (0..200).map(|_| {
        let began = Instant::now();
        let taken = engine.generate(Job { deadline, ..job("abcdefgh", 4) });
        (taken, began.elapsed())
    });
    let (mut taken, mut slowest) = (Vec::new(), Duration::ZERO);
    for (answer, took) in burst {
        match answer {
            Ok(generation) => taken.push(generation),
            Err(EngineError::QueueFull { .. }) => slowest = slowest.max(took),
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(taken.len(), SLOTS + 8);
    assert!(slowest < Duration::from_millis(50), "{slowest:?}");
    until(&engine, |e| e.facts().free_slots == 0).await;
    tokio::time::sleep_until(deadline.into()).await;
    drop(permit);
    for end in join_all(taken.into_iter().map(collect)).await {
        assert_eq!(end.3, Some(EngineError::Deadline));
    }
    until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
    assert!(computed.load(Relaxed) <= 8, "only the step that was under way: {computed:?} tokens");
}
