//! Looking at what a real model makes of a prompt.

use super::*;
use crate::dispatch::local::{Look, Notes};

/// SmolLM2's.
const WIDTH: usize = 576;

async fn look(engine: &Engine, text: &str) -> Look {
    engine.look(job(text, 1, greedy())).await.expect("looked at")
}

fn cosine(a: &Look, b: &Look) -> f64 {
    let dot = |a: &Look, b: &Look| a.hidden.iter().zip(&b.hidden).map(|(a, b)| f64::from(a * b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test]
async fn a_look_tells_how_sure_the_first_token_of_an_answer_would_be() {
    let engine = engine().await;
    let text = "What is the capital of France?";
    let look = look(&engine, text).await;
    let notes = Notes::default();
    answer(engine.generate_noting(job(text, 1, greedy()), notes.clone()).unwrap()).await;
    let first = notes.confidence().unwrap().first;
    let pairs =
        [(look.first.logprob, first.logprob), (look.first.entropy, first.entropy), (look.first.margin, first.margin)];
    for (looked, answered) in pairs {
        // What is computed otherwise is rounded otherwise.
        assert!((looked - answered).abs() < 0.02, "{look:?} for {first:?}");
    }
}

#[tokio::test]
async fn the_hidden_state_is_as_wide_as_the_model_and_tells_prompts_apart() {
    let engine = engine().await;
    let (paris, again) =
        (look(&engine, "What is the capital of France?").await, look(&engine, "What is the capital of France?").await);
    assert_eq!(paris.hidden.len(), WIDTH);
    assert!(paris.hidden.iter().all(|number| number.is_finite()) && paris.hidden.iter().any(|number| *number != 0.0));
    assert!(cosine(&paris, &again) > 0.999, "{}", cosine(&paris, &again));
    let other = look(&engine, "Write a sorting function in Rust.").await;
    assert!(cosine(&paris, &other) < 0.99, "{}", cosine(&paris, &other));
}

#[tokio::test]
async fn it_is_the_same_in_another_slot_beside_others_and_behind_a_kept_beginning() {
    let engine = engine().await;
    let long = "Tell me, in a few words, what is the difference between a crab and a lobster. ".repeat(4);
    let alone = look(&engine, &long).await;
    let beside = engine.generate(job("Count to fifty.", 60, greedy())).unwrap();
    let (_, busy, shorter) = tokio::join!(answer(beside), look(&engine, &long), look(&engine, &long[..200]));
    assert!(cosine(&alone, &busy) > 0.999, "{}", cosine(&alone, &busy));
    assert!(cosine(&alone, &shorter) < 0.999, "{}", cosine(&alone, &shorter));
    let fresh = self::engine().await;
    assert!(cosine(&look(&fresh, &long).await, &alone) > 0.999);
}
