//! HTTP: listeners, client dialects, authentication, errors.

pub mod body;
pub mod listener;
pub mod openai;
mod socket;
