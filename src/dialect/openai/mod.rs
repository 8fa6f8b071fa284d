//! OpenAI's chat completions.

pub mod decode;
pub mod encode;
pub mod read;
