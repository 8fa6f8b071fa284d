//! In which languages a text is written, by the trigrams of its blocks (crate `whatlang`). An opinion, so statistical.
//!
//! Only prose is judged: lines that look like code or data are passed over, and so is what is too short to tell.

use std::ops::Range;

use whatlang::{Info, Lang};

use super::Truth;

/// Fewest letters of a block that is judged. One of a script with thousands of letters says as much as [`DENSE`].
const ENOUGH: usize = 60;
/// From so many letters on, not being able to tell is *unknown*; fewer may be names, or half a sentence.
const LONG: usize = 240;
/// As many letters as are judged at once: judging costs about as much for one as for a thousand.
const BLOCK: usize = 1_500;
/// What a letter of a language without an alphabet counts.
const DENSE: usize = 4;
/// From this confidence on, another language is one: kin languages, such as Danish and Norwegian, leave less of it.
const CONFIDENT: f64 = 0.5;

/// A language, by its two letters of ISO 639-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Language(Lang);

#[rustfmt::skip]
const KNOWN: [(&str, Lang); 70] = [
    ("af", Lang::Afr), ("ak", Lang::Aka), ("am", Lang::Amh), ("ar", Lang::Ara), ("az", Lang::Aze), ("be", Lang::Bel),
    ("bg", Lang::Bul), ("bn", Lang::Ben), ("ca", Lang::Cat), ("cs", Lang::Ces), ("cy", Lang::Cym), ("da", Lang::Dan),
    ("de", Lang::Deu), ("el", Lang::Ell), ("en", Lang::Eng), ("eo", Lang::Epo), ("es", Lang::Spa), ("et", Lang::Est),
    ("fa", Lang::Pes), ("fi", Lang::Fin), ("fr", Lang::Fra), ("gu", Lang::Guj), ("he", Lang::Heb), ("hi", Lang::Hin),
    ("hr", Lang::Hrv), ("hu", Lang::Hun), ("hy", Lang::Hye), ("id", Lang::Ind), ("it", Lang::Ita), ("ja", Lang::Jpn),
    ("jv", Lang::Jav), ("ka", Lang::Kat), ("km", Lang::Khm), ("kn", Lang::Kan), ("ko", Lang::Kor), ("la", Lang::Lat),
    ("lt", Lang::Lit), ("lv", Lang::Lav), ("mk", Lang::Mkd), ("ml", Lang::Mal), ("mr", Lang::Mar), ("my", Lang::Mya),
    ("nb", Lang::Nob), ("ne", Lang::Nep), ("nl", Lang::Nld), ("or", Lang::Ori), ("pa", Lang::Pan), ("pl", Lang::Pol),
    ("pt", Lang::Por), ("ro", Lang::Ron), ("ru", Lang::Rus), ("si", Lang::Sin), ("sk", Lang::Slk), ("sl", Lang::Slv),
    ("sn", Lang::Sna), ("sr", Lang::Srp), ("sv", Lang::Swe), ("ta", Lang::Tam), ("te", Lang::Tel), ("th", Lang::Tha),
    ("tk", Lang::Tuk), ("tl", Lang::Tgl), ("tr", Lang::Tur), ("uk", Lang::Ukr), ("ur", Lang::Urd), ("uz", Lang::Uzb),
    ("vi", Lang::Vie), ("yi", Lang::Yid), ("zh", Lang::Cmn), ("zu", Lang::Zul),
];

impl Language {
    /// All codes.
    pub const NAMES: [&'static str; KNOWN.len()] = {
        let mut names = [""; KNOWN.len()];
        let mut at = 0;
        while at < names.len() {
            names[at] = KNOWN[at].0;
            at += 1;
        }
        names
    };

    /// The language with this code.
    pub fn parse(code: &str) -> Option<Self> {
        KNOWN.iter().find(|(known, _)| *known == code).map(|(_, lang)| Self(*lang))
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        KNOWN.iter().find(|(_, lang)| *lang == self.0).map_or("", |(code, _)| code)
    }
}

/// A stretch of prose that is, or may be, in another language than it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The detector that says so.
    pub detector: u16,
    /// [`Truth::True`] or [`Truth::Unknown`].
    pub truth: Truth,
    /// The likeliest language.
    pub code: &'static str,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
}

/// The detectors that know which languages a request may speak.
#[derive(Debug, Default)]
pub struct Languages {
    /// By index of the detector, the languages that it lets pass.
    usual: Vec<(u16, Vec<Language>)>,
}

impl Languages {
    /// Adds a detector that finds whatever is in none of `usual`.
    pub fn add(&mut self, detector: u16, usual: &[Language]) {
        self.usual.push((detector, usual.to_vec()));
    }

