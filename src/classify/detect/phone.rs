//! Telephone numbers: E.164 and the common national ways to write them. Plain integers, dates, versions and sums are
//! not taken for one unless a word beside them says so.

use super::{Cluster, Hit, mentioned_before, word_at, word_before};

/// Words beside which any seven digits are a telephone number.
const CONTEXT: [&str; 16] = [
    "phone",
    "telephone",
    "tel",
    "mobile",
    "cell",
    "cellphone",
    "fax",
    "whatsapp",
    "sms",
    "call me",
    "call us",
    "reach me",
    "text me",
    "telefon",
    "ring me",
    "contact number",
];

/// Words beside which grouped digits are one; single numbers follow them in program text, too.
const LOOSE_CONTEXT: [&str; 6] = ["call", "dial", "dialled", "dialed", "answering at", "reach us at"];

/// The telephone number that the digits are, if they are one.
pub fn phone(text: &[u8], cluster: &Cluster) -> Option<Hit> {
    let digits = cluster.digit_count();
    let span = cluster.span();
    if !(6..=17).contains(&digits) || is_bounded_badly(text, cluster) {
        return None;
    }
    if digits == 6 {
        return is_three_pairs(text, cluster).then(|| Hit::new("phone", span));
    }
    let plus = international_start(text, span.start);
    let written_as_one = cluster.groups.len() == 1;
    let found = plus.is_some() && (if written_as_one { 9..=15 } else { 8..=15 }).contains(&digits)
        || is_dialled_abroad(text, cluster)
        || is_north_american(text, cluster)
        || is_trunk(text, cluster)
        || has_area_code(text, cluster)
        || is_named(text, cluster)
        || is_labelled(text, cluster);
    found.then(|| Hit::new("phone", plus.unwrap_or(opening(text, span.start))..span.end))
}

/// The `+` before the digits, where no word or number runs into it.
fn international_start(text: &[u8], start: usize) -> Option<usize> {
    let open = opening(text, start);
    let plus = open.checked_sub(1).filter(|at| text[*at] == b'+')?;
    (!word_before(text, plus) && !matches!(text.get(plus.wrapping_sub(1)), Some(b')' | b'+' | b'='))).then_some(plus)
}

/// Before an opening parenthesis, if one stands right before the digits.
fn opening(text: &[u8], start: usize) -> usize {
    if start > 0 && text[start - 1] == b'(' { start - 1 } else { start }
}

/// Runs into a word (an extension `x123` aside), a decimal point or a sum.
fn is_bounded_badly(text: &[u8], cluster: &Cluster) -> bool {
    let span = cluster.span();
    let extension = text.get(span.end) == Some(&b'x') && text.get(span.end + 1).is_some_and(u8::is_ascii_digit);
    let slashes = cluster.groups.windows(2).any(|g| text[g[0].end..g[1].start].contains(&b'/'));
    let before = span.start.checked_sub(1).map(|at| text[at]);
    let follows = matches!(before, Some(b'.' | b'#' | b'$' | b'/' | b'_' | b'-' | b'*' | b'='));
    word_before(text, span.start)
        || word_at(text, span.end) && !extension
        || slashes
        || follows && !named(text, span.start)
}

fn lengths(cluster: &Cluster) -> Vec<usize> {
    cluster.groups.iter().map(ExactSizeIterator::len).collect()
}

fn is_separated_by(text: &[u8], cluster: &Cluster, allowed: &[u8]) -> bool {
    cluster.groups.windows(2).all(|g| text[g[0].end..g[1].start].iter().all(|b| allowed.contains(b)))
}

/// `001-846-853-9089`, `0044 20 7946 0958`.
fn is_dialled_abroad(text: &[u8], cluster: &Cluster) -> bool {
    let first = &text[cluster.groups[0].clone()];
    first.starts_with(b"00")
        && first.get(2).is_some_and(|d| *d != b'0')
        && cluster.groups.len() >= 3
        && (10..=17).contains(&cluster.digit_count())
}

