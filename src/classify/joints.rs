//! Where parts of a request meet: what was cut in pieces is whole there.

use std::fmt;
use std::ops::Range;

use crate::chat::text::redacted;
use crate::chat::{Part, Source};

/// How much of a part's beginning and end is joined with its neighbours; bytes.
const REACH: usize = 128;

/// A joint of more bytes is continued by the next, which repeats this much of it.
const MAX_JOINT: usize = 4096;
const OVERLAP: usize = 256;

/// Ends and beginnings of neighbouring parts, as one text.
#[derive(Default)]
pub struct Joint {
    /// The text.
    pub text: String,
    pieces: Vec<Piece>,
    /// Whether space was trimmed from some piece.
    had_space: bool,
}

impl fmt::Debug for Joint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Joint", self.text.len())
    }
}

#[derive(Clone, Debug)]
struct Piece {
    /// Where it stands in the joint.
    at: usize,
    /// Where it comes from.
    part: u32,
    offset: usize,
    length: usize,
    /// Whether it is only the end or the beginning of its part.
    is_cut: bool,
}

impl Joint {
    fn push(&mut self, parts: &[Part<'_>], piece: &Piece) {
        let text = &parts[piece.part as usize].text[piece.offset..piece.offset + piece.length];
        self.pieces.push(Piece { at: self.text.len(), ..piece.clone() });
        self.text.push_str(text);
    }

    /// The part in which a range of the joint begins, and the range's place there.
    ///
    /// `None` for what lies in one piece and touches an end of the joint, where a part may have been cut. What lies
    /// inside counts: the word that names it may stand in the piece before.
    pub fn place(&self, span: &Range<usize>) -> Option<(u32, Range<usize>)> {
        let piece = |at: usize| self.pieces.partition_point(|piece| piece.at <= at).saturating_sub(1);
        let (first, last) = (piece(span.start), piece(span.end.saturating_sub(1)));
        let begin = self.pieces.get(first)?;
        if first == last && begin.is_cut && (span.start == 0 || span.end == self.text.len()) {
            return None;
        }
        let end = if first == last { span.end - begin.at } else { begin.length };
        Some((begin.part, begin.offset + span.start - begin.at..begin.offset + end))
    }

    /// The same pieces with a space between, if there was one somewhere, or where figures meet: groups of one number.
    pub fn spaced(&self) -> Option<Self> {
        let digit = |at: usize| self.text.as_bytes().get(at).is_some_and(u8::is_ascii_digit);
        let meets = |piece: &Piece| digit(piece.at) && digit(piece.at.wrapping_sub(1));
        if !self.had_space && !self.pieces.iter().skip(1).any(meets) {
            return None;
        }
        let mut spaced = Self::default();
        for piece in &self.pieces {
            if !spaced.text.is_empty() {
                spaced.text.push(' ');
            }
            spaced.pieces.push(Piece { at: spaced.text.len(), ..piece.clone() });
            spaced.text.push_str(&self.text[piece.at..piece.at + piece.length]);
        }
        Some(spaced)
    }
}

/// The joints of a request: of everything that is said, of what the user alone says, and of everything else.
pub fn joints(parts: &[Part<'_>]) -> Vec<Joint> {
    let said = |source: Source| {
        matches!(source, Source::System | Source::User | Source::Assistant | Source::ToolArguments | Source::ToolResult)
    };
    let mut joints = chain(parts, said);
    if parts.iter().any(|part| said(part.source) && part.source != Source::User) {
        joints.extend(chain(parts, |source| source == Source::User));
    }
    let others = |source| matches!(source, Source::Name | Source::Metadata | Source::Unknown | Source::ToolDefinition);
    joints.extend(chain(parts, others));
    joints
}

fn chain(parts: &[Part<'_>], belongs: impl Fn(Source) -> bool) -> Vec<Joint> {
    let mut chain = Chain { parts, done: Vec::new(), open: Joint::default() };
    for (index, part) in (0..=u32::MAX).zip(parts) {
        if belongs(part.source) {
            chain.add(index, &part.text);
        }
    }
    chain.cut(None);
    chain.done
}

struct Chain<'p> {
    parts: &'p [Part<'p>],
    done: Vec<Joint>,
    open: Joint,
}

impl Chain<'_> {
    fn add(&mut self, part: u32, text: &str) {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return;
        }
        let offset = text.len() - text.trim_start().len();
        self.open.had_space |= trimmed.len() < text.len();
        let piece = |offset, length| Piece { at: 0, part, offset, length, is_cut: length < trimmed.len() };
        if trimmed.len() <= 2 * REACH {
            self.open.push(self.parts, &piece(offset, trimmed.len()));
            if self.open.text.len() > MAX_JOINT {
                self.cut(None);
                self.repeat();
            }
            return;
        }
        let (head, tail) =
            (text.floor_char_boundary(offset + REACH), text.ceil_char_boundary(offset + trimmed.len() - REACH));
        self.open.push(self.parts, &piece(offset, head - offset));
        self.cut(Some(piece(tail, offset + trimmed.len() - tail)));
    }

    /// Ends the joint and begins the next with `tail`.
    fn cut(&mut self, tail: Option<Piece>) {
        let joint = std::mem::take(&mut self.open);
        if joint.pieces.len() > 1 {
            self.done.push(joint);
        }
        if let Some(tail) = tail {
            self.open.push(self.parts, &tail);
        }
    }

    /// Begins with the last pieces of the joint before.
    fn repeat(&mut self) {
        let Some(last) = self.done.last() else { return };
        let from = last.pieces.partition_point(|piece| piece.at + OVERLAP < last.text.len());
        for piece in &last.pieces[from..] {
            self.open.push(self.parts, piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(parts: &[(Source, &str)]) -> Vec<String> {
        let parts: Vec<Part<'_>> =
            parts.iter().map(|(source, text)| Part { source: *source, text: (*text).into() }).collect();
        joints(&parts).into_iter().map(|joint| joint.text).collect()
    }

    #[test]
    fn neighbours_of_one_kind_are_joined() {
        use Source::{Assistant, Metadata, User};
        assert_eq!(texts(&[(User, "a "), (Metadata, "x"), (Assistant, "b"), (User, " c")]), ["abc", "ac"]);
        assert_eq!(texts(&[(User, "a")]), Vec::<String>::new());
    }

    #[test]
    fn long_parts_take_part_with_their_ends() {
        let long = format!("{}{}", "1".repeat(500), "2".repeat(500));
        let found = texts(&[(Source::User, "a"), (Source::User, &long), (Source::User, "b")]);
        assert_eq!(found, [format!("a{}", "1".repeat(REACH)), format!("{}b", "2".repeat(REACH))]);
    }

    #[test]
    fn many_short_parts_make_joints_that_overlap() {
        let parts = vec![(Source::User, "abcd"); 3000];
        let found = texts(&parts);
        assert!(found.len() > 2 && found.iter().all(|text| text.len() <= MAX_JOINT + 4));
    }

    #[test]
    fn what_is_found_is_reported_where_it_begins() {
        let parts = [("  ab", 0), ("cd", 1)].map(|(text, _)| Part { source: Source::User, text: text.into() });
        let joint = &joints(&parts)[0];
        assert_eq!(joint.place(&(1..3)), Some((0, 3..4)));
        assert_eq!(joint.place(&(2..4)), Some((1, 0..2)));
    }
}
