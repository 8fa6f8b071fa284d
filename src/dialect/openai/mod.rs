//! OpenAI's chat completions.

pub mod answer;
pub mod decode;
pub mod encode;
pub mod read;
pub mod render;
pub(in crate::dialect) mod sampling;
pub(in crate::dialect) mod shape;
pub(in crate::dialect) mod usage;
