//! Whether a model will fit, asked before it is loaded: llama.cpp would be killed in the middle of it.

use bytesize::ByteSize;
use sysinfo::System;

use super::{Adapter, EngineConfig, EngineError};
use crate::models::gguf::{Gguf, Part};

/// What an engine takes beside weights, keys and values, for each token computed at once: a row of logits and of
/// intermediate results, generously.
const PER_OUTPUT: u64 = 16;
/// Tokens computed at once, at most.
const OUTPUTS: u64 = 512;

/// Bytes that an engine is going to take, as far as the file says, by what may be put elsewhere than on the host.
#[derive(Clone, Debug)]
pub(super) struct Needs {
    /// Of each layer with its keys and values, and of the output, which is last.
    pub(super) layers: Vec<u64>,
    /// Of what is computed meanwhile, wherever that is.
    pub(super) computing: u64,
    /// Of adapters.
    pub(super) adapters: u64,
    /// Of the input, which stays on the host.
    pub(super) input: u64,
    /// Of the output what the input has already, on the same device.
    pub(super) tied: u64,
}

impl Needs {
    pub(super) fn of(gguf: &Gguf, config: &EngineConfig) -> Self {
        let context = u64::from(config.context).min(gguf.context().max(1)).next_multiple_of(256);
        // Texts to embed share one context, in turn.
        let sequences = if gguf.embeds() { 1 } else { config.sequences };
        let tokens = context.saturating_mul(u64::from(sequences));
        let layer = |at| gguf.weights_of(Part::Layer(at)).saturating_add(tokens.saturating_mul(gguf.cache_at(at)));
        let tied = gguf.tied_weights();
        let output = gguf.weights_of(Part::Output).saturating_add(tied);
        let size = |adapter: &Adapter| std::fs::metadata(&adapter.file).map_or(0, |file| file.len());
        Self {
            layers: (0..gguf.layers()).map(layer).chain([output]).collect(),
            computing: gguf.vocabulary().saturating_mul(OUTPUTS * PER_OUTPUT),
            adapters: config.adapters.iter().map(size).sum(),
            input: gguf.weights_of(Part::Input),
            tied,
        }
    }

    /// What the host needs where the last `offloaded` layers are elsewhere.
    pub(super) fn host(&self, offloaded: usize) -> u64 {
        let stay = &self.layers[..self.layers.len().saturating_sub(offloaded)];
        let tied = if offloaded == 0 { self.tied } else { 0 };
        let parts = stay.iter().chain([&self.input, &self.adapters, &self.computing]);
        parts.fold(0_u64, |sum, part| sum.saturating_add(*part)).saturating_sub(tied)
    }
}

/// Bytes that this process may still take: of the machine's, and of its control group's.
pub(super) fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let group = system.cgroup_limits().map(|limits| limits.free_memory);
    group.unwrap_or(u64::MAX).min(system.available_memory())
}

/// # Errors
/// [`EngineError::NoRoom`]: where more is `needed` than is `available`, with the ways out.
pub(super) fn check(gguf: &Gguf, config: &EngineConfig, needed: u64, available: u64) -> Result<(), EngineError> {
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

    fn tiny() -> Gguf {
        let bytes = support::GgufFile::llama().bytes();
        Gguf::read(&bytes[..], bytes.len() as u64).unwrap()
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_loaded_with_what_would_help() {
        let gguf = tiny();
        let small = EngineConfig { context: 256, sequences: 1, ..EngineConfig::trial("m".into()) };
        let large = EngineConfig { sequences: 64, ..small.clone() };
        let needs = |config| Needs::of(&gguf, config).host(0);
        // 63 more sequences of 256 tokens, of two layers with 32 keys and 32 values of two bytes each.
        assert_eq!(needs(&large) - needs(&small), 63 * 256 * 2 * 64 * 2);
        assert_eq!(check(&gguf, &small, needs(&small), needs(&small)), Ok(()));
        let refusal = check(&gguf, &large, needs(&large), 1 << 20).unwrap_err().to_string();
        assert!(refusal.contains("64 sequences of 256 tokens") && refusal.contains("1.0 MiB are free"), "{refusal}");
    }

    #[test]
    fn what_is_offloaded_is_not_the_hosts_to_hold() {
        let gguf = tiny();
        let needs = Needs::of(&gguf, &EngineConfig::trial("m".into()));
        assert_eq!(needs.layers.len(), 3);
        assert_eq!(needs.host(0) - needs.host(2), needs.layers[1] + needs.layers[2]);
        assert_eq!(needs.host(3), gguf.weights_of(Part::Input) + needs.computing);
        assert_eq!(needs.host(99), needs.host(3));
    }

    #[test]
    fn weights_that_input_and_output_share_are_there_once_until_the_output_goes_elsewhere() {
        let mut gguf = tiny();
        gguf.tensors.retain(|tensor| tensor.name != "output.weight");
        let needs = Needs::of(&gguf, &EngineConfig::trial("m".into()));
        let cache = 256 * gguf.cache_per_token();
        assert_eq!(needs.host(0), gguf.weights() + cache + needs.computing);
        assert_eq!(needs.layers[2], gguf.weights_of(Part::Output) + gguf.weights_of(Part::Input));
        assert_eq!(needs.host(1), needs.host(0) - gguf.weights_of(Part::Output));
    }

    #[test]
    fn there_is_some_memory() {
        assert!((1..u64::MAX).contains(&available()));
    }
}
