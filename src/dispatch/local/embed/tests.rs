//! The loop with a scripted model.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use super::*;
use crate::chat::{Priority, Text};
use crate::dispatch::local::engine::Engine;
use crate::dispatch::local::life::tests::once;
use crate::dispatch::local::watchdog::Bounds;
use crate::dispatch::local::{EngineState, Job as AnswerJob, Notes, Sharing, Turn};

/// A model whose tokens are bytes and whose vectors are (length, first byte); `#` fails. It notes its batches, and waits
/// for a permit of the test before each.
struct Bytes {
    permits: mpsc::Receiver<()>,
    batches: Arc<Mutex<Vec<Vec<String>>>>,
}

impl Embedder for Bytes {
    fn tokens(&self, text: &str) -> Result<Vec<Token>, u64> {
        Ok(text.bytes().map(Token::from).collect())
    }

    fn compute(&mut self, texts: &[&[Token]]) -> Result<Vec<Vec<f32>>, EngineError> {
        // A test that has dropped its end lets the model run freely.
        let _ = self.permits.recv();
        let text = |tokens: &&[Token]| tokens.iter().map(|&token| token as u8 as char).collect::<String>();
        self.batches.lock().unwrap().push(texts.iter().map(text).collect());
        if texts.iter().any(|text| text.contains(&Token::from(b'#'))) {
            return Err(EngineError::Decode("scripted".to_owned()));
        }
        Ok(texts.iter().map(|text| vec![text.len() as f32, text[0] as f32]).collect())
    }
}

struct Rig {
    engine: Engine,
    permit: mpsc::Sender<()>,
    batches: Arc<Mutex<Vec<Vec<String>>>>,
}

fn rig() -> Rig {
    let ((permit, permits), batches) = (mpsc::channel(), Arc::<Mutex<Vec<Vec<String>>>>::default());
    let model = Bytes { permits, batches: batches.clone() };
    let shared = once("bytes", move |shared| {
        run(model, shared, 2, Batch { texts: 4, tokens: 10, longest: 8 });
        Ok(())
    });
    let engine = Engine::of(shared, 2, 8, Vec::new());
    Rig { engine, permit, batches }
}

/// One that needs no permits.
fn free_rig() -> Rig {
    Rig { permit: mpsc::channel().0, ..rig() }
}

