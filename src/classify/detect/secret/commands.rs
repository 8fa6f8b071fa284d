//! Passwords on command lines, where a short option announces them.

use std::ops::Range;

use super::super::{Hit, word_before};
use super::assigned::{is_password, is_reference};
use super::random::is_placeholder;

/// How far the options of a command are looked at; bytes.
const REACH: usize = 256;

/// `curl -u user:password`.
pub fn curl_user(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let value = option(text, &anchor, &[b" -u", b" --user", b" --proxy-user"])?;
    let colon = text[value.clone()].iter().position(|b| *b == b':')?;
    password(text, value.start + colon + 1..value.end)
}

/// `mysql -pPASSWORD`, also of the tools beside it.
pub fn mysql_password(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let value = option(text, &anchor, &[b" -p"])?;
    // With a space after the option, the client asks for the password and the next word is a database.
    let joined = text[..value.start].ends_with(b"-p") || text[value.start - 1].is_ascii_punctuation();
    password(text, value).filter(|_| joined)
}

/// `sshpass -p PASSWORD`.
pub fn sshpass_password(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    password(text, option(text, &anchor, &[b" -p"])?)
}

/// `redis-cli -a PASSWORD`.
pub fn redis_password(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    password(text, option(text, &anchor, &[b" -a"])?)
}

/// The value of the first of the options on the command's line.
fn option(text: &[u8], command: &Range<usize>, options: &[&[u8]]) -> Option<Range<usize>> {
    if word_before(text, command.start) {
        return None;
    }
    // The anchor may end with the space before the first option.
    let start = command.end - 1;
    let line = text[start..].iter().take(REACH).take_while(|b| **b != b'\n').count();
    let line = start..start + line;
    let begins = |at: usize| options.iter().find(|option| text[at..line.end].starts_with(option)).map(|o| at + o.len());
    let end = line.clone().filter(|at| text[*at] == b' ').find_map(begins)?;
    let start =
        end + text[end..line.end].iter().take(2).take_while(|b| matches!(b, b' ' | b'=' | b'\'' | b'"')).count();
    let length = text[start..line.end].iter().take_while(|b| !b.is_ascii_whitespace() && !b"'\"".contains(b)).count();
    Some(start..start + length)
}

fn password(text: &[u8], span: Range<usize>) -> Option<Hit> {
    let value = &text[span.clone()];
    let real = is_password(value, false, true) && !is_placeholder(value) && !is_reference(value) && value[0] != b'$';
    real.then(|| Hit::new("password", span))
}
