//! What Microsoft Presidio found in the same texts, as `scripts/presidio-findings.py` writes it.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::data::{DataError, read_rows};

/// Its findings, by text; places in characters.
pub struct Presidio(HashMap<String, Vec<(usize, usize, String, f64)>>);

#[derive(Deserialize)]
struct Line {
    text: String,
    spans: Vec<(usize, usize, String, f64)>,
}

/// One finding.
pub struct Finding<'p> {
    /// What Presidio calls it.
    pub label: &'p str,
    /// Where, in bytes.
    pub span: Range<usize>,
    /// How sure it is, of 1.
    pub score: f64,
}

impl Presidio {
    /// What tables call it.
    pub const NAME: &str = "Presidio";

    /// Reads its findings.
    pub fn read(file: &Path) -> Result<Self, DataError> {
        let lines: Vec<Line> = read_rows(Path::new(""), &file.to_string_lossy())?;
        Ok(Self(lines.into_iter().map(|line| (line.text, line.spans)).collect()))
    }

    /// Whether it was given the text.
    pub fn has_seen(&self, text: &str) -> bool {
        self.0.contains_key(text)
    }

    /// What it found in the text.
    pub fn findings<'p>(&'p self, text: &'p str) -> impl Iterator<Item = Finding<'p>> {
        let bytes = |chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at);
        let spans = self.0.get(text).map_or(&[][..], Vec::as_slice).iter();
        spans.map(move |(start, end, label, score)| Finding { label, span: bytes(*start)..bytes(*end), score: *score })
    }
}
