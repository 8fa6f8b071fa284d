//! Bytes written in letters and figures: base64 (RFC 4648, both alphabets), base32 and hexadecimal, at every alignment
//! in the run, also where the run was reversed or shifted by ROT13.

use std::ops::Range;

use super::scout::pair_digits;
use super::windows::{View, Windows};
use super::{Encoding, Sieve, bytes};

/// Of ways to read a run, those that give less than this share of what the best gives are chance.
const KEPT_SHARE: usize = 4;

/// Fewest characters in a row that count in a long run of which hardly anything is text.
const FEWEST_BY_CHANCE: usize = 8;

/// Pieces of so many bytes are looked at in any case.
const LONG: usize = 64;

/// One way to write bytes.
struct Radix {
    encoding: Encoding,
    /// Bits a character.
    bits: u32,
    /// Characters after which bytes and characters begin together again.
    alignments: usize,
    /// Value of each character; [`NONE`] for others.
    values: [u8; 256],
}

const NONE: u8 = 0xFF;

const fn radix(encoding: Encoding, bits: u32, alignments: usize, groups: &[(&[u8], u8)]) -> Radix {
    let mut values = [NONE; 256];
    let mut group = 0;
    while group < groups.len() {
        let (characters, first) = groups[group];
        let mut at = 0;
        while at < characters.len() {
            values[characters[at] as usize] = first + at as u8;
            at += 1;
        }
        group += 1;
    }
    Radix { encoding, bits, alignments, values }
}

const CAPITALS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const SMALL: &[u8] = b"abcdefghijklmnopqrstuvwxyz";

static RADIXES: [Radix; 3] = [
    radix(Encoding::Hex, 4, 2, &[(b"0123456789", 0), (b"abcdef", 10), (b"ABCDEF", 10)]),
    radix(Encoding::Base32, 5, 8, &[(CAPITALS, 0), (SMALL, 0), (b"234567", 26)]),
    radix(
        Encoding::Base64,
        6,
        4,
        &[(CAPITALS, 0), (SMALL, 26), (b"0123456789", 52), (b"+", 62), (b"/", 63), (b"-", 62), (b"_", 63)],
    ),
];

/// Shortest run that counts as opaque where it spells nothing readable.
const OPAQUE: usize = 512;

/// Put before what was read, so that it is nobody's value: `token: WW91ciB0b2tlbg` would else name a random one.
const APART: &str = ") ";

/// What was read.
#[derive(Debug, Default)]
pub struct Read {
    /// The text around runs with what they spell in their place, one view for each way to write.
    pub views: Vec<View>,
    /// Whether a long run spells nothing readable: an archive, an image, something encrypted.
    pub opaque: bool,
}

impl Read {
    /// Reads words.
    pub fn runs(&mut self, text: &str, runs: &[Range<usize>], sieve: &dyn Sieve) {
        self.all(text, runs, sieve, <[u8]>::to_vec);
    }

    /// Reads words that were wrapped.
    pub fn wrapped(&mut self, text: &str, runs: &[Range<usize>], sieve: &dyn Sieve) {
        self.all(text, runs, sieve, |run| run.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect());
    }

    /// Reads hexadecimal digits two by two.
    pub fn pairs(&mut self, text: &str, runs: &[Range<usize>], sieve: &dyn Sieve) {
        let digits = |run: &[u8]| run.split(|b| !b.is_ascii_alphanumeric()).flat_map(pair_digits).copied().collect();
        self.views.extend(view(text, runs, &RADIXES[0], &mut vec![true; runs.len()], sieve, &|_| true, digits));
    }

    fn all(&mut self, text: &str, runs: &[Range<usize>], sieve: &dyn Sieve, clean: impl Fn(&[u8]) -> Vec<u8>) {
        if runs.is_empty() {
            return;
        }
        let mut readable = vec![false; runs.len()];
        let written: Vec<Written> = runs.iter().map(|run| Written::of(&text.as_bytes()[run.clone()])).collect();
        for radix in &RADIXES {
            let may_be = |at: usize| radix.may_be(written[at]);
            self.views.extend(view(text, runs, radix, &mut readable, sieve, &may_be, &clean));
        }
        let all = runs.iter().zip(written).zip(readable);
        // Figures alone say what they say.
        self.opaque |= all.into_iter().any(|((run, w), readable)| run.len() >= OPAQUE && !readable && w.has_letters());
    }
}

