//! What clients can do, as tables in docs/compatibility.md.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use super::{CLIENTS, Run};

const FEATURES: [&str; 10] = [
    "chat",
    "stream",
    "tools",
    "streamed tools",
    "parallel tools",
    "structured output",
    "vision",
    "reasoning",
    "usage",
    "errors",
];
const BEGIN: &str = "<!-- written by `make compat` -->\n";
const END: &str = "<!-- until here -->\n";

/// All clients with one kind of model behind the gateway.
pub struct Table<'a> {
    pub title: &'a str,
    /// What is behind it, and how the clients' checks ended.
    pub behind: &'a [(&'a str, Vec<Run>)],
}

/// Compares `tables` with the document, which is written anew where they differ.
pub fn keep(tables: &[Table<'_>]) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let document = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("the document has a place for the tables");
    let (told, after) = rest.split_once(END).expect("the place ends");
    let told_now: String = tables.iter().map(Table::text).collect();
    if told != told_now {
        std::fs::write(&file, [before, BEGIN, &told_now, END, after].concat()).unwrap();
        panic!("docs/compatibility.md told of other clients: it is written anew");
    }
}

impl Table<'_> {
    fn text(&self) -> String {
        let mut text = format!("\n{}:\n\n| | {} |\n|---{}|\n", self.title, FEATURES.join(" | "), "|---".repeat(10));
        for (index, client) in CLIENTS.iter().enumerate() {
            let language = if client.is_python() { "Python" } else { "Node" };
            let name = format!("{} ({language}), {}", self.name(index), client.dialect);
            let cells: Vec<String> = FEATURES.iter().map(|feature| self.cell(index, feature)).collect();
            writeln!(text, "| {name} | {} |", cells.join(" | ")).unwrap();
        }
        text.push('\n');
        text
    }

    /// The packages and versions that the client says it is.
    fn name(&self, client: usize) -> &str {
        let (_, runs) = &self.behind[0];
        let told = runs[client].output.lines().find_map(|line| line.strip_prefix("client  "));
        told.expect("a client says what it is")
    }

    /// How the checks of a feature ended, which is the same whoever is behind the gateway.
    fn cell(&self, client: usize, feature: &str) -> String {
        let ends = self.behind.iter().flat_map(|(_, runs)| runs[client].ends(feature));
        let ends: BTreeSet<&str> = ends.collect();
        if ends.is_empty() { "–".to_owned() } else { ends.into_iter().collect::<Vec<_>>().join(", ") }
    }
}

impl Run {
    /// How each check of `feature` ended.
    fn ends(&self, feature: &str) -> impl Iterator<Item = &'static str> {
        self.output.lines().filter_map(move |line| {
            let (end, name) = line.split_at_checked(8)?;
            name.strip_prefix('[')?.strip_prefix(feature)?.strip_prefix(']')?;
            match end.trim_end() {
                "ok" => Some("yes"),
                "refused" => Some("refused"),
                _ => None,
            }
        })
    }
}
