//! Providers behind an API.

mod openai;

pub use openai::OpenAi;
