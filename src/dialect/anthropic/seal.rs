//! Whose seal a thought has. Clients of other dialects carry it to and fro as one text, and may then be sent to another
//! provider, who refuses a conversation with a seal that is not its own.

use std::borrow::Cow;

use crate::chat::Text;

const SIGNED: &str = "anthropic.signature:";
const REDACTED: &str = "anthropic.redacted:";
/// What a signature begins with that a client of this dialect keeps for another provider.
const FOREIGN: &str = "ajar.foreign:";

/// What a block of thinking is sealed with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seal<'a> {
    /// The `signature` of a `thinking` block.
    Signature(&'a str),
    /// The `data` of a `redacted_thinking` block.
    Redacted(&'a str),
    /// Another provider's.
    Foreign(&'a str),
}

impl<'a> Seal<'a> {
    /// What `text`, a neutral seal, is.
    pub fn read(text: &'a Text) -> Self {
        let text = text.expose();
        match (text.strip_prefix(SIGNED), text.strip_prefix(REDACTED)) {
            (Some(signature), _) => Self::Signature(signature),
            (None, Some(data)) => Self::Redacted(data),
            (None, None) => Self::Foreign(text),
        }
    }

    /// What the `signature` is that a client of this dialect sends.
    pub fn of_signature(signature: &'a str) -> Self {
        signature.strip_prefix(FOREIGN).map_or(Self::Signature(signature), Self::Foreign)
    }

    /// What a client of this dialect is given to keep: the `signature`, or the `data`.
    pub fn shown(self) -> Cow<'a, str> {
        match self {
            Self::Signature(text) | Self::Redacted(text) => text.into(),
            Self::Foreign(text) => format!("{FOREIGN}{text}").into(),
        }
    }

    /// The neutral seal.
    pub fn text(self) -> Text {
        match self {
            Self::Signature(signature) => format!("{SIGNED}{signature}").into(),
            Self::Redacted(data) => format!("{REDACTED}{data}").into(),
            Self::Foreign(text) => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_says_whose_it_is() {
        for seal in [Seal::Signature("a"), Seal::Redacted("a"), Seal::Foreign("a")] {
            assert!(Seal::read(&seal.text()) == seal);
        }
        for seal in [Seal::Signature("a"), Seal::Foreign("a")] {
            assert!(Seal::of_signature(&seal.shown()) == seal);
        }
    }
}
