//! Model files as they come from the internet: of several architectures, damaged, or made to do harm.
#![cfg(feature = "llama")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that says what it saw")]

#[path = "support/gguf.rs"]
#[allow(dead_code, reason = "each that includes it uses a part of it")]
mod gguf;
#[path = "support/mod.rs"]
#[allow(unused_imports, reason = "each that includes it uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ajar::chat::Priority;
use ajar::chat::reply::Delta;
use ajar::chat::request::{ChatRequest, Content, Message, Sampling};
use ajar::dispatch::local::{Adapter, Embeddings, Engine, EngineConfig, EngineError, Job, Load, Sharing, Turn};
use ajar::models::gguf::Gguf;
use futures_util::StreamExt;
use gguf::GgufFile;
use support::Random;

/// How many damaged files are loaded: `AJAR_MUTANTS=10000` for a thorough run.
const MUTANTS: u64 = 60;

fn config(model: PathBuf) -> EngineConfig {
    EngineConfig {
        name: "tiny".to_owned(),
        model,
        context: 256,
        sequences: 2,
        threads: Some(1),
        gpu_layers: Some(0),
        devices: Vec::new(),
        cpu_fallback: false,
        pin: None,
        queue: 4,
        prefix_cache: 1 << 20,
        adapters: Vec::new(),
        load: Load::Start,
        tried_by: Some(env!("CARGO_BIN_EXE_ajar").into()),
    }
}

/// Loads the file and has it answer, or embed; how many tokens that took.
async fn answer(file: &Path) -> Result<u64, EngineError> {
    let engine = Engine::load(config(file.to_owned()));
    engine.ready().await?;
    if Gguf::open(file).is_ok_and(|gguf| gguf.embeds()) {
        return Ok(embed(&engine, &["he said hello".to_owned()]).await?.tokens);
    }
    let message = Message { content: vec![Content::Text("he said hello".into())], ..Message::default() };
    let request = Arc::new(ChatRequest { messages: vec![message], ..ChatRequest::default() });
    let sharing = Sharing { tenant: "t".into(), class: "public".into() };
    let job = Job {
        request,
        max_output: 8,
        deadline: Instant::now() + Duration::from_secs(60),
        sharing,
        priority: Priority::default(),
    };
    let mut deltas = engine.generate(job)?;
    let mut tokens = 0;
    while let Some(delta) = deltas.next().await {
        if let Delta::Usage(usage) = delta? {
            tokens = usage.output;
        }
    }
    engine.shutdown();
    engine.stopped().await;
    Ok(tokens)
}

fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let file = folder.join("tiny.gguf");
    fs::write(&file, bytes).unwrap();
    file
}

#[tokio::test]
async fn llama_and_bloom_load_and_answer() {
    let folder = tempfile::tempdir().unwrap();
    for file in [GgufFile::llama(), GgufFile::bloom()] {
        let file = write(folder.path(), &file.bytes());
        assert!((1..=8).contains(&answer(&file).await.unwrap()));
    }
}

/// What `engine` says to `text`, and how much of the prompt it had computed.
async fn say(engine: &Engine, text: &str) -> (String, u64) {
    let message = Message { content: vec![Content::Text(text.into())], ..Message::default() };
    let sampling = Sampling { temperature: Some(0.0), ..Sampling::default() };
    let request = Arc::new(ChatRequest { messages: vec![message], sampling, ..ChatRequest::default() });
    let sharing = Sharing { tenant: "t".into(), class: "public".into() };
    let job = Job {
        request,
        max_output: 40,
        deadline: Instant::now() + Duration::from_secs(60),
        sharing,
        priority: Priority::default(),
    };
    let (mut said, mut deltas) = (String::new(), engine.generate(job).unwrap());
    while let Some(delta) = deltas.next().await {
        match delta.unwrap() {
            Delta::Text { text, .. } => said.push_str(text.expose()),
            Delta::Usage(usage) => return (said, usage.cached_input),
            _ => {}
        }
    }
    panic!("an answer ends with its usage");
}

