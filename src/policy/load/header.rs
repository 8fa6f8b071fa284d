//! Classes, attributes, detectors, and from them the vocabulary.

use super::Source;
use super::sections::Sections;
use crate::classify::{DetectorKind, DetectorSpec, PatternSet, Recognizer};
use crate::policy::facts::{LOCAL, USES};
use crate::policy::set::{BuiltinSlots, Class};
use crate::policy::vocabulary::{Fact, Term, Trust, Type, Vocabulary};
use crate::yaml::{Fields, Node, Problems, did_you_mean};

/// The most classes, so that an index fits where it is used.
const MAX_CLASSES: usize = 64;
/// The most words of an attribute: a condition holds them as bits.
const MAX_WORDS: usize = 64;

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
            if let Some(term) = attribute(name, value, problems)
                && !self.vocabulary.add(term)
            {
                problems.add(&key.place, format!("the attribute `{name}` is defined twice"));
            }
        }
    }

    fn detectors(&mut self, node: &Node, lists: &[&Source], problems: &mut Problems) {
        for (key, value) in node.map(problems).unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if self.detectors.iter().any(|d| d.name == name) {
                problems.add(&key.place, format!("the detector `{name}` is defined twice"));
            }
            // A mistake in it was reported; its name stays known, so that what uses it is not reported as well.
            let kind = detector(value, lists, problems).unwrap_or(DetectorKind::Checksum(Vec::new()));
            self.detectors.push(DetectorSpec { name: name.to_owned(), kind });
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

#[derive(Clone, Copy)]
enum Kind {
    Checksum,
    Dictionary,
    Pattern,
}

fn detector(node: &Node, lists: &[&Source], problems: &mut Problems) -> Option<DetectorKind> {
    let mut fields = Fields::of(node, "a detector", problems)?;
    let kinds = [("checksum", Kind::Checksum), ("dictionary", Kind::Dictionary), ("pattern", Kind::Pattern)];
    let kind = fields.required("kind", problems).and_then(|n| n.one_of(&kinds, problems));
    let detector = match kind? {
        Kind::Checksum => checksum(&mut fields, problems),
        Kind::Dictionary => dictionary(&mut fields, node, lists, problems),
        Kind::Pattern => pattern(&mut fields, problems),
    };
    fields.finish(problems);
    detector
}

fn checksum(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
    let items = fields.required("recognizers", problems)?.list(problems)?;
    let mut recognizers = Vec::new();
    for item in items {
        let name = item.text(problems)?;
        match Recognizer::parse(name) {
            Some(recognizer) => recognizers.push(recognizer),
            None => unknown_name("recognizer", name, item, &Recognizer::NAMES, problems),
        }
    }
    Some(DetectorKind::Checksum(recognizers))
}

/// Names from the policy, from a word list beside it, or both.
fn dictionary(
    fields: &mut Fields<'_>,
    node: &Node,
    lists: &[&Source],
    problems: &mut Problems,
) -> Option<DetectorKind> {
    let words = fields.optional("words").and_then(|n| n.texts(problems)).unwrap_or_default();
    let listed = fields.optional("file").and_then(|n| word_list(n, lists, problems)).unwrap_or_default();
    let as_written = fields.optional("case").and_then(|n| n.one_of(&[("any", false), ("as-written", true)], problems));
    let words: Vec<String> = words.into_iter().chain(listed).map(str::to_owned).collect();
    if words.is_empty() {
        problems.add(&node.place, "a dictionary has names: `words: […]`, or `file: names.txt` with one a line");
        return None;
    }
    Some(DetectorKind::Dictionary { words, as_written: as_written.unwrap_or(false) })
}

/// The lines of a word list, without empty ones and those that begin with `#`.
fn word_list<'s>(node: &Node, lists: &[&'s Source], problems: &mut Problems) -> Option<Vec<&'s str>> {
    let name = node.text(problems)?;
    let base = |source: &Source| source.file.rsplit('/').next() == Some(name);
    let Some(list) = lists.iter().find(|list| base(list)) else {
        problems.add(&node.place, format!("there is no word list `{name}` beside the policy; its name ends in `.txt`"));
        return None;
    };
    let lines = list.text.lines().map(str::trim);
    Some(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect())
}

fn pattern(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
    let set = fields.required("set", problems)?;
    let words = fields.optional("words");
    let name = set.text(problems)?;
    let Some(parsed) = PatternSet::parse(name) else {
        unknown_name("pattern set", name, set, &PatternSet::NAMES, problems);
        return None;
    };
    match (parsed, words) {
        (PatternSet::DocumentLabels, Some(words)) => {
            let words = words.texts(problems)?.into_iter().map(str::to_owned).collect();
            Some(DetectorKind::Label { words })
        }
        (_, Some(words)) => {
            problems.add(&words.place, "`words` belongs to `document-labels@1` only");
            None
        }
        (set, None) => Some(DetectorKind::Pattern(set)),
    }
}

fn unknown_name(what: &str, name: &str, node: &Node, known: &[&str], problems: &mut Problems) {
    let mut hint = did_you_mean(name, known.iter().copied());
    if hint.is_empty() {
        hint = "; `docs/privacy.md` lists them".to_owned();
    }
    problems.add_coded(&node.place, "E001", format!("unknown {what} `{name}`{hint}"));
}
