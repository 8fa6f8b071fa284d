//! What the step loop needs of a model: the seam between scheduling and llama.cpp.

use std::time::Duration;

use super::tools::Reading;
use super::{EngineError, Look};
use crate::chat::reply::{Certainty, TokenLogprob};
use crate::chat::request::ChatRequest;

/// A token id of the model's vocabulary.
pub(super) type Token = i32;

/// A conversation as the model reads it.
pub(super) struct Prompt {
    /// Up to where the answer begins.
    pub(super) tokens: Vec<Token>,
    /// The answer that the client predicts; empty where it predicts none.
    pub(super) prediction: Vec<Token>,
    /// How the answer is to be read.
    pub(super) reading: Reading,
}

/// One token of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) token: Token,
    /// Place in its sequence, from 0.
    pub(super) position: usize,
    /// Which sequence.
    pub(super) slot: usize,
    /// Whether the next token will be sampled from here.
    pub(super) sampled: bool,
}

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drawn {
    /// The next token.
    Token(Token),
    /// The next token, which completes the form that the answer must have.
    Last(Token),
    /// The end of the answer.
    End,
}

/// A loaded model with its context of several sequences.
pub(super) trait Model {
    /// State of one sequence's sampling.
    type Sampler;

    /// A copy of one sequence's memory, outside of the context.
    type State;

    /// Tokens per sequence.
    fn context(&self) -> usize;

    /// The conversation as the model's chat template writes it, ready for the answer, and how that is to be read.
    fn prompt(&self, request: &ChatRequest) -> Result<Prompt, EngineError>;

    /// A sampler for the answer number `choice`, from 0, to `request`, of at most `cap` tokens. With a seed, each choice
    /// has its own.
    ///
    /// # Errors
    /// [`EngineError::Unsupported`] for a form of answer that cannot be enforced.
    fn sampler(
        &self,
        request: &ChatRequest,
        reading: Reading,
        choice: u32,
        cap: usize,
    ) -> Result<Self::Sampler, EngineError>;

    /// What is computed from now on is computed by this adapter; 0 is none.
    fn adapt(&mut self, adapter: usize);

    /// Computes one batch. How long it took.
    fn decode(&mut self, inputs: &[Input]) -> Result<Duration, EngineError>;

    /// Draws the token that follows the last batch's `input`-th input.
    ///
    /// # Errors
    /// [`EngineError::Decode`] where no token can follow.
    fn sample(&mut self, sampler: &mut Self::Sampler, input: usize) -> Result<Drawn, EngineError>;

    /// A call has begun with `written`: what follows must be the rest of one, where it can still become one.
    fn begin_call(&self, sampler: &mut Self::Sampler, written: &str);

    /// How likely `token` was to follow the last batch's `input`-th input, and the `top` most likely ones, by the
    /// model alone: before biases, penalties, temperature, cuts and forms.
    fn likelihood(&self, input: usize, token: Token, top: usize) -> TokenLogprob;

    /// How sure the model was of `token` behind the last batch's `input`-th input, by itself alone as in
    /// [`Model::likelihood`].
    fn certainty(&self, input: usize, token: Token) -> Certainty;

    /// What it makes of a prompt whose first `tokens` tokens, and no others, are computed for `slot`, and which ends with
    /// `last` behind them; `slot` is of no matter where there are none. What is computed stays as it is.
    ///
    /// # Errors
    /// [`EngineError::NoRoom`] and [`EngineError::Decode`].
    fn look(&mut self, slot: usize, tokens: usize, last: Token) -> Result<Look, EngineError>;

    /// Appends the bytes of `token` to `bytes`: perhaps part of a character; for a control token none, but for those that
    /// mark what `reading` asks about.
    fn write(&self, token: Token, reading: Reading, bytes: &mut Vec<u8>);

    /// Forgets all that was computed for `slot`, so that the next sequence there shares nothing with the last.
    fn clear(&mut self, slot: usize);

    /// Forgets what was computed for `slot` behind its first `tokens` tokens. False where this model cannot forget only
    /// a part: then what `slot` holds is of no use.
    fn keep(&mut self, slot: usize, tokens: usize) -> bool;

    /// Whether [`Model::keep`] can be relied on for what was computed last.
    fn can_forget(&self) -> bool;

    /// How many bytes a copy of what was computed for `slot` takes.
    fn saved_bytes(&self, slot: usize) -> usize;

    /// Copies what was computed for `slot`; `None` where that fails.
    fn save(&self, slot: usize) -> Option<Self::State>;

    /// Replaces what was computed for `slot` by a copy, of whichever slot; false where that fails.
    fn restore(&mut self, slot: usize, state: &Self::State) -> bool;
}
