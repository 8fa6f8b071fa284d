//! When a scripted model is loaded and when it goes.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};

use super::*;
use crate::chat::{Priority, Text};
use crate::dispatch::local::Turn;
use crate::dispatch::local::embed::{Batch, Embedder, run};
use crate::dispatch::local::engine::Engine;
use crate::dispatch::local::model::Token;

/// A model that is there from the start, loaded once.
pub(in crate::dispatch::local) fn once(
    name: &str,
    work: impl FnOnce(&Shared) -> Result<(), EngineError> + Send + 'static,
) -> Shared {
    let work = Mutex::new(Some(work));
    Shared::new(name.to_owned(), Load::Start, move |shared| {
        let work = work.lock().expect("nobody panics with it").take().expect("it is loaded once");
        work(shared)
    })
}

impl Shared {
    /// One that is looked after within these bounds.
    pub(in crate::dispatch::local) fn watched(self, bounds: Bounds) -> Self {
        Self { rounds: Rounds::new(bounds), ..self }
    }
}

/// Each text is a token, and its vector 1.
struct One;

impl Embedder for One {
    fn tokens(&self, _: &str) -> Result<Vec<Token>, u64> {
        Ok(vec![1])
    }

    fn compute(&mut self, texts: &[&[Token]]) -> Result<Vec<Vec<f32>>, EngineError> {
        Ok(vec![vec![1.0]; texts.len()])
    }
}

/// An engine that is loaded on demand, each time by a permit: whether it fits.
struct Rig {
    engine: Engine,
    permit: mpsc::Sender<bool>,
    loads: Arc<AtomicUsize>,
}

fn rig(idle: Option<Duration>) -> Rig {
    let ((permit, permits), loads) = (mpsc::channel(), Arc::<AtomicUsize>::default());
    let (permits, counted) = (Mutex::new(permits), loads.clone());
    let shared = Shared::new("one".to_owned(), Load::OnDemand { idle }, move |shared| {
        let fits = permits.lock().expect("nobody panics with it").recv().unwrap_or(false);
        counted.fetch_add(1, Relaxed);
        if !fits {
            return Err(EngineError::NoRoom { what: "too large".to_owned() });
        }
        run(One, shared, 2, Batch { texts: 4, tokens: 4, longest: 4 });
        Ok(())
    });
    Rig { engine: Engine::of(shared, 2, 4, Vec::new()), permit, loads }
}

fn in_a_minute() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn embed(engine: &Engine) -> Result<(), EngineError> {
    let turn = Turn { tenant: "a".into(), priority: Priority::default() };
    engine.embed(vec![Text::new("a".to_owned())], turn, in_a_minute()).await.map(|_| ())
}

async fn until_unloaded(engine: &Engine) {
    let deadline = in_a_minute();
    while engine.facts().state != EngineState::Unloaded {
        assert!(Instant::now() < deadline, "{:?}", engine.facts());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_model_on_demand_loads_for_the_first_that_asks_and_goes_when_it_was_idle_for_long() {
    let rig = rig(Some(Duration::from_millis(20)));
    assert_eq!((rig.engine.facts().state, rig.loads.load(Relaxed)), (EngineState::Unloaded, 0));
    for load in 1..=3 {
        rig.permit.send(true).unwrap();
        assert_eq!((embed(&rig.engine).await, rig.loads.load(Relaxed)), (Ok(()), load));
        until_unloaded(&rig.engine).await;
    }
    rig.engine.shutdown();
    rig.engine.stopped().await;
    assert_eq!(embed(&rig.engine).await, Err(EngineError::Stopped));
}

#[tokio::test]
async fn whoever_asks_while_it_loads_waits_and_is_told_when_it_will_not_be_in_time() {
    let rig = rig(None);
    let soon = || Instant::now() + Duration::from_millis(300);
    assert!(rig.engine.facts().on_demand, "it says so");
    let engine = rig.engine.clone();
    let first = tokio::spawn(async move { embed(&engine).await });
    while rig.engine.facts().state != EngineState::Loading {
        tokio::task::yield_now().await;
    }
    let told = rig.engine.ready_by(soon()).await;
    assert_eq!(told, Err(EngineError::Loading { retry_after: Duration::from_secs(1) }));
    rig.permit.send(true).unwrap();
    assert_eq!((rig.engine.ready_by(in_a_minute()).await, first.await.unwrap()), (Ok(()), Ok(())));
    assert_eq!(rig.loads.load(Relaxed), 1);
}

#[tokio::test]
async fn who_cannot_be_in_time_by_how_long_loading_took_is_told_at_once() {
    let rig = rig(Some(Duration::from_millis(1)));
    let engine = rig.engine.clone();
    let first = tokio::spawn(async move { embed(&engine).await });
    tokio::time::sleep(Duration::from_millis(1500)).await;
    rig.permit.send(true).unwrap();
    assert_eq!(first.await.unwrap(), Ok(()));
    until_unloaded(&rig.engine).await;
    let engine = rig.engine.clone();
    let _second = tokio::spawn(async move { embed(&engine).await });
    while rig.engine.facts().state != EngineState::Loading {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    let told = rig.engine.ready_by(began + Duration::from_secs(1)).await;
    assert!(matches!(told, Err(EngineError::Loading { .. })), "{told:?}");
    assert!(began.elapsed() < Duration::from_millis(500));
}

#[tokio::test]
async fn one_that_finds_no_room_says_so_and_tries_again_for_the_next() {
    let rig = rig(None);
    rig.permit.send(false).unwrap();
    assert_eq!(embed(&rig.engine).await, Err(EngineError::NoRoom { what: "too large".to_owned() }));
    until_unloaded(&rig.engine).await;
    rig.permit.send(true).unwrap();
    assert_eq!(embed(&rig.engine).await, Ok(()));
}

#[tokio::test]
async fn many_that_ask_while_it_comes_and_goes_are_all_answered() {
    let rig = rig(Some(Duration::ZERO));
    for _ in 0..400 {
        rig.permit.send(true).unwrap();
    }
    for round in 0..200_u32 {
        assert_eq!(embed(&rig.engine).await, Ok(()), "round {round}");
        if round % 3 == 0 {
            until_unloaded(&rig.engine).await;
        }
    }
}
