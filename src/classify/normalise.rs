//! Folds text to the form detectors look at: what a reader or a model would take for the same characters becomes the
//! same ASCII, and every position leads back to the text as it was sent.
//!
//! The fold is Unicode's compatibility decomposition (NFKD, UAX #15) with combining marks dropped, so that "４１１１",
//! "٤١١١" and "4\u{336}111" all read `4111`; invisible characters are removed, digits of every script become ASCII,
//! and dashes, spaces, quotes and middle dots become their plain forms. Tag characters (U+E0020–U+E007E), which
//! show nothing but spell ASCII to a model, are decoded and appended to their paragraph after a line break.
//!
//! ASCII text is borrowed: nothing is copied.

use std::fmt;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::mapped::Mapped;
use crate::chat::text::redacted;

/// Longest text, before and after folding, that is looked at; bytes.
pub const MAX_BYTES: usize = 8 << 20;

/// Folded text and the way back to the original.
pub enum Normalised<'a> {
    /// The text is its own fold.
    Same(&'a str),
    /// Something was folded.
    Folded(Mapped),
}

impl fmt::Debug for Normalised<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Same(text) => redacted(f, "Same", text.len()),
            Self::Folded(folded) => f.debug_tuple("Folded").field(folded).finish(),
        }
    }
}

impl<'a> Normalised<'a> {
    /// Folds `text`; `None` if it is too long to look at.
    pub fn new(text: &'a str) -> Option<Self> {
        if text.len() > MAX_BYTES {
            return None;
        }
        if text.is_ascii() {
            return Some(Self::Same(text));
        }
        Folder::with_capacity(text.len()).fold(text)
    }

    /// The folded text.
    pub fn text(&self) -> &str {
        match self {
            Self::Same(text) => text,
            Self::Folded(mapped) => mapped.text(),
        }
    }

    /// The range of the original text that a range of the folded text came from, on character boundaries.
    pub fn original(&self, folded: Range<usize>) -> Range<usize> {
        match self {
            Self::Same(_) => folded,
            Self::Folded(mapped) => mapped.original(folded),
        }
    }
}

/// Folds a text that takes part in comparisons but has no position to report, such as a configured label.
pub fn fold(text: &str) -> String {
    Normalised::new(text).map(|n| n.text().to_owned()).unwrap_or_default()
}

struct Folder {
    made: Mapped,
    /// Decoded tag characters with where they stood.
    tags: Vec<(char, usize)>,
}

impl Folder {
    fn with_capacity(bytes: usize) -> Self {
        Self { made: Mapped::with_capacity(bytes), tags: Vec::new() }
    }

    fn fold<'a>(mut self, text: &str) -> Option<Normalised<'a>> {
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            let ascii = rest.bytes().position(|b| !b.is_ascii()).unwrap_or(rest.len());
            self.copy(&rest[..ascii], at);
            at += ascii;
            if let Some(c) = text[at..].chars().next() {
                self.push(c, at);
                at += c.len_utf8();
            }
            if self.made.text().len() > MAX_BYTES {
                return None;
            }
        }
        self.append_tags();
        Some(Normalised::Folded(self.made))
    }

    fn push(&mut self, c: char, original: usize) {
        let length = c.len_utf8();
        if let '\u{E0020}'..='\u{E007E}' = c {
            self.tags.extend(char::from_u32(c as u32 - 0xE0000).map(|tag| (tag, original)));
        } else if is_invisible(c) || is_combining_mark(c) {
            // Dropped: what stands before and after it is read as one.
        } else if let Some(plain) = plain_form(c) {
            self.made.replace([plain], original, length);
        } else if is_stable(c) {
            self.made.copy(c.encode_utf8(&mut [0; 4]), original);
        } else {
            self.made.replace(decompose(c), original, length);
        }
    }

    /// Adds ASCII text. Tag characters of a paragraph follow at its end, so that no other paragraph changes what they say.
    fn copy(&mut self, text: &str, original: usize) {
        let end = if self.tags.is_empty() { None } else { paragraph_end(text) };
        let end = end.unwrap_or(text.len());
        self.made.copy(&text[..end], original);
        if end < text.len() {
            self.append_tags();
            self.made.copy(&text[end..], original + end);
        }
    }

    /// Each run of tag characters on a line of its own; where there are several, also what they spell together.
    fn append_tags(&mut self) {
        let tags = std::mem::take(&mut self.tags);
        let is_apart = |i: usize| tags[i - 1].1 + TAG_BYTES < tags[i].1;
        self.append_lines(&tags, is_apart);
        if (1..tags.len()).any(is_apart) {
            self.append_lines(&tags, |_| false);
        }
    }

    /// The tags, with a line break before the first and before each for which `breaks` says so.
    fn append_lines(&mut self, tags: &[(char, usize)], breaks: impl Fn(usize) -> bool) {
        for (i, (tag, original)) in tags.iter().enumerate() {
            if i == 0 || breaks(i) {
                self.made.replace(['\n'], *original, TAG_BYTES);
            }
            self.made.replace([*tag], *original, TAG_BYTES);
        }
    }
}

/// Where the first paragraph ends, if another one follows.
fn paragraph_end(text: &str) -> Option<usize> {
    [text.find("\n\n"), text.find("\n\r\n")].into_iter().flatten().min()
}

/// What a tag character takes in UTF-8.
const TAG_BYTES: usize = '\u{E0020}'.len_utf8();

fn decompose(c: char) -> impl Iterator<Item = char> {
    std::iter::once(c).nfkd().filter(|c| !is_combining_mark(*c)).map(|c| plain_form(c).unwrap_or(c))
}

