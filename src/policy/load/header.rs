//! Classes, attributes, detectors, and from them the vocabulary.

use super::Source;
use super::detectors::Elsewhere;
use super::sections::Sections;
use crate::classify::DetectorSpec;
use crate::policy::expr::is_segment;
use crate::policy::facts::{LOCAL, USES};
use crate::policy::label::Label;
use crate::policy::set::{BuiltinSlots, Class};
use crate::policy::vocabulary::{Fact, Term, Trust, Type, Vocabulary};
use crate::yaml::{Fields, Node, Problems, did_you_mean};

/// The most classes, so that an index fits where it is used.
const MAX_CLASSES: usize = 64;
/// The most words of an attribute: a condition holds them as bits.
const MAX_WORDS: usize = 64;

/// How what expressions name is called.
pub(super) const NAMES: &str = "letters, digits, `_` and `-`, not beginning with a digit";

/// What all rules refer to.
#[derive(Default)]
pub(super) struct Header {
    pub name: String,
    pub classes: Vec<String>,
    pub sealed: Vec<Class>,
    pub default_class: Option<Class>,
    pub vocabulary: Vocabulary,
    pub slots: BuiltinSlots,
    pub detectors: Vec<DetectorSpec>,
    pub labels: Vec<Label>,
    /// Detectors that run on a destination; which ones there are is read later.
    pub elsewhere: Vec<Elsewhere>,
}

impl Header {
    pub(super) fn read(sections: &Sections<'_>, lists: &[&Source], problems: &mut Problems) -> Self {
        let name = sections.name.and_then(|n| n.scalar()).unwrap_or("unnamed").to_owned();
        let mut header = Self { name, ..Self::default() };
        header.classes(sections, problems);
        for node in &sections.attributes {
            header.attributes(node, problems);
        }
        for node in &sections.detectors {
            header.detectors(node, lists, problems);
        }
        header.builtins(sections);
        header
    }

    fn classes(&mut self, sections: &Sections<'_>, problems: &mut Problems) {
        let Some(node) = sections.classes else {
            problems.add(
                &crate::yaml::Place::whole("policy set"),
                "no file defines `classes`; a base file must, as in `classes: [public, internal, restricted]`",
            );
            return;
        };
        self.classes = node.texts(problems).unwrap_or_default().into_iter().map(str::to_owned).collect();
        if self.classes.is_empty() || self.classes.len() > MAX_CLASSES {
            problems.add(&node.place, format!("a set has between 1 and {MAX_CLASSES} classes"));
        }
        match sections.default_class {
            Some(node) => self.default_class = class(&self.classes, node, problems),
            None => problems.add(&node.place, "`default_class` is missing: the class of a request that no rule knows"),
        }
        if let Some(node) = sections.sealed {
            let items = node.list(problems).unwrap_or_default();
            self.sealed = items.iter().filter_map(|item| class(&self.classes, item, problems)).collect();
        }
    }

    fn attributes(&mut self, node: &Node, problems: &mut Problems) {
        for (key, value) in node.map(problems).unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            let group = name.split('.').next().unwrap_or_default();
            if !["key", "client", "request", "agent"].contains(&group) || !name.contains('.') {
                problems.add_coded(
                    &key.place,
                    "E001",
                    format!("an attribute is named `key.…`, `client.…`, `request.…` or `agent.…`, not `{name}`"),
                );
                continue;
            }
            if !name.split('.').all(is_segment) {
                problems.add_coded(&key.place, "E001", format!("`{name}` is not a name: {NAMES}"));
            }
            if let Some(term) = attribute(name, value, problems)
                && !self.vocabulary.add(term)
            {
                problems.add(&key.place, format!("the attribute `{name}` is defined twice"));
            }
        }
    }

    fn builtins(&mut self, sections: &Sections<'_>) {
        for i in 0..self.detectors.len() {
            let name = self.detectors[i].name.clone();
            let finding = self.builtin(format!("finding.{name}"), Type::Bool, false);
            let unknown = self.builtin(format!("unknown.{name}"), Type::Bool, true);
            self.slots.findings.extend(finding);
            self.slots.unknowns.extend(unknown);
        }
        self.slots.unknown_any = self.builtin("unknown.any".to_owned(), Type::Bool, true);
        for name in USES {
            let slot = self.builtin(format!("uses.{name}"), Type::Bool, false);
            self.slots.uses.extend(slot.map(|slot| (name, slot)));
        }
        for name in LOCAL {
            let slot = self.builtin(format!("local.{name}"), Type::Number, false);
            self.slots.local.extend(slot.map(|slot| (name, slot)));
        }
        self.slots.tokens_input = self.builtin("tokens.input".to_owned(), Type::Number, false);
        self.slots.tokens_max_output = self.builtin("tokens.max_output".to_owned(), Type::Number, false);
        self.slots.gain = self.builtin("est.gain".to_owned(), Type::Number, false);
        for id in budget_ids(sections) {
            let slot = self.builtin(format!("budget.{id}"), Type::Number, false);
            self.slots.budgets.extend(slot);
        }
    }

    fn builtin(&mut self, name: String, kind: Type, grows_with_unknown: bool) -> Option<crate::policy::Slot> {
        let term =
            Term { name: name.clone(), kind, default: Fact::Unknown, trust: Trust::Operator, grows_with_unknown };
        self.vocabulary.add(term);
        self.vocabulary.slot(&name)
    }
}

