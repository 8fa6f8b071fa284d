//! Measures the detectors on labelled text.

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;

use super::counts::{DOCUMENT_HEADER, document_cells, half_covered, tally};
use super::data::{DataError, read_rows};
use super::identifiers::{self, scan};
use super::latency::{SIZES, milliseconds};
use super::presidio::Presidio;
use super::prompts::{PROMPTS, Prompt};
use super::report::{Report, Table, ratio};
use crate::classify::{DetectorKind, DetectorSpec, Finding, PatternSet, Scan, Scanner};

/// Recall, precision and F2 of each identifier and of secrets, and false alarms on ordinary prompts.
///
/// `data` is the folder with `pii/`, `secrets/`, `traffic/` and `routing/`; `beside` holds what Presidio found in the
/// same texts.
pub fn evaluate(data: &Path, beside: Option<&Path>) -> Result<Report, DataError> {
    let mut specs = identifiers::detectors();
    specs.push(DetectorSpec { name: SECRET.to_owned(), kind: DetectorKind::Pattern(PatternSet::Secrets) });
    let scanner = Scanner::new(&specs);
    let presidio = beside.map(Presidio::read).transpose()?;
    let [entities, documents] = identifiers::evaluate(data, &scanner, presidio.as_ref())?;
    let secrets = secrets(data, &scanner)?;
    Ok(Report { tables: vec![entities, documents, secrets, alarms(data, &scanner)?, latency(data, &scanner)?] })
}

const SECRET: &str = "secret";
/// Index of the detector of secrets, after [`identifiers::detectors`].
const SECRET_INDEX: u16 = 2;

// === Secrets ===

#[derive(Deserialize)]
struct Labelled {
    text: String,
    /// Empty where there is none.
    #[serde(default)]
    secret: String,
    label: u8,
}

fn secrets(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let prompts: Vec<Labelled> = read_rows(data, "secrets/secrets_prompts.jsonl.gz")?;
    let header = [&DOCUMENT_HEADER[..], &["precision"]].concat();
    let mut table = Table::new("Prompts with a secret, and with what resembles one", &header);
    let verdicts: Vec<[bool; 2]> = prompts.iter().map(|prompt| prompt.verdict(scanner)).collect();
    let (hits, alarms) = (tally(&verdicts, true).0, tally(&verdicts, false).0);
    table.push([document_cells(&verdicts), vec![ratio(hits, hits + alarms)]].concat());
    Ok(table)
}

impl Labelled {
    /// Whether there is a secret, and whether half of it is found; of a text without one, whether anything is.
    fn verdict(&self, scanner: &Scanner) -> [bool; 2] {
        let found: Vec<Range<usize>> =
            scan(scanner, &self.text).findings.iter().filter(|f| is_secret(f)).map(|f| f.span.clone()).collect();
        match self.text.find(&self.secret).filter(|_| self.label == 1) {
            Some(start) => [true, half_covered(&(start..start + self.secret.len()), &found)],
            None => [self.label == 1, !found.is_empty()],
        }
    }
}

fn is_secret(finding: &Finding) -> bool {
    finding.detector == SECRET_INDEX
}

// === False alarms ===

fn alarms(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let entities = identifiers::ENTITIES.map(|(_, entity)| entity);
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

// === Latency ===

fn latency(data: &Path, scanner: &Scanner) -> Result<Table, DataError> {
    let texts = identifiers::texts(data)?;
    let mut table =
        Table::new("Time for one text on one core, without the recogniser of names", &["text", "p50", "p99"]);
    for (name, size) in SIZES {
        let [middle, high] = milliseconds(&texts, size, |text| {
            black_box(scan(scanner, text));
        });
        table.push([name.to_owned(), format!("{middle:.3} ms"), format!("{high:.3} ms")]);
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
    fn recall_and_precision_count_labelled_and_found_spans_of_ours_and_presidios() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let documents = "{\"text\":\"é a@b.com\",\"spans\":[[2,9,\"EMAIL_ADDRESS\"]]}\n\
            {\"text\":\"x@y.org or nobody\",\"spans\":[[11,17,\"EMAIL_ADDRESS\"]]}\n";
        write(folder, "pii/presidio_generated_large.jsonl", documents);
        let secrets = "{\"text\":\"password: hunter22x\",\"secret\":\"hunter22x\",\"label\":1}\n\
            {\"text\":\"hello\",\"secret\":\"hello\",\"label\":1}\n{\"text\":\"bye\",\"label\":0}\n";
        write(folder, "secrets/secrets_prompts.jsonl.gz", secrets);
        write(folder, "traffic/mt_bench_questions.jsonl", "{\"turns\":[\"one\",\"ping 10.1.2.30\"]}\n");
        for name in
            ["traffic/arena_hard_v0.1_questions.jsonl", "routing/routellm_mmlu.jsonl", "routing/routellm_gsm8k.jsonl"]
        {
            write(folder, name, "{\"prompt\":\"hello\"}\n");
        }
        write(folder, "traffic/HumanEval.jsonl.gz", "{\"prompt\":\"def f(): pass\"}\n");
        let beside = "{\"text\":\"é a@b.com\",\"spans\":[[2,9,\"EMAIL_ADDRESS\",1.0],[0,1,\"PERSON\",0.5]]}\n";
        write(folder, "findings.jsonl", beside);
        let mut report = evaluate(folder, Some(&folder.join("findings.jsonl"))).unwrap();
        report.tables.pop().expect("times differ from run to run");
        insta::assert_snapshot!(report);
    }
}
