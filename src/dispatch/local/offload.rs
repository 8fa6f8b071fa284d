//! Which of a model's layers are computed on a GPU, and on which.
//!
//! llama.cpp puts the last layers there, the output first among them, and divides them among the devices by what each
//! has free. So this asks how many would fit if it did so.

use bytesize::ByteSize;

use super::memory::Needs;
use super::{Device, EngineConfig, EngineError};

/// What is left free on a device beside what is known: for its driver, for other programs, and for attention where the
/// device computes that the long way.
const SPARE: u64 = 512 << 20;

/// Most devices that llama.cpp takes a list of: its array of 16 must end with nothing.
const MOST: usize = 15;

/// What this build can use.
const BACKENDS: &[&str] = &[
    #[cfg(feature = "cuda")]
    "CUDA",
    #[cfg(feature = "vulkan")]
    "Vulkan",
    #[cfg(feature = "metal")]
    "Metal",
];

/// What goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offload {
    /// How many layers are put on the devices: the last ones, and the output is one, too.
    pub(super) layers: usize,
    /// How many there are.
    pub(super) of: usize,
    /// The devices; none where no layer is put there.
    pub(super) devices: Vec<Device>,
}

impl Offload {
    /// Everything stays on the host.
    pub(super) fn none(needs: &Needs) -> Self {
        Self { layers: 0, of: needs.layers.len(), devices: Vec::new() }
    }

    /// Bytes that the host must have free.
    pub(super) fn host(&self, needs: &Needs) -> u64 {
        let elsewhere = if self.devices.iter().any(|device| device.shares_memory) { 0 } else { self.layers };
        needs.host(elsewhere)
    }

    /// `config` with what was chosen in place of what was to be chosen from.
    pub(super) fn explicit(&self, config: &EngineConfig) -> EngineConfig {
        let devices = self.devices.iter().map(|device| device.name.clone()).collect();
        EngineConfig { gpu_layers: u32::try_from(self.layers).ok(), devices, ..config.clone() }
    }

    /// Whether the devices do the work: a layer on the host among many elsewhere does not hold them up.
    pub(super) fn is_nearly_whole(&self) -> bool {
        self.layers > 0 && self.of - self.layers <= 1
    }

    /// The devices' names, as logs show them.
    pub(super) fn names(&self) -> String {
        names(&self.devices)
    }
}

/// What goes where, and what to warn of where more had been expected to go to devices.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) offload: Offload,
    pub(super) warning: Option<String>,
}

/// Chooses for a model that `needs` so much, where `all` devices are there.
///
/// # Errors
/// [`EngineError::Model`] where `devices` of the configuration names what is not there.
pub(super) fn choose(needs: &Needs, config: &EngineConfig, all: Vec<Device>) -> Result<Choice, EngineError> {
    let staying = |warning| Ok(Choice { offload: Offload::none(needs), warning });
    if config.gpu_layers == Some(0) {
        return staying(None);
    }
    let is_wanted = config.gpu_layers.is_some() || !config.devices.is_empty();
    if all.is_empty() {
        return staying(absent(is_wanted, BACKENDS));
    }
    let devices = usable(all, config)?;
    let Some(layers) = config.gpu_layers else {
        return Ok(fitting(needs, devices));
    };
    let layers = (layers as usize).min(needs.layers.len());
    Ok(Choice { offload: Offload { layers, of: needs.layers.len(), devices }, warning: None })
}

/// Why there is no device.
fn absent(is_wanted: bool, backends: &[&str]) -> Option<String> {
    match backends {
        [] if is_wanted => Some(
            "this build has no GPU back end: build with `--features cuda`, `vulkan` or `metal`, or set `gpu_layers: 0`"
                .to_owned(),
        ),
        [] => None,
        backends => Some(format!(
            "llama.cpp finds no device for {}: see to its driver, or set `gpu_layers: 0`",
            backends.join(" or ")
        )),
    }
}

/// The devices that the configuration names; without names those that llama.cpp would take: of one back end, since several
/// see the same hardware, and integrated ones only where there are no others.
fn usable(all: Vec<Device>, config: &EngineConfig) -> Result<Vec<Device>, EngineError> {
    if config.devices.is_empty() {
        let kept = |all: &[Device], integrated: bool| {
            let first = all.iter().find(|device| device.integrated == integrated)?.backend.clone();
            Some(all.iter().filter(|d| d.integrated == integrated && d.backend == first).take(MOST).cloned().collect())
        };
        return Ok(kept(&all, false).or_else(|| kept(&all, true)).unwrap_or_default());
    }
    let named = |name: &String| match all.iter().find(|device| device.name == *name) {
        Some(device) => Ok(device.clone()),
        None => {
            let (engine, there) = (&config.name, names(&all));
            Err(EngineError::Model(format!("engine `{engine}` is to use the device `{name}`: there are {there}")))
        }
    };
    config.devices.iter().take(MOST).map(named).collect()
}

