//! From a model's file to llama.cpp's model, on the devices that there are.

use llama_cpp_2::llama_backend::LlamaBackend;
use llama_cpp_2::model::params::LlamaModelParams;
use llama_cpp_2::model::{LlamaLoraAdapter, LlamaModel};

use super::memory::{self, Needs};
use super::offload::{self, Offload};
use super::{Adapter, EngineConfig, EngineError, devices, trial};
use crate::models::gguf::Gguf;
use crate::models::verify;

/// Most sequences that llama.cpp decodes together (`LLAMA_MAX_SEQ`).
const MAX_SEQUENCES: u32 = 256;

/// What the model file that `config` names says of itself, if it is the one that is meant.
pub(super) fn description(config: &EngineConfig) -> Result<Gguf, EngineError> {
    if let Some(pin) = &config.pin {
        verify(&config.model, pin).map_err(|error| EngineError::Model(error.to_string()))?;
    }
    Gguf::open(&config.model).map_err(|fault| bad_file(config, &fault.to_string()))
}

/// What of the model goes to which device; where more had been expected, the log says why it does not.
pub(super) fn offload(needs: &Needs, config: &EngineConfig) -> Result<Offload, EngineError> {
    let all = if config.gpu_layers == Some(0) { Vec::new() } else { devices()? };
    let offload::Choice { offload, warning } = offload::choose(needs, config, all)?;
    match warning {
        Some(why) if config.gpu_layers.is_some() && !config.cpu_fallback => Err(EngineError::Model(why)),
        Some(why) => {
            tracing::warn!(engine = config.name, why, "The CPU computes the whole model.");
            Ok(offload)
        }
        None => Ok(offload),
    }
}

/// Reads the model file that `config` names and `gguf` describes, onto the devices that `offload` names.
pub(super) fn load(
    backend: &LlamaBackend,
    config: &EngineConfig,
    gguf: &Gguf,
    offload: &Offload,
) -> Result<LlamaModel, EngineError> {
    if !(1..=MAX_SEQUENCES).contains(&config.sequences) {
        let (name, given) = (&config.name, config.sequences);
        let text = format!("engine `{name}` is to serve {given} sequences: 1 to {MAX_SEQUENCES} are possible");
        return Err(EngineError::Model(text));
    }
    memory::check(gguf, config, offload.host(&Needs::of(gguf, config)), memory::available())?;
    for adapter in &config.adapters {
        gguf.check_adapter(&adapter.file).map_err(|fault| bad_adapter(adapter, &fault.to_string()))?;
    }
    if let Some(program) = &config.tried_by {
        trial::try_apart(program, &offload.explicit(config))?;
    }
    let devices: Vec<usize> = offload.devices.iter().map(|device| device.index).collect();
    let layers = u32::try_from(offload.layers).unwrap_or(u32::MAX);
    let params = LlamaModelParams::default()
        .with_n_gpu_layers(layers)
        // None at all also where no layer is there: llama.cpp would still take its memory to compute prompts.
        .with_devices(&devices)
        .map_err(|error| EngineError::Model(format!("llama.cpp does not know its own devices any more: {error}")))?;
    LlamaModel::load_from_file(backend, &config.model, &params).map_err(|_| match offload.layers {
        0 => bad_file(config, "is incomplete, damaged or of a kind that llama.cpp does not know"),
        _ => not_put(config, offload),
    })
}

/// Reads the adapters that `config` names.
pub(super) fn adapters(
    model: &mut LlamaModel,
    config: &EngineConfig,
) -> Result<Vec<(LlamaLoraAdapter, f32)>, EngineError> {
    let read = |adapter: &Adapter| match model.lora_adapter_init(&adapter.file) {
        Ok(loaded) => Ok((loaded, adapter.scale)),
        Err(_) => Err(bad_adapter(adapter, "is damaged, or made for another model")),
    };
    config.adapters.iter().map(read).collect()
}

fn bad_adapter(adapter: &Adapter, what: &str) -> EngineError {
    let (name, file) = (&adapter.name, adapter.file.display());
    EngineError::Model(format!("the file `{file}` of adapter `{name}` {what}: name one that was made for this model"))
}

/// llama.cpp does not tell why: its own log lines do.
fn not_put(config: &EngineConfig, offload: &Offload) -> EngineError {
    let (file, layers, devices) = (config.model.display(), offload.layers, offload.names());
    EngineError::Model(format!(
        "llama.cpp does not get {layers} layers of `{file}` onto {devices}: configure fewer `gpu_layers`, or see whether the file \
         loads without (`ajar models check`)"
    ))
}

pub(super) fn bad_file(config: &EngineConfig, what: &str) -> EngineError {
    let file = config.model.display();
    let way_out = "run `ajar models pull`, or name another file";
    EngineError::Model(format!("the model file `{file}` {what}: {way_out}"))
}
