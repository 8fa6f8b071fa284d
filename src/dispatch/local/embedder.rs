//! A model that llama.cpp runs to turn texts into vectors.

use std::num::NonZeroU32;
use std::sync::PoisonError;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::embed::{Batch, Embedder};
use super::llama::COMPUTE;
use super::model::Token;
use super::threads::default_threads;
use super::{EngineConfig, EngineError};

/// Most texts of a batch.
const TEXTS: u32 = 64;
/// Tokens of a batch, where a text may not have more.
const TOKENS: u32 = 512;

/// A model with its context, and a batch to fill.
pub(super) struct LlamaEmbedder<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    batch: LlamaBatch<'static>,
    longest: usize,
    /// Bytes of the vocabulary's longest token.
    longest_token: usize,
}

impl<'m> LlamaEmbedder<'m> {
    /// # Errors
    /// [`EngineError::Model`] where there is not enough memory.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        config: &EngineConfig,
    ) -> Result<(Self, Batch), EngineError> {
        let longest = config.context.clamp(1, model.n_ctx_train().max(1));
        let tokens = longest.max(TOKENS);
        let threads = config.threads.unwrap_or_else(default_threads).max(1);
        let threads = i32::try_from(threads).unwrap_or(i32::MAX);
        let params = LlamaContextParams::default()
            .with_n_ctx(NonZeroU32::new(tokens))
            .with_n_seq_max(TEXTS)
            // Texts are of all lengths: they share the places of one context.
            .with_kv_unified(true)
            .with_n_batch(tokens)
            // Each token sees those behind it, so that a text is computed at once.
            .with_n_ubatch(tokens)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_embeddings(true)
            .with_no_perf(true);
        let no_memory = |_| {
            let name = &config.name;
            EngineError::Model(format!(
                "engine `{name}` gets no memory for {tokens} tokens: configure a smaller context"
            ))
        };
        let context = model.new_context(backend, params).map_err(no_memory)?;
        let (longest, tokens) = (longest as usize, tokens as usize);
        let longest_token = model.tokens(true).map(|(_, bytes)| bytes.len()).max().unwrap_or(1).max(1);
        let embedder = Self { model, context, batch: LlamaBatch::new(tokens, 1), longest, longest_token };
        Ok((embedder, Batch { texts: TEXTS as usize, tokens, longest }))
    }

    fn fill(&mut self, texts: &[&[Token]]) -> Result<(), EngineError> {
        self.batch.clear();
        for (sequence, text) in (0..).zip(texts) {
            for (position, token) in (0..).zip(*text) {
                let added = self.batch.add(LlamaToken(*token), position, &[sequence], true);
                added.map_err(|error| EngineError::Decode(error.to_string()))?;
            }
        }
        Ok(())
    }
}

impl Embedder for LlamaEmbedder<'_> {
    fn tokens(&self, text: &str) -> Result<Vec<Token>, u64> {
        let least = text.len() / self.longest_token;
        if least > self.longest {
            // Not worth tokenising.
            return Err(least as u64);
        }
        let tokens = self.model.vocab().tokenize(text.as_bytes(), true, false);
        Ok(tokens.into_iter().map(|token| token.0).collect())
    }

    fn compute(&mut self, texts: &[&[Token]]) -> Result<Vec<Vec<f32>>, EngineError> {
        self.fill(texts)?;
        self.context.clear_kv_cache();
        let turn = COMPUTE.lock().unwrap_or_else(PoisonError::into_inner);
        self.context.decode(&mut self.batch).map_err(|error| EngineError::Decode(error.to_string()))?;
        drop(turn);
        let vector = |sequence| match self.context.embeddings_seq_ith(sequence) {
            Ok(vector) => Ok(vector.to_vec()),
            Err(error) => Err(EngineError::Decode(error.to_string())),
        };
        (0..texts.len() as i32).map(vector).collect()
    }
}
