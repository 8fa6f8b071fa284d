//! The fitted numbers: a hashed table of weights, transitions, and the lexicon; and how they are written down.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::Entity;
use super::chain::{LABELS, Row, Transitions, WIDTH};
use super::features::{COUNT, Features};
use super::lexicon::Lexicon;
use crate::classify::artefact::{Malformed, Reader};

/// The version of features and format; an artefact of another is refused.
pub const VERSION: u32 = 1;

const MAGIC: &[u8; 8] = b"ajarnam\n";

/// The most bytes an artefact may unfold to.
const MAX_UNFOLDED: u64 = 64 << 20;

/// The largest table, as a power of two.
const MAX_BITS: u32 = 20;

/// One feature's weights. The check keeps a feature that was never fitted from using another's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(16))]
pub struct Weights {
    /// Bits of the feature's hash beyond those that chose the row; 0 for an empty row.
    pub check: u16,
    /// A weight for each label, in steps.
    pub labels: [i8; LABELS],
}

/// Where a feature's weights are: the row of a table of 2^`bits` rows, and the check.
pub fn place(feature: u64, bits: u32) -> (usize, u16) {
    ((feature >> 1) as usize & ((1 << bits) - 1), (feature >> 48) as u16 | 1)
}

/// What was fitted.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    /// On what, in words.
    pub provenance: String,
    /// The table, a power of two of rows.
    pub table: Vec<Weights>,
    /// What one step of a weight is worth.
    pub step: f32,
    /// Scores of a label at the start.
    pub start: Row,
    /// Scores of a label after another.
    pub from: [Row; WIDTH],
    /// The entries of the lexicon, by key.
    pub words: Vec<(u32, u16)>,
}

/// Why an artefact cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// Not an artefact, or cut short.
    #[error("not an artefact of names, or cut short; fit it again with `ajar fit names`")]
    Malformed,
    /// Fitted by another version of the features.
    #[error("names artefact of version {0} where {VERSION} is needed; fit it again with `ajar fit names`")]
    Version(u32),
}

impl Model {
    /// The scores of every label for a token.
    pub fn score(&self, features: &Features) -> Row {
        let bits = self.table.len().trailing_zeros();
        let mut sums = [0_i32; WIDTH];
        for feature in features.iter().filter(|feature| **feature != 0) {
            let (row, check) = place(*feature, bits);
            let weights = &self.table[row];
            if weights.check == check {
                for (sum, weight) in sums.iter_mut().zip(&weights.labels) {
                    *sum += i32::from(*weight);
                }
            }
        }
        sums.map(|sum| sum as f32 * self.step)
    }

    /// The transitions as weights.
    pub fn transitions(&self) -> Transitions {
        Transitions::new(&self.start, &self.from)
    }

    /// The lexicon as a table.
    pub fn lexicon(&self) -> Lexicon {
        Lexicon::new(&self.words)
    }

    /// Writes the artefact: what [`Model::parse`] reads. Numbers are little-endian, all but the head compressed.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let mut put = |bytes: &[u8]| body.extend_from_slice(bytes);
        put(&(self.provenance.len() as u32).to_le_bytes());
        put(self.provenance.as_bytes());
        put(&self.step.to_le_bytes());
        self.start.iter().chain(self.from.iter().flatten()).for_each(|score| put(&score.to_le_bytes()));
        put(&(self.words.len() as u32).to_le_bytes());
        self.words.iter().for_each(|(key, lists)| put(&[&key.to_le_bytes()[..], &lists.to_le_bytes()].concat()));
        put(&self.table.len().trailing_zeros().to_le_bytes());
        let filled = self.table.iter().enumerate().filter(|(_, weights)| weights.check != 0);
        for (row, Weights { check, labels }) in filled {
            put(&(row as u32).to_le_bytes());
            put(&check.to_le_bytes());
            put(&labels.map(|weight| weight as u8));
        }
        [&MAGIC[..], &VERSION.to_le_bytes(), &shapes().to_le_bytes(), &deflate(&body)].concat()
    }

    /// Reads an artefact.
    ///
    /// # Errors
    /// If it is not one, is cut short, or was fitted with other features or labels.
    pub fn parse(bytes: &[u8]) -> Result<Self, ArtefactError> {
        let mut head = Reader(bytes);
        if head.take(MAGIC.len())? != MAGIC {
            return Err(ArtefactError::Malformed);
        }
        let version = head.u32()?;
        if version != VERSION {
            return Err(ArtefactError::Version(version));
        }
        if head.u32()? != shapes() {
            return Err(ArtefactError::Malformed);
        }
        let mut body = Vec::new();
        let unfolded = DeflateDecoder::new(head.0).take(MAX_UNFOLDED).read_to_end(&mut body);
        unfolded.map_err(|_| ArtefactError::Malformed)?;
        Ok(read_model(Reader(&body))?)
    }
}

/// What of the code the numbers depend on: how many labels and features there are.
fn shapes() -> u32 {
    (LABELS as u32) << 16 | (COUNT as u32) << 8 | Entity::ALL.len() as u32
}

/// Writing to a `Vec` does not fail; were it to, the artefact would be empty and refused.
fn deflate(body: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).and_then(|()| encoder.finish()).unwrap_or_default()
}

impl From<Malformed> for ArtefactError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

fn read_model(mut body: Reader<'_>) -> Result<Model, Malformed> {
    let provenance = body.text()?;
    let step = body.f32()?;
    let start = read_row(&mut body)?;
    let mut from = [[0.0; WIDTH]; WIDTH];
    for row in &mut from {
        *row = read_row(&mut body)?;
    }
    let words = body.u32()? as usize;
    let words = (0..words).map(|_| Ok((body.u32()?, body.u16()?))).collect::<Result<_, _>>()?;
    let table = read_table(body)?;
    Ok(Model { provenance, table, step, start, from, words })
}

fn read_row(body: &mut Reader<'_>) -> Result<Row, Malformed> {
    let mut row = [0.0; WIDTH];
    for score in &mut row {
        *score = body.f32()?;
    }
    Ok(row)
}

/// All that is left.
fn read_table(mut body: Reader<'_>) -> Result<Vec<Weights>, Malformed> {
    let bits = body.u32()?;
    if bits > MAX_BITS {
        return Err(Malformed);
    }
    let mut table = vec![Weights::default(); 1 << bits];
    while !body.0.is_empty() {
        let row = body.u32()? as usize;
        let check = body.u16()?;
        let labels = body.array::<LABELS>()?.map(|weight| weight as i8);
        *table.get_mut(row).ok_or(Malformed)? = Weights { check, labels };
    }
    Ok(table)
}
