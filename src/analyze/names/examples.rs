//! From labelled documents to what the field is fitted on: rows of features, and the labels each token may have.

use super::corpus::{Document, Known};
use crate::classify::names::Entity;
use crate::classify::names::chain::{LABELS, OUTSIDE, begin, inside};
use crate::classify::names::features::{Features, Seen};
use crate::classify::names::lexicon::Lexicon;
use crate::classify::names::model::place;
use crate::classify::names::tokens::{Token, tokenize};
use crate::classify::normalise::fold;

/// A text as the field sees it.
pub struct Example {
    /// For each token, where its rows end in `rows`.
    pub ends: Vec<u32>,
    /// The rows of the features that have one.
    pub rows: Vec<u32>,
    /// For each token, the labels it may have, by bits.
    pub allowed: Vec<u16>,
}

impl Example {
    /// The rows of the token with index `at`.
    pub fn rows_of(&self, at: usize) -> &[u32] {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.rows[start..self.ends[at] as usize]
    }
}

/// Documents as tokens, with features still to be given rows.
pub struct Prepared {
    features: Vec<Features>,
    allowed: Vec<u16>,
}

impl Prepared {
    /// Folds and cuts the document as the recogniser will.
    pub fn new(document: &Document, lexicon: &Lexicon) -> Self {
        let (text, spans) = folded(document);
        let mut tokens = Vec::new();
        tokenize(&text, &mut tokens);
        let seen = Seen::new(&text, &tokens, lexicon);
        let features = (0..tokens.len()).map(|at| seen.features(at)).collect();
        let allowed = match document.known {
            Known::All => labels(&tokens, &spans).map(|label| 1 << label).collect(),
            Known::NothingPrivate => (0..tokens.len()).map(|at| possible(&seen, at)).collect(),
        };
        Self { features, allowed }
    }
}

/// The document with every piece folded, so that the labels still fit.
fn folded(document: &Document) -> (String, Vec<(std::ops::Range<usize>, Entity)>) {
    let (mut text, mut at, mut spans) = (String::new(), 0, Vec::new());
    for (span, entity) in &document.spans {
        text.push_str(&fold(&document.text[at..span.start]));
        let start = text.len();
        text.push_str(&fold(&document.text[span.clone()]));
        spans.push((start..text.len(), *entity));
        at = span.end;
    }
    text.push_str(&fold(&document.text[at..]));
    (text, spans)
}

fn labels(tokens: &[Token], spans: &[(std::ops::Range<usize>, Entity)]) -> impl Iterator<Item = usize> {
    let label = |token: &Token| {
        let span = spans.iter().find(|(span, _)| token.start < span.end && span.start < token.end);
        span.map_or(OUTSIDE, |(span, entity)| if token.start <= span.start { begin(*entity) } else { inside(*entity) })
    };
    tokens.iter().map(label)
}

/// What a token of an ordinary prompt may be: it is in no address and no date of birth. A common word is outside; one
/// with a capital may be a name.
fn possible(seen: &Seen, at: usize) -> u16 {
    let of = |entity: Entity| 1 << begin(entity) | 1 << inside(entity);
    let outside = 1 << OUTSIDE | of(Entity::Health);
    if !seen.stands_out(at) || seen.is_common(at) {
        outside
    } else {
        outside | of(Entity::Person) | of(Entity::Organisation) | of(Entity::Location)
    }
}

/// Which feature has which row: of those that hash to one row, the one that says most.
pub struct Rows {
    bits: u32,
    /// The check of the feature that has the row; 0 where none does.
    pub checks: Vec<u16>,
}

/// Least weight of a feature that gets a row; an occurrence counts 1, inside of an entity 3.
const LEAST: u32 = 6;

impl Rows {
    /// Gives out the rows of a table of 2^`bits`.
    pub fn new(prepared: &[Prepared], bits: u32) -> Self {
        let counts = Counts::of(prepared);
        let mut best = vec![0_u32; 1 << bits];
        let mut checks = vec![0_u16; 1 << bits];
        for feature in prepared.iter().flat_map(|p| &p.features).flatten().filter(|feature| **feature != 0) {
            let ((row, check), count) = (place(*feature, bits), counts.get(*feature));
            if count >= LEAST && (count > best[row] || (count == best[row] && check < checks[row])) {
                (best[row], checks[row]) = (count, check);
            }
        }
        Self { bits, checks }
    }

    /// The example with the rows of its features.
    pub fn example(&self, prepared: &Prepared) -> Example {
        let mut example = Example { ends: Vec::new(), rows: Vec::new(), allowed: prepared.allowed.clone() };
        for features in &prepared.features {
            for feature in features.iter().filter(|feature| **feature != 0) {
                let (row, check) = place(*feature, self.bits);
                if self.checks[row] == check {
                    example.rows.push(row as u32);
                }
            }
            example.ends.push(example.rows.len() as u32);
        }
        example
    }
}

/// How often features occur, about: two that share a slot share their count.
struct Counts(Vec<u32>);

impl Counts {
    const BITS: u32 = 23;

    fn of(prepared: &[Prepared]) -> Self {
        let mut counts = Self(vec![0; 1 << Self::BITS]);
        for p in prepared {
            for (features, allowed) in p.features.iter().zip(&p.allowed) {
                let weight = if allowed >> OUTSIDE & 1 == 0 { 3 } else { 1 };
                for feature in features.iter().filter(|feature| **feature != 0) {
                    let slot = &mut counts.0[Self::slot(*feature)];
                    *slot = slot.saturating_add(weight);
                }
            }
        }
        counts
    }

    fn slot(feature: u64) -> usize {
        (feature >> 20) as usize & ((1 << Self::BITS) - 1)
    }

    fn get(&self, feature: u64) -> u32 {
        self.0[Self::slot(feature)]
    }
}

const _: () = assert!(LABELS <= 16, "the labels a token may have are bits of a `u16`");
