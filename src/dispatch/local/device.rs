//! Which devices llama.cpp has to compute on, beside the CPU.

use super::EngineError;

/// A GPU as llama.cpp sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// llama.cpp's number for it.
    pub index: usize,
    /// The name in the configuration, such as `Vulkan0`.
    pub name: String,
    /// What it is, in its maker's words.
    pub description: String,
    /// Through what it is reached, such as `CUDA`.
    pub backend: String,
    /// Whether it is part of the CPU's chip.
    pub integrated: bool,
    /// Whether its memory is the host's.
    pub shares_memory: bool,
    /// Bytes that are free on it now.
    pub free: u64,
    /// Bytes that it has.
    pub total: u64,
}

/// The devices that there are now. Blocking: the first call sets up their drivers.
///
/// # Errors
/// [`EngineError::Model`] where there is no engine.
#[cfg(feature = "llama")]
pub fn devices() -> Result<Vec<Device>, EngineError> {
    use llama_cpp_2::{LlamaBackendDevice, LlamaBackendDeviceType, list_llama_ggml_backend_devices};

    super::llama::backend()?;
    let device = |found: LlamaBackendDevice| {
        let integrated = match found.device_type {
            LlamaBackendDeviceType::Gpu => false,
            LlamaBackendDeviceType::IntegratedGpu => true,
            LlamaBackendDeviceType::Cpu | LlamaBackendDeviceType::Accelerator | LlamaBackendDeviceType::Unknown => {
                return None;
            }
        };
        // Apple's chips have one memory.
        let shares_memory = integrated || cfg!(target_os = "macos");
        let most = if shares_memory { super::memory::available() } else { u64::MAX };
        Some(Device {
            index: found.index,
            name: found.name,
            description: found.description,
            backend: found.backend,
            integrated,
            shares_memory,
            free: (found.memory_free as u64).min(most),
            total: found.memory_total as u64,
        })
    };
    Ok(list_llama_ggml_backend_devices().into_iter().filter_map(device).collect())
}

/// The devices that there are now.
///
/// # Errors
/// [`EngineError::Model`]: there is no engine.
#[cfg(not(feature = "llama"))]
pub fn devices() -> Result<Vec<Device>, EngineError> {
    Err(EngineError::absent())
}