/// As many layers as fit.
fn fitting(needs: &Needs, mut devices: Vec<Device>) -> Choice {
    let beside = needs.computing.saturating_add(needs.adapters).saturating_add(SPARE);
    let there = names(&devices);
    devices.retain(|device| device.free > beside);
    let layers = most_that_fit(needs, beside, &devices);
    if layers > 0 {
        return Choice { offload: Offload { layers, of: needs.layers.len(), devices }, warning: None };
    }
    let least = ByteSize(beside.saturating_add(needs.layers.last().copied().unwrap_or(0)));
    let warning = format!(
        "no layer fits into what is free on {there} (the first needs about {least}): a smaller `context` or fewer \
         `sequences` need less, and `gpu_layers: N` is tried as it is"
    );
    Choice { offload: Offload::none(needs), warning: Some(warning) }
}

fn most_that_fit(needs: &Needs, beside: u64, devices: &[Device]) -> usize {
    let fits = |count: &usize| {
        let shares = shares(&needs.layers[needs.layers.len() - count..], devices);
        shares.iter().zip(devices).all(|(share, device)| *share == 0 || share.saturating_add(beside) <= device.free)
    };
    if devices.is_empty() { 0 } else { (1..=needs.layers.len()).rev().find(fits).unwrap_or(0) }
}

/// Bytes that each device gets of `layers`, as llama.cpp divides them: in their order, by what is free.
fn shares(layers: &[u64], devices: &[Device]) -> Vec<u64> {
    let free: f64 = devices.iter().map(|device| device.free as f64).sum();
    let ends: Vec<f64> = devices
        .iter()
        .scan(0.0, |end, device| {
            *end += device.free as f64 / free;
            Some(*end)
        })
        .collect();
    let mut shares = vec![0_u64; devices.len()];
    for (at, bytes) in layers.iter().enumerate() {
        let place = at as f64 / layers.len() as f64;
        let device = ends.partition_point(|end| *end <= place).min(devices.len() - 1);
        shares[device] = shares[device].saturating_add(*bytes);
    }
    shares
}

