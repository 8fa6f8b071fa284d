//! One pass over a text that says whether anything in it could be encoded, and where. Ordinary prose has nothing.

mod rows;

use std::ops::Range;

use self::rows::Row;
use super::flip::rot13;
use super::{radix, spelled, spread};

/// Where something may be encoded. All ranges are in order and on ASCII characters.
#[derive(Debug, Default)]
pub struct Found {
    /// Beginnings of references: `&`, `%`, `\`, `=`.
    pub references: Vec<usize>,
    /// Words that do not look like words of a language: base64 and its like.
    pub runs: Vec<Range<usize>>,
    /// The same, of several words of one length.
    pub wrapped: Vec<Range<usize>>,
    /// The same, with what may be its last piece or the next word.
    pub wrapped_on: Vec<Range<usize>>,
    /// Hexadecimal digits two by two.
    pub pairs: Vec<Range<usize>>,
    /// Numbers, which may be turned round.
    pub numbers: Vec<Range<usize>>,
    /// Words with letters and figures, which may be turned round or shifted.
    pub random: Vec<Range<usize>>,
    /// References that were turned round or shifted.
    pub turned: Vec<Range<usize>>,
    /// Rows of single characters.
    pub spread: Vec<Range<usize>>,
    /// Rows of figures spelled as words.
    pub spelled: Vec<Range<usize>>,
}

impl Found {
    /// Whether there is nothing to decode.
    pub fn is_empty(&self) -> bool {
        self.references.is_empty()
            && self.runs.is_empty()
            && self.wrapped.is_empty()
            && self.wrapped_on.is_empty()
            && self.pairs.is_empty()
            && self.numbers.is_empty()
            && self.random.is_empty()
            && self.turned.is_empty()
            && self.spread.is_empty()
            && self.spelled.is_empty()
    }
}

const SMALL: u8 = 1;
const CAPITAL: u8 = 2;
const FIGURE: u8 = 4;
/// `+`, `/`, `-`, `_`: in words of base64, and in many others.
const SIGN: u8 = 8;
const REFERENCE: u8 = 16;
/// Bytes of which words are made here.
const WORD: u8 = SMALL | CAPITAL | FIGURE | SIGN;

const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        classes[byte] = match byte as u8 {
            b'a'..=b'z' => SMALL,
            b'A'..=b'Z' => CAPITAL,
            b'0'..=b'9' => FIGURE,
            b'+' | b'/' | b'-' | b'_' => SIGN,
            b'&' | b'%' | b'\\' | b'=' => REFERENCE,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// Shortest word that may spell bytes.
const SHORTEST_RUN: usize = 8;
/// No word of a language is as long.
const LONGEST_PLAIN: usize = 24;
/// Shortest word with letters and figures that is taken for random.
const SHORTEST_RANDOM: usize = 8;
/// Fewest pairs of hexadecimal digits in a row.
const FEWEST_PAIRS: usize = 5;

/// Looks through the text.
pub fn scout(text: &str) -> Found {
    let mut scout = Scout { text: text.as_bytes(), ..Scout::default() };
    scout.words();
    scout.finish()
}

#[derive(Default)]
struct Scout<'t> {
    text: &'t [u8],
    found: Found,
    singles: Row,
    /// Odd if it is in ROT13.
    pairs: Row,
    pairs_have_letters: bool,
    /// What stands between the first two.
    pairs_gap: Range<usize>,
    /// Where the last begins.
    last_pair: usize,
    spelled: Row,
    figures: Row,
    wrapped: Row,
    /// The last word, and whether it does not look like one.
    before: (Range<usize>, bool),
}

