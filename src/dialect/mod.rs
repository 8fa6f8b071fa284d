//! The wire formats, as pure functions from bytes to bytes: what clients speak, and what providers speak.
//!
//! Each dialect is a folder. A client's side (`client`) decodes bodies and encodes answers; a provider's side (`wire`)
//! renders requests and reads answers. In between stand the neutral words of [`crate::chat`], so that every dialect
//! meets every other. Nothing here does I/O or reads a clock.

pub mod anthropic;
mod client;
pub mod completions;
mod draft;
pub mod edit;
pub mod embeddings;
pub mod error;
pub mod faithful;
mod field;
pub mod gemini;
pub mod id;
pub mod moderations;
pub mod openai;
pub mod refusal;
pub mod responses;
pub mod sse;
#[cfg(test)]
mod testing;
mod uses;
mod walk;
mod wire;

pub use client::{AnswerMeta, BadRequest, Decoded, Dialect, StreamEncoder};
pub use draft::SERVICE_TIER;
pub use uses::{Feature, Uses};
pub use wire::{Progress, ReadError, Rendered, StreamReader, Target, Unfit, Wire};
