//! Characters spread out: one by one, with spaces, line breaks or signs between them.

use std::ops::Range;

use super::super::mapped::Mapped;
use super::Encoding;
use super::windows::{View, Windows};

/// Longest separator, in bytes.
pub const MAX_SEPARATOR: usize = 24;

/// The text around the stretches, in which single characters stand apart, with those put together: first those with one
/// separator after every character, then the others, unless `only_regular`. Lists of small numbers are among the others.
pub fn views(text: &str, stretches: &[Range<usize>], only_regular: bool) -> Vec<View> {
    let mut rows = Vec::new();
    let mut after = 0;
    for stretch in stretches {
        split(text, stretch.start.max(after)..stretch.end, after, false, &mut rows);
        after = rows.last().map_or(after, |(row, _): &(Range<usize>, _)| row.end.max(after));
    }
    let (even, uneven): (Vec<_>, Vec<_>) = rows.into_iter().partition(|(_, separator)| separator.is_some());
    let uneven = if only_regular { Vec::new() } else { uneven };
    let even = view(text, &even);
    let uneven = view(text, &uneven).map(|view| View { may_go_on: false, ..view });
    even.into_iter().chain(uneven).collect()
}

/// The rows of a stretch, in order, with their separators. Where several follow on each other, each may have another. None
/// begins before `after`; none ends behind a stretch that is `nested` before another row.
fn split<'t>(
    text: &'t str,
    stretch: Range<usize>,
    after: usize,
    nested: bool,
    rows: &mut Vec<(Range<usize>, Option<&'t str>)>,
) {
    let (mut start, mut after) = (stretch.start, after);
    while start < stretch.end {
        let (row, separator) = regular(text, start..stretch.end, after);
        // What the next row begins with is not of this one, too.
        let row = if nested { row.start..row.end.min(stretch.end) } else { row };
        if row.start > start && has_enough(text, start..row.start) {
            split(text, start..row.start, after, true, rows);
        }
        (start, after) = (row.end.max(start + 1), row.end);
        rows.push((row, separator));
    }
}

/// Whether there are enough letters and figures for a row.
fn has_enough(text: &str, stretch: Range<usize>) -> bool {
    text.as_bytes()[stretch].iter().filter(|b| b.is_ascii_alphanumeric()).count() >= FEWEST
}

fn view(text: &str, rows: &[(Range<usize>, Option<&str>)]) -> Option<View> {
    let mut windows = Windows::new(text);
    for (whole, separator) in rows {
        windows.replace(whole.clone(), |made| match separator {
            Some(separator) => every_other(made, text, whole, separator),
            None => letters_and_figures(made, text, whole),
        });
    }
    (!rows.is_empty()).then(|| View { loose: true, ..windows.finish(Encoding::Spread) })
}

/// Fewest characters of a row.
pub const FEWEST: usize = 5;

/// The first row in the stretch in which one separator stands after every character, and the separator; or the rest of
/// the stretch, if there is no such row.
fn regular(text: &str, stretch: Range<usize>, after: usize) -> (Range<usize>, Option<&str>) {
    let separator = usual_separator(text, &stretch);
    if separator.is_empty() {
        return (stretch, None);
    }
    let row = text[stretch.clone()].char_indices().find_map(|(i, _)| {
        let start = stretch.start + i;
        let end = forward(text, start, separator);
        (end - start > (FEWEST - 1) * (1 + separator.len())).then_some((start, end))
    });
    let Some((mut start, end)) = row else { return (stretch, None) };
    while let Some(before) = backward(text, start, separator).filter(|at| *at >= after) {
        start = before;
    }
    (start..end, Some(separator))
}

/// What most often stands between two letters or figures of the stretch.
fn usual_separator<'t>(text: &'t str, stretch: &Range<usize>) -> &'t str {
    if stretch.len() <= 1 {
        let length = separator(&text.as_bytes()[stretch.start..]).unwrap_or(0);
        return &text[stretch.start + 1..stretch.start + 1 + length];
    }
    let gaps = text[stretch.clone()].split(|c: char| c.is_ascii_alphanumeric()).filter(|gap| !gap.is_empty());
    let mut counts: Vec<(usize, &str)> = Vec::new();
    for gap in gaps {
        match counts.iter().position(|(_, known)| *known == gap) {
            Some(at) => counts[at].0 += 1,
            None if counts.len() < 16 => counts.push((1, gap)),
            None => {}
        }
    }
    // Of those as frequent the shortest: a longer one holds a sign that was spread, too.
    counts.into_iter().max_by_key(|(count, gap)| (*count, std::cmp::Reverse(gap.len()))).map_or("", |(_, gap)| gap)
}

/// How long the separator is that stands after the first of these characters, the second and the third.
pub fn separator(text: &[u8]) -> Option<usize> {
    (1..=3).find(|n| {
        let gap = |i: usize| text.get(i * (n + 1) + 1..(i + 1) * (n + 1));
        let first = gap(0).filter(|gap| gap.iter().all(|b| b.is_ascii() && !b.is_ascii_alphanumeric()));
        first.is_some() && gap(1) == first && gap(2) == first && text.get(n + 1) != text.get(1)
    })
}

fn width(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(0, char::len_utf8)
}

/// Where the row of characters and separators ends that begins at `at`.
fn forward(text: &str, mut at: usize, separator: &str) -> usize {
    loop {
        let end = at + width(text, at);
        let Some(rest) = text[end..].strip_prefix(separator) else { return end };
        // The first letter of the next word is not one of the row.
        let mut next = rest.chars();
        let (Some(_), after) = (next.next(), next.as_str()) else { return end };
        let goes_on = after.starts_with(separator) || !after.starts_with(char::is_alphanumeric);
        if separator.is_empty() || !goes_on {
            return end;
        }
        at = end + separator.len();
    }
}

/// Where the character stands that comes before the one at `at` in such a row.
fn backward(text: &str, at: usize, separator: &str) -> Option<usize> {
    let rest = text[..at].strip_suffix(separator)?;
    let character = rest.chars().next_back()?;
    let place = rest.len() - character.len_utf8();
    (place == 0 || rest[..place].ends_with(separator)).then_some(place)
}

fn every_other(made: &mut Mapped, text: &str, whole: &Range<usize>, separator: &str) {
    let mut at = whole.start;
    while at < whole.end {
        let end = at + width(text, at);
        made.copy(&text[at..end], at);
        at = end + separator.len();
    }
}

fn letters_and_figures(made: &mut Mapped, text: &str, whole: &Range<usize>) {
    for (at, c) in text[whole.clone()].char_indices().filter(|(_, c)| c.is_alphanumeric()) {
        made.copy(&text[whole.start + at..whole.start + at + c.len_utf8()], whole.start + at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_characters_are_put_together() {
        for (text, stretch, expected) in [
            ("x: F a l c o n now", 3..14, "x: Falcon now"),
            ("F\na\nl\nc\no\nn", 0..11, "Falcon"),
            ("a - b * c / d . e", 0..17, "abcde"),
            ("j, @, e, x, ., c", 0..16, "j@ex.c"),
            ("& # 5 2 ;", 0..1, "&#52;"),
        ] {
            assert_eq!(views(text, &[stretch], false)[0].made.text().trim_end(), expected, "{text}");
        }
    }
}
