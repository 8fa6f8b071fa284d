//! Text to tokens.

use std::ops::Range;

use super::parse::{ExprError, Literal, Relation};

/// Larger whole numbers are not exact as floating point, and CEL would compare them otherwise.
const MAX_WHOLE: f64 = 9_007_199_254_740_992.0;

/// What an expression is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Literal(Literal),
    Relation(Relation),
    In,
    Or,
    And,
    Not,
    Open,
    Close,
    OpenList,
    CloseList,
    Comma,
}

/// A token and its byte range.
pub(super) type Spanned = (Token, Range<usize>);

pub(super) fn lex(text: &str) -> Result<Vec<Spanned>, ExprError> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at].is_ascii_whitespace() {
            at += 1;
            continue;
        }
        let (token, end) = token(text, at)?;
        tokens.push((token, at..end));
        at = end;
    }
    Ok(tokens)
}

fn token(text: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let rest = &text[at..];
    const SYMBOLS: [(&str, Token); 14] = [
        ("||", Token::Or),
        ("&&", Token::And),
        ("==", Token::Relation(Relation::Eq)),
        ("!=", Token::Relation(Relation::Ne)),
        ("<=", Token::Relation(Relation::Le)),
        (">=", Token::Relation(Relation::Ge)),
        ("<", Token::Relation(Relation::Lt)),
        (">", Token::Relation(Relation::Gt)),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
        ("[", Token::OpenList),
        ("]", Token::CloseList),
        (",", Token::Comma),
    ];
    if rest.starts_with('=') && !rest.starts_with("==") {
        return Err(ExprError::new(at, "`=` is not a comparison; write `==`"));
    }
    if let Some((symbol, token)) = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol)) {
        return Ok((token.clone(), at + symbol.len()));
    }
    match rest.as_bytes()[0] {
        b'"' | b'\'' => string(text, at, false),
        b'r' if rest[1..].starts_with(['"', '\'']) => string(text, at + 1, true),
        b'0'..=b'9' | b'-' => number(text, at),
        b'a'..=b'z' | b'A'..=b'Z' | b'_' => word(text, at),
        _ => {
            let c = rest.chars().next().unwrap_or(' ');
            Err(ExprError::new(at, format!("unexpected `{c}`{}", instead_of(c))))
        }
    }
}

/// What to write where other languages have `c`.
fn instead_of(c: char) -> &'static str {
    match c {
        '&' => "; write `&&`",
        '|' => "; write `||`",
        '“' | '”' | '„' | '‘' | '’' | '«' | '»' => "; write straight quotes",
        '+' | '*' | '/' | '%' => "; arithmetic is not part of policies",
        _ => "",
    }
}

/// `"…"` or `'…'` with its quotes at `at`; a raw one, as in `r"\d+"`, may hold backslashes.
fn string(text: &str, at: usize, raw: bool) -> Result<(Token, usize), ExprError> {
    let quote = text.as_bytes()[at] as char;
    let body = &text[at + 1..];
    let Some(len) = body.find(quote) else {
        return Err(ExprError::new(at, format!("the text that starts here has no closing `{quote}`")));
    };
    let content = &body[..len];
    if content.contains(['\n', '\r']) {
        return Err(ExprError::new(at, "a text ends on the line where it starts"));
    }
    if content.contains('\\') && !raw {
        return Err(ExprError::new(at, "escapes (`\\`) are not allowed in texts; a pattern is written raw: r\"\\d+\""));
    }
    Ok((Token::Literal(Literal::Text(content.to_owned())), at + len + 2))
}

fn number(text: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let len = text[at + 1..].find(|c: char| !c.is_ascii_digit() && c != '.').map_or(text.len() - at, |n| n + 1);
    let digits = &text[at..at + len];
    let unit = text[at + len..].find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len() - at - len);
    if unit > 0 {
        let found = &text[at..at + len + unit];
        return Err(ExprError::new(at, format!("`{found}` is not a number; write it out in digits")));
    }
    match digits.parse::<f64>() {
        Ok(number) if number.abs() <= MAX_WHOLE && !digits.ends_with('.') && !digits.starts_with("-.") => {
            Ok((Token::Literal(Literal::Number(number)), at + len))
        }
        Ok(number) if number.abs() > MAX_WHOLE => Err(ExprError::new(at, format!("`{digits}` is too large a number"))),
        _ => Err(ExprError::new(at, format!("`{digits}` is not a number; arithmetic is not part of policies"))),
    }
}

fn word(text: &str, at: usize) -> Result<(Token, usize), ExprError> {
    let end = text[at..]
        .find(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '-'))
        .map_or(text.len(), |n| at + n);
    let token = match &text[at..end] {
        "true" => Token::Literal(Literal::Bool(true)),
        "false" => Token::Literal(Literal::Bool(false)),
        "in" => Token::In,
        name if name.split('.').all(is_segment) => Token::Name(name.to_owned()),
        other => return Err(ExprError::new(at, format!("`{other}` is not a name"))),
    };
    Ok((token, end))
}

/// Whether `text` may stand between the dots of a name.
pub fn is_segment(text: &str) -> bool {
    let letters = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    letters && text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !KEYWORDS.contains(&text)
}

/// Words that CEL reads as something else than a name.
const KEYWORDS: [&str; 4] = ["in", "true", "false", "null"];
