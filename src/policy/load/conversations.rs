//! Section `conversations`.

use super::Loader;
use super::sections::Sections;
use crate::policy::set::{Conversations, KnownBy};
use crate::yaml::{Fields, Node};

impl Loader<'_> {
    pub(super) fn conversations(&mut self, sections: &Sections<'_>) {
        let Some(node) = sections.conversations else { return };
        let Some(mut fields) = Fields::of(node, "`conversations`", self.problems) else { return };
        let by = fields.optional("by").map(|n| self.known_by(n));
        let ttl = fields.optional("ttl").and_then(|n| {
            let ttl = n.duration(self.problems)?;
            if ttl.is_zero() {
                let message = "a class that is kept for no time is not kept; say `by: []` if that is meant";
                self.problems.add(&n.place, message);
            }
            Some(ttl)
        });
        fields.finish(self.problems);
        let usual = Conversations::default();
        self.set.conversations = Conversations { by: by.unwrap_or(usual.by), ttl: ttl.unwrap_or(usual.ttl) };
    }

    fn known_by(&mut self, node: &Node) -> Vec<KnownBy> {
        let items = node.list(self.problems).unwrap_or_default();
        items.iter().filter_map(|item| item.one_of(&KnownBy::ALL, self.problems)).collect()
    }
}
