//! Tests of texts (`startsWith` and its like). What they ask about is known when a condition is checked: the words of an
//! attribute, the properties of a destination. So they are done then, and cost nothing when a request comes.

use regex::{Regex, RegexBuilder};

use super::parse::{Ast, AstKind, ExprError, Literal, TextTest};

/// Most bytes of a compiled pattern: more is no pattern a person wrote.
const MAX_PATTERN: usize = 256 << 10;

/// A test with its literal argument.
pub(super) struct Matcher<'a> {
    /// What stands in the parentheses.
    pub argument: &'a str,
    test: TextTest,
    pattern: Option<Regex>,
}

impl<'a> Matcher<'a> {
    pub(super) fn new(test: TextTest, argument: &'a Ast) -> Result<Self, ExprError> {
        let AstKind::Literal(Literal::Text(text)) = &argument.kind else {
            return Err(ExprError::new(argument.span.start, "write the text itself here, in quotes"));
        };
        let pattern = match test {
            TextTest::Matches => Some(compile(text, argument)?),
            TextTest::StartsWith | TextTest::EndsWith | TextTest::Contains => None,
        };
        Ok(Self { argument: text, test, pattern })
    }

    pub(super) fn holds(&self, text: &str) -> bool {
        match self.test {
            TextTest::StartsWith => text.starts_with(self.argument),
            TextTest::EndsWith => text.ends_with(self.argument),
            TextTest::Contains => text.contains(self.argument),
            TextTest::Matches => self.pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)),
        }
    }

    /// What it asks, for messages: "starts with `x`".
    pub(super) fn asked(&self) -> String {
        let verb = match self.test {
            TextTest::StartsWith => "starts with",
            TextTest::EndsWith => "ends with",
            TextTest::Contains => "contains",
            TextTest::Matches => "matches",
        };
        format!("{verb} `{}`", self.argument)
    }
}

fn compile(text: &str, at: &Ast) -> Result<Regex, ExprError> {
    RegexBuilder::new(text).size_limit(MAX_PATTERN).build().map_err(|error| {
        // The crate's message draws the pattern over several lines; its last says what is wrong.
        let message = error.to_string();
        let reason = message.lines().last().unwrap_or_default().trim_start_matches("error: ");
        ExprError::new(at.span.start, format!("`{text}` is not a regular expression: {reason}"))
    })
}
