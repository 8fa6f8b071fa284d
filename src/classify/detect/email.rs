//! E-mail addresses.

use super::Hit;

/// Longest local part and domain (RFC 5321, 4.5.3.1); bytes.
const MAX_LOCAL: usize = 64;
const MAX_DOMAIN: usize = 255;

/// What follows the last dot of file names such as `icon@2x.png`.
const NOT_DOMAINS: [&str; 10] = ["png", "jpg", "jpeg", "gif", "svg", "webp", "js", "ts", "css", "json"];

/// The address around the `@` at `at`.
pub fn email_around(text: &[u8], at: usize) -> Option<Hit> {
    let start = local_start(text, at)?;
    let end = domain_end(text, at + 1)?;
    let local = &text[start..at];
    // `git@host:path` is a repository, not a person.
    let repository = local.eq_ignore_ascii_case(b"git");
    (!repository).then(|| Hit::new("email", start..end))
}

fn local_start(text: &[u8], at: usize) -> Option<usize> {
    // Letters outside ASCII count only right before the sign, so that prose without spaces is not taken along.
    let wide = at > 0 && !text[at - 1].is_ascii();
    let belongs = |b: &u8| b.is_ascii_alphanumeric() || b"._%+-'".contains(b) || wide && !b.is_ascii();
    let length = text[..at].iter().rev().take(MAX_LOCAL).take_while(|b| belongs(b)).count();
    let start = (at - length..at).find(|i| !b"._-+'%".contains(&text[*i]))?;
    Some(first_boundary(text, start))
}

/// Steps over the rest of a character that the limit cut.
fn first_boundary(text: &[u8], start: usize) -> usize {
    (start..text.len()).find(|i| text[*i] & 0xC0 != 0x80).unwrap_or(text.len())
}

fn domain_end(text: &[u8], start: usize) -> Option<usize> {
    let belongs = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-');
    let length = text[start..].iter().take(MAX_DOMAIN).take_while(|b| belongs(b) || !b.is_ascii()).count();
    let domain = std::str::from_utf8(&text[start..start + length]).ok()?;
    let domain = domain.trim_end_matches(['.', '-']);
    let (host, top) = domain.rsplit_once('.')?;
    // Prose may follow without a space: what counts is the ASCII that the last label begins with.
    let ascii = top.bytes().take_while(u8::is_ascii_alphabetic).count();
    let label = if ascii == 0 && !top.is_empty() && !top.is_ascii() { top.len() } else { ascii };
    let rest_is_prose = top.as_bytes().get(label).is_none_or(|b| !b.is_ascii());
    let plausible = (2..=24).contains(&label) || label > 0 && !top.is_ascii();
    let hosted = !host.is_empty() && host.split('.').all(|label| !label.is_empty());
    let file = NOT_DOMAINS.iter().any(|name| top.eq_ignore_ascii_case(name));
    (plausible && rest_is_prose && hosted && !file).then(|| start + host.len() + 1 + label)
}
