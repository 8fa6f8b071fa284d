//! Plan to attempts: the embedded engine and remote providers.

pub mod local;
pub mod remote;
