//! OpenAI's `POST /v1/embeddings`.

pub mod answer;
pub mod decode;
pub mod encode;
