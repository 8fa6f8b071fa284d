//! OpenAI's client dialect.

pub mod decode;
pub mod edit;
pub mod encode;
pub mod error;
mod field;
pub mod read;
pub mod sse;
mod uses;
mod walk;

pub use uses::{Feature, Uses};