fn view(
    text: &str,
    runs: &[Range<usize>],
    radix: &Radix,
    readable: &mut [bool],
    sieve: &dyn Sieve,
    may_be: &dyn Fn(usize) -> bool,
    clean: impl Fn(&[u8]) -> Vec<u8>,
) -> Option<View> {
    let mut windows = None;
    let mut room = Room::default();
    for (at, (run, readable)) in runs.iter().zip(readable).enumerate() {
        if !may_be(at) {
            continue;
        }
        let (spelled, longest) = radix.read(&clean(&text.as_bytes()[run.clone()]), &mut room, sieve);
        // One way must read: chance spells something in each of sixteen.
        *readable |= longest > 0 && longest >= run.len() / 8;
        if !spelled.is_empty() {
            let windows = windows.get_or_insert_with(|| Windows::new(text));
            let text = APART.chars().chain(spelled.chars());
            windows.replace(run.clone(), |made| made.replace(text, run.start, run.len()));
        }
    }
    Some(windows?.finish(radix.encoding))
}

/// Whether a word of small letters begins like base64 of text, or is like base32 of it. Cheap, for words that look like
/// any other.
pub fn begins_readable(word: &[u8]) -> bool {
    let printable = |radix: &Radix, characters: &[u8]| {
        let mut readable = true;
        let values = characters.iter().map(|b| radix.values[usize::from(*b)]);
        radix.decode(values, &mut |byte| readable &= matches!(byte, b' '..=b'~' | b'\n'));
        readable
    };
    if printable(&RADIXES[2], &word[..8]) {
        return true;
    }
    let shifted: Vec<u8> = word.iter().map(|b| super::flip::rot13(*b)).collect();
    let mut ways = [word.to_vec(), shifted].into_iter().flat_map(|word| {
        let reversed = word.iter().rev().copied().collect();
        [word, reversed]
    });
    word.len() >= 10 && ways.any(|way: Vec<u8>| printable(&RADIXES[1], &way[..8]))
}

/// Which characters a run has.
#[derive(Clone, Copy, Debug, Default)]
struct Written {
    small: bool,
    capital: bool,
    /// Letters that are in no hexadecimal number, not in ROT13 either.
    beyond_hex: bool,
}

impl Written {
    fn of(run: &[u8]) -> Self {
        let fold = |written: Self, b: &u8| Self {
            small: written.small | b.is_ascii_lowercase(),
            capital: written.capital | b.is_ascii_uppercase(),
            beyond_hex: written.beyond_hex | matches!(b | 0x20, b'g'..=b'm' | b't'..=b'z'),
        };
        run.iter().fold(Self::default(), fold)
    }

    fn has_letters(self) -> bool {
        self.small || self.capital
    }
}

/// Whether figures alone may spell text in hexadecimal, from either side: of those in every other place, enough in a row
/// begin a byte that is a character. A quick answer for lists of numbers.
fn may_be_figures(run: &[u8]) -> bool {
    let mut rows = [0; 2];
    run.iter().enumerate().any(|(at, figure)| {
        let row = &mut rows[at % 2];
        *row = if matches!(figure, b'0' | b'2'..=b'7') { *row + 1 } else { 0 };
        *row >= bytes::FEWEST
    })
}

/// What is used again for each run.
#[derive(Default)]
struct Room {
    values: Vec<u8>,
    decoded: Vec<u8>,
    ways: Vec<Way>,
}

/// What of a run is text when it is read in one way.
#[derive(Default)]
struct Way {
    pieces: Vec<String>,
    /// How many bytes they have.
    readable: usize,
}

