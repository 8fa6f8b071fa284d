//! Words that stand in a row and may spell something together: characters, hexadecimal pairs, figures, pieces of a long word.

use std::ops::Range;

use super::{CLASSES, FEWEST_PAIRS, SHORTEST_RUN, SIGN, Scout, pair_digits};
use crate::classify::decode::flip::rot13;
use crate::classify::decode::{spelled, spread};

/// Fewest figures of an identifier.
const FEWEST_FIGURES: usize = 7;
/// Most bytes between them: room for a short word.
const MAX_FIGURE_GAP: usize = 6;
/// Most bytes between hexadecimal pairs.
const MAX_PAIR_GAP: usize = 4;

/// A row of words of one kind, still growing.
#[derive(Clone, Debug, Default)]
pub(super) struct Row {
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

impl Scout<'_> {
    /// Characters that stand alone, or between signs.
    pub(super) fn singles(&mut self, word: &Range<usize>) {
        for at in word.clone().filter(|at| CLASSES[usize::from(self.text[*at])] != SIGN) {
            if !self.singles.continues(at, spread::MAX_SEPARATOR) {
                self.end_singles();
                self.singles.span.start = at;
            }
            self.singles.count += 1;
            self.singles.span.end = at + 1;
        }
    }

    pub(super) fn end_singles(&mut self) {
        let row = std::mem::take(&mut self.singles);
        if row.count >= spread::FEWEST {
            self.found.spread.push(row.span);
        }
    }

    /// `34 31 31`, `0x34, 0x31`; also from back to front or in ROT13, or both: `43k0`.
    pub(super) fn pair(&mut self, word: &Range<usize>) {
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

    pub(super) fn spelled_word(&mut self, word: &Range<usize>) {
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
    pub(super) fn figures(&mut self, word: &Range<usize>) {
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
    pub(super) fn wrapped(&mut self, word: &Range<usize>, odd: bool) {
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

    /// Ends all rows: nothing follows.
    pub(super) fn end_rows(&mut self) {
        self.end_singles();
        self.end_pairs();
        self.end_spelled();
        self.end_figures();
        let wrapped = std::mem::take(&mut self.wrapped);
        self.end_wrapped(wrapped);
    }
}

/// Whether a paragraph ends in the text.
fn is_blank_line(text: &[u8]) -> bool {
    text.windows(2).any(|pair| pair == b"\n\n") || text.windows(3).any(|three| three == b"\n\r\n")
}
