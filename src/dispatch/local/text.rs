//! Token bytes to text that may be sent: whole characters only, and nothing of a stop string.

use std::{fmt, str};

use crate::chat::text::redacted;

/// The text of one answer on its way out.
#[derive(Default)]
pub(super) struct TextStream {
    stops: Vec<String>,
    /// The first bytes of a character whose rest has not come yet; at most three.
    partial: Vec<u8>,
    /// Text that may turn out to begin a stop string.
    held: String,
    /// Bytes of text that were released.
    released: usize,
}

impl fmt::Debug for TextStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "TextStream", self.held.len())
    }
}

/// What can be sent now.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Release {
    /// New text; may be empty.
    pub(super) text: String,
    /// Whether a stop string came: the answer is over.
    pub(super) stopped: bool,
}

impl fmt::Debug for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Release", self.text.len())
    }
}

impl TextStream {
    /// Text that ends before the first of `stops`; empty ones are ignored.
    pub(super) fn new(stops: &[String]) -> Self {
        Self { stops: stops.iter().filter(|stop| !stop.is_empty()).cloned().collect(), ..Self::default() }
    }

    /// Takes the bytes of one token.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Release {
        self.partial.extend_from_slice(bytes);
        let whole = take_whole_characters(&mut self.partial);
        let release = self.release(whole);
        self.released += release.text.len();
        release
    }

    fn release(&mut self, whole: String) -> Release {
        if self.stops.is_empty() {
            return Release { text: whole, stopped: false };
        }
        self.held.push_str(&whole);
        if let Some(start) = self.first_stop() {
            self.held.truncate(start);
            return Release { text: std::mem::take(&mut self.held), stopped: true };
        }
        let keep = self.start_of_possible_stop();
        let text = self.held.drain(..keep).collect();
        Release { text, stopped: false }
    }

    /// How many bytes of text were released so far.
    pub(super) fn released(&self) -> usize {
        self.released
    }

    /// The answer ended by itself: what was held back after all. A character that never became whole is dropped.
    pub(super) fn finish(&mut self) -> String {
        let rest = std::mem::take(&mut self.held);
        self.released += rest.len();
        rest
    }

    /// Where the stop string begins that is complete first, as if the text had come byte by byte.
    fn first_stop(&self) -> Option<usize> {
        let found = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str()).map(|at| (at + stop.len(), at)));
        found.min().map(|(_end, start)| start)
    }

    /// Where the longest tail begins that is the beginning of a stop string.
    fn start_of_possible_stop(&self) -> usize {
        let tail_starts = self.held.char_indices().map(|(at, _)| at);
        tail_starts
            .into_iter()
            .find(|&at| self.stops.iter().any(|stop| stop.starts_with(&self.held[at..])))
            .unwrap_or(self.held.len())
    }
}

/// Moves all whole characters out of `bytes`; sequences that can never become one turn into U+FFFD.
fn take_whole_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    loop {
        match str::from_utf8(bytes) {
            Ok(rest) => {
                text.push_str(rest);
                bytes.clear();
                return text;
            }
            Err(error) => {
                let valid = error.valid_up_to();
                // `from_utf8` has just found this prefix to be valid.
                text.push_str(str::from_utf8(&bytes[..valid]).unwrap_or_default());
                match error.error_len() {
                    Some(invalid) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        bytes.drain(..valid + invalid);
                    }
                    None => {
                        bytes.drain(..valid);
                        return text;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Release, TextStream};

    fn stops(list: &[&str]) -> Vec<String> {
        list.iter().map(|&stop| stop.to_owned()).collect()
    }

    /// Feeds `bytes` in pieces of the given lengths, the last again and again.
    fn stream(stops: &[String], bytes: &[u8], lengths: &[usize]) -> (String, bool) {
        let mut stream = TextStream::new(stops);
        let (mut sent, mut at) = (String::new(), 0);
        for i in 0.. {
            if at == bytes.len() {
                sent.push_str(&stream.finish());
                return (sent, false);
            }
            let length = lengths[i.min(lengths.len() - 1)].min(bytes.len() - at);
            let Release { text, stopped } = stream.push(&bytes[at..at + length]);
            sent.push_str(&text);
            if stopped {
                return (sent, true);
            }
            at += length;
        }
        unreachable!("the loop ends with the bytes")
    }

    #[test]
    fn a_character_split_over_tokens_comes_out_whole() {
        let mut stream = TextStream::new(&[]);
        let bytes = "漢🦀".as_bytes();
        assert_eq!(stream.push(&bytes[..2]).text, "");
        assert_eq!(stream.push(&bytes[2..5]).text, "漢");
        assert_eq!(stream.push(&bytes[5..]).text, "🦀");
    }

    #[test]
    fn bytes_that_are_no_character_are_replaced_and_an_unfinished_one_is_dropped() {
        assert_eq!(stream(&[], b"a\xFFb\xE6\xBC", &[1]), ("a\u{FFFD}b".to_owned(), false));
    }

    #[test]
    fn nothing_of_a_stop_string_is_sent_however_it_is_cut() {
        let stops = stops(&["<end>", "\n\n"]);
        for length in 1..8 {
            assert_eq!(stream(&stops, b"one <e\nd><end> two", &[length]), ("one <e\nd>".to_owned(), true));
            assert_eq!(stream(&stops, b"one\n\ntwo", &[length]), ("one".to_owned(), true));
            assert_eq!(stream(&stops, b"one <en", &[length]), ("one <en".to_owned(), false));
        }
    }

    #[test]
    fn the_stop_string_that_is_complete_first_ends_the_answer() {
        for length in 1..5 {
            assert_eq!(stream(&stops(&["abc", "b"]), b"xabc", &[length]), ("xa".to_owned(), true));
        }
    }

    proptest! {
        #[test]
        fn the_cut_into_tokens_does_not_change_what_is_sent(
            text in "[ab漢🦀]{0,30}",
            stops in prop::collection::vec("[ab漢🦀]{1,3}", 0..3),
            lengths in prop::collection::vec(1..7_usize, 1..20),
        ) {
            let whole = stream(&stops, text.as_bytes(), &[text.len().max(1)]);
            let cut = stream(&stops, text.as_bytes(), &lengths);
            prop_assert_eq!(&whole, &cut);
            prop_assert!(text.starts_with(&cut.0));
            prop_assert_eq!(cut.1, stops.iter().any(|stop| text.contains(stop.as_str())));
        }
    }
}