/// Large blocks without decompositions, so that Chinese, Japanese kana and emoji skip the tables.
fn is_stable(c: char) -> bool {
    matches!(c, '\u{3041}'..='\u{304A}' | '\u{4E00}'..='\u{9FFF}' | '\u{1F300}'..='\u{1FAFF}' | '\u{0430}'..='\u{0438}' | '\u{043A}'..='\u{044F}')
}

/// Characters that show nothing (Unicode's `Default_Ignorable_Code_Point`) and the soft hyphen.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}'
        | '\u{180B}'..='\u{180F}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}'
        | '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}'
        | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}' | '\u{E0000}'..='\u{E0FFF}')
}

/// The ASCII character that does the same work, where decomposition does not already find it.
fn plain_form(c: char) -> Option<char> {
    Some(match c {
        '\u{2010}'..='\u{2015}' | '\u{2043}' | '\u{2212}' | '\u{30FC}' | '\u{FE58}' => '-',
        '\u{1680}' => ' ',
        '\u{0085}' | '\u{2028}' | '\u{2029}' => '\n',
        '\u{00B7}' | '\u{2022}' | '\u{2027}' | '\u{2219}' | '\u{22C5}' | '\u{30FB}' | '\u{3002}' => '.',
        '\u{2018}'..='\u{201B}' => '\'',
        '\u{201C}'..='\u{201F}' => '"',
        '\u{2044}' | '\u{2215}' => '/',
        _ => return decimal_digit(c),
    })
}

/// A decimal digit of another script as ASCII.
fn decimal_digit(c: char) -> Option<char> {
    let at = DIGIT_ZEROS.partition_point(|zero| *zero <= c as u32);
    let zero = *DIGIT_ZEROS.get(at.checked_sub(1)?)?;
    char::from_digit((c as u32 - zero).min(10), 10)
}

/// Code points of the digit zero of each script (general category `Nd`) that does not decompose to ASCII, ascending.
const DIGIT_ZEROS: [u32; 42] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0CE6, 0x0D66, 0x0DE6, 0x0E50,
    0x0ED0, 0x0F20, 0x1040, 0x1090, 0x17E0, 0x1810, 0x1946, 0x19D0, 0x1A80, 0x1A90, 0x1B50, 0x1BB0, 0x1C40, 0x1C50,
    0xA620, 0xA8D0, 0xA900, 0xA9D0, 0xA9F0, 0xAA50, 0xABF0, 0x104A0, 0x10D30, 0x11066, 0x110F0, 0x11136, 0x111D0,
    0x112F0,
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Normalised, fold};

    #[test]
    fn ascii_is_borrowed() {
        let folded = Normalised::new("plain text").unwrap();
        assert!(matches!(folded, Normalised::Same("plain text")));
    }

    #[test]
    fn look_alikes_fold_to_ascii() {
        for (text, expected, what) in [
            ("４１１１", "4111", "full width"),
            ("٤١١١", "4111", "Arabic-Indic"),
            ("४१११", "4111", "Devanagari"),
            ("𝟒𝟏𝟏𝟏", "4111", "mathematical bold"),
            ("41\u{200B}1\u{AD}1", "4111", "zero width and soft hyphen"),
            ("4\u{336}1\u{336}11", "4111", "struck through"),
            ("4111–1111−1111", "4111-1111-1111", "dashes"),
            ("41\u{A0}11\u{2009}11", "41 11 11", "spaces"),
            ("“key”", "\"key\"", "quotes"),
            ("a＠b．com", "a@b.com", "full-width punctuation"),
            ("naïve Ŝtring", "naive String", "accents"),
            ("中文 and 絵文字 🙂", "中文 and 絵文字 🙂", "nothing to fold"),
        ] {
            assert_eq!(fold(text), expected, "{what}");
        }
    }

    #[test]
    fn tag_characters_are_read_as_the_text_they_smuggle() {
        let hidden: String = "key".chars().filter_map(|c| char::from_u32(c as u32 + 0xE0000)).collect();
        let text = format!("hello{hidden} you");
        let folded = Normalised::new(&text).unwrap();
        assert_eq!(folded.text(), "hello you\nkey");
        assert_eq!(&text[folded.original(10..13)], hidden);
    }

    #[test]
    fn runs_of_tag_characters_are_read_apart_and_together() {
        let tags = |text: &str| -> String { text.chars().filter_map(|c| char::from_u32(c as u32 + 0xE0000)).collect() };
        assert_eq!(fold(&format!("a{}b{}c", tags("key"), tags("s"))), "abc\nkey\ns\nkeys");
        assert_eq!(fold(&format!("a{}\n\nb{}", tags("12"), tags("34"))), "a\n12\n\nb\n34");
    }

    #[test]
    fn spans_lead_back_to_the_original() {
        let text = "é ４\u{200B}２ x";
        let folded = Normalised::new(text).unwrap();
        assert_eq!(folded.text(), "e 42 x");
        assert_eq!(&text[folded.original(2..4)], "４\u{200B}２");
        assert_eq!(&text[folded.original(5..6)], "x");
    }

    proptest! {
        #[test]
        fn every_folded_range_maps_to_whole_characters(text in "\\PC{0,40}") {
            let folded = Normalised::new(&text).unwrap();
            let bounds: Vec<usize> = folded.text().char_indices().map(|(i, _)| i).chain([folded.text().len()]).collect();
            for pair in bounds.windows(2) {
                let original = folded.original(pair[0]..pair[1]);
                prop_assert!(text.get(original).is_some());
            }
        }

        #[test]
        fn folding_twice_changes_nothing(text in "[^%\\\\\\pC]{0,40}") {
            prop_assert_eq!(fold(&fold(&text)), fold(&text));
        }
    }
}
