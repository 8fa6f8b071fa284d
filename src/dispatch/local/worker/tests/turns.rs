//! Who gets a sequence, and who is sent away.

use futures_util::future::join_all;

use super::*;

/// A job of `tenant` that takes one step.
fn job_of(tenant: &str, priority: Priority) -> Job {
    let sharing = Sharing { tenant: tenant.into(), class: "public".into() };
    Job { sharing, priority, ..job("abc", 1) }
}

/// An engine whose sequences are all held by jobs that go on until the permit is dropped.
struct Busy {
    engine: Engine,
    permit: std_mpsc::Sender<()>,
    held: Vec<Generation>,
    begun: Begun,
}

async fn busy(tenant: &str, queue: usize) -> Busy {
    let (permit, permits) = std_mpsc::channel();
    let (shared, _, begun) = scripted(permits, PREFIX_CACHE);
    let engine = Engine::of(shared, SLOTS, queue, Vec::new());
    let mut held = Vec::new();
    for slot in 0..SLOTS {
        held.push(engine.generate(Job { max_output: 9, ..job_of(tenant, Priority::Normal) }).unwrap());
        if slot > 0 {
            // Whoever comes during a step begins behind it.
            permit.send(()).unwrap();
        }
        until(&engine, |e| e.facts().free_slots == SLOTS - slot - 1).await;
    }
    Busy { engine, permit, held, begun }
}

/// In which order `jobs`, which wait together, begin.
async fn order(busy: Busy, jobs: &[(&str, Priority)]) -> Vec<usize> {
    let Busy { engine, permit, held, begun } = busy;
    let waiting = jobs.iter().enumerate().map(|(number, (tenant, priority))| {
        let request = job(&number.to_string(), 1).request;
        engine.generate(Job { request, ..job_of(tenant, *priority) }).unwrap()
    });
    let waiting: Vec<_> = waiting.collect();
    drop(permit);
    join_all(waiting.into_iter().chain(held).map(collect)).await;
    let begun = begun.lock().unwrap();
    begun.iter().filter_map(|prompt| prompt.parse().ok()).collect()
}

#[tokio::test]
async fn the_more_urgent_begin_first_and_tenants_take_turns() {
    let busy = busy("x", 8).await;
    let jobs = [
        ("a", Priority::Normal),
        ("a", Priority::Normal),
        ("b", Priority::Low),
        ("b", Priority::Normal),
        ("b", Priority::High),
    ];
    // The second, which is the fourth of all, is the one that has waited longest.
    assert_eq!(order(busy, &jobs).await, [4, 0, 3, 1, 2]);
}

#[tokio::test]
async fn whoever_holds_sequences_comes_behind_whoever_holds_none() {
    let mut busy = busy("a", 8).await;
    drop(busy.held.pop());
    let jobs = [("a", Priority::Normal), ("b", Priority::Normal)];
    assert_eq!(order(busy, &jobs).await, [1, 0]);
}

#[tokio::test]
async fn in_a_full_queue_one_makes_room_for_a_tenant_that_has_none_there() {
    let Busy { engine, permit, held: _held, .. } = busy("a", QUEUE).await;
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
    until(&engine, |e| e.facts().free_slots < SLOTS).await;
    tokio::time::sleep_until(deadline.into()).await;
    drop(permit);
    for end in join_all(taken.into_iter().map(collect)).await {
        assert_eq!(end.3, Some(EngineError::Deadline));
    }
    until(&engine, |e| e.facts().free_slots == SLOTS && e.facts().queue == 0).await;
    assert!(computed.load(Relaxed) <= 8, "only the step that was under way: {computed:?} tokens");
}
