//! US social security numbers.

use super::{Cluster, Hit, Labels, mentions, word_at, word_before};

/// How sure a number is of being one.
#[derive(Debug, PartialEq, Eq)]
pub enum Ssn {
    /// In the written form, or beside words that name it.
    Certain(Hit),
    /// Nine plain digits that are all of their text: it depends on whether the request speaks of such numbers.
    InContext(Hit),
}

const CONTEXT: [&str; 11] = [
    "ssn", "ssns", "social security", "social-security", "social_security", "socialsecurity", "soc sec", "taxpayer",
    "tax id", "itin", "tin",
];

/// Finds words that speak of social security numbers.
pub fn ssn_context() -> Labels {
    Labels::new(&CONTEXT)
}

/// The social security numbers among the digits.
pub fn ssn(text: &[u8], cluster: &Cluster) -> Vec<Ssn> {
    let written = cluster.groups.windows(3).filter_map(|groups| {
        let span = groups[0].start..groups[2].end;
        let separators = [text[groups[0].end], text[groups[1].end]];
        let lengths = [groups[0].len(), groups[1].len(), groups[2].len()];
        let tight = groups[0].end + 1 == groups[1].start && groups[1].end + 1 == groups[2].start;
        let same = separators[0] == separators[1] && matches!(separators[0], b'-' | b' ' | b'.' | b'_');
        // Spaces and dots also separate list items and decimals: then the three groups must be all there is.
        let alone = separators[0] == b'-' || cluster.groups.len() == 3;
        let fits = lengths == [3, 2, 4] && tight && same && alone;
        (fits && is_issued(&Cluster::digits(text, groups)) && bounded(text, &span)).then(|| Ssn::Certain(Hit::new("us_ssn", span)))
    });
    let plain = cluster.groups.iter().filter_map(|group| plain_ssn(text, cluster, group.clone()));
    written.chain(plain).collect()
}

fn plain_ssn(text: &[u8], cluster: &Cluster, span: std::ops::Range<usize>) -> Option<Ssn> {
    let fits = span.len() == 9 && cluster.groups.len() == 1 && is_issued(&text[span.clone()]) && bounded(text, &span);
    if !fits {
        return None;
    }
    let near = text[span.start.saturating_sub(64)..span.start].iter();
    if mentions(near.as_slice(), &CONTEXT) || mentions(&text[span.end..text.len().min(span.end + 32)], &CONTEXT) {
        return Some(Ssn::Certain(Hit::new("us_ssn", span)));
    }
    let all = text.trim_ascii().len() == span.len();
    all.then(|| Ssn::InContext(Hit::new("us_ssn", span)))
}

/// Not part of a longer word or number.
fn bounded(text: &[u8], span: &std::ops::Range<usize>) -> bool {
    !word_before(text, span.start) && !word_at(text, span.end)
}

/// Area, group and serial as issued since 2011 ("SSN randomization", SSA): no 000, 666 or 9xx, no 00, no 0000.
fn is_issued(digits: &[u8]) -> bool {
    let (area, group, serial) = (&digits[..3], &digits[3..5], &digits[5..]);
    area != b"000" && area != b"666" && area[0] != b'9' && group != b"00" && serial != b"0000"
}
