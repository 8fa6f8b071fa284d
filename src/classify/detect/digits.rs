//! Groups of digits with separators: what card, social security and telephone numbers are looked for in.

use std::ops::Range;

/// Digits that belong together to a reader: `4111 1111-1111.1111`, `(650) 555-0100`.
#[derive(Debug, Default)]
pub struct Cluster {
    /// Each run of digits, in order.
    pub groups: Vec<Range<usize>>,
}

/// Most groups of one cluster; a longer one is continued by the next, which overlaps it.
const MAX_GROUPS: usize = 40;

impl Cluster {
    /// Becomes the cluster that begins with the digit at `start`. Returns where the search goes on.
    pub fn read(&mut self, text: &[u8], start: usize) -> usize {
        self.groups.clear();
        let mut at = start;
        loop {
            let end = run_end(text, at);
            self.groups.push(at..end);
            match next_group(text, end) {
                Some(next) if self.groups.len() < MAX_GROUPS => at = next,
                // A number that straddles the limit is seen whole by the cluster that starts halfway.
                Some(_) => return self.groups[MAX_GROUPS / 2].start,
                None => return end,
            }
        }
    }

    /// From the first digit to the last.
    pub fn span(&self) -> Range<usize> {
        match (self.groups.first(), self.groups.last()) {
            (Some(first), Some(last)) => first.start..last.end,
            _ => 0..0,
        }
    }

    /// How many digits there are.
    pub fn digit_count(&self) -> usize {
        self.groups.iter().map(ExactSizeIterator::len).sum()
    }

    /// The digits of some of the groups, without separators.
    pub fn digits(text: &[u8], groups: &[Range<usize>]) -> Vec<u8> {
        groups.iter().flat_map(|group| text[group.clone()].iter().copied()).collect()
    }
}

fn run_end(text: &[u8], start: usize) -> usize {
    text[start..].iter().position(|b| !b.is_ascii_digit()).map_or(text.len(), |n| start + n)
}

/// Where digits go on after at most three separators, such as `) -`.
fn next_group(text: &[u8], end: usize) -> Option<usize> {
    let gap = text[end..].iter().take(4).position(|b| b.is_ascii_digit())?;
    let separators = &text[end..end + gap];
    separators.iter().all(|b| matches!(b, b' ' | b'-' | b'.' | b'/' | b'(' | b')' | b'_')).then_some(end + gap)
}
