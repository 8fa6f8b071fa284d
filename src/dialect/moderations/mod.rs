//! OpenAI's `POST /v1/moderations`.

pub mod answer;
pub mod decode;