#[tokio::test]
async fn adapters_answer_each_in_its_way_alone_and_among_others_and_share_no_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let adapter = |(name, random, scale): (&str, u64, f32)| {
        let file = folder.path().join(format!("{name}.gguf"));
        fs::write(&file, GgufFile::lora(random).bytes()).unwrap();
        Adapter { name: name.to_owned(), file, scale }
    };
    let adapters = [("one", 7, 1.0), ("two", 8, 1.0), ("none", 7, 0.0)].map(adapter).to_vec();
    let base = config(write(folder.path(), &GgufFile::llama().bytes()));
    let base = Engine::load(EngineConfig { adapters, sequences: 4, queue: 64, ..base });
    base.ready().await.unwrap();
    let [one, two, none] = ["one", "two", "none"].map(|name| base.with_adapter(name).unwrap());
    let prompt = "he said hello ".repeat(5);
    let mut alone = Vec::new();
    for engine in [&base, &one, &two, &none] {
        let (said, cached) = say(engine, &prompt).await;
        assert_eq!(cached, 0, "nobody goes on with what another adapter computed");
        alone.push(said);
    }
    assert_eq!(alone[0], alone[3], "an adapter of no strength changes nothing");
    assert!(alone[0] != alone[1] && alone[0] != alone[2] && alone[1] != alone[2], "{alone:?}");
    let all = [&base, &one, &two, &none].repeat(4);
    let said = futures_util::future::join_all(all.iter().map(|engine| say(engine, &prompt))).await;
    for (at, (said, _)) in said.iter().enumerate() {
        assert_eq!(*said, alone[at % 4], "answer {at}");
    }
}

/// The vectors of `texts`.
async fn embed(engine: &Engine, texts: &[String]) -> Result<Embeddings, EngineError> {
    let texts = texts.iter().map(|text| text.as_str().into()).collect();
    let turn = Turn { tenant: "t".into(), priority: Priority::default() };
    engine.embed(texts, turn, Instant::now() + Duration::from_secs(60)).await
}

#[tokio::test]
async fn bert_loads_and_embeds_each_text_as_it_would_alone_and_refuses_what_is_too_long() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::load(config(write(folder.path(), &GgufFile::bert().bytes())));
    engine.ready().await.unwrap();
    let texts: Vec<String> = (0..80_u8).map(|n| char::from(b'a' + n % 26).to_string().repeat(n.into()) + "!").collect();
    let together = embed(&engine, &texts).await.unwrap();
    assert_eq!(together.vectors.len(), texts.len());
    let mut tokens = 0;
    for (text, vector) in texts.iter().zip(&together.vectors) {
        let alone = embed(&engine, std::slice::from_ref(text)).await.unwrap();
        let apart = difference(vector, &alone.vectors[0]);
        assert!(apart < 1e-3, "{text}: {apart}");
        tokens += alone.tokens;
    }
    assert_eq!(together.tokens, tokens);
    let between = difference(&together.vectors[0], &together.vectors[25]);
    assert!(between > 1e-2, "texts have vectors of their own: {between}");
    let refused = embed(&engine, &["fine".to_owned(), "x".repeat(300)]).await;
    assert_eq!(refused, Err(EngineError::InputTooLong { index: 1, tokens: 300, limit: 256 }));
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Of vectors of length 1.
fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn minilm_finds_what_means_the_same() {
    let Some(file) = std::env::var_os("AJAR_TEST_EMBEDDER") else {
        return println!("skipped: AJAR_TEST_EMBEDDER names no all-MiniLM-L6-v2 file");
    };
    let engine = Engine::load(config(file.into()));
    engine.ready().await.unwrap();
    let texts = ["A man is eating food.", "A man eats a piece of bread.", "A cheetah runs behind its prey."];
    let vectors = embed(&engine, &texts.map(str::to_owned)).await.unwrap().vectors;
    let (near, far) = (cosine(&vectors[0], &vectors[1]), cosine(&vectors[0], &vectors[2]));
    assert!(vectors[0].len() == 384 && near > 0.6 && far < 0.3, "{near} {far}");
}

