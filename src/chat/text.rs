//! Prompt and answer text that cannot reach a log by accident.

use std::fmt;

/// Text that a person or a model wrote.
///
/// It has no `Display`, and its `Debug` prints only the length, so that a careless log line or panic message is
/// harmless. Whoever needs the content says so with [`Text::expose`].
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Text(String);

impl Text {
    /// Wraps `text`.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The content itself. Every call is a place where text may travel on: keep them few.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Appends `more`.
    pub fn push_str(&mut self, more: &str) {
        self.0.push_str(more);
    }

    /// Length in bytes of UTF-8.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no text at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Text", self.0.len())
    }
}

/// Writes the `Debug` of something called `name` that holds content: how many bytes, and none of them.
///
/// # Errors
/// The formatter's.
pub fn redacted(f: &mut fmt::Formatter<'_>, name: &str, bytes: usize) -> fmt::Result {
    write!(f, "{name}({bytes} bytes)")
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn debug_shows_length_and_never_content() {
        let shown = format!("{:?}", Text::from("my card is 4111"));
        assert_eq!(shown, "Text(15 bytes)");
    }
}
