//! The recognisers. Each looks at folded text from a place that may start something and says what it is, or nothing.
//!
//! All are total, bounded in how far they look, and never look across parts. A new family is one file here and one
//! arm in [`Family`].

mod card;
mod digits;
mod email;
mod entropy;
mod iban;
mod ip;
mod labels;
mod phone;
mod secret;
mod ssn;
#[cfg(test)]
mod tests;
mod vendors;

use std::ops::Range;

pub use card::card;
pub use digits::{Cluster, cluster_at};
pub use email::email_around;
pub use iban::iban_at;
pub use ip::{ipv4_in, ipv6_around};
pub use labels::{DEFAULT_WORDS, Labels};
pub use phone::phone;
pub use secret::Secrets;
pub use ssn::{Ssn, ssn, ssn_context};

use super::signals::Entity;

/// Something recognised in one folded text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// What it is.
    pub entity: Entity,
    /// Where, in bytes of the folded text.
    pub span: Range<usize>,
}

impl Hit {
    fn new(entity: Entity, span: Range<usize>) -> Self {
        Self { entity, span }
    }
}

/// A recogniser that a checksum or an issuing rule confirms, by its name in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recognizer {
    /// Payment card number: issuer range, length, Luhn (ISO/IEC 7812-1).
    PanLuhn,
    /// International bank account number: country length, mod 97 (ISO 13616).
    IbanMod97,
    /// US social security number: issuing rules of the SSA; the undashed form only beside words that name it.
    UsSsn,
}

impl Recognizer {
    /// Every name, for suggestions.
    pub const NAMES: [&'static str; 3] = ["pan_luhn", "iban_mod97", "us_ssn"];

    /// The recogniser of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pan_luhn" => Self::PanLuhn,
            "iban_mod97" => Self::IbanMod97,
            "us_ssn" => Self::UsSsn,
            _ => return None,
        })
    }

    pub(super) fn family(self) -> Family {
        match self {
            Self::PanLuhn => Family::Card,
            Self::IbanMod97 => Family::Iban,
            Self::UsSsn => Family::Ssn,
        }
    }
}

/// A versioned set of patterns, by its name in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternSet {
    /// E-mail addresses, telephone numbers, IP addresses.
    Contact,
    /// Private keys, tokens, vendors' API keys, passwords in URLs and assignments.
    Secrets,
    /// The usual confidentiality markings; a policy's own `words` make a `Label` instead.
    DocumentLabels,
}

impl PatternSet {
    /// Every name, for suggestions.
    pub const NAMES: [&'static str; 3] = ["contact@1", "secrets@1", "document-labels@1"];

    /// The set of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "contact@1" => Self::Contact,
            "secrets@1" => Self::Secrets,
            "document-labels@1" => Self::DocumentLabels,
            _ => return None,
        })
    }
}

/// What is looked for in one go; detectors are made of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Family {
    /// Payment cards.
    Card,
    /// Bank accounts.
    Iban,
    /// US social security numbers.
    Ssn,
    /// E-mail, telephone, IP.
    Contact,
    /// Keys, tokens, passwords.
    Secret,
}

impl Family {
    /// How many there are.
    pub const COUNT: usize = 5;
}

/// Whether the byte belongs to a word of the kind that identifiers and keys are made of.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a word byte stands right before `at`.
fn word_before(text: &[u8], at: usize) -> bool {
    at > 0 && is_word(text[at - 1])
}

/// Whether a word byte stands at `at`.
fn word_at(text: &[u8], at: usize) -> bool {
    text.get(at).is_some_and(|b| is_word(*b))
}

/// Whether one of the lower-case `words` stands, as a whole word, in the `reach` bytes before `at`.
fn mentioned_before(text: &[u8], at: usize, reach: usize, words: &[&str]) -> bool {
    mentions(&text[at.saturating_sub(reach)..at], words)
}

/// Whether one of the lower-case `words` stands in `text` with no letter on either side, in any case.
fn mentions(text: &[u8], words: &[&str]) -> bool {
    let starts = |at: &usize| text[*at].is_ascii_alphabetic() && !(*at > 0 && text[*at - 1].is_ascii_alphabetic());
    let stands_at = |word: &[u8], at: usize| {
        let here = text.get(at..at + word.len()).is_some_and(|w| w.eq_ignore_ascii_case(word));
        here && !text.get(at + word.len()).is_some_and(u8::is_ascii_alphabetic)
    };
    (0..text.len()).filter(starts).any(|at| words.iter().any(|word| stands_at(word.as_bytes(), at)))
}
