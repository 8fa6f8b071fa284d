//! What the record says about the demo's requests, for people.

use ajar::{
    chat::MicroUsd,
    record::{Cache, Row},
};
use comfy_table::{CellAlignment, ContentArrangement, LineStyle, Table, presets};
use serde_json::Value;

use crate::prompts::{Expect, Prompt};

/// The widest that the table gets, in columns.
const WIDTH: u16 = 120;

/// A prompt and its row of the record.
pub struct Seen {
    pub prompt: Prompt,
    pub row: Row,
}

impl Seen {
    /// What is wrong, if it did not go where it should.
    pub fn mismatch(&self) -> Option<String> {
        let row = &self.row;
        let shut_in = row.bytes_out == 0 && self.is_barred_somewhere();
        let local = row.local == Some(true);
        let as_expected = match self.prompt.expect {
            Expect::Local => local && !shut_in && row.cache != Cache::Hit,
            Expect::Private => local && shut_in,
            Expect::Closed => row.local == Some(false),
            Expect::Cache => row.cache == Cache::Hit,
        };
        let answered = row.served_by.as_deref().unwrap_or("nobody");
        let class = row.class.as_deref().unwrap_or("unknown");
        (!as_expected).then(|| {
            let (id, expect) = (&self.prompt.id, self.prompt.expect);
            format!(
                "`{id}` should be {expect:?}, but: class {class}, answered by {answered}, cache {}",
                row.cache.name()
            )
        })
    }

    fn is_barred_somewhere(&self) -> bool {
        let decision = self.decision();
        decision["destinations"].as_array().into_iter().flatten().any(|destination| destination["permitted"] == false)
    }

    fn decision(&self) -> Value {
        serde_json::from_str(&self.row.decision).unwrap_or_default()
    }

    /// The class, and the findings that led to it.
    fn class(&self) -> String {
        let decision = self.decision();
        let detectors = decision["detectors"].as_array().into_iter().flatten();
        let entities = detectors.flat_map(|detector| detector["entities"].as_array().into_iter().flatten());
        let found: Vec<&str> = entities.filter_map(|entity| entity[0].as_str()).collect();
        let class = self.row.class.as_deref().unwrap_or("–");
        match found.is_empty() {
            true => class.to_owned(),
            false => format!("{class} ({})", found.join(", ")),
        }
    }
}

/// One line per request.
pub fn table(seen: &[Seen], closed: &str) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(WIDTH);
    table.set_header([
        "request",
        "class (found)",
        "gain",
        "route",
        "answered by",
        "cache",
        "in/out",
        "USD",
        "first ms",
        "total ms",
    ]);
    for one in seen {
        table.add_row(cells(one, closed));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((0, 1));
        if matches!(index, 2 | 6..) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn cells(seen: &Seen, closed: &str) -> [String; 10] {
    let row = &seen.row;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let served_by = row.served_by.as_deref().map(|name| match row.local {
        Some(false) => format!("{name} ({closed})"),
        _ => name.to_owned(),
    });
    let tokens = row.input_tokens.zip(row.output_tokens).map(|(input, output)| format!("{input}/{output}"));
    [
        seen.prompt.id.clone(),
        seen.class(),
        or_dash(row.est_gain.map(|gain| format!("{gain:.2}"))),
        or_dash(row.route.as_deref().map(str::to_owned)),
        or_dash(served_by),
        row.cache.name().to_owned(),
        or_dash(tokens),
        or_dash(row.cost.map(|cost| cost.to_string())),
        or_dash(row.timing.ttft.map(|ms| format!("{ms:.1}"))),
        format!("{:.1}", row.timing.total),
    ]
}

/// How many stayed, and what the others cost.
pub fn summary(seen: &[Seen]) -> String {
    let home = seen.iter().filter(|one| one.row.bytes_out == 0).count();
    let hits = seen.iter().filter(|one| one.row.cache == Cache::Hit).count();
    let cost: MicroUsd =
        seen.iter().filter_map(|one| one.row.cost).fold(MicroUsd::ZERO, |sum, cost| MicroUsd(sum.0 + cost.0));
    let left = seen.len() - home;
    format!(
        "{home} of {} requests were answered on this host ({hits} from the cache), {left} by the closed model for ${cost} in all.",
        seen.len()
    )
}
