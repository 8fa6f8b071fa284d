//! Fits and measures the recogniser of names (`classify::names`).
//!
//! Fitted on documents made of our own templates, on half the templates of a published generated data set, on short
//! messages, and on ordinary prompts of which only little is known: that they hold no address and no date of birth.
//! Measured on what is left. Fitting is deterministic, to the bit.

mod corpus;
mod examples;
mod finders;
mod fitting;
mod forms;
mod frontier;
mod generate;
mod measure;
mod random;
mod rules;
mod values;
mod words;

use std::path::Path;

use self::corpus::{Corpus, Recipe};
use self::finders::{Finder, Ours};
use self::fitting::{Learner, Settings, prepare};
use self::words::Words;
use super::data::DataError;
use super::presidio::Presidio;
use super::report::Report;
use crate::classify::names::{ArtefactError, Model, Recogniser};

/// Why names could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum NamesError {
    /// The data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The artefact.
    #[error(transparent)]
    Artefact(#[from] ArtefactError),
}

/// What the shipped model is fitted on.
const RECIPE: Recipe = Recipe { copies: 100, repeats: 3, prompts: true, lists: true, fold: None };

/// How the shipped model is fitted.
const SETTINGS: Settings = Settings { learner: Learner::Field, bits: 17, passes: 5, rate: 0.15, decay: 1e-5 };

/// Fits the recogniser and writes it to `out`.
pub fn fit(data: &Path, out: &Path) -> Result<(), DataError> {
    let model = fit_model(data, RECIPE, SETTINGS)?;
    std::fs::write(out, model.to_bytes()).map_err(|source| DataError::Write { path: out.to_owned(), source })
}

/// Measures the embedded recogniser, or one read from a file, on templates and prompts that it was not fitted on;
/// `beside` holds what Presidio found in the same texts.
pub fn evaluate(data: &Path, model: Option<&Path>, beside: Option<&Path>) -> Result<Report, NamesError> {
    let corpus = Corpus::load(data, &Words::new(), RECIPE)?;
    let read = model.map(read_model).transpose()?;
    let ours = Ours::new(read.as_ref().unwrap_or_else(|| Recogniser::embedded()));
    let presidio = beside.map(Presidio::read).transpose()?;
    let finders: Vec<&dyn Finder> =
        [&ours as &dyn Finder].into_iter().chain(presidio.as_ref().map(|p| p as _)).collect();
    Ok(measure::report(data, &ours, &finders, &corpus)?)
}

