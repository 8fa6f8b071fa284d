//! Google's Gemini: `models/NAME:generateContent` and `:batchEmbedContents`, which only providers speak here.

pub mod answer;
pub mod embed;
pub mod render;

/// What neutral seals begin with that sign a call: then come the call's number in its answer, a colon, and the signature.
const SIGNED_CALL: &str = "gemini.call:";

/// What neutral seals begin with that sign what was said.
const SIGNED_TEXT: &str = "gemini.text:";
