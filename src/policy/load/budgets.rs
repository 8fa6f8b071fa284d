//! Section `budgets`.

use super::Loader;
use super::header::NAMES;
use super::sections::Sections;
use crate::chat::MicroUsd;
use crate::policy::expr::is_segment;
use crate::policy::set::{Budget, Scope, Step, Window};
use crate::yaml::{Fields, Node, did_you_mean};

impl Loader<'_> {
    pub(super) fn budgets(&mut self, sections: &Sections<'_>) {
        let budgets = self.each(&sections.budgets, "a budget", Self::budget);
        self.set.budgets = budgets;
    }

    fn budget(&mut self, fields: &mut Fields<'_>, id: String) -> Option<Budget> {
        if !is_segment(&id) {
            self.problems.add_coded(fields.place(), "E001", format!("the id `{id}` is not a name: {NAMES}"));
        }
        let per = fields.required("per", self.problems).and_then(|n| self.scope(n));
        let window = fields.optional("window").and_then(|n| {
            n.one_of(&[("hour", Window::Hour), ("day", Window::Day), ("month", Window::Month)], self.problems)
        });
        let limit = fields.required("limit", self.problems).and_then(|n| self.usd(n));
        let mut ladder = Vec::new();
        for node in fields.required("ladder", self.problems).and_then(|n| n.list(self.problems)).unwrap_or_default() {
            ladder.extend(self.ladder_step(node));
        }
        ladder.sort_by(|a, b| a.at.total_cmp(&b.at));
        let window = match (&per, window) {
            (Some(Scope::Request), _) => Window::Request,
            (_, Some(window)) => window,
            (_, None) => {
                self.problems
                    .add(fields.place(), format!("`window` is missing in the budget `{id}`: hour, day or month"));
                return None;
            }
        };
        Some(Budget { id, place: fields.place().clone(), per: per?, window, limit: limit?, ladder })
    }

    /// A key's attribute need not be in the vocabulary (a team's name is no closed word), so a slip has to be guessed.
    fn scope(&mut self, node: &Node) -> Option<Scope> {
        let text = node.text(self.problems)?;
        let scope = match text {
            "key" => Scope::Key,
            "request" => Scope::Request,
            "all" => Scope::All,
            attribute => Scope::Attribute(attribute.to_owned()),
        };
        let hint = did_you_mean(text, ["request", "key", "all"]);
        let known = self.set.vocabulary.slot(&format!("key.{text}")).is_some();
        if matches!(scope, Scope::Attribute(_)) && !known && hint.contains("did you mean") {
            self.problems.add_coded(&node.place, "E001", format!("unknown value `{text}`{hint}"));
        }
        Some(scope)
    }

    fn ladder_step(&mut self, node: &Node) -> Option<Step> {
        let mut fields = Fields::of(node, "a budget step", self.problems)?;
        let at = fields.required("at", self.problems).and_then(|n| n.number(self.problems));
        let reprice = fields.optional("reprice").and_then(|n| n.number(self.problems));
        let only = fields.optional("only").map(|n| self.only(n));
        let deny = fields.optional("deny").map(|n| self.deny(n));
        let refuse = fields.optional("refuse").and_then(|n| n.text(self.problems)).map(str::to_owned);
        if reprice.is_none() && only.is_none() && deny.is_none() && refuse.is_none() {
            self.problems.add(&node.place, "the step does nothing; give it `reprice`, `only`, `deny` or `refuse`");
        }
        fields.finish(self.problems);
        Some(Step {
            at: at?,
            reprice,
            only: only.map_or(Some(None), |o| o.map(Some))?,
            deny: deny.map_or(Some(None), |d| d.map(Some))?,
            refuse,
        })
    }

    /// An amount such as `25 USD`, above zero.
    fn usd(&mut self, node: &Node) -> Option<MicroUsd> {
        let text = node.text(self.problems)?;
        let amount = text.strip_suffix("USD").and_then(|n| n.trim().parse::<f64>().ok()).filter(|usd| *usd > 0.0);
        if amount.is_none() {
            self.problems.add(&node.place, format!("expected an amount such as `25 USD`, found `{text}`"));
        }
        amount.map(MicroUsd::from_usd_ceil)
    }
}
