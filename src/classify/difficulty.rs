//! Difficulty, version 0: how much better than a small open model a strong closed one would answer this prompt.
//!
//! A linear model over hashed words and word pairs (TF-IDF with sublinear counts, feature hashing after Weinberger et
//! al. 2009) and a few features of shape, fitted by ridge regression on the difference of two models' scores; see
//! `analyze::difficulty`, which also measures it. It was learned from other models' outcomes, so its basis is
//! `generic`: it ranks prompts, it does not promise that this installation's model will do well.
//!
//! It answers *unknown* where it has no ground: a text too short or long, in a script it was not fitted on, or with
//! fewer known words or pairs than 99 in 100 of the prompts it was calibrated on.

use std::borrow::Cow;

use super::Gain;
use super::artefact::{Malformed, Reader};

/// The version of features and format; an artefact of another is refused.
pub const VERSION: u32 = 1;

/// What [`Gain::basis`] says of this estimate.
pub const BASIS: &str = "generic";

const MAGIC: &[u8; 8] = b"ajardif\n";
const EMBEDDED: &[u8] = include_bytes!("difficulty.bin");

/// Shortest and longest prompt with an estimate, in words and bytes.
const MIN_WORDS: usize = 3;
const MAX_BYTES: usize = 16 << 10;

/// Buckets of hashed words.
const WORD_BUCKETS: usize = 1 << 16;

/// Buckets of hashed pairs of words, which follow.
const PAIR_BUCKETS: usize = 1 << 17;

/// Buckets in all.
pub const BUCKETS: usize = WORD_BUCKETS + PAIR_BUCKETS;

/// Set in the hash of a pair.
const PAIR: u32 = 1 << 31;

/// Features of shape.
pub const SHAPES: usize = 16;

/// A bucket's weight as `i16` and its inverse document frequency as `u8`, both scaled.
const BUCKET_BYTES: usize = 3;

/// Steps of inverse document frequency a unit.
pub const IDF_STEPS: f64 = 20.0;

/// Estimates the gain of a closed model from the prompt's text.
#[derive(Clone, Debug)]
pub struct Estimator {
    parameters: Parameters,
    buckets: Cow<'static, [u8]>,
}

/// Everything but the buckets.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters {
    /// What it was fitted on, in words.
    pub provenance: String,
    /// Mean, scale and weight of each feature of shape.
    pub shapes: [[f32; 3]; SHAPES],
    /// What one step of a bucket's weight is worth.
    pub weight_step: f32,
    /// From score to gain: slope and intercept.
    pub calibration: [f32; 2],
    /// Least shares of known words and of known pairs with which there is an estimate.
    pub min_known: [f32; 2],
}

/// Why an artefact cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArtefactError {
    /// Not an artefact, or cut short.
    #[error("not a difficulty artefact, or cut short; fit it again with `ajar fit difficulty`")]
    Malformed,
    /// Fitted by another version of the features.
    #[error("difficulty artefact of version {0} where {VERSION} is needed; fit it again with `ajar fit difficulty`")]
    Version(u32),
}

impl Estimator {
    /// The estimator that ships with the program.
    pub fn embedded() -> Self {
        // The artefact is part of the program; a test reads it.
        #[allow(clippy::expect_used)]
        Self::parse(Cow::Borrowed(EMBEDDED)).expect("the embedded artefact is well formed")
    }

    /// Reads an artefact.
    pub fn parse(bytes: Cow<'static, [u8]>) -> Result<Self, ArtefactError> {
        let mut reader = Reader(&bytes);
        if reader.take(MAGIC.len())? != MAGIC {
            return Err(ArtefactError::Malformed);
        }
        let version = reader.u32()?;
        if version != VERSION {
            return Err(ArtefactError::Version(version));
        }
        let parameters = read_parameters(&mut reader)?;
        let head = bytes.len() - reader.0.len();
        if reader.0.len() != BUCKETS * BUCKET_BYTES {
            return Err(ArtefactError::Malformed);
        }
        let buckets = match bytes {
            Cow::Borrowed(bytes) => Cow::Borrowed(&bytes[head..]),
            Cow::Owned(bytes) => Cow::Owned(bytes[head..].to_vec()),
        };
        Ok(Self { parameters, buckets })
    }

