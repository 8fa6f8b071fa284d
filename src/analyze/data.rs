//! Reads evaluation data: files of one JSON object a line, perhaps compressed with gzip.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use serde::de::DeserializeOwned;

/// Why data could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file is missing or unreadable.
    #[error("reading `{}` (is `--data` the folder that holds `routing/`, `pii/`, `secrets/`?)", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is not the expected object.
    #[error("line {line} of `{}` is not a row of this data set", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A result could not be written.
    #[error("writing `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Every row of `folder/name`, in order.
pub fn read_rows<T: DeserializeOwned>(folder: &Path, name: &str) -> Result<Vec<T>, DataError> {
    let path = folder.join(name);
    let unreadable = |source| DataError::Read { path: path.clone(), source };
    let file = File::open(&path).map_err(unreadable)?;
    let bytes: Box<dyn Read> = if name.ends_with(".gz") { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
    let mut rows = Vec::new();
    for (index, line) in BufReader::new(bytes).lines().enumerate() {
        let line = line.map_err(unreadable)?;
        let row = serde_json::from_str(&line);
        rows.push(row.map_err(|source| DataError::Row { path: path.clone(), line: index + 1, source })?);
    }
    Ok(rows)
}

/// A hash of a text, below `parts`: on which side of a split it is.
pub fn part(text: &str, parts: u64) -> u64 {
    let hash = blake3::hash(text.as_bytes());
    let bytes = hash.as_bytes();
    u64::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]]) % parts
}
