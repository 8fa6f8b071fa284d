//! Figures spelled as words, in five languages; also words turned round or shifted by ROT13.

use std::ops::Range;
use std::sync::LazyLock;

use super::super::mapped::Mapped;
use super::Encoding;
use super::flip::rot13;
use super::windows::{View, Windows};

/// Fewest words in a row that are a number rather than prose.
pub const FEWEST: usize = 6;

/// Most bytes from the end of one word to the beginning of the next.
pub const MAX_GAP: usize = 24;

/// Longest word.
pub const MAX_WORD: usize = 7;

/// By figure: English, German, French, Spanish, Italian, accents folded.
const WORDS: [&[&str]; 10] = [
    &["zero", "null", "cero"],
    &["one", "eins", "un", "uno"],
    &["two", "zwei", "deux", "dos", "due"],
    &["three", "drei", "trois", "tres", "tre"],
    &["four", "vier", "quatre", "cuatro", "quattro"],
    // `suas` is "fünf" in ROT13, the umlaut left alone.
    &["five", "funf", "fuenf", "suas", "cinq", "cinco", "cinque"],
    &["six", "sechs", "seis", "sei"],
    &["seven", "sieben", "sept", "siete", "sette"],
    &["eight", "acht", "huit", "ocho", "otto"],
    &["nine", "neun", "neuf", "nueve", "nove"],
];

/// A word, packed, the figure that it spells, and whether it does so only turned round or shifted.
type Packed = (u64, u8, bool);

/// The words in every disguise, in order.
static PACKED: LazyLock<Vec<Packed>> = LazyLock::new(|| {
    let mut packed = Vec::new();
    for (figure, words) in (0..).zip(WORDS) {
        for word in words {
            let shifted: Vec<u8> = word.bytes().map(rot13).collect();
            for (letters, disguised) in [(word.as_bytes(), false), (&shifted, true)] {
                packed.push((pack(letters.iter().copied()), figure, disguised));
                packed.push((pack(letters.iter().rev().copied()), figure, true));
            }
        }
    }
    packed.sort_unstable();
    packed.dedup_by_key(|(letters, ..)| *letters);
    packed
});

/// Whether some word begins with these two letters (row and column from `a`).
static BEGINNINGS: LazyLock<[u32; 26]> = LazyLock::new(|| {
    let mut table = [0; 26];
    for (letters, ..) in PACKED.iter() {
        // The first letter was packed first and stands highest.
        let bytes: Vec<u8> = letters.to_be_bytes().into_iter().filter(|b| *b != 0).collect();
        table[usize::from(bytes[0] - b'a')] |= 1 << (bytes[1] - b'a');
    }
    table
});

fn pack(letters: impl Iterator<Item = u8>) -> u64 {
    letters.fold(0, |packed, letter| packed << 8 | u64::from(letter | 0x20))
}

/// The figure that a word of letters spells.
pub fn figure(word: &[u8]) -> Option<u8> {
    known(word).map(|(_, figure, _)| figure)
}

fn known(word: &[u8]) -> Option<Packed> {
    let [first, second, ..] = word else { return None };
    let (row, column) = ((first | 0x20).wrapping_sub(b'a'), (second | 0x20).wrapping_sub(b'a'));
    if row >= 26 || column >= 26 || BEGINNINGS[usize::from(row)] >> column & 1 == 0 || word.len() > MAX_WORD {
        return None;
    }
    let place = PACKED.binary_search_by_key(&pack(word.iter().copied()), |(letters, ..)| *letters);
    place.ok().map(|at| PACKED[at])
}

/// Whether a long word is made of such words.
pub fn is_glued(word: &[u8]) -> bool {
    pieces(word).filter(|piece| matches!(piece, Piece::Figure(..))).take(FEWEST).count() == FEWEST
}

enum Piece {
    /// So many letters spell a figure.
    Figure(u8, usize),
    /// One character that does not.
    Other,
}

/// A word from left to right, the longest first.
fn pieces(word: &[u8]) -> impl Iterator<Item = Piece> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = word.get(at..).filter(|rest| !rest.is_empty())?;
        let longest = (2..=MAX_WORD.min(rest.len())).rev().find_map(|n| Some((figure(&rest[..n])?, n)));
        at += longest.map_or(1, |(_, n)| n);
        Some(longest.map_or(Piece::Other, |(figure, n)| Piece::Figure(figure, n)))
    })
}

/// How a stretch is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Figures, and other words apart from them.
    Apart,
    /// All as one code.
    AsOne,
    /// The same, where what is a figure only in disguise is a code's letters: `SHAS` is a bank, and five in ROT13.
    Undisguised,
}

/// The text around the stretches with figures for words: by themselves, and as one with codes that stand right beside them.
pub fn view(text: &str, stretches: &[Range<usize>]) -> Option<View> {
    if stretches.is_empty() {
        return None;
    }
    let mut windows = Windows::new(text);
    for stretch in stretches {
        windows.replace(stretch.clone(), |made| figures(made, text, stretch.clone(), Reading::Apart));
    }
    windows.close();
    for stretch in stretches {
        let whole = with_neighbours(text.as_bytes(), stretch);
        if is_mixed(&text.as_bytes()[whole.clone()]) {
            windows.append(|made| figures(made, text, whole.clone(), Reading::Undisguised));
        }
        windows.append(|made| figures(made, text, whole, Reading::AsOne));
    }
    Some(windows.finish(Encoding::Spelled))
}

