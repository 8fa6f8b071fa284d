//! Text to syntax tree.

use std::ops::Range;

use super::lex::{Spanned, Token, lex};
use crate::yaml::did_you_mean;

/// Deepest nesting of parentheses and negations.
const MAX_DEPTH: usize = 32;
/// Longest expression, in bytes.
const MAX_LEN: usize = 4096;

/// A syntax tree with the byte range of each node in the expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Ast {
    /// Where it stands.
    pub span: Range<usize>,
    /// What it is.
    pub kind: AstKind,
}

/// The forms of an expression.
#[derive(Clone, Debug, PartialEq)]
pub enum AstKind {
    /// `a || b`
    Or(Box<Ast>, Box<Ast>),
    /// `a && b`
    And(Box<Ast>, Box<Ast>),
    /// `!a`
    Not(Box<Ast>),
    /// `a == b` and the like.
    Compare(Relation, Box<Ast>, Box<Ast>),
    /// `a in [x, y]`
    In(Box<Ast>, Vec<Ast>),
    /// `a.startsWith("x")` and its like.
    Test(TextTest, Box<Ast>, Box<Ast>),
    /// A dotted name.
    Name(String),
    /// A literal.
    Literal(Literal),
}

/// What a name's text may be asked for: CEL's functions of these names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// `startsWith`
    StartsWith,
    /// `endsWith`
    EndsWith,
    /// `contains`
    Contains,
    /// `matches`: a regular expression, found anywhere in the text.
    Matches,
}

impl TextTest {
    /// All, with their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("startsWith", Self::StartsWith),
        ("endsWith", Self::EndsWith),
        ("contains", Self::Contains),
        ("matches", Self::Matches),
    ];
}

/// How two operands are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Relation {
    /// The relation with its operands exchanged: `a < b` is `b > a`.
    pub fn flipped(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            Self::Eq | Self::Ne => self,
        }
    }

    /// Whether it holds between values that compare as `ordering`.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Eq => ordering.is_eq(),
            Self::Ne => ordering.is_ne(),
            Self::Lt => ordering.is_lt(),
            Self::Le => ordering.is_le(),
            Self::Gt => ordering.is_gt(),
            Self::Ge => ordering.is_ge(),
        }
    }
}

/// A literal value.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `true`, `false`
    Bool(bool),
    /// `3`, `0.25`
    Number(f64),
    /// `"eu"`
    Text(String),
}

/// Why an expression was refused, and where in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ExprError {
    /// Byte offset in the expression.
    pub at: usize,
    /// The policy language's code for the mistake.
    pub code: &'static str,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ExprError {
    /// A mistake in form, name, value or type.
    pub(super) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, code: "E001", message: message.into() }
    }
}

/// Parses `text` completely.
pub fn parse(text: &str) -> Result<Ast, ExprError> {
    if text.len() > MAX_LEN {
        return Err(ExprError::new(0, format!("the expression is longer than {MAX_LEN} bytes")));
    }
    let tokens = lex(text)?;
    let mut parser = Parser { tokens, next: 0, end: text.len(), depth: 0 };
    let ast = parser.or()?;
    match parser.peek() {
        None => Ok(ast),
        Some(token) => Err(unexpected(token)),
    }
}

struct Parser {
    tokens: Vec<Spanned>,
    next: usize,
    end: usize,
    depth: usize,
}

