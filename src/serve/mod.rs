//! HTTP: listeners, client dialects, authentication, errors.

pub mod openai;