impl Scout<'_> {
    fn words(&mut self) {
        let mut at = 0;
        while at < self.text.len() {
            let class = CLASSES[usize::from(self.text[at])];
            if class & WORD != 0 {
                let start = at;
                let mut rest = 0;
                at += 1;
                while at < self.text.len() {
                    let next = CLASSES[usize::from(self.text[at])];
                    if next & WORD == 0 {
                        break;
                    }
                    rest |= next;
                    at += 1;
                }
                self.word(start..at, class, rest);
                continue;
            }
            if class == REFERENCE {
                self.reference(at);
            }
            at += 1;
        }
    }

    /// A word, the class of its first byte, and the classes of the others.
    fn word(&mut self, word: Range<usize>, first: u8, rest: u8) {
        let classes = first | rest;
        if classes != SIGN && (word.len() == 1 || classes & SIGN != 0 && is_alternating(&self.text[word.clone()])) {
            self.singles(&word);
        } else if classes != SIGN {
            self.end_singles();
        }
        if classes & (SMALL | CAPITAL) != 0 && word.len() <= spelled::MAX_WORD + 2 {
            self.spelled_word(&word);
        }
        if matches!(word.len(), 2 | 4) {
            self.pair(&word);
        }
        if classes & FIGURE != 0 {
            self.figures(&word);
        }
        let odd = word.len() >= SHORTEST_RUN && self.is_odd(&word, classes, rest);
        self.wrapped(&word, odd || classes & FIGURE != 0 || rest & CAPITAL != 0);
        if odd {
            self.odd(word, classes);
        }
    }

    /// Whether a long word looks unlike words of a language and of programs.
    fn is_odd(&self, word: &Range<usize>, classes: u8, rest: u8) -> bool {
        let bytes = &self.text[word.clone()];
        if classes & FIGURE != 0 || rest & CAPITAL != 0 || rest & SIGN == 0 && word.len() >= LONGEST_PLAIN {
            return true;
        }
        if rest & SIGN != 0 {
            return false;
        }
        radix::begins_readable(bytes) || word.len() >= 18 && spelled::is_glued(bytes)
    }

    fn odd(&mut self, word: Range<usize>, classes: u8) {
        let bytes = &self.text[word.clone()];
        let letters = classes & (SMALL | CAPITAL) != 0;
        if word.len() >= 18 && classes & FIGURE == 0 && spelled::is_glued(bytes) {
            self.found.spelled.push(word.clone());
        }
        if classes & SIGN != 0 && is_in_pairs(bytes) {
            self.found.pairs.push(word.clone());
        }
        if word.len() >= SHORTEST_RANDOM && letters && classes & FIGURE != 0 {
            self.found.random.push(word.clone());
        }
        self.found.runs.push(word);
    }

    fn reference(&mut self, at: usize) {
        self.found.references.push(at);
        if self.is_turned(at) {
            let ascii = |text: &mut dyn Iterator<Item = &u8>| text.take(9).take_while(|b| b.is_ascii()).count();
            let start = at - ascii(&mut self.text[..at].iter().rev());
            let end = at + ascii(&mut self.text[at..].iter());
            self.found.turned.push(start..end);
        }
        if spread::separator(&self.text[at..]).is_some() {
            self.found.spread.push(at..at + 1);
        }
    }

    /// Whether the sign at `at` may be of a reference from back to front, which ends with it, or in ROT13, in which its
    /// letters are others.
    fn is_turned(&self, at: usize) -> bool {
        let byte = |offset: usize| self.text.get(at + offset).copied();
        let before = |offset: usize| at.checked_sub(offset).map(|at| self.text[at]);
        let same = Some(self.text[at]);
        let figure = |b: Option<u8>| b.is_some_and(is_hex_turned);
        let thrice = before(3) == same && before(6) == same;
        let letters = match self.text[at] {
            b'&' => before(1) == Some(b'#') || byte(1) == Some(b'#') && byte(2) == Some(b'k'),
            b'\\' => {
                let reversed = matches!(before(1), Some(b'u' | b'x' | b'h' | b'k'));
                let shifted = matches!(byte(1), Some(b'h' | b'k'));
                reversed && figure(before(2)) && figure(before(3)) || shifted && figure(byte(2)) && figure(byte(3))
            }
            _ => false,
        };
        (letters || thrice) && before(1) != same
    }

    fn finish(mut self) -> Found {
        self.end_rows();
        let found = &mut self.found;
        for ranges in [
            &mut found.runs,
            &mut found.wrapped,
            &mut found.wrapped_on,
            &mut found.pairs,
            &mut found.numbers,
            &mut found.random,
            &mut found.turned,
        ] {
            outermost(ranges);
        }
        outermost(&mut found.spread);
        outermost(&mut found.spelled);
        self.found
    }
}

