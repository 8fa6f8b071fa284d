//! ajar: a reverse proxy for LLM calls that decides, by declarative policies on privacy, cost and difficulty, whether
//! an open model inside the process or a closed model behind an API answers, and records every decision.
//!
//! `ARCHITECTURE.md` says how the modules relate; `pipeline` tells the life of a request.

pub mod analyze;
pub mod app;
pub mod audit;
pub mod cache;
pub mod chat;
pub mod classify;
pub mod cli;
pub mod config;
pub mod dialect;
pub mod dispatch;
pub mod egress;
pub mod govern;
pub mod models;
pub mod openapi;
pub mod pipeline;
pub mod policy;
pub mod record;
pub mod serve;
pub mod telemetry;
pub mod transform;
pub mod yaml;
