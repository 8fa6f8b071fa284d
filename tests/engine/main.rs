//! The embedded engine under many requests at once, on a real model.
#![cfg(feature = "llama")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests that say what they saw")]

mod canaries;
mod gaps;
#[cfg(any(feature = "cuda", feature = "metal", feature = "vulkan"))]
mod gpu;
mod grammars;
mod schemas;
#[path = "../support/mod.rs"]
#[allow(unused_imports, reason = "each that includes it uses a part of it")]
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ajar::chat::Priority;
use ajar::chat::reply::{Delta, FinishReason};
use ajar::chat::request::{ChatRequest, Content, Message, Role, Sampling};
use ajar::dispatch::local::{Engine, EngineConfig, EngineError, Generation, Job, Load, Sharing};
use futures_util::StreamExt;

/// Tokens of context per sequence.
const CONTEXT: u32 = 320;
const SEQUENCES: u32 = 4;

/// An engine on the default model that may park so many bytes.
async fn engine(prefix_cache: u64) -> Engine {
    engine_of(SEQUENCES, CONTEXT, prefix_cache).await
}

async fn engine_of(sequences: u32, context: u32, prefix_cache: u64) -> Engine {
    let engine = Engine::load(config(sequences, context, prefix_cache));
    engine.ready().await.expect("the model loads");
    engine
}

fn config(sequences: u32, context: u32, prefix_cache: u64) -> EngineConfig {
    let given = std::env::var_os("AJAR_TEST_MODEL").map(PathBuf::from);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/SmolLM2-135M-Instruct.Q4_1.gguf");
    EngineConfig {
        name: "test".to_owned(),
        model: given.unwrap_or(path),
        context,
        sequences,
        threads: Some(1),
        gpu_layers: Some(0),
        devices: Vec::new(),
        cpu_fallback: false,
        pin: None,
        queue: 64,
        prefix_cache,
        adapters: Vec::new(),
        load: Load::Start,
        tried_by: None,
    }
}

fn message(role: Role, text: &str) -> Message {
    Message { role, content: vec![Content::Text(text.into())], ..Message::default() }
}

fn job(tenant: &str, request: ChatRequest, max_output: u32) -> Job {
    let sharing = Sharing { tenant: tenant.into(), class: "public".into() };
    Job {
        request: Arc::new(request),
        max_output,
        deadline: Instant::now() + Duration::from_secs(3600),
        sharing,
        priority: Priority::default(),
    }
}

/// What came of a generation, read up to `deltas` of them; it is cancelled there. Several choices stand one after the
/// other.
async fn read(mut generation: Generation, deltas: usize) -> (String, Option<FinishReason>) {
    let (mut texts, mut finish) = (BTreeMap::<u32, String>::new(), None);
    for _ in 0..deltas {
        match generation.next().await {
            Some(Ok(Delta::Text { index, text, .. })) => texts.entry(index).or_default().push_str(text.expose()),
            Some(Ok(Delta::Finish { reason, .. })) => finish = Some(reason),
            Some(Ok(_)) => {}
            Some(Err(EngineError::Deadline)) | None => break,
            Some(Err(error)) => panic!("{error}"),
        }
    }
    (texts.into_values().collect::<Vec<_>>().join("\n"), finish)
}

/// All sequences at once use their whole context and end there: every slot and every place in the KV cache is free.
async fn assert_all_is_free(engine: &Engine) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while engine.facts().free_slots != SEQUENCES as usize || engine.facts().queue != 0 {
        assert!(Instant::now() < deadline, "{:?}", engine.facts());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let fill = |n: u32| {
        let prompt = format!("{n} {}", "one two three ".repeat(80));
        let request = ChatRequest { messages: vec![message(Role::User, &prompt)], ..ChatRequest::default() };
        let request = ChatRequest { sampling: endless(), ..request };
        read(engine.generate(job("last", request, CONTEXT)).unwrap(), usize::MAX)
    };
    for (_, finish) in futures_util::future::join_all((0..SEQUENCES).map(fill)).await {
        assert_eq!(finish, Some(FinishReason::Length));
    }
}

/// Greedy, with the model's end tokens forbidden: only a cap ends the answer.
fn endless() -> Sampling {
    Sampling { temperature: Some(0.0), logit_bias: vec![(0, -100.0), (2, -100.0)], ..Sampling::default() }
}

/// A size from the environment, else `usual`.
fn size(name: &str, usual: usize) -> usize {
    std::env::var(name).ok().map_or(usual, |given| given.parse().expect("a number"))
}
