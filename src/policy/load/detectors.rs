//! Section `detectors`.

use std::time::Duration;

use super::Source;
use super::header::{Header, NAMES};
use crate::classify::{DetectorKind, DetectorSpec, Language, ModelSpec, PatternSet, Recognizer};
use crate::policy::expr::is_segment;
use crate::policy::label::Label;
use crate::yaml::{Fields, Node, Place, Problems, did_you_mean};

/// A helper that runs on a destination, by the destination's name.
pub(super) struct Elsewhere {
    pub what: String,
    pub place: Place,
    pub name: String,
}

#[derive(Clone, Copy)]
enum Kind {
    Checksum,
    Pattern,
    Dictionary,
    Label,
    Language,
    Model,
    External,
}

const KINDS: [(&str, Kind); 7] = [
    ("checksum", Kind::Checksum),
    ("pattern", Kind::Pattern),
    ("dictionary", Kind::Dictionary),
    ("label", Kind::Label),
    ("language", Kind::Language),
    ("model", Kind::Model),
    ("external", Kind::External),
];

impl Header {
    pub(super) fn detectors(&mut self, node: &Node, lists: &[&Source], problems: &mut Problems) {
        for (key, value) in node.map(problems).unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if !is_segment(name) {
                problems.add_coded(&key.place, "E001", format!("`{name}` is not a name: {NAMES}"));
            }
            if self.detectors.iter().any(|d| d.name == name) {
                problems.add(&key.place, format!("the detector `{name}` is defined twice"));
            }
            // A mistake in it was reported; its name stays known, so that what uses it is not reported as well.
            let kind = self.detector(name, value, lists, problems).unwrap_or(DetectorKind::Checksum(Vec::new()));
            self.detectors.push(DetectorSpec { name: name.to_owned(), kind });
        }
    }

    fn detector(
        &mut self,
        name: &str,
        node: &Node,
        lists: &[&Source],
        problems: &mut Problems,
    ) -> Option<DetectorKind> {
        let mut fields = Fields::of(node, "a detector", problems)?;
        let kind = fields.required("kind", problems).and_then(|n| n.one_of(&KINDS, problems));
        let detector = match kind {
            None => return None,
            Some(Kind::Checksum) => checksum(&mut fields, problems),
            Some(Kind::Pattern) => pattern(&mut fields, problems),
            Some(Kind::Dictionary) => dictionary(&mut fields, node, lists, problems),
            Some(Kind::Label) => self.label(&mut fields, problems),
            Some(Kind::Language) => language(&mut fields, problems),
            Some(Kind::Model) => self.model(name, &mut fields, problems),
            Some(Kind::External) => self.external(name, &mut fields, problems),
        };
        fields.finish(problems);
        detector
    }

    /// A label in the text, on the request or on the key.
    fn label(&mut self, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
        let header = fields.optional("header").and_then(|n| n.text(problems)).map(str::to_ascii_lowercase);
        let key = fields.optional("key").and_then(|n| self.key_attribute(n, problems));
        let words = fields.optional("words").and_then(|n| n.texts(problems));
        if header.is_none() && key.is_none() && words.is_none() {
            problems.add(fields.place(), "a label is read from `words`, `header` or `key`; give it one of them");
        }
        if header.is_some() || key.is_some() {
            self.labels.push(Label { detector: self.detectors.len(), header, key });
        }
        let words = words.unwrap_or_default().into_iter().map(str::to_owned).collect();
        Some(DetectorKind::Label { words })
    }

    /// An attribute of keys, without the `key.`; those of all files have been read.
    fn key_attribute(&self, node: &Node, problems: &mut Problems) -> Option<String> {
        let name = node.text(problems)?;
        if self.vocabulary.slot(&format!("key.{name}")).is_none() {
            let hint = did_you_mean(name, self.vocabulary.names().filter_map(|known| known.strip_prefix("key.")));
            problems.add_coded(&node.place, "E001", format!("no attribute `key.{name}`{hint}"));
        }
        Some(name.to_owned())
    }

    fn model(&mut self, name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
        let model = fields.required("model", problems).and_then(|n| n.text(problems)).map(str::to_owned);
        let deadline = fields.optional("deadline").and_then(|n| n.duration(problems));
        let thresholds = fields.optional("threshold").map(|n| thresholds(n, problems)).unwrap_or_default();
        if let Some(node) = fields.optional("runs_on") {
            self.runs_on(name, node, problems);
        }
        Some(DetectorKind::Model(ModelSpec { model: model?, thresholds, deadline }))
    }

    fn external(&mut self, name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
        if let Some(node) = fields.required("via", problems) {
            self.runs_on(name, node, problems);
        }
        let deadline: Option<Duration> = fields.required("deadline", problems).and_then(|n| n.duration(problems));
        Some(DetectorKind::External { deadline: deadline? })
    }

    fn runs_on(&mut self, name: &str, node: &Node, problems: &mut Problems) {
        let Some(destination) = node.text(problems).filter(|text| *text != "host") else { return };
        self.elsewhere.push(Elsewhere {
            what: format!("the detector `{name}`"),
            place: node.place.clone(),
            name: destination.to_owned(),
        });
    }
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

fn language(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<DetectorKind> {
    let node = fields.required("languages", problems)?;
    let mut usual = Vec::new();
    for item in node.list(problems)? {
        let code = item.text(problems)?;
        match Language::parse(code) {
            Some(language) => usual.push(language),
            None => {
                let hint = "; languages go by two letters of ISO 639-1, such as `en`, `de`, `zh`";
                problems.add_coded(&item.place, "E001", format!("unknown language `{code}`{hint}"));
            }
        }
    }
    if usual.is_empty() {
        problems.add(&node.place, "a language detector has the languages that people use here, as in `[en, de]`");
    }
    Some(DetectorKind::Language { usual })
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
    let set = fields.required("set", problems);
    let words = fields.optional("words");
    let set = set?;
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

/// What score of an entity counts as a finding, from 0 to 1.
fn thresholds(node: &Node, problems: &mut Problems) -> Vec<(String, f64)> {
    let mut thresholds = Vec::new();
    for (key, value) in node.map(problems).unwrap_or_default() {
        let score = value.number(problems);
        if score.is_some_and(|score| !(0.0..=1.0).contains(&score)) {
            problems.add(&value.place, "a threshold is between 0 and 1");
        }
        thresholds.extend(score.map(|score| (key.scalar().unwrap_or_default().to_owned(), score)));
    }
    thresholds
}

fn unknown_name(what: &str, name: &str, node: &Node, known: &[&str], problems: &mut Problems) {
    let mut hint = did_you_mean(name, known.iter().copied());
    if hint.is_empty() {
        hint = "; `docs/privacy.md` lists them".to_owned();
    }
    problems.add_coded(&node.place, "E001", format!("unknown {what} `{name}`{hint}"));
}
