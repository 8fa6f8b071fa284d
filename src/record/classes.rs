//! Who answered requests of which class: the record's half of an audit.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, query};

use super::StoreError;
use super::columns::{natural, timestamp};
use super::query::Records;

/// Requests of one class, known on the same basis, that the same destination answered, or nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClassGroup {
    /// The class; `None` where a request ended before it was classified.
    pub class: Option<String>,
    /// What the class rests on.
    pub basis: Option<String>,
    /// Who answered.
    pub served_by: Option<String>,
    /// Whether that is inside the boundary.
    pub local: Option<bool>,
    /// How many.
    pub requests: u64,
    /// Those of them of which anything was sent outside.
    pub sent_outside: u64,
}

const BY_CLASS: &str =
    "SELECT class, class_basis, served_by, local, count(*) AS requests, sum(bytes_out > 0) AS sent_outside
    FROM request WHERE at >= ? AND outcome <> 'dry_run'
    GROUP BY class, class_basis, served_by, local ORDER BY class, class_basis, served_by, local";

impl Records {
    /// Everything that came in since `since`, by class; dry runs are not counted.
    pub async fn by_class(&mut self, since: Timestamp) -> Result<Vec<ClassGroup>, StoreError> {
        let rows = query(BY_CLASS).bind(timestamp(since)).fetch_all(&mut self.conn).await?;
        rows.iter().map(group).collect()
    }
}

fn group(row: &SqliteRow) -> Result<ClassGroup, StoreError> {
    Ok(ClassGroup {
        class: row.try_get("class")?,
        basis: row.try_get("class_basis")?,
        served_by: row.try_get("served_by")?,
        local: row.try_get("local")?,
        requests: natural(row.try_get("requests")?),
        sent_outside: natural(row.try_get("sent_outside")?),
    })
}
