//! HTTP: listeners, routes, bodies.

mod activity;
pub mod body;
pub mod data;
pub mod listener;
pub mod operator;
mod socket;
mod unserved;
