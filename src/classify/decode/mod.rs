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
pub fn decode(text: &str, turned: Option<Encoding>) -> Decoded {
    let found = scout::scout(text);
    if found.is_empty() {
        return Decoded::default();
    }
    let mut read = radix::Read::default();
    read.runs(text, &found.runs);
    read.wrapped(text, &found.wrapped);
    read.wrapped(text, &found.wrapped_on);
    read.pairs(text, &found.pairs);
    let mut views = read.views;
    views.extend(escape::view(text, &found.references));
    views.extend(spread::views(text, &found.spread, turned.is_some()));
    views.extend(spelled::view(text, &found.spelled));
    if turned != Some(Encoding::Rot13) {
        views.extend(flip::shifted(text, &found.random));
    }
    if turned.is_none() {
        let mut stretches: Vec<_> = found.numbers.into_iter().chain(found.random).collect();
        scout::outermost(&mut stretches);
        views.extend(flip::reversed(text, &stretches));
    }
    Decoded { views, opaque: read.opaque }
}
