//! One pass over a text that says whether anything in it could be encoded, and where. Ordinary prose has nothing.

use std::ops::Range;

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
/// Fewest figures of an identifier.
const FEWEST_FIGURES: usize = 7;
/// Most bytes between them: room for a short word.
const MAX_FIGURE_GAP: usize = 6;
/// Fewest pairs of hexadecimal digits in a row.
const FEWEST_PAIRS: usize = 5;
/// Most bytes between them.
const MAX_PAIR_GAP: usize = 4;

/// Looks through the text.
pub fn scout(text: &str) -> Found {
    let mut scout = Scout { text: text.as_bytes(), ..Scout::default() };
    scout.words();
    scout.finish()
}

/// A row of words of one kind, still growing.
#[derive(Clone, Debug, Default)]
struct Row {
    span: Range<usize>,
    count: usize,
    /// Length of its words, where they must be equal.
    length: usize,
    /// Whether some word of it does not look like one.
    odd: bool,
}

impl Row {
    /// Whether a word at `start` continues it, with at most `gap` bytes between.
    fn continues(&self, start: usize, gap: usize) -> bool {
        self.count > 0 && start - self.span.end <= gap
    }
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

    /// Characters that stand alone, or between signs.
    fn singles(&mut self, word: &Range<usize>) {
        for at in word.clone().filter(|at| CLASSES[usize::from(self.text[*at])] != SIGN) {
            if !self.singles.continues(at, spread::MAX_SEPARATOR) {
                self.end_singles();
                self.singles.span.start = at;
            }
            self.singles.count += 1;
            self.singles.span.end = at + 1;
        }
    }

    fn end_singles(&mut self) {
        let row = std::mem::take(&mut self.singles);
        if row.count >= spread::FEWEST {
            self.found.spread.push(row.span);
        }
    }

    /// `34 31 31`, `0x34, 0x31`; also from back to front or in ROT13, or both: `43k0`.
    fn pair(&mut self, word: &Range<usize>) {
        let digits = pair_digits(&self.text[word.clone()]);
        let plain = digits.iter().all(u8::is_ascii_hexdigit);
        let shifted = digits.iter().all(|b| rot13(*b).is_ascii_hexdigit());
        if digits.len() != 2 || !plain && !shifted {
            return;
        }
        let fits = !self.pairs_have_letters || if self.pairs.odd { shifted } else { plain };
        if !self.pairs.continues(word.start, MAX_PAIR_GAP) || !fits || !self.goes_on_in_paragraph(word) {
            self.end_pairs();
            self.pairs.span.start = word.start;
            self.pairs_have_letters = false;
        }
        if plain != shifted {
            self.pairs.odd = shifted;
            self.pairs_have_letters = true;
        }
        self.pairs.count += 1;
        self.pairs.span.end = word.end;
        self.last_pair = word.start;
    }

    /// Whether a row of pairs goes on with a word. A paragraph ends it, unless all its gaps are blank lines.
    fn goes_on_in_paragraph(&mut self, word: &Range<usize>) -> bool {
        let text = self.text;
        let gap = self.pairs.span.end..word.start;
        let same = text[gap.clone()] == text[self.pairs_gap.clone()];
        if self.pairs.count == 1 {
            self.pairs_gap = gap;
        } else if !same && self.pairs.count == 2 && is_blank_line(&text[self.pairs_gap.clone()]) {
            // The first stands in the paragraph before.
            self.pairs.span.start = self.last_pair;
            self.pairs.count = 1;
            self.pairs_gap = gap;
        } else if !same && is_blank_line(&text[gap]) {
            return false;
        }
        true
    }

    fn end_pairs(&mut self) {
        let row = std::mem::take(&mut self.pairs);
        if row.count >= FEWEST_PAIRS {
            self.found.pairs.push(row.span);
        }
    }

