//! The explanation as a short tree for a terminal.

use std::cmp::Ordering;

use super::data::{
    BudgetExplanation, DestinationExplanation, DetectorExplanation, Explanation, FindingExplanation, GuardExplanation,
    RolloutExplanation,
};

/// Column at which what is said of a heading begins.
const HEADING: usize = 14;

impl Explanation<'_> {
    /// A short tree for a terminal.
    pub fn to_text(&self) -> String {
        let mut tree = Tree::default();
        let digest = &self.policy.digest[..12.min(self.policy.digest.len())];
        tree.heading("policy", &format!("{} ({digest})", self.policy.name));
        if let Some(RolloutExplanation { mode, side, would_have }) = &self.rollout {
            tree.heading("rollout", &format!("{mode}, decided by the set {}", side.replace('_', " ")));
            // What is recorded is of the set on trial; what the one in force said stands in it.
            let other = if *side == "on_trial" { &would_have["in_force"] } else { would_have };
            tree.branches(&[format!("the other set says: {}", choice(other))]);
        }
        tree.heading("found", &self.nothing_found());
        tree.branches(&self.found());
        tree.heading("class", &format!("{} ({})", self.class.value, self.class.basis));
        tree.branches(&self.class_rules());
        let idle = &rest(self.guards.iter().filter(|g| !g.applies).map(|g| g.id), "do not apply: ");
        tree.heading("guards", if self.guards.is_empty() { "none" } else { idle });
        tree.branches(&self.guards.iter().filter(|g| g.applies).map(guard).collect::<Vec<_>>());
        if !self.budgets.is_empty() {
            tree.heading("budgets", "");
            let width = widest(self.budgets.iter().map(|b| b.id));
            tree.branches(&self.budgets.iter().map(|b| budget(b, width)).collect::<Vec<_>>());
        }
        tree.heading("destinations", "");
        tree.branches(&self.standings());
        tree.heading("route", &self.route());
        tree.branches(&self.choices());
        let plan = if self.plan.is_empty() { "nobody".to_owned() } else { self.plan.join(", then ") };
        let verdict = if self.refused { "refused" } else { "because" };
        tree.heading("plan", &format!("{plan} ({verdict}: {})", self.reason));
        tree.text
    }

    fn nothing_found(&self) -> String {
        rest(self.detectors.iter().filter(|d| d.result == "false").map(|d| d.detector), "nothing by ")
    }

    fn found(&self) -> Vec<String> {
        let shown: Vec<&DetectorExplanation<'_>> = self.detectors.iter().filter(|d| d.result != "false").collect();
        let width = widest(shown.iter().map(|d| d.detector));
        shown.iter().map(|d| format!("{:<width$}  {}", d.detector, findings(d))).collect()
    }

    fn class_rules(&self) -> Vec<String> {
        let mut lines = vec![format!("starts as {}", self.class.start)];
        let applying: Vec<_> = self.class.rules.iter().filter(|rule| rule.applies).collect();
        let width = widest(applying.iter().map(|rule| rule.id));
        for rule in applying {
            let effect = if rule.section == "baseline" { "starts as" } else { "raises to" };
            let unsure = if rule.value == "unknown" { " (unknown whether it applies, so it does)" } else { "" };
            lines.push(format!("{:<width$}  {effect} {}{unsure}", rule.id, rule.class));
        }
        lines.extend(self.class.conversation.as_ref().map(|before| match &before.since {
            Some(id) => format!("its conversation rose to {} with the request {id}", before.class),
            None => format!("nobody knows what its conversation rose to, so it counts as {}", before.class),
        }));
        let idle = self.class.rules.iter().filter(|rule| !rule.applies).map(|rule| rule.id);
        lines.extend(Some(rest(idle, "do not apply: ")).filter(|line| !line.is_empty()));
        lines
    }

    fn standings(&self) -> Vec<String> {
        let width = widest(self.destinations.iter().map(|d| d.name));
        self.destinations.iter().flat_map(|d| standing(d, width)).collect()
    }

    fn route(&self) -> String {
        let passed: Vec<String> =
            self.routes.iter().filter(|r| !r.taken).map(|r| format!("{} is {}", r.id, r.value)).collect();
        let taken = self.routes.iter().find(|r| r.taken).map_or("none", |r| r.id);
        if passed.is_empty() { taken.to_owned() } else { format!("{taken}, as {}", passed.join(", ")) }
    }

    fn choices(&self) -> Vec<String> {
        let mut lines = vec![self.objective.clone()];
        lines.extend(self.cascade.clone());
        if let Some(gain) = &self.gain {
            lines.push(format!("expected gain of the closed model {:.3} ({})", gain.value, gain.basis));
        }
        let width = widest(self.candidates.iter().map(|c| c.name));
        for candidate in &self.candidates {
            let mark = if candidate.open { '✓' } else { '✗' };
            let quality =
                candidate.p_ok.map_or("p_ok unknown".to_owned(), |p| format!("p_ok {p:.2} ({})", candidate.basis));
            let ttft = candidate.ttft_p95_ms.map(|ms| format!(", first token {ms:.0} ms")).unwrap_or_default();
            let cost = cost(candidate.worst_case_usd);
            lines.push(format!("{mark} {:<width$}  {cost}, {quality}{ttft}", candidate.name));
        }
        lines
    }
}

