//! The model of `model` as llama.cpp runs it.

use std::num::NonZeroU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::{LlamaStateSeqFlags, SeqState};
use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::{LogOptions, send_logs_to_tracing};

use super::embedder::LlamaEmbedder;
use super::form::{Form, Forms};
use super::hidden::Apart;
use super::life::Shared;
use super::likelihood::likelihood;
use super::load::{adapters, bad_file, description, load, offload};
use super::memory::Needs;
use super::model::{Drawn, Input, Model, Prompt, Token};
use super::offload::Offload;
use super::prompt::PromptWriter;
use super::sampler::sampler;
use super::schedule::Limits;
use super::spread::certainty;
use super::threads::default_threads;
use super::tools::{Callable, MARKERS, Reading, offered};
use super::{EngineConfig, EngineError, Look, embed, memory, residents, worker};
use crate::chat::reply::{Certainty, TokenLogprob};
use crate::chat::request::ChatRequest;
use crate::models::gguf::Gguf;

/// On a CPU longer pieces are read hardly faster (milliseconds per token in pieces of 32, 64, 128: 6.8, 5.6, 5.6 with
/// SmolLM2; 22.6, 19.1, 18.2 with Qwen 1.5B), and all who generate wait for each piece. Four prompts of 26 tokens take that Qwen
/// 2.05 s together, one by itself 0.72 s.
const CPU: Limits = Limits { piece: 64, step: 128, gap: 128, overhead: 16 };

/// A GPU needs long pieces to be busy.
const GPU: Limits = Limits { piece: 512, step: 1024, gap: 1024, overhead: 256 };

/// Held while computing: several engines share the cores by taking turns, since llama.cpp's threads spin while they
/// wait for each other and would starve a second engine's.
pub(super) static COMPUTE: Mutex<()> = Mutex::new(());

/// Loads the model and serves `shared` until it is closed. To be called on the engine's own thread.
///
/// # Errors
/// [`EngineError::Model`], with the way out.
pub(super) fn run(config: &EngineConfig, shared: &Shared) -> Result<(), EngineError> {
    let backend = backend()?;
    let gguf = description(config)?;
    let needs = Needs::of(&gguf, config);
    let offload = offload(&needs, config)?;
    match serve(backend, config, shared, &gguf, &offload) {
        Err(EngineError::Model(why)) if config.cpu_fallback && offload.layers > 0 => {
            let (engine, devices) = (&config.name, offload.names());
            tracing::warn!(engine, devices, why, "The model cannot be put on the GPU; the CPU computes it instead.");
            serve(backend, config, shared, &gguf, &Offload::none(&needs))
        }
        served => served,
    }
}

/// Loads the model as `offload` says and serves until it is time to leave.
fn serve(
    backend: &LlamaBackend,
    config: &EngineConfig,
    shared: &Shared,
    gguf: &Gguf,
    offload: &Offload,
) -> Result<(), EngineError> {
    let needed = offload.host(&Needs::of(gguf, config));
    residents::make_room(needed, memory::available);
    shared.gauges.bytes.store(needed, Relaxed);
    let mut model = load(backend, config, gguf, offload)?;
    let adapters = adapters(&mut model, config)?;
    shared.gauges.gpu_layers.store(offload.layers, Relaxed);
    if offload.layers > 0 {
        let (engine, devices) = (&config.name, offload.names());
        tracing::info!(engine, layers = offload.layers, of = offload.of, devices, "Layers are put on the GPU.");
    }
    if gguf.embeds() {
        return embed(backend, &model, config, shared);
    }
    let limits = if offload.is_nearly_whole() { GPU } else { CPU };
    let llama = Llama::new(backend, &model, adapters, config, limits)?;
    shared.gauges.note_thinking(llama.prompts.thinking());
    tracing::info!(
        engine = config.name,
        parameters = model.n_params(),
        bytes = model.size(),
        context = llama.context_length,
        sequences = config.sequences,
        "The local engine is ready."
    );
    let prefix_cache = usize::try_from(config.prefix_cache).unwrap_or(usize::MAX);
    worker::run(llama, shared, config.sequences as usize, limits, prefix_cache);
    Ok(())
}

