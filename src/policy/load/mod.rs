//! Files to a checked [`PolicySet`]: every mistake at once, each with its place, a code and the way out.

mod budgets;
mod conversations;
mod destinations;
mod detectors;
mod expressions;
mod header;
mod prices;
mod quality;
mod rollout;
mod routes;
mod rules;
mod sections;
mod tests;

use std::path::Path;

use sha2::{Digest, Sha256};

use self::detectors::Elsewhere;
use self::header::Header;
pub use self::prices::{PriceFile, price_file};
use self::sections::Sections;
use super::analysis::prove;
use super::cases;
use super::set::{Conversations, PolicySet};
use super::vocabulary::Vocabulary;
use crate::govern::Price;
use crate::yaml::{Place, Problems, parse};

/// What the name of a word list ends with: names for a dictionary, one a line.
pub const WORD_LIST: &str = "txt";

/// One policy file, or a word list.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name in messages.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Whether it is a word list.
    fn is_word_list(&self) -> bool {
        Path::new(&self.file).extension().is_some_and(|extension| extension == WORD_LIST)
    }
}

/// Looks up what a model costs; `None` is unknown.
pub type Prices<'a> = &'a dyn Fn(&str) -> Option<Price>;

/// Loads the files of one set: read, tested and proved. Their order has no meaning.
///
/// Errors: every mistake in every file; where there is none, every test that fails and every invariant that is broken.
pub fn load(sources: &[Source], prices: Prices<'_>) -> Result<PolicySet, Problems> {
    let set = read(sources, prices)?;
    let mut problems = Problems::new();
    cases::run(&set, &mut problems);
    prove(&set, &mut problems);
    problems.or_ok(set)
}

/// Reads and checks the files of one set, without its tests and proofs: to look into a set that fails them.
///
/// Errors: every mistake in every file.
pub fn read(sources: &[Source], prices: Prices<'_>) -> Result<PolicySet, Problems> {
    let mut problems = Problems::new();
    let mut roots = Vec::new();
    let (lists, policies): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| source.is_word_list());
    for source in policies {
        match parse(&source.file, &source.text) {
            Ok(root) => roots.push(root),
            Err(found) => problems.extend(found),
        }
    }
    if !problems.is_empty() {
        // What the others say cannot be judged without it.
        return Err(problems.sorted());
    }
    let sections = Sections::collect(&roots, &mut problems);
    let mut header = Header::read(&sections, &lists, &mut problems);
    let elsewhere = std::mem::take(&mut header.elsewhere);
    if header.vocabulary.names().count() > Vocabulary::MAX {
        let most = Vocabulary::MAX;
        let message = format!("a set has at most {most} names, detectors' and budgets' included");
        problems.add(&Place::whole("policy set"), message);
        return Err(problems.sorted());
    }
    let Some(mut loader) = Loader::new(header, &mut problems, digest(sources)) else {
        return Err(problems.sorted());
    };
    loader.read(&sections, prices, &elsewhere);
    let set = loader.set;
    problems.or_ok(set)
}

/// SHA-256 over names and texts, in the order of names.
fn digest(sources: &[Source]) -> String {
    let mut sorted: Vec<&Source> = sources.iter().collect();
    sorted.sort_by(|a, b| a.file.cmp(&b.file));
    let mut hasher = Sha256::new();
    for source in sorted {
        let name = source.file.rsplit('/').next().unwrap_or_default();
        for field in [name, source.text.as_str()] {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field.as_bytes());
        }
    }
    hex::encode(hasher.finalize())
}

/// The set while it is being read, section by section.
struct Loader<'p> {
    set: PolicySet,
    problems: &'p mut Problems,
}

impl<'p> Loader<'p> {
    /// `None` when there are no classes, without which nothing else can be checked.
    fn new(header: Header, problems: &'p mut Problems, digest: String) -> Option<Self> {
        let default_class = header.default_class?;
        let set = PolicySet {
            digest,
            name: header.name,
            classes: header.classes,
            sealed: header.sealed,
            default_class,
            vocabulary: header.vocabulary,
            slots: header.slots,
            detectors: header.detectors,
            baselines: Vec::new(),
            classify: Vec::new(),
            conversations: Conversations::default(),
            destinations: Vec::new(),
            declassify: Vec::new(),
            guards: Vec::new(),
            budgets: Vec::new(),
            routes: Vec::new(),
            estimators: Vec::new(),
            affinity: None,
            labels: header.labels,
            helpers: Vec::new(),
            invariants: Vec::new(),
            rollout: None,
            cases: Vec::new(),
        };
        Some(Self { set, problems })
    }

    fn read(&mut self, sections: &Sections<'_>, prices: Prices<'_>, elsewhere: &[Elsewhere]) {
        self.destinations(sections, prices);
        self.prices(sections);
        self.budgets(sections);
        self.rules(sections);
        self.conversations(sections);
        self.estimators(sections);
        self.routes(sections);
        self.affinity(sections);
        self.helpers(elsewhere);
        self.rollout(sections);
        self.tests(sections);
    }
}
