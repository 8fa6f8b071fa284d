//! Anthropic's messages.

pub mod answer;
pub mod render;
mod seal;
