//! The embedded llama.cpp engine. llama.cpp types stay in this folder.
//!
//! One OS thread owns model and context and runs the step loop of `worker`: admit waiting jobs into free slots, decode
//! one batch of prompt pieces and next tokens, sample per sequence, send. Everybody else holds an [`Engine`], a cheap
//! handle, and reads a [`Generation`]. What a step contains is decided in `schedule`, what of a prompt is computed
//! already in `prefixes`; neither knows llama.cpp, nor does `worker`, which tests drive with a scripted model.

mod device;
#[cfg(any(feature = "llama", test))]
mod draft;
#[cfg(any(feature = "llama", test))]
mod embed;
#[cfg(feature = "llama")]
mod embedder;
mod engine;
mod error;
#[cfg(any(feature = "llama", test))]
mod form;
mod gauges;
#[cfg(feature = "llama")]
mod hidden;
mod life;
#[cfg(any(feature = "llama", test))]
mod likelihood;
mod line;
#[cfg(feature = "llama")]
mod llama;
#[cfg(feature = "llama")]
mod load;
#[cfg(any(feature = "llama", test))]
mod memory;
#[cfg(any(feature = "llama", test))]
mod model;
mod notes;
#[cfg(any(feature = "llama", test))]
mod offload;
#[cfg(any(feature = "llama", test))]
mod pace;
mod pending;
#[cfg(any(feature = "llama", test))]
mod prefixes;
#[cfg(feature = "llama")]
mod prompt;
mod queue;
#[cfg(any(feature = "llama", test))]
mod residents;
#[cfg(feature = "llama")]
mod sampler;
#[cfg(any(feature = "llama", test))]
mod schedule;
#[cfg(any(feature = "llama", test))]
mod speech;
mod speed;
#[cfg(any(feature = "llama", test))]
mod spread;
#[cfg(any(feature = "llama", test))]
mod tally;
#[cfg(any(feature = "llama", test))]
mod template;
#[cfg(any(feature = "llama", test))]
mod text;
mod thinking;
#[cfg(any(feature = "llama", test))]
mod threads;
#[cfg(any(feature = "llama", test))]
mod told;
#[cfg(any(feature = "llama", test))]
mod tools;
mod trial;
#[cfg(any(feature = "llama", test))]
mod watchdog;
#[cfg(any(feature = "llama", test))]
mod worker;

#[cfg(all(test, feature = "llama"))]
mod tests;

#[cfg(test)]
pub(crate) use worker::tests::stuck::watched;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use device::{Device, devices};
pub use engine::{Engine, Generation};
pub use error::EngineError;
pub use gauges::{EngineFacts, EngineState};
pub use line::Turn;
pub use notes::Notes;
pub use speed::{Speed, speed};
pub use thinking::Thinking;
pub use trial::{try_apart, try_here};

use crate::chat::reply::Certainty;
use crate::chat::request::{ChatRequest, Message};
use crate::chat::{Content, Priority};
use crate::models::Pin;

/// What one engine loads and how much it may use.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// The destination's name: in log lines, errors and the thread's name.
    pub name: String,
    /// The GGUF file.
    pub model: PathBuf,
    /// What changes how the model answers, for those who ask for it: see [`Engine::with_adapter`].
    pub adapters: Vec<Adapter>,
    /// Tokens of context per sequence, prompt and answer together; capped at what the model was trained on.
    pub context: u32,
    /// How many sequences decode together, 1 to 256. Context memory is reserved for all of them.
    pub sequences: u32,
    /// Compute threads; `None` leaves one physical core to the gateway.
    pub threads: Option<u32>,
    /// Layers on GPUs, of which the output is one; `None` means as many as fit, where the build and the machine have one.
    pub gpu_layers: Option<u32>,
    /// The GPUs to use, by llama.cpp's names; none named means those that it would take.
    pub devices: Vec<String>,
    /// Whether the CPU computes what was to be on a GPU and cannot be, with a warning; else the model is not loaded.
    pub cpu_fallback: bool,
    /// How many jobs may wait while all sequences are busy.
    pub queue: usize,
    /// Bytes of the host's memory for computed prompts whose slot somebody else needs; 0 keeps nothing beyond its
    /// request, in slots neither.
    pub prefix_cache: u64,
    /// When the model is loaded.
    pub load: Load,
    /// What the file must be; checked each time it is loaded.
    pub pin: Option<Pin>,
    /// The program, ajar itself, that tries the file in a process of its own first; `None` for files that are known.
    pub tried_by: Option<PathBuf>,
}

