//! Document labels: confidentiality markings and the operator's own words.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::super::normalise::fold;
use super::{Hit, word_at, word_before};

/// The usual markings.
pub const DEFAULT_WORDS: [&str; 14] = [
    "CONFIDENTIAL",
    "STRICTLY CONFIDENTIAL",
    "COMPANY CONFIDENTIAL",
    "INTERNAL ONLY",
    "INTERNAL USE ONLY",
    "TOP SECRET",
    "RESTRICTED",
    "PROPRIETARY",
    "NOT FOR DISTRIBUTION",
    "DO NOT DISTRIBUTE",
    "PRIVILEGED",
    "TLP:RED",
    "TLP:AMBER",
    "EYES ONLY",
];

/// Finds any of a list of words.
///
/// A word written with a capital matches as written, one in small letters matches in any case, and either matches in
/// any case where it is all of its line, as markings are. Words are whole: `RESTRICTED` is not in `UNRESTRICTED`.
#[derive(Debug)]
pub struct Labels {
    words: Vec<String>,
    automaton: Option<AhoCorasick>,
}

impl Labels {
    /// Compiles the words; empty ones are left out.
    pub fn new<S: AsRef<str>>(words: &[S]) -> Self {
        let words: Vec<String> = words.iter().map(|w| fold(w.as_ref().trim())).filter(|w| !w.is_empty()).collect();
        let automaton =
            AhoCorasickBuilder::new().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&words);
        // Building fails only beyond two thousand million states; with no automaton every text is unknown.
        Self { words, automaton: automaton.ok() }
    }

    /// Whether the words could be compiled at all.
    pub fn is_ready(&self) -> bool {
        self.automaton.is_some()
    }

    /// Calls `found` for every label in `text`.
    pub fn find(&self, text: &str, mut found: impl FnMut(Hit)) {
        let Some(automaton) = &self.automaton else { return };
        for hit in automaton.find_overlapping_iter(text) {
            let span = hit.start()..hit.end();
            let word = &self.words[hit.pattern().as_usize()];
            let bytes = text.as_bytes();
            let whole = !word_before(bytes, span.start) && !word_at(bytes, span.end);
            let any_case = !word.bytes().any(|b| b.is_ascii_uppercase());
            if whole && (any_case || text[span.clone()] == *word || is_a_line(bytes, span.start, span.end)) {
                found(Hit::new("label", span));
            }
        }
    }
}

/// Nothing but punctuation and spaces beside it on its line.
fn is_a_line(text: &[u8], start: usize, end: usize) -> bool {
    let blank = |b: &&u8| **b != b'\n' && !b.is_ascii_alphanumeric() && b.is_ascii();
    let before = text[..start].iter().rev().find(|b| !blank(b));
    let after = text[end..].iter().find(|b| !blank(b));
    before.is_none_or(|b| *b == b'\n') && after.is_none_or(|b| *b == b'\n')
}
