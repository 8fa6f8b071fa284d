//! The statistical recogniser: names of people, addresses, places, organisations, dates of birth, and terms of health.
//!
//! A linear-chain conditional random field ([`chain`]) over hashed features of words and their neighbours
//! ([`features`]), fitted by `ajar fit names` and measured by `ajar evaluate names` (`analyze::names`). It gives each
//! token a probability for each entity; a finding is a run of tokens at or above a threshold.
//!
//! What it says is an opinion: it misses names and sees names where there are none, and more text around a name may
//! change what it says of it. Nothing here is promised to be monotone, as the deterministic detectors are.

pub mod chain;
pub mod features;
pub mod lexicon;
pub mod model;
pub mod tokens;

use std::ops::Range;
use std::sync::LazyLock;

use self::chain::{Row, Transitions, Workspace, begin, inside};
use self::features::Seen;
use self::lexicon::Lexicon;
pub use self::model::{ArtefactError, Model, VERSION};
use self::tokens::{Token, tokenize};

/// What a policy calls this recogniser.
pub const NAME: &str = "names@1";

const EMBEDDED: &[u8] = include_bytes!("names.bin");

/// Longest stretch of text that is looked at as one, in bytes.
const WINDOW: usize = 4 << 10;

/// How much of what stands before a stretch is looked at with it.
const CONTEXT: usize = 256;

/// What is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// The name of a person.
    Person,
    /// A postal address or a part of one: street and number, postcode, box.
    Address,
    /// A city, region or country by itself.
    Location,
    /// A company, authority or institution.
    Organisation,
    /// When a person was born.
    BirthDate,
    /// A condition, medicine or treatment.
    Health,
}

impl Entity {
    /// All of them, in the order of their labels.
    pub const ALL: [Self; 6] =
        [Self::Person, Self::Address, Self::Location, Self::Organisation, Self::BirthDate, Self::Health];

    /// The names that policies use.
    pub const NAMES: [&str; 6] = ["PERSON", "ADDRESS", "LOCATION", "ORGANISATION", "DATE_OF_BIRTH", "HEALTH"];

    /// The entity that a policy names.
    pub fn parse(name: &str) -> Option<Self> {
        let at = Self::NAMES.iter().position(|known| *known == name)?;
        Self::ALL.get(at).copied()
    }

    /// What findings call it.
    pub fn name(self) -> super::Entity {
        ["person", "address", "location", "organisation", "date_of_birth", "health"][self as usize]
    }
}

/// From which probability on an entity counts as found; above 1 it is not looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds([f32; Entity::ALL.len()]);

/// What is looked for where a policy does not say, from even odds on.
const DEFAULTS: [Entity; 4] = [Entity::Person, Entity::Address, Entity::BirthDate, Entity::Health];

impl Default for Thresholds {
    fn default() -> Self {
        Self::new(DEFAULTS.map(|entity| (entity, 0.5)))
    }
}

impl Thresholds {
    /// Only the entities named are looked for.
    pub fn new(of: impl IntoIterator<Item = (Entity, f32)>) -> Self {
        let mut thresholds = Self([f32::INFINITY; Entity::ALL.len()]);
        for (entity, threshold) in of {
            thresholds.0[entity as usize] = threshold;
        }
        thresholds
    }

    /// Those that a policy names; the default ones if it names none, and `None` if it names what does not exist.
    pub fn parse(named: &[(String, f64)]) -> Option<Self> {
        if named.is_empty() {
            return Some(Self::default());
        }
        let parsed: Option<Vec<_>> = named.iter().map(|(name, t)| Some((Entity::parse(name)?, *t as f32))).collect();
        parsed.map(Self::new)
    }

    /// The threshold of an entity.
    pub fn of(&self, entity: Entity) -> f32 {
        self.0[entity as usize]
    }

    /// The lower of each.
    pub fn or(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i].min(other.0[i])))
    }
}

/// A stretch of text taken for an entity.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it is.
    pub entity: Entity,
    /// Bytes of the text that was looked at, on character boundaries.
    pub span: Range<usize>,
    /// The highest probability among its tokens.
    pub score: f32,
}

/// Looking was stopped before the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("recognising names was stopped at its deadline")]
pub struct Stopped;

/// The recogniser: a model ready to use.
#[derive(Debug)]
pub struct Recogniser {
    model: Model,
    transitions: Transitions,
    lexicon: Lexicon,
}

static SHIPPED: LazyLock<Recogniser> = LazyLock::new(|| {
    // The artefact is part of the program; a test reads it.
    #[allow(clippy::expect_used)]
    let model = Model::parse(EMBEDDED).expect("the embedded artefact is well formed");
    Recogniser::new(model)
});

