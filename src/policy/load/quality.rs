//! Sections `estimators` and `affinity`, and a route's `cascade`.

use super::Loader;
use super::sections::Sections;
use crate::policy::quality::{Affinity, Cascade, Check, Commit, EstimatorSpec, Helper, Signal, Switch, Verification};
use crate::policy::set::DestinationId;
use crate::yaml::{Fields, Node, Place};

impl Loader<'_> {
    pub(super) fn estimators(&mut self, sections: &Sections<'_>) {
        for node in &sections.estimators {
            for (key, value) in node.map(self.problems).unwrap_or_default() {
                let Some(destination) = self.model(key) else { continue };
                if self.set.estimators.iter().any(|known| known.destination == destination) {
                    self.problems.add(&key.place, "this destination already has an estimator");
                }
                let estimator = self.estimator(destination, value);
                self.set.estimators.extend(estimator);
            }
        }
    }

    fn estimator(&mut self, destination: DestinationId, node: &Node) -> Option<EstimatorSpec> {
        let mut fields = Fields::of(node, "an estimator", self.problems)?;
        let items = fields.optional("signal").and_then(|n| n.list(self.problems)).unwrap_or_default();
        let signals: Vec<Signal> = items.iter().filter_map(|n| n.one_of(&Signal::ALL, self.problems)).collect();
        let artifact = fields.optional("artifact").and_then(|n| n.text(self.problems)).map(str::to_owned);
        let min_samples = fields.optional("min_samples").and_then(|n| n.whole(self.problems));
        let max_age = fields.optional("max_age").and_then(|n| n.duration(self.problems));
        let assumed = fields.optional("assumed").and_then(|n| self.probability(n));
        let runs_on = fields.optional("runs_on").and_then(|n| self.runs_on(n, "an estimator"));
        if let Some(n) = fields.optional("on_missing") {
            n.one_of(&[("unknown", ())], self.problems);
        }
        if artifact.is_none() && assumed.is_none() {
            let message = "an estimator needs an `artifact`, or an `assumed` chance such as 0.9";
            self.problems.add(&node.place, message);
        }
        fields.finish(self.problems);
        let place = node.place.clone();
        Some(EstimatorSpec { place, destination, signals, artifact, min_samples, max_age, assumed, runs_on })
    }

    /// A number from 0 to 1.
    fn probability(&mut self, node: &Node) -> Option<f64> {
        let number = node.number(self.problems)?;
        if !(0.0..=1.0).contains(&number) {
            self.problems.add(&node.place, format!("`{number}` is no chance: it is between 0 and 1"));
        }
        Some(number)
    }

    /// Where a helper runs; `host` is this process.
    fn runs_on(&mut self, node: &Node, what: &str) -> Option<DestinationId> {
        if node.scalar() == Some("host") {
            return None;
        }
        let destination = self.model(node)?;
        self.set.helpers.push(Helper { what: what.to_owned(), place: node.place.clone(), destination });
        Some(destination)
    }

    pub(super) fn affinity(&mut self, sections: &Sections<'_>) {
        let Some(node) = sections.affinity else { return };
        let Some(mut fields) = Fields::of(node, "`affinity`", self.problems) else { return };
        if let Some(key) = fields.required("key", self.problems) {
            key.one_of(&[("conversation", ())], self.problems);
        }
        let mut switch = |key, usual| {
            let stated = fields.optional(key).and_then(|n| n.one_of(&Switch::ALL, self.problems));
            stated.unwrap_or(usual)
        };
        let (switch_up, switch_down) =
            (switch("switch_up", Switch::Immediate), switch("switch_down", Switch::UserTurn));
        let priced = fields.optional("price_prompt_cache").and_then(|n| n.flag(self.problems));
        fields.finish(self.problems);
        let price_prompt_cache = priced.unwrap_or(false);
        self.set.affinity = Some(Affinity { place: node.place.clone(), switch_up, switch_down, price_prompt_cache });
    }

    /// A cascade over the route's `candidates`.
    pub(super) fn cascade(&mut self, node: &Node, candidates: &[DestinationId]) -> Option<Cascade> {
        let mut fields = Fields::of(node, "a cascade", self.problems)?;
        let start = fields.required("start", self.problems).and_then(|n| self.candidate(n, candidates));
        let skip_below = fields.optional("skip_below").and_then(|n| self.probability(n));
        let items = fields.optional("verify").and_then(|n| n.list(self.problems)).unwrap_or_default();
        let verify = items.iter().filter_map(|item| self.verification(item)).collect();
        let accept = fields.optional("accept").and_then(|n| self.accept(n));
        let escalate_to = fields.required("escalate_to", self.problems);
        let escalate_to = escalate_to.map(|n| self.escalation(n, candidates, start)).unwrap_or_default();
        let commit = fields.optional("commit").and_then(|n| self.commit(n)).unwrap_or_default();
        let max_attempts = fields.optional("max_attempts").and_then(|n| self.attempts(n));
        let max_added_latency = fields.optional("max_added_latency").and_then(|n| n.duration(self.problems));
        let carry_draft = fields.optional("carry_draft").and_then(|n| n.flag(self.problems)).unwrap_or(false);
        fields.finish(self.problems);
        Some(Cascade {
            start: start?,
            skip_below,
            verify,
            accept,
            escalate_to,
            commit,
            max_attempts,
            max_added_latency,
            carry_draft,
        })
    }

    /// A destination that the route may choose.
    fn candidate(&mut self, node: &Node, candidates: &[DestinationId]) -> Option<DestinationId> {
        let id = self.model(node)?;
        if !candidates.contains(&id) {
            let name = &self.set.destination(id).name;
            self.problems.add(&node.place, format!("`{name}` is not among the route's `candidates`; add it there"));
        }
        Some(id)
    }

    fn escalation(
        &mut self,
        node: &Node,
        candidates: &[DestinationId],
        start: Option<DestinationId>,
    ) -> Vec<DestinationId> {
        let items = node.list(self.problems).unwrap_or_default();
        let mut ids = Vec::new();
        for item in items {
            let Some(id) = self.candidate(item, candidates) else { continue };
            if ids.contains(&id) || start == Some(id) {
                self.problems.add(&item.place, "a cascade asks each destination once");
            }
            ids.push(id);
        }
        if items.is_empty() {
            self.problems.add(&node.place, "`escalate_to` lists who answers where the draft is not accepted");
        }
        ids
    }

    fn attempts(&mut self, node: &Node) -> Option<usize> {
        let attempts = node.whole(self.problems)?;
        if attempts < 2 {
            self.problems.add(&node.place, "a cascade has at least 2 attempts: the start, and one to escalate to");
        }
        Some(usize::try_from(attempts).unwrap_or(usize::MAX))
    }

    fn accept(&mut self, node: &Node) -> Option<f64> {
        let mut fields = Fields::of(node, "`accept`", self.problems)?;
        let p_ok = fields.required("p_ok", self.problems).and_then(|n| self.probability(n));
        fields.finish(self.problems);
        p_ok
    }

    fn commit(&mut self, node: &Node) -> Option<Commit> {
        if node.scalar().is_some() {
            let choices = [("after_verify", Commit::AfterVerify), ("immediate", Commit::Immediate)];
            return node.one_of(&choices, self.problems);
        }
        let mut fields = Fields::of(node, "`commit`", self.problems)?;
        let tokens = fields.required("after_tokens", self.problems).and_then(|n| n.whole(self.problems));
        fields.finish(self.problems);
        tokens.map(|tokens| Commit::AfterTokens(u32::try_from(tokens).unwrap_or(u32::MAX)))
    }

    fn verification(&mut self, node: &Node) -> Option<Verification> {
        let mut fields = Fields::of(node, "a verification", self.problems)?;
        let check = fields.required("check", self.problems).and_then(|n| n.one_of(&Check::ALL, self.problems));
        let languages = fields.optional("languages").and_then(|n| n.texts(self.problems)).unwrap_or_default();
        let languages: Vec<String> = languages.into_iter().map(str::to_owned).collect();
        let calibrated = fields.optional("calibrated").and_then(|n| n.flag(self.problems)).unwrap_or(false);
        let runs_on = fields.optional("runs_on").and_then(|n| self.runs_on(n, "a judge"));
        fields.finish(self.problems);
        match check? {
            Check::Parses if languages.is_empty() => {
                self.problems.add(&node.place, "`parses` needs `languages`, as in `[rust, python]`");
            }
            Check::Judge if runs_on.is_none() => {
                self.problems.add(&node.place, "a judge is another model; say which by `runs_on`");
            }
            _ => {}
        }
        Some(Verification { check: check?, languages, calibrated, runs_on })
    }

    /// Whatever a detector, an estimator or a judge looks at goes where it runs, before the class is known: that place
    /// has to accept the highest class.
    pub(super) fn helpers(&mut self, detectors: &[super::detectors::Elsewhere]) {
        for detector in detectors {
            let destination = self.destination_called(&detector.name, &detector.place);
            let helper =
                |destination| Helper { what: detector.what.clone(), place: detector.place.clone(), destination };
            self.set.helpers.extend(destination.map(helper));
        }
        let top = self.set.classes.len().saturating_sub(1);
        let wrong =
            self.set.helpers.iter().filter(|h| usize::from(self.set.destination(h.destination).accepts.0) < top);
        let told: Vec<(Place, String)> = wrong.map(|helper| (helper.place.clone(), self.too_low(helper))).collect();
        for (place, message) in told {
            self.problems.add_coded(&place, "E005", message);
        }
    }

    fn too_low(&self, helper: &Helper) -> String {
        let (destination, top) = (self.set.destination(helper.destination), self.set.classes.last());
        format!(
            "{} runs on `{}`, which accepts `{}` only, and it looks at everything before the class is known; have \
             `{}` accept `{}`, or run it on this host",
            helper.what,
            destination.name,
            self.set.class_name(destination.accepts),
            destination.name,
            top.map_or("", String::as_str),
        )
    }
}
