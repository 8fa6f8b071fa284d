//! Server-sent events as bytes: cuts a stream into frames and leaves every byte as it came.
//!
//! The line rules are those of the HTML standard, section 9.2.5: a line ends with CRLF, LF or CR, a frame with an empty
//! line. Text is never decoded here, so a character split between two chunks stays whole.

use std::borrow::Cow;
use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::chat::text::redacted;

/// Longest frame: a model's deltas have a few hundred bytes; a stream without an empty line must not fill the memory.
pub const MAX_FRAME: usize = 1 << 20;

/// Why a stream cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// No frame's end within [`MAX_FRAME`].
    #[error("an event is larger than {MAX_FRAME} bytes")]
    TooLarge,
}

/// What is left when a stream has ended.
#[derive(Clone, PartialEq, Eq)]
pub enum Tail {
    /// Nothing.
    Clean,
    /// A last whole frame, whose final CR could have been the first half of a CRLF until now.
    Frame(Bytes),
    /// The beginning of a frame: the stream broke off. The standard has it discarded.
    Partial(Bytes),
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("Clean"),
            Self::Frame(bytes) => redacted(f, "Frame", bytes.len()),
            Self::Partial(bytes) => redacted(f, "Partial", bytes.len()),
        }
    }
}

/// Cuts a byte stream into frames. Their concatenation is the input.
#[derive(Default)]
pub struct SseFramer {
    pending: BytesMut,
    /// How much of `pending` holds no frame's end.
    scanned: usize,
    /// Whether a line begins at `scanned` with nothing on it yet.
    at_line_start: bool,
    /// After an error: what still comes is dropped.
    failed: bool,
}

impl fmt::Debug for SseFramer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "SseFramer", self.pending.len())
    }
}

impl SseFramer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self { at_line_start: true, ..Self::default() }
    }

    /// Adds what arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        if !self.failed {
            self.pending.extend_from_slice(chunk);
        }
    }

    /// Ends the stream.
    pub fn finish(mut self) -> Tail {
        match self.frame_end(true) {
            Some(end) if end == self.pending.len() => Tail::Frame(self.cut(end)),
            _ if self.pending.is_empty() => Tail::Clean,
            _ => Tail::Partial(self.pending.freeze()),
        }
    }

    fn cut(&mut self, end: usize) -> Bytes {
        self.scanned = 0;
        self.at_line_start = true;
        self.pending.split_to(end).freeze()
    }

    /// Position after the first empty line. A final CR is undecided, a CRLF perhaps, unless the stream has `ended`.
    fn frame_end(&mut self, ended: bool) -> Option<usize> {
        while let Some(&byte) = self.pending.get(self.scanned) {
            let terminator = match (byte, self.pending.get(self.scanned + 1)) {
                (b'\n', _) => 1,
                (b'\r', Some(b'\n')) => 2,
                (b'\r', None) if !ended => return None,
                (b'\r', _) => 1,
                _ => {
                    self.skip_to_line_end();
                    continue;
                }
            };
            self.scanned += terminator;
            if std::mem::replace(&mut self.at_line_start, true) {
                return Some(self.scanned);
            }
        }
        None
    }

    fn skip_to_line_end(&mut self) {
        self.at_line_start = false;
        let rest = &self.pending[self.scanned..];
        self.scanned += rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
    }
}

/// The whole frames so far, with their terminators. More may come after a `None`, nothing after an error.
impl Iterator for SseFramer {
    type Item = Result<Bytes, SseError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.frame_end(false);
        if end.unwrap_or(self.pending.len()) > MAX_FRAME {
            self.failed = true;
            self.pending = BytesMut::new();
            self.scanned = 0;
            return Some(Err(SseError::TooLarge));
        }
        end.map(|end| Ok(self.cut(end)))
    }
}

/// The frame's `data`, its lines joined as the standard says; `None` where it has none.
pub fn data(frame: &[u8]) -> Option<Cow<'_, [u8]>> {
    let frame = frame.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(frame);
    let mut joined: Option<Cow<'_, [u8]>> = None;
    for line in frame.split(|b| matches!(b, b'\n' | b'\r')) {
        let Some(value) = line.strip_prefix(b"data") else { continue };
        let value = match value {
            [b':', b' ', rest @ ..] | [b':', rest @ ..] => rest,
            [] => b"",
            _ => continue,
        };
        match &mut joined {
            None => joined = Some(Cow::Borrowed(value)),
            Some(lines) => lines.to_mut().extend([b"\n", value].concat()),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The frames and the tail when the stream arrives in `chunks`.
    fn cut<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Bytes>, Tail) {
        let mut framer = SseFramer::new();
        let mut frames = Vec::new();
        for chunk in chunks {
            framer.push(chunk);
            frames.extend(framer.by_ref().map(Result::unwrap));
        }
        let tail = framer.finish();
        if let Tail::Frame(last) = &tail {
            frames.push(last.clone());
        }
        (frames, tail)
    }

    #[test]
    fn every_line_terminator_ends_a_frame() {
        for stream in ["data: a\n\ndata: b\n\n", "data: a\r\n\r\ndata: b\r\n\r\n", "data: a\r\rdata: b\r\r"] {
            let (frames, tail) = cut([stream.as_bytes()]);
            assert_eq!(frames.len(), 2, "{stream:?}");
            assert!(!matches!(tail, Tail::Partial(_)));
        }
    }

    #[test]
    fn a_broken_off_frame_is_reported_as_such() {
        let (frames, tail) = cut([b"data: a\n\ndata: b\n".as_slice()]);
        assert_eq!((frames, tail), (vec!["data: a\n\n".into()], Tail::Partial("data: b\n".into())));
        assert_eq!(cut([b"data: a\n\n".as_slice()]).1, Tail::Clean);
    }

    #[test]
    fn a_frame_of_the_largest_size_passes_and_a_larger_one_does_not_however_it_arrives() {
        for (size, fits) in [(MAX_FRAME, true), (MAX_FRAME + 1, false)] {
            let mut frame = vec![b'x'; size - 2];
            frame.extend_from_slice(b"\n\n");
            for chunk in [size, 65_536] {
                let mut framer = SseFramer::new();
                let mut results = Vec::new();
                for part in frame.chunks(chunk) {
                    framer.push(part);
                    results.extend(framer.next());
                }
                assert_eq!(results.iter().all(Result::is_ok), fits, "{size} by {chunk}");
                assert_eq!(results.len(), 1);
            }
        }
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_frames_and_loses_no_byte(
            stream in "(data: [xé語😀]{0,3}|:|\r|\n|\r\n|\n\n|\r\n\r\n){0,30}",
            sizes in prop::collection::vec(1usize..9, 1..40),
        ) {
            let stream = stream.as_bytes();
            let (whole, tail) = cut([stream]);
            let mut rest = stream;
            let chunks = sizes.iter().cycle().map_while(|&size| {
                let (chunk, more) = rest.split_at(size.min(rest.len()));
                rest = more;
                (!chunk.is_empty()).then_some(chunk)
            });
            prop_assert_eq!(cut(chunks), (whole.clone(), tail.clone()));
            let mut joined = whole.concat();
            if let Tail::Partial(partial) = tail {
                joined.extend_from_slice(&partial);
            }
            prop_assert_eq!(joined, stream);
        }
    }
}
