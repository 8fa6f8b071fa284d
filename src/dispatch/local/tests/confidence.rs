//! How sure a real model is.

use super::*;
use crate::chat::reply::{Confidence, TokenLogprob};
use crate::dispatch::local::Notes;

/// How sure it was of its answer, and the likelihoods that clients are told.
async fn asked(engine: &Engine, text: &str, sampling: Sampling) -> (Confidence, Vec<TokenLogprob>) {
    let notes = Notes::default();
    let sampling = Sampling { logprobs: Some(2), ..sampling };
    let generation = engine.generate_noting(job(text, 12, sampling), notes.clone()).expect("queued");
    let deltas: Vec<Delta> = generation.map(|reply| reply.expect("no error")).collect().await;
    let of = |delta: Delta| if let Delta::Text { logprobs, .. } = delta { logprobs } else { Vec::new() };
    let told = deltas.into_iter().flat_map(of).collect();
    (notes.confidence().expect("an answer has tokens"), told)
}

#[tokio::test]
async fn confidence_is_the_mean_of_the_likelihoods_that_clients_are_told() {
    let engine = engine().await;
    for text in ["What is the capital of France?", "Repeat: one two three one two three one two three"] {
        let (sure, told) = asked(&engine, text, greedy()).await;
        let logprobs: Vec<f64> = told.iter().map(|likely| f64::from(likely.token.logprob)).collect();
        let mean = logprobs.iter().sum::<f64>() / logprobs.len() as f64;
        assert!((sure.mean_logprob - mean).abs() < 1e-6, "{sure:?} for {mean}");
        assert!((sure.first.logprob - logprobs[0]).abs() < 1e-6, "{sure:?}");
        let [first, second] = [0, 1].map(|at: usize| f64::from(told[0].top[at].logprob).exp());
        assert!((sure.first.margin - (first - second)).abs() < 1e-5, "{sure:?} for {first} and {second}");
        assert!((0.0..=f64::from(49_152).ln()).contains(&sure.first.entropy) && sure.mean_entropy > 0.0, "{sure:?}");
    }
}
