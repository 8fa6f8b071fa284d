//! The provider-neutral vocabulary: request, parts with provenance, reply, usage, money, ids.
//!
//! Nothing here does I/O, reads a clock, or depends on another module of the crate.

pub mod grammar;
pub mod id;
pub mod json;
pub mod money;
pub mod part;
pub mod priority;
pub mod reply;
pub mod request;
pub mod task;
pub mod text;

pub use grammar::Grammar;
pub use id::RequestId;
pub use json::Json;
pub use money::MicroUsd;
pub use part::{Part, Source};
pub use priority::Priority;
pub use reply::{Choice, Delta, FinishReason, Reply, Usage};
pub use request::{
    ChatRequest, Content, Message, ResponseFormat, Role, Sampling, Streaming, Tool, ToolCall, ToolChoice,
};
pub use task::{Task, Tasks};
pub use text::Text;
