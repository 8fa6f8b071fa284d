//! Section `rollout`.

use super::Loader;
use super::sections::Sections;
use crate::policy::rollout::{By, Mode, Rollout};
use crate::yaml::{Fields, Node};

impl Loader<'_> {
    pub(super) fn rollout(&mut self, sections: &Sections<'_>) {
        self.set.rollout = sections.rollout.and_then(|node| self.read_rollout(node));
    }

    fn read_rollout(&mut self, node: &Node) -> Option<Rollout> {
        let mut fields = Fields::of(node, "`rollout`", self.problems)?;
        let mode = fields.required("mode", self.problems).and_then(|n| n.one_of(&Mode::ALL, self.problems));
        let stated = fields.optional("percent");
        let percent = stated.and_then(|n| self.percent(n));
        let by = fields.optional("by").and_then(|n| n.one_of(&By::ALL, self.problems));
        let compare_with = fields.optional("compare_with").and_then(|n| self.folder(n));
        fields.finish(self.problems);
        let mode = mode?;
        if mode == Mode::Canary && stated.is_none() {
            self.problems.add(&node.place, "a canary needs `percent`: the share of keys that the set decides for");
        }
        if mode != Mode::Enforce && compare_with.is_none() {
            let message = format!(
                "`mode: {}` needs `compare_with`: the folder of the set that is in force meanwhile, such as `../default`",
                mode.name()
            );
            self.problems.add(&node.place, message);
        }
        let percent = percent.unwrap_or_default();
        Some(Rollout { place: node.place.clone(), mode, percent, by: by.unwrap_or(By::Key), compare_with })
    }

    fn percent(&mut self, node: &Node) -> Option<f64> {
        let percent = node.number(self.problems)?;
        if !(0.0..=100.0).contains(&percent) {
            self.problems.add(&node.place, format!("expected a share from 0 to 100, found `{percent}`"));
        }
        Some(percent)
    }

    fn folder(&mut self, node: &Node) -> Option<String> {
        let text = node.text(self.problems)?;
        if text.is_empty() || text.starts_with('/') {
            let message = format!("expected a folder relative to this one, such as `../default`, found `{text}`");
            self.problems.add(&node.place, message);
        }
        Some(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::rollout::{By, Mode};
    use crate::policy::{PolicySet, Source, load};
    use crate::yaml::Problems;

    fn set(rollout: &str) -> Result<PolicySet, Problems> {
        let text = format!(
            "ajar: policy/v1\nname: t\nauthority: base\nclasses: [public]\ndefault_class: public\n\
             destinations:\n  home: {{ via: embedded, model: m, boundary: host }}\n\
             routes:\n  - {{ id: all, order: 1, candidates: [home] }}\n{rollout}\n"
        );
        load(&[Source { file: "t.yaml".to_owned(), text }], &|_| None)
    }

    fn problems(rollout: &str) -> String {
        set(rollout).unwrap_err().to_string()
    }

    #[test]
    fn a_set_without_rollout_is_in_force_and_one_with_it_says_how_it_is_tried() {
        assert_eq!(set("").unwrap().rollout, None);
        let rollout =
            set("rollout: { mode: canary, percent: 12.5, by: tenant, compare_with: ../old }").unwrap().rollout;
        let rollout = rollout.unwrap();
        assert_eq!((rollout.mode, rollout.percent, rollout.by), (Mode::Canary, 12.5, By::Tenant));
        assert_eq!(rollout.compare_with.as_deref(), Some("../old"));
        let promoted = set("rollout: { mode: enforce, percent: 5, compare_with: ../old }").unwrap().rollout.unwrap();
        assert_eq!(promoted.mode, Mode::Enforce, "promoting changes one word");
    }

    #[test]
    fn mistakes_are_told_with_their_place_and_a_way_out() {
        let wrong = [
            "rollout: { mode: shadwo, compare_with: ../old }",
            "rollout: { mode: shadow }",
            "rollout: { mode: canary, compare_with: ../old }",
            "rollout: { mode: canary, percent: 120, by: team, compare_with: /old }",
            "rollout: { percent: 5, compare: ../old }",
            "rollout: shadow",
        ];
        let told: String = wrong.iter().map(|text| format!("{text}\n{}\n\n", problems(text))).collect();
        insta::assert_snapshot!(told);
    }
}
