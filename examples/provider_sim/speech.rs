//! What differs between wire formats in how an answer fails.

use bytes::Bytes;

use super::{
    anthropic, gemini,
    quirks::Quirk,
    responses,
    wire::{self, ApiError},
};

/// Whose words an answer is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    OpenAi,
    Responses,
    Anthropic,
    Gemini,
    Quirky(Quirk),
}

impl Speech {
    /// Of the answers on `path`.
    pub fn on(path: &str, quirk: Option<Quirk>) -> Self {
        match quirk {
            Some(quirk) => Self::Quirky(quirk),
            None if path.starts_with("/v1/messages") => Self::Anthropic,
            None if path.starts_with("/v1/responses") => Self::Responses,
            None if gemini::called(path).is_some() => Self::Gemini,
            None => Self::OpenAi,
        }
    }

    /// An error as a document.
    pub fn error(self, error: &ApiError) -> Bytes {
        match self {
            Self::OpenAi | Self::Responses => error.document(),
            Self::Anthropic => anthropic::error(error),
            Self::Gemini => gemini::error(error),
            Self::Quirky(quirk) => quirk.error(error).to_string().into(),
        }
    }

    /// The error of a status as an event in a stream.
    pub fn error_event(self, status: u16) -> Bytes {
        let error = ApiError::of_status(status);
        match self {
            Self::OpenAi => error.event(),
            Self::Responses => responses::error_event(&error),
            Self::Anthropic => anthropic::error_event(&error),
            Self::Gemini => gemini::error_event(&error),
            Self::Quirky(quirk) => quirk.error_event(&error),
        }
    }

    /// Whether `event` is the marker that ends a stream; Google has none.
    pub fn is_end(self, event: &[u8]) -> bool {
        match self {
            Self::OpenAi | Self::Quirky(_) => event == wire::DONE,
            Self::Responses => event.starts_with(responses::END),
            Self::Anthropic => event == anthropic::STOP,
            Self::Gemini => false,
        }
    }

    /// An event whose JSON breaks off.
    pub fn malformed(self) -> &'static [u8] {
        match self {
            Self::OpenAi | Self::Quirky(_) => wire::MALFORMED,
            Self::Responses => responses::MALFORMED,
            Self::Anthropic => anthropic::MALFORMED,
            Self::Gemini => gemini::MALFORMED,
        }
    }

    /// A well-formed content event of about `bytes` bytes.
    pub fn oversized_event(self, bytes: usize) -> Bytes {
        match self {
            Self::OpenAi | Self::Quirky(_) => wire::oversized_event(bytes),
            Self::Responses => responses::oversized_event(bytes),
            Self::Anthropic => anthropic::oversized_event(bytes),
            Self::Gemini => gemini::oversized_event(bytes),
        }
    }
}