fn embed(
    backend: &LlamaBackend,
    model: &LlamaModel,
    config: &EngineConfig,
    shared: &Shared,
) -> Result<(), EngineError> {
    let (embedder, batch) = LlamaEmbedder::new(backend, model, config)?;
    tracing::info!(
        engine = config.name,
        parameters = model.n_params(),
        bytes = model.size(),
        longest = batch.longest,
        width = model.n_embd_out(),
        "The local engine is ready to embed."
    );
    embed::run(embedder, shared, config.sequences as usize, batch);
    Ok(())
}

/// llama.cpp's process-wide state: set up once, with its log lines going to `tracing`.
pub(super) fn backend() -> Result<&'static LlamaBackend, EngineError> {
    static BACKEND: OnceLock<Result<LlamaBackend, EngineError>> = OnceLock::new();
    let backend = BACKEND.get_or_init(|| {
        send_logs_to_tracing(LogOptions::default());
        LlamaBackend::init().map_err(|error| EngineError::Model(format!("llama.cpp cannot start: {error}")))
    });
    backend.as_ref().map_err(Clone::clone)
}

fn too_large(config: &EngineConfig, length: u32) -> EngineError {
    let (name, sequences) = (&config.name, config.sequences);
    let text = format!("engine `{name}` gets no memory for {sequences} sequences of {length} tokens: configure fewer");
    EngineError::Model(text)
}

/// How the tokens of one answer are drawn.
struct Drawing {
    chain: LlamaSampler,
    /// What must come now.
    form: Option<Form>,
    /// What must follow the beginning of a call, and whether something may follow that.
    call: Option<(Form, bool)>,
    /// Whether the answer goes on when it has the form.
    goes_on: bool,
}

/// A model with its context and a batch to fill.
struct Llama<'m> {
    model: &'m LlamaModel,
    context: LlamaContext<'m>,
    /// What the context was made with.
    params: LlamaContextParams,
    batch: LlamaBatch<'static>,
    /// From 1, each with its strength.
    adapters: Vec<(LlamaLoraAdapter, f32)>,
    /// The one that computes; 0 is none.
    adapter: usize,
    prompts: PromptWriter<'m>,
    forms: Forms,
    /// Markers that are control tokens.
    markers: Vec<(LlamaToken, &'static str)>,
    context_length: usize,
}

impl<'m> Llama<'m> {
    fn new(
        backend: &LlamaBackend,
        model: &'m LlamaModel,
        adapters: Vec<(LlamaLoraAdapter, f32)>,
        config: &EngineConfig,
        limits: Limits,
    ) -> Result<Self, EngineError> {
        let length = config.context.clamp(1, model.n_ctx_train().max(1));
        if length < config.context {
            tracing::warn!(engine = config.name, length, "The model was trained on a shorter context; using that.");
        }
        let batch = limits.step + config.sequences as usize;
        let threads = config.threads.unwrap_or_else(default_threads).max(1);
        let threads = i32::try_from(threads).unwrap_or(i32::MAX);
        let batch_size = u32::try_from(batch).unwrap_or(u32::MAX);
        let params = LlamaContextParams::default()
            // llama.cpp divides this evenly among the sequences, each part a multiple of 256.
            .with_n_ctx(NonZeroU32::new(length.next_multiple_of(256).saturating_mul(config.sequences)))
            .with_n_seq_max(config.sequences)
            .with_n_batch(batch_size)
            .with_n_ubatch(batch_size)
            .with_n_threads(threads)
            .with_n_threads_batch(threads)
            .with_no_perf(true);
        let context = model.new_context(backend, params.clone()).map_err(|_| too_large(config, length))?;
        let prompts = PromptWriter::new(model, length as usize).map_err(|what| bad_file(config, &what))?;
        let forms = Forms::new(&LlamaSampler::llguidance_tok_env(model)).map_err(|what| bad_file(config, &what))?;
        let batch = LlamaBatch::new(batch, 1);
        let markers = markers(model);
        Ok(Self {
            model,
            context,
            params,
            batch,
            adapters,
            adapter: 0,
            prompts,
            forms,
            markers,
            context_length: length as usize,
        })
    }