/// Whether some words spell figures as they stand, and others only in disguise.
fn is_mixed(stretch: &[u8]) -> bool {
    let words = stretch.split(|b| !b.is_ascii_alphanumeric());
    let (mut plain, mut disguised) = (false, false);
    for (_, _, is_disguised) in words.filter_map(known) {
        plain |= !is_disguised;
        disguised |= is_disguised;
    }
    plain && disguised
}

/// Words as figures with nothing between but the signs of written numbers; other words stand apart. Unless all is to be
/// one: then with all signs.
fn figures(made: &mut Mapped, text: &str, stretch: Range<usize>, reading: Reading) {
    let bytes = text.as_bytes();
    let as_one = reading != Reading::Apart;
    let counts = |disguised: bool| !disguised || reading != Reading::Undisguised;
    let mut at = stretch.start;
    while at < stretch.end {
        let length = bytes[at..stretch.end].iter().take_while(|b| b.is_ascii_alphanumeric()).count();
        let word = at..at + length;
        if length == 0 {
            let c = text[at..].chars().next().map_or(1, char::len_utf8);
            if matches!(bytes[at], b'-' | b'/' | b'.' | b'+') || as_one && bytes[at].is_ascii_punctuation() {
                made.copy(&text[at..at + 1], at);
            }
            at += c;
            continue;
        }
        if let Some((_, figure, _)) = known(&bytes[word.clone()]).filter(|(.., disguised)| counts(*disguised)) {
            made.replace([char::from(b'0' + figure)], word.start, length);
        } else if is_glued(&bytes[word.clone()]) {
            unglue(made, text, word.clone());
        } else {
            let apart = !as_one && length > 1 && bytes[word.clone()].iter().all(u8::is_ascii_lowercase);
            made.replace(apart.then_some(' '), word.start, length);
            made.copy(&text[word.clone()], word.start);
            made.replace(apart.then_some(' '), word.start, length);
        }
        at = word.end;
    }
}

fn unglue(made: &mut Mapped, text: &str, word: Range<usize>) {
    let mut at = word.start;
    for piece in pieces(&text.as_bytes()[word]) {
        match piece {
            Piece::Figure(figure, length) => {
                made.replace([char::from(b'0' + figure)], at, length);
                at += length;
            }
            Piece::Other => {
                made.copy(&text[at..at + 1], at);
                at += 1;
            }
        }
    }
}

/// The stretch with up to two words on either side that are codes rather than words of a language.
fn with_neighbours(text: &[u8], stretch: &Range<usize>) -> Range<usize> {
    let code =
        |word: &[u8]| (1..=8).contains(&word.len()) && (word.len() == 1 || !word.iter().all(u8::is_ascii_lowercase));
    let alphanumeric = |b: &&u8| b.is_ascii_alphanumeric();
    let Range { mut start, mut end } = stretch.clone();
    for _ in 0..2 {
        let gap = usize::from(start > 0 && text[start - 1] == b' ');
        let word = text[..start - gap].iter().rev().take_while(alphanumeric).count();
        if gap == 1 && code(&text[start - 1 - word..start - 1]) {
            start -= 1 + word;
        }
        let gap = usize::from(text.get(end) == Some(&b' '));
        let word = text[end + gap..].iter().take_while(alphanumeric).count();
        if gap == 1 && code(&text[end + 1..end + 1 + word]) {
            end += 1 + word;
        }
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_stands_for_two_figures() {
        for (figure, words) in (0..).zip(WORDS) {
            for word in words {
                assert_eq!(super::figure(word.as_bytes()), Some(figure), "{word}");
            }
        }
        assert_eq!(figure(b"ruof"), Some(4));
        assert_eq!(figure(b"bar"), Some(1));
        assert_eq!(figure(b"fourth"), None);
    }

    #[test]
    fn a_code_that_is_a_figure_only_in_disguise_is_also_read_as_a_code() {
        let text = "NL four eight SHAS three five eight five four six six one six three";
        let made = view(text, std::slice::from_ref(&(3..text.len()))).unwrap();
        assert!(made.made.text().contains("NL48SHAS3585466163"), "{}", made.made.text());
        let shifted = "sbhe bar bar sbhe gjb guerr";
        let made = view(shifted, std::slice::from_ref(&(0..shifted.len()))).unwrap();
        assert!(made.made.text().starts_with("411423"), "{}", made.made.text());
    }

    #[test]
    fn words_become_figures() {
        let text = "my BSN four one one Eins, deux-tres";
        let made = view(text, std::slice::from_ref(&(7..text.len()))).unwrap();
        assert!(made.made.text().starts_with("my BSN 41112-3\n"), "{}", made.made.text());
        assert!(made.made.text().contains("BSN4111,2-3"));
        assert!(is_glued(b"fouroneonefourtwothree") && !is_glued(b"internationalization"));
        let glued = "fouroneonefourtwothree";
        assert!(view(glued, std::slice::from_ref(&(0..glued.len()))).unwrap().made.text().starts_with("411423"));
    }
}
