//! The files of local models: where they are, and what they must be.

use std::path::PathBuf;

use super::{StartError, read_pepper};
use crate::config::{Config, LocalModel};
use crate::models::{self, Entry, Pin, VerifyError};

/// Where a local model's file is: a catalogue name stands for a file in the models' folder.
pub fn model_path(config: &Config, local: &LocalModel) -> PathBuf {
    match models::find(&local.model) {
        Some(entry) => models::path(&config.models_dir, entry),
        None => PathBuf::from(&local.model),
    }
}

/// What the file of a local model must be: as the catalogue says, and as the configuration does.
pub(super) fn pin(local: &LocalModel) -> Pin {
    let known = models::find(&local.model).map(Entry::pin);
    if local.sha256.is_none() && local.template_sha256.is_none() {
        return known.unwrap_or_default();
    }
    let own = format!(
        "put what `ajar models check FILE` prints into `local.{}` where you trust the file as it is",
        local.name
    );
    let known = known.unwrap_or_default();
    Pin {
        bytes: known.bytes,
        sha256: local.sha256.clone().or(known.sha256),
        template_sha256: local.template_sha256.clone().or(known.template_sha256),
        way_out: if known.way_out.is_empty() { own } else { format!("{}, or {own}", known.way_out) },
    }
}

/// A model that is missing or is not what it must be is a mistake to be told at once, not at the first request.
pub(super) fn check_models(config: &Config) -> Result<(), StartError> {
    for local in &config.local {
        let path = model_path(config, local);
        if models::find(&local.model).is_none() {
            is_there(path.clone())?;
        }
        models::verify(&path, &pin(local))?;
        local.adapters.iter().try_for_each(|adapter| is_there(adapter.file.clone()))?;
    }
    Ok(())
}

/// What [`start`](super::start) would refuse for want of a file that may not be here yet: the pepper, and models. Each with
/// the way out. Files that are there are not read through.
pub fn missing_files(config: &Config) -> Vec<StartError> {
    let mut missing = Vec::new();
    if !config.keys.is_empty() {
        missing.extend(read_pepper(&config.pepper).err());
    }
    for local in &config.local {
        let path = model_path(config, local);
        if !path.exists() {
            let way_out = match models::find(&local.model) {
                Some(entry) => entry.pin().way_out,
                None => format!("put it there, or correct `local.{}.model`", local.name),
            };
            missing.push(VerifyError::Missing { path, way_out }.into());
        }
        missing.extend(local.adapters.iter().filter_map(|adapter| is_there(adapter.file.clone()).err()));
    }
    missing
}

fn is_there(path: PathBuf) -> Result<(), StartError> {
    std::fs::metadata(&path).map(drop).map_err(|error| StartError::File { path, error })
}

/// Whether a local model's file is one that the catalogue knows, so that llama.cpp bears it.
pub(super) fn is_known(local: &LocalModel) -> bool {
    models::find(&local.model).is_some_and(|entry| pin(local).sha256.as_deref() == Some(entry.sha256))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A configuration with one local model of these fields.
    fn config(folder: &Path, fields: &str) -> Config {
        let file = folder.join("ajar.yaml");
        let text = format!(
            "server: {{ listen: 127.0.0.1:0, operator: 127.0.0.1:0 }}\npolicies: p\nmodels_dir: {}\nlocal: {{ own: {{ {fields} }} }}",
            folder.display()
        );
        std::fs::write(&file, text).unwrap();
        Config::load(&file, &Vec::new()).unwrap()
    }

    #[test]
    fn a_file_that_is_not_the_pinned_one_is_refused_before_a_port_is_bound_with_both_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("own.gguf");
        std::fs::write(&model, "0123456789").unwrap();
        let checked = |pins: &str| {
            let config = config(folder.path(), &format!("model: {}{pins}", model.display()));
            check_models(&config).map_err(|error| error.to_string())
        };
        let right = models::sha256(&model).unwrap();
        assert_eq!(checked(""), Ok(()));
        assert_eq!(checked(&format!(", sha256: {}", right.to_uppercase())), Ok(()));
        let wrong = "0".repeat(64);
        let refusal = checked(&format!(", sha256: '{wrong}'")).unwrap_err();
        assert!([right.as_str(), &wrong, "`local.own`"].iter().all(|said| refusal.contains(said)), "{refusal}");
        let refusal = checked(&format!(", template_sha256: '{wrong}'")).unwrap_err();
        assert!(refusal.contains("is not a GGUF model file"), "{refusal}");
    }

    #[test]
    fn a_model_of_the_catalogue_is_known_until_something_else_is_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let of = |fields: &str| config(folder.path(), fields).local[0].clone();
        let usual = of("model: smollm2-135m");
        assert_eq!(pin(&usual), models::find("smollm2-135m").unwrap().pin());
        assert!(is_known(&usual));
        let other = of(&format!("model: smollm2-135m, sha256: '{}'", "0".repeat(64)));
        assert!(!is_known(&other));
        let way_out = pin(&other).way_out;
        assert!(way_out.contains("ajar models pull") && way_out.contains("`local.own`"), "{way_out}");
        assert!(!is_known(&of("model: /srv/own.gguf")));
    }
}
