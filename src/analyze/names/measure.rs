//! How well names are recognised, beside what it costs.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;

use super::super::counts::{Counts, DOCUMENT_HEADER, document_cells};
use super::super::data::{DataError, read_rows};
use super::super::latency::{SIZES, milliseconds};
use super::super::prompts::{PROMPTS, Prompt};
use super::super::report::{Report, Table, ratio};
use super::corpus::{Corpus, Document, Held, held_subject};
use super::finders::{Finder, Ours};
use crate::classify::names::{Entity, Found};

/// Every table; `finders` are those compared, ours first.
pub fn report(data: &Path, ours: &Ours<'_>, finders: &[&dyn Finder], corpus: &Corpus) -> Result<Report, DataError> {
    let held: Vec<Document> = corpus.held.iter().map(|held| held.document.clone()).collect();
    let alone: [&dyn Finder; 1] = [ours];
    Ok(Report {
        tables: vec![
            spans("Entities in generated documents of unseen templates", finders, &held),
            documents(finders, &corpus.held),
            spans("Entities in our own documents of unseen templates", &alone, &corpus.held_own),
            spans("Entities in short messages", &alone, &corpus.held_messages),
            alarms(data, finders)?,
            latency(ours, corpus),
        ],
    })
}

// === Spans ===

/// Of one entity, in documents of which `found` was found.
///
/// A place found as part of an address counts as found, and one found inside a labelled address as right.
pub fn count(entity: Entity, finder: &dyn Finder, documents: &[Document], found: &[Vec<Found>]) -> Counts {
    let mut counts = Counts::default();
    for (document, found) in documents.iter().zip(found) {
        add(&mut counts, entity, finder, document, found);
    }
    counts
}

fn add(counts: &mut Counts, entity: Entity, finder: &dyn Finder, document: &Document, found: &[Found]) {
    let place = |kind: Entity| entity == Entity::Location && kind == Entity::Address;
    let labelled = |counts: &dyn Fn(Entity) -> bool| -> Vec<Range<usize>> {
        document.spans.iter().filter(|(_, kind)| counts(*kind)).map(|(span, _)| span.clone()).collect()
    };
    let ours = |counts: &dyn Fn(Entity) -> bool| -> Vec<Range<usize>> {
        found.iter().filter(|found| counts(found.entity)).map(|found| found.span.clone()).collect()
    };
    let stands_for = |kind: Entity| kind == entity || (entity == Entity::Address && finder.stands_for_address(kind));
    let covering = ours(&|kind| stands_for(kind) || place(kind));
    let covered = labelled(&|kind| stands_for(kind) || place(kind));
    counts.add_within(&labelled(&|kind| kind == entity), &ours(&stands_for), &covered, &covering);
}

/// Recall, precision and F2 of every entity, by every finder.
pub fn spans(title: &str, finders: &[&dyn Finder], documents: &[Document]) -> Table {
    let header = [&["entity", "by"], &Counts::HEADER[..]].concat();
    let mut table = Table::new(format!("{title} ({} documents)", documents.len()), &header);
    let found: Vec<Vec<Vec<Found>>> =
        finders.iter().map(|f| documents.iter().map(|d| f.find(&d.text)).collect()).collect();
    for entity in Entity::ALL {
        for (finder, found) in finders.iter().zip(&found) {
            let counts = count(entity, *finder, documents, found);
            if !counts.is_unlabelled() {
                let head = [entity.name(), finder.name()].map(str::to_owned);
                table.push(head.into_iter().chain(counts.cells()));
            }
        }
    }
    table
}

// === Documents ===

/// Whether something is in a document: labelled, and found.
pub struct Judged {
    person_or_address: [bool; 2],
    identifier: [bool; 2],
}

impl Judged {
    /// A document, judged by a finder.
    pub fn new(finder: &dyn Finder, held: &Held) -> Self {
        let private = |entity: Entity| matches!(entity, Entity::Person | Entity::Address);
        let Document { text, spans, .. } = &held.document;
        Self {
            person_or_address: [
                spans.iter().any(|(_, entity)| private(*entity)),
                finder.find(text).iter().any(|found| private(found.entity)),
            ],
            identifier: [held.has_identifier, finder.has_identifier(text)],
        }
    }

