//! Measures the detectors on labelled text.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::data::{DataError, read_rows};
use super::prompts::{PROMPTS, Prompt};
use super::report::{Report, Table, ratio};
use crate::chat::{Part, Source};
use crate::classify::{DetectorKind, DetectorSpec, Finding, PatternSet, Recognizer, Scan, Scanner};

/// Precision and recall a kind of entity, recall and false alarms on secrets, and false alarms on ordinary prompts.
///
/// `data` is the folder with `pii/`, `secrets/`, `traffic/` and `routing/`.
pub fn evaluate(data: &Path) -> Result<Report, DataError> {
    let scanner = Scanner::new(&all_detectors());
    Ok(Report { tables: vec![identifiers(data, &scanner)?, secrets(data, &scanner)?, alarms(data, &scanner)?] })
}

/// Identifiers and contact data as a policy would declare them, without document labels.
fn all_detectors() -> Vec<DetectorSpec> {
    let recognizers = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
    let named = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
    vec![
        named("identifier", DetectorKind::Checksum(recognizers)),
        named("contact", DetectorKind::Pattern(PatternSet::Contact)),
        named(SECRET, DetectorKind::Pattern(PatternSet::Secrets)),
    ]
}

const SECRET: &str = "secret";
/// Index of the detector of secrets in [`all_detectors`].
const SECRET_INDEX: u16 = 2;

fn scan(scanner: &Scanner, text: &str) -> Scan {
    scanner.scan(&[Part { source: Source::User, text: text.into() }])
}

// === Identifiers ===

#[derive(Deserialize)]
struct Document {
    text: String,
    spans: Vec<(usize, usize, String)>,
}

/// The data set's names and ours.
const ENTITIES: [(&str, &str); 6] = [
    ("CREDIT_CARD", "card"),
    ("IBAN_CODE", "iban"),
    ("US_SSN", "us_ssn"),
    ("EMAIL_ADDRESS", "email"),
    ("PHONE_NUMBER", "phone"),
    ("IP_ADDRESS", "ip"),
];

#[derive(Clone, Copy, Default)]
struct Counts {
    labelled: usize,
    recalled: usize,
    found: usize,
    right: usize,
}

fn identifiers(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let documents: Vec<Document> = read_rows(data, "pii/presidio_generated_large.jsonl")?;
    let scans: Vec<Scan> = documents.iter().map(|d| scan(scanner, &d.text)).collect();
    let title = format!("Identifiers in {} generated documents", documents.len());
    let mut table = Table::new(title, &["entity", "labelled", "recall", "found", "precision"]);
    for (label, entity) in ENTITIES {
        let mut counts = Counts::default();
        for (document, scan) in documents.iter().zip(&scans) {
            count(&mut counts, &labelled(document, label), &found(scan, entity));
        }
        table.push([
            entity.to_owned(),
            counts.labelled.to_string(),
            ratio(counts.recalled, counts.labelled),
            counts.found.to_string(),
            ratio(counts.right, counts.found),
        ]);
    }
    Ok(table)
}

fn count(counts: &mut Counts, labelled: &[Range<usize>], found: &[Range<usize>]) {
    let overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
    counts.labelled += labelled.len();
    counts.recalled += labelled.iter().filter(|l| found.iter().any(|f| overlap(l, f))).count();
    counts.found += found.len();
    counts.right += found.iter().filter(|f| labelled.iter().any(|l| overlap(l, f))).count();
}

/// Byte ranges of a label; the data set counts characters.
fn labelled(document: &Document, label: &str) -> Vec<Range<usize>> {
    let bytes = |chars: usize| document.text.char_indices().nth(chars).map_or(document.text.len(), |(at, _)| at);
    let spans = document.spans.iter().filter(|(_, _, kind)| kind == label);
    spans.map(|(start, end, _)| bytes(*start)..bytes(*end)).collect()
}