    /// Draws among the tokens that the form allows.
    fn sample_formed(&self, chain: &mut LlamaSampler, form: &mut Form, input: i32) -> Result<LlamaToken, EngineError> {
        let allowed = form.allowed()?;
        let is_allowed = |candidate: &LlamaTokenData| allowed.is_allowed(candidate.id().0.cast_unsigned());
        let candidates = self.context.candidates_ith(input).filter(is_allowed);
        let mut candidates = LlamaTokenDataArray::from_iter(candidates, false);
        candidates.apply_sampler(chain);
        let nothing = || EngineError::Decode("no token fits the form that the answer must have".to_owned());
        let token = candidates.selected_token().ok_or_else(nothing)?;
        chain.accept(token);
        form.accept(token.0)?;
        Ok(token)
    }

    fn fill(&mut self, inputs: &[Input]) -> Result<(), EngineError> {
        self.batch.clear();
        for input in inputs {
            // Both are far below the limits of i32: a slot is at most 256, a position at most the context.
            let (position, slot) = (input.position as i32, input.slot as i32);
            let added = self.batch.add(LlamaToken(input.token), position, &[slot], input.sampled);
            added.map_err(|error| EngineError::Decode(error.to_string()))?;
        }
        Ok(())
    }
}

/// The markers that are control tokens of `model`.
fn markers(model: &LlamaModel) -> Vec<(LlamaToken, &'static str)> {
    let vocab = model.vocab();
    let control = |marker: &'static str| match vocab.tokenize(marker.as_bytes(), false, true)[..] {
        [token] if vocab.is_control(token) => Some((token, marker)),
        _ => None,
    };
    MARKERS.into_iter().filter_map(control).collect()
}

