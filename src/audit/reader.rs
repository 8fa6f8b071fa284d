//! The read side: for verifying, for reports and for people.

use std::path::Path;

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection, query, query_scalar};

use super::columns::{read, select};
use super::open::open_to_read;
use super::verify::Verifier;
use super::{Checkpoint, Entry, LedgerError, PublicKey, Verification};

/// A ledger that somebody reads. It works beside a running gateway.
#[derive(Debug)]
pub struct Audit {
    conn: SqliteConnection,
    id: String,
}

/// What a chain is verified against, apart from itself.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// Checkpoints that were kept elsewhere.
    pub checkpoints: Vec<Checkpoint>,
    /// The keys that may have signed; any where there is none.
    pub keys: Vec<PublicKey>,
}

impl Audit {
    /// Opens an existing ledger.
    ///
    /// # Errors
    /// There is none, or it cannot be read.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let (conn, id) = open_to_read(path).await?;
        Ok(Self { conn, id })
    }

    /// The latest checkpoint that is stored.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn checkpoint(&mut self) -> Result<Option<Checkpoint>, LedgerError> {
        let latest = "SELECT statement FROM checkpoint ORDER BY entries DESC LIMIT 1";
        let line: Option<String> = query_scalar(latest).fetch_optional(&mut self.conn).await?;
        Ok(line.and_then(|line| serde_json::from_str(&line).ok()))
    }

    /// The last `n` entries, oldest first; where `request` is given, of that request alone. Rows that are no entries are
    /// left out: [`Audit::verify`] names them.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn tail(&mut self, n: u32, request: Option<&str>) -> Result<Vec<Entry>, LedgerError> {
        let condition =
            "WHERE seq IN (SELECT seq FROM entry WHERE ?1 IS NULL OR request = ?1 ORDER BY seq DESC LIMIT ?2)";
        let rows = query(AssertSqlSafe(select(condition))).bind(request).bind(n).fetch_all(&mut self.conn).await?;
        Ok(rows.iter().filter_map(|row| read(row).ok()).collect())
    }

    /// Reads the whole chain, checks it against itself, its signed statements and `against`, and shows `each` entry that
    /// is whole to the caller.
    ///
    /// # Errors
    /// The file cannot be read at all. What is wrong with the chain is in the [`Verification`].
    pub async fn verify(
        &mut self,
        against: Against,
        mut each: impl FnMut(&Entry),
    ) -> Result<Verification, LedgerError> {
        // One view of the file, whatever is written meanwhile.
        let mut tx = self.conn.begin().await?;
        let statements = "SELECT statement FROM checkpoint ORDER BY entries";
        let own: Vec<String> = query_scalar(statements).fetch_all(&mut *tx).await?;
        let pruned: Option<String> = query_scalar("SELECT statement FROM pruned").fetch_optional(&mut *tx).await?;
        let mut verifier = Verifier::new(&self.id, own, pruned, against);
        let all = select("");
        let mut rows = query(AssertSqlSafe(all)).fetch(&mut *tx);
        while let Some(row) = rows.try_next().await? {
            verifier.row(&row, &mut each);
        }
        Ok(verifier.finish())
    }
}
