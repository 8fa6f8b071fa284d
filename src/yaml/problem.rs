//! Places in files, and what is wrong there.

use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file, or `environment variable …` for a value that came from there.
    pub origin: Arc<str>,
    /// Line and column, both from 1, where the origin is a file.
    pub at: Option<(u32, u32)>,
}

impl Place {
    /// A place that is a file as a whole.
    pub fn whole(origin: impl Into<Arc<str>>) -> Self {
        Self { origin: origin.into(), at: None }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.origin),
            None => f.write_str(&self.origin),
        }
    }
}

/// One mistake, with its place and the way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// A stable code such as `E001`, where the policy language defines one.
    pub code: Option<&'static str>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if let Some(code) = self.code {
            write!(f, "{code}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong, so that a person sees all of it at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a problem without a code.
    pub fn add(&mut self, place: &Place, message: impl Into<String>) {
        self.0.push(Problem { place: place.clone(), code: None, message: message.into() });
    }

    /// Adds a problem with a code of the policy language.
    pub fn add_coded(&mut self, place: &Place, code: &'static str, message: impl Into<String>) {
        self.0.push(Problem { place: place.clone(), code: Some(code), message: message.into() });
    }

    /// Adds all of `others`.
    pub fn extend(&mut self, others: Problems) {
        self.0.extend(others.0);
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Each, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }

    /// `value` when nothing is wrong, else the problems sorted by place.
    pub fn or_ok<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(self.sorted()) }
    }

    /// In the order of their places.
    pub fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| a.place.cmp(&b.place));
        self
    }
}

/// One problem a line.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// As many names are listed: those of the sections of a policy file.
const MOST_LISTED: usize = 18;

/// "; did you mean `x`?" for the most similar of `known`, else "; expected one of …" when they are few, else nothing.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let without_group = |name: &&&str| name.split_once('.').is_some_and(|(_, rest)| rest == word);
    if let Some(name) = known.iter().find(without_group) {
        return format!("; did you mean `{name}`?");
    }
    let nearest = known
        .iter()
        .map(|k| (strsim::jaro_winkler(word, k), k))
        .filter(|(similarity, _)| *similarity > 0.78)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None if !known.is_empty() && known.len() <= MOST_LISTED => {
            format!("; expected one of `{}`", known.join("`, `"))
        }
        None => String::new(),
    }
}
