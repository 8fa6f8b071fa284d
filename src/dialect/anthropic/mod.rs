//! Anthropic's messages.

pub mod answer;
pub mod decode;
pub mod encode;
pub mod header;
pub mod render;
mod seal;
