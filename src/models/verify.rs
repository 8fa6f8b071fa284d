//! Is this file the one that is meant?

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::Entry;
use super::gguf::{Gguf, GgufError};

const BLOCK: usize = 1 << 20;

/// What a model file must be; what is `None` may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// Its size in bytes.
    pub bytes: Option<u64>,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// That of its chat template's text.
    pub template_sha256: Option<String>,
    /// What helps where it is something else.
    pub way_out: String,
}

/// Why a file must not be used.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It is not there.
    #[error("the model file `{path}` does not exist: {way_out}")]
    Missing {
        /// Which file.
        path: PathBuf,
        /// What helps.
        way_out: String,
    },
    /// It cannot be read.
    #[error("the model file `{path}` cannot be read: {error}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It has another size.
    #[error("the model file `{path}` has {found} bytes, expected {expected}: {way_out}")]
    Size {
        /// Which file.
        path: PathBuf,
        /// Its size.
        found: u64,
        /// What it must be.
        expected: u64,
        /// What helps.
        way_out: String,
    },
    /// It has other content.
    #[error("the model file `{path}` has SHA-256 {found}, expected {expected}: {way_out}")]
    Hash {
        /// Which file.
        path: PathBuf,
        /// Its hash.
        found: String,
        /// What it must be.
        expected: String,
        /// What helps.
        way_out: String,
    },
    /// It is no model.
    #[error("the model file `{path}` {fault}: {way_out}")]
    Fault {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        fault: GgufError,
        /// What helps.
        way_out: String,
    },
    /// It has another chat template, or none.
    #[error("the chat template of `{path}` has SHA-256 {found}, expected {expected}: {way_out}")]
    Template {
        /// Which file.
        path: PathBuf,
        /// Its template's hash.
        found: String,
        /// What it must be.
        expected: String,
        /// What helps.
        way_out: String,
    },
}

impl Entry {
    /// What its file must be.
    pub fn pin(&self) -> Pin {
        Pin {
            bytes: Some(self.bytes),
            sha256: Some(self.sha256.to_owned()),
            template_sha256: self.template_sha256.map(str::to_owned),
            way_out: format!("run `ajar models pull {}`", self.name),
        }
    }
}

/// Checks the file at `path` against `pin`.
///
/// Hashing a gigabyte takes seconds, so a success is remembered beside the file, in `FILE.verified`, for as long as
/// size and modification time stay the same. Blocking.
///
/// # Errors
/// See [`VerifyError`]; each names the file and the way out.
pub fn verify(path: &Path, pin: &Pin) -> Result<(), VerifyError> {
    let metadata = fs::metadata(path).map_err(|error| unreadable(path, pin, error))?;
    let found = metadata.len();
    if let Some(expected) = pin.bytes.filter(|bytes| *bytes != found) {
        return Err(VerifyError::Size { path: path.to_owned(), found, expected, way_out: pin.way_out.clone() });
    }
    if let Some(expected) = &pin.sha256 {
        verify_content(path, &metadata, expected, pin)?;
    }
    match &pin.template_sha256 {
        Some(expected) => verify_template(path, expected, pin),
        None => Ok(()),
    }
}

fn verify_content(path: &Path, metadata: &Metadata, expected: &str, pin: &Pin) -> Result<(), VerifyError> {
    let note = note(metadata, expected);
    if note.is_some() && fs::read_to_string(note_path(path)).ok() == note {
        return Ok(());
    }
    let found = sha256(path).map_err(|error| unreadable(path, pin, error))?;
    if found != expected {
        let (path, expected, way_out) = (path.to_owned(), expected.to_owned(), pin.way_out.clone());
        return Err(VerifyError::Hash { path, found, expected, way_out });
    }
    if let Some(note) = note {
        // A folder that cannot be written costs only the next start its seconds.
        let _ = fs::write(note_path(path), note);
    }
    Ok(())
}

fn verify_template(path: &Path, expected: &str, pin: &Pin) -> Result<(), VerifyError> {
    let (path, expected, way_out) = (path.to_owned(), expected.to_owned(), pin.way_out.clone());
    let gguf = match Gguf::open(&path) {
        Ok(gguf) => gguf,
        Err(fault) => return Err(VerifyError::Fault { path, fault, way_out }),
    };
    match template_sha256(&gguf) {
        Some(found) if found == expected => Ok(()),
        found => {
            let found = found.unwrap_or_else(|| "of nothing, for there is none".to_owned());
            Err(VerifyError::Template { path, found, expected, way_out })
        }
    }
}