    /// A person, an address or an identifier.
    pub fn any(&self) -> [bool; 2] {
        [0, 1].map(|i| self.person_or_address[i] || self.identifier[i])
    }
}

/// Whether it is labelled, and found.
type Judge = fn(&Judged) -> [bool; 2];

/// Recall and false alarms of whole documents, by every finder.
pub fn documents(finders: &[&dyn Finder], held: &[Held]) -> Table {
    let header = [&["document holds", "by"], &DOCUMENT_HEADER[..]].concat();
    let mut table = Table::new(format!("Generated documents of unseen templates ({})", held.len()), &header);
    let by: [(&str, Judge); 3] = [
        ("a person or address", |judged| judged.person_or_address),
        ("an identifier", |judged| judged.identifier),
        ("a person, address or identifier", Judged::any),
    ];
    let judged: Vec<Vec<Judged>> = finders.iter().map(|f| held.iter().map(|h| Judged::new(*f, h)).collect()).collect();
    for (name, judge) in by {
        for (finder, judged) in finders.iter().zip(&judged) {
            let verdicts: Vec<[bool; 2]> = judged.iter().map(judge).collect();
            let head = vec![name.to_owned(), finder.name().to_owned()];
            table.push([head, document_cells(&verdicts)].concat());
        }
    }
    table
}

// === False alarms ===

/// Prompts that are about nobody the sender knows.
fn alarms(data: &Path, finders: &[&dyn Finder]) -> Result<Table, DataError> {
    let entities = Entity::ALL.map(Entity::name);
    let header: Vec<&str> = ["prompts", "by", "n"].into_iter().chain(entities).chain(["person and more"]).collect();
    let mut table = Table::new("Prompts in which something was found; a name alone is no private data", &header);
    for (name, file) in PROMPTS {
        let prompts: Vec<Prompt> = read_rows(data, file)?;
        let unseen = |prompt: &&Prompt| name != "MMLU" || prompt.domain.as_deref().is_some_and(held_subject);
        let texts: Vec<String> = prompts.iter().filter(unseen).map(Prompt::text).collect();
        for finder in finders {
            let found: Vec<Vec<Found>> = texts.iter().filter(|t| finder.has_seen(t)).map(|t| finder.find(t)).collect();
            let share = |test: &dyn Fn(&[Found]) -> bool| ratio(found.iter().filter(|f| test(f)).count(), found.len());
            let mut row = vec![name.to_owned(), finder.name().to_owned(), found.len().to_string()];
            row.extend(Entity::ALL.map(|entity| share(&|found| found.iter().any(|f| f.entity == entity))));
            row.push(share(&is_personal));
            table.push(row);
        }
    }
    Ok(table)
}

/// A name together with an address, a date of birth or a matter of health.
fn is_personal(found: &[Found]) -> bool {
    let has = |entity: Entity| found.iter().any(|f| f.entity == entity);
    has(Entity::Person) && (has(Entity::Address) || has(Entity::BirthDate) || has(Entity::Health))
}

// === Latency ===

fn latency(ours: &Ours<'_>, corpus: &Corpus) -> Table {
    let mut table = Table::new("Time for one text, folding included, on one core", &["text", "p50", "p99"]);
    for (name, size) in SIZES {
        let [middle, high] = times(ours, corpus, size);
        table.push([name.to_owned(), format!("{middle:.2} ms"), format!("{high:.2} ms")]);
    }
    table
}

/// Milliseconds for texts of `size` characters made of the held documents: the median, and the 99th of 100.
pub fn times(finder: &dyn Finder, corpus: &Corpus, size: usize) -> [f64; 2] {
    let texts: Vec<String> = corpus.held.iter().map(|held| held.document.text.clone()).collect();
    milliseconds(&texts, size, |text| {
        black_box(finder.find(text));
    })
}
