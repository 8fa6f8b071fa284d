//! Text turned round, and text shifted by thirteen letters.

use std::ops::Range;

use super::super::mapped::Mapped;
use super::scout::outermost;
use super::windows::{View, Windows, floor};
use super::{Encoding, Sieve};

/// How far around a stretch the same turn may have been applied to words that belong to it; bytes.
const REACH: usize = 56;

/// Longest stretch that is also turned by itself: longer ones are lists, in which nothing stands beside one number.
const LONGEST: usize = 128;

/// The letter thirteen places on.
pub fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'm' | b'A'..=b'M' => byte + 13,
        b'n'..=b'z' | b'N'..=b'Z' => byte - 13,
        _ => byte,
    }
}

/// The stretches from back to front: by themselves in their place, and together with what stands around them.
pub fn reversed(text: &str, stretches: &[Range<usize>]) -> Option<View> {
    view(text, stretches, Encoding::Reversed, |made, text, at| {
        text.char_indices().rev().for_each(|(i, c)| made.replace([c], at + i, c.len_utf8()));
    })
}

/// The stretches shifted, likewise.
pub fn shifted(text: &str, stretches: &[Range<usize>]) -> Option<View> {
    view(text, stretches, Encoding::Rot13, |made, text, at| {
        text.char_indices().for_each(|(i, c)| made.replace([shift(c)], at + i, c.len_utf8()));
    })
}

fn shift(c: char) -> char {
    if c.is_ascii() { char::from(rot13(c as u8)) } else { c }
}

/// The stretches that are worth turning: of the `candidates`, which are in order, those in which `sieve` sees something,
/// and all of the `sure`. Of a list only the parts that matter.
pub fn worth(
    text: &str,
    candidates: &[Range<usize>],
    sure: &[Range<usize>],
    turn: Encoding,
    sieve: &dyn Sieve,
) -> Vec<Range<usize>> {
    let mut stretches = sure.to_vec();
    for hit in widened(text, candidates).iter().flat_map(|wide| sieve.turned(text, wide, turn)) {
        let at = candidates.partition_point(|stretch| stretch.end <= hit.start);
        let around = candidates.get(at).filter(|stretch| stretch.start < hit.end && stretch.len() <= LONGEST);
        stretches.push(around.cloned().unwrap_or(hit));
    }
    outermost(&mut stretches);
    stretches
}

fn view(
    text: &str,
    stretches: &[Range<usize>],
    encoding: Encoding,
    turn: impl Fn(&mut Mapped, &str, usize),
) -> Option<View> {
    if stretches.is_empty() {
        return None;
    }
    let mut windows = Windows::new(text);
    for stretch in stretches.iter().filter(|stretch| stretch.len() <= LONGEST) {
        windows.replace(stretch.clone(), |made| turn(made, &text[stretch.clone()], stretch.start));
    }
    windows.close();
    for wide in widened(text, stretches) {
        windows.append(|made| turn(made, &text[wide.clone()], wide.start));
    }
    Some(windows.finish(encoding))
}

/// The stretches with what stands around them, those that then touch as one.
fn widened(text: &str, stretches: &[Range<usize>]) -> Vec<Range<usize>> {
    let mut wide: Vec<Range<usize>> = Vec::new();
    for stretch in stretches {
        let start = floor(text, stretch.start.saturating_sub(REACH));
        let end = floor(text, (stretch.end + REACH).min(text.len()));
        match wide.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => wide.push(start..end),
        }
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stretch_is_turned_by_itself_and_with_its_neighbours() {
        let text = "id: 4321 ok";
        let made = reversed(text, std::slice::from_ref(&(4..8))).unwrap().made;
        assert!(made.text().starts_with("id: 1234 ok\n"));
        assert!(made.text().contains("ko 1234 :di"));
        assert_eq!(&text[made.original(4..8)], "4321");
        assert!(shifted(text, std::slice::from_ref(&(4..8))).unwrap().made.text().contains("vq: 4321 bx"));
    }
}
