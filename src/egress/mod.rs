//! The one module with an HTTP client: nothing leaves the process anywhere else.

#![expect(clippy::disallowed_types, reason = "this is the one door")]

mod client;
pub mod download;
mod tls;

pub use client::{Egress, Incoming, SendError, Shipment};
