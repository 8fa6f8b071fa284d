//! The top level of every file, merged into one set of sections.

use crate::yaml::{Fields, Node, Problems};

/// Who wrote a file: base files may define everything, team files only restrict and choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Authority {
    Base,
    Team,
}

/// All sections of all files. A section that may stand in several files is a list of nodes.
#[derive(Default)]
pub(super) struct Sections<'a> {
    pub name: Option<&'a Node>,
    pub classes: Option<&'a Node>,
    pub sealed: Option<&'a Node>,
    pub default_class: Option<&'a Node>,
    pub attributes: Vec<&'a Node>,
    pub detectors: Vec<&'a Node>,
    pub baseline: Vec<&'a Node>,
    pub classify: Vec<&'a Node>,
    pub conversations: Option<&'a Node>,
    pub destinations: Vec<&'a Node>,
    pub declassify: Vec<&'a Node>,
    pub guards: Vec<&'a Node>,
    pub prices: Option<&'a Node>,
    pub budgets: Vec<&'a Node>,
    pub estimators: Vec<&'a Node>,
    pub affinity: Option<&'a Node>,
    pub routes: Vec<&'a Node>,
    pub invariants: Vec<&'a Node>,
    pub rollout: Option<&'a Node>,
    pub tests: Vec<&'a Node>,
}

impl<'a> Sections<'a> {
    pub(super) fn collect(roots: &'a [Node], problems: &mut Problems) -> Self {
        let mut sections = Self::default();
        for root in roots {
            sections.file(root, problems);
        }
        sections
    }

    fn file(&mut self, root: &'a Node, problems: &mut Problems) {
        let Some(mut fields) = Fields::of(root, "a policy file", problems) else { return };
        if let Some(version) = fields.required("ajar", problems) {
            version.one_of(&[("policy/v1", ())], problems);
        }
        let authority = fields
            .required("authority", problems)
            .and_then(|node| node.one_of(&[("base", Authority::Base), ("team", Authority::Team)], problems));
        let name = fields.required("name", problems);
        if authority == Some(Authority::Base) {
            self.name = self.name.or(name);
        }
        let mut base_only = |key: &'static str, problems: &mut Problems| {
            let node = fields.optional(key)?;
            if authority == Some(Authority::Team) {
                problems.add_coded(
                    &node.place,
                    "E009",
                    format!("`{key}` may stand only in a file with `authority: base`"),
                );
            }
            Some(node)
        };
        once(&mut self.classes, "classes", base_only("classes", problems), problems);
        once(&mut self.sealed, "sealed", base_only("sealed", problems), problems);
        once(&mut self.default_class, "default_class", base_only("default_class", problems), problems);
        once(&mut self.conversations, "conversations", base_only("conversations", problems), problems);
        once(&mut self.prices, "prices", base_only("prices", problems), problems);
        once(&mut self.rollout, "rollout", base_only("rollout", problems), problems);
        self.baseline.extend(base_only("baseline", problems));
        self.destinations.extend(base_only("destinations", problems));
        self.declassify.extend(base_only("declassify", problems));
        self.invariants.extend(base_only("invariants", problems));
        once(&mut self.affinity, "affinity", fields.optional("affinity"), problems);
        self.estimators.extend(fields.optional("estimators"));
        self.attributes.extend(fields.optional("attributes"));
        self.detectors.extend(fields.optional("detectors"));
        self.classify.extend(fields.optional("classify"));
        self.guards.extend(fields.optional("guards"));
        self.budgets.extend(fields.optional("budgets"));
        self.routes.extend(fields.optional("routes"));
        self.tests.extend(fields.optional("tests"));
        fields.finish(problems);
    }
}

fn once<'a>(slot: &mut Option<&'a Node>, key: &str, found: Option<&'a Node>, problems: &mut Problems) {
    match (&slot, found) {
        (Some(first), Some(second)) => {
            problems.add(&second.place, format!("`{key}` is already set at {}", first.place));
        }
        (None, found) => *slot = found,
        (Some(_), None) => {}
    }
}