impl EngineConfig {
    /// One that measures `model`: so many sequences, each computed from its beginning.
    pub(crate) fn bench(model: PathBuf, sequences: u32, context: u32, threads: Option<u32>, program: PathBuf) -> Self {
        Self {
            name: "bench".to_owned(),
            context,
            sequences,
            threads,
            gpu_layers: None,
            // A slot is told to be free a moment after its answer has ended.
            queue: sequences as usize,
            tried_by: Some(program),
            ..Self::trial(model)
        }
    }

    /// The least that an engine takes: to see whether `model` loads and answers.
    pub(crate) fn trial(model: PathBuf) -> Self {
        Self {
            name: "trial".to_owned(),
            model,
            adapters: Vec::new(),
            context: 256,
            sequences: 1,
            threads: Some(1),
            gpu_layers: Some(0),
            devices: Vec::new(),
            cpu_fallback: false,
            queue: 1,
            prefix_cache: 0,
            load: Load::Start,
            pin: None,
            tried_by: None,
        }
    }
}

/// A LoRA adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// The GGUF file.
    pub file: PathBuf,
    /// How strongly it acts; 1 as it was trained, 0 not at all.
    pub scale: f32,
}

/// When a model takes memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Load {
    /// From the start to the end.
    #[default]
    Start,
    /// When somebody asks.
    OnDemand {
        /// Until it was not used for so long; `None` is until somebody else needs the memory.
        idle: Option<Duration>,
    },
}

/// What `request` says that no chat template has a place for, by the neutral names.
fn unheard(request: &ChatRequest) -> Vec<&'static str> {
    let thinks = |message: &Message| message.content.iter().any(|content| matches!(content, Content::Thought(_)));
    let any = |says: &dyn Fn(&Message) -> bool, name| request.messages.iter().any(says).then_some(name);
    any(&thinks, "thoughts").into_iter().chain(any(&|message| message.tool_failed, "tool_failed")).collect()
}

/// One request to answer, once or as often as it asks for.
#[derive(Clone, Debug)]
pub struct Job {
    /// The conversation, the tools, the form of the answer and how to sample. Media are not looked at.
    pub request: Arc<ChatRequest>,
    /// Cap on each answer in tokens; the context's end is another.
    pub max_output: u32,
    /// When to give up, waiting included.
    pub deadline: Instant,
    /// With whom computed prompts are shared.
    pub sharing: Sharing,
    /// How urgent it is.
    pub priority: Priority,
}

impl Job {
    /// Whose turn it waits for.
    fn turn(&self) -> Turn {
        Turn { tenant: self.sharing.tenant.clone(), priority: self.priority }
    }

    /// How many answers are asked for; at least one.
    pub(crate) fn choices(&self) -> u32 {
        self.request.sampling.n.unwrap_or(1).max(1)
    }
}

/// Texts as vectors.
#[derive(Clone, Debug, PartialEq)]
pub struct Embeddings {
    /// One for each text, in their order, of length 1.
    pub vectors: Vec<Vec<f32>>,
    /// Tokens of all texts.
    pub tokens: u64,
}

/// What a model makes of a prompt, before any answer.
#[derive(Clone, PartialEq)]
pub struct Look {
    /// How sure it is of the likeliest first token of an answer.
    pub first: Certainty,
    /// The last hidden state of the prompt's last token: what the output is computed from, behind the last norm. As many
    /// numbers as the model is wide.
    pub hidden: Vec<f32>,
}

/// Shows how many numbers; they say much of the text.
impl fmt::Debug for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Look({:?}, {} numbers)", self.first, self.hidden.len())
    }
}

/// Whose computed prompts a job may start from: those of the same tenant *and* class, and nobody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sharing {
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// The class's name.
    pub class: Arc<str>,
}