    /// An estimator of given parameters; a weight and an inverse document frequency a bucket, in steps.
    pub fn new(parameters: Parameters, buckets: &[(i16, u8)]) -> Self {
        let bytes = buckets.iter().flat_map(|(weight, idf)| [weight.to_le_bytes()[0], weight.to_le_bytes()[1], *idf]);
        Self { parameters, buckets: Cow::Owned(bytes.collect()) }
    }

    /// Writes the artefact: what [`Estimator::parse`] reads, numbers little-endian.
    pub fn to_bytes(&self) -> Vec<u8> {
        let p = &self.parameters;
        let mut out = [&MAGIC[..], &VERSION.to_le_bytes(), &(p.provenance.len() as u32).to_le_bytes()].concat();
        out.extend_from_slice(p.provenance.as_bytes());
        let numbers = p.shapes.iter().flatten().chain([&p.weight_step]).chain(&p.calibration).chain(&p.min_known);
        out.extend(numbers.flat_map(|n| n.to_le_bytes()));
        out.extend_from_slice(&self.buckets);
        out
    }

    /// What it was fitted on.
    pub fn provenance(&self) -> &str {
        &self.parameters.provenance
    }

    /// The expected gain for the text of the last user message; `None` is *unknown*.
    pub fn gain(&self, prompt: &str) -> Option<Gain> {
        let features = Features::new(prompt)?;
        let known = self.known_shares(&features);
        if known.iter().zip(self.parameters.min_known).any(|(share, least)| *share < f64::from(least)) {
            return None;
        }
        let [slope, intercept] = self.parameters.calibration.map(f64::from);
        let value = (slope * self.score(&features) + intercept).clamp(-1.0, 1.0);
        Some(Gain { value, basis: BASIS })
    }

    /// The linear model's value before calibration.
    pub fn score(&self, features: &Features) -> f64 {
        let (mut dot, mut square) = (0.0, 0.0);
        for (hash, count) in &features.counts {
            let (weight, idf) = self.bucket(*hash);
            let value = sublinear(*count) * idf;
            dot += value * weight;
            square += value * value;
        }
        let text = if square > 0.0 { dot / square.sqrt() } else { 0.0 };
        let shapes = features.shapes.iter().zip(&self.parameters.shapes);
        let shape: f64 = shapes
            .map(|(value, [mean, scale, w])| (value - f64::from(*mean)) * f64::from(*scale) * f64::from(*w))
            .sum();
        text + shape
    }

    /// The shares of words and of pairs, each counted once, that occurred in what the model was fitted on.
    pub fn known_shares(&self, features: &Features) -> [f64; 2] {
        let (mut all, mut known) = ([0.0; 2], [0.0; 2]);
        for (hash, _) in &features.counts {
            let kind = usize::from(hash & PAIR != 0);
            all[kind] += 1.0;
            known[kind] += f64::from(self.bucket(*hash).1 > 0.0);
        }
        [0, 1].map(|kind| known[kind] / f64::max(all[kind], 1.0))
    }

    fn bucket(&self, hash: u32) -> (f64, f64) {
        let at = bucket(hash) * BUCKET_BYTES;
        let weight = i16::from_le_bytes([self.buckets[at], self.buckets[at + 1]]);
        (f64::from(weight) * f64::from(self.parameters.weight_step), f64::from(self.buckets[at + 2]) / IDF_STEPS)
    }
}

/// The bucket of a hashed word or pair.
pub fn bucket(hash: u32) -> usize {
    if hash & PAIR == 0 { hash as usize % WORD_BUCKETS } else { WORD_BUCKETS + (hash & !PAIR) as usize % PAIR_BUCKETS }
}

/// Dampens repeated words: 1 + ln(count).
pub fn sublinear(count: u32) -> f64 {
    if count == 1 { 1.0 } else { 1.0 + f64::from(count).ln() }
}

impl From<Malformed> for ArtefactError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

