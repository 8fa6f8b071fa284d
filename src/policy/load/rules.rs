//! Sections `baseline`, `classify`, `declassify`, `guards`.

use super::Loader;
use super::expressions::Rule;
use super::header::class;
use super::sections::Sections;
use crate::chat::MicroUsd;
use crate::classify::{DetectorKind, Strength, Truth};
use crate::policy::decision::RuleSet;
use crate::policy::expr::Condition;
use crate::policy::set::{Baseline, Basis, ClassRule, Declassify, Guard, Invariant, Style, Transform, TransformSet};
use crate::yaml::{Fields, Node, Problems};

impl Loader<'_> {
    pub(super) fn rules(&mut self, sections: &Sections<'_>) {
        let baselines = self.each(&sections.baseline, "a baseline", Self::baseline);
        self.set.baselines = baselines;
        let classify = self.each(&sections.classify, "a classify rule", Self::class_rule);
        self.set.classify = classify;
        let declassify = self.each(&sections.declassify, "a declassify rule", Self::declassify);
        self.set.declassify = declassify;
        let guards = self.each(&sections.guards, "a guard", Self::guard);
        self.set.guards = guards;
        let invariants = self.each(&sections.invariants, "an invariant", Self::invariant);
        self.set.invariants = invariants;
    }

    /// Reads every item of every list; ids must be unique within the section.
    pub(super) fn each<'a, T>(
        &mut self,
        nodes: &[&'a Node],
        what: &'static str,
        read: impl Fn(&mut Self, &mut Fields<'a>, String) -> Option<T>,
    ) -> Vec<T> {
        let mut rules = Vec::new();
        let mut ids: Vec<String> = Vec::new();
        let mut items = Vec::new();
        for node in nodes {
            items.extend(node.list(self.problems).unwrap_or_default());
        }
        for item in items {
            let Some(mut fields) = Fields::of(item, what, self.problems) else { continue };
            let id = fields.required("id", self.problems).and_then(|n| n.text(self.problems)).unwrap_or_default();
            if ids.iter().any(|known| known == id) {
                self.problems.add(&item.place, format!("the id `{id}` is used twice for {what}"));
            }
            ids.push(id.to_owned());
            if rules.len() == RuleSet::MAX {
                self.problems.add(&item.place, format!("a set has at most {} rules of a kind", RuleSet::MAX));
                break;
            }
            rules.extend(read(self, &mut fields, id.to_owned()));
            fields.finish(self.problems);
        }
        rules
    }

    fn baseline(&mut self, fields: &mut Fields<'_>, id: String) -> Option<Baseline> {
        let node = fields.required("class", self.problems);
        let when = fields.required("when", self.problems).and_then(|n| self.condition(n, Rule::Baseline));
        let node = node?;
        let class = class(&self.set.classes, node, self.problems)?;
        if class > self.set.default_class {
            self.problems.add(
                &node.place,
                "a baseline can only lower where a request starts; use a `classify` rule to raise the class",
            );
        }
        Some(Baseline { id, place: fields.place().clone(), class, when: when? })
    }

    fn class_rule(&mut self, fields: &mut Fields<'_>, id: String) -> Option<ClassRule> {
        let raise = fields.required("raise", self.problems);
        let node = fields.required("when", self.problems);
        let raise = raise.and_then(|n| class(&self.set.classes, n, self.problems));
        let when = node.and_then(|n| self.condition(n, Rule::Classify));
        let when = when?;
        let basis = self.basis(&when);
        Some(ClassRule { id, place: fields.place().clone(), raise: raise?, basis, when })
    }

    /// The weakest of what the condition relies on.
    fn basis(&self, when: &Condition) -> Basis {
        let detectors = self.set.slots.findings.iter().zip(&self.set.detectors).enumerate();
        let used = detectors.filter(|(_, (slot, _))| when.slots().any(|used| used == **slot));
        let bases = used.map(|(i, (_, detector))| match (&detector.kind, detector.kind.strength()) {
            (DetectorKind::Label { words }, _)
                if words.is_empty() && self.set.labels.iter().any(|l| l.detector == i) =>
            {
                Basis::Declared
            }
            (_, Strength::Deterministic) => Basis::Deterministic,
            (_, Strength::Statistical) => Basis::Statistical,
        });
        bases.max().unwrap_or(Basis::Declared)
    }

    fn declassify(&mut self, fields: &mut Fields<'_>, id: String) -> Option<Declassify> {
        let up_to = fields.required("up_to", self.problems);
        let to = fields.required("to", self.problems);
        let requires = transforms(fields, "requires", self.problems);
        let style = style(fields, requires, self.problems);
        let when = fields.optional("when").map(|n| self.condition(n, Rule::Declassify));
        let up_to_class = up_to.and_then(|n| class(&self.set.classes, n, self.problems))?;
        let to = to.and_then(|n| class(&self.set.classes, n, self.problems))?;
        if let Some(sealed) = self.set.sealed.iter().find(|c| **c <= up_to_class) {
            let name = self.set.class_name(*sealed).to_owned();
            let place = up_to.map_or_else(|| fields.place().clone(), |n| n.place.clone());
            self.problems.add_coded(
                &place,
                "E006",
                format!("`{name}` is sealed: nothing may lower it; let `up_to` end below it"),
            );
        }
        let when = when.unwrap_or_else(|| Some(Condition::constant(Truth::True)))?;
        Some(Declassify { id, place: fields.place().clone(), up_to: up_to_class, to, requires, style, when })
    }

    fn guard(&mut self, fields: &mut Fields<'_>, id: String) -> Option<Guard> {
        let when = fields.optional("when").map(|n| self.condition(n, Rule::Guard));
        let only = fields.optional("only").map(|n| self.only(n));
        let deny = fields.optional("deny").map(|n| self.deny(n));
        let require = transforms(fields, "require", self.problems);
        let (max_output, max_cost) = fields.optional("cap").map_or((None, None), |n| cap(n, self.problems));
        let block = fields.optional("block").and_then(|n| n.text(self.problems)).map(str::to_owned);
        if ["only", "deny", "require", "cap", "block"].into_iter().all(|key| fields.optional(key).is_none()) {
            self.problems.add(
                fields.place(),
                format!("the guard `{id}` does nothing; give it `only`, `deny`, `require`, `cap` or `block`"),
            );
        }
        let when = when.unwrap_or_else(|| Some(Condition::constant(Truth::True)))?;
        Some(Guard {
            id,
            place: fields.place().clone(),
            when,
            only: only.map_or(Some(None), |o| o.map(Some))?,
            deny: deny.map_or(Some(None), |d| d.map(Some))?,
            require,
            max_output,
            max_cost,
            block,
        })
    }

    fn invariant(&mut self, fields: &mut Fields<'_>, id: String) -> Option<Invariant> {
        let never = fields.required("never", self.problems).and_then(|n| self.never(n));
        Some(Invariant { id, place: fields.place().clone(), never: never? })
    }
}