    fn spelled_word(&mut self, word: &Range<usize>) {
        let sign = |b: &&u8| CLASSES[usize::from(**b)] == SIGN;
        let bytes = &self.text[word.clone()];
        let before = bytes.iter().take_while(sign).count();
        let after = bytes[before..].iter().rev().take_while(sign).count();
        if spelled::figure(&bytes[before..bytes.len() - after]).is_none() {
            return;
        }
        // A paragraph ends a number.
        let gap = &self.text[self.spelled.span.end.min(word.start)..word.start];
        let apart = gap.len() > spelled::MAX_GAP || is_blank_line(gap);
        if apart || self.spelled.count == 0 {
            self.end_spelled();
            self.spelled.span.start = word.start;
        }
        self.spelled.count += 1;
        self.spelled.span.end = word.end;
    }

    fn end_spelled(&mut self) {
        let row = std::mem::take(&mut self.spelled);
        if row.count >= spelled::FEWEST {
            self.found.spelled.push(row.span);
        }
    }

    /// Numbers that belong together: `4111 1111-1111`, `GB82 WEST 1234`.
    fn figures(&mut self, word: &Range<usize>) {
        if !self.figures.continues(word.start, MAX_FIGURE_GAP) {
            self.end_figures();
            self.figures.span.start = word.start;
        }
        let between = &self.text[self.figures.span.end.max(self.figures.span.start)..word.start];
        let letters = |text: &[u8]| text.iter().any(u8::is_ascii_alphabetic);
        self.figures.odd |= letters(between) || letters(&self.text[word.clone()]);
        self.figures.count += self.text[word.clone()].iter().filter(|b| b.is_ascii_digit()).count();
        self.figures.span.end = word.end;
    }

    fn end_figures(&mut self) {
        let row = std::mem::take(&mut self.figures);
        if row.count >= FEWEST_FIGURES {
            let list = if row.odd { &mut self.found.random } else { &mut self.found.numbers };
            list.push(row.span);
        }
    }

    /// Words of one length, one space or line break apart: a long one that was wrapped. Its last piece is shorter.
    fn wrapped(&mut self, word: &Range<usize>, odd: bool) {
        let gap = &self.text[self.wrapped.span.end.min(word.start)..word.start];
        let broken = matches!(gap, b"\n" | b"\r\n");
        let close = self.wrapped.count > 0 && (broken || gap == b" ");
        let length = word.len();
        // The line on which it begins may have less room.
        let even = length == self.wrapped.length || self.wrapped.count == 1 && broken && length > self.wrapped.length;
        // What begins a sentence is not the last line.
        let ends = matches!(self.text.get(word.end), None | Some(b'\n' | b'\r' | b'='));
        let shorter = (self.wrapped.count > 1 || broken) && length < self.wrapped.length;
        let last = shorter && (odd || ends);
        if close && shorter && !last && self.wrapped.odd {
            self.found.wrapped_on.push(self.wrapped.span.start..word.end);
        }
        let before = std::mem::replace(&mut self.before, (word.clone(), odd));
        if !close || !even && !last {
            let mut row = Row { span: word.clone(), count: 1, length, odd };
            if close && broken && length > before.0.len() {
                row = Row { span: before.0.start..word.end, count: 2, length, odd: odd | before.1 };
            }
            let previous = std::mem::replace(&mut self.wrapped, row);
            self.end_wrapped(previous);
            return;
        }
        self.wrapped.count += 1;
        self.wrapped.odd |= odd;
        self.wrapped.length = length;
        self.wrapped.span.end = word.end;
        if last {
            let row = std::mem::take(&mut self.wrapped);
            self.end_wrapped(row);
        }
    }

    fn end_wrapped(&mut self, row: Row) {
        if row.count > 1 && row.odd && row.span.len() >= SHORTEST_RUN {
            self.found.wrapped.push(row.span);
        }
    }

    fn finish(mut self) -> Found {
        self.end_singles();
        self.end_pairs();
        self.end_spelled();
        self.end_figures();
        let wrapped = std::mem::take(&mut self.wrapped);
        self.end_wrapped(wrapped);
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

/// Whether a paragraph ends in the text.
fn is_blank_line(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"\n\n") || text.windows(3).any(|three| three == b"\n\r\n")
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