fn read_model(path: &Path) -> Result<Recogniser, NamesError> {
    let bytes = std::fs::read(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    Ok(Recogniser::new(Model::parse(&bytes)?))
}

/// As [`evaluate`], by models fitted for the purpose: on every document of the data set in turn, in `folds` parts by
/// template, by a model that saw none of its template.
pub fn evaluate_folds(data: &Path, folds: u64, beside: Option<&Path>) -> Result<Report, NamesError> {
    let presidio = beside.map(Presidio::read).transpose()?;
    frontier::folds(data, folds, presidio.as_ref()).map_err(NamesError::from)
}

/// What other ways of recognising would give, and cost.
pub fn evaluate_frontier(data: &Path) -> Result<Report, NamesError> {
    frontier::report(data).map_err(NamesError::from)
}

fn fit_model(data: &Path, recipe: Recipe, settings: Settings) -> Result<Model, DataError> {
    let words = Words::new();
    Ok(fit_corpus(&Corpus::load(data, &words, recipe)?, &words, recipe, settings))
}

fn fit_corpus(corpus: &Corpus, words: &Words, recipe: Recipe, settings: Settings) -> Model {
    let lexicon = if recipe.lists { words.lexicon(&corpus.common) } else { Vec::new() };
    let provenance =
        format!("fitted on {} documents: own templates, Presidio research, WNUT 17, prompts", corpus.fit.len());
    fitting::fit(prepare(&corpus.fit, &lexicon), lexicon, provenance, settings)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::classify::names::lexicon::Lexicon;
    use crate::classify::names::{Entity, Thresholds};

    const SMALL: (Recipe, Settings) =
        (Recipe { copies: 2, repeats: 1, ..RECIPE }, Settings { bits: 13, passes: 2, ..SETTINGS });

    /// Data of the right form.
    fn write_synthetic(folder: &Path) {
        let write = |name: &str, rows: Vec<serde_json::Value>| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, rows.iter().map(|row| format!("{row}\n")).collect::<String>()).unwrap();
        };
        let names = ["Anna", "Bert", "Carla", "Dora"];
        let document = |i: usize| {
            let (text, template) =
                (format!("Ask {} number {i}", names[i % 4]), format!("Ask {{name}} number {}", i % 12));
            serde_json::json!({ "text": text, "template": template, "spans": [(4, 4 + names[i % 4].len(), "PERSON")] })
        };
        write("pii/presidio_generated_large.jsonl", (0..60).map(document).collect());
        let message = serde_json::json!({ "tokens": ["hi", "Anna", "!"], "tags": ["O", "B-PER", "O"] });
        write("pii/wnut17_train.jsonl", vec![message; 10]);
        let prompt = |i: usize| serde_json::json!({ "prompt": format!("what is number {i}?"), "domain": format!("subject {i}") });
        for name in ["routing/llmrouter_train.jsonl", "routing/routellm_mmlu.jsonl", "routing/routellm_gsm8k.jsonl"] {
            write(name, (0..20).map(prompt).collect());
        }
        let turns = serde_json::json!({ "turns": ["hello", "again"] });
        write("traffic/mt_bench_questions.jsonl", vec![turns]);
        write("traffic/arena_hard_v0.1_questions.jsonl", vec![prompt(1)]);
        write("traffic/HumanEval.jsonl", vec![prompt(2)]);
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, format!("{}\n", prompt(3)).as_bytes()).unwrap();
        std::fs::write(folder.join("traffic/HumanEval.jsonl.gz"), gz.finish().unwrap()).unwrap();
    }

    #[test]
    fn fitting_learns_and_repeats_itself_to_the_bit() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let fitted = [(); 2].map(|()| fit_model(folder.path(), SMALL.0, SMALL.1).unwrap());
        assert!(fitted[0].to_bytes() == fitted[1].to_bytes());
        let [model, _] = fitted;
        let text = "Ask Carla number 7, please";
        let found = Recogniser::new(model).find(text, &Thresholds::new([(Entity::Person, 0.5)]), &|| true).unwrap();
        assert_eq!(found.iter().map(|f| &text[f.span.clone()]).collect::<Vec<_>>(), ["Carla"]);
    }

    #[test]
    fn no_template_is_both_fitted_on_and_measured() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let corpus = Corpus::load(folder.path(), &Words::new(), SMALL.0).unwrap();
        let form = |text: &str| text.split(' ').next_back().map(|n| n.parse::<usize>().unwrap_or_default() % 12);
        let asked = |text: &str| text.starts_with("Ask ").then(|| form(text));
        let fitted: BTreeSet<_> = corpus.fit.iter().filter_map(|d| asked(&d.text)).collect();
        let held: BTreeSet<_> = corpus.held.iter().filter_map(|h| asked(&h.document.text)).collect();
        assert!(!fitted.is_empty() && !held.is_empty() && fitted.is_disjoint(&held));
    }

    #[test]
    fn a_report_measures_us_and_what_another_found() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let beside = folder.path().join("findings.jsonl");
        let line = serde_json::json!({ "text": "Ask Anna number 0", "spans": [(4, 8, "PERSON", 0.85)] });
        std::fs::write(&beside, format!("{line}\n")).unwrap();
        let report = evaluate(folder.path(), None, Some(&beside)).unwrap();
        let rows = |table: usize, by: &str| report.tables[table].rows.iter().filter(|row| row[1] == by).count();
        assert_eq!((rows(0, "ajar"), rows(0, "Presidio"), rows(1, "Presidio"), rows(4, "ajar")), (1, 1, 3, 5));
    }

    #[test]
    fn in_parts_every_document_is_measured_once() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let recipe = |fold| Recipe { fold: Some((fold, 3)), copies: 0, repeats: 1, ..RECIPE };
        let words = Words::new();
        let held =
            (0..3).map(|fold| Corpus::load(folder.path(), &words, recipe(fold)).unwrap().held.len()).sum::<usize>();
        assert_eq!(held, 60);
    }

    #[test]
    fn rules_find_plain_names_and_addresses() {
        let rules = rules::Rules { lexicon: Lexicon::new(&Words::new().lexicon(&["will".to_owned()])) };
        let text = "Will Anna Schmidt move to 12 Oak Street? Ask Dr. Who.";
        let found: Vec<&str> = rules.find(text).into_iter().map(|f| &text[f.span]).collect();
        assert_eq!(found, ["Anna Schmidt", "12 Oak Street", "Dr. Who"]);
    }

    #[test]
    fn a_wrong_artefact_and_missing_data_are_named() {
        let folder = tempfile::tempdir().unwrap();
        write_synthetic(folder.path());
        let wrong = folder.path().join("wrong.bin");
        std::fs::write(&wrong, "something else").unwrap();
        let error = evaluate(folder.path(), Some(&wrong), None).unwrap_err().to_string();
        assert!(error.contains("ajar fit names"), "{error}");
        let error = evaluate(Path::new("nowhere"), None, None).unwrap_err().to_string();
        assert!(error.contains("nowhere/pii/presidio_generated_large.jsonl"), "{error}");
    }

    /// Runs where the data is, as `AJAR_DATA` says, and the code is optimised: minutes otherwise.
    #[test]
    fn the_embedded_artefact_is_what_fitting_gives() {
        let Some(data) = std::env::var_os("AJAR_DATA").filter(|_| !cfg!(debug_assertions)) else { return };
        let model = fit_model(Path::new(&data), RECIPE, SETTINGS).unwrap();
        assert!(model.to_bytes() == include_bytes!("../../classify/names/names.bin"));
    }
}
