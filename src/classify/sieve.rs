//! Tells chance from what could be meant, so that not every stretch that may be encoded is looked at with all around it.

use std::ops::Range;

use super::decode::{Encoding, Sieve, may_be_encoded, rot13, skeleton};
use super::detect::{Cluster, SSN_WORDS, is_named, mentions};
use super::look::{Detectors, Lens};
use super::normalise::Normalised;

/// Fewest figures that may be a number of somebody's, if a word elsewhere names it.
const FEWEST_FIGURES: usize = 7;

/// Fewest bytes of anything encoded, references aside.
const SHORTEST_ENCODED: usize = 8;

/// Figures of a US social security number.
const SSN_DIGITS: usize = 9;

impl Sieve for Detectors {
    fn matters(&self, reading: &str) -> bool {
        let Some(folded) = Normalised::new(reading) else { return true };
        let text = folded.text();
        let figures = text.bytes().filter(u8::is_ascii_digit).count();
        if figures >= FEWEST_FIGURES || skeleton(text).is_some() {
            return true;
        }
        // Shorter text has room for nothing encoded but a reference.
        let refers = || text.bytes().any(|b| matches!(b, b'&' | b'%' | b'\\' | b'='));
        if (text.len() >= SHORTEST_ENCODED || refers()) && may_be_encoded(text) {
            return true;
        }
        let mut found = false;
        self.look(text, Lens::Loose, &mut |_, _| found = true);
        found
    }

    fn turned(&self, text: &str, stretch: &Range<usize>, turn: Encoding) -> Vec<Range<usize>> {
        let plain = &text[stretch.clone()];
        let mut hits = Vec::new();
        if self.looks_for_ssn() && mentions(plain.as_bytes(), &SSN_WORDS) {
            hits.extend(named_ssn(text.as_bytes(), stretch));
        }
        // ROT13 leaves figures alone: what has nothing else was seen before.
        if turn == Encoding::Rot13 {
            let place = |span: &Range<usize>| stretch.start + span.start..stretch.start + span.end;
            self.hits_turned(text, &shifted(plain), Lens::Shifted, &place, &mut hits);
        } else {
            let reversed: String = plain.chars().rev().collect();
            let place = |span: &Range<usize>| stretch.end - span.end..stretch.end - span.start;
            self.hits_turned(text, &reversed, Lens::Turned, &place, &mut hits);
            if plain.bytes().any(|b| b.is_ascii_alphabetic()) {
                self.hits_turned(text, &shifted(&reversed), Lens::Shifted, &place, &mut hits);
            }
        }
        hits
    }
}

impl Detectors {
    /// Adds the places in `text` of what is found in `turned`, where it stands at another `place`. A word that names it may
    /// be turned with it or not.
    fn hits_turned(
        &self,
        text: &str,
        turned: &str,
        lens: Lens,
        place: &dyn Fn(&Range<usize>) -> Range<usize>,
        hits: &mut Vec<Range<usize>>,
    ) {
        let named = |span: &Range<usize>, words: &[&str]| {
            is_named(turned.as_bytes(), span, words) || is_named(text.as_bytes(), &place(span), words)
        };
        self.look_turned(turned, lens, &named, &mut |span| hits.push(place(&span)));
    }
}

/// Figures that may be a social security number from back to front, beside a word that stands as it is.
fn named_ssn(text: &[u8], stretch: &Range<usize>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    let mut at = stretch.start;
    let mut cluster = Cluster::default();
    while let Some(next) = text[at..stretch.end].iter().position(u8::is_ascii_digit) {
        let end = cluster.read(text, at + next);
        if cluster.digit_count() >= SSN_DIGITS && is_named(text, &cluster.span(), &SSN_WORDS) {
            spans.push(cluster.span());
        }
        at = end.min(stretch.end);
    }
    spans
}

fn shifted(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() { char::from(rot13(c as u8)) } else { c }).collect()
}
