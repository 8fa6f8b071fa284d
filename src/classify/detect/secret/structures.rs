//! Secrets that their form gives away: key blocks, web tokens, credentials in URLs and headers.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::super::{Hit, word_before};
use super::assigned::is_reference;
use super::random::{is_placeholder, looks_random};
use super::vendors::Alphabet;

/// A PEM block (RFC 7468) of a private key, with at least one line of content. The end line may be missing.
pub fn private_key(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let label_end = find(text, anchor.end, 100, b"-----")?;
    if !text[anchor.end..label_end].windows(11).any(|w| w == b"PRIVATE KEY") {
        return None;
    }
    let body = label_end + 5;
    // The content has no row of dashes, so the next one is the end line, if there is one.
    let dashes = find(text, body, 16 << 10, b"-----");
    let closing = dashes.filter(|at| text[*at..].starts_with(b"-----END "));
    let end = closing.and_then(|at| find(text, at + 9, 40, b"-----")).map(|at| at + 5);
    let window = &text[body..text.len().min(dashes.unwrap_or(body + 64)).min(body + 64)];
    let content = window.iter().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')).count();
    let end = end.unwrap_or(body + window.len());
    // The whole block may be on one line, its line breaks written as `\n`.
    (content >= 24).then(|| Hit::new("private_key", anchor.start..end))
}

fn find(text: &[u8], from: usize, reach: usize, what: &[u8]) -> Option<usize> {
    let window = &text[from..text.len().min(from + reach + what.len())];
    window.windows(what.len()).position(|w| w == what).map(|at| from + at)
}

/// A JSON web token (RFC 7519, compact form): the header decodes to an object that names an algorithm.
pub fn jwt(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let start = anchor.start;
    if word_before(text, start) || !text[start..].starts_with(b"eyJ") {
        return None;
    }
    let length = text[start..].iter().take(16 << 10).take_while(|b| Alphabet::Dotted.has(**b)).count();
    let token = &text[start..start + length];
    let mut pieces = token.split(|b| *b == b'.');
    let (header, claims) = (pieces.next()?, pieces.next()?);
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let names_algorithm = header.starts_with(b"{") && header.windows(5).any(|w| w == b"\"alg\"");
    (names_algorithm && claims.len() >= 8).then(|| Hit::new("jwt", start..start + length))
}

/// What has the form of a web token whose header cannot be read, because it was cut, altered or encoded in another way:
/// the anchor is `.ey`, where the second piece begins.
pub fn jwt_form(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    const SHORTEST: usize = 19;
    let in_piece = |b: &&u8| Alphabet::Url.has(**b) || matches!(b, b'/' | b'\\');
    let header = text[..anchor.start].iter().rev().take(1 << 10).take_while(in_piece).count();
    let claims = text[anchor.start + 1..].iter().take(16 << 10).take_while(in_piece).count();
    let start = anchor.start - header;
    if header < SHORTEST || claims < SHORTEST || !text[start..].starts_with(b"ey") {
        return None;
    }
    let rest = &text[anchor.start + 1 + claims..];
    let length = rest.iter().take(1 << 10).take_while(|b| in_piece(b) || matches!(b, b'.' | b'=')).count();
    let token = start..anchor.start + 1 + claims + length;
    (length > 0 && looks_random(&text[token.clone()], true)).then(|| Hit::new("jwt", token))
}

/// `scheme://user:password@host`; the anchor is the colon and the slashes.
pub fn url_password(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let start = anchor.end;
    let ends = |b: &&u8| !b.is_ascii_whitespace() && !matches!(b, b'/' | b'"' | b'\'' | b'<' | b'>' | b'`');
    let authority = &text[start..start + text[start..].iter().take(320).take_while(ends).count()];
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let colon = authority[..at].iter().position(|b| *b == b':')?;
    let password = &authority[colon + 1..at];
    let stands_for = [&b"password"[..], b"pass", b"passwd", b"pwd", b"pw", b"secret"].contains(&password);
    let hosted = authority.get(at + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[');
    let real = !password.is_empty() && !stands_for && !is_placeholder(password) && hosted;
    real.then(|| Hit::new("url_password", start + colon + 1..start + at))
}

/// A Telegram bot's token: the bot's number, a colon, `AA` and 33 characters.
pub fn telegram_token(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let colon = anchor.start;
    let digits = text[..colon].iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
    let length = text[colon + 1..].iter().take(36).take_while(|b| Alphabet::Url.has(**b)).count();
    let start = colon - digits;
    let fits =
        text[colon..].starts_with(b":AA") && (8..=10).contains(&digits) && length == 35 && !word_before(text, start);
    (fits && looks_random(&text[colon + 1..colon + 1 + length], true))
        .then(|| Hit::new("telegram_token", start..colon + 1 + length))
}

/// The credentials after the scheme of an `Authorization` header (RFC 7235), also where the header's name is missing.
pub fn authorization(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let blanks = text[anchor.end..].iter().take(4).take_while(|b| matches!(b, b' ' | b'\t')).count();
    if word_before(text, anchor.start) || blanks == 0 {
        return None;
    }
    let start = anchor.end + blanks;
    let in_alphabet = |b: &&u8| Alphabet::Base64.has(**b) || **b == b'~';
    let length = text[start..].iter().take(4096).take_while(in_alphabet).count();
    let value = &text[start..start + length];
    let basic = text[anchor.start..anchor.end].eq_ignore_ascii_case(b"basic");
    let secret = if basic {
        length >= 8 && STANDARD.decode(value).is_ok_and(|pair| pair.contains(&b':') && pair.is_ascii())
    } else {
        length >= 20 && looks_random(value, true)
    };
    secret.then(|| Hit::new("authorization", start..start + length))
}

/// The credentials in an `Authorization` header of any scheme: `Authorization: Token …`.
pub fn authorization_header(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let skip = |from: usize, of: &[u8]| from + text[from..].iter().take(8).take_while(|b| of.contains(b)).count();
    let sign = skip(anchor.end, b" \t\"'`]");
    let value = skip(sign, b":=, \t\"'`");
    if word_before(text, anchor.start) || !text[sign..value].iter().any(|b| matches!(b, b':' | b'=' | b',')) {
        return None;
    }
    let scheme = text[value..].iter().take(24).take_while(|b| b.is_ascii_alphabetic() || **b == b'-').count();
    let blanks = text[value + scheme..].iter().take(8).take_while(|b| matches!(b, b' ' | b'\t')).count();
    let start = if scheme > 0 && blanks > 0 { value + scheme + blanks } else { value };
    let ends = |b: &&u8| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'`' | b',' | b'<' | b'>');
    let length = text[start..].iter().take(4096).take_while(ends).count();
    let credentials = &text[start..start + length];
    let secret = length >= 16 && looks_random(credentials, true) && !is_reference(credentials);
    secret.then(|| Hit::new("authorization", start..start + length))
}
