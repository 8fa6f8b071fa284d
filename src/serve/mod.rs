//! HTTP: listeners, client dialects, authentication, errors.

mod activity;
pub mod body;
pub mod data;
pub mod listener;
pub mod openai;
pub mod operator;
mod socket;
