//! The recorded outcomes, and which of them are for what.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::super::data::{DataError, read_rows};

/// A prompt with the scores of a weak and a strong model, in [0, 1].
#[derive(Clone, Debug)]
pub struct Row {
    /// The data set's name in tables.
    pub set: &'static str,
    /// The prompt.
    pub prompt: String,
    /// The open, small model's score.
    pub weak: f64,
    /// The closed or large model's score.
    pub strong: f64,
    /// What the row is for.
    pub split: Split,
}

impl Row {
    /// How much better the strong model did.
    pub fn gain(&self) -> f64 {
        self.strong - self.weak
    }
}

/// What a row is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// Fitting the weights.
    Fit,
    /// Turning scores into gains.
    Calibrate,
    /// Measuring.
    HeldOut,
    /// Measuring: a subject of which no row is fitted on.
    UnseenSubject,
}

/// A data set, and which of its models stand for the weak and the strong one; the scores of several are averaged.
pub struct Source {
    name: &'static str,
    /// Its file in the data folder.
    pub file: &'static str,
    /// The models that stand for the weak one.
    pub weak: &'static [&'static str],
    /// The models that stand for the strong one.
    pub strong: &'static [&'static str],
    /// Whether subjects are kept away.
    has_subjects: bool,
    evaluate_only: bool,
}

const GPT_4: &[&str] = &["gpt-4-1106-preview"];

/// The data sets, in the order of fitting.
pub const SOURCES: [Source; 5] = [
    Source {
        name: "MMLU",
        file: "routing/routellm_mmlu.jsonl",
        weak: &["mixtral-8x7b-instruct-v0.1"],
        strong: GPT_4,
        has_subjects: true,
        evaluate_only: false,
    },
    Source {
        name: "GSM8K",
        file: "routing/routellm_gsm8k.jsonl",
        weak: &["mixtral-8x7b-instruct-v0.1"],
        strong: GPT_4,
        has_subjects: false,
        evaluate_only: false,
    },
    Source {
        name: "LLMRouter",
        file: "routing/llmrouter_train.jsonl",
        weak: &["qwen2.5-7b-instruct", "llama-3.1-8b-instruct", "gemma-2-9b-it", "mistral-7b-instruct-v0.3"],
        strong: &["llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"],
        has_subjects: false,
        evaluate_only: false,
    },
    Source {
        name: "RouterBench",
        file: "routing/routerbench_3tasks.jsonl",
        weak: &["mistralai/mistral-7b-chat", "mistralai/mixtral-8x7b-chat"],
        strong: GPT_4,
        has_subjects: false,
        evaluate_only: false,
    },
    Source {
        name: "RouterArena",
        file: "routing/routerarena_sub10.jsonl",
        weak: &["claude-3-haiku-20240307"],
        strong: &["gemini-2.0-flash-001"],
        has_subjects: false,
        evaluate_only: true,
    },
];

#[derive(Deserialize)]
struct Recorded {
    prompt: String,
    domain: String,
    scores: BTreeMap<String, Option<f64>>,
}

/// Every row of every data set, in a fixed order.
pub fn load(data: &Path) -> Result<Vec<Row>, DataError> {
    let mut rows = Vec::new();
    for source in &SOURCES {
        let recorded: Vec<Recorded> = read_rows(data, source.file)?;
        rows.extend(recorded.into_iter().filter_map(|row| prepare(source, row)));
    }
    Ok(rows)
}

fn prepare(source: &Source, row: Recorded) -> Option<Row> {
    let mean = |models: &[&str]| -> Option<f64> {
        models
            .iter()
            .map(|m| row.scores.get(*m).copied().flatten())
            .sum::<Option<f64>>()
            .map(|sum| sum / models.len() as f64)
    };
    let (weak, strong) = (mean(source.weak)?, mean(source.strong)?);
    let split = split(source, &question(&row.prompt), &row.domain);
    Some(Row { set: source.name, prompt: as_sent(row.prompt), weak, strong, split })
}

/// The letters and digits of a prompt, so that a question two data sets share falls into one split.
fn question(prompt: &str) -> String {
    prompt.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// By hashes of the prompt and subject: of 20 parts, 4 are held out and 3 calibrate; one subject in 5 is kept away.
fn split(source: &Source, prompt: &str, subject: &str) -> Split {
    let part = |text: &str, parts: u64| {
        let hash = blake3::hash(text.as_bytes());
        let bytes = hash.as_bytes();
        u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]) % parts
    };
    if source.has_subjects && part(subject, 5) == 0 {
        return Split::UnseenSubject;
    }
    match part(prompt, 20) {
        _ if source.evaluate_only => Split::HeldOut,
        0..4 => Split::HeldOut,
        4..7 => Split::Calibrate,
        _ => Split::Fit,
    }
}

/// RouterBench records a prompt as the text of a list of one string.
fn as_sent(prompt: String) -> String {
    match prompt.strip_prefix("['").and_then(|p| p.strip_suffix("']")) {
        Some(inner) => inner.replace("\\n", "\n").replace("\\'", "'"),
        None => prompt,
    }
}