fn finding(finding: &FindingExplanation) -> String {
    let through = finding.undone.map(|undone| format!(" through {undone}")).unwrap_or_default();
    format!("{} × {} in part {} ({}){through}", finding.count, finding.entity, finding.part, finding.source)
}

fn findings(detector: &DetectorExplanation<'_>) -> String {
    if detector.findings.is_empty() {
        return "unknown: it could not look at everything".to_owned();
    }
    let found = detector.findings.iter().map(finding);
    found.collect::<Vec<_>>().join(", ")
}

/// What a set said, from the record's `would_have`.
fn choice(said: &serde_json::Value) -> String {
    let first = said["plan"].get(0).and_then(|name| name.as_str()).unwrap_or("nobody");
    match said["reason"].as_str() {
        Some(reason) => format!("{first} ({reason})"),
        None => "nothing, for trying it failed".to_owned(),
    }
}

fn guard(guard: &GuardExplanation<'_>) -> String {
    let mut effects = Vec::new();
    effects.extend(
        Some(guard.removes.join(", ")).filter(|names| !names.is_empty()).map(|names| format!("takes out {names}")),
    );
    effects.extend(guard.blocks.map(|reason| format!("refuses: {reason}")));
    effects.extend(
        Some(guard.requires.join(", ")).filter(|names| !names.is_empty()).map(|names| format!("requires {names}")),
    );
    effects.extend(guard.max_output.map(|tokens| format!("caps the answer at {tokens} tokens")));
    effects.extend(guard.max_cost_usd.map(|usd| format!("caps the cost at ${usd}")));
    if effects.is_empty() {
        effects.push("takes nobody out".to_owned());
    }
    format!("{} is {}: {}", guard.id, guard.value, effects.join(", "))
}

fn budget(budget: &BudgetExplanation<'_>, width: usize) -> String {
    let BudgetExplanation { id, limit_usd, .. } = budget;
    let state = match (budget.used, budget.reserved_usd) {
        (Some(used), Some(reserved)) if reserved > 0.0 => {
            format!("{:.0}% of ${limit_usd} used, ${reserved:.6} of it reserved", used * 100.0)
        }
        (Some(used), _) => format!("{:.0}% of ${limit_usd} used this {}", used * 100.0, budget.window),
        (None, _) => format!("at most ${limit_usd} a request"),
    };
    let removed: Vec<&str> = budget.steps.iter().flat_map(|step| step.removes.iter().copied()).collect();
    let effect = if removed.is_empty() { String::new() } else { format!(": takes out {}", removed.join(", ")) };
    format!("{id:<width$}  {state}{effect}")
}

fn standing(destination: &DestinationExplanation<'_>, width: usize) -> Vec<String> {
    let mark = if destination.open { '✓' } else { '✗' };
    let name = destination.name;
    let mut reasons = destination.reasons.iter();
    let first = match reasons.next() {
        Some(reason) => reason.clone(),
        None if destination.answers => "may and can answer".to_owned(),
        None => "may keep it".to_owned(),
    };
    let mut lines = vec![format!("{mark} {name:<width$}  {first}")];
    lines.extend(reasons.map(|reason| format!("  {:<width$}  {reason}", "")));
    lines
}

fn cost(usd: Option<f64>) -> String {
    usd.map_or("price unknown".to_owned(), |usd| format!("≤ ${usd:.6}"))
}

/// The names behind `lead`, or nothing where there are none.
fn rest<'a>(names: impl Iterator<Item = &'a str>, lead: &str) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { String::new() } else { format!("{lead}{}", names.join(", ")) }
}

fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or_default()
}

#[derive(Default)]
struct Tree {
    text: String,
}

impl Tree {
    fn heading(&mut self, name: &str, said: &str) {
        let line = format!("{name:<HEADING$}{said}");
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A line that begins with a space goes on with the one before.
    fn branches(&mut self, lines: &[String]) {
        let last = lines.iter().rposition(|line| !line.starts_with(' ')).unwrap_or_default();
        for (i, line) in lines.iter().enumerate() {
            let branch = match (line.starts_with(' '), i.cmp(&last)) {
                (false, Ordering::Less | Ordering::Greater) => "├─",
                (false, Ordering::Equal) => "└─",
                (true, Ordering::Less) => "│ ",
                (true, Ordering::Equal | Ordering::Greater) => "  ",
            };
            self.text.push_str(&format!("{branch} {}\n", line.trim_end()));
        }
    }
}
