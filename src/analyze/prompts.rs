//! Ordinary prompts of public benchmarks, for measuring false alarms.

use serde::Deserialize;

/// A prompt of one or more turns.
#[derive(Deserialize)]
pub struct Prompt {
    #[serde(alias = "turns")]
    prompt: OneOrMore,
    /// The subject, where the benchmark has subjects.
    #[serde(default)]
    pub domain: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

impl Prompt {
    /// All its turns.
    pub fn text(&self) -> String {
        match &self.prompt {
            OneOrMore::One(text) => text.clone(),
            OneOrMore::More(turns) => turns.join("\n"),
        }
    }
}

/// The benchmarks' names and their files in the data folder.
pub const PROMPTS: [(&str, &str); 5] = [
    ("MT-Bench", "traffic/mt_bench_questions.jsonl"),
    ("Arena-Hard", "traffic/arena_hard_v0.1_questions.jsonl"),
    ("HumanEval", "traffic/HumanEval.jsonl.gz"),
    ("MMLU", "routing/routellm_mmlu.jsonl"),
    ("GSM8K", "routing/routellm_gsm8k.jsonl"),
];