/// The ids of all budgets, in the order in which they are read.
fn budget_ids<'a>(sections: &Sections<'a>) -> Vec<&'a str> {
    let mut ignored = Problems::new();
    let mut ids = Vec::new();
    for node in &sections.budgets {
        for item in node.list(&mut ignored).unwrap_or_default() {
            let id = Fields::of(item, "a budget", &mut ignored).and_then(|mut f| f.optional("id")?.scalar());
            ids.push(id.unwrap_or_default());
        }
    }
    ids
}

/// The class that `node` names.
pub(super) fn class(classes: &[String], node: &Node, problems: &mut Problems) -> Option<Class> {
    let name = node.text(problems)?;
    let found = classes.iter().position(|c| c == name);
    if found.is_none() {
        let hint = did_you_mean(name, classes.iter().map(String::as_str));
        problems.add_coded(&node.place, "E001", format!("unknown class `{name}`{hint}"));
    }
    found.map(|i| Class(i as u8))
}

fn attribute(name: &str, node: &Node, problems: &mut Problems) -> Option<Term> {
    let mut fields = Fields::of(node, "an attribute", problems)?;
    let words = fields.optional("one_of").and_then(|n| n.texts(problems));
    let cells = fields.optional("cells");
    let default = fields.optional("default");
    let required = fields.optional("required").and_then(|n| n.flag(problems)).unwrap_or(false);
    let stated = fields
        .optional("trust")
        .and_then(|n| n.one_of(&[("operator", Trust::Operator), ("client", Trust::Client)], problems));
    fields.finish(problems);
    if required && default.is_some() {
        problems.add(&node.place, format!("`{name}` is required and has a default: it can be one of both"));
    }
    let trust = if name.starts_with("client.") { Trust::Client } else { stated.unwrap_or(Trust::Operator) };
    let kind = match (words, cells) {
        (Some(words), None) if !words.is_empty() && words.len() <= MAX_WORDS => {
            Type::Word(words.into_iter().map(str::to_owned).collect())
        }
        (Some(_), None) => {
            problems.add(&node.place, format!("`one_of` lists between 1 and {MAX_WORDS} words"));
            return None;
        }
        (None, Some(_)) => Type::Number,
        _ => {
            problems.add(&node.place, format!("`{name}` needs either `one_of: […]` or `cells: […]`"));
            return None;
        }
    };
    let default = default.map_or(Some(Fact::Unknown), |node| default_value(name, &kind, node, problems))?;
    Some(Term { name: name.to_owned(), kind, default, trust, grows_with_unknown: false })
}

fn default_value(name: &str, kind: &Type, node: &Node, problems: &mut Problems) -> Option<Fact> {
    match kind {
        Type::Number => node.number(problems).map(Fact::Number),
        Type::Word(words) => {
            let word = node.text(problems)?;
            let found = words.iter().position(|w| w == word);
            if found.is_none() {
                let hint = did_you_mean(word, words.iter().map(String::as_str));
                problems.add_coded(&node.place, "E001", format!("`{name}` is never `{word}`{hint}"));
            }
            found.map(|i| Fact::Word(i as u16))
        }
        Type::Bool => node.flag(problems).map(Fact::Bool),
    }
}
