//! The tree, and typed readings of its scalars.

use std::time::Duration;

use super::{Place, Problems, did_you_mean};

/// A value and where it was written.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub shape: Shape,
}

/// What a node is. Scalars stay text: the field that holds one knows its type.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// Empty, `~` or `null`.
    Null,
    /// A scalar; `plain` when it was not quoted.
    Scalar {
        /// Its text.
        text: String,
        /// Whether it stood without quotes.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order written; each key is a scalar node, none twice.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, with its article: for messages.
    pub fn kind(&self) -> &'static str {
        match self.shape {
            Shape::Null => "nothing",
            Shape::Scalar { .. } => "a value",
            Shape::List(_) => "a list",
            Shape::Map(_) => "a map",
        }
    }

    /// The value of `key`, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Node> {
        match &self.shape {
            Shape::Map(entries) => entries.iter().find(|(k, _)| k.scalar() == Some(key)).map(|(_, value)| value),
            Shape::Null | Shape::Scalar { .. } | Shape::List(_) => None,
        }
    }

    /// The scalar's text, where this is a scalar.
    pub fn scalar(&self) -> Option<&str> {
        match &self.shape {
            Shape::Scalar { text, .. } => Some(text),
            Shape::Null | Shape::List(_) | Shape::Map(_) => None,
        }
    }

    /// The text, or a problem.
    pub fn text(&self, problems: &mut Problems) -> Option<&str> {
        let text = self.scalar();
        if text.is_none() {
            problems.add(&self.place, format!("expected a value here, found {}", self.kind()));
        }
        text
    }

    /// The items, or a problem.
    pub fn list(&self, problems: &mut Problems) -> Option<&[Node]> {
        match &self.shape {
            Shape::List(items) => Some(items),
            Shape::Scalar { text, .. } => {
                problems.add(&self.place, format!("expected a list here, found `{text}`; write `[{text}]`"));
                None
            }
            Shape::Null | Shape::Map(_) => {
                problems.add(&self.place, format!("expected a list `[…]` here, found {}", self.kind()));
                None
            }
        }
    }

    /// The entries as (key node, value node), or a problem.
    pub fn map(&self, problems: &mut Problems) -> Option<&[(Node, Node)]> {
        match &self.shape {
            Shape::Map(entries) => Some(entries),
            Shape::Null | Shape::Scalar { .. } | Shape::List(_) => {
                problems.add(&self.place, format!("expected entries `key: value` here, found {}", self.kind()));
                None
            }
        }
    }

    /// A list of texts, or problems.
    pub fn texts(&self, problems: &mut Problems) -> Option<Vec<&str>> {
        let items = self.list(problems)?;
        Some(items.iter().filter_map(|item| item.text(problems)).collect())
    }

    /// `true` or `false`, or a problem: `yes`, `on` and quoted words are not booleans.
    pub fn flag(&self, problems: &mut Problems) -> Option<bool> {
        match &self.shape {
            Shape::Scalar { text, .. } if text == "true" => Some(true),
            Shape::Scalar { text, .. } if text == "false" => Some(false),
            _ => self.wrong(problems, "`true` or `false`"),
        }
    }

    /// A whole number, or a problem.
    pub fn whole(&self, problems: &mut Problems) -> Option<u64> {
        match self.scalar().and_then(|text| text.parse().ok()) {
            Some(number) => Some(number),
            None => self.wrong(problems, "a whole number"),
        }
    }

    /// A finite number, or a problem.
    pub fn number(&self, problems: &mut Problems) -> Option<f64> {
        let text = self.scalar().unwrap_or_default();
        if let Some(number) = finite(text) {
            return Some(number);
        }
        let found = self.scalar().map_or_else(|| self.kind().to_owned(), |text| format!("`{text}`"));
        let hint = meant_number(text).map_or_else(String::new, |meant| format!("; write `{meant}`"));
        problems.add(&self.place, format!("expected a number, found {found}{hint}"));
        None
    }

    /// A duration such as `10s`, `50ms`, `183d`, or a problem.
    pub fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        match self.scalar().and_then(|text| humantime::parse_duration(text).ok()) {
            Some(duration) => Some(duration),
            None => self.wrong(problems, "a duration such as `10s`, `50ms` or `7d`"),
        }
    }

    /// A size in bytes such as `32 MiB`, or a problem.
    pub fn bytes(&self, problems: &mut Problems) -> Option<u64> {
        match self.scalar().and_then(|text| text.parse::<bytesize::ByteSize>().ok()) {
            Some(size) => Some(size.as_u64()),
            None => self.wrong(problems, "a size such as `32 MiB`"),
        }
    }

    /// One of `choices`, or a problem with a suggestion.
    pub fn one_of<T: Copy>(&self, choices: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let text = self.text(problems)?;
        let found = choices.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        if found.is_none() {
            let hint = did_you_mean(text, choices.iter().map(|(name, _)| *name));
            problems.add_coded(&self.place, "E001", format!("unknown value `{text}`{hint}"));
        }
        found
    }

    fn wrong<T>(&self, problems: &mut Problems, expected: &str) -> Option<T> {
        let found = self.scalar().map_or_else(|| self.kind().to_owned(), |text| format!("`{text}`"));
        problems.add(&self.place, format!("expected {expected}, found {found}"));
        None
    }
}

fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// The number that was meant by a decimal comma or a percentage.
fn meant_number(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => finite(percent.trim()).map(|percent| percent / 100.0),
        // With three digits behind it, the comma may as well divide thousands.
        None => {
            text.split_once(',').filter(|(_, rest)| rest.len() != 3).and_then(|_| finite(&text.replacen(',', ".", 1)))
        }
    }
}
