//! Text made from other text, with the way back.

use std::fmt;
use std::ops::Range;

use crate::chat::text::redacted;

/// Text that was made piece by piece from an original, and where each piece came from.
#[derive(Default)]
pub struct Mapped {
    text: String,
    /// Ordered by `made`; empty when the text is its own original.
    segments: Vec<Segment>,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Mapped", self.text.len())
    }
}

/// A stretch of the text that was made.
#[derive(Clone, Copy, Debug)]
struct Segment {
    made: usize,
    original: usize,
    /// Length in the original of what became one piece; 0 for text copied as it is.
    replaced: usize,
}

impl Mapped {
    /// Empty, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), segments: Vec::new() }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds text that stands in the original at `original`.
    pub fn copy(&mut self, text: &str, original: usize) {
        if text.is_empty() {
            return;
        }
        let made = self.text.len();
        let continues = self
            .segments
            .last()
            .is_some_and(|last| last.replaced == 0 && last.original + (made - last.made) == original);
        if !continues {
            self.segments.push(Segment { made, original, replaced: 0 });
        }
        self.text.push_str(text);
    }

    /// Adds characters that stand for the `length` bytes of the original at `original`.
    pub fn replace(&mut self, by: impl IntoIterator<Item = char>, original: usize, length: usize) {
        let made = self.text.len();
        self.text.extend(by);
        if self.text.len() > made {
            self.segments.push(Segment { made, original, replaced: length });
        }
    }

    /// The range of the original that a range of the text came from.
    pub fn original(&self, made: Range<usize>) -> Range<usize> {
        if self.segments.is_empty() || made.is_empty() {
            return made;
        }
        let (first, last) = (self.locate(made.start), self.locate(made.end - 1));
        first.start.min(last.start)..first.end.max(last.end)
    }

    /// Whether a range of the text stands in the original just so.
    pub fn is_copied(&self, made: &Range<usize>) -> bool {
        let segment = |at: usize| self.segments.partition_point(|s| s.made <= at);
        let (first, last) = (segment(made.start), segment(made.end.saturating_sub(1)));
        first == last && self.segments.get(first.saturating_sub(1)).is_none_or(|s| s.replaced == 0)
    }

    /// Whether nothing in a range of the text was copied.
    pub fn is_replaced(&self, made: &Range<usize>) -> bool {
        let first = self.segments.partition_point(|s| s.made <= made.start).saturating_sub(1);
        let within = self.segments.get(first..).unwrap_or_default().iter().take_while(|s| s.made < made.end);
        !self.segments.is_empty() && within.into_iter().all(|s| s.replaced > 0)
    }

    /// Where the byte at `made` came from: one byte of a copied stretch, or the whole replaced piece.
    fn locate(&self, made: usize) -> Range<usize> {
        // The first segment starts at 0, so there is always one at or before `made`.
        let segment = self.segments[self.segments.partition_point(|s| s.made <= made).saturating_sub(1)];
        match segment.replaced {
            0 => {
                let at = segment.original + (made - segment.made);
                at..at + 1
            }
            length => segment.original..segment.original + length,
        }
    }
}
