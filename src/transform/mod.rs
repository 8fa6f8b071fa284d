//! Pseudonyms: what identifies somebody is replaced in a request's body before it leaves, and put back in the answer.
//! Pure: no I/O, no clock of its own.
//!
//! ```text
//! findings ─► vault (a token for each original) ─► replace (the client's bytes) ─► edits ─► rescan (the outgoing bytes)
//! answer   ─► restore (what this request's own body held, and nothing else)
//! ```
//!
//! A body goes out only if putting the originals back gives exactly what was classified ([`replace::verify`]), if no
//! original of the conversation is found in it, and if its class is low enough by the rules that classified the request
//! ([`rescan`]).

pub mod answer;
pub mod deltas;
mod disguise;
mod kind;
pub mod replace;
mod rescan;
pub mod restore;
mod token;
mod vault;

pub use disguise::{Disguise, Originals, Outgoing, TransformError};
pub use kind::Kind;
pub use rescan::{Check, Unclean};
pub use restore::{Restorer, Tally};
pub use vault::{Entry, Full, Vault, Vaults};

#[cfg(test)]
mod tests;
