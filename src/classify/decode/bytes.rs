//! Decoded bytes as text.

use super::super::mapped::Mapped;

/// Fewest characters in a row that are taken for text rather than chance.
pub const FEWEST: usize = 5;

/// Put after each run, so that none is read as part of the next: wider than any gap within something spread.
pub const APART: &str = "\n                              \n";

/// Adds what `decoded` spells; what is not text becomes line breaks.
pub fn push(made: &mut Mapped, decoded: &[u8], source: std::ops::Range<usize>) {
    let mut text = String::with_capacity(decoded.len());
    each_run(decoded, |run| {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(run);
    });
    made.replace(text.chars(), source.start, source.len());
}

/// Calls `found` for each run of at least [`FEWEST`] characters in `decoded`.
pub fn readable(decoded: &[u8], mut found: impl FnMut(&str)) {
    let mut at = 0;
    while at < decoded.len() {
        let start = at;
        let mut characters = 0;
        while let Some(length) = decoded.get(at).and_then(|_| character(&decoded[at..])) {
            characters += usize::from(decoded[at] != 0);
            at += length;
        }
        // Where too few bytes in a row could be text, none are looked at as characters.
        if characters >= FEWEST {
            each_run(&decoded[start..at], |run| {
                if run.chars().count() >= FEWEST {
                    found(run);
                }
            });
        }
        at += 1;
    }
}

/// How many bytes the character takes that the bytes may begin with; a zero byte stands between characters.
fn character(bytes: &[u8]) -> Option<usize> {
    match usize::from(LENGTHS[usize::from(bytes[0])]) {
        0 => None,
        1 => Some(1),
        length => bytes.get(1..length)?.iter().all(|b| b & 0xC0 == 0x80).then_some(length),
    }
}

/// By first byte, the length of the character (UTF-8); 0 where none begins.
const LENGTHS: [u8; 256] = {
    let mut lengths = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        lengths[byte] = match byte as u8 {
            b' '..=b'~' | b'\n' | b'\t' | b'\r' | 0 => 1,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => 0,
        };
        byte += 1;
    }
    lengths
};

/// Runs of printable characters. Zero bytes are passed over: they are halves of UTF-16.
fn each_run(decoded: &[u8], mut found: impl FnMut(&str)) {
    let mut run = String::new();
    for chunk in decoded.utf8_chunks() {
        for c in chunk.valid().chars() {
            if !c.is_control() || matches!(c, '\n' | '\t' | '\r') {
                run.push(c);
            } else if c != '\0' && !run.is_empty() {
                found(&run);
                run.clear();
            }
        }
        if !chunk.invalid().is_empty() && !run.is_empty() {
            found(&run);
            run.clear();
        }
    }
    if !run.is_empty() {
        found(&run);
    }
}
