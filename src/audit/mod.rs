//! The egress ledger: what was sent to whom, on what terms, in a chain that nobody can alter unseen.
//!
//! [`EgressLedger::enter`] turns a permit into an [`Entered`], which alone opens the door of egress. One thread numbers
//! the entries, chains them by hash and commits them together ([`sequencer`]); every second it signs how far the chain
//! has come ([`Checkpoint`]). [`verify`] finds what was changed since. The format is documented in `docs/audit.md`.

pub mod checkpoint;
mod columns;
pub mod entry;
mod error;
pub mod key;
mod ledger;
mod open;
mod prune;
pub mod reader;
pub mod report;
mod sequencer;
#[cfg(test)]
mod tests;
pub mod verify;

pub use checkpoint::{Checkpoint, Pruned};
pub use entry::{Entry, Sent, What};
pub use error::LedgerError;
pub use key::{PublicKey, SigningKey};
pub use ledger::{EgressLedger, Entered, LedgerOptions, Mode, Numbers};
pub use reader::Audit;
pub use report::Report;
pub use verify::{Fault, Verification};
