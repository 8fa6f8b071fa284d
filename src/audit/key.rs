//! The key that checkpoints are signed with: Ed25519, as `ring` has it, which TLS brings along.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::Path;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use zeroize::Zeroizing;

use super::LedgerError;

const SEED: usize = 32;

/// Signs. Its `Debug` shows the public half.
pub struct SigningKey(Ed25519KeyPair);

/// Checks signatures. Written as 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey([u8; 32]);

impl SigningKey {
    /// The key in the file at `path`; where there is none, a new one, which only its owner can read.
    ///
    /// # Errors
    /// [`LedgerError::Key`].
    pub fn load_or_create(path: &Path) -> Result<Self, LedgerError> {
        match Self::load(path) {
            Err(LedgerError::Key { .. }) if !path.exists() => Self::create(path),
            loaded => loaded,
        }
    }

    /// The key in the file at `path`.
    ///
    /// # Errors
    /// [`LedgerError::Key`].
    pub fn load(path: &Path) -> Result<Self, LedgerError> {
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| problem(path, &error))?;
        let mut seed = Zeroizing::new([0; SEED]);
        hex::decode_to_slice(text.trim(), &mut *seed).map_err(|_| {
            problem(path, &"it is not 64 hexadecimal digits; restore it, or move it away for a new one")
        })?;
        Self::from_seed(&seed).ok_or_else(|| problem(path, &"it is no Ed25519 key"))
    }

    fn create(path: &Path) -> Result<Self, LedgerError> {
        let mut seed = Zeroizing::new([0; SEED]);
        getrandom::fill(&mut *seed).map_err(|error| problem(path, &error))?;
        let written = write_private(path, &Zeroizing::new(hex::encode(*seed)));
        match written {
            Ok(()) => Self::from_seed(&seed).ok_or_else(|| problem(path, &"it is no Ed25519 key")),
            // Another process was faster.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(problem(path, &error)),
        }
    }

    fn from_seed(seed: &[u8; SEED]) -> Option<Self> {
        Ed25519KeyPair::from_seed_unchecked(seed).ok().map(Self)
    }

    /// The half that may be known.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        // Ed25519's public keys have 32 bytes.
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// The signature of `bytes`, in hex.
    pub fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.sign(bytes))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public()).finish()
    }
}

impl PublicKey {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text.trim(), &mut bytes).ok()?;
        Some(Self(bytes))
    }

    /// Whether `signature`, in hex, is this key's of `bytes`.
    pub fn signed(&self, bytes: &[u8], signature: &str) -> bool {
        let Ok(signature) = hex::decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(bytes, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn problem(path: &Path, why: &dyn fmt::Display) -> LedgerError {
    LedgerError::Key { path: path.to_owned(), why: why.to_string() }
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_key_is_private_is_found_again_and_signs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/ledger.key");
        let key = SigningKey::load_or_create(&path).unwrap();
        let again = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(key.public(), again.public());
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        let signature = key.sign(b"abc");
        let public = PublicKey::parse(&key.public().to_string()).unwrap();
        assert!(public.signed(b"abc", &signature));
        assert!(!public.signed(b"abd", &signature) && !public.signed(b"abc", "00") && !public.signed(b"abc", "x"));
        let seed = std::fs::read_to_string(&path).unwrap();
        assert!(!format!("{key:?}").contains(seed.trim()));
    }

    #[test]
    fn a_file_that_is_no_key_is_refused_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.key");
        std::fs::write(&path, "no key").unwrap();
        let error = SigningKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("64 hexadecimal digits"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "no key");
    }

    /// The first test vector of RFC 8032, section 7.1.
    #[test]
    fn signs_as_the_standard_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.key");
        std::fs::write(&path, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").unwrap();
        let key = SigningKey::load(&path).unwrap();
        assert_eq!(key.public().to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert!(key.sign(b"").starts_with("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"));
    }
}
