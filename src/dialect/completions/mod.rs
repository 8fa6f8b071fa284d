//! OpenAI's legacy `POST /v1/completions`: a text that is no conversation, and what comes after it.

pub mod decode;
pub mod encode;
