//! Whether a model will fit, asked before it is loaded: llama.cpp would be killed in the middle of it.

use bytesize::ByteSize;
use sysinfo::System;

use super::{Adapter, EngineConfig, EngineError};
use crate::models::gguf::Gguf;

/// What an engine takes beside weights, keys and values, for each token computed at once: a row of logits and of
/// intermediate results, generously.
const PER_OUTPUT: u64 = 16;
/// Tokens computed at once, at most.
const OUTPUTS: u64 = 512;

/// Bytes that an engine is going to take, as far as the file says.
pub(super) fn estimate(gguf: &Gguf, config: &EngineConfig) -> u64 {
    let context = u64::from(config.context).min(gguf.context().max(1)).next_multiple_of(256);
    // Texts to embed share one context, in turn.
    let sequences = if gguf.embeds() { 1 } else { config.sequences };
    let tokens = context.saturating_mul(u64::from(sequences));
    let computing = gguf.vocabulary().saturating_mul(OUTPUTS * PER_OUTPUT);
    let size = |adapter: &Adapter| std::fs::metadata(&adapter.file).map_or(0, |file| file.len());
    let adapters: u64 = config.adapters.iter().map(size).sum();
    gguf.weights()
        .saturating_add(adapters)
        .saturating_add(tokens.saturating_mul(gguf.cache_per_token()))
        .saturating_add(computing)
}

/// Bytes that this process may still take: of the machine's, and of its control group's.
pub(super) fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let group = system.cgroup_limits().map(|limits| limits.free_memory);
    group.unwrap_or(u64::MAX).min(system.available_memory())
}

/// # Errors
/// [`EngineError::NoRoom`]: what would be needed, what there is, and the ways out.
pub(super) fn check(gguf: &Gguf, config: &EngineConfig, available: u64) -> Result<(), EngineError> {
    let needed = estimate(gguf, config);
    if needed <= available {
        return Ok(());
    }
    let (name, sequences, context) = (&config.name, config.sequences, config.context);
    let [needed, weights, available] = [needed, gguf.weights(), available].map(ByteSize);
    Err(EngineError::NoRoom {
        what: format!(
            "engine `{name}` needs about {needed} of memory ({weights} of weights, and {sequences} sequences of {context} \
             tokens), and {available} are free: configure a smaller `context`, fewer `sequences` or a smaller model"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::gguf::support;

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_loaded_with_what_would_help() {
        let bytes = support::GgufFile::llama().bytes();
        let gguf = Gguf::read(&bytes[..], bytes.len() as u64).unwrap();
        let small = EngineConfig { context: 256, sequences: 1, ..EngineConfig::trial("m".into()) };
        let large = EngineConfig { sequences: 64, ..small.clone() };
        // 63 more sequences of 256 tokens, of two layers with 32 keys and 32 values of two bytes each.
        assert_eq!(estimate(&gguf, &large) - estimate(&gguf, &small), 63 * 256 * 2 * 64 * 2);
        assert_eq!(check(&gguf, &small, estimate(&gguf, &small)), Ok(()));
        let refusal = check(&gguf, &large, 1 << 20).unwrap_err().to_string();
        assert!(refusal.contains("64 sequences of 256 tokens") && refusal.contains("1.0 MiB are free"), "{refusal}");
    }

    #[test]
    fn there_is_some_memory() {
        assert!((1..u64::MAX).contains(&available()));
    }
}
