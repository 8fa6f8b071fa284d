//! Is this file the one that the catalogue means?

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::Entry;

const BLOCK: usize = 1 << 20;

/// Why a file must not be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not there.
    #[error("the model file `{0}` does not exist: run `ajar models pull {1}`")]
    Missing(PathBuf, &'static str),
    /// It cannot be read.
    #[error("the model file `{path}` cannot be read: {error}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It has another size.
    #[error("the model file `{path}` has {found} bytes, expected {expected}: run `ajar models pull {name}`")]
    Size {
        /// Which file.
        path: PathBuf,
        /// The entry's name.
        name: &'static str,
        /// Its size.
        found: u64,
        /// The catalogue's.
        expected: u64,
    },
    /// It has other content.
    #[error("the model file `{path}` has SHA-256 {found}, expected {expected}: run `ajar models pull {name}`")]
    Hash {
        /// Which file.
        path: PathBuf,
        /// The entry's name.
        name: &'static str,
        /// Its hash.
        found: String,
        /// The catalogue's.
        expected: &'static str,
    },
}

/// Checks the file at `path` against `entry`.
///
/// Hashing a gigabyte takes seconds, so a success is remembered beside the file, in `FILE.verified`, for as long as
/// size and modification time stay the same. Blocking.
///
/// # Errors
/// See [`VerifyError`]; each names the file and the way out.
pub fn verify(path: &Path, entry: &Entry) -> Result<(), VerifyError> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, entry, error))?;
    if metadata.len() != entry.bytes {
        let (path, found, expected) = (path.to_owned(), metadata.len(), entry.bytes);
        return Err(VerifyError::Size { path, name: entry.name, found, expected });
    }
    let note = note(&metadata, entry);
    if note.is_some() && fs::read_to_string(note_path(path)).ok() == note {
        return Ok(());
    }
    let found = sha256(path).map_err(|error| unreadable(path, entry, error))?;
    if found != entry.sha256 {
        return Err(VerifyError::Hash { path: path.to_owned(), name: entry.name, found, expected: entry.sha256 });
    }
    if let Some(note) = note {
        // A folder that cannot be written costs only the next start its seconds.
        let _ = fs::write(note_path(path), note);
    }
    Ok(())
}

fn unreadable(path: &Path, entry: &Entry, error: io::Error) -> VerifyError {
    match error.kind() {
        io::ErrorKind::NotFound => VerifyError::Missing(path.to_owned(), entry.name),
        _ => VerifyError::Unreadable { path: path.to_owned(), error },
    }
}

fn note_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".verified");
    name.into()
}

/// What a success is remembered by; `None` where the system keeps no modification times.
fn note(metadata: &Metadata, entry: &Entry) -> Option<String> {
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{} {} {}\n", entry.sha256, metadata.len(), modified.as_nanos()))
}

fn sha256(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(&block[..read]),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;
    use std::time::{Duration, SystemTime};

    use super::super::{Entry, Packages};
    use super::{VerifyError, note_path, verify};

    /// An entry whose file is `0123456789`, at `url`.
    pub(crate) fn entry(url: &str) -> Entry {
        Entry {
            name: "ten",
            about: "ten digits",
            file: "ten.gguf",
            bytes: 10,
            sha256: "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882",
            licence: "CC0-1.0",
            url: url.to_owned().leak(),
            packages: Packages { count: 1, requirement: "ten==0", member: "ten" },
        }
    }

    #[test]
    fn right_content_passes_and_every_other_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        let entry = entry("");
        assert!(matches!(verify(&path, &entry), Err(VerifyError::Missing(..))));
        fs::write(&path, "012345678").unwrap();
        assert!(matches!(verify(&path, &entry), Err(VerifyError::Size { found: 9, expected: 10, .. })));
        fs::write(&path, "012345678x").unwrap();
        let wrong = verify(&path, &entry).unwrap_err();
        assert!(matches!(wrong, VerifyError::Hash { .. }) && wrong.to_string().contains("run `ajar models pull ten`"));
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &entry).is_ok());
    }

    #[test]
    fn a_success_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &entry("")).is_ok());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();

        // Same size, same time: the note is believed, which shows that nothing was hashed.
        fs::write(&path, "xxxxxxxxxx").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert!(verify(&path, &entry("")).is_ok());

        file.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
        assert!(matches!(verify(&path, &entry("")), Err(VerifyError::Hash { .. })));
    }

    #[test]
    fn a_note_for_another_hash_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &entry("")).is_ok());
        assert!(note_path(&path).exists());
        let other = Entry { sha256: "00", ..entry("") };
        assert!(matches!(verify(&path, &other), Err(VerifyError::Hash { .. })));
    }
}
