//! Bytes written in letters and figures: base64 (RFC 4648, both alphabets), base32 and hexadecimal, at every alignment
//! in the run, also where the run was reversed or shifted by ROT13.

use std::ops::Range;

use super::windows::{View, Windows};
use super::{Encoding, bytes};

/// How many characters are looked at before a whole short run is decoded.
const PROBE: usize = 32;

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
    pub fn runs(&mut self, text: &str, runs: &[Range<usize>]) {
        let mut readable = vec![runs.is_empty(); runs.len()];
        for radix in &RADIXES {
            self.views.extend(view(text, runs, radix, &mut readable, <[u8]>::to_vec));
        }
        self.opaque |= runs.iter().zip(readable).any(|(run, readable)| run.len() >= OPAQUE && !readable);
    }

    /// Reads words that were wrapped.
    pub fn wrapped(&mut self, text: &str, runs: &[Range<usize>]) {
        let joined = |run: &[u8]| run.iter().copied().filter(|b| !b.is_ascii_whitespace()).collect();
        let mut readable = vec![false; runs.len()];
        for radix in &RADIXES {
            self.views.extend(view(text, runs, radix, &mut readable, joined));
        }
        self.opaque |= runs.iter().zip(readable).any(|(run, readable)| run.len() >= OPAQUE && !readable);
    }

    /// Reads hexadecimal digits two by two.
    pub fn pairs(&mut self, text: &str, runs: &[Range<usize>]) {
        let digits = |run: &[u8]| {
            let words = run.split(|b| !b.is_ascii_alphanumeric()).map(|word| word.strip_prefix(b"0x").unwrap_or(word));
            words.flatten().copied().collect()
        };
        self.views.extend(view(text, runs, &RADIXES[0], &mut vec![true; runs.len()], digits));
    }
}

fn view(
    text: &str,
    runs: &[Range<usize>],
    radix: &Radix,
    readable: &mut [bool],
    clean: impl Fn(&[u8]) -> Vec<u8>,
) -> Option<View> {
    let mut windows = None;
    for (run, readable) in runs.iter().zip(readable) {
        let (spelled, longest) = radix.read(clean(&text.as_bytes()[run.clone()]));
        if !spelled.is_empty() {
            // One way must read: chance spells something in each of sixteen.
            *readable |= longest >= run.len() / 8;
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
        radix.decode(characters.iter().copied(), &mut |_, byte| readable &= matches!(byte, b' '..=b'~' | b'\n'));
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

impl Radix {
    /// Everything readable that the run spells, at any alignment, either way round, with or without ROT13, and how much the
    /// way gives that gives most.
    fn read(&self, plain: Vec<u8>) -> (String, usize) {
        let (mut text, mut longest) = (String::new(), 0);
        if plain.len() * self.bits as usize / 8 < 4 || !self.may_be(&plain) {
            return (text, longest);
        }
        let shifted: Vec<u8> = plain.iter().map(|b| super::flip::rot13(*b)).collect();
        for run in [plain, shifted] {
            if run.iter().all(|b| self.values[usize::from(*b)] != NONE) {
                longest = longest.max(self.read_forward(&run, &mut text));
                let reversed: Vec<u8> = run.iter().rev().copied().collect();
                longest = longest.max(self.read_forward(&reversed, &mut text));
            }
        }
        (text, longest)
    }

    /// Base32 is written in one case, and text in base32 or base64 is never all figures.
    fn may_be(&self, run: &[u8]) -> bool {
        if self.bits > 4 && !run.iter().any(u8::is_ascii_alphabetic) {
            return false;
        }
        self.bits != 5 || !(run.iter().any(u8::is_ascii_lowercase) && run.iter().any(u8::is_ascii_uppercase))
    }

    /// Returns how much the alignment gives that gives most.
    fn read_forward(&self, run: &[u8], text: &mut String) -> usize {
        let mut longest = 0;
        let mut decoded = Vec::with_capacity(run.len());
        for alignment in 0..self.alignments.min(run.len()) {
            decoded.clear();
            let probe = run.len().min(alignment + PROBE);
            self.decode(run[alignment..probe].iter().copied(), &mut |_, byte| decoded.push(byte));
            if probe == run.len() && !bytes::is_readable(&decoded) {
                continue;
            }
            decoded.clear();
            self.decode(run[alignment..].iter().copied(), &mut |_, byte| decoded.push(byte));
            longest = longest.max(bytes::readable(&decoded, text));
        }
        longest
    }

    fn decode(&self, run: impl Iterator<Item = u8>, put: &mut impl FnMut(usize, u8)) {
        let (mut bits, mut held, mut at) = (0_u32, 0, 0);
        for character in run {
            bits = bits << self.bits | u32::from(self.values[usize::from(character)]);
            held += self.bits;
            if held >= 8 {
                held -= 8;
                put(at, (bits >> held) as u8);
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;

    fn reads(encoding: Encoding, run: &str) -> String {
        RADIXES.iter().find(|r| r.encoding == encoding).unwrap().read(run.as_bytes().to_vec()).0
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
