//! The gateway as its clients and providers see it: in this process or as the real binary, over real sockets, with the
//! provider simulator behind it.
#![expect(clippy::disallowed_types, reason = "the tests' own client is no door of the gateway")]
#![expect(clippy::unwrap_used, reason = "the helpers of tests are tests too")]
#![allow(unreachable_pub, reason = "one binary of several modules")]

mod affinity;
mod audit;
mod bad_input;
mod binary;
mod budget;
mod cache;
mod cli;
#[cfg(feature = "llama")]
mod clients;
mod completions;
mod conversations;
mod crash;
mod credentials;
mod cuts;
mod disconnects;
mod dispatching;
mod dry_run;
mod embeddings;
mod gemini;
mod harness;
mod idempotency;
mod keys;
mod large;
mod leak;
#[cfg(feature = "llama")]
mod local;
mod matrix;
mod messages;
mod moderations;
mod names;
mod policy_commands;
mod pseudonyms;
mod reload;
mod resilience;
mod responses;
mod rollout;
mod serving;
mod sets;
#[path = "../../examples/provider_sim/sim.rs"]
mod sim;
mod text;
#[cfg(feature = "llama")]
mod turns;
mod vendors;
