//! National identifiers: of persons, and of taxpayers where persons are among them.
//!
//! Each row of the tables says how long a number is, what makes it valid, how only it is written, and the words that
//! name it. A number counts where its check leaves little to chance, where it is written in its own form, or where a
//! word names it: nearby, or anywhere in the request if the number is all of its text.

mod americas;
mod asia_pacific;
mod checks;
mod europe;

use std::ops::Range;

use super::{Candidate, Cluster, Hit, Named, word_at, word_before};
use crate::classify::signals::Entity;

/// One country's identifier.
#[derive(Debug)]
pub struct National {
    /// Its name in policies, and the name of what is found.
    pub name: Entity,
    /// The ways it is made up.
    shapes: &'static [Shape],
    /// Whether a valid number is one by itself: chance passes fewer than one in two hundred.
    strong: bool,
    /// How only this number is written, `9` for any digit and `A` for any capital: such a number needs no word.
    forms: &'static [&'static str],
    /// Lower-case words that name it.
    pub words: &'static [&'static str],
}

/// The name is the identity.
impl PartialEq for National {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for National {}

/// Whether digits' values, or capitals and figures, are a valid number.
type Check = fn(&[u8]) -> bool;

#[derive(Debug)]
enum Shape {
    /// So many digits; the check sees their values.
    Digits(&'static [usize], Check),
    /// So many letters and digits; the check sees capitals and figures.
    Mixed(usize, Check),
}

const TABLES: [&[National]; 3] = [europe::TABLE, americas::TABLE, asia_pacific::TABLE];

/// How many there are.
pub const COUNT: usize = TABLES[0].len() + TABLES[1].len() + TABLES[2].len();

/// All of them.
pub fn all() -> impl Iterator<Item = &'static National> {
    TABLES.into_iter().flatten()
}

/// Their names.
pub const NAMES: [&str; COUNT] = {
    let mut names = [""; COUNT];
    let (mut table, mut row, mut at) = (0, 0, 0);
    while at < COUNT {
        if row == TABLES[table].len() {
            table += 1;
            row = 0;
        } else {
            names[at] = TABLES[table][row].name;
            row += 1;
            at += 1;
        }
    }
    names
};

/// Fewest digits of an identifier that has no letters.
const FEWEST_DIGITS: usize = 8;

/// Longest identifier: letters and digits.
const MAX_LENGTH: usize = 18;

/// Which identifiers are looked for.
#[derive(Debug, Default)]
pub struct Nationals {
    /// By number of digits.
    by_length: [Vec<(&'static National, Check)>; MAX_LENGTH + 1],
    /// By number of letters and digits.
    mixed: [Vec<(&'static National, Check)>; MAX_LENGTH + 1],
}

impl Nationals {
    /// Adds one; twice is once.
    pub fn add(&mut self, national: &'static National) {
        if self.has(national) {
            return;
        }
        for shape in national.shapes {
            match shape {
                Shape::Digits(lengths, valid) => {
                    lengths.iter().for_each(|l| self.by_length[*l].push((national, *valid)))
                }
                Shape::Mixed(length, valid) => self.mixed[*length].push((national, *valid)),
            }
        }
    }

    fn has(&self, national: &National) -> bool {
        self.by_length.iter().chain(&self.mixed).flatten().any(|(known, _)| *known == national)
    }

    /// Calls `found` for each identifier among the digits of `cluster`. `named` says whether one of these words names what
    /// stands there.
    pub fn numbers(&self, text: &[u8], cluster: &Cluster, named: &Named<'_>, mut found: impl FnMut(Candidate)) {
        let groups = &cluster.groups;
        if cluster.digit_count() < FEWEST_DIGITS {
            return;
        }
        for first in 0..groups.len() {
            let mut digits = [0_u8; MAX_LENGTH];
            let mut length = 0;
            for last in first..groups.len() {
                let group = &text[groups[last].clone()];
                let Some(room) = digits.get_mut(length..length + group.len()) else { break };
                room.iter_mut().zip(group).for_each(|(digit, byte)| *digit = byte - b'0');
                length += group.len();
                let candidates = &self.by_length[length];
                let span = groups[first].start..groups[last].end;
                if candidates.is_empty() || !is_bounded(text, &span) {
                    continue;
                }
                let written = &text[span.clone()];
                let tidy = first == last || last - first + 1 == groups.len() || is_regular(written);
                for (national, valid) in candidates {
                    let formal = national.is_formal(written);
                    if (tidy || formal) && valid(&digits[..length]) {
                        let sure = formal || national.strong;
                        judge(text, Found { national, span: span.clone(), sure }, named, &mut found);
                    }
                }
            }
        }
    }

    /// Calls `found` for each identifier made of digits of `cluster` and the letters right beside them.
    pub fn words(&self, text: &[u8], cluster: &Cluster, named: &Named<'_>, mut found: impl FnMut(Candidate)) {
        if self.mixed.iter().all(Vec::is_empty) {
            return;
        }
        let mut seen = usize::MAX;
        for group in cluster.groups.iter().filter(|group| has_letters_beside(text, group)) {
            for start in starts(text, group.start) {
                // Each start is tried once, whichever of its digits led to it.
                if seen == usize::MAX || start > seen {
                    seen = start;
                    self.word_at(text, start, &mut |valid| judge(text, valid, named, &mut found));
                }
            }
        }
    }

    fn word_at(&self, text: &[u8], start: usize, found: &mut impl FnMut(Found)) {
        let compact = Compact::at(text, start);
        for (length, end) in compact.words() {
            for (national, valid) in &self.mixed[length] {
                if valid(&compact.characters[..length]) {
                    let written = &text[start..end];
                    let capitals = !written.iter().any(u8::is_ascii_lowercase);
                    let sure = national.is_formal(written) || national.strong && capitals;
                    found(Found { national, span: start..end, sure });
                }
            }
        }
    }
}

impl National {
    /// Whether it is written in a form of its own.
    fn is_formal(&self, written: &[u8]) -> bool {
        let fits = |form: &&str| {
            let same = |(byte, place): (&u8, u8)| match place {
                b'9' => byte.is_ascii_digit(),
                b'A' => byte.is_ascii_uppercase(),
                _ => *byte == place,
            };
            form.len() == written.len() && written.iter().zip(form.bytes()).all(same)
        };
        self.forms.iter().any(fits)
    }
}

/// Groups of two digits or more between separators of one kind.
fn is_regular(written: &[u8]) -> bool {
    let mut separators = written.iter().filter(|b| !b.is_ascii_digit());
    let first = separators.next();
    separators.all(|b| Some(b) == first) && written.split(|b| !b.is_ascii_digit()).all(|group| group.len() >= 2)
}

/// A valid number.
struct Found {
    national: &'static National,
    span: Range<usize>,
    /// Whether it counts by itself.
    sure: bool,
}

fn judge(text: &[u8], valid: Found, named: &Named<'_>, found: &mut impl FnMut(Candidate)) {
    let Found { national, span, sure } = valid;
    let is_all = text.trim_ascii().len() == span.len();
    let hit = Hit::new(national.name, span);
    if sure || named(&hit.span, national.words) {
        found(Candidate::Certain(hit));
    } else if is_all {
        found(Candidate::InContext(hit));
    }
}

/// Not part of a longer word or of a decimal fraction.
fn is_bounded(text: &[u8], span: &Range<usize>) -> bool {
    let fraction = span.start >= 2 && text[span.start - 1] == b'.' && text[span.start - 2].is_ascii_digit();
    !word_before(text, span.start) && !word_at(text, span.end) && !fraction
}

fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/' | b'+')
}

/// Whether a letter touches the digits, or stands one separator away as a short piece of the same number.
fn has_letters_beside(text: &[u8], group: &Range<usize>) -> bool {
    let letter = |at: Option<usize>| at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphabetic);
    let before = group.start.checked_sub(1);
    let behind = before.filter(|at| separates(text[*at])).and_then(|at| at.checked_sub(1));
    let ahead = text.get(group.end).is_some_and(|b| separates(*b)).then_some(group.end + 1);
    letter(before) || letter(Some(group.end)) || letter(behind) || letter(ahead) && !word_at(text, group.end + 2)
}

/// Where an identifier with these digits may begin: the word they stand in, and up to two short words before it.
fn starts(text: &[u8], digits: usize) -> impl Iterator<Item = usize> {
    let word_start =
        |at: usize| at - text[..at].iter().rev().take(MAX_LENGTH).take_while(|b| b.is_ascii_alphanumeric()).count();
    let before = |start: usize| {
        let end = start.checked_sub(1).filter(|at| separates(text[*at]))?;
        let start = word_start(end);
        (1..=6).contains(&(end - start)).then_some(start)
    };
    let first = word_start(digits);
    let second = before(first);
    let third = second.and_then(before);
    [third, second, Some(first)].into_iter().flatten().filter(|start| !word_before(text, *start))
}

/// The next letters and digits in capitals, over single separators.
struct Compact {
    characters: [u8; MAX_LENGTH],
    /// Where the text goes on after each of them; 0 if it goes on in the same word.
    ends: [usize; MAX_LENGTH],
}

impl Compact {
    fn at(text: &[u8], start: usize) -> Self {
        let mut compact = Self { characters: [0; MAX_LENGTH], ends: [0; MAX_LENGTH] };
        let (mut filled, mut at) = (0, start);
        while let Some(byte) = text.get(at).filter(|_| filled < MAX_LENGTH) {
            at += 1;
            if byte.is_ascii_alphanumeric() {
                compact.characters[filled] = byte.to_ascii_uppercase();
                compact.ends[filled] = if word_at(text, at) { 0 } else { at };
                filled += 1;
            } else if filled == 0 || !separates(*byte) || !text[at - 2].is_ascii_alphanumeric() {
                break;
            }
        }
        compact
    }

    /// The lengths at which a word ends, and where.
    fn words(&self) -> impl Iterator<Item = (usize, usize)> {
        (1..).zip(self.ends).filter(|(_, end)| *end > 0)
    }
}

/// The values of figures.
fn values<const N: usize>(figures: &[u8]) -> Option<[u8; N]> {
    let mut values = [0; N];
    if figures.len() != N || !figures.iter().all(u8::is_ascii_digit) {
        return None;
    }
    values.iter_mut().zip(figures).for_each(|(value, byte)| *value = byte - b'0');
    Some(values)
}

/// Whether capitals (`A`) and figures (`9`) stand as the pattern says; `?` is either.
fn fits(text: &[u8], pattern: &str) -> bool {
    let right = |(byte, place): (&u8, u8)| match place {
        b'A' => byte.is_ascii_uppercase(),
        b'9' => byte.is_ascii_digit(),
        _ => byte.is_ascii_alphanumeric(),
    };
    text.len() == pattern.len() && text.iter().zip(pattern.bytes()).all(right)
}

#[cfg(test)]
mod tests;