fn read_parameters(reader: &mut Reader<'_>) -> Result<Parameters, Malformed> {
    let provenance = reader.text()?;
    let mut shapes = [[0.0; 3]; SHAPES];
    for number in shapes.iter_mut().flatten() {
        *number = reader.f32()?;
    }
    let weight_step = reader.f32()?;
    let (calibration, min_known) = ([reader.f32()?, reader.f32()?], [reader.f32()?, reader.f32()?]);
    Ok(Parameters { provenance, shapes, weight_step, calibration, min_known })
}

// === Features ===

/// What the model sees of a text.
#[derive(Clone, Debug)]
pub struct Features {
    /// Hash of a word or pair and its number of occurrences, by hash.
    pub counts: Vec<(u32, u32)>,
    /// Features of shape, not scaled.
    pub shapes: [f64; SHAPES],
}

impl Features {
    /// The features of a text; `None` if it is too short, too long or mostly in a script the model cannot read.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        let letters = text.bytes().filter(u8::is_ascii_alphabetic).count();
        let foreign = text.bytes().filter(|b| b & 0xC0 == 0xC0).count();
        if text.len() > MAX_BYTES || foreign > letters / 2 {
            return None;
        }
        let mut tokens = Tokens::default();
        tokens.read(text.as_bytes());
        if tokens.words < MIN_WORDS {
            return None;
        }
        let shapes = shapes(text, &tokens);
        tokens.hashes.sort_unstable();
        let counts = tokens.hashes.chunk_by(|a, b| a == b).map(|run| (run[0], run.len() as u32)).collect();
        Some(Self { counts, shapes })
    }
}

/// Hashed words and pairs, and counts taken on the way.
#[derive(Default)]
struct Tokens {
    hashes: Vec<u32>,
    previous: u64,
    words: usize,
    numbers: usize,
}

impl Tokens {
    /// Words are runs of letters, in small letters; digits all read as 0, so that numbers differ by length only. Signs
    /// of mathematics and program text are words of one character.
    fn read(&mut self, text: &[u8]) {
        self.hashes.reserve(text.len() / 2);
        let mut at = 0;
        while at < text.len() {
            let byte = text[at];
            if byte.is_ascii_alphanumeric() || !byte.is_ascii() {
                at = self.word(text, at);
            } else {
                if b"=+*^\\{}[]()<>|$%_/?:;#".contains(&byte) {
                    self.push(u64::from(byte));
                }
                at += 1;
            }
        }
    }

    fn word(&mut self, text: &[u8], start: usize) -> usize {
        let mut hash = FNV_BASIS;
        let mut at = start;
        while at < text.len() && (text[at].is_ascii_alphanumeric() || !text[at].is_ascii()) {
            let byte = if text[at].is_ascii_digit() { b'0' } else { text[at].to_ascii_lowercase() };
            hash = fnv(hash, byte);
            at += 1;
        }
        self.words += 1;
        self.numbers += usize::from(text[start].is_ascii_digit());
        self.push(hash);
        at
    }

    fn push(&mut self, hash: u64) {
        let word = mix(hash);
        self.hashes.push(word as u32 & !PAIR);
        self.hashes.push(mix(self.previous.rotate_left(21) ^ word) as u32 | PAIR);
        self.previous = word;
    }
}

const FNV_BASIS: u64 = 0xCBF2_9CE4_8422_2325;

/// One step of FNV-1a (Fowler, Noll, Vo; RFC 9923).
fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
}

/// Spreads a hash over all bits (the finaliser of MurmurHash3).
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

/// Length, composition and form of the text.
fn shapes(text: &str, tokens: &Tokens) -> [f64; SHAPES] {
    let bytes = text.as_bytes();
    let length = bytes.len() as f64;
    let mut classes = [0_u32; CLASSES];
    for byte in bytes {
        classes[usize::from(CLASS[usize::from(*byte)])] += 1;
    }
    let class = |class: u8| f64::from(classes[usize::from(class)]);
    let words = tokens.words as f64;
    let flag = f64::from;
    [
        length.ln(),
        (length.ln() - 5.5).powi(2),
        class(DIGIT) / length,
        class(CAPITAL) / length,
        class(MATHS) / length,
        class(CODE) / length,
        (1.0 + class(LINE)).ln(),
        (1.0 + class(QUESTION)).ln(),
        words / (1.0 + class(STOP) + class(LINE)),
        length / words,
        (1.0 + tokens.numbers as f64).ln(),
        flag(text.contains("```") || text.contains("def ") || text.contains("return ")),
        flag(text.contains("\nB.") || text.contains("\nB)") || text.contains("B) ")),
        flag(text.contains('\\') || text.contains('^')),
        flag(classes[usize::from(DIGIT)] == 0),
        flag(bytes.last() == Some(&b'?')),
    ]
}

