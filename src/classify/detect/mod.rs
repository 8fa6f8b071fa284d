//! The recognisers. Each looks at folded text from a place that may start something and says what it is, or nothing.
//!
//! All are total, bounded in how far they look, and never look across parts. A new kind is one file here and one
//! call in [`look`](super::look).

mod card;
mod context;
mod crypto;
mod digits;
mod email;
mod iban;
mod ip;
mod labels;
mod mac;
mod national;
mod phone;
mod secret;
mod ssn;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use card::card;
pub use context::Contexts;
pub use crypto::{ETH_WORDS, btc_address, eth_address};
pub use digits::Cluster;
pub use email::email_around;
pub use iban::iban_at;
pub use ip::{ipv4_in, ipv6_around};
pub use labels::{DEFAULT_WORDS, Labels, Lists};
pub use mac::{mac_around, mac_at};
pub use national::{National, Nationals};
pub use phone::phone;
pub use secret::Secrets;
pub use ssn::{SSN_WORDS, ssn};

use super::decode::rot13;
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

/// How sure a hit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidate {
    /// By itself, by how it is written, or by a word nearby.
    Certain(Hit),
    /// All of its text: it depends on whether the request speaks of such things.
    InContext(Hit),
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
    /// Bitcoin address: base58check or bech32.
    BtcAddress,
    /// Ethereum address: mixed case (EIP-55), or beside words that name it.
    EthAddress,
    /// Another country's identifier.
    National(&'static National),
}

/// Names of the recognisers that are not national ones in a table.
const FIRST_NAMES: [&str; 5] = ["pan_luhn", "iban_mod97", "us_ssn", "btc_address", "eth_address"];

impl Recognizer {
    /// Every name, for suggestions.
    pub const NAMES: [&'static str; FIRST_NAMES.len() + national::COUNT] = {
        let mut names = [""; FIRST_NAMES.len() + national::COUNT];
        let mut at = 0;
        while at < names.len() {
            names[at] = if at < FIRST_NAMES.len() { FIRST_NAMES[at] } else { national::NAMES[at - FIRST_NAMES.len()] };
            at += 1;
        }
        names
    };

    /// The recogniser of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "pan_luhn" => Self::PanLuhn,
            "iban_mod97" => Self::IbanMod97,
            "us_ssn" => Self::UsSsn,
            "btc_address" => Self::BtcAddress,
            "eth_address" => Self::EthAddress,
            _ => Self::National(national::all().find(|national| national.name == name)?),
        })
    }

    /// What a finding of it is called, and the lower-case words that name such a thing where a number alone does not.
    pub(super) fn entity(self) -> (Entity, &'static [&'static str]) {
        match self {
            Self::PanLuhn => ("card", &[]),
            Self::IbanMod97 => ("iban", &[]),
            Self::UsSsn => ("us_ssn", &SSN_WORDS),
            Self::BtcAddress => ("btc_address", &[]),
            Self::EthAddress => ("eth_address", &ETH_WORDS),
            Self::National(national) => (national.name, national.words),
        }
    }
}

/// A versioned set of patterns, by its name in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternSet {
    /// E-mail addresses, telephone numbers, IP and MAC addresses.
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

/// Whether one of these lower-case words names what stands at a place.
pub type Named<'n> = dyn Fn(&Range<usize>, &[&str]) -> bool + 'n;

/// Whether one of the lower-case `words` stands in the 64 bytes before or the 32 bytes after `span`.
pub fn is_named(text: &[u8], span: &Range<usize>, words: &[&str]) -> bool {
    let after = &text[span.end..text.len().min(span.end + 32)];
    mentioned_before(text, span.start, 64, words) || mentions(after, words)
}

/// Whether one of the lower-case `words` stands in `text` with no letter on either side, in any case; as it is, or in
/// ROT13, which leaves the figures beside it as they are.
pub fn mentions(text: &[u8], words: &[&str]) -> bool {
    // Counting them all is faster than to stop at the first.
    if text.iter().filter(|b| b.is_ascii_alphabetic()).count() == 0 {
        return false;
    }
    let starts = |at: &usize| text[*at].is_ascii_alphabetic() && !(*at > 0 && text[*at - 1].is_ascii_alphabetic());
    let stands_at = |word: &[u8], at: usize| {
        let here = text.get(at..at + word.len());
        let same = |turn: fn(u8) -> u8| {
            here.is_some_and(|here| here.iter().zip(word).all(|(a, b)| turn(*a).eq_ignore_ascii_case(b)))
        };
        (same(std::convert::identity) || same(rot13)) && !text.get(at + word.len()).is_some_and(u8::is_ascii_alphabetic)
    };
    (0..text.len()).filter(starts).any(|at| {
        let first = text[at].to_ascii_lowercase();
        let begins = |word: &&&str| [first, rot13(first)].contains(&word.as_bytes()[0]);
        words.iter().filter(begins).any(|word| stands_at(word.as_bytes(), at))
    })
}
