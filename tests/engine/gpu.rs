//! Layers on a GPU, or on a driver that plays one: `make check-vulkan`.

#[path = "../support/gguf.rs"]
#[allow(dead_code, reason = "one of its files is used here")]
mod gguf;

use ajar::dispatch::local::devices;

use self::gguf::GgufFile;
use super::*;

/// Prompts whose answers the small model is sure of: a CPU rounds what it multiplies with quantised weights to eight bits, a GPU
/// does not, and where two tokens are nearly as likely either may come.
const PROMPTS: [&str; 3] =
    ["Say: hello hello hello hello", "Name the days of the week, beginning with Monday.", "Who wrote Hamlet?"];

fn config(gpu_layers: Option<u32>) -> EngineConfig {
    EngineConfig { gpu_layers, ..super::config(1, CONTEXT, 0) }
}

async fn ready(config: EngineConfig) -> Result<Engine, EngineError> {
    let engine = Engine::load(config);
    engine.ready().await.map(|()| engine)
}

/// So many tokens of what the model says to each of the prompts, always the likeliest, and how likely each of them was.
async fn greedy(engine: &Engine, tokens: u32) -> (Vec<String>, Vec<f32>) {
    let (mut texts, mut likelihoods) = (Vec::new(), Vec::new());
    for prompt in PROMPTS {
        let sampling = Sampling { temperature: Some(0.0), logprobs: Some(0), ..Sampling::default() };
        let request = ChatRequest { messages: vec![message(Role::User, prompt)], sampling, ..ChatRequest::default() };
        let mut deltas = engine.generate(job("t", request, tokens)).unwrap();
        texts.push(String::new());
        while let Some(delta) = deltas.next().await {
            let Delta::Text { text, logprobs, .. } = delta.unwrap() else { continue };
            texts.last_mut().unwrap().push_str(text.expose());
            likelihoods.extend(logprobs.iter().map(|token| token.token.logprob));
        }
    }
    assert!(texts.iter().all(|text| !text.is_empty()), "{texts:?}");
    (texts, likelihoods)
}

/// With each of these numbers of layers on the device, where so many are to be there then, the texts are the same, and the
/// logarithms of their tokens' probabilities no further apart than `tolerance`.
async fn compare(config: EngineConfig, tokens: u32, tolerance: f32, layers: &[(Option<u32>, usize)]) {
    let devices =
        vec![devices().unwrap().first().expect("a device: GGML_VK_VISIBLE_DEVICES=0 admits Mesa's").name.clone()];
    let mut on_the_cpu = None;
    for &(gpu_layers, expected) in layers {
        let engine = ready(EngineConfig { gpu_layers, devices: devices.clone(), ..config.clone() }).await.unwrap();
        assert_eq!(engine.facts().gpu_layers, expected);
        let (texts, likelihoods) = greedy(&engine, tokens).await;
        let cpu = on_the_cpu.get_or_insert_with(|| (texts.clone(), likelihoods.clone()));
        let apart = cpu.1.iter().zip(&likelihoods).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max);
        println!("{expected} layers on {}, at most {apart:.4} apart: {texts:?}", devices[0]);
        assert_eq!((&cpu.0, cpu.1.len()), (&texts, likelihoods.len()));
        assert!(apart <= tolerance, "{likelihoods:?}, on the CPU {:?}", cpu.1);
        engine.shutdown();
        engine.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a device"]
async fn what_layers_on_a_device_compute_reads_as_on_the_cpu() {
    // None, the output and nine layers, and as many as fit: all. Few tokens, for Mesa's driver computes two a second.
    compare(config(None), 8, 0.5, &[(Some(0), 0), (Some(10), 10), (None, 31)]).await;
    // Weights that are not quantised.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), GgufFile::llama().bytes()).unwrap();
    let tiny = EngineConfig { model: file.path().to_owned(), context: 256, ..config(None) };
    compare(tiny, 16, 0.01, &[(Some(0), 0), (Some(2), 2), (None, 3)]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a device"]
async fn a_device_that_is_not_there_is_refused_with_those_that_are() {
    let refusal = ready(EngineConfig { devices: vec!["Vulkan77".to_owned()], ..config(None) }).await.err().unwrap();
    let there = &devices().unwrap()[0].name;
    assert!(refusal.to_string().contains("`Vulkan77`") && refusal.to_string().contains(there), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a device that gives no buffer as large as the model: GGML_VK_FORCE_MAX_BUFFER_SIZE"]
async fn what_does_not_get_onto_a_device_is_computed_by_the_cpu_where_that_may_be() {
    let engine = ready(EngineConfig { cpu_fallback: true, ..config(Some(99)) }).await.unwrap();
    assert_eq!(engine.facts().gpu_layers, 0);
    greedy(&engine, 8).await;
    engine.shutdown();
    engine.stopped().await;
    let refusal = ready(config(Some(99))).await.err().unwrap().to_string();
    assert!(refusal.contains("configure fewer"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a machine without a device"]
async fn where_there_is_no_device_the_cpu_computes_unless_layers_were_insisted_on() {
    assert_eq!(devices().unwrap(), []);
    for gpu_layers in [None, Some(10)] {
        let engine = ready(EngineConfig { cpu_fallback: true, ..config(gpu_layers) }).await.unwrap();
        assert_eq!(engine.facts().gpu_layers, 0);
        greedy(&engine, 8).await;
        engine.shutdown();
        engine.stopped().await;
    }
    let refusal = ready(config(Some(10))).await.err().unwrap().to_string();
    assert!(refusal.contains("`gpu_layers: 0`"), "{refusal}");
}
