//! The one module with an HTTP client: nothing leaves the process anywhere else.

pub mod download;
mod tls;
