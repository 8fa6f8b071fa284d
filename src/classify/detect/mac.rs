//! Hardware addresses of network cards.

use super::{Hit, word_at, word_before};

const LENGTH: usize = 17;

/// The address of which the separator at `at` is the first: `00:1a:2b:3c:4d:5e`, `00-1A-2B-3C-4D-5E`.
pub fn mac_at(text: &[u8], at: usize) -> Option<Hit> {
    let start = at.checked_sub(2)?;
    let written = text.get(start..start + LENGTH)?;
    let separator = text[at];
    let shaped = written
        .chunks(3)
        .all(|pair| pair[..2].iter().all(u8::is_ascii_hexdigit) && pair.get(2).is_none_or(|b| *b == separator));
    let end = start + LENGTH;
    let goes_on = text.get(end) == Some(&separator) || start > 0 && text[start - 1] == separator;
    let nobodys = written.iter().all(|b| *b == separator || *b == b'0')
        || written.iter().all(|b| *b == separator || b.eq_ignore_ascii_case(&b'f'));
    (shaped && !goes_on && !nobodys && !word_before(text, start) && !word_at(text, end))
        .then(|| Hit::new("mac", start..end))
}

/// The address written with dashes in which a digit stands at `digit`.
pub fn mac_around(text: &[u8], digit: usize) -> Option<Hit> {
    let belongs = |b: &&u8| b.is_ascii_hexdigit() || **b == b'-';
    let start = digit - text[..digit].iter().rev().take(LENGTH).take_while(belongs).count();
    mac_at(text, start + 2).filter(|_| text[start + 2] == b'-')
}
