//! The last hidden state of one token.
//!
//! A context of llama.cpp either gives hidden states or not, and one that does computes the output for every token that it
//! reads, also of prompts. So the token is computed apart: in a context that is made for it, from a copy of what was computed
//! of its prompt.

use std::num::NonZeroU32;

use bytesize::ByteSize;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::{LlamaContextParams, LlamaPoolingType};
use llama_cpp_2::context::session::SeqState;
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::token::LlamaToken;

use super::model::Token;
use super::spread::certainty_of_likeliest;
use super::{EngineError, Look, memory};

/// llama.cpp gives each sequence a multiple of so many tokens.
const UNIT: u32 = 256;

/// A context for one token behind `tokens` others, of which `state` was copied from a context with `params`.
pub(super) struct Apart<'m> {
    context: LlamaContext<'m>,
    tokens: usize,
}

impl<'m> Apart<'m> {
    /// # Errors
    /// [`EngineError::NoRoom`] where there is not enough memory.
    pub(super) fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        params: LlamaContextParams,
        tokens: usize,
        state: Option<&SeqState>,
    ) -> Result<Self, EngineError> {
        // A copy fits only into a context of as many sequences, of the same length each.
        let sequences = params.n_seq_max().max(1);
        let length = u32::try_from(tokens + 1).unwrap_or(u32::MAX).next_multiple_of(UNIT);
        let copied = state.map_or(0, SeqState::byte_len) as u64;
        let needed = copied / tokens.max(1) as u64 * u64::from(length) * u64::from(sequences);
        if needed > memory::available() {
            return Err(no_room(needed));
        }
        let params = params
            .with_n_ctx(NonZeroU32::new(length.saturating_mul(sequences)))
            .with_n_batch(sequences)
            .with_n_ubatch(sequences)
            .with_pooling_type(LlamaPoolingType::None)
            .with_embeddings(true);
        let mut context = model.new_context(backend, params).map_err(|_| no_room(needed))?;
        if let Some(state) = state {
            context.state_seq_set(state, 0).map_err(|error| EngineError::Decode(error.to_string()))?;
        }
        Ok(Self { context, tokens })
    }

    /// The context, for an adapter to be set.
    pub(super) fn context(&mut self) -> &mut LlamaContext<'m> {
        &mut self.context
    }

    /// What comes of `last` behind the others.
    pub(super) fn look(mut self, last: Token) -> Result<Look, EngineError> {
        let failed = |error: &dyn std::fmt::Display| EngineError::Decode(error.to_string());
        let mut batch = LlamaBatch::new(1, 1);
        // A position is at most the context, far below the limit of i32.
        batch.add(LlamaToken(last), self.tokens as i32, &[0], true).map_err(|error| failed(&error))?;
        self.context.decode(&mut batch).map_err(|error| failed(&error))?;
        let hidden = self.context.embeddings_ith(0).map_err(|error| failed(&error))?.to_vec();
        Ok(Look { first: certainty_of_likeliest(self.context.get_logits_ith(0)), hidden })
    }
}

fn no_room(needed: u64) -> EngineError {
    let needed = ByteSize(needed);
    EngineError::NoRoom {
        what: format!(
            "looking at a prompt needs about {needed} of memory beside the model: configure fewer `sequences`, or ask for an \
             answer at once"
        ),
    }
}