/// The SHA-256 of the model's chat template, in lower-case hexadecimal; `None` where it has none.
pub fn template_sha256(gguf: &Gguf) -> Option<String> {
    gguf.template().map(|template| hex::encode(Sha256::digest(template)))
}

fn unreadable(path: &Path, pin: &Pin, error: io::Error) -> VerifyError {
    let path = path.to_owned();
    match error.kind() {
        io::ErrorKind::NotFound => VerifyError::Missing { path, way_out: pin.way_out.clone() },
        _ => VerifyError::Unreadable { path, error },
    }
}

fn note_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".verified");
    name.into()
}

/// What a success is remembered by; `None` where the system keeps no modification times.
fn note(metadata: &Metadata, sha256: &str) -> Option<String> {
    let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{sha256} {} {}\n", metadata.len(), modified.as_nanos()))
}

/// The SHA-256 of the file at `path`, in lower-case hexadecimal. Blocking: a gigabyte takes seconds.
///
/// # Errors
/// When it cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
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

    use super::super::gguf::support::GgufFile;
    use super::super::{Entry, Packages};
    use super::{Pin, VerifyError, note_path, sha256, verify};

    /// The SHA-256 of `0123456789`.
    pub(crate) const TEN: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

    /// An entry whose file is `0123456789`, at `url`.
    pub(crate) fn entry(url: &str) -> Entry {
        Entry {
            name: "ten",
            about: "ten digits",
            file: "ten.gguf",
            bytes: 10,
            sha256: TEN,
            template_sha256: None,
            licence: "CC0-1.0",
            url: url.to_owned().leak(),
            packages: Packages { count: 1, requirement: "ten==0", member: "ten" },
        }
    }

    #[test]
    fn right_content_passes_and_every_other_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        let pin = entry("").pin();
        assert!(matches!(verify(&path, &pin), Err(VerifyError::Missing { .. })));
        fs::write(&path, "012345678").unwrap();
        assert!(matches!(verify(&path, &pin), Err(VerifyError::Size { found: 9, expected: 10, .. })));
        fs::write(&path, "012345678x").unwrap();
        let wrong = verify(&path, &pin).unwrap_err();
        assert!(matches!(wrong, VerifyError::Hash { .. }) && wrong.to_string().contains("run `ajar models pull ten`"));
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &pin).is_ok());
    }

    #[test]
    fn a_success_is_remembered_until_the_file_changes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        let pin = entry("").pin();
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &pin).is_ok());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();

        // Same size, same time: the note is believed, which shows that nothing was hashed.
        fs::write(&path, "xxxxxxxxxx").unwrap();
        let file = fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(modified).unwrap();
        assert!(verify(&path, &pin).is_ok());

        file.set_modified(SystemTime::now() + Duration::from_secs(1)).unwrap();
        assert!(matches!(verify(&path, &pin), Err(VerifyError::Hash { .. })));
    }

    #[test]
    fn a_note_for_another_hash_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ten.gguf");
        fs::write(&path, "0123456789").unwrap();
        assert!(verify(&path, &entry("").pin()).is_ok());
        assert!(note_path(&path).exists());
        let other = Pin { sha256: Some("00".to_owned()), ..entry("").pin() };
        assert!(matches!(verify(&path, &other), Err(VerifyError::Hash { .. })));
    }

    #[test]
    fn a_template_that_was_changed_is_refused_with_both_hashes_whatever_else_is_right() {
        let folder = tempfile::tempdir().unwrap();
        let [mine, theirs, none] = ["mine", "theirs", "none"].map(|name| folder.path().join(name));
        let mut changed = GgufFile::llama();
        changed.text("tokenizer.chat_template", "{{ 'Obey.' }}");
        fs::write(&mine, GgufFile::llama().bytes()).unwrap();
        fs::write(&theirs, changed.bytes()).unwrap();
        fs::write(&none, "0123456789").unwrap();
        let pin = |template: &str| Pin { template_sha256: Some(template.to_owned()), ..Pin::default() };
        let VerifyError::Template { found, .. } = verify(&mine, &pin("00")).unwrap_err() else { panic!() };
        assert!(verify(&mine, &pin(&found)).is_ok());
        let refusal = verify(&theirs, &Pin { sha256: sha256(&theirs).ok(), ..pin(&found) }).unwrap_err().to_string();
        // What `sha256sum` says of that text.
        let other = "7f578be58fd862933d725e674ef827767c868964f9c68f8e50fe8df106448541";
        assert!(refusal.contains(&format!("has SHA-256 {other}, expected {found}")), "{refusal}");
        assert!(matches!(verify(&none, &pin(&found)), Err(VerifyError::Fault { .. })));
    }
}
