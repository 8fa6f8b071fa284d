//! The catalogue of open models: what there is, where a file comes from, and whether it is what it should be.
//!
//! A model is a gigabyte from the internet that decides what users read, so nothing is used before its SHA-256 is
//! that of the catalogue. Files keep the names their publishers gave them.

mod catalogue;
pub mod gguf;
mod pull;
mod registry;
mod verify;

use std::path::{Path, PathBuf};

pub use catalogue::{Entry, Packages, catalogue, find};
pub use pull::{Linked, PullError, Source, pull, pull_linked};
pub use verify::{Pin, VerifyError, sha256, template_sha256, verify};

/// Where models lie unless the configuration says otherwise.
pub const DEFAULT_FOLDER: &str = "models";

/// Where `entry` lies, or would, in the models folder `dir`.
pub fn path(dir: &Path, entry: &Entry) -> PathBuf {
    dir.join(entry.file)
}
