//! What a text says once encodings in it are undone, for detectors only: nothing decoded is ever sent or kept.
//!
//! One pass ([`scout`]) says whether anything could be encoded at all; ordinary text ends there. Otherwise each family
//! of encodings yields at most a few views: the stretches in which it was undone, decoded in their place, with enough
//! around them for words that tell what a number is. Views are decoded again, to the depth that the caller asks for.
//!
//! A new family is one file here and one line in [`decode`].

mod bytes;
mod confusables;
mod escape;
mod flip;
mod radix;
mod scout;
mod spelled;
mod spread;
mod windows;

use std::ops::Range;

pub use confusables::skeleton;
pub use flip::rot13;
pub use windows::View;

/// How something was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// As it is, look-alike characters aside.
    #[default]
    Plain,
    /// HTML, URL, JSON or program escapes, quoted-printable.
    Escape,
    /// Base64, either alphabet.
    Base64,
    /// Base32.
    Base32,
    /// Hexadecimal digits.
    Hex,
    /// From back to front.
    Reversed,
    /// Letters shifted by thirteen.
    Rot13,
    /// Character by character.
    Spread,
    /// Figures as words.
    Spelled,
    /// Over several parts of the request.
    Split,
}

impl Encoding {
    /// The name used in records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Escape => "escape",
            Self::Base64 => "base64",
            Self::Base32 => "base32",
            Self::Hex => "hex",
            Self::Reversed => "reversed",
            Self::Rot13 => "rot13",
            Self::Spread => "spread",
            Self::Spelled => "spelled",
            Self::Split => "split",
        }
    }
}

/// Tells chance from what could be meant, for those who look at what was decoded.
pub trait Sieve {
    /// Whether something in a text that was read could be found, or decoded again.
    fn matters(&self, reading: &str) -> bool;

    /// Where in a stretch of `text` something would be found if that were turned: shifted by ROT13, or from back to front,
    /// with or without ROT13.
    fn turned(&self, text: &str, stretch: &Range<usize>, turn: Encoding) -> Vec<Range<usize>>;
}

/// Whether something in a text may be encoded.
pub fn may_be_encoded(text: &str) -> bool {
    let found = scout::scout(text);
    let refers = escape::refers(text, &found.references);
    refers || !scout::Found { references: Vec::new(), ..found }.is_empty()
}

/// What a text says when one layer of encoding is undone.
#[derive(Debug, Default)]
pub struct Decoded {
    /// At most a few views a family.
    pub views: Vec<View>,
    /// Whether a long stretch could not be read: an archive, an image, something encrypted.
    pub opaque: bool,
}

/// Undoes one layer of encoding.
///
/// `turned` says what already was done to the text: turning it again would undo that.
pub fn decode(text: &str, turned: Option<Encoding>, sieve: &dyn Sieve) -> Decoded {
    let found = scout::scout(text);
    if found.is_empty() {
        return Decoded::default();
    }
    let mut read = radix::Read::default();
    read.runs(text, &found.runs, sieve);
    read.wrapped(text, &found.wrapped, sieve);
    read.wrapped(text, &found.wrapped_on, sieve);
    read.pairs(text, &found.pairs, sieve);
    let mut views = read.views;
    views.extend(escape::view(text, &found.references));
    views.extend(spread::views(text, &found.spread, turned.is_some()));
    views.extend(spelled::view(text, &found.spelled));
    if turned != Some(Encoding::Rot13) {
        let stretches = flip::worth(text, &found.random, &found.turned, Encoding::Rot13, sieve);
        views.extend(flip::shifted(text, &stretches));
    }
    if turned.is_none() {
        let mut candidates: Vec<_> = found.numbers.into_iter().chain(found.random).collect();
        scout::outermost(&mut candidates);
        let stretches = flip::worth(text, &candidates, &found.turned, Encoding::Reversed, sieve);
        views.extend(flip::reversed(text, &stretches));
    }
    Decoded { views, opaque: read.opaque }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets everything pass.
    pub struct All;

    impl Sieve for All {
        fn matters(&self, _: &str) -> bool {
            true
        }

        fn turned(&self, _: &str, stretch: &Range<usize>, _: Encoding) -> Vec<Range<usize>> {
            vec![stretch.clone()]
        }
    }
}
