//! Section `tests`.

use super::Loader;
use super::header::class;
use super::sections::Sections;
use crate::chat::MicroUsd;
use crate::classify::Truth;
use crate::policy::cases::{Case, Expect, Given, use_named};
use crate::policy::facts::LOCAL;
use crate::policy::set::{DestinationId, Transform, TransformSet};
use crate::policy::vocabulary::Fact;
use crate::yaml::{Fields, Node, did_you_mean};

impl Loader<'_> {
    pub(super) fn tests(&mut self, sections: &Sections<'_>) {
        for node in &sections.tests {
            for item in node.list(self.problems).unwrap_or_default() {
                let case = self.case(item);
                self.set.cases.extend(case);
            }
        }
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        let mut fields = Fields::of(node, "a test", self.problems)?;
        let name = fields.required("name", self.problems).and_then(|n| n.text(self.problems)).map(str::to_owned);
        let given = fields.optional("given").map(|n| self.given(n)).unwrap_or_default();
        let expect = fields.required("expect", self.problems).map(|n| self.expect(n)).unwrap_or_default();
        fields.finish(self.problems);
        Some(Case { name: name?, place: node.place.clone(), given, expect })
    }

    fn given(&mut self, node: &Node) -> Given {
        let mut given = Given::default();
        for (key, value) in node.map(self.problems).unwrap_or_default() {
            let name = key.scalar().unwrap_or_default();
            if self.give(&mut given, name, value).is_none() && !self.is_given_name(name) {
                let known: Vec<&str> = self.set.vocabulary.names().collect();
                let hint = did_you_mean(name, known);
                self.problems.add_coded(&key.place, "E001", format!("unknown name `{name}` in `given`{hint}"));
            }
        }
        given
    }

    fn is_given_name(&self, name: &str) -> bool {
        ["client.model", "conversation"].contains(&name)
            || ["p_ok.", "cost."]
                .iter()
                .any(|group| name.strip_prefix(group).is_some_and(|d| self.set.destination_named(d).is_some()))
            || self.set.vocabulary.slot(name).is_some()
    }

    fn give(&mut self, given: &mut Given, name: &str, value: &Node) -> Option<()> {
        if name == "client.model" {
            given.preference = Some(self.destination_in(value)?);
            return Some(());
        }
        if name == "conversation" {
            if !self.set.conversations.are_kept() {
                let message =
                    "this set keeps no class of conversations; name what they are known by in `conversations`";
                self.problems.add(&value.place, message);
            }
            given.conversation = Some(class(&self.set.classes, value, self.problems)?);
            return Some(());
        }
        let (group, rest) = name.split_once('.')?;
        match group {
            "finding" => {
                let index = self.set.detectors.iter().position(|d| d.name == rest)?;
                let verdicts = [("true", Truth::True), ("false", Truth::False), ("unknown", Truth::Unknown)];
                given.findings.insert(index, value.one_of(&verdicts, self.problems)?);
            }
            "uses" => {
                let used = use_named(rest)?;
                given.uses.extend(value.flag(self.problems)?.then_some(used));
            }
            "p_ok" => {
                let id = self.set.destination_named(rest)?;
                given.p_ok.insert(id, self.known_number(value)?);
            }
            "budget" => {
                let index = self.set.budgets.iter().position(|b| b.id == rest)?;
                given.budgets.insert(index, self.known_number(value)?);
            }
            "cost" => {
                let id = self.set.destination_named(rest)?;
                given.costs.insert(id, MicroUsd::from_usd_ceil(value.number(self.problems)?));
            }
            "est" if rest == "gain" => given.gain = self.known_number(value)?,
            "tokens" if rest == "input" => given.tokens_input = Some(value.whole(self.problems)?),
            "tokens" if rest == "max_output" => given.tokens_max_output = Some(value.whole(self.problems)?),
            "local" => {
                let fact = LOCAL.into_iter().find(|known| *known == rest)?;
                given.local.push((fact, value.number(self.problems)?));
            }
            _ => self.give_attribute(given, name, value)?,
        }
        Some(())
    }

    fn give_attribute(&mut self, given: &mut Given, name: &str, value: &Node) -> Option<()> {
        let slot = self.set.vocabulary.slot(name)?;
        let word = value.text(self.problems)?;
        if word != "unknown" && self.set.vocabulary.word(slot, word) == Fact::Unknown {
            self.problems.add_coded(&value.place, "E001", format!("`{name}` is never `{word}`"));
        }
        given.attributes.insert(name.to_owned(), word.to_owned());
        Some(())
    }

    /// A number, or `unknown`.
    fn known_number(&mut self, node: &Node) -> Option<Option<f64>> {
        if node.scalar() == Some("unknown") {
            return Some(None);
        }
        node.number(self.problems).map(Some)
    }

    fn expect(&mut self, node: &Node) -> Expect {
        let Some(mut fields) = Fields::of(node, "`expect`", self.problems) else { return Expect::default() };
        let expect = Expect {
            class: fields.optional("class").and_then(|n| class(&self.set.classes, n, self.problems)),
            served_by: fields.optional("served_by").and_then(|n| self.destination_in(n)),
            plan: fields.optional("plan").map(|n| self.destinations_in(n)),
            permitted: fields.optional("permitted").map(|n| self.destinations_in(n)),
            sinks: fields.optional("sinks").map(|n| self.destinations_in(n)),
            external_none: fields.optional("external").and_then(|n| n.one_of(&[("none", true)], self.problems))
                == Some(true),
            transforms: fields.optional("transforms").map(|n| self.transforms_in(n)),
            flags: fields.optional("flags").and_then(|n| self.words_in(n)),
            route: fields.optional("route").and_then(|n| n.text(self.problems)).map(str::to_owned),
            cap: fields.optional("cap").map(|n| super::rules::cap(n, self.problems)),
            refused: fields.optional("refused").and_then(|n| n.text(self.problems)).map(str::to_owned),
        };
        fields.finish(self.problems);
        expect
    }

    fn destination_in(&mut self, node: &Node) -> Option<DestinationId> {
        let name = node.text(self.problems)?;
        let found = self.set.destination_named(name);
        if found.is_none() {
            let hint = did_you_mean(name, self.set.destinations.iter().map(|d| d.name.as_str()));
            self.problems.add_coded(&node.place, "E001", format!("unknown destination `{name}`{hint}"));
        }
        found
    }

    fn destinations_in(&mut self, node: &Node) -> Vec<DestinationId> {
        let items = node.list(self.problems).unwrap_or_default();
        items.iter().filter_map(|item| self.destination_in(item)).collect()
    }

    fn transforms_in(&mut self, node: &Node) -> TransformSet {
        let mut set = TransformSet::default();
        let items = node.list(self.problems).unwrap_or_default();
        items.iter().filter_map(|item| item.one_of(&Transform::ALL, self.problems)).for_each(|t| set.insert(t));
        set
    }

    fn words_in(&mut self, node: &Node) -> Option<Vec<String>> {
        Some(node.texts(self.problems)?.into_iter().map(str::to_owned).collect())
    }
}
