//! Who is measured: our recogniser, and what another one wrote down of the same texts.

use std::collections::HashMap;

use super::super::identifiers::{detectors, is_identifier};
use super::super::presidio::Presidio;
use super::rules::Rules;
use crate::chat::{Part, Source};
use crate::classify::Scanner;
use crate::classify::names::lexicon::Lexicon;
use crate::classify::names::{Entity, Found, Recogniser, Thresholds};
use crate::classify::normalise::Normalised;

/// Something that finds entities in texts.
pub trait Finder {
    /// What tables call it.
    fn name(&self) -> &str;
    /// What is in the text, by place.
    fn find(&self, text: &str) -> Vec<Found>;
    /// Whether there is an identifier or contact data in the text.
    fn has_identifier(&self, text: &str) -> bool;
    /// Whether it was given the text.
    fn has_seen(&self, _text: &str) -> bool {
        true
    }
    /// Whether it has no addresses of its own, and this entity is its nearest.
    fn stands_for_address(&self, _entity: Entity) -> bool {
        false
    }
}

/// Our recogniser, with the detectors of identifiers beside it.
pub struct Ours<'r> {
    recogniser: &'r Recogniser,
    thresholds: Thresholds,
    identifiers: Scanner,
}

impl<'r> Ours<'r> {
    /// With the default thresholds. Those for entities that are not looked for by default were chosen for F2 on a part of
    /// the templates that are fitted on.
    pub fn new(recogniser: &'r Recogniser) -> Self {
        let others = Thresholds::new([(Entity::Location, 0.3), (Entity::Organisation, 0.2)]);
        Self { recogniser, thresholds: Thresholds::default().or(others), identifiers: Scanner::new(&detectors()) }
    }
}

impl Finder for Ours<'_> {
    fn name(&self) -> &str {
        "ajar"
    }

    fn find(&self, text: &str) -> Vec<Found> {
        let Some(folded) = Normalised::new(text) else { return Vec::new() };
        let found = self.recogniser.find(folded.text(), &self.thresholds, &|| true).unwrap_or_default();
        found.into_iter().map(|found| Found { span: folded.original(found.span), ..found }).collect()
    }

    fn has_identifier(&self, text: &str) -> bool {
        scan(&self.identifiers, text)
    }
}

impl Finder for Presidio {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn find(&self, text: &str) -> Vec<Found> {
        let entity = |label: &str| match label {
            "PERSON" => Some(Entity::Person),
            "LOCATION" => Some(Entity::Location),
            "ORGANIZATION" => Some(Entity::Organisation),
            "DATE_TIME" => Some(Entity::BirthDate),
            _ => None,
        };
        let found = self.findings(text);
        found.filter_map(|f| Some(Found { entity: entity(f.label)?, span: f.span, score: f.score as f32 })).collect()
    }

    fn has_identifier(&self, text: &str) -> bool {
        self.findings(text).any(|found| is_identifier(found.label))
    }

    fn has_seen(&self, text: &str) -> bool {
        Self::has_seen(self, text)
    }

    fn stands_for_address(&self, entity: Entity) -> bool {
        entity == Entity::Location
    }
}

/// Rules and word lists.
pub struct RulesOnly {
    rules: Rules,
    identifiers: Scanner,
}

impl RulesOnly {
    /// With these lists.
    pub fn new(lexicon: Lexicon) -> Self {
        Self { rules: Rules { lexicon }, identifiers: Scanner::new(&detectors()) }
    }
}

impl Finder for RulesOnly {
    fn name(&self) -> &str {
        "rules"
    }

    fn find(&self, text: &str) -> Vec<Found> {
        self.rules.find(text)
    }

    fn has_identifier(&self, text: &str) -> bool {
        scan(&self.identifiers, text)
    }
}

/// For each document, the model that was not fitted on its template.
pub struct Either<'r> {
    ours: Vec<Ours<'r>>,
    by_text: HashMap<&'r str, usize>,
}

impl<'r> Either<'r> {
    /// Models, each with the texts that it is for.
    pub fn new(models: &'r [(Vec<String>, Recogniser)]) -> Self {
        let texts = models.iter().enumerate();
        let by_text = texts.flat_map(|(i, (texts, _))| texts.iter().map(move |text| (text.as_str(), i))).collect();
        Self { ours: models.iter().map(|(_, recogniser)| Ours::new(recogniser)).collect(), by_text }
    }

    fn of(&self, text: &str) -> Option<&Ours<'r>> {
        self.by_text.get(text).map(|i| &self.ours[*i])
    }
}

impl Finder for Either<'_> {
    fn name(&self) -> &str {
        "ajar"
    }

    fn find(&self, text: &str) -> Vec<Found> {
        self.of(text).map(|ours| ours.find(text)).unwrap_or_default()
    }

    fn has_identifier(&self, text: &str) -> bool {
        self.of(text).is_some_and(|ours| ours.has_identifier(text))
    }
}

fn scan(scanner: &Scanner, text: &str) -> bool {
    !scanner.scan(&[Part { source: Source::User, text: text.into() }]).findings.is_empty()
}