fn names(devices: &[Device]) -> String {
    let name = |device: &Device| format!("`{}` ({}, {} free)", device.name, device.description, ByteSize(device.free));
    devices.iter().map(name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::gguf::{Gguf, support};

    const GIB: u64 = 1 << 30;

    fn device(name: &str, free: u64) -> Device {
        Device {
            index: 0,
            name: name.to_owned(),
            description: "a card".to_owned(),
            backend: name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned(),
            integrated: false,
            shares_memory: false,
            free,
            total: free,
        }
    }

    /// A model of ten layers and an output, 1 GiB each.
    fn needs() -> Needs {
        let bytes = support::GgufFile::llama().bytes();
        let gguf = Gguf::read(&bytes[..], bytes.len() as u64).unwrap();
        let needs = Needs::of(&gguf, &EngineConfig::trial("m".into()));
        Needs { layers: vec![GIB; 11], computing: GIB / 2, ..needs }
    }

    fn config(gpu_layers: Option<u32>, devices: &[&str]) -> EngineConfig {
        let devices = devices.iter().map(|name| (*name).to_owned()).collect();
        EngineConfig { gpu_layers, devices, ..EngineConfig::trial("m".into()) }
    }

    fn chosen(config: &EngineConfig, all: Vec<Device>) -> (usize, Vec<String>, String) {
        let Choice { offload, warning } = choose(&needs(), config, all).unwrap();
        assert_eq!(offload.of, 11);
        let names = offload.devices.into_iter().map(|device| device.name).collect();
        (offload.layers, names, warning.unwrap_or_default())
    }

    #[test]
    fn as_many_layers_go_to_a_device_as_fit_beside_what_computing_needs() {
        for (free, layers) in [(64, 11), (12, 11), (11, 10), (3, 2), (2, 1)] {
            let (found, names, warning) = chosen(&config(None, &[]), vec![device("CUDA0", free * GIB)]);
            assert_eq!((found, names.as_slice(), warning.as_str()), (layers, ["CUDA0".to_owned()].as_slice(), ""));
        }
        let (layers, names, warning) = chosen(&config(None, &[]), vec![device("CUDA0", GIB)]);
        assert!(
            layers == 0 && names.is_empty() && warning.contains("`CUDA0`") && warning.contains("2.0 GiB"),
            "{warning}"
        );
    }

    #[test]
    fn several_devices_hold_more_than_one_each_by_what_it_has_free() {
        let two = |first, second| chosen(&config(None, &[]), vec![device("CUDA0", first), device("CUDA1", second)]).0;
        assert_eq!(two(7 * GIB, 7 * GIB), 11);
        // One of six and one of five: the larger share does not fit any more.
        assert_eq!(two(6 * GIB, 6 * GIB), 10);
        assert_eq!(two(9 * GIB, 5 * GIB), 11);
        // One that could hold nothing is left alone.
        let (layers, names, _) = chosen(&config(None, &[]), vec![device("CUDA0", GIB / 2), device("CUDA1", 12 * GIB)]);
        assert_eq!((layers, names), (11, vec!["CUDA1".to_owned()]));
        assert_eq!(shares(&[1; 10], &[device("a", 3), device("b", 1), device("c", 1)]), [6, 2, 2]);
    }

    #[test]
    fn a_number_is_obeyed_and_none_leaves_the_devices_alone() {
        let one = || vec![device("Vulkan0", GIB)];
        assert_eq!(chosen(&config(Some(7), &[]), one()).0, 7);
        assert_eq!(chosen(&config(Some(99), &[]), one()).0, 11);
        assert_eq!(chosen(&config(Some(0), &["Vulkan9"]), one()), (0, Vec::new(), String::new()));
    }

    #[test]
    fn devices_are_those_named_or_those_of_one_back_end_and_integrated_ones_where_there_are_no_others() {
        let small = Device { integrated: true, shares_memory: true, ..device("Vulkan1", 16 * GIB) };
        let all =
            || vec![small.clone(), device("CUDA0", 16 * GIB), device("CUDA1", 16 * GIB), device("Vulkan0", 16 * GIB)];
        assert_eq!(chosen(&config(None, &[]), all()).1, ["CUDA0", "CUDA1"]);
        assert_eq!(chosen(&config(None, &["Vulkan1", "CUDA1"]), all()).1, ["Vulkan1", "CUDA1"]);
        assert_eq!(chosen(&config(None, &[]), vec![small.clone()]).1, ["Vulkan1"]);
        let refusal = choose(&needs(), &config(None, &["Vulkan9"]), all()).unwrap_err().to_string();
        assert!(refusal.contains("`Vulkan9`") && refusal.contains("`CUDA1` (a card, 16.0 GiB free)"), "{refusal}");
    }

    #[test]
    fn where_there_is_no_device_a_warning_says_why_if_one_was_to_be_expected() {
        assert_eq!(absent(false, &[]), None);
        assert!(absent(true, &[]).unwrap().contains("--features cuda"));
        for is_wanted in [false, true] {
            assert!(absent(is_wanted, &["CUDA", "Vulkan"]).unwrap().contains("no device for CUDA or Vulkan"));
        }
        assert_eq!(chosen(&config(Some(3), &["CUDA0"]), Vec::new()).0, 0);
    }

    #[test]
    fn the_trial_is_of_what_was_chosen_and_the_log_names_it() {
        let config = config(None, &[]);
        let Choice { offload, .. } = choose(&needs(), &config, vec![device("CUDA0", 3 * GIB)]).unwrap();
        assert_eq!(offload.names(), "`CUDA0` (a card, 3.0 GiB free)");
        let tried = offload.explicit(&config);
        assert_eq!((tried.gpu_layers, tried.devices), (Some(2), vec!["CUDA0".to_owned()]));
        assert_eq!(Offload::none(&needs()).explicit(&config).gpu_layers, Some(0));
    }

    #[test]
    fn a_device_that_shares_the_hosts_memory_relieves_it_of_nothing() {
        let (needs, all) = (needs(), |shares_memory| vec![Device { shares_memory, ..device("Vulkan0", 6 * GIB) }]);
        let host = |shares| choose(&needs, &config(Some(3), &[]), all(shares)).unwrap().offload.host(&needs);
        assert_eq!(host(true) - host(false), 3 * GIB);
        assert_eq!(host(true), needs.host(0));
    }

    #[test]
    fn the_devices_set_the_pace_where_at_most_one_layer_stays_behind() {
        let paces = [0, 9, 10, 11].map(|layers| Offload { layers, of: 11, devices: Vec::new() }.is_nearly_whole());
        assert_eq!(paces, [false, false, true, true]);
    }
}
