//! HTTP: listeners, client dialects, authentication, errors.

mod activity;
pub mod body;
pub mod listener;
pub mod openai;
mod socket;
