//! Signed statements about the chain: how far it has come, and how much of its beginning was removed.

use std::io::Write;
use std::path::Path;

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::entry::{number, text};
use super::{LedgerError, PublicKey, SigningKey};

const CHECKPOINT: &str = "ajar ledger checkpoint v1";
const PRUNED: &str = "ajar ledger pruned v1";

/// How far the chain had come. Kept elsewhere, it shows whether what came before was rewritten since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What this is, and the version of its form.
    pub statement: String,
    /// Which ledger.
    pub ledger: String,
    /// Number of the last entry.
    pub entries: u64,
    /// That entry's hash.
    #[serde(with = "hexadecimal")]
    pub head: Hash,
    /// That entry's time.
    pub newest: String,
    /// When it was signed.
    pub at: String,
    /// The public key.
    pub key: String,
    /// The signature, in hex.
    pub signature: String,
}

/// What was removed from the beginning of the chain for age, so that the rest can still be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pruned {
    /// What this is, and the version of its form.
    pub statement: String,
    /// Which ledger.
    pub ledger: String,
    /// Number of the last entry that was removed; the first was 1.
    pub through: u64,
    /// That entry's hash.
    #[serde(with = "hexadecimal")]
    pub head: Hash,
    /// Entries of before this time were removed.
    pub before: String,
    /// When it was signed.
    pub at: String,
    /// The public key.
    pub key: String,
    /// The signature, in hex.
    pub signature: String,
}

impl Checkpoint {
    /// States and signs that entry `entries`, of the time `newest`, has the hash `head`.
    pub fn sign(key: &SigningKey, ledger: &str, (entries, head, newest): (u64, Hash, String), at: String) -> Self {
        let mut checkpoint = Self {
            statement: CHECKPOINT.to_owned(),
            ledger: ledger.to_owned(),
            entries,
            head,
            newest,
            at,
            key: key.public().to_string(),
            signature: String::new(),
        };
        checkpoint.signature = key.sign(&checkpoint.signed_bytes());
        checkpoint
    }

    /// Whether it is what it says, and its own key signed it.
    pub fn is_genuine(&self) -> bool {
        self.statement == CHECKPOINT && is_signed(&self.key, &self.signed_bytes(), &self.signature)
    }

    /// As one line of JSON, without the line's end.
    pub fn line(&self) -> String {
        // Strings and numbers: nothing to fail on.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        text(&mut bytes, &self.statement);
        text(&mut bytes, &self.ledger);
        number(&mut bytes, self.entries);
        text(&mut bytes, self.head.to_hex().as_str());
        text(&mut bytes, &self.newest);
        text(&mut bytes, &self.at);
        text(&mut bytes, &self.key);
        bytes
    }
}

impl Pruned {
    /// States and signs that the entries up to `through`, whose hash is `head`, were removed as older than `before`.
    pub fn sign(key: &SigningKey, ledger: &str, (through, head): (u64, Hash), before: String, at: String) -> Self {
        let mut pruned = Self {
            statement: PRUNED.to_owned(),
            ledger: ledger.to_owned(),
            through,
            head,
            before,
            at,
            key: key.public().to_string(),
            signature: String::new(),
        };
        pruned.signature = key.sign(&pruned.signed_bytes());
        pruned
    }

    /// Whether it is what it says, and its own key signed it.
    pub fn is_genuine(&self) -> bool {
        self.statement == PRUNED && is_signed(&self.key, &self.signed_bytes(), &self.signature)
    }

    /// As one line of JSON, without the line's end.
    pub fn line(&self) -> String {
        // Strings and numbers: nothing to fail on.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn signed_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        text(&mut bytes, &self.statement);
        text(&mut bytes, &self.ledger);
        number(&mut bytes, self.through);
        text(&mut bytes, self.head.to_hex().as_str());
        text(&mut bytes, &self.before);
        text(&mut bytes, &self.at);
        text(&mut bytes, &self.key);
        bytes
    }
}

/// Reads the checkpoints of a file, one JSON object a line.
///
/// # Errors
/// [`LedgerError::Checkpoints`] with the line that is none.
pub fn read_checkpoints(path: &Path) -> Result<Vec<Checkpoint>, LedgerError> {
    let failed = |why: String| LedgerError::Checkpoints { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let read =
        lines.map(|(i, line)| serde_json::from_str(line).map_err(|error| failed(format!("line {}: {error}", i + 1))));
    read.collect()
}

/// Adds a line to the file, which is opened anew each time: it may have been moved away to be shipped.
pub(super) fn append(path: &Path, checkpoint: &Checkpoint) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(format!("{}\n", checkpoint.line()).as_bytes())
}

fn is_signed(key: &str, bytes: &[u8], signature: &str) -> bool {
    PublicKey::parse(key).is_some_and(|key| key.signed(bytes, signature))
}

/// Hashes as 64 hexadecimal digits.
mod hexadecimal {
    use blake3::Hash;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &Hash, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(hash.to_hex().as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash, D::Error> {
        let text = String::deserialize(from)?;
        Hash::from_hex(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_changed_in_a_checkpoint_its_signature_no_longer_fits() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::load_or_create(&folder.path().join("key")).unwrap();
        let other = SigningKey::load_or_create(&folder.path().join("other")).unwrap();
        let head = blake3::hash(b"head");
        let signed = Checkpoint::sign(&key, "01JD", (7, head, "then".to_owned()), "now".to_owned());
        assert!(signed.is_genuine());
        let read: Checkpoint = serde_json::from_str(&signed.line()).unwrap();
        assert_eq!(read, signed);
        let forgeries: [fn(&mut Checkpoint, &SigningKey); 8] = [
            |c, _| c.statement = PRUNED.to_owned(),
            |c, _| c.ledger.push('X'),
            |c, _| c.entries += 1,
            |c, _| c.head = blake3::hash(b"other"),
            |c, _| c.newest.push('0'),
            |c, _| c.at.push('0'),
            |c, other| c.key = other.public().to_string(),
            |c, _| c.signature = c.signature.replace(&c.signature[..1].to_owned(), "g"),
        ];
        for (i, forge) in forgeries.iter().enumerate() {
            let mut forged = signed.clone();
            forge(&mut forged, &other);
            assert!(!forged.is_genuine(), "forgery {i}");
        }
    }

    #[test]
    fn a_line_that_is_no_checkpoint_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("checkpoints.jsonl");
        std::fs::write(&path, "\n{\"statement\":1}\n").unwrap();
        let error = read_checkpoints(&path).unwrap_err().to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
