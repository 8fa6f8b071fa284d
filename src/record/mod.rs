//! One row per request: what was asked, what was decided and why, what it cost, how it ended.
//!
//! The request path pushes a [`Row`] onto a bounded queue ([`Recorder`]); a thread of its own writes batches into SQLite.
//! [`Records`] reads, exports and deletes. The schema is documented in `docs/record.md`.

mod classes;
mod columns;
pub mod conversations;
mod error;
mod export;
mod open;
pub mod query;
mod remove;
pub mod row;
pub mod stats;
pub mod store;
#[cfg(test)]
mod tests;
mod trials;
mod writer;

pub use classes::ClassGroup;
pub use conversations::{ConversationId, Conversations, Kept};
pub use error::StoreError;
pub use query::{Entry, Gap, Records};
pub use row::{Cache, Label, Outcome, Row, StoredText, Timing, Transformed, WouldHave};
pub use stats::{Group, Stats, Sums};
pub use store::{Recorder, StoreOptions};
pub use trials::{Flip, Pair, Percentiles, Promotion, Spending};