#[test]
fn check_tells_what_a_file_is_and_refuses_what_does_not_load() {
    let folder = tempfile::tempdir().unwrap();
    let check = |bytes: &[u8]| {
        let file = write(folder.path(), bytes);
        let output = Command::new(env!("CARGO_BIN_EXE_ajar")).args(["models", "check"]).arg(file).output().unwrap();
        (output.status.success(), [output.stdout, output.stderr].concat().escape_ascii().to_string())
    };
    let (loads, told) = check(&GgufFile::bloom().bytes());
    assert!(loads && told.contains("bloom, 2 layers") && told.contains("loads and answers"), "{told}");
    let (loads, told) = check(&GgufFile::bert().bytes());
    assert!(loads && told.contains("bert, 2 layers") && told.contains("loads and embeds"), "{told}");
    let mut lacking = GgufFile::bloom();
    lacking.number("bloom.block_count", 3);
    let (loads, told) = check(&lacking.bytes());
    assert!(!loads && told.contains("tiny.gguf` is incomplete"), "{told}");
}

#[test]
fn bench_measures_a_file_at_each_number_of_answers() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), &GgufFile::llama().bytes());
    let mut command = Command::new(env!("CARGO_BIN_EXE_ajar"));
    command
        .args(["models", "bench", "--at-once", "1,3", "--prompt", "20", "--answer", "4", "--threads", "1"])
        .arg(&file);
    let output = command.output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = told.lines().skip(2).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["1", "3"], "{told}");
    assert!(
        rows.iter().all(|row| row[1].parse::<u64>().unwrap() > 20 && row[2].parse::<f64>().unwrap() > 0.0),
        "{told}"
    );
}

/// A model with something wrong in its description, its weights or its length.
fn mutant(random: &mut Random) -> Vec<u8> {
    let mut file = [GgufFile::llama, GgufFile::bloom, GgufFile::bert][random.below(3)]();
    if random.one_in(2) {
        distort(&mut file, random);
    }
    let mut bytes = file.bytes();
    // The description is the first part, and what is in it is believed.
    let description = 6000.min(bytes.len());
    for _ in 0..random.below(4) {
        let end = if random.one_in(4) { bytes.len() } else { description };
        let at = random.below(end - 8);
        match random.below(5) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.bits() as u8,
            2 => bytes[at..at + 4].copy_from_slice(&extreme(random).to_le_bytes()),
            3 => bytes[at..at + 8].copy_from_slice(&(random.bits() >> random.below(64)).to_le_bytes()),
            _ => drop(bytes.splice(at..at + random.below(8), [0; 3])),
        }
    }
    if random.one_in(10) {
        bytes.truncate(random.below(bytes.len()));
    }
    bytes
}

/// Changes a number that a model is made of.
fn distort(file: &mut GgufFile, random: &mut Random) {
    const KEYS: [&str; 12] = [
        "llama.block_count",
        "llama.embedding_length",
        "llama.feed_forward_length",
        "llama.attention.head_count",
        "llama.attention.head_count_kv",
        "llama.attention.key_length",
        "llama.rope.dimension_count",
        "llama.vocab_size",
        "llama.expert_count",
        "bloom.attention.head_count",
        "bloom.attention.head_count_kv",
        "tokenizer.ggml.eos_token_id",
    ];
    match random.below(4) {
        0 => file.texts("tokenizer.ggml.merges", &["not there".to_owned(), String::new(), " ".to_owned()]),
        1 => file.text("tokenizer.ggml.model", ["llama", "bert", "t5", "rwkv", "none"][random.below(5)]),
        _ => file.number(KEYS[random.below(KEYS.len())], extreme(random)),
    }
}

fn extreme(random: &mut Random) -> u32 {
    [0, 1, 2, 3, 31, 33, 64, 1 << 16, i32::MAX as u32, u32::MAX][random.below(10)]
}

#[tokio::test]
async fn damaged_model_files_are_refused_or_load_and_never_take_the_process_down() {
    let mutants = std::env::var("AJAR_MUTANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(MUTANTS);
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(20_261_129);
    let (mut loaded, mut refused, mut deadly) = (0, 0, 0);
    for _ in 0..mutants {
        match answer(&write(folder.path(), &mutant(&mut random))).await {
            Ok(_) => loaded += 1,
            Err(error) if error.to_string().contains("brings llama.cpp down") => deadly += 1,
            Err(_) => refused += 1,
        }
    }
    println!("{mutants} files: {loaded} loaded, {refused} were refused, {deadly} ended the process that tried them");
    assert_eq!(loaded + refused + deadly, mutants);
    assert!(loaded > 0 && refused > 0);
}