fn transforms(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> TransformSet {
    let mut set = TransformSet::default();
    let items = fields.optional(key).and_then(|n| n.list(problems)).unwrap_or_default();
    for transform in items.iter().filter_map(|item| item.one_of(&Transform::ALL, problems)) {
        set.insert(transform);
    }
    set
}

fn style(fields: &mut Fields<'_>, requires: TransformSet, problems: &mut Problems) -> Style {
    let Some(node) = fields.optional("style") else { return Style::default() };
    if !requires.contains(Transform::Pseudonymize) {
        problems.add(&node.place, "`style` is about pseudonyms; add `pseudonymize` to `requires`, or leave it out");
    }
    node.one_of(&Style::ALL, problems).unwrap_or_default()
}

pub(super) fn cap(node: &Node, problems: &mut Problems) -> (Option<u32>, Option<MicroUsd>) {
    let Some(mut fields) = Fields::of(node, "a cap", problems) else { return (None, None) };
    let max_output = fields.optional("max_output").and_then(|n| n.whole(problems));
    let usd = fields.optional("usd").and_then(|n| n.number(problems));
    fields.finish(problems);
    (max_output.map(|n| u32::try_from(n).unwrap_or(u32::MAX)), usd.map(MicroUsd::from_usd_ceil))
}
