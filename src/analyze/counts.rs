//! What is counted of labelled and found spans and documents, and how a table shows it.

use std::ops::Range;

use super::report::ratio;

/// Spans labelled and found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    labelled: usize,
    recalled: usize,
    found: usize,
    right: usize,
}

impl Counts {
    /// Names of the columns of [`Self::cells`].
    pub const HEADER: [&str; 6] = ["labelled", "recall", "95% interval", "found", "precision", "F2"];

    /// Counts one document. A span is recalled if half of it is found, and a finding right if half of it is labelled.
    pub fn add(&mut self, labelled: &[Range<usize>], found: &[Range<usize>]) {
        self.add_within(labelled, found, labelled, found);
    }

    /// As [`Self::add`], where what was found may also cover labels as part of `covering`, and be right as part of `covered`.
    pub fn add_within(
        &mut self,
        labelled: &[Range<usize>],
        found: &[Range<usize>],
        covered: &[Range<usize>],
        covering: &[Range<usize>],
    ) {
        self.labelled += labelled.len();
        self.recalled += labelled.iter().filter(|span| half_covered(span, covering)).count();
        self.found += found.len();
        self.right += found.iter().filter(|span| half_covered(span, covered)).count();
    }

    /// Whether nothing is labelled, so that there is no recall.
    pub fn is_unlabelled(&self) -> bool {
        self.labelled == 0
    }

    /// The harmonic mean of precision and recall with twice the weight on recall.
    pub fn f2(&self) -> f64 {
        let recall = self.recalled as f64 / self.labelled.max(1) as f64;
        let precision = self.right as f64 / self.found.max(1) as f64;
        5.0 * precision * recall / (4.0 * precision + recall).max(f64::MIN_POSITIVE)
    }

    /// Cells of a table, in the order of [`Self::HEADER`].
    pub fn cells(&self) -> [String; 6] {
        let [labelled, recall, interval] = shares((self.recalled, self.labelled));
        let precision = ratio(self.right, self.found);
        [labelled, recall, interval, self.found.to_string(), precision, format!("{:.3}", self.f2())]
    }
}

/// Whether half of the bytes are among `by`.
pub fn half_covered(span: &Range<usize>, by: &[Range<usize>]) -> bool {
    let covered = |other: &Range<usize>| other.end.min(span.end).saturating_sub(other.start.max(span.start));
    by.iter().map(covered).sum::<usize>() * 2 >= span.len()
}

/// Names of the columns of [`document_cells`].
pub const DOCUMENT_HEADER: [&str; 6] = ["labelled", "recall", "95% interval", "others", "false alarms", "95% interval"];

/// Recall of documents that hold something, and false alarms of the others; each verdict is whether it is labelled, and found.
pub fn document_cells(verdicts: &[[bool; 2]]) -> Vec<String> {
    [shares(tally(verdicts, true)), shares(tally(verdicts, false))].concat()
}

/// Of those labelled so, how many were found, and how many there are.
pub fn tally(verdicts: &[[bool; 2]], labelled: bool) -> (usize, usize) {
    let of = verdicts.iter().filter(|verdict| verdict[0] == labelled);
    (of.clone().filter(|verdict| verdict[1]).count(), of.count())
}

/// How many there are, the share, and its interval.
fn shares((part, whole): (usize, usize)) -> [String; 3] {
    let (low, high) = wilson(part, whole);
    [whole.to_string(), ratio(part, whole), format!("{low:.3} to {high:.3}")]
}

/// The 95% interval of a share (Wilson 1927).
fn wilson(part: usize, whole: usize) -> (f64, f64) {
    let (n, z) = (whole.max(1) as f64, 1.96);
    let p = part as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - reach).max(0.0), (centre + reach).min(1.0))
}
