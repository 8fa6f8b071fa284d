//! US social security numbers.

use std::ops::Range;

use super::{Candidate, Cluster, Hit, is_named, word_at, word_before};

/// Words that name it.
pub const SSN_WORDS: [&str; 11] = [
    "ssn",
    "ssns",
    "social security",
    "social-security",
    "social_security",
    "socialsecurity",
    "soc sec",
    "taxpayer",
    "tax id",
    "itin",
    "tin",
];

/// The social security numbers among the digits.
pub fn ssn(text: &[u8], cluster: &Cluster) -> Vec<Candidate> {
    let written = cluster.groups.windows(3).filter_map(|groups| written_ssn(text, cluster, groups));
    let plain = cluster.groups.iter().filter_map(|group| plain_ssn(text, group.clone()));
    written.chain(plain).collect()
}

/// `536-22-8714`.
fn written_ssn(text: &[u8], cluster: &Cluster, groups: &[Range<usize>]) -> Option<Candidate> {
    let [area, group, serial] = groups else { return None };
    let span = area.start..serial.end;
    let separator = text[area.end];
    let tight = area.end + 1 == group.start && group.end + 1 == serial.start;
    let same = separator == text[group.end] && matches!(separator, b'-' | b' ' | b'.' | b'_');
    let shaped = [area.len(), group.len(), serial.len()] == [3, 2, 4] && tight && same;
    // Spaces and dots also separate list items and decimals: then the three groups must be all there is, or be named.
    let sure = || separator == b'-' || cluster.groups.len() == 3 || is_named(text, &span, &SSN_WORDS);
    let fits = shaped && is_issued(&Cluster::digits(text, groups)) && is_bounded(text, &span) && sure();
    fits.then(|| Candidate::Certain(Hit::new("us_ssn", span)))
}

/// `536228714`.
fn plain_ssn(text: &[u8], span: Range<usize>) -> Option<Candidate> {
    if span.len() != 9 || !is_issued(&text[span.clone()]) || !is_bounded(text, &span) {
        return None;
    }
    let is_all = text.trim_ascii().len() == span.len();
    let hit = Hit::new("us_ssn", span.clone());
    if is_named(text, &span, &SSN_WORDS) {
        Some(Candidate::Certain(hit))
    } else {
        is_all.then_some(Candidate::InContext(hit))
    }
}

/// Not part of a longer word or number.
fn is_bounded(text: &[u8], span: &Range<usize>) -> bool {
    !word_before(text, span.start) && !word_at(text, span.end)
}

/// Area, group and serial as issued since 2011 ("SSN randomization", SSA): no 000, 666 or 9xx, no 00, no 0000.
fn is_issued(digits: &[u8]) -> bool {
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}
