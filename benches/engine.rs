//! Speed of the embedded engine on this machine: tokens per second and time to first token by threads and by how
//! many answers are generated at once.
//!
//! `cargo bench --bench engine`; the model is `models/SmolLM2-135M-Instruct.Q4_1.gguf` or what `AJAR_TEST_MODEL` names,
//! thread counts are 1 and 2 or what `AJAR_BENCH_THREADS` lists.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ajar::chat::reply::Delta;
use ajar::chat::request::{ChatRequest, Content, Message, Sampling};
use ajar::dispatch::local::{Engine, EngineConfig, EngineError, Generation, Job, Sharing};
use futures_util::StreamExt;
use futures_util::future::join_all;

const CONCURRENCY: [usize; 3] = [1, 4, 8];
const ANSWER_TOKENS: u32 = 64;

/// What one generation took.
struct Measured {
    first_token: Duration,
    tokens: u64,
}

#[tokio::main]
async fn main() -> Result<(), EngineError> {
    println!("threads  at once  prompt    tok/s  tok/s each  first token");
    for threads in thread_counts() {
        let engine = Engine::load(config(threads));
        engine.ready().await?;
        run(&engine, 1, 1).await?;
        for (concurrency, repeat) in CONCURRENCY.map(|n| (n, 2)).into_iter().chain([(1, 100), (4, 100)]) {
            row(&engine, threads, concurrency, repeat).await?;
        }
        engine.shutdown();
        engine.stopped().await;
    }
    Ok(())
}

async fn row(engine: &Engine, threads: u32, concurrency: usize, repeat: usize) -> Result<(), EngineError> {
    let began = Instant::now();
    let (prompt, all) = run(engine, concurrency, repeat).await?;
    let wall = began.elapsed();
    let tokens: u64 = all.iter().map(|m| m.tokens).sum();
    let rate = tokens as f64 / wall.as_secs_f64();
    let first = all.iter().map(|m| m.first_token).sum::<Duration>() / all.len() as u32;
    let each = rate / concurrency as f64;
    println!("{threads:7}  {concurrency:7}  {prompt:6}  {rate:7.1}  {each:10.1}  {:8} ms", first.as_millis());
    Ok(())
}

/// Generates `concurrency` answers at once to a prompt that grows with `repeat`; returns its tokens, and each answer.
async fn run(engine: &Engine, concurrency: usize, repeat: usize) -> Result<(u64, Vec<Measured>), EngineError> {
    let generations: Result<Vec<_>, _> = (0..concurrency).map(|_| engine.generate(job(repeat))).collect();
    let measured: Result<Vec<_>, _> = join_all(generations?.into_iter().map(measure)).await.into_iter().collect();
    let measured = measured?;
    let prompt = measured.first().map_or(0, |(prompt, _)| *prompt);
    Ok((prompt, measured.into_iter().map(|(_, m)| m).collect()))
}

async fn measure(mut generation: Generation) -> Result<(u64, Measured), EngineError> {
    let began = Instant::now();
    let mut first_token = Duration::ZERO;
    while let Some(delta) = generation.next().await {
        match delta? {
            Delta::Text { .. } if first_token.is_zero() => first_token = began.elapsed(),
            Delta::Usage(usage) => return Ok((usage.input, Measured { first_token, tokens: usage.output })),
            _ => {}
        }
    }
    Err(EngineError::Stopped)
}

fn job(repeat: usize) -> Job {
    let text = format!("Write a long story. {}", "It is about a fox. ".repeat(repeat));
    let message = Message { content: vec![Content::Text(text.into())], ..Message::default() };
    // End tokens are biased away, so that every answer has the same length.
    let logit_bias = vec![(0, -100.0), (2, -100.0)];
    let sampling = Sampling { temperature: Some(0.0), logit_bias, ..Sampling::default() };
    let request = Arc::new(ChatRequest { messages: vec![message], sampling, ..ChatRequest::default() });
    let sharing = Sharing { tenant: "bench".into(), class: "public".into() };
    Job { request, max_output: ANSWER_TOKENS, deadline: Instant::now() + Duration::from_secs(600), sharing }
}

fn config(threads: u32) -> EngineConfig {
    let given = std::env::var_os("AJAR_TEST_MODEL").map(PathBuf::from);
    EngineConfig {
        name: "bench".to_owned(),
        model: given.unwrap_or_else(|| PathBuf::from("models/SmolLM2-135M-Instruct.Q4_1.gguf")),
        context: 2048,
        sequences: 8,
        threads: Some(threads),
        gpu_layers: None,
        queue: 16,
        tried_by: None,
        // Each round asks the same again, and is to compute it again.
        prefix_cache: 0,
    }
}

fn thread_counts() -> Vec<u32> {
    let given = std::env::var("AJAR_BENCH_THREADS").ok();
    let listed =
        given.iter().flat_map(|list| list.split(',')).filter_map(|n| n.trim().parse().ok()).collect::<Vec<_>>();
    if listed.is_empty() { vec![1, 2] } else { listed }
}
