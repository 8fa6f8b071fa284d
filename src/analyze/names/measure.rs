//! How well names are recognised, beside what it costs.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::time::Instant;

use super::super::data::{DataError, read_rows};
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

/// Spans labelled and found.
#[derive(Default)]
pub struct Counts {
    labelled: usize,
    recalled: usize,
    found: usize,
    right: usize,
}

impl Counts {
    /// Of one entity, in documents of which `found` was found.
    pub fn of(entity: Entity, finder: &dyn Finder, documents: &[Document], found: &[Vec<Found>]) -> Self {
        let mut counts = Self::default();
        for (document, found) in documents.iter().zip(found) {
            counts.add(entity, finder, document, found);
        }
        counts
    }

    /// A span is recalled if half of it is found, and a finding right if half of it is labelled.
    ///
    /// A place found as part of an address counts as found, and one found inside a labelled address as right.
    fn add(&mut self, entity: Entity, finder: &dyn Finder, document: &Document, found: &[Found]) {
        let place = |kind: Entity| entity == Entity::Location && kind == Entity::Address;
        let labelled = |counts: &dyn Fn(Entity) -> bool| -> Vec<Range<usize>> {
            document.spans.iter().filter(|(_, kind)| counts(*kind)).map(|(span, _)| span.clone()).collect()
        };
        let ours = |counts: &dyn Fn(Entity) -> bool| -> Vec<Range<usize>> {
            found.iter().filter(|found| counts(found.entity)).map(|found| found.span.clone()).collect()
        };
        let stands_for =
            |kind: Entity| kind == entity || (entity == Entity::Address && finder.stands_for_address(kind));
        let (wanted, found) = (labelled(&|kind| kind == entity), ours(&stands_for));
        let covering = ours(&|kind| stands_for(kind) || place(kind));
        let covered = labelled(&|kind| stands_for(kind) || place(kind));
        self.labelled += wanted.len();
        self.recalled += wanted.iter().filter(|span| half_covered(span, &covering)).count();
        self.found += found.len();
        self.right += found.iter().filter(|span| half_covered(span, &covered)).count();
    }

    /// The harmonic mean of precision and recall with twice the weight on recall.
    pub fn f2(&self) -> f64 {
        let recall = self.recalled as f64 / self.labelled.max(1) as f64;
        let precision = self.right as f64 / self.found.max(1) as f64;
        5.0 * precision * recall / (4.0 * precision + recall).max(f64::MIN_POSITIVE)
    }
}

fn half_covered(span: &Range<usize>, by: &[Range<usize>]) -> bool {
    let covered = |other: &Range<usize>| other.end.min(span.end).saturating_sub(other.start.max(span.start));
    by.iter().map(covered).sum::<usize>() * 2 >= span.len()
}

/// Recall, precision and F2 of every entity, by every finder.
pub fn spans(title: &str, finders: &[&dyn Finder], documents: &[Document]) -> Table {
    let header = ["entity", "by", "labelled", "recall", "95% interval", "found", "precision", "F2"];
    let mut table = Table::new(format!("{title} ({} documents)", documents.len()), &header);
    let found: Vec<Vec<Vec<Found>>> =
        finders.iter().map(|f| documents.iter().map(|d| f.find(&d.text)).collect()).collect();
    for entity in Entity::ALL {
        for (finder, found) in finders.iter().zip(&found) {
            let counts = Counts::of(entity, *finder, documents, found);
            if counts.labelled > 0 {
                table.push(row(entity.name(), finder.name(), &counts));
            }
        }
    }
    table
}

fn row(entity: &str, by: &str, counts: &Counts) -> [String; 8] {
    let (low, high) = wilson(counts.recalled, counts.labelled);
    [
        entity.to_owned(),
        by.to_owned(),
        counts.labelled.to_string(),
        ratio(counts.recalled, counts.labelled),
        format!("{low:.3} to {high:.3}"),
        counts.found.to_string(),
        ratio(counts.right, counts.found),
        format!("{:.3}", counts.f2()),
    ]
}

/// The 95% interval of a share (Wilson 1927).
fn wilson(part: usize, whole: usize) -> (f64, f64) {
    let (n, z) = (whole.max(1) as f64, 1.96);
    let p = part as f64 / n;
    let centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
    let reach = z / (1.0 + z * z / n) * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    ((centre - reach).max(0.0), (centre + reach).min(1.0))
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
    let header =
        ["document holds", "by", "labelled", "recall", "95% interval", "others", "false alarms", "95% interval"];
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
            table.push([head, shares(tally(&verdicts, true)), shares(tally(&verdicts, false))].concat());
        }
    }
    table
}

/// Of those labelled so, how many were found, and how many there are.
pub fn tally(verdicts: &[[bool; 2]], labelled: bool) -> (usize, usize) {
    let of = verdicts.iter().filter(|verdict| verdict[0] == labelled);
    (of.clone().filter(|verdict| verdict[1]).count(), of.count())
}

/// How many there are, the share, and its interval.
fn shares((part, whole): (usize, usize)) -> Vec<String> {
    let (low, high) = wilson(part, whole);
    vec![whole.to_string(), ratio(part, whole), format!("{low:.3} to {high:.3}")]
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

/// English has about 4.4 bytes a token of the usual vocabularies.
const SIZES: [(&str, usize); 3] = [("200 tokens", 880), ("4 KiB", 4096), ("64 KiB", 65_536)];

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
    let all: Vec<char> = corpus.held.iter().flat_map(|held| held.document.text.chars().chain("\n\n".chars())).collect();
    let texts: Vec<String> = all.chunks(size).take(40).map(|chunk| chunk.iter().collect()).collect();
    let mut times: Vec<f64> = Vec::new();
    for text in texts.iter().cycle().take(400) {
        let start = Instant::now();
        black_box(finder.find(black_box(text)));
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    [50, 99].map(|share| times.get(times.len() * share / 100).copied().unwrap_or_default())
}