fn turn(tenant: &str) -> Turn {
    Turn { tenant: tenant.into(), priority: Priority::default() }
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

async fn embed(engine: &Engine, texts: &[&str]) -> Result<Embeddings, EngineError> {
    engine.embed(texts.iter().map(|text| Text::new((*text).to_owned())).collect(), turn("a"), soon()).await
}

/// Waits until the engine's thread has brought about what `holds` looks for.
async fn until(holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn vectors_come_in_the_order_of_their_texts_with_length_1_and_tokens_are_counted() {
    let rig = free_rig();
    let embeddings = embed(&rig.engine, &["a", "bb", "ccc", "dddd", "eeeee", "f"]).await.unwrap();
    assert_eq!(embeddings.tokens, 16);
    let expected = [("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0), ("e", 5.0), ("f", 1.0)];
    for (vector, (letter, length)) in embeddings.vectors.iter().zip(expected) {
        assert!((vector[0] * f32::from(letter.as_bytes()[0]) - vector[1] * length).abs() < 1e-3, "{vector:?}");
        assert!((vector[0].hypot(vector[1]) - 1.0).abs() < 1e-6, "{vector:?}");
    }
    let batches = rig.batches.lock().unwrap();
    assert_eq!(*batches, [vec!["a", "bb", "ccc", "dddd"], vec!["eeeee", "f"]]);
}

#[tokio::test]
async fn how_long_a_list_waited_is_noted_once_it_has_begun() {
    let (rig, notes) = (rig(), Notes::default());
    let engine = rig.engine.clone();
    let first = tokio::spawn(async move { embed(&engine, &["a"]).await });
    until(|| rig.engine.facts().free_slots == 1).await;
    let (engine, noting) = (rig.engine.clone(), notes.clone());
    let second = tokio::spawn(async move { engine.embed_noting(vec!["b".into()], turn("a"), soon(), noting).await });
    until(|| rig.engine.facts().queue == 1).await;
    assert_eq!(notes.waited(), None);
    drop(rig.permit);
    assert!(first.await.unwrap().is_ok() && second.await.unwrap().is_ok());
    assert!(notes.waited().is_some());
}

#[tokio::test]
async fn what_is_too_long_or_empty_is_refused_by_its_number_and_the_next_job_goes_on() {
    let rig = free_rig();
    let too_long = EngineError::InputTooLong { index: 1, tokens: 9, limit: 8 };
    assert_eq!(embed(&rig.engine, &["a", "123456789", "b"]).await, Err(too_long));
    assert_eq!(embed(&rig.engine, &["", "b"]).await, Err(EngineError::InputEmpty { index: 0 }));
    assert_eq!(embed(&rig.engine, &["b"]).await.unwrap().tokens, 1);
}

#[tokio::test]
async fn a_long_list_lets_a_short_one_pass_and_one_that_has_left_is_computed_no_further() {
    let rig = rig();
    let engine = rig.engine.clone();
    let long = tokio::spawn(async move { embed(&engine, &["aaaaaaaa"; 40]).await });
    rig.permit.send(()).unwrap();
    until(|| rig.batches.lock().unwrap().len() == 1).await;
    let engine = rig.engine.clone();
    let short = tokio::spawn(async move { embed(&engine, &["b", "c"]).await });
    until(|| rig.engine.facts().queue == 1 || rig.engine.facts().free_slots == 0).await;
    drop(rig.permit);
    assert_eq!(short.await.unwrap().unwrap().tokens, 2);
    long.abort();
    until(|| rig.engine.facts().free_slots == 2).await;
    let batches = rig.batches.lock().unwrap();
    assert!(batches.len() < 41, "{} batches", batches.len());
    assert!(batches.iter().take(4).any(|batch| batch.iter().any(|text| text == "c")), "{batches:?}");
}

#[tokio::test]
async fn a_deadline_a_failure_and_a_shutdown_end_jobs_and_give_their_places_back() {
    let rig = rig();
    let engine = rig.engine.clone();
    let first = tokio::spawn(async move { embed(&engine, &["aaaaaaaa", "aaaaaaaa"]).await });
    until(|| rig.engine.facts().free_slots == 1).await;
    let engine = rig.engine.clone();
    let late =
        tokio::spawn(async move { engine.embed(vec![Text::new("b".to_owned())], turn("a"), Instant::now()).await });
    drop(rig.permit);
    assert_eq!(late.await.unwrap(), Err(EngineError::Deadline));
    assert!(first.await.unwrap().is_ok());
    assert_eq!(embed(&rig.engine, &["a", "#"]).await, Err(EngineError::Decode("scripted".to_owned())));
    until(|| rig.engine.facts().free_slots == 2).await;
    rig.engine.shutdown();
    rig.engine.stopped().await;
    assert_eq!(rig.engine.facts().state, EngineState::Stopped);
    assert_eq!(embed(&rig.engine, &["a"]).await, Err(EngineError::Stopped));
}

#[tokio::test]
async fn a_model_of_vectors_refuses_to_answer() {
    let rig = rig();
    let request = Arc::default();
    let sharing = Sharing { tenant: "a".into(), class: "public".into() };
    let mut answer = rig
        .engine
        .generate(AnswerJob { request, max_output: 4, deadline: soon(), sharing, priority: Priority::default() })
        .unwrap();
    let refusal = futures_util::StreamExt::next(&mut answer).await;
    assert!(matches!(refusal, Some(Err(EngineError::Unsupported(_)))), "{refusal:?}");
}

#[tokio::test]
async fn a_batch_that_does_not_end_is_told_to_whoever_waits_for_vectors() {
    let ((permit, permits), batches) = (mpsc::channel(), Arc::default());
    let model = Bytes { permits, batches };
    let shared = once("bytes", move |shared| {
        run(model, shared, 2, Batch { texts: 4, tokens: 10, longest: 8 });
        Ok(())
    });
    let bound = Duration::from_millis(150);
    let engine = Engine::of(shared.watched(Bounds { least: bound, most: bound }), 2, 8, Vec::new());
    assert_eq!(embed(&engine, &["a"]).await, Err(EngineError::Stuck));
    drop(permit);
    until(|| engine.facts().state == EngineState::Ready).await;
    assert_eq!(embed(&engine, &["a"]).await.unwrap().tokens, 1);
}
