//! How sure the model was of its answers.

use super::choices::collect_all;
use super::*;

/// What is noted of `job`, which runs alone, in the end.
async fn noted(engine: &Engine, job: Job) -> Option<Confidence> {
    let notes = Notes::default();
    collect_all(2, engine.generate_noting(job, notes.clone()).unwrap()).await;
    notes.confidence()
}

#[tokio::test]
async fn an_answer_comes_with_how_sure_the_model_was_of_its_first_token_and_on_average() {
    let (engine, permit) = engine();
    drop(permit);
    let first = Certainty { logprob: -4.0, entropy: 8.0, margin: 0.25 };
    let sure = Confidence { first, mean_logprob: -5.0, mean_entropy: 10.0 };
    assert_eq!(noted(&engine, job("abcd", 3)).await, Some(sure));
}

#[tokio::test]
async fn an_answer_without_a_token_or_without_an_end_comes_without() {
    let (engine, permit) = engine();
    drop(permit);
    assert_eq!(noted(&engine, job("!!!!", 3)).await, None);
    // It says one token, and fails at the next.
    assert_eq!(noted(&engine, job("abb?b", 3)).await, None);
}

#[tokio::test]
async fn the_choices_of_a_job_count_together() {
    let (engine, permit) = engine();
    drop(permit);
    let plain = job("abcd", 2);
    let sampling = Sampling { n: Some(2), ..Sampling::default() };
    let twice = Job { request: Arc::new(ChatRequest { sampling, ..(*plain.request).clone() }), ..plain };
    let first = Certainty { logprob: -4.0, entropy: 8.0, margin: 0.25 };
    // Both begin behind four tokens, and go on behind the two that both have said.
    let sure = Confidence { first, mean_logprob: -5.0, mean_entropy: 10.0 };
    assert_eq!(noted(&engine, twice).await, Some(sure));
}