impl Radix {
    /// Everything readable that the run spells, at any alignment, either way round, with or without ROT13, and how much the
    /// way gives that gives most.
    fn read(&self, run: &[u8], room: &mut Room, sieve: &dyn Sieve) -> (String, usize) {
        room.ways.clear();
        if run.len() * self.bits as usize / 8 < 4 {
            return (String::new(), 0);
        }
        let figures = run.iter().all(u8::is_ascii_digit);
        if figures && !may_be_figures(run) {
            return (String::new(), 0);
        }
        let turns: [fn(u8) -> u8; 2] = [std::convert::identity, super::flip::rot13];
        // Figures alone are the same in ROT13.
        let turns = if figures { &turns[..1] } else { &turns[..] };
        for turn in turns {
            room.values.clear();
            room.values.extend(run.iter().map(|b| self.values[usize::from(turn(*b))]));
            if room.values.iter().all(|value| *value != NONE) {
                self.read_forward(room);
                room.values.reverse();
                self.read_forward(room);
            }
        }
        let longest = room.ways.iter().map(|way| way.readable).max().unwrap_or(0);
        // Where one way reads well, what the others give is chance; and no prose is written in figures alone.
        let half = run.len() * self.bits as usize / 16;
        let fewest = if figures && run.len() >= OPAQUE { half } else { longest / KEPT_SHARE };
        let mut text = String::new();
        for way in room.ways.iter().filter(|way| way.readable >= fewest) {
            // In what says nothing, short pieces are chance.
            let says_nothing = run.len() >= OPAQUE && way.readable < run.len() / 8;
            let fewest = if says_nothing { FEWEST_BY_CHANCE } else { 0 };
            for piece in way.pieces.iter().filter(|piece| piece.len() >= fewest) {
                if piece.len() >= LONG || sieve.matters(piece) {
                    text.push_str(piece);
                    text.push_str(bytes::APART);
                }
            }
        }
        (text, longest)
    }

    /// Base32 is written in one case, and text in base32 or base64 is never all figures.
    fn may_be(&self, written: Written) -> bool {
        match self.encoding {
            Encoding::Hex => !written.beyond_hex,
            Encoding::Base32 => written.has_letters() && !(written.small && written.capital),
            _ => written.has_letters(),
        }
    }

    /// Reads the values at every alignment.
    fn read_forward(&self, room: &mut Room) {
        let Room { values, decoded, ways } = room;
        for alignment in 0..self.alignments.min(values.len()) {
            decoded.clear();
            self.decode(values[alignment..].iter().copied(), &mut |byte| decoded.push(byte));
            let mut way = Way::default();
            bytes::readable(decoded, |piece| {
                way.readable += piece.len();
                way.pieces.push(piece.to_owned());
            });
            if way.readable > 0 {
                ways.push(way);
            }
        }
    }

    fn decode(&self, values: impl Iterator<Item = u8>, put: &mut impl FnMut(u8)) {
        let (mut bits, mut held) = (0_u32, 0);
        for value in values {
            bits = bits << self.bits | u32::from(value);
            held += self.bits;
            if held >= 8 {
                held -= 8;
                put((bits >> held) as u8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::super::tests::All;
    use super::*;

    fn reads(encoding: Encoding, run: &str) -> String {
        let radix = RADIXES.iter().find(|r| r.encoding == encoding).unwrap();
        radix.read(run.as_bytes(), &mut Room::default(), &All).0
    }

    #[test]
    fn base64_is_read_at_every_alignment_and_either_way_round() {
        let coded = base64::engine::general_purpose::STANDARD_NO_PAD.encode("the plain text");
        for before in ["", "a", "ab", "abc"] {
            assert!(reads(Encoding::Base64, &format!("{before}{coded}")).contains("the plain text"), "{before}");
        }
        let reversed: String = coded.chars().rev().collect();
        assert!(reads(Encoding::Base64, &reversed).contains("the plain text"));
    }

    #[test]
    fn base32_and_hexadecimal_are_read() {
        assert!(reads(Encoding::Base32, "NBSWY3DPEB3W64TMMQ").contains("hello world"));
        assert!(reads(Encoding::Base32, "nbswy3dpeb3w64tmmq").contains("hello world"));
        assert!(reads(Encoding::Hex, "68656C6C6f20776f726c64").contains("hello world"));
        assert!(reads(Encoding::Hex, "168656c6c6f20776f726c64").contains("hello world"));
    }

    #[test]
    fn what_is_not_text_yields_next_to_nothing() {
        assert!(reads(Encoding::Base64, "JavaScriptIterator").split_whitespace().count() < 8);
        assert!(reads(Encoding::Hex, "d41d8cd98f00b204e9800998ecf8427e").split_whitespace().count() < 4);
    }
}
