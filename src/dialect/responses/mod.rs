//! OpenAI's responses: `POST /v1/responses`.

use crate::chat::Text;

pub mod answer;
pub mod decode;
pub mod encode;
pub mod items;
pub mod render;
pub mod thread;

/// What seals of this dialect's providers begin with once they are neutral: then come the item's id, a colon, and what is
/// encrypted. Whoever sealed a thought is the only one who takes it back.
const SEAL: &str = "openai:";

/// Whether a seal that a client of this dialect sends is of a provider of another one.
pub(super) fn is_foreign(seal: &Text) -> bool {
    ["anthropic.", "gemini."].iter().any(|whose| seal.expose().starts_with(whose))
}