const CLASSES: usize = 9;
const DIGIT: u8 = 1;
const CAPITAL: u8 = 2;
const MATHS: u8 = 3;
const CODE: u8 = 4;
const LINE: u8 = 5;
const QUESTION: u8 = 6;
const STOP: u8 = 7;

/// The class of each byte; 0 is none.
const CLASS: [u8; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] = match byte {
            b'0'..=b'9' => DIGIT,
            b'A'..=b'Z' => CAPITAL,
            b'=' | b'+' | b'*' | b'^' | b'<' | b'>' | b'$' | b'%' | b'/' => MATHS,
            b'{' | b'}' | b'[' | b']' | b'(' | b')' | b';' | b'_' | b'\\' | b'|' => CODE,
            b'\n' => LINE,
            b'?' => QUESTION,
            b'.' | b'!' | b':' => STOP,
            _ => 0,
        };
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{ArtefactError, EMBEDDED, Estimator, Features, MAX_BYTES};

    #[test]
    fn the_embedded_artefact_is_well_formed_and_says_what_it_comes_from() {
        let estimator = Estimator::embedded();
        assert!(estimator.provenance().starts_with("fitted on"));
        assert_eq!(estimator.to_bytes(), EMBEDDED);
    }

    #[test]
    fn a_damaged_or_foreign_artefact_is_refused() {
        let parse = |bytes: &[u8]| Estimator::parse(Cow::Owned(bytes.to_vec())).err();
        assert_eq!(parse(&EMBEDDED[..EMBEDDED.len() - 1]), Some(ArtefactError::Malformed));
        assert_eq!(parse(b"something else"), Some(ArtefactError::Malformed));
        assert_eq!(parse(&[]), Some(ArtefactError::Malformed));
        let mut newer = EMBEDDED.to_vec();
        newer[8] = 200;
        assert_eq!(parse(&newer), Some(ArtefactError::Version(200)));
    }

    #[test]
    fn without_ground_the_gain_is_unknown() {
        let long = "What is the capital of France? ".repeat(MAX_BYTES / 30);
        for (text, why) in [
            ("", "empty"),
            ("hello there", "too short"),
            ("请把这句话翻译成英文，并解释语法。谢谢你的帮助", "another script"),
            ("Wie komme ich am schnellsten vom Bahnhof zum Flughafen", "another language"),
            ("zxq vvkq qqwz plmk wqxz zzkj qpwo", "no words"),
            (long.as_str(), "too long"),
        ] {
            assert_eq!(Estimator::embedded().gain(text), None, "{why}");
        }
    }

    #[test]
    fn a_question_about_code_gains_more_than_one_about_a_capital() {
        let gain = |text: &str| Estimator::embedded().gain(text).map(|gain| gain.value);
        let (code, capital) =
            (gain("Write a Python function that reverses a string."), gain("What is the capital of France?"));
        assert!(code > capital && capital.is_some(), "{code:?} {capital:?}");
    }

    #[test]
    fn words_count_in_any_case_and_numbers_by_their_length() {
        let hashes = |text: &str| Features::new(text).map(|f| f.counts);
        assert_eq!(hashes("What IS 12 here"), hashes("what is 34 here"));
        assert_ne!(hashes("What is 12 here"), hashes("what is 123 here"));
    }

    proptest! {
        #[test]
        fn a_gain_is_a_difference_of_scores(text in "\\PC{0,200}") {
            if let Some(gain) = Estimator::embedded().gain(&text) {
                prop_assert!((-1.0..=1.0).contains(&gain.value));
            }
        }
    }
}
