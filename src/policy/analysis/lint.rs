//! What in a set has no effect, or another one than its author may think. The codes are those of `docs/policies.md`.

mod quality;
mod routes;
mod rules;

use super::Analysis;
use super::encode::Kleene;
use super::formula::{Answer, Formula};
use super::witness::Search;
use crate::policy::PolicySet;
use crate::yaml::{Place, Problems};

/// All warnings about a set that loaded, by place.
pub fn lint(set: &PolicySet) -> Problems {
    let mut linter = Linter { set, analysis: Analysis::of(&[set]), warnings: Problems::new(), idle: Vec::new() };
    linter.routes();
    linter.quality();
    linter.rules();
    linter.warnings.sorted()
}

struct Linter<'a> {
    set: &'a PolicySet,
    analysis: Analysis<'a>,
    warnings: Problems,
    /// Where rules stand that never apply: nothing else is worth saying about them.
    idle: Vec<Place>,
}

impl Linter<'_> {
    /// Whether no request makes all of `formulas` true; what could not be decided is not warned of.
    fn never(&mut self, formulas: &[Formula]) -> bool {
        self.analysis.formulas.can_be(formulas) == Answer::No
    }

    /// A request that makes all of `formulas` true, in words.
    fn example(&mut self, formulas: &[Formula]) -> Option<String> {
        match self.analysis.find(formulas) {
            Search::Found(witness) => Some(witness.to_string()),
            Search::Nothing | Search::GivenUp => None,
        }
    }

    /// "always" or "never", where a condition has but one value. A rule that restricts applies unless certainly not.
    fn verdict(&mut self, when: Kleene, restricts: bool) -> Option<&'static str> {
        let applies = if restricts { when.possible } else { when.certain };
        if self.never(&[applies]) {
            return Some("never");
        }
        self.never(&[!applies]).then_some("always")
    }
}
