//! Entries to SQL and back: the one place that knows the columns of `schema.sql`.

use std::sync::{Arc, LazyLock};

use blake3::Hash;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, Row as _};

use super::entry::{Entry, Sent, What};

/// In the order of [`bind`] and [`read`], which go by position: names would be looked up for every row.
const COLUMNS: &str = "seq, kind, at, request, attempt, destination, origin, boundary, class, basis, transforms, body, \
    bytes, policy, audit, lost, prev, hash";
const WIDTH: usize = 18;

/// Rows per statement: few statements for large batches, and few enough different ones to stay prepared.
const CHUNKS: [usize; 3] = [64, 8, 1];

static INSERTS: LazyLock<[Arc<str>; 3]> = LazyLock::new(|| CHUNKS.map(insert_statement));

/// All entries in their order. A `WHERE` may be put before the order.
pub(super) fn select(condition: &str) -> String {
    format!("SELECT {COLUMNS} FROM entry {condition} ORDER BY seq, rowid")
}

fn insert_statement(rows: usize) -> Arc<str> {
    let tuple = format!("({})", vec!["?"; WIDTH].join(","));
    format!("INSERT INTO entry ({COLUMNS}) VALUES {}", vec![tuple; rows].join(",")).into()
}

/// Writes `entries`. To be called within a transaction.
pub(super) async fn insert(conn: &mut SqliteConnection, mut entries: &[Entry]) -> Result<(), sqlx::Error> {
    while let Some(i) = CHUNKS.iter().position(|rows| *rows <= entries.len()) {
        let (chunk, rest) = entries.split_at(CHUNKS[i]);
        let mut arguments = SqliteArguments::default();
        for entry in chunk {
            bind(&mut arguments, entry).map_err(sqlx::Error::Encode)?;
        }
        sqlx::query_with(AssertSqlSafe(INSERTS[i].clone()), arguments).execute(&mut *conn).await?;
        entries = rest;
    }
    Ok(())
}

fn bind(to: &mut SqliteArguments, entry: &Entry) -> Result<(), BoxDynError> {
    let (sent, lost) = match &entry.what {
        What::Sent(sent) => (Some(sent), None),
        What::Gap { lost, .. } => (None, Some(*lost)),
    };
    let boundary = match &entry.what {
        What::Sent(sent) => &sent.boundary,
        What::Gap { boundary, .. } => boundary,
    };
    to.add(integer(entry.seq))?;
    to.add(entry.what.kind())?;
    to.add(entry.at.as_str())?;
    to.add(sent.map(|s| s.request.as_str()))?;
    to.add(sent.map(|s| s.attempt))?;
    to.add(sent.map(|s| s.destination.as_str()))?;
    to.add(sent.map(|s| s.origin.as_str()))?;
    to.add(boundary.as_str())?;
    to.add(sent.map(|s| s.class.as_str()))?;
    to.add(sent.map(|s| s.basis.as_str()))?;
    to.add(sent.map(|s| s.transforms.as_str()))?;
    to.add(sent.map(|s| &s.body.as_bytes()[..]))?;
    to.add(sent.map(|s| integer(s.bytes)))?;
    to.add(sent.map(|s| s.policy.as_str()))?;
    to.add(sent.map(|s| s.audit.as_str()))?;
    to.add(lost.map(integer))?;
    to.add(&entry.prev.as_bytes()[..])?;
    to.add(&entry.hash.as_bytes()[..])
}

/// The number of a row, where it has one that an entry can have.
pub(super) fn number(row: &SqliteRow) -> Option<u64> {
    natural(row, 0).ok()
}

/// A row as an entry.
///
/// # Errors
/// The name of a column that holds what no entry can have.
pub(super) fn read(row: &SqliteRow) -> Result<Entry, &'static str> {
    let seq = natural(row, 0).map_err(|_| "seq")?;
    let text = |i, name| present::<String>(row, i).ok_or(name);
    let what = match present::<&str>(row, 1).ok_or("kind")? {
        "sent" => {
            absent::<i64>(row, 15, "lost")?;
            What::Sent(Sent {
                request: text(3, "request")?,
                attempt: natural(row, 4).ok().and_then(|n| u32::try_from(n).ok()).ok_or("attempt")?,
                destination: text(5, "destination")?,
                origin: text(6, "origin")?,
                boundary: text(7, "boundary")?,
                class: text(8, "class")?,
                basis: text(9, "basis")?,
                transforms: text(10, "transforms")?,
                body: hash(row, 11, "body")?,
                bytes: natural(row, 12).map_err(|_| "bytes")?,
                policy: text(13, "policy")?,
                audit: text(14, "audit")?,
            })
        }
        "gap" => {
            for (i, name) in [(3, "request"), (5, "destination"), (6, "origin"), (8, "class"), (9, "basis")] {
                absent::<String>(row, i, name)?;
            }
            absent::<String>(row, 10, "transforms")?;
            absent::<String>(row, 13, "policy")?;
            absent::<String>(row, 14, "audit")?;
            absent::<Vec<u8>>(row, 11, "body")?;
            absent::<i64>(row, 4, "attempt")?;
            absent::<i64>(row, 12, "bytes")?;
            What::Gap { boundary: text(7, "boundary")?, lost: natural(row, 15).map_err(|_| "lost")? }
        }
        _ => return Err("kind"),
    };
    Ok(Entry { seq, at: text(2, "at")?, what, prev: hash(row, 16, "prev")?, hash: hash(row, 17, "hash")? })
}

/// Columns that an entry of this kind does not have are not under its hash: so they must be empty.
fn absent<'r, T>(row: &'r SqliteRow, i: usize, name: &'static str) -> Result<(), &'static str>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    match row.try_get::<Option<T>, _>(i) {
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(_) => Err(name),
    }
}

fn hash(row: &SqliteRow, i: usize, name: &'static str) -> Result<Hash, &'static str> {
    let bytes: &[u8] = present(row, i).ok_or(name)?;
    Ok(Hash::from_bytes(bytes.try_into().map_err(|_| name)?))
}

fn natural(row: &SqliteRow, i: usize) -> Result<u64, ()> {
    present::<i64>(row, i).and_then(|n| u64::try_from(n).ok()).ok_or(())
}

/// A value that is there. Read without `Option`, `NULL` would be zero or the empty text.
fn present<'r, T>(row: &'r SqliteRow, i: usize) -> Option<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get::<Option<T>, _>(i).ok().flatten()
}

pub(super) fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