fn found(scan: &Scan, entity: &str) -> Vec<Range<usize>> {
    scan.findings.iter().filter(|f| f.entity == entity).map(|f| f.span.clone()).collect()
}

// === Secrets ===

#[derive(Deserialize)]
struct Labelled {
    text: String,
    label: u8,
}

fn secrets(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let prompts: Vec<Labelled> = read_rows(data, "secrets/secrets_prompts.jsonl.gz")?;
    let alarmed = |label: u8| {
        let of_label = prompts.iter().filter(|p| p.label == label);
        let (mut all, mut alarms) = (0, 0);
        for prompt in of_label {
            all += 1;
            alarms += usize::from(scan(scanner, &prompt.text).findings.iter().any(is_secret));
        }
        (alarms, all)
    };
    let ((hits, positives), (alarms, negatives)) = (alarmed(1), alarmed(0));
    let mut table =
        Table::new("Secrets in prompts", &["with a secret", "recall", "hard negatives", "false alarms", "precision"]);
    table.push([
        positives.to_string(),
        ratio(hits, positives),
        negatives.to_string(),
        ratio(alarms, negatives),
        ratio(hits, hits + alarms),
    ]);
    Ok(table)
}

fn is_secret(finding: &Finding) -> bool {
    finding.detector == SECRET_INDEX
}

// === False alarms ===

fn alarms(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let entities = ["card", "iban", "us_ssn", "email", "phone", "ip"];
    let header: Vec<&str> = ["prompts", "n"].into_iter().chain(entities).chain([SECRET]).collect();
    let mut table = Table::new("Prompts in which something was found, none of them labelled", &header);
    for (name, file) in PROMPTS {
        let scans: Vec<Scan> = read_rows::<Prompt>(data, file)?.iter().map(|p| scan(scanner, &p.text())).collect();
        let with =
            |test: &dyn Fn(&Finding) -> bool| scans.iter().filter(|s| s.findings.iter().any(test)).count().to_string();
        let mut row = vec![name.to_owned(), scans.len().to_string()];
        row.extend(entities.iter().map(|entity| with(&|f| f.entity == *entity)));
        row.push(with(&is_secret));
        table.push(row);
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::path::Path;

    use super::evaluate;

    fn write(folder: &Path, name: &str, lines: &str) {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if name.ends_with(".gz") {
            let file = std::fs::File::create(path).unwrap();
            let mut gz = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
            gz.write_all(lines.as_bytes()).unwrap();
            gz.finish().unwrap();
        } else {
            std::fs::write(path, lines).unwrap();
        }
    }

    #[test]
    fn recall_and_precision_count_labelled_and_found_spans() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let documents = "{\"text\":\"é a@b.com\",\"spans\":[[2,9,\"EMAIL_ADDRESS\"]]}\n\
            {\"text\":\"x@y.org or nobody\",\"spans\":[[11,17,\"EMAIL_ADDRESS\"]]}\n";
        write(folder, "pii/presidio_generated_large.jsonl", documents);
        let secrets = "{\"text\":\"password: hunter22x\",\"label\":1}\n{\"text\":\"hello\",\"label\":1}\n{\"text\":\"bye\",\"label\":0}\n";
        write(folder, "secrets/secrets_prompts.jsonl.gz", secrets);
        write(folder, "traffic/mt_bench_questions.jsonl", "{\"turns\":[\"one\",\"ping 10.1.2.30\"]}\n");
        for name in
            ["traffic/arena_hard_v0.1_questions.jsonl", "routing/routellm_mmlu.jsonl", "routing/routellm_gsm8k.jsonl"]
        {
            write(folder, name, "{\"prompt\":\"hello\"}\n");
        }
        write(folder, "traffic/HumanEval.jsonl.gz", "{\"prompt\":\"def f(): pass\"}\n");
        insta::assert_snapshot!(evaluate(folder).unwrap());
    }
}
