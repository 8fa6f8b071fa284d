//! Decoded bytes as text.

use super::super::mapped::Mapped;

/// Fewest characters in a row that are taken for text rather than chance.
const FEWEST: usize = 5;

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

/// What `decoded` spells, added to `text`: runs of characters too long to be chance. Returns how many bytes they have.
pub fn readable(decoded: &[u8], text: &mut String) -> usize {
    let mut readable = 0;
    each_run(decoded, |run| {
        if run.chars().count() >= FEWEST {
            text.push_str(run);
            text.push_str(APART);
            readable += run.len();
        }
    });
    readable
}

/// Whether some run is too long to be chance.
pub fn is_readable(decoded: &[u8]) -> bool {
    let mut run = 0;
    decoded.iter().any(|byte| {
        // Bytes of characters outside ASCII count, since they are text if anything else is.
        run = if matches!(byte, b' '..=b'~' | b'\n' | b'\t' | b'\r' | 0x80..) {
            run + 1
        } else if *byte == 0 {
            run
        } else {
            0
        };
        run >= FEWEST
    })
}

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
