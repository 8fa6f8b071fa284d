//! Speed of the embedded engine on this machine: tokens per second and time to first token by threads and by how
//! many answers are generated at once. `ajar models bench` measures the same of any model.
//!
//! `cargo bench --bench engine`; the model is `models/SmolLM2-135M-Instruct.Q4_1.gguf` or what `AJAR_TEST_MODEL` names,
//! thread counts are 1 and 2 or what `AJAR_BENCH_THREADS` lists.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::path::PathBuf;

use ajar::dispatch::local::{Engine, EngineConfig, EngineError, Load, speed};

/// Answers at once, and tokens of each prompt.
const MEASURES: [(u32, usize); 5] = [(1, 20), (4, 20), (8, 20), (1, 600), (4, 600)];
const ANSWER_TOKENS: u32 = 64;

#[tokio::main]
async fn main() -> Result<(), EngineError> {
    println!("threads  at once  prompt   read/s  generated/s  first token");
    for threads in thread_counts() {
        let engine = Engine::load(config(threads));
        engine.ready().await?;
        speed(&engine, 1, 1, ANSWER_TOKENS).await?;
        for (at_once, prompt) in MEASURES {
            let speed = speed(&engine, at_once, prompt, ANSWER_TOKENS).await?;
            let (prompt, read, generated, first) = (speed.prompt, speed.read, speed.generated, speed.first_token);
            println!("{threads:7}  {at_once:7}  {prompt:6}  {read:7.1}  {generated:11.1}  {:8} ms", first.as_millis());
        }
        engine.shutdown();
        engine.stopped().await;
    }
    Ok(())
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
        devices: Vec::new(),
        cpu_fallback: false,
        pin: None,
        queue: 16,
        adapters: Vec::new(),
        load: Load::Start,
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
