//! Random policy sets that load: large, and of the kind that people write.

use std::fmt::Write;

use super::Random;

/// How large a set is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rules of all kinds together.
    pub rules: usize,
    /// Destinations, at least five: two at home, two sinks, the rest outside.
    pub destinations: usize,
    /// Detectors, at least one.
    pub detectors: usize,
}

const CLASSES: [&str; 5] = ["public", "internal", "confidential", "restricted", "sealed"];
const TEAMS: [&str; 6] = ["support", "sales", "legal", "research", "payments", "platform"];
const APPS: [&str; 4] = ["chat", "batch", "agent", "other"];
const REGIONS: [&str; 3] = ["eu", "us", "apac"];
const KINDS: [&str; 5] = [
    "{ kind: checksum, recognizers: [pan_luhn, iban_mod97] }",
    "{ kind: checksum, recognizers: [us_ssn] }",
    "{ kind: pattern, set: contact@1 }",
    "{ kind: pattern, set: secrets@1 }",
    "{ kind: pattern, set: document-labels@1 }",
];

/// A base file of this size. Of ten rules about six are guards, two raise the class, one is a route, and the tenth is a
/// budget, a baseline or a way down.
pub fn random_policy(random: &mut Random, size: Size) -> String {
    let mut writer = Writer { random, size, text: String::new(), ids: 0 };
    writer.header();
    writer.destinations();
    let of = |tenths: usize| (size.rules * tenths / 10).max(1);
    let odd = (size.rules / 30).max(1);
    writer.section("baseline", odd, Writer::baseline);
    writer.section("classify", of(2), Writer::class_rule);
    writer.section("declassify", odd, Writer::declassify);
    writer.section("budgets", odd, Writer::budget);
    writer.section("guards", of(6), Writer::guard);
    writer.section("routes", of(1), Writer::route);
    writer.text.push_str("  - { id: everything, order: 1000000, candidates: [home0, home1, out0, out1] }\n");
    writer.text
}

struct Writer<'r> {
    random: &'r mut Random,
    size: Size,
    text: String,
    ids: usize,
}

/// What a condition may speak of.
#[derive(Clone, Copy, PartialEq)]
enum Rule {
    Raises,
    Widens,
    Restricts,
    Chooses,
}

