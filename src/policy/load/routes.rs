//! Section `routes`.

use super::Loader;
use super::expressions::Rule;
use super::sections::Sections;
use crate::chat::MicroUsd;
use crate::policy::quality::Cascade;
use crate::policy::set::{DestinationId, Goal, IfUnknown, Objective, Route};
use crate::yaml::{Fields, Node, Place, did_you_mean};

impl Loader<'_> {
    pub(super) fn routes(&mut self, sections: &Sections<'_>) {
        let mut routes = self.each(&sections.routes, "a route", Self::route);
        routes.sort_by_key(|(route, _)| route.order);
        for pair in routes.windows(2) {
            let [(first, _), (second, place)] = pair else { continue };
            if first.order == second.order {
                let message = format!("`order: {}` is also that of the route `{}`", second.order, first.id);
                self.problems.add_coded(place, "E002", message);
            }
        }
        match routes.last() {
            Some((last, place)) if last.when.is_some() => self.problems.add(
                place,
                format!(
                    "the last route `{}` has a `when`: a request that it does not match would have no answer; add a \
                     route after it without one",
                    last.id
                ),
            ),
            None if sections.routes.is_empty() => {
                let message = "no file defines `routes`; the shortest is `[{ id: all, order: 1, candidates: […] }]`";
                self.problems.add(&Place::whole("policy set"), message);
            }
            Some(_) | None => {}
        }
        self.set.routes = routes.into_iter().map(|(route, _)| route).collect();
    }

    fn route(&mut self, fields: &mut Fields<'_>, id: String) -> Option<(Route, Place)> {
        let place = fields.place().clone();
        let order = fields.required("order", self.problems).and_then(|n| n.whole(self.problems));
        let when = fields.optional("when").map(|n| self.condition(n, Rule::Route));
        let candidates = fields.required("candidates", self.problems).map(|n| self.models(n)).unwrap_or_default();
        let (ttft, needs_reasoning) = fields.optional("needs").and_then(|n| self.needs(n)).unwrap_or_default();
        let objective = fields.optional("objective").map(|n| self.objective(n));
        let cascade_node = fields.optional("cascade");
        let cascade = cascade_node.map(|n| self.cascade(n, &candidates));
        let honour_preference = fields
            .optional("preference")
            .and_then(|n| n.one_of(&[("honour", true), ("ignore", false)], self.problems))
            .unwrap_or(true);
        let on_empty = fields.optional("on_empty").and_then(|n| self.on_empty(n)).unwrap_or_default();
        let objective = objective.map_or(Some(None), |o| o.map(Some))?;
        let cascade = cascade.map_or(Some(None), |c| c.map(Some))?;
        self.check_cascade(objective.as_ref(), cascade.as_ref(), cascade_node.map_or(&place, |n| &n.place));
        let route = Route {
            id,
            place: place.clone(),
            order: u32::try_from(order?).unwrap_or(u32::MAX),
            when: when.map_or(Some(None), |w| w.map(Some))?,
            candidates,
            objective,
            cascade,
            ttft,
            needs_reasoning,
            honour_preference,
            on_empty,
        };
        Some((route, place))
    }

    /// A list of destinations that answer requests, none twice.
    fn models(&mut self, node: &Node) -> Vec<DestinationId> {
        let mut ids = Vec::new();
        for item in node.list(self.problems).unwrap_or_default() {
            let Some(id) = self.model(item) else { continue };
            if ids.contains(&id) {
                self.problems.add(&item.place, "this destination is already in the list");
            } else {
                ids.push(id);
            }
        }
        ids
    }

    pub(super) fn model(&mut self, node: &Node) -> Option<DestinationId> {
        let name = node.text(self.problems)?;
        self.destination_called(name, &node.place)
    }

    /// The destination of this name that answers requests.
    pub(super) fn destination_called(&mut self, name: &str, place: &Place) -> Option<DestinationId> {
        let named = self.set.destination_named(name);
        let found = named.filter(|id| self.set.destination(*id).is_model());
        if found.is_none() {
            let models = self.set.destinations.iter().filter(|d| d.is_model()).map(|d| d.name.as_str());
            let hint = did_you_mean(name, models);
            let message = match named {
                Some(_) => format!("`{name}` is a sink: it answers no requests{hint}"),
                None => format!("unknown destination `{name}`{hint}"),
            };
            self.problems.add_coded(place, "E001", message);
        }
        found
    }

    /// An objective and a cascade share the target: below it a cascade starts, and `if_unknown: cascade` needs one.
    fn check_cascade(&mut self, objective: Option<&Objective>, cascade: Option<&Cascade>, place: &Place) {
        let target = objective.and_then(|objective| objective.min_p_ok);
        match (cascade, target) {
            (Some(_), None) => self.problems.add(
                place,
                "a cascade needs an objective with a target, as in `where: { p_ok: 0.8 }`: below it the cascade starts",
            ),
            (Some(cascade), Some(target)) if cascade.skip_below.is_some_and(|skip| skip > target) => {
                self.problems.add(place, format!("`skip_below` is above the objective's target of {target}"));
            }
            (None, _) if objective.is_some_and(|o| o.if_unknown == IfUnknown::Cascade) => {
                self.problems.add(place, "`if_unknown: cascade` needs a `cascade` in this route");
            }
            _ => {}
        }
    }

    fn if_unknown(&mut self, node: &Node) -> IfUnknown {
        match node.scalar() {
            Some("cascade") => IfUnknown::Cascade,
            Some(other) => {
                let message = format!("expected a list of destinations or `cascade`, found `{other}`");
                self.problems.add(&node.place, message);
                IfUnknown::Order(Vec::new())
            }
            None => IfUnknown::Order(self.models(node)),
        }
    }

    /// Context, tools and formats are always looked at; they may be named for the reader. Returns the time limit, and whether
    /// a model must think that is asked to.
    fn needs(&mut self, node: &Node) -> Option<(Option<std::time::Duration>, bool)> {
        let mut fields = Fields::of(node, "`needs`", self.problems)?;
        if let Some(n) = fields.optional("context") {
            n.one_of(&[("fits", ())], self.problems);
        }
        for key in ["tools", "json_schema", "vision", "logprobs"] {
            if let Some(n) = fields.optional(key) {
                n.one_of(&[("if_used", ())], self.problems);
            }
        }
        let reasoning = fields.optional("reasoning").and_then(|n| n.one_of(&[("if_used", true)], self.problems));
        let ttft = fields.optional("ttft_p95").and_then(|n| n.duration(self.problems));
        fields.finish(self.problems);
        Some((ttft, reasoning.unwrap_or(false)))
    }

    fn objective(&mut self, node: &Node) -> Option<Objective> {
        let mut fields = Fields::of(node, "an objective", self.problems)?;
        let minimize =
            fields.optional("minimize").and_then(|n| n.one_of(&[("cost", Goal::MinimizeCost)], self.problems));
        let maximize =
            fields.optional("maximize").and_then(|n| n.one_of(&[("p_ok", Goal::MaximizeQuality)], self.problems));
        let (min_p_ok, max_cost) = fields.optional("where").map_or((None, None), |n| self.conditions(n));
        let if_unknown = fields.optional("if_unknown").map(|n| self.if_unknown(n));
        let refuse_below = fields
            .optional("when_none_meets")
            .and_then(|n| n.one_of(&[("best", false), ("refuse", true)], self.problems))
            .unwrap_or(false);
        fields.finish(self.problems);
        if min_p_ok.is_some() && if_unknown.is_none() {
            let message =
                "an objective with `p_ok` needs `if_unknown`: whom to ask when nobody knows how good they are";
            self.problems.add_coded(&node.place, "E007", message);
        }
        let goal = match (minimize, maximize) {
            (Some(goal), None) | (None, Some(goal)) => goal,
            _ => {
                self.problems.add(&node.place, "an objective is either `minimize: cost` or `maximize: p_ok`");
                return None;
            }
        };
        let if_unknown = if_unknown.unwrap_or(IfUnknown::Order(Vec::new()));
        Some(Objective { goal, min_p_ok, max_cost, if_unknown, refuse_below })
    }

    fn conditions(&mut self, node: &Node) -> (Option<f64>, Option<MicroUsd>) {
        let Some(mut fields) = Fields::of(node, "`where`", self.problems) else { return (None, None) };
        let p_ok = fields.optional("p_ok").and_then(|n| n.number(self.problems));
        let usd = fields.optional("usd").and_then(|n| n.number(self.problems));
        fields.finish(self.problems);
        (p_ok, usd.map(MicroUsd::from_usd_ceil))
    }

    fn on_empty(&mut self, node: &Node) -> Option<String> {
        let mut fields = Fields::of(node, "`on_empty`", self.problems)?;
        let reason = fields.required("refuse", self.problems).and_then(|n| n.text(self.problems)).map(str::to_owned);
        fields.finish(self.problems);
        reason
    }
}
