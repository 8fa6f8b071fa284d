//! How many compute threads an engine gets by default.

use std::collections::HashSet;
use std::path::Path;
use std::{fs, thread};

/// All physical cores but one, at least one. llama.cpp's threads wait for each other in spin loops at every layer:
/// with as many as cores, one busy gateway task makes all of them spin for a time slice, and speed collapses.
pub(super) fn default_threads() -> u32 {
    let available = thread::available_parallelism().map_or(1, usize::from);
    let physical = physical_cores(Path::new("/sys/devices/system/cpu")).unwrap_or(available);
    u32::try_from(physical.min(available)).unwrap_or(1).saturating_sub(1).max(1)
}

/// Cores that Linux lists under `cpus`, hardware threads of one core counted once; `None` elsewhere.
fn physical_cores(cpus: &Path) -> Option<usize> {
    let entries = fs::read_dir(cpus).ok()?.flatten();
    let cores: HashSet<String> =
        entries.filter_map(|cpu| fs::read_to_string(cpu.path().join("topology/thread_siblings_list")).ok()).collect();
    (!cores.is_empty()).then_some(cores.len())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{default_threads, physical_cores};

    #[test]
    fn hardware_threads_of_one_core_count_once() {
        let cpus = tempfile::tempdir().unwrap();
        for (cpu, siblings) in [("cpu0", "0,2"), ("cpu1", "1,3"), ("cpu2", "0,2"), ("cpu3", "1,3")] {
            let topology = cpus.path().join(cpu).join("topology");
            fs::create_dir_all(&topology).unwrap();
            fs::write(topology.join("thread_siblings_list"), siblings).unwrap();
        }
        assert_eq!(physical_cores(cpus.path()), Some(2));
        assert_eq!(physical_cores(&cpus.path().join("absent")), None);
    }

    #[test]
    fn there_is_always_at_least_one_thread() {
        assert!(default_threads() >= 1);
    }
}