impl Recogniser {
    /// A recogniser of this model.
    pub fn new(model: Model) -> Self {
        Self { transitions: model.transitions(), lexicon: model.lexicon(), model }
    }

    /// The recogniser that ships with the program; unfolded on first use, in a few milliseconds.
    pub fn embedded() -> &'static Self {
        &SHIPPED
    }

    /// What it was fitted on.
    pub fn provenance(&self) -> &str {
        &self.model.provenance
    }

    /// Everything at or above its threshold in `text`, which is folded ([`super::normalise`]); by place.
    ///
    /// Takes time in proportion to the text. `go_on` is asked before each few KiB.
    ///
    /// # Errors
    /// If `go_on` said no.
    pub fn find(&self, text: &str, thresholds: &Thresholds, go_on: &dyn Fn() -> bool) -> Result<Vec<Found>, Stopped> {
        let mut found = Vec::new();
        let mut room = Room::default();
        let mut from = 0;
        while from < text.len() {
            if !go_on() {
                return Err(Stopped);
            }
            let start = boundary(text, from.saturating_sub(CONTEXT));
            let end = window_end(text, from);
            self.look(&text[start..end], &mut room);
            room.collect(&text[start..end], start, thresholds, &mut found);
            from = end;
        }
        Ok(merged(found))
    }

    /// Fills the room with tokens and the probabilities of their labels.
    fn look(&self, text: &str, room: &mut Room) {
        room.tokens.clear();
        tokenize(text, &mut room.tokens);
        let seen = Seen::new(text, &room.tokens, &self.lexicon);
        room.workspace.rows.clear();
        room.workspace.rows.extend((0..room.tokens.len()).map(|at| self.model.score(&seen.features(at))));
        room.workspace.run(&self.transitions);
    }
}

/// What is used again from window to window.
#[derive(Default)]
struct Room {
    tokens: Vec<Token>,
    workspace: Workspace,
}

impl Room {
    fn collect(&self, text: &str, offset: usize, thresholds: &Thresholds, found: &mut Vec<Found>) {
        let rows = &self.workspace.rows;
        for entity in Entity::ALL {
            let threshold = thresholds.of(entity);
            let mut open: Option<Found> = None;
            for (token, row) in self.tokens.iter().zip(rows) {
                let score = probability(row, entity);
                if score < threshold {
                    found.extend(open.take().and_then(|run| trimmed(text, run, offset)));
                    continue;
                }
                let starts = row[begin(entity)] > row[inside(entity)];
                match &mut open {
                    Some(run) if !starts => {
                        run.span.end = token.end;
                        run.score = run.score.max(score);
                    }
                    _ => {
                        found.extend(open.take().and_then(|run| trimmed(text, run, offset)));
                        open = Some(Found { entity, span: token.start..token.end, score });
                    }
                }
            }
            found.extend(open.take().and_then(|run| trimmed(text, run, offset)));
        }
    }
}

fn probability(row: &Row, entity: Entity) -> f32 {
    row[begin(entity)] + row[inside(entity)]
}

/// The run without signs at its ends, moved to its place in the whole text; nothing if only signs are left.
fn trimmed(text: &str, mut run: Found, offset: usize) -> Option<Found> {
    let word = |c: char| c.is_alphanumeric();
    let inner = &text[run.span.clone()];
    let start = inner.find(word)?;
    let end = inner.char_indices().rfind(|(_, c)| word(*c)).map_or(inner.len(), |(at, c)| at + c.len_utf8());
    run.span = offset + run.span.start + start..offset + run.span.start + end;
    Some(run)
}

/// By place; of overlapping stretches of one entity, which the windows' common context gives, one.
fn merged(mut found: Vec<Found>) -> Vec<Found> {
    found.sort_by_key(|f| (f.entity, f.span.start, f.span.end));
    found.dedup_by(|next, kept| {
        let same = next.entity == kept.entity && next.span.start < kept.span.end;
        if same {
            kept.span.end = kept.span.end.max(next.span.end);
            kept.score = kept.score.max(next.score);
        }
        same
    });
    found.sort_by_key(|f| (f.span.start, f.span.end, f.entity));
    found
}

/// The character boundary at or before `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

