//! Words that tell what a bare number is, wherever in the request they stand.

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::super::decode::rot13;
use super::super::signals::Entity;

/// Finds the words that name entities.
#[derive(Debug)]
pub struct Contexts {
    /// The entity that each pattern names.
    entities: Vec<Entity>,
    automaton: Option<AhoCorasick>,
}

impl Contexts {
    /// Compiles pairs of entity and words; these are also found in ROT13.
    pub fn new(named: &[(Entity, &'static [&'static str])]) -> Self {
        let words =
            named.iter().flat_map(|(entity, words)| words.iter().map(move |word| (*entity, (*word).to_owned())));
        let shifted = |word: &str| word.bytes().map(|b| char::from(rot13(b))).collect();
        let pairs: Vec<(Entity, String)> =
            words.flat_map(|(entity, word)| [(entity, shifted(&word)), (entity, word)]).collect();
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard);
        let automaton = builder.build(pairs.iter().map(|(_, word)| word)).ok();
        Self { entities: pairs.into_iter().map(|(entity, _)| entity).collect(), automaton }
    }

    /// Whether the words could be compiled; if not, anything may be spoken of.
    pub fn is_ready(&self) -> bool {
        self.automaton.is_some()
    }

    /// Calls `spoken` for every entity that `text` names by a whole word.
    pub fn find(&self, text: &str, mut spoken: impl FnMut(Entity)) {
        let letter = |at: Option<usize>| at.and_then(|i| text.as_bytes().get(i)).is_some_and(u8::is_ascii_alphabetic);
        for hit in self.automaton.iter().flat_map(|a| a.find_overlapping_iter(text)) {
            if !letter(hit.start().checked_sub(1)) && !letter(Some(hit.end())) {
                spoken(self.entities[hit.pattern().as_usize()]);
            }
        }
    }
}