impl Model for Llama<'_> {
    type Sampler = Drawing;
    type State = SeqState;

    fn context(&self) -> usize {
        self.context_length
    }

    fn prompt(&self, request: &ChatRequest) -> Result<Prompt, EngineError> {
        self.prompts.write(request)
    }

    fn sampler(
        &self,
        request: &ChatRequest,
        reading: Reading,
        choice: u32,
        cap: usize,
    ) -> Result<Drawing, EngineError> {
        let chain = sampler(&request.sampling, choice, cap, self.model.n_vocab());
        let Some(protocol) = reading.calls else {
            let form = self.forms.of(&request.response_format)?;
            return Ok(Drawing { chain, form, call: None, goes_on: false });
        };
        let token = |marker: &str| {
            let found = self.markers.iter().find(|(_, text)| *text == marker);
            found.map(|(token, _)| token.0.cast_unsigned())
        };
        let callable = Callable::new(request, protocol, &offered(request)?, token)?;
        let form = callable.whole.map(|grammar| self.forms.lark(grammar)).transpose()?;
        let call = Some((self.forms.lark(callable.rest)?, callable.goes_on));
        Ok(Drawing { chain, form, call, goes_on: false })
    }

    fn begin_call(&self, drawing: &mut Drawing, written: &str) {
        if let (None, Some((call, goes_on))) = (&drawing.form, &drawing.call) {
            drawing.form = self.forms.after(call, written);
            drawing.goes_on = *goes_on;
        }
    }

    fn adapt(&mut self, adapter: usize) {
        if adapter == self.adapter {
            return;
        }
        // Neither has a way to fail: llama.cpp only notes it.
        match self.adapters.get_mut(adapter.wrapping_sub(1)) {
            Some((adapter, scale)) => drop(self.context.lora_adapter_set(adapter, *scale)),
            None => self.adapters.iter_mut().take(1).for_each(|(any, _)| drop(self.context.lora_adapter_remove(any))),
        }
        self.adapter = adapter;
    }

    fn decode(&mut self, inputs: &[Input]) -> Result<Duration, EngineError> {
        self.fill(inputs)?;
        let _turn = COMPUTE.lock().unwrap_or_else(PoisonError::into_inner);
        let began = Instant::now();
        self.context.decode(&mut self.batch).map_err(|error| EngineError::Decode(error.to_string()))?;
        // A GPU goes on computing.
        self.context.synchronize();
        Ok(began.elapsed())
    }

    fn sample(&mut self, drawing: &mut Drawing, input: usize) -> Result<Drawn, EngineError> {
        let token = match &mut drawing.form {
            Some(form) => self.sample_formed(&mut drawing.chain, form, input as i32)?,
            None => drawing.chain.sample(&self.context, input as i32),
        };
        if self.model.vocab().is_eog(token) {
            return Ok(Drawn::End);
        }
        let complete = drawing.form.as_ref().is_some_and(Form::is_complete);
        if complete && drawing.goes_on {
            drawing.form = None;
            return Ok(Drawn::Token(token.0));
        }
        Ok(if complete { Drawn::Last(token.0) } else { Drawn::Token(token.0) })
    }

    fn likelihood(&self, input: usize, token: Token, top: usize) -> TokenLogprob {
        likelihood(self.context.get_logits_ith(input as i32), token, top, |token| {
            self.model.vocab().token_to_piece(LlamaToken(token), true, None)
        })
    }

    fn certainty(&self, input: usize, token: Token) -> Certainty {
        certainty(self.context.get_logits_ith(input as i32), token)
    }

    fn look(&mut self, slot: usize, tokens: usize, last: Token) -> Result<Look, EngineError> {
        let copy = |_| EngineError::Decode("what was computed cannot be copied".to_owned());
        let state = match tokens {
            0 => None,
            _ => Some(self.context.state_seq_get(slot as i32, LlamaStateSeqFlags::empty()).map_err(copy)?),
        };
        let mut apart = Apart::new(backend()?, self.model, self.params.clone(), tokens, state.as_ref())?;
        if let Some((adapter, scale)) = self.adapters.get_mut(self.adapter.wrapping_sub(1)) {
            // As in `adapt`, it cannot fail.
            drop(apart.context().lora_adapter_set(adapter, *scale));
        }
        let _turn = COMPUTE.lock().unwrap_or_else(PoisonError::into_inner);
        apart.look(last)
    }

    fn write(&self, token: Token, reading: Reading, bytes: &mut Vec<u8>) {
        if reading.calls.is_some() || reading.thoughts.is_some() {
            let marker = self.markers.iter().find(|(marker, _)| marker.0 == token);
            bytes.extend(marker.iter().flat_map(|(_, text)| text.bytes()));
        }
        self.model.vocab().token_to_piece_into(LlamaToken(token), bytes, false, None);
    }

    fn clear(&mut self, slot: usize) {
        // Removing a whole sequence always succeeds, and a slot fits into its id.
        let _ = self.context.clear_kv_cache_seq(Some(slot as u32), None, None);
    }

    fn keep(&mut self, slot: usize, tokens: usize) -> bool {
        let sequence = slot as i32;
        let removed = self.context.clear_kv_cache_seq(Some(slot as u32), Some(tokens as u32), None);
        // Models with a running state, or a sliding window, may have forgotten what lies before.
        removed == Ok(true)
            && self.context.kv_cache_seq_pos_min(sequence) == 0
            && self.context.kv_cache_seq_pos_max(sequence) == tokens as i32 - 1
    }

    fn can_forget(&self) -> bool {
        // A sliding window has forgotten what lies before.
        let window =
            || self.model.meta_val_str("general.architecture").map(|kind| format!("{kind}.attention.sliding_window"));
        let slides = window().is_ok_and(|key| self.model.meta_val_str(&key).is_ok());
        !self.model.is_recurrent() && !self.model.is_hybrid() && !slides
    }

    fn saved_bytes(&self, slot: usize) -> usize {
        self.context.state_seq_get_size_ext(slot as i32, LlamaStateSeqFlags::empty())
    }

    fn save(&self, slot: usize) -> Option<SeqState> {
        self.context.state_seq_get(slot as i32, LlamaStateSeqFlags::empty()).ok()
    }

    fn restore(&mut self, slot: usize, state: &SeqState) -> bool {
        self.context.state_seq_set(state, slot as i32).is_ok()
    }
}
