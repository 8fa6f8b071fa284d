//! Identifiers and contact data in the generated documents: entities and whole documents, beside Presidio.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::counts::{Counts, DOCUMENT_HEADER, document_cells};
use super::data::{DataError, read_rows};
use super::presidio::Presidio;
use super::report::Table;
use crate::chat::{Part, Source};
use crate::classify::{DetectorKind, DetectorSpec, PatternSet, Recognizer, Scan, Scanner};

/// The data set's and Presidio's names, and ours.
pub const ENTITIES: [(&str, &str); 7] = [
    ("CREDIT_CARD", "card"),
    ("IBAN_CODE", "iban"),
    ("US_SSN", "us_ssn"),
    ("US_DRIVER_LICENSE", "us_driver_licence"),
    ("EMAIL_ADDRESS", "email"),
    ("PHONE_NUMBER", "phone"),
    ("IP_ADDRESS", "ip"),
];

/// Of [`ENTITIES`], those that identify a person or an account by themselves.
const STRICT: Range<usize> = 0..4;

/// Whether the data set's label is of an identifier or contact data.
pub fn is_identifier(label: &str) -> bool {
    ENTITIES.iter().any(|(theirs, _)| *theirs == label)
}

/// Identifiers and contact data as a policy would declare them.
pub fn detectors() -> Vec<DetectorSpec> {
    let recognizers = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
    let named = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
    vec![
        named("identifier", DetectorKind::Checksum(recognizers)),
        named("contact", DetectorKind::Pattern(PatternSet::Contact)),
    ]
}

/// What the detectors find in one message.
pub fn scan(scanner: &Scanner, text: &str) -> Scan {
    scanner.scan(&[Part { source: Source::User, text: text.into() }])
}

#[derive(Deserialize)]
struct Document {
    text: String,
    spans: Vec<(usize, usize, String)>,
}

impl Document {
    /// Every label with its bytes; the data set counts characters.
    fn labels(&self) -> Vec<Span<'_>> {
        let bytes = |chars: usize| self.text.char_indices().nth(chars).map_or(self.text.len(), |(at, _)| at);
        self.spans.iter().map(|(start, end, label)| (label.as_str(), bytes(*start)..bytes(*end))).collect()
    }
}

/// A label of the data set and where it stands, in bytes.
type Span<'a> = (&'a str, Range<usize>);

/// Who found what in each document, in the data set's names.
type Found<'a> = Vec<Vec<Span<'a>>>;

/// The documents' texts.
pub fn texts(data: &Path) -> Result<Vec<String>, DataError> {
    let documents: Vec<Document> = read_rows(data, "pii/presidio_generated_large.jsonl")?;
    Ok(documents.into_iter().map(|document| document.text).collect())
}

/// Entities and documents, by us and by Presidio.
pub fn evaluate(data: &Path, scanner: &Scanner, presidio: Option<&Presidio>) -> Result<[Table; 2], DataError> {
    let documents: Vec<Document> = read_rows(data, "pii/presidio_generated_large.jsonl")?;
    let labelled: Found<'_> = documents.iter().map(Document::labels).collect();
    let ours = documents.iter().map(|document| found_by_us(scanner, &document.text)).collect();
    let mut by: Vec<(&str, Found<'_>)> = vec![("ajar", ours)];
    if let Some(presidio) = presidio {
        let found = |document| -> Vec<Span<'_>> { found_by_presidio(presidio, document) };
        by.push((Presidio::NAME, documents.iter().map(found).collect()));
    }
    Ok([entities(&labelled, &by), whole_documents(&labelled, &by)])
}

fn found_by_us(scanner: &Scanner, text: &str) -> Vec<Span<'static>> {
    let label = |entity: &str| ENTITIES.iter().find(|(_, ours)| *ours == entity).map(|(theirs, _)| *theirs);
    let findings = scan(scanner, text).findings;
    // Other countries' identifiers have no labels here, but each is one.
    findings.into_iter().map(|found| (label(found.entity).unwrap_or(OTHER), found.span)).collect()
}

/// An identifier that the data set has no label for.
const OTHER: &str = "OTHER";

fn found_by_presidio<'a>(presidio: &'a Presidio, document: &'a Document) -> Vec<Span<'a>> {
    presidio.findings(&document.text).map(|found| (found.label, found.span)).collect()
}

fn entities(labelled: &Found<'_>, by: &[(&str, Found<'_>)]) -> Table {
    let header = [&["entity", "by"], &Counts::HEADER[..]].concat();
    let mut table = Table::new(format!("Identifiers in {} generated documents", labelled.len()), &header);
    for (label, entity) in ENTITIES {
        for (name, found) in by {
            let mut counts = Counts::default();
            for (labelled, found) in labelled.iter().zip(found) {
                counts.add(&of(label, labelled), &of(label, found));
            }
            table.push([entity.to_owned(), (*name).to_owned()].into_iter().chain(counts.cells()));
        }
    }
    table
}

fn of(label: &str, spans: &[Span<'_>]) -> Vec<Range<usize>> {
    spans.iter().filter(|(is, _)| *is == label).map(|(_, span)| span.clone()).collect()
}

fn whole_documents(labelled: &Found<'_>, by: &[(&str, Found<'_>)]) -> Table {
    let header = [&["document holds", "by"], &DOCUMENT_HEADER[..]].concat();
    let mut table = Table::new(format!("The same {} documents, as a whole", labelled.len()), &header);
    let kinds =
        [("a card, IBAN, SSN or driving licence", &ENTITIES[STRICT]), ("one of these, or contact data", &ENTITIES[..])];
    for (name, entities) in kinds {
        let holds = |spans: &[Span<'_>]| {
            spans.iter().any(|(is, _)| *is == OTHER || entities.iter().any(|(label, _)| label == is))
        };
        for (finder, found) in by {
            let verdicts: Vec<[bool; 2]> = labelled.iter().zip(found).map(|(l, f)| [holds(l), holds(f)]).collect();
            table.push([vec![name.to_owned(), (*finder).to_owned()], document_cells(&verdicts)].concat());
        }
    }
    table
}