    /// What of `text` is in another language.
    pub fn look(&self, text: &str) -> Vec<Foreign> {
        if self.usual.is_empty() {
            return Vec::new();
        }
        let mut foreign = Vec::new();
        for block in blocks(text) {
            let Some(info) = whatlang::detect(&block.prose) else { continue };
            for (detector, usual) in &self.usual {
                let truth = judge(&info, usual, block.letters);
                if truth.is_possible() {
                    let code = Language(info.lang()).code();
                    foreign.push(Foreign { detector: *detector, truth, code, span: block.span.clone() });
                }
            }
        }
        foreign
    }
}

/// Whether it is in none of the `usual` languages.
fn judge(info: &Info, usual: &[Language], letters: usize) -> Truth {
    let script = info.script();
    let (written, spoken) = (script.langs(), Language(info.lang()));
    if usual.contains(&spoken) {
        Truth::False
    } else if info.confidence() >= CONFIDENT || !usual.iter().any(|language| written.contains(&language.0)) {
        Truth::True
    } else if letters >= LONG {
        Truth::Unknown
    } else {
        Truth::False
    }
}

// === prose

/// Prose that stands together.
struct Block {
    prose: String,
    letters: usize,
    span: Range<usize>,
}

/// The prose of `text`, in blocks that are long enough to be judged. A block ends with its paragraph, if it can.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut block = Block { prose: String::new(), letters: 0, span: 0..0 };
    let (mut at, mut fenced) = (0, false);
    for line in text.split_inclusive('\n') {
        let start = at;
        at += line.len();
        fenced ^= line.trim_start().starts_with("```");
        let blank = line.trim().is_empty();
        if !fenced && is_prose(line) {
            for piece in pieces(line) {
                let span = start + piece.start..start + piece.end;
                block.add(&line[piece], span);
                if block.letters >= BLOCK {
                    blocks.push(block.take());
                }
            }
        } else if blank && block.letters >= ENOUGH {
            blocks.push(block.take());
        }
    }
    blocks.extend((block.letters >= ENOUGH).then_some(block));
    blocks
}

impl Block {
    fn add(&mut self, prose: &str, span: Range<usize>) {
        if self.prose.is_empty() {
            self.span.start = span.start;
        }
        self.span.end = span.end;
        self.letters += letters(prose);
        self.prose.push_str(prose);
    }

    fn take(&mut self) -> Self {
        std::mem::replace(self, Self { prose: String::new(), letters: 0, span: 0..0 })
    }
}

/// A line in pieces of at most [`BLOCK`] bytes or so: some put a whole book on one.
fn pieces(line: &str) -> Vec<Range<usize>> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    while start < line.len() {
        let end = line.floor_char_boundary((start + BLOCK).min(line.len()));
        pieces.push(start..end);
        start = end;
    }
    pieces
}

fn letters(text: &str) -> usize {
    text.chars().filter(|c| c.is_alphabetic()).map(|c| if is_dense(c) { DENSE } else { 1 }).sum()
}

/// Chinese characters, kana and Hangul.
fn is_dense(c: char) -> bool {
    matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}')
}

/// Whether most of its words are nothing but letters, with the signs of prose around them, and not all of them names. Code
/// and data have others.
fn is_prose(line: &str) -> bool {
    let (mut words, mut plain, mut names, mut dense) = (0, 0, 0, 0);
    for word in line.split_whitespace() {
        let bare = word.trim_matches(is_sign);
        words += 1;
        plain += usize::from(!bare.is_empty() && bare.chars().all(is_of_words));
        names += usize::from(is_capitalised(bare));
        dense += bare.chars().filter(|c| is_dense(*c)).count();
    }
    let spaced = words >= 3 && plain * 4 >= words * 3 && names * 3 <= words * 2;
    // Scripts without spaces have few words, and long ones.
    spaced || dense * DENSE >= ENOUGH / 2 || (plain > 0 && plain == words && letters(line) >= ENOUGH && names == 0)
}

/// What may stand around a word in prose.
fn is_sign(c: char) -> bool {
    c.is_ascii_punctuation() && !matches!(c, '{' | '}' | '(' | ')' | '=' | '_')
}

fn is_of_words(c: char) -> bool {
    !c.is_ascii() || c.is_ascii_alphabetic() || matches!(c, '\'' | '-')
}

fn is_capitalised(word: &str) -> bool {
    let mut chars = word.chars();
    chars.next().is_some_and(char::is_uppercase) && chars.next().is_some_and(char::is_lowercase)
}

#[cfg(test)]
mod tests;
