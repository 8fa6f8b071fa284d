//! Document labels and organisation dictionaries: confidentiality markings, and the operator's own words and names.

use std::ops::Range;

use aho_corasick::automaton::OverlappingState;
use aho_corasick::{AhoCorasick, AhoCorasickBuilder, Anchored, Input, Match, MatchKind, StartKind};

use super::super::decode::{rot13, skeleton};
use super::super::normalise::fold;
use super::super::signals::Entity;
use super::{Hit, is_word};

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
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard).start_kind(StartKind::Anchored);
        let automaton = builder.build(words.iter().map(|word| &word.text));
        // Building fails only beyond two thousand million states; with no automaton every text is unknown.
        Self { entity, words, automaton: automaton.ok() }
    }

    /// Whether the words could be compiled at all.
    fn is_ready(&self) -> bool {
        self.automaton.is_some()
    }

    /// Calls `found` for every word that begins at `start`.
    fn find_at(&self, text: &str, start: usize, loose: bool, found: &mut impl FnMut(Hit)) {
        let Some(automaton) = &self.automaton else { return };
        let mut state = OverlappingState::start();
        loop {
            let input = Input::new(text).span(start..text.len()).anchored(Anchored::Yes);
            automaton.find_overlapping(input, &mut state);
            let Some(hit) = state.get_match() else { return };
            // Words that end another one are reported, too.
            if hit.start() == start {
                self.judge(text, &hit, loose, found);
            }
        }
    }

    fn judge(&self, text: &str, hit: &Match, loose: bool, found: &mut impl FnMut(Hit)) {
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

/// The lists of words of all detectors, found in one pass.
#[derive(Debug, Default)]
pub struct Lists {
    lists: Vec<(u16, Labels)>,
    beginnings: Beginnings,
}

impl Lists {
    /// Adds the list of a detector.
    pub fn add(&mut self, detector: u16, labels: Labels) {
        self.lists.push((detector, labels));
        self.beginnings = Beginnings::new(self.lists.iter().flat_map(|(_, labels)| &labels.words));
    }

    /// Whether all could be compiled.
    pub fn are_ready(&self) -> bool {
        self.lists.iter().all(|(_, labels)| labels.is_ready())
    }

    /// Calls `found` with its detector for every word in `text`; if that is `loose`, words have no limits in it.
    pub fn find(&self, text: &str, loose: bool, mut found: impl FnMut(u16, Hit)) {
        let mut inside = false;
        for (at, byte) in text.bytes().enumerate() {
            // A word may begin anywhere but inside another one, and scripts without spaces are not ASCII.
            let word = is_word(byte);
            if (loose || !(inside && word)) && self.beginnings.has(text.as_bytes(), at) {
                self.lists.iter().for_each(|(detector, list)| {
                    list.find_at(text, at, loose, &mut |hit| found(*detector, hit));
                });
            }
            inside = word;
        }
    }
}

/// Which bytes words begin with, in any case: hardly any other beginning passes.
#[derive(Debug, Default)]
struct Beginnings {
    /// How many bytes are looked at: no word is shorter. 0 if there is none.
    length: usize,
    /// A bit for each hash.
    bits: Vec<u64>,
}

impl Beginnings {
    const LONGEST: usize = 3;

    fn new<'w>(words: impl Iterator<Item = &'w Word> + Clone) -> Self {
        let shortest = words.clone().map(|word| word.text.len()).min().unwrap_or(0);
        let mut beginnings = Self { length: shortest.min(Self::LONGEST), bits: vec![0; 1 << 10] };
        for word in words {
            let place = beginnings.place(word.text.as_bytes());
            beginnings.bits[place / 64] |= 1 << (place % 64);
        }
        beginnings
    }

    fn has(&self, text: &[u8], at: usize) -> bool {
        self.length > 0 && text.len() - at >= self.length && {
            let place = self.place(&text[at..]);
            self.bits[place / 64] >> (place % 64) & 1 == 1
        }
    }

    /// The bit of what the text begins with, in sixteen bits.
    fn place(&self, text: &[u8]) -> usize {
        let bytes = text[..self.length].iter().fold(0_u32, |key, byte| key << 8 | u32::from(byte | 0x20));
        (bytes.wrapping_mul(0x9E37_79B1) >> 16) as usize
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
