//! Views of a text: the stretches in which something was decoded, with what stands around them.

use std::ops::Range;

use super::super::mapped::Mapped;
use super::{Encoding, bytes};

/// How far around a decoded stretch words may stand that say what it is; bytes.
const BEFORE: usize = 80;
const AFTER: usize = 40;

/// What a text becomes when one kind of encoding in it is undone.
#[derive(Debug)]
pub struct View {
    /// What was undone.
    pub encoding: Encoding,
    /// The text, with the way back.
    pub made: Mapped,
    /// Whether separators were taken out, so that words no longer have their limits.
    pub loose: bool,
    /// Whether it may be decoded again: not where that would find something in any list of numbers.
    pub may_go_on: bool,
}

/// Puts a view together, window by window.
pub struct Windows<'t> {
    text: &'t str,
    made: Mapped,
    /// Up to where the text was copied or decoded.
    after: usize,
}

impl<'t> Windows<'t> {
    /// Of a text.
    pub fn new(text: &'t str) -> Self {
        Self { text, made: Mapped::default(), after: 0 }
    }

    /// Lets `decode` add what the stretch stands for. Stretches come in order.
    pub fn replace(&mut self, stretch: Range<usize>, decode: impl FnOnce(&mut Mapped)) {
        let from = floor(self.text, stretch.start.saturating_sub(BEFORE));
        if self.made.text().is_empty() {
            self.after = from;
        } else if from > self.after + AFTER {
            self.trail();
            self.after = from;
        }
        self.made.copy(&self.text[self.after..stretch.start], self.after);
        decode(&mut self.made);
        self.after = stretch.end;
    }

    /// Adds a stretch on a line of its own, after all windows.
    pub fn append(&mut self, decode: impl FnOnce(&mut Mapped)) {
        decode(&mut self.made);
        self.line_break();
    }

    /// Ends the last window.
    pub fn close(&mut self) {
        self.trail();
    }

    fn line_break(&mut self) {
        let last = floor(self.text, self.after.saturating_sub(1));
        self.made.replace(bytes::APART.chars(), last, self.after - last);
    }

    /// The view.
    pub fn finish(mut self, encoding: Encoding) -> View {
        self.trail();
        View { encoding, made: self.made, loose: false, may_go_on: true }
    }

    /// What follows the last stretch, and a line break before the next window.
    fn trail(&mut self) {
        if !self.made.text().is_empty() {
            let to = floor(self.text, (self.after + AFTER).min(self.text.len()));
            self.made.copy(&self.text[self.after..to], self.after);
            self.after = to;
            self.line_break();
        }
    }
}

/// The character boundary at or before `at`.
pub fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
