//! The documents the recogniser is fitted and measured on.
//!
//! Splits are by template: every document of one template is on one side, by a hash of the template.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::super::data::{DataError, part, read_rows};
use super::super::identifiers::is_identifier;
use super::words::Words;
use super::{forms, generate};
use crate::classify::names::Entity;

/// What is known of a document's labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Everything that is in it is labelled.
    All,
    /// Only that it holds no address and no date of birth: an ordinary prompt.
    NothingPrivate,
}

/// A text with what is in it.
#[derive(Clone, Debug)]
pub struct Document {
    /// The text as it is sent.
    pub text: String,
    /// Bytes and what they are, by place.
    pub spans: Vec<(Range<usize>, Entity)>,
    /// How complete the spans are.
    pub known: Known,
}

/// A held-aside document of the data set, with what else is labelled in it.
#[derive(Clone, Debug)]
pub struct Held {
    /// The text and its labels.
    pub document: Document,
    /// Whether it holds an identifier or contact data.
    pub has_identifier: bool,
}

/// Documents by what they are for.
#[derive(Default)]
pub struct Corpus {
    /// To fit on.
    pub fit: Vec<Document>,
    /// Of the data set, of templates that nothing was fitted on.
    pub held: Vec<Held>,
    /// Our own, of templates that nothing was fitted on.
    pub held_own: Vec<Document>,
    /// Real short messages that nothing was fitted on.
    pub held_messages: Vec<Document>,
    /// Words that are common in small letters in the prompts fitted on.
    pub common: Vec<String>,
}

/// What to fit on.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// Documents of each of our own templates.
    pub copies: usize,
    /// How often each document of the data set counts.
    pub repeats: usize,
    /// Whether ordinary prompts are fitted on.
    pub prompts: bool,
    /// Whether the model gets word lists.
    pub lists: bool,
    /// Instead of half the data set's templates, the first of these numbers of as many parts as the second is held.
    pub fold: Option<(u64, u64)>,
}

impl Corpus {
    /// Reads and makes everything; `data` is the folder with `pii/` and `routing/`.
    pub fn load(data: &Path, words: &Words, recipe: Recipe) -> Result<Self, DataError> {
        let mut corpus = Self::default();
        corpus.add_generated_set(data, recipe)?;
        corpus.add_messages(data)?;
        corpus.add_own(words, recipe.copies);
        let prompts = ordinary_prompts(data)?;
        corpus.common = common_words(&prompts);
        if recipe.prompts {
            corpus.fit.extend(prompts.into_iter().map(|text| Document {
                text,
                spans: Vec::new(),
                known: Known::NothingPrivate,
            }));
        }
        Ok(corpus)
    }

    fn add_generated_set(&mut self, data: &Path, recipe: Recipe) -> Result<(), DataError> {
        for row in read_rows::<Generated>(data, "pii/presidio_generated_large.jsonl")? {
            let held = row.read();
            let (held_part, parts) = recipe.fold.unwrap_or((0, 2));
            if part(&row.template, parts) == held_part {
                self.held.push(held);
            } else {
                self.fit.extend(std::iter::repeat_n(held.document, recipe.repeats));
            }
        }
        Ok(())
    }

    fn add_messages(&mut self, data: &Path) -> Result<(), DataError> {
        for row in read_rows::<Message>(data, "pii/wnut17_train.jsonl")? {
            let document = row.read();
            let to = if part(&document.text, 4) == 0 { &mut self.held_messages } else { &mut self.fit };
            to.push(document);
        }
        Ok(())
    }

    fn add_own(&mut self, words: &Words, copies: usize) {
        let (held, fit): (Vec<&str>, Vec<&str>) = generate::templates().into_iter().partition(|t| part(t, 6) == 0);
        self.fit.extend(generate::documents(words, &fit, copies, 1));
        self.fit.extend(forms::documents(words, copies * RECORDS, 4));
        self.held_own = generate::documents(words, &held, 20, 2);
    }
}

/// Records for each copy of the templates.
const RECORDS: usize = 50;

// === The generated data set ===

#[derive(Deserialize)]
struct Generated {
    text: String,
    template: String,
    spans: Vec<(usize, usize, String)>,
}

impl Generated {
    /// The labels in our terms; the data set counts characters.
    fn read(&self) -> Held {
        let bytes = |chars: usize| self.text.char_indices().nth(chars).map_or(self.text.len(), |(at, _)| at);
        let of_birth = self.template.contains("birth") || self.template.contains("born");
        let entity = |label: &str| match label {
            "PERSON" => Some(Entity::Person),
            "ADDRESS" => Some(Entity::Address),
            "LOCATION" => Some(Entity::Location),
            "ORGANIZATION" => Some(Entity::Organisation),
            "DATE_TIME" if of_birth => Some(Entity::BirthDate),
            _ => None,
        };
        let labelled =
            self.spans.iter().filter_map(|(start, end, label)| Some((bytes(*start)..bytes(*end), entity(label)?)));
        let spans = whole(&self.text, labelled.collect());
        let document = Document { text: self.text.clone(), spans, known: Known::All };
        Held { document, has_identifier: self.spans.iter().any(|(_, _, label)| is_identifier(label)) }
    }
}

