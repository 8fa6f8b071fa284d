//! A concrete request that shows something about policies.

use std::fmt;

use super::formula::{Answer, Formula, Formulas};
use super::space::{CONVERSATION, Input, Space};
use crate::chat::MicroUsd;
use crate::classify::Truth;
use crate::policy::PolicySet;
use crate::policy::cases::{Given, use_named};
use crate::policy::facts::LOCAL;

/// The value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A detector's verdict.
    Truth(Truth),
    /// Whether the request uses something.
    Flag(bool),
    /// A number.
    Number(f64),
    /// A word of an attribute.
    Word(String),
    /// An attribute that nobody states, so that its default holds.
    Missing,
    /// Not known, or a word outside the vocabulary.
    Unknown,
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truth(truth) => f.write_str(truth.name()),
            Self::Flag(flag) => flag.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Missing | Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// A request, told by how it differs from a harmless one: nothing found, nothing used, nothing spent, no attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Witness {
    /// The facts that differ, by name.
    pub facts: Vec<(String, Value)>,
    /// Facts that do not differ, and yet matter as they are unknown.
    pub unknown: Vec<String>,
    /// What it costs where that does not differ, by name.
    costs: Vec<(String, Value)>,
}

/// Searching for a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Search {
    /// This one.
    Found(Witness),
    /// There is none.
    Nothing,
    /// Nobody knows: the search was given up.
    GivenUp,
}

/// The request that makes all of `wanted` true and differs least from a harmless one, as far as that is easily found.
/// `more_than` says, for each number
/// from zero on, whether more facts than that differ.
pub(super) fn smallest(formulas: &mut Formulas, space: &Space, more_than: &[Formula], wanted: &[Formula]) -> Search {
    let mut assumed = wanted.to_vec();
    match formulas.can_be(&assumed) {
        Answer::Yes => {}
        Answer::No => return Search::Nothing,
        Answer::GivenUp => return Search::GivenUp,
    }
    for limit in more_than {
        assumed.push(!*limit);
        if formulas.can_easily_be(&assumed) == Answer::Yes {
            break;
        }
        assumed.pop();
    }
    // Where the last search had no answer, the first one's is as good a case, only not the smallest.
    if formulas.can_be(&assumed) == Answer::Yes {
        Search::Found(read(formulas, space, wanted))
    } else {
        Search::GivenUp
    }
}

/// The case that was found last.
fn read(formulas: &mut Formulas, space: &Space, wanted: &[Formula]) -> Witness {
    let cell = |formulas: &Formulas, input: &Input| input.cells.iter().position(|c| formulas.holds(c.is)).unwrap_or(0);
    let chosen: Vec<usize> = space.inputs.iter().map(|input| cell(formulas, input)).collect();
    let mut witness = Witness::default();
    for (i, (input, at)) in space.inputs.iter().zip(&chosen).enumerate() {
        if *at > 0 {
            witness.facts.push((input.name.clone(), input.cells[*at].value.clone()));
        } else if input.name.starts_with("cost.") {
            witness.costs.push((input.name.clone(), input.cells[0].value.clone()));
        } else if input.unknown_by_default && matters(formulas, space, &chosen, i, wanted) {
            witness.unknown.push(input.name.clone());
        }
    }
    witness
}

/// Whether some other value of the fact would not do.
fn matters(formulas: &mut Formulas, space: &Space, chosen: &[usize], input: usize, wanted: &[Formula]) -> bool {
    let others = space.inputs.iter().zip(chosen).enumerate().filter(|(i, _)| *i != input);
    let mut assumed: Vec<Formula> = others.map(|(_, (input, at))| input.cells[*at].is).collect();
    assumed.extend(wanted);
    space.inputs[input].cells.iter().skip(1).any(|cell| {
        assumed.push(cell.is);
        let answer = formulas.can_be(&assumed);
        assumed.pop();
        answer == Answer::No
    })
}

impl Witness {
    /// The same request for an in-file test of `set`; what the set has no name for is left out.
    pub fn given(&self, set: &PolicySet) -> Given {
        let mut given = Given::default();
        for (name, value) in self.costs.iter().chain(&self.facts) {
            give(set, &mut given, name, value);
        }
        given
    }

    /// The `given` of an in-file test.
    pub fn to_yaml(&self) -> String {
        // More tokens would cost more, unless the test says otherwise.
        let longer = self.facts.iter().any(|(name, _)| name.starts_with("tokens."));
        let costs = self.costs.iter().filter(|_| longer);
        let facts: Vec<String> =
            self.facts.iter().chain(costs).map(|(name, value)| format!("{name}: {value}")).collect();
        if facts.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", facts.join(", ")) }
    }
}

fn give(set: &PolicySet, given: &mut Given, name: &str, value: &Value) {
    if let (CONVERSATION, Value::Word(class)) = (name, value) {
        given.conversation = Some(set.class_named(class).unwrap_or(set.top_class()));
    }
    let Some((group, rest)) = name.split_once('.') else { return };
    let number = match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    match (group, value) {
        ("finding", Value::Truth(truth)) => {
            given.findings.extend(set.detectors.iter().position(|d| d.name == rest).map(|i| (i, *truth)));
        }
        ("uses", Value::Flag(true)) => given.uses.extend(use_named(rest)),
        ("cost", _) => {
            let usd = number.map(MicroUsd::from_usd_ceil);
            given.costs.extend(set.destination_named(rest).zip(usd));
        }
        ("budget", _) => {
            let index = set.budgets.iter().position(|b| b.id == rest);
            given.budgets.extend(index.map(|i| (i, number)));
        }
        ("est", _) => given.gain = number,
        ("tokens", _) if rest == "input" => given.tokens_input = number.map(|n| n as u64),
        ("tokens", _) => given.tokens_max_output = number.map(|n| n as u64),
        ("local", _) => given.local.extend(LOCAL.into_iter().find(|known| *known == rest).zip(number)),
        (_, Value::Missing) => {}
        _ => {
            given.attributes.insert(name.to_owned(), value.to_string());
        }
    }
}

/// "a request with key.region unknown and finding.card true"
impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differing = self.facts.iter().map(|(name, value)| format!("{name} {value}"));
        let told: Vec<String> = differing.chain(self.unknown.iter().map(|name| format!("{name} unknown"))).collect();
        match told.as_slice() {
            [] => f.write_str("an ordinary request"),
            [one] => write!(f, "a request with {one}"),
            [all @ .., last] => write!(f, "a request with {} and {last}", all.join(", ")),
        }
    }
}