/// Where the window that starts at `from` ends: after a line, a word, or else a character.
fn window_end(text: &str, from: usize) -> usize {
    let limit = boundary(text, (from + WINDOW).min(text.len()));
    if limit == text.len() {
        return limit;
    }
    let window = &text.as_bytes()[from..limit];
    let after = |sign: u8| window.iter().rposition(|byte| *byte == sign).filter(|at| *at >= WINDOW / 2);
    after(b'\n').or_else(|| after(b' ')).map_or(limit, |at| from + at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "152dfb0bbc894c65b142ff68ca3b47e9d90fc901c4754ecf8f15bbc90cd1bbcf";

    fn find(text: &str, thresholds: &Thresholds) -> Vec<Found> {
        Recogniser::embedded().find(text, thresholds, &|| true).unwrap()
    }

    fn found(text: &str, entity: Entity) -> Vec<&str> {
        let all = find(text, &Thresholds::new([(entity, 0.5)]));
        all.into_iter().map(|found| &text[found.span]).collect()
    }

    #[test]
    fn the_embedded_artefact_is_the_one_recorded_and_says_what_it_comes_from() {
        assert!(Recogniser::embedded().provenance().starts_with("fitted on"));
        assert!(Model::parse(EMBEDDED).unwrap().to_bytes() == EMBEDDED);
        assert!(EMBEDDED.len() < 5 << 20);
        // What `ajar fit names` wrote: `analyze::names` fits it again where the data is.
        assert_eq!(blake3::hash(EMBEDDED).to_hex().as_str(), HASH);
    }

    #[test]
    fn a_damaged_or_foreign_artefact_is_refused() {
        let parse = |bytes: &[u8]| Model::parse(bytes).err();
        assert_eq!(parse(&EMBEDDED[..EMBEDDED.len() / 2]), Some(ArtefactError::Malformed));
        assert_eq!(parse(include_bytes!("../difficulty.bin")), Some(ArtefactError::Malformed));
        assert_eq!(parse(&[]), Some(ArtefactError::Malformed));
        let with = |at: usize, byte: u8| {
            let mut other = EMBEDDED.to_vec();
            other[at] = byte;
            parse(&other)
        };
        assert_eq!(with(8, 200), Some(ArtefactError::Version(200)));
        assert_eq!(with(12, 200), Some(ArtefactError::Malformed), "other labels or features");
    }

    #[test]
    fn what_is_private_in_a_letter_is_found_and_questions_are_left_alone() {
        let letter = "Dear Ms Thompson,\nplease send the parcel to Daniel Weber, Hauptstrasse 14, 10115 Berlin. He was born on \
            12 March 1981 and has been diagnosed with asthma.";
        assert_eq!(found(letter, Entity::Person), ["Thompson", "Daniel Weber"]);
        assert_eq!(found(letter, Entity::Address), ["Hauptstrasse 14, 10115 Berlin"]);
        assert_eq!(found(letter, Entity::BirthDate), ["12 March 1981"]);
        assert_eq!(found(letter, Entity::Health), ["asthma"]);
        for text in
            ["How do I reverse a list in Python?", "The deadline is 12 March 2024.", "fn main() { let x = 12; }"]
        {
            assert_eq!(find(text, &Thresholds::default()), [], "{text}");
        }
    }

    #[test]
    fn a_lower_threshold_finds_all_that_a_higher_one_finds() {
        let text = "Ask Rose or May at Baker Street 5 about the Summit, or write to Ana in Lima.";
        let all = |threshold: f32| find(text, &Thresholds::new(Entity::ALL.map(|entity| (entity, threshold))));
        let low = all(0.1);
        let within = |inner: &Found| {
            low.iter()
                .any(|f| f.entity == inner.entity && f.span.start <= inner.span.start && inner.span.end <= f.span.end)
        };
        assert!(all(0.6).iter().all(within));
    }

    #[test]
    fn a_name_is_found_once_and_in_place_wherever_a_window_ends() {
        for before in WINDOW - 40..WINDOW + 10 {
            let text = format!("{}\nMy name is Maria Gonzalez.", "x ".repeat(before / 2));
            assert_eq!(found(&text, Entity::Person), ["Maria Gonzalez"], "{before}");
        }
    }

    #[test]
    fn looking_stops_when_told_to() {
        let stopped = Recogniser::embedded().find("Maria Gonzalez", &Thresholds::default(), &|| false);
        assert_eq!(stopped, Err(Stopped));
    }

    #[test]
    fn policies_name_entities_and_only_those_that_exist() {
        let thresholds = Thresholds::parse(&[("ADDRESS".to_owned(), 0.25)]).unwrap();
        assert_eq!((thresholds.of(Entity::Address), thresholds.of(Entity::Person)), (0.25, f32::INFINITY));
        assert_eq!(Thresholds::parse(&[]), Some(Thresholds::default()));
        assert_eq!(Thresholds::parse(&[("PET".to_owned(), 0.5)]), None);
    }

    proptest! {
        #[test]
        fn any_string_is_looked_at(text in any::<String>()) {
            let all = Thresholds::new(Entity::ALL.map(|entity| (entity, 0.01)));
            for found in find(&text, &all) {
                prop_assert!(text.get(found.span.clone()).is_some_and(|t| !t.is_empty()), "{found:?}");
                prop_assert!((0.0..=1.01).contains(&found.score));
            }
        }
    }
}