/// The data set labels the pieces of some names and addresses apart: a title with its name is one name, and a street
/// with its city and postcode one address.
pub fn whole(text: &str, mut spans: Vec<(Range<usize>, Entity)>) -> Vec<(Range<usize>, Entity)> {
    spans.sort_by_key(|(span, _)| (span.start, span.end));
    let mut whole: Vec<(Range<usize>, Entity)> = Vec::new();
    for (span, entity) in spans {
        let is_place = |entity: Entity| matches!(entity, Entity::Address | Entity::Location);
        if let Some((last, kind)) = whole.last_mut()
            && text.get(last.end..span.start).is_some_and(|gap| !gap.contains(char::is_alphanumeric) && gap.len() <= 4)
            && (is_title(&text[last.clone()]) && entity == Entity::Person
                || is_place(entity) && is_place(*kind) && [entity, *kind].contains(&Entity::Address))
        {
            last.end = last.end.max(span.end);
            *kind = if entity == Entity::Person { entity } else { Entity::Address };
        } else if whole.last().is_none_or(|(last, _)| last.end <= span.start) {
            whole.push((span, entity));
        }
    }
    whole
}

fn is_title(text: &str) -> bool {
    ["mr", "mrs", "ms", "miss", "dr"].contains(&text.trim_end_matches('.').to_lowercase().as_str())
}

// === Messages ===

#[derive(Deserialize)]
struct Message {
    tokens: Vec<String>,
    tags: Vec<String>,
}

impl Message {
    fn read(&self) -> Document {
        let mut text = String::new();
        let mut spans: Vec<(Range<usize>, Entity)> = Vec::new();
        for (token, tag) in self.tokens.iter().zip(&self.tags) {
            let glued =
                token.starts_with([',', '.', '!', '?', ':', ';', '\'', ')']) || text.is_empty() || text.ends_with('(');
            text.push_str(if glued { "" } else { " " });
            let start = text.len();
            text.push_str(token);
            let entity = match tag.get(2..) {
                Some("PER") => Entity::Person,
                Some("LOC") => Entity::Location,
                Some("ORG") => Entity::Organisation,
                _ => continue,
            };
            match spans.last_mut() {
                Some((span, _)) if tag.starts_with("I-") => span.end = text.len(),
                _ => spans.push((start..text.len(), entity)),
            }
        }
        Document { text, spans, known: Known::All }
    }
}

// === Prompts ===

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
    domain: String,
}

/// What of a prompt is read, in characters.
const PROMPT_CHARS: usize = 600;

/// Prompts of the routing data that the false alarms are not measured on.
fn ordinary_prompts(data: &Path) -> Result<Vec<String>, DataError> {
    let mut prompts = Vec::new();
    for file in ["routing/llmrouter_train.jsonl", "routing/routellm_mmlu.jsonl"] {
        let rows: Vec<Prompt> = read_rows(data, file)?;
        let kept = rows.into_iter().filter(|row| !is_measured(row));
        prompts.extend(kept.map(|row| row.prompt.chars().take(PROMPT_CHARS).collect::<String>()));
    }
    Ok(prompts)
}

/// Whole subjects of MMLU are kept away, and what of LLMRouter may be the same questions as other benchmarks'.
fn is_measured(row: &Prompt) -> bool {
    ["mmlu", "gsm8k", "agentverse-mgsm", "human_eval"].contains(&row.domain.as_str()) || held_subject(&row.domain)
}

/// Whether a subject of MMLU is measured on.
pub fn held_subject(subject: &str) -> bool {
    part(subject, 3) == 0
}

/// Words that occur at least 4 times in small letters, and more often so than with a capital.
fn common_words(prompts: &[String]) -> Vec<String> {
    let mut counts: BTreeMap<String, [usize; 2]> = BTreeMap::new();
    for word in prompts.iter().flat_map(|text| text.split(|c: char| !c.is_alphabetic())).filter(|word| word.len() > 1) {
        let capital = usize::from(word.contains(char::is_uppercase));
        counts.entry(word.to_lowercase()).or_default()[capital] += 1;
    }
    counts.into_iter().filter(|(_, [small, capital])| *small >= 4 && small > capital).map(|(word, _)| word).collect()
}
