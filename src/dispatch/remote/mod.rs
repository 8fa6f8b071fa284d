//! Providers behind an API.
