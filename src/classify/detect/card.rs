//! Payment card numbers.

use std::ops::Range;

use super::{Cluster, Hit};

/// The card numbers among the digits: 13 to 19 of them, in an issuer's range, with a valid check digit.
pub fn card(text: &[u8], cluster: &Cluster) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut first = 0;
    while first < cluster.groups.len() {
        match card_from(text, cluster, first) {
            Some(last) => {
                hits.push(Hit::new("card", cluster.groups[first].start..cluster.groups[last].end));
                first = last + 1;
            }
            None => first += 1,
        }
    }
    hits
}

/// The index of the last group of a card number that begins with group `first`.
fn card_from(text: &[u8], cluster: &Cluster, first: usize) -> Option<usize> {
    let mut digits = 0;
    for last in first..cluster.groups.len() {
        digits += cluster.groups[last].len();
        match digits {
            ..13 => {}
            13..=19 => {
                if is_card(text, cluster, first..last + 1) {
                    return Some(last);
                }
            }
            _ => return None,
        }
    }
    None
}

fn is_card(text: &[u8], cluster: &Cluster, range: Range<usize>) -> bool {
    let groups = &cluster.groups[range.clone()];
    let whole = range.len() == cluster.groups.len();
    // Lists of small numbers would pass the check digit by chance one time in ten.
    let regular = groups.len() <= 6 && groups.iter().rev().skip(1).all(|g| g.len() >= 3);
    (whole || regular) && {
        let digits = Cluster::digits(text, groups);
        is_issued(&digits) && luhn(&digits) && !varies_little(&digits) && stands_alone(text, groups)
    }
}

/// Whether the digits begin as an issuer's numbers do, with the length that issuer uses.
///
/// Ranges as published by the networks (ISO/IEC 7812-1 issuer identification numbers).
fn is_issued(digits: &[u8]) -> bool {
    let prefix = |n: usize| digits[..n].iter().fold(0_u32, |value, d| value * 10 + u32::from(d - b'0'));
    let length = digits.len();
    match prefix(2) {
        40..=49 => matches!(length, 13 | 16 | 19),
        51..=55 | 22..=27 if length == 16 => matches!(prefix(4), 2200..=2204 | 2221..=2720 | 5100..=5599),
        34 | 37 => length == 15,
        60 | 64 | 65 | 81 | 82 => length >= 16,
        62 => length >= 16,
        35 => length >= 16 && matches!(prefix(4), 3528..=3589),
        30 | 36 | 38 | 39 => length >= 14,
        50 | 56..=58 | 63 | 67 => true,
        97 => length == 16 && prefix(4) == 9792,
        _ => false,
    }
}

/// The Luhn check digit (ISO/IEC 7812-1, annex B).
fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let value = u32::from(digit - b'0') << (i % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Rows of one or two digits, such as a rule made of zeros after a 4.
fn varies_little(digits: &[u8]) -> bool {
    (b'0'..=b'9').filter(|d| digits.contains(d)).count() < 2 || digits[6..].iter().all(|d| *d == b'0')
}

/// Not the fraction of a decimal number, and not a stretch of a longer hexadecimal string.
fn stands_alone(text: &[u8], groups: &[Range<usize>]) -> bool {
    let (start, end) = (groups[0].start, groups[groups.len() - 1].end);
    let fraction = groups.len() == 1 && start >= 2 && text[start - 1] == b'.' && text[start - 2].is_ascii_digit();
    let hex = |at: Option<usize>| at.and_then(|i| text.get(i)).is_some_and(|b| b.is_ascii_hexdigit());
    !fraction && !hex(start.checked_sub(1)) && !hex(Some(end))
}