/// No two letters or figures without a sign between.
fn is_alternating(word: &[u8]) -> bool {
    word.windows(2).all(|pair| pair.iter().any(|b| CLASSES[usize::from(*b)] == SIGN))
}

/// The word without the mark of hexadecimal figures, on either side, which ROT13 may have changed.
pub fn pair_digits(word: &[u8]) -> &[u8] {
    match word {
        [b'0', b'x' | b'k', digits @ ..] | [digits @ .., b'x' | b'k', b'0'] => digits,
        _ => word,
    }
}

/// Whether a byte is a hexadecimal figure, in ROT13 or not.
fn is_hex_turned(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || rot13(byte).is_ascii_hexdigit()
}

/// Every third byte is a sign, and the others are hexadecimal.
fn is_in_pairs(word: &[u8]) -> bool {
    let place = |(i, b): (usize, &u8)| if i % 3 == 2 { CLASSES[usize::from(*b)] == SIGN } else { is_hex_turned(*b) };
    word.len() > 3 * FEWEST_PAIRS - 2 && word.iter().enumerate().take(3 * FEWEST_PAIRS - 1).all(place)
}

/// Puts ranges in order and leaves out those that begin inside another, which is extended to hold them.
pub fn outermost(ranges: &mut Vec<Range<usize>>) {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    ranges.dedup_by(|range, last| {
        let inside = range.start < last.end;
        if inside {
            last.end = last.end.max(range.end);
        }
        inside
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_and_plain_code_have_nothing_encoded() {
        for text in [
            "The committee met on Tuesday to talk about the harvest, which had been poor for the third year.",
            "fn next(&mut self) -> Option<usize> { let step = self.left.checked_sub(1)?; }",
            "one of the two, or three: a well-known state-of-the-art thing in 1999",
        ] {
            let found = scout(text);
            let references = found.references.len();
            assert!(
                found.runs.is_empty() && found.numbers.is_empty() && found.random.is_empty() && references < 3,
                "{text} {found:?}"
            );
            assert!(found.spread.is_empty() && found.spelled.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_may_be_encoded_is_pointed_at() {
        let at = |text: &str, pick: fn(Found) -> Vec<Range<usize>>| {
            pick(scout(text)).into_iter().map(|range| text[range].to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(at("x NDExMTEx y", |f| f.runs), ["NDExMTEx"]);
        assert_eq!(at("x NDExMTEx\nMTExMTEx\nMTE= y", |f| f.wrapped), ["NDExMTEx\nMTExMTEx\nMTE"]);
        assert_eq!(at("x 34 31 31 31 31 31 y", |f| f.pairs), ["34 31 31 31 31 31"]);
        assert_eq!(at("x 34\n\n31\n\n31\n\n31\n\n31 y", |f| f.pairs), ["34\n\n31\n\n31\n\n31\n\n31"]);
        let rows = ["34 31 31 31 31", "35 31 31 31 31"];
        assert_eq!(at("34 31 31 31 31\n\n35 31 31 31 31", |f| f.pairs), rows);
        assert_eq!(at("41\n\n35 31 31 31 31", |f| f.pairs), [rows[1]]);
        assert_eq!(at("x 1117 1111 z", |f| f.numbers), ["1117 1111"]);
        assert_eq!(at("to F a l c o n now", |f| f.spread), ["F a l c o n"]);
        assert_eq!(at("F.a.l.c.o.n", |f| f.spread), ["F.a.l.c.o.n"]);
        assert_eq!(at("is F-a-l-c-o-n", |f| f.spread), ["F-a-l-c-o-n"]);
        assert_eq!(at("four one one one two, three ok", |f| f.spelled), ["four one one one two, three"]);
    }
}