/// `(650) 555-0100`, `650-555-0100`, `650.555.0100`, `1-650-555-0100`; with spaces only where a word names it.
fn is_north_american(text: &[u8], cluster: &Cluster) -> bool {
    let lengths = lengths(cluster);
    let (head, body) = match lengths.as_slice() {
        [1, rest @ ..] if text[cluster.groups[0].start] == b'1' => (1, rest),
        [3, ..] => (0, lengths.as_slice()),
        _ => return false,
    };
    let start = cluster.groups[head].start;
    let area = start > 0 && text[start - 1] == b'(';
    let spaces_only = cluster.groups.windows(2).all(|g| text[g[0].end] == b' ');
    body == [3, 3, 4] && text[start] != b'0' && (area || !spaces_only || named(text, cluster.groups[0].start))
}

/// National form with the trunk prefix 0: `079 4650 2145`, `(027) 0336-972`, `06-10446904`.
fn is_trunk(text: &[u8], cluster: &Cluster) -> bool {
    let lengths = lengths(cluster);
    // Written as a US social security number.
    let other = lengths == [3, 2, 4] && is_separated_by(text, cluster, b"-");
    text[cluster.span().start] == b'0'
        && !other
        && text[cluster.span().start + 1..].first().is_some_and(|d| *d != b'0')
        && (9..=11).contains(&cluster.digit_count())
        && (2..=5).contains(&lengths.len())
        && lengths.iter().all(|l| *l >= 2)
        && is_separated_by(text, cluster, b" -()")
}

/// An area code in parentheses before a grouped number: `(11) 4706-6184`.
fn has_area_code(text: &[u8], cluster: &Cluster) -> bool {
    let lengths = lengths(cluster);
    let (start, end) = (cluster.groups[0].start, cluster.groups[0].end);
    let enclosed = start > 0 && text[start - 1] == b'(' && text.get(end) == Some(&b')');
    enclosed
        && matches!(lengths.as_slice(), [2 | 3, 3..=4, 3..=4])
        && cluster.groups[2].start == cluster.groups[1].end + 1
}

/// Seven digits or more beside a word that names a telephone.
fn is_named(text: &[u8], cluster: &Cluster) -> bool {
    let start = cluster.span().start;
    named(text, start) || cluster.groups.len() > 1 && mentioned_before(text, start, 16, &LOOSE_CONTEXT)
}

/// `33 93 31` beside a word that names a telephone: the shortest national numbers.
fn is_three_pairs(text: &[u8], cluster: &Cluster) -> bool {
    lengths(cluster) == [2, 2, 2]
        && is_separated_by(text, cluster, b" ")
        && (is_named(text, cluster) || is_labelled(text, cluster))
}

/// What a telephone number is labelled with at the end of a line of contact data.
const LABELS: [&str; 10] = ["office", "fax", "mobile", "cell", "phone", "tel", "telefax", "home", "work", "direct"];

/// Of [`LABELS`], those that say it also of a number without groups.
const OWN_LABELS: std::ops::Range<usize> = 1..7;

/// The label of a line of contact data after the digits: `9885 1152-Office`, `2546712361 fax`.
fn is_labelled(text: &[u8], cluster: &Cluster) -> bool {
    let labels = if cluster.groups.len() > 1 { &LABELS[..] } else { &LABELS[OWN_LABELS] };
    let rest = &text[cluster.span().end..];
    let gap = rest.iter().take(3).take_while(|b| b" -(,:".contains(b)).count();
    let word = rest[gap..].iter().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
    let label = &rest[gap..gap + word];
    // Words that go on are of something else: `2500000 mobile users`.
    let after = rest[gap + word..].iter().find(|b| **b != b' ');
    let ends = after.is_none_or(|b| matches!(b, b'\n' | b'\r' | b',' | b';' | b')' | b'.' | b'|' | b'/' | b'\\'));
    gap > 0 && ends && labels.iter().any(|known| label.eq_ignore_ascii_case(known.as_bytes()))
}

fn named(text: &[u8], start: usize) -> bool {
    mentioned_before(text, start, 32, &CONTEXT)
}
