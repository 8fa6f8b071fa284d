//! Document labels and organisation dictionaries: confidentiality markings, and the operator's own words and names.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::super::decode::{rot13, skeleton};
use super::super::normalise::fold;
use super::super::signals::Entity;
use super::Hit;

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

/// Shortest word, in letters and figures, that is also looked for turned round and shifted by ROT13: shorter ones would
/// be other words.
const SHORTEST_TURNED: usize = 5;

/// Finds any of a list of words.
///
/// As labels: a word written with a capital matches as written, one in small letters matches in any case, and either
/// matches in any case where it is all of its line, as markings are. As a dictionary: in any case or only as written,
/// and with the pieces of a name apart, joined, or linked by a dash or underscore. Words are whole: `RESTRICTED` is not
/// in `UNRESTRICTED`. Both are also found from back to front and in ROT13.
#[derive(Debug)]
pub struct Labels {
    entity: Entity,
    words: Vec<Word>,
    automaton: Option<AhoCorasick>,
}

#[derive(Debug)]
struct Word {
    text: String,
    any_case: bool,
    /// Whether it matches in any case where it is all of its line.
    marks_lines: bool,
}

impl Labels {
    /// Compiles labels; empty ones are left out.
    pub fn new<S: AsRef<str>>(words: &[S]) -> Self {
        let words = words.iter().map(|w| w.as_ref().trim().to_owned());
        let cased = words.map(|w| (!fold(&w).bytes().any(|b| b.is_ascii_uppercase()), w));
        Self::compile("label", cased, true)
    }

    /// Compiles the names of an organisation's dictionary; empty ones are left out.
    pub fn dictionary<S: AsRef<str>>(words: &[S], as_written: bool) -> Self {
        let words = words.iter().map(|w| w.as_ref().trim());
        Self::compile("dictionary", words.flat_map(forms).map(|w| (!as_written, w)), false)
    }

    fn compile(entity: Entity, words: impl Iterator<Item = (bool, String)>, marks_lines: bool) -> Self {
        let words = words.filter(|(_, word)| !word.is_empty()).flat_map(|(any_case, word)| {
            disguises(&word).into_iter().map(move |text| Word { text, any_case, marks_lines })
        });
        let words: Vec<Word> = words.collect();
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard);
        let automaton = builder.build(words.iter().map(|word| &word.text));
        // Building fails only beyond two thousand million states; with no automaton every text is unknown.
        Self { entity, words, automaton: automaton.ok() }
    }

    /// Whether the words could be compiled at all.
    pub fn is_ready(&self) -> bool {
        self.automaton.is_some()
    }

    /// Calls `found` for every word in `text`; if that is `loose`, words have no limits in it.
    pub fn find(&self, text: &str, loose: bool, mut found: impl FnMut(Hit)) {
        let Some(automaton) = &self.automaton else { return };
        for hit in automaton.find_overlapping_iter(text) {
            let span = hit.start()..hit.end();
            let word = &self.words[hit.pattern().as_usize()];
            let cased = word.any_case
                || text[span.clone()] == word.text
                || word.marks_lines && is_a_line(text.as_bytes(), span.start, span.end);
            if cased && (loose && word.text.len() >= SHORTEST_TURNED || is_whole(text, &span)) {
                found(Hit::new(self.entity, span));
            }
        }
    }
}

/// A name of several words, with the ways to link them.
fn forms(name: &str) -> Vec<String> {
    let pieces: Vec<&str> = name.split([' ', '-', '_']).filter(|piece| !piece.is_empty()).collect();
    if pieces.len() < 2 {
        return vec![name.to_owned()];
    }
    let mut forms: Vec<String> = [" ", "-", "_", "", "\n"].iter().map(|link| pieces.join(link)).collect();
    forms.push(name.to_owned());
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The word as it folds, with Latin letters for look-alikes; shifted, before and after folding; and all turned round.
fn disguises(word: &str) -> Vec<String> {
    let shift = |text: &str| text.chars().map(|c| if c.is_ascii() { char::from(rot13(c as u8)) } else { c }).collect();
    let plain = fold(word);
    let mut all: Vec<String> = skeleton(&plain).map(|s| s.text().to_owned()).into_iter().collect();
    if plain.chars().filter(|c| c.is_alphanumeric()).count() >= SHORTEST_TURNED {
        let shifted: String = shift(word);
        all.extend([fold(&shifted), shift(&plain)]);
        all.extend(all.clone().iter().chain([&plain]).map(|text| text.chars().rev().collect()));
    }
    all.push(plain);
    all.retain(|text| !text.is_empty());
    all.sort_unstable();
    all.dedup();
    all
}

/// Whether no letter or figure runs into it. Scripts without spaces between words have no such limits.
fn is_whole(text: &str, span: &Range<usize>) -> bool {
    let runs_on = |c: Option<char>| c.is_some_and(|c| c == '_' || c < '\u{2E80}' && c.is_alphanumeric());
    let inside = &text[span.clone()];
    let before = runs_on(text[..span.start].chars().next_back()) && runs_on(inside.chars().next());
    let after = runs_on(text[span.end..].chars().next()) && runs_on(inside.chars().next_back());
    !before && !after
}

/// Nothing but punctuation and spaces beside it on its line.
fn is_a_line(text: &[u8], start: usize, end: usize) -> bool {
    let blank = |b: &&u8| **b != b'\n' && !b.is_ascii_alphanumeric() && b.is_ascii();
    let before = text[..start].iter().rev().find(|b| !blank(b));
    let after = text[end..].iter().find(|b| !blank(b));
    before.is_none_or(|b| *b == b'\n') && after.is_none_or(|b| *b == b'\n')
}
