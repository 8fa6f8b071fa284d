//! Anthropic's messages.

use crate::chat::Text;

pub mod answer;
pub mod decode;
pub mod encode;
pub mod header;
pub mod render;
mod seal;

/// Whether a neutral seal is of a provider of another dialect.
pub(super) fn is_foreign(seal: &Text) -> bool {
    matches!(seal::Seal::read(seal), seal::Seal::Foreign(_))
}
