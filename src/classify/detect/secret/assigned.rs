//! Values that look random, or like a password, beside a name that says they are secret.

use std::ops::Range;

use super::super::Hit;
use super::names::Name;
use super::random::{entropy, is_placeholder};
use super::vendors::Alphabet;

/// The secret that the name at `anchor` announces.
pub fn assigned(text: &[u8], name: Name, anchor: Range<usize>) -> Option<Hit> {
    let (named, named_end) = (identifier_start(text, anchor.start), identifier_end(text, anchor.end));
    if is_public(&text[named..named_end]) {
        return None;
    }
    let is_flag = text[named..].starts_with(b"--") && text.get(named_end) == Some(&b' ');
    let Value { span, assigned, quoted } = value_after(text, named_end, is_flag)?;
    let value = &text[span.clone()];
    let secret = match name {
        Name::Password => is_password(value, quoted, assigned),
        Name::Key | Name::Service => is_key(value, name, quoted),
    };
    let entity = if name == Name::Password { "password" } else { "secret_value" };
    (secret && !is_placeholder(value) && !is_reference(value)).then(|| Hit::new(entity, span))
}

/// Longest identifier around a name; bytes.
const MAX_IDENTIFIER: usize = 40;

fn in_identifier(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn identifier_start(text: &[u8], at: usize) -> usize {
    at - text[..at].iter().rev().take(MAX_IDENTIFIER).take_while(|b| in_identifier(b)).count()
}

fn identifier_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take(MAX_IDENTIFIER).take_while(|b| in_identifier(b) && **b != b'-').count()
}

/// A name that says the value is not the secret itself.
fn is_public(identifier: &[u8]) -> bool {
    const ENDINGS: [&str; 26] = [
        "id", "ids", "name", "names", "url", "uri", "path", "file", "dir", "length", "len", "size", "type", "version",
        "hash", "count", "limit", "audience", "issuer", "expiry", "expires", "field", "label", "tokens", "policy",
        "ref",
    ];
    const WITHIN: [&str; 5] = ["public", "csrf", "xsrf", "max_token", "accessor"];
    let lower = identifier.to_ascii_lowercase();
    ENDINGS.iter().any(|e| lower.ends_with(e.as_bytes()))
        || WITHIN.iter().any(|word| lower.windows(word.len()).any(|w| w == word.as_bytes()))
}

/// A value beside a name.
struct Value {
    span: Range<usize>,
    /// By a sign or a flag of a command rather than by the word "is".
    assigned: bool,
    /// Between two quotation marks of one kind.
    quoted: bool,
}

/// Most blanks on either side of a sign where the value is not quoted, and where it is: tables align their columns.
const NEAR: usize = 5;
const FAR: usize = 256;

/// The value that is assigned after a name, which may be a flag: `--token VALUE`.
fn value_after(text: &[u8], name_end: usize, is_flag: bool) -> Option<Value> {
    let skip = |from: usize, most: usize, of: &[u8]| {
        from + text[from..].iter().take(most).take_while(|b| of.contains(b)).count()
    };
    let sign = skip(name_end, FAR, b" \t\n\"'`])");
    let sign_end = skip(sign, 5, b"=>:,|?");
    let assigned = sign_end > sign;
    let start = if assigned {
        skip(sign_end, FAR, b" \t\n\"'`=")
    } else if is_flag {
        sign
    } else {
        let is =
            text[sign..].strip_prefix(b"is").filter(|rest| rest.first().is_some_and(|b| matches!(b, b' ' | b':')))?;
        skip(text.len() - is.len(), 4, b" :\"'`")
    };
    let quote = start.checked_sub(1).map(|at| text[at]).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let ends = |b: &&u8| match quote {
        Some(quote) => **b != quote && !b.is_ascii_whitespace(),
        None => !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>'),
    };
    let length = text[start..].iter().take(256).take_while(ends).count();
    let quoted = quote.is_some() && quote == text.get(start + length).copied();
    let near = sign - name_end <= NEAR && start - sign_end.min(start) <= NEAR;
    let span = start..start + trim_sentence(&text[start..start + length], quote.is_some());
    (length > 0 && (near || quoted)).then_some(Value { span, assigned: assigned || is_flag, quoted })
}

/// The length without the full stop or bracket that ends a sentence.
fn trim_sentence(value: &[u8], quoted: bool) -> usize {
    let ends = |b: &u8| matches!(b, b'.' | b')' | b']' | b'}' | b':' | b'?');
    if quoted { value.len() } else { value.iter().rposition(|b| !ends(b)).map_or(0, |last| last + 1) }
}

/// A password: quoted, or with letters and figures or signs mixed.
pub fn is_password(value: &[u8], quoted: bool, assigned: bool) -> bool {
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let signs = has(|b| matches!(b, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'+' | b'?' | b'~'));
    let word = value.to_ascii_lowercase();
    let says_itself =
        ["pass", "pwd", "secret", "string", "required", "invalid", "missing", "null", "none", "false", "true"]
            .iter()
            .any(|w| word.windows(w.len()).any(|x| x == w.as_bytes()));
    let literal = quoted && assigned && value.len() >= 8;
    (6..=128).contains(&value.len())
        && entropy(value) >= 2.0
        && (mixed(value) || signs && has(u8::is_ascii_alphabetic) || literal && !says_itself)
}

/// A key: long, of key characters, letters and figures mixed, random.
fn is_key(value: &[u8], name: Name, quoted: bool) -> bool {
    let (min, bits) = if name == Name::Service { (15, 3.0) } else { (16, 3.2) };
    let clean = value.iter().all(|b| Alphabet::Base64.has(*b) || matches!(b, b'~' | b':' | b'$' | b'!' | b'%'));
    // Between quotation marks any sign may be part of it, but then it must look very random.
    let bits = if clean { bits } else { 4.0 };
    value.len() >= min
        && (clean || quoted && value.iter().all(u8::is_ascii_graphic))
        && mixed(value)
        && entropy(value) >= bits
        && !is_resource_name(value)
}

fn mixed(value: &[u8]) -> bool {
    value.iter().any(u8::is_ascii_alphabetic) && value.iter().any(u8::is_ascii_digit)
}

/// Words and numbers in a row, such as `app-prod-1208358310`: no piece of any length mixes letters and figures.
fn is_resource_name(value: &[u8]) -> bool {
    let pieces = || value.split(|b| matches!(b, b'-' | b'.'));
    let uuid = pieces().map(<[u8]>::len).eq([8, 4, 4, 4, 12]);
    pieces().count() > 1 && !uuid && !pieces().any(|piece| piece.len() >= 8 && mixed(piece))
}

/// Program text or a place rather than a value: calls, members, paths, URLs, files.
pub fn is_reference(value: &[u8]) -> bool {
    const FILES: [&str; 12] =
        [".pem", ".cer", ".crt", ".key", ".json", ".yaml", ".yml", ".txt", ".xml", ".properties", ".p12", ".js"];
    let contains = |what: &[u8]| value.windows(what.len()).any(|w| w == what);
    let dotted =
        value.split(|b| *b == b'.').all(|piece| piece.first().is_some_and(u8::is_ascii_alphabetic)) && contains(b".");
    let call = value.windows(2).any(|w| w[1] == b'(' && in_identifier(&w[0]))
        || value.starts_with(b"(")
        || contains(b"{")
        || contains(b"::");
    call || dotted && !value.iter().any(|b| b"!@#$%^&*".contains(b)) && value.len() < 40
        || contains(b"://")
        || value.starts_with(b"/")
        || value.starts_with(b"./")
        || FILES.iter().any(|end| value.ends_with(end.as_bytes()))
}
