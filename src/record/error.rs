//! What can go wrong with the store, in the operator's words.

use std::path::{Path, PathBuf};

use sqlx::error::DatabaseError;

/// Why the store cannot be opened or asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or created.
    #[error("the record store `{path}` cannot be opened: {why}; check `record.path` and its permissions")]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// There is no file to read.
    #[error("there is no record store `{0}`: serving makes it; check `record.path` and the folder you are in")]
    Missing(PathBuf),
    /// Another process holds a lock.
    #[error(
        "the record store `{0}` is locked by another process; is a second ajar or a long transaction running on it?"
    )]
    Locked(PathBuf),
    /// No permission to write.
    #[error("the record store `{0}` is read-only; make the file and its folder writable, or set `record.path`")]
    ReadOnly(PathBuf),
    /// Not SQLite, or damaged.
    #[error(
        "the record store `{0}` is damaged or is no SQLite file; move it away to start a new one, or restore a copy"
    )]
    Damaged(PathBuf),
    /// Somebody else's database.
    #[error("`{0}` is a database of another program; set `record.path` to a file of its own")]
    Foreign(PathBuf),
    /// Written by a later version.
    #[error("the record store `{path}` has schema {found}, and this ajar knows up to {known}; use the newer ajar")]
    Newer {
        /// Where.
        path: PathBuf,
        /// In the file.
        found: i64,
        /// In this program.
        known: i64,
    },
    /// No record has this id.
    #[error("there is no record `{0}`")]
    NoRecord(String),
    /// Several records have ids that begin so.
    #[error("`{0}` begins the ids of several records; give more characters")]
    Ambiguous(String),
    /// A statement failed.
    #[error("the record store failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// An export could not be written.
    #[error("the export cannot be written: {0}")]
    Write(#[from] std::io::Error),
    /// A row that this program did not write.
    #[error("record `{id}` is damaged: `{column}` is not understood")]
    Row {
        /// Whose.
        id: String,
        /// Which.
        column: &'static str,
    },
}

// SQLite's primary result codes; an extended code holds one of them in its low byte.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READ_ONLY: i32 = 8;
const CORRUPT: i32 = 11;
const NOT_A_DATABASE: i32 = 26;

impl StoreError {
    /// Says what `error` means when it comes while opening `path`.
    pub(super) fn opening(path: &Path, error: sqlx::Error) -> Self {
        let path = path.to_owned();
        match primary_code(&error) {
            Some(BUSY | LOCKED) => Self::Locked(path),
            Some(READ_ONLY) => Self::ReadOnly(path),
            Some(CORRUPT | NOT_A_DATABASE) => Self::Damaged(path),
            _ => Self::Open { path, why: error.to_string() },
        }
    }
}

fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let code: i32 = error.as_database_error().and_then(DatabaseError::code)?.parse().ok()?;
    Some(code & 0xff)
}