impl Parser {
    fn or(&mut self) -> Result<Ast, ExprError> {
        let mut left = self.and()?;
        while self.take(&Token::Or) {
            let right = self.and()?;
            left = binary(left, right, AstKind::Or);
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Ast, ExprError> {
        let mut left = self.relation()?;
        while self.take(&Token::And) {
            let right = self.relation()?;
            left = binary(left, right, AstKind::And);
        }
        Ok(left)
    }

    fn relation(&mut self) -> Result<Ast, ExprError> {
        let left = self.unary()?;
        if let Some((Token::Relation(relation), _)) = self.peek().cloned() {
            self.next += 1;
            let right = self.unary()?;
            return Ok(binary(left, right, |l, r| AstKind::Compare(relation, l, r)));
        }
        if self.take(&Token::In) {
            let (items, end) = self.list()?;
            return Ok(Ast { span: left.span.start..end, kind: AstKind::In(Box::new(left), items) });
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<Ast, ExprError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ExprError::new(self.here(), format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let start = self.here();
        let ast = if self.take(&Token::Not) {
            let inner = self.unary()?;
            Ast { span: start..inner.span.end, kind: AstKind::Not(Box::new(inner)) }
        } else {
            self.primary()?
        };
        self.depth -= 1;
        Ok(ast)
    }

    fn primary(&mut self) -> Result<Ast, ExprError> {
        let Some((token, span)) = self.peek().cloned() else {
            return Err(ExprError::new(self.end, "the expression ends where a value was expected"));
        };
        self.next += 1;
        match token {
            Token::Name(name) if self.take(&Token::Open) => self.call(&name, span),
            Token::Name(name) => Ok(Ast { span, kind: AstKind::Name(name) }),
            Token::Literal(literal) => Ok(Ast { span, kind: AstKind::Literal(literal) }),
            Token::Open => {
                let inner = self.or()?;
                self.expect(&Token::Close, "`)`")?;
                Ok(inner)
            }
            _ => Err(unexpected(&(token, span))),
        }
    }

    /// What stands behind `name(`.
    fn call(&mut self, name: &str, span: Range<usize>) -> Result<Ast, ExprError> {
        let tested = name.rsplit_once('.').and_then(|(receiver, called)| {
            let test = TextTest::ALL.into_iter().find(|(known, _)| *known == called)?.1;
            Some((receiver, test))
        });
        let Some((receiver, test)) = tested else {
            return Err(no_such_function(name, span));
        };
        if self.peek().is_some_and(|(token, _)| *token == Token::Close) {
            return Err(ExprError::new(self.here(), "a text is missing between the parentheses"));
        }
        let argument = self.primary()?;
        let end = self.expect(&Token::Close, "`)`")?;
        let at_receiver = span.start..span.start + receiver.len();
        let receiver = Ast { span: at_receiver, kind: AstKind::Name(receiver.to_owned()) };
        Ok(Ast { span: span.start..end, kind: AstKind::Test(test, Box::new(receiver), Box::new(argument)) })
    }

    fn list(&mut self) -> Result<(Vec<Ast>, usize), ExprError> {
        self.expect(&Token::OpenList, "a list `[…]` after `in`")?;
        let mut items = Vec::new();
        loop {
            items.push(self.primary()?);
            if !self.take(&Token::Comma) {
                let end = self.expect(&Token::CloseList, "`]`")?;
                return Ok((items, end));
            }
        }
    }

    fn peek(&self) -> Option<&Spanned> {
        self.tokens.get(self.next)
    }

    fn here(&self) -> usize {
        self.peek().map_or(self.end, |(_, span)| span.start)
    }

    fn take(&mut self, token: &Token) -> bool {
        let taken = self.peek().is_some_and(|(t, _)| t == token);
        self.next += usize::from(taken);
        taken
    }

    fn expect(&mut self, token: &Token, what: &str) -> Result<usize, ExprError> {
        if self.take(token) {
            return Ok(self.tokens[self.next - 1].1.end);
        }
        Err(ExprError::new(self.here(), format!("expected {what} here")))
    }
}

fn binary(left: Ast, right: Ast, kind: impl FnOnce(Box<Ast>, Box<Ast>) -> AstKind) -> Ast {
    Ast { span: left.span.start..right.span.end, kind: kind(Box::new(left), Box::new(right)) }
}

fn no_such_function(name: &str, span: Range<usize>) -> ExprError {
    let called = name.rsplit('.').next().unwrap_or(name);
    let known = TextTest::ALL.map(|(name, _)| name);
    let message = match name.contains('.').then(|| did_you_mean(called, known)) {
        Some(hint) if hint.contains("did you mean") => format!("unknown function `{called}`{hint}"),
        _ => NO_FUNCTIONS.to_owned(),
    };
    ExprError::new(span.end - called.len(), message)
}

const NO_FUNCTIONS: &str = "functions and macros are not part of policies, but for `startsWith`, `endsWith`, `contains` and \
                            `matches`, as in `key.app.startsWith(\"a\")`; use comparisons, `in`, `&&`, `||` and `!`";

fn unexpected((token, span): &Spanned) -> ExprError {
    let message = match token {
        Token::Open => NO_FUNCTIONS.to_owned(),
        Token::Name(name) => match name.as_str() {
            "and" | "AND" => format!("unexpected `{name}` here; write `&&`"),
            "or" | "OR" => format!("unexpected `{name}` here; write `||`"),
            "not" | "NOT" => format!("unexpected `{name}` here; write `!`"),
            _ => format!("unexpected `{name}` here"),
        },
        Token::Literal(_) => "unexpected value here; is a `&&` or `||` missing before it?".to_owned(),
        Token::Relation(_) => "comparisons cannot be chained; write two and join them by `&&`".to_owned(),
        Token::Close => "this `)` closes nothing; leave it out, or open a `(` before".to_owned(),
        _ => "unexpected symbol here".to_owned(),
    };
    ExprError::new(span.start, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(text: &str) -> String {
        fn show(ast: &Ast) -> String {
            match &ast.kind {
                AstKind::Or(a, b) => format!("({} | {})", show(a), show(b)),
                AstKind::And(a, b) => format!("({} & {})", show(a), show(b)),
                AstKind::Not(a) => format!("!{}", show(a)),
                AstKind::Compare(r, a, b) => format!("({} {r:?} {})", show(a), show(b)),
                AstKind::In(a, items) => format!("({} in {})", show(a), items.len()),
                AstKind::Test(test, a, b) => format!("{}.{test:?}({})", show(a), show(b)),
                AstKind::Name(name) => name.clone(),
                AstKind::Literal(literal) => format!("{literal:?}"),
            }
        }
        show(&parse(text).unwrap())
    }

    #[test]
    fn binds_as_cel_does_not_then_comparison_then_and_then_or() {
        assert_eq!(shape("a || b && !c == d"), "(a | (b & (!c Eq d)))");
        assert_eq!(shape("(a || b) && c"), "((a | b) & c)");
        assert_eq!(shape("key.app in ['x', \"y\"] || n >= 0.5"), "((key.app in 2) | (n Ge Number(0.5)))");
        assert_eq!(shape(r#"!key.app.matches(r"^\d+")"#), r#"!key.app.Matches(Text("^\\d+"))"#);
        assert_eq!(shape("budget.team-month >= 1.00"), "(budget.team-month Ge Number(1.0))");
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        for (text, at, message) in [
            ("a = b", 2, "`=` is not a comparison; write `==`"),
            ("a &&", 4, "the expression ends where a value was expected"),
            ("a + b", 2, "unexpected `+`; arithmetic is not part of policies"),
            ("a and b", 2, "unexpected `and` here; write `&&`"),
            ("1 < n < 5", 6, "comparisons cannot be chained; write two and join them by `&&`"),
            ("n > 8k", 4, "`8k` is not a number; write it out in digits"),
            ("(a))", 3, "this `)` closes nothing; leave it out, or open a `(` before"),
            ("has(a)", 0, NO_FUNCTIONS),
            ("a.filter(x, true)", 2, NO_FUNCTIONS),
            ("a.startswith('x')", 2, "unknown function `startswith`; did you mean `startsWith`?"),
            ("a.contains('x', 'y')", 14, "expected `)` here"),
            ("a.contains()", 11, "a text is missing between the parentheses"),
            ("a == 'x\\n'", 5, "escapes (`\\`) are not allowed in texts; a pattern is written raw: r\"\\d+\""),
            ("a.b. == 'x'", 0, "`a.b.` is not a name"),
            ("a >= 1.", 5, "`1.` is not a number; arithmetic is not part of policies"),
            ("a >= 99999999999999999999", 5, "`99999999999999999999` is too large a number"),
            ("a == 'x", 5, "the text that starts here has no closing `'`"),
            ("a in b", 5, "expected a list `[…]` after `in` here"),
            ("(a", 2, "expected `)` here"),
            ("", 0, "the expression ends where a value was expected"),
        ] {
            assert_eq!(parse(text), Err(ExprError::new(at, message)), "{text}");
        }
    }

    #[test]
    fn bounds_nesting_and_length() {
        assert!(parse(&format!("{}a", "!".repeat(100))).unwrap_err().message.contains("nested deeper"));
        assert!(parse(&format!("{}a{}", "(".repeat(100), ")".repeat(100))).is_err());
        assert!(parse(&"a || ".repeat(2000)).unwrap_err().message.contains("longer than"));
    }
}
