//! Compares ways of recognising names by what they find and what they cost.

use std::path::Path;

use super::super::counts::tally;
use super::super::data::DataError;
use super::super::presidio::Presidio;
use super::super::report::{Report, Table, ratio};
use super::corpus::{Corpus, Document, Recipe};
use super::finders::{Either, Finder, Ours, RulesOnly};
use super::fitting::{Learner, Settings};
use super::measure::{Judged, count, documents, spans, times};
use super::words::Words;
use super::{RECIPE, SETTINGS, fit_corpus};
use crate::classify::names::lexicon::Lexicon;
use crate::classify::names::{Entity, Found, Recogniser};

/// Ways to fit, in words.
fn variants() -> Vec<(&'static str, Recipe, Settings)> {
    let perceptron = |bits| Settings { learner: Learner::Perceptron, bits, ..SETTINGS };
    vec![
        ("perceptron, 2^14 rows", RECIPE, perceptron(14)),
        ("perceptron, 2^17 rows", RECIPE, perceptron(17)),
        ("field, 2^14 rows", RECIPE, Settings { bits: 14, ..SETTINGS }),
        ("field, 2^17 rows: shipped", RECIPE, SETTINGS),
        ("field, 2^19 rows", RECIPE, Settings { bits: 19, ..SETTINGS }),
        ("shipped, without word lists", Recipe { lists: false, ..RECIPE }, SETTINGS),
        ("shipped, without ordinary prompts", Recipe { prompts: false, ..RECIPE }, SETTINGS),
        ("shipped, without our own documents", Recipe { copies: 0, ..RECIPE }, SETTINGS),
        ("shipped, without the data set", Recipe { repeats: 0, ..RECIPE }, SETTINGS),
    ]
}

/// Fits every variant and measures it on the held documents.
pub fn report(data: &Path) -> Result<Report, DataError> {
    let words = Words::new();
    let header =
        ["way", "artefact", "recall", "false alarms", "person", "address", "location", "organisation", "4 KiB p50"];
    let title = "Recall and false alarms of documents with a person, address or identifier; F2 of entities; time";
    let mut table = Table::new(title, &header);
    let corpus = Corpus::load(data, &words, RECIPE)?;
    let rules = RulesOnly::new(Lexicon::new(&words.lexicon(&corpus.common)));
    table.push(row("rules and word lists", "–".to_owned(), &rules, &corpus));
    for (name, recipe, settings) in variants() {
        let corpus = Corpus::load(data, &words, recipe)?;
        let model = fit_corpus(&corpus, &words, recipe, settings);
        let size = format!("{} KiB", model.to_bytes().len() >> 10);
        let recogniser = Recogniser::new(model);
        table.push(row(name, size, &Ours::new(&recogniser), &corpus));
    }
    Ok(Report { tables: vec![table] })
}

fn row(name: &str, size: String, finder: &dyn Finder, corpus: &Corpus) -> Vec<String> {
    let verdicts: Vec<[bool; 2]> = corpus.held.iter().map(|held| Judged::new(finder, held).any()).collect();
    let texts: Vec<Document> = corpus.held.iter().map(|held| held.document.clone()).collect();
    let found: Vec<Vec<Found>> = texts.iter().map(|document| finder.find(&document.text)).collect();
    let f2 = |entity: Entity| format!("{:.3}", count(entity, finder, &texts, &found).f2());
    let share = |labelled: bool| {
        let (part, whole) = tally(&verdicts, labelled);
        ratio(part, whole)
    };
    let entities = [Entity::Person, Entity::Address, Entity::Location, Entity::Organisation].map(f2);
    let time = format!("{:.2} ms", times(finder, corpus, 4096)[0]);
    [vec![name.to_owned(), size, share(true), share(false)], entities.to_vec(), vec![time]].concat()
}

/// Measures the whole data set in parts, each by a model that saw none of its templates.
pub fn folds(data: &Path, folds: u64, presidio: Option<&Presidio>) -> Result<Report, DataError> {
    let words = Words::new();
    let (mut held, mut models) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let recipe = Recipe { fold: Some((fold, folds)), ..RECIPE };
        let corpus = Corpus::load(data, &words, recipe)?;
        let texts = corpus.held.iter().map(|held| held.document.text.clone()).collect();
        models.push((texts, Recogniser::new(fit_corpus(&corpus, &words, recipe, SETTINGS))));
        held.extend(corpus.held);
    }
    let ours = Either::new(&models);
    let finders: Vec<&dyn Finder> = [&ours as &dyn Finder].into_iter().chain(presidio.map(|p| p as _)).collect();
    let texts: Vec<Document> = held.iter().map(|held| held.document.clone()).collect();
    let title = format!("Entities in generated documents, in {folds} parts by template");
    Ok(Report { tables: vec![spans(&title, &finders, &texts), documents(&finders, &held)] })
}
