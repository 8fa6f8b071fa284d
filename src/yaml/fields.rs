//! Reading a map whose keys are known: what is asked for is allowed, all else is a mistake.

use super::{Node, Place, Problems, did_you_mean};

/// A map being read. Ask for each key, then call [`Fields::finish`], which reports the keys nobody asked for.
pub struct Fields<'a> {
    what: &'static str,
    place: Place,
    entries: &'a [(Node, Node)],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// Starts to read `node` as `what` (as in "unknown key `x` in a guard"), or reports that it is no map.
    pub fn of(node: &'a Node, what: &'static str, problems: &mut Problems) -> Option<Self> {
        let entries = node.map(problems)?;
        Some(Self { what, place: node.place.clone(), entries, asked: Vec::new() })
    }

    /// Where the map stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The value of `key`, if it is there.
    pub fn optional(&mut self, key: &'static str) -> Option<&'a Node> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.entries.iter().find(|(k, _)| k.scalar() == Some(key)).map(|(_, value)| value)
    }

    /// The value of `key`, or a problem.
    pub fn required(&mut self, key: &'static str, problems: &mut Problems) -> Option<&'a Node> {
        let value = self.optional(key);
        if value.is_none() {
            problems.add(&self.place, format!("`{key}` is missing in {}", self.what));
        }
        value
    }

    /// Reports every key that was not asked for.
    pub fn finish(self, problems: &mut Problems) {
        let known = || format!("; expected one of `{}`", self.asked.join("`, `"));
        for (key, _) in self.entries {
            let name = key.scalar().unwrap_or_default();
            if !self.asked.contains(&name) {
                let hint = did_you_mean(name, self.asked.iter().copied());
                let hint = match name.bytes().all(|b| b.is_ascii_digit()) {
                    true => "; is it the end of a number with a comma? write a point".to_owned(),
                    false if hint.contains("did you mean") => hint,
                    false => known(),
                };
                problems.add_coded(&key.place, "E001", format!("unknown key `{name}` in {}{hint}", self.what));
            }
        }
    }
}
