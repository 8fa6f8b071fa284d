//! What an evaluation prints.

use std::fmt;

use comfy_table::presets::ASCII_MARKDOWN;

/// Tables with their headings, printed as Markdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In the order of printing.
    pub tables: Vec<Table>,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Cells, as many a row as there are columns.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(title: impl Into<String>, header: &[&str]) -> Self {
        Self { title: title.into(), header: header.iter().map(|h| (*h).to_owned()).collect(), rows: Vec::new() }
    }

    /// Adds a row.
    pub fn push(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, table) in self.tables.iter().enumerate() {
            let mut printed = comfy_table::Table::new();
            printed.load_style(ASCII_MARKDOWN).set_header(&table.header).add_rows(&table.rows);
            let gap = if i == 0 { "" } else { "\n" };
            writeln!(f, "{gap}{}\n\n{printed}", table.title)?;
        }
        Ok(())
    }
}

/// A share as `0.93`, or a dash where there is nothing to divide by.
pub(super) fn ratio(part: usize, whole: usize) -> String {
    if whole == 0 { "–".to_owned() } else { format!("{:.3}", part as f64 / whole as f64) }
}
