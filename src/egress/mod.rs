//! The one module with an HTTP client: nothing leaves the process anywhere else.

mod client;
pub mod download;
mod tls;

pub use client::{Egress, Incoming, SendError, Shipment};
