//! What can go wrong with the ledger, in the operator's words.

use std::path::{Path, PathBuf};

use sqlx::error::DatabaseError;

/// Why something cannot be entered, or the ledger cannot be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The entry is not on disk, so nothing left.
    #[error("the egress ledger cannot be written: {0}; nothing was sent")]
    Unwritten(String),
    /// More entries wait than may.
    #[error("the egress ledger's queue is full; nothing was sent")]
    Full,
    /// It took too long.
    #[error("the egress ledger was not written in time; nothing was sent")]
    Slow,
    /// The process is stopping, or has no ledger at all.
    #[error("there is no egress ledger to write to; nothing was sent")]
    Closed,
    /// The file cannot be opened or created.
    #[error("the egress ledger `{path}` cannot be opened: {why}; check `ledger.path`, its permissions and the disk")]
    Open {
        /// Where.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// There is no file to read.
    #[error("there is no egress ledger `{0}`: serving makes it; check `ledger.path` and the folder you are in")]
    Missing(PathBuf),
    /// Somebody else's database.
    #[error("`{0}` is no egress ledger of this version of ajar; set `ledger.path` to a file of its own")]
    Foreign(PathBuf),
    /// The key is unusable.
    #[error("the ledger's key `{path}`: {why}")]
    Key {
        /// Where.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A statement failed.
    #[error("the egress ledger failed: {0}")]
    Sql(#[from] sqlx::Error),
    /// A file of checkpoints cannot be read or written.
    #[error("the checkpoints `{path}`: {why}")]
    Checkpoints {
        /// Where.
        path: PathBuf,
        /// What is wrong with them.
        why: String,
    },
}

/// SQLite's result code for a file that is no database.
const NOT_A_DATABASE: &str = "26";

impl LedgerError {
    /// Says what `error` means when it comes while opening `path`.
    pub(super) fn opening(path: &Path, error: &sqlx::Error) -> Self {
        match error.as_database_error().and_then(DatabaseError::code) {
            Some(code) if code == NOT_A_DATABASE => Self::Foreign(path.to_owned()),
            _ => Self::Open { path: path.to_owned(), why: error.to_string() },
        }
    }
}
