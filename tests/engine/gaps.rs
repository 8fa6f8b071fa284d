//! A long prompt that arrives while others generate.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use ajar::chat::reply::Delta;
use ajar::chat::request::{ChatRequest, Role};
use ajar::dispatch::local::Generation;
use futures_util::StreamExt;
use futures_util::future::join_all;

use crate::{endless, engine_of, job, message, size};

/// Tokens of the long prompt, about; `AJAR_LONG_PROMPT=4000` for a thorough run.
const PROMPT: usize = 500;
const STREAMS: usize = 4;
/// Tokens of a prompt that a step takes at most.
const PIECE: usize = 64;

/// When each delta came; all of them are also counted in `counted`.
async fn times(mut generation: Generation, counted: Arc<AtomicUsize>) -> Vec<Instant> {
    let mut times = Vec::new();
    while let Some(delta) = generation.next().await {
        if let Delta::Text { .. } = delta.unwrap() {
            times.push(Instant::now());
            counted.fetch_add(1, Relaxed);
        }
    }
    times
}

/// When so many deltas of each stream have come.
async fn until(counted: &AtomicUsize, each: usize) -> Instant {
    while counted.load(Relaxed) < each * STREAMS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Instant::now()
}

/// The `share`-th of the gaps between times that lie between two instants, in milliseconds.
fn gap(streams: &[Vec<Instant>], from: Instant, to: Instant, share: f64) -> f64 {
    let within = |pair: &&[Instant]| pair[0] >= from && pair[1] <= to;
    let gaps = streams.iter().flat_map(|times| times.windows(2)).filter(within);
    let mut gaps: Vec<f64> = gaps.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0).collect();
    gaps.sort_by(f64::total_cmp);
    gaps[((gaps.len() - 1) as f64 * share) as usize]
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_long_prompt_is_read_the_others_get_a_token_for_each_piece_of_it() {
    let prompt = size("AJAR_LONG_PROMPT", PROMPT);
    let pieces = prompt / PIECE;
    let cap = u32::try_from(2 * pieces + 100).unwrap();
    let engine = engine_of(STREAMS as u32 + 1, u32::try_from(prompt + 2 * pieces + 500).unwrap(), 0).await;
    let ask = |text: &str, cap: u32| {
        let messages = vec![message(Role::User, text)];
        let request = ChatRequest { messages, sampling: endless(), ..ChatRequest::default() };
        engine.generate(job("a", request, cap)).unwrap()
    };
    let counted = Arc::<AtomicUsize>::default();
    let start = |n| tokio::spawn(times(ask(&format!("Count to {n} thousand."), cap), counted.clone()));
    let streams: Vec<_> = (0..STREAMS).map(start).collect();
    let began = until(&counted, 5).await;
    let arrived = until(&counted, 35).await;
    let mut long = ask(&"one two three four ".repeat(prompt / 4), 1);
    long.next().await.unwrap().unwrap();
    let answered = Instant::now();
    drop(long);
    let streams: Vec<Vec<Instant>> = join_all(streams).await.into_iter().map(Result::unwrap).collect();
    let took = (answered - arrived).as_secs_f64();
    println!(
        "a prompt of {prompt} tokens, read in {took:.1} s: {:.0} ms per piece of {PIECE}",
        took * 1000.0 / pieces as f64
    );
    for (name, from, to) in [("alone", began, arrived), ("meanwhile", arrived, answered)] {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|share| gap(&streams, from, to, share));
        println!("gaps {name}, ms: p50 {p50:.1}, p99 {p99:.1}, longest {max:.1}");
    }
    for times in &streams {
        let meanwhile = times.iter().filter(|&&time| time > arrived && time <= answered).count();
        assert!(meanwhile + 2 >= pieces, "{meanwhile} tokens while {pieces} pieces were read");
    }
}