impl Writer<'_> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    fn section(&mut self, name: &str, count: usize, rule: impl Fn(&mut Self) -> String) {
        self.line(&format!("{name}:"));
        for _ in 0..count {
            let rule = rule(self);
            self.ids += 1;
            let id = self.ids;
            self.line(&format!("  - {{ id: r{id}, {rule} }}"));
        }
    }

    fn header(&mut self) {
        self.line("ajar: policy/v1\nname: random\nauthority: base");
        self.line(&format!("classes: [{}]\nsealed: [sealed]\ndefault_class: internal", CLASSES.join(", ")));
        self.line("attributes:");
        self.line(&format!("  key.team: {{ one_of: [{}], required: true }}", TEAMS.join(", ")));
        self.line(&format!("  key.app: {{ one_of: [{}], default: other }}", APPS.join(", ")));
        self.line(&format!("  key.region: {{ one_of: [{}], required: true }}", REGIONS.join(", ")));
        self.line("  key.level: { cells: [0, 25, 50, 75], default: 0 }");
        self.line("  client.label: { one_of: [none, confidential, restricted], default: none }");
        self.line("detectors:");
        for i in 0..self.size.detectors {
            self.line(&format!("  d{i}: {}", KINDS[i % KINDS.len()]));
        }
    }

    fn destinations(&mut self) {
        self.line("destinations:");
        self.line("  home0: { via: embedded, model: small, boundary: host, tier: local }");
        self.line("  home1: { via: embedded, model: large, boundary: host, tier: local }");
        self.line("  cache: { via: sink/cache, boundary: host, accepts: confidential, scope: key }");
        self.line("  log: { via: sink/decision-log, boundary: host, store: features }");
        for i in 0..self.outside() {
            let region = REGIONS[i % REGIONS.len()];
            let tier = ["cheap", "frontier"][i % 2];
            let accepts = CLASSES[i % 4];
            self.line(&format!(
                "  out{i}: {{ via: p{}, model: m{i}, boundary: external, region: {region}, accepts: {accepts}, tier: {tier}, usd_per_1k: {} }}",
                i % 4,
                1 + i % 7
            ));
        }
    }

    fn outside(&self) -> usize {
        self.size.destinations.saturating_sub(4).max(2)
    }

    fn baseline(&mut self) -> String {
        let when = self.condition(Rule::Widens);
        format!("class: public, when: '{when}'")
    }

    fn class_rule(&mut self) -> String {
        let (raise, when) = (*self.random.pick(&CLASSES[2..]), self.condition(Rule::Raises));
        format!("raise: {raise}, when: '{when}'")
    }

    fn declassify(&mut self) -> String {
        let requires = *self.random.pick(&["pseudonymize, rescan_clean", "rescan_clean", "human_ok", ""]);
        let when = self.condition(Rule::Widens);
        format!("up_to: confidential, to: internal, requires: [{requires}], when: '{when}'")
    }

    fn budget(&mut self) -> String {
        let per = *self.random.pick(&["per: key, window: day", "per: team, window: month", "per: all, window: hour"]);
        let external = "dest.boundary == \"external\"";
        let last = *self.random.pick(&["only: 'dest.boundary == \"host\"'", "refuse: budget_spent"]);
        format!(
            "{per}, limit: 25 USD, ladder: [{{ at: 0.5, reprice: 2 }}, {{ at: 0.9, deny: '{external} && dest.tier == \
             \"frontier\"' }}, {{ at: 1.1, {last} }}]"
        )
    }

    fn guard(&mut self) -> String {
        let when = self.condition(Rule::Restricts);
        let fact = self.atom(Rule::Restricts);
        let out = self.random.below(self.outside());
        let region = *self.random.pick(&REGIONS[..self.outside().min(REGIONS.len())]);
        let effect = match self.random.below(12) {
            0 => "only: 'dest.boundary == \"host\"'".to_owned(),
            1 => format!("only: 'dest.boundary == \"host\" || dest.region == \"{region}\"'"),
            2 | 3 => format!("deny: 'dest.region == \"{region}\"'"),
            4 | 5 => format!("deny: 'dest.name == \"out{out}\"'"),
            6 => format!("deny: 'dest.tier == \"frontier\" && {fact}'"),
            7 => format!("deny: 'dest.name == \"out{out}\" || dest.region != \"{region}\" && {fact}'"),
            8 => "require: [pseudonymize]".to_owned(),
            9 => format!("cap: {{ max_output: {}, usd: 0.{} }}", 200 + 10 * out, 1 + self.random.below(8)),
            10 => format!("deny: 'dest.region == \"{region}\"', require: [rescan_clean], cap: {{ max_output: 800 }}"),
            _ => return format!("when: '{when} && finding.d0 && uses.audio', block: not_here"),
        };
        format!("when: '{when}', {effect}")
    }

    fn route(&mut self) -> String {
        let order = self.ids + 1;
        let when = self.condition(Rule::Chooses);
        let first = self.random.below(self.outside());
        let mut candidates = vec!["home0".to_owned(), "home1".to_owned()];
        let count = 1 + self.random.below(self.outside().min(6));
        candidates.extend((0..count).map(|i| format!("out{}", (first + i) % self.outside())));
        let swap = self.random.below(candidates.len());
        candidates.swap(0, swap);
        let mut rule = format!("order: {order}, when: '{when}', candidates: [{}]", candidates.join(", "));
        match self.random.below(4) {
            0 => {}
            1 => rule.push_str(", needs: { ttft_p95: 2s }, on_empty: { refuse: nobody_left }"),
            2 => rule.push_str(", objective: { minimize: cost, where: { p_ok: 0.7 }, if_unknown: [home0] }"),
            // Writing to a String cannot fail.
            _ => drop(write!(
                rule,
                ", objective: {{ maximize: p_ok, where: {{ usd: 0.2 }}, if_unknown: [out{first}, home0] }}"
            )),
        }
        rule
    }

    /// Two or three atoms, seldom four: enough that most rules do not apply to most requests.
    fn condition(&mut self, rule: Rule) -> String {
        let mut text = self.atom(rule);
        for _ in 0..1 + self.random.below(3) {
            let operator = if self.random.one_in(5) { "||" } else { "&&" };
            let atom = self.atom(rule);
            text = match operator {
                "||" => format!("({text} || {atom})"),
                _ => format!("{text} && {atom}"),
            };
        }
        text
    }

    fn atom(&mut self, rule: Rule) -> String {
        let detector = self.random.below(self.size.detectors);
        let number = 1 + self.random.below(4_000);
        let class = *self.random.pick(&CLASSES[1..]);
        match self.random.below(12) {
            0 | 1 => format!("key.team == \"{}\"", self.random.pick(&TEAMS)),
            2 => format!("key.app in [\"{}\", \"{}\"]", self.random.pick(&APPS), self.random.pick(&APPS)),
            3 => format!("key.region != \"{}\"", self.random.pick(&REGIONS)),
            4 => format!("key.level >= {}", number % 100),
            5 => format!("tokens.input > {number}"),
            6 => format!("!uses.{}", self.random.pick(&["image", "audio", "file", "tools"])),
            7 if rule != Rule::Widens => "client.label == \"restricted\"".to_owned(),
            8 if rule == Rule::Restricts => format!("class >= {class}"),
            8 if rule == Rule::Chooses => format!("class <= {class}"),
            9 if rule == Rule::Restricts || rule == Rule::Raises => format!("unknown.d{detector}"),
            9 if rule == Rule::Chooses => format!("est.gain >= 0.{}", 1 + number % 8),
            10 | 11 if rule == Rule::Widens => format!("!finding.d{detector}"),
            _ => format!("finding.d{detector}"),
        }
    }
}
