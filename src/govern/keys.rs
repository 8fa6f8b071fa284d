//! Virtual keys: what a client shows instead of a provider's key.
//!
//! A key holds 160 random bits, so a keyed hash is all that its storage needs: nothing slow, and nothing to guess. The
//! configuration holds HMAC-SHA-256 under a pepper that is kept elsewhere; a stolen configuration opens nothing.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Limiter, RateLimit};
use crate::chat::Priority;

/// What every key begins with: for people, and for scanners that look for leaked keys.
pub const KEY_PREFIX: &str = "ajar-";
/// What every hash in the configuration begins with.
pub const HASH_PREFIX: &str = "hmac-sha256:";
const KEY_BYTES: usize = 20;
const PEPPER_BYTES: usize = 32;
const MIN_PEPPER: usize = 16;

type Digest = [u8; 32];

/// One key, as the configuration states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyEntry {
    /// Its name in policies, budgets and records; never secret.
    pub name: String,
    /// `hmac-sha256:<64 hex digits>`.
    pub hash: String,
    /// Whose caches it shares; its own where not stated.
    pub tenant: Option<String>,
    /// The policy's `key.*`.
    pub attributes: BTreeMap<String, String>,
    /// How much answers tell this client.
    pub explain: Explain,
    /// How often it may ask.
    pub limit: Option<RateLimit>,
    /// How urgent its requests are to the embedded engine, at most.
    pub priority: Priority,
}

/// How much the answers of a key explain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Explain {
    /// Nothing: scores and classes help whoever wants to evade them.
    #[default]
    None,
    /// One reason code.
    Reason,
    /// Everything the record knows.
    Full,
}

impl Explain {
    /// Reads the configuration's word for it.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "reason" => Some(Self::Reason),
            "full" => Some(Self::Full),
            _ => None,
        }
    }
}

/// Who asks: an authenticated key.
#[derive(Debug)]
pub struct Subject {
    /// The key's name.
    pub name: Arc<str>,
    /// Whose caches it shares.
    pub tenant: Arc<str>,
    /// The policy's `key.*`.
    pub attributes: Arc<BTreeMap<String, String>>,
    /// How much answers tell this client.
    pub explain: Explain,
    /// Counts its requests, where it has a limit.
    pub limiter: Option<Arc<Limiter>>,
    /// How urgent its requests are to the embedded engine, at most.
    pub priority: Priority,
}

/// Why a key of the configuration was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// A key without a name.
    #[error("key number {0} has no name; give it one, records and budgets use it")]
    NoName(usize),
    /// Two keys of one name.
    #[error("there are two keys named `{0}`; names tell keys apart in records and budgets")]
    SameName(String),
    /// A hash that is none.
    #[error("the hash of key `{0}` is not `hmac-sha256:` and 64 hex digits; `ajar keys new` prints one")]
    Hash(String),
    /// Two names for one secret.
    #[error("key `{1}` has the same hash as key `{0}`; every key needs a secret of its own")]
    SameHash(String, String),
}

/// All keys that open the door.
pub struct Keyring {
    pepper: Pepper,
    subjects: HashMap<Digest, Arc<Subject>>,
}

impl Keyring {
    /// Checks `entries` and reports everything that is wrong with them. Given the `previous` keyring, keys whose limit
    /// is unchanged go on counting where they were: a reload is no way around a limit.
    pub fn build(entries: &[KeyEntry], pepper: Pepper, previous: Option<&Keyring>) -> Result<Self, Vec<KeyError>> {
        let limiters = previous.map(Keyring::limiters).unwrap_or_default();
        let mut errors = Vec::new();
        let mut names = HashMap::new();
        let mut subjects: HashMap<Digest, Arc<Subject>> = HashMap::new();
        for (i, entry) in entries.iter().enumerate() {
            if entry.name.is_empty() {
                errors.push(KeyError::NoName(i + 1));
            } else if names.insert(&entry.name, ()).is_some() {
                errors.push(KeyError::SameName(entry.name.clone()));
            }
            let Some(digest) = parse_hash(&entry.hash) else {
                errors.push(KeyError::Hash(entry.name.clone()));
                continue;
            };
            if let Some(twin) = subjects.insert(digest, Arc::new(entry.subject(&limiters))) {
                errors.push(KeyError::SameHash(twin.name.to_string(), entry.name.clone()));
            }
        }
        if errors.is_empty() { Ok(Self { pepper, subjects }) } else { Err(errors) }
    }

    /// Whose key `presented` is. It takes the same time for every wrong key of a length: what is looked up is a keyed
    /// hash, which nobody can steer, and the last comparison is in constant time.
    pub fn authenticate(&self, presented: &str) -> Option<&Arc<Subject>> {
        let digest = self.pepper.digest(presented);
        let (known, subject) = self.subjects.get_key_value(&digest)?;
        bool::from(known.ct_eq(&digest)).then_some(subject)
    }

    /// The key named `name`: for operators, who hold no secrets of clients.
    pub fn named(&self, name: &str) -> Option<&Arc<Subject>> {
        self.subjects.values().find(|subject| &*subject.name == name)
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.subjects.len()
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.subjects.is_empty()
    }

    fn limiters(&self) -> HashMap<&str, &Arc<Limiter>> {
        self.subjects.values().filter_map(|s| Some((&*s.name, s.limiter.as_ref()?))).collect()
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keyring({} keys)", self.subjects.len())
    }
}

impl KeyEntry {
    fn subject(&self, limiters: &HashMap<&str, &Arc<Limiter>>) -> Subject {
        let limiter = self.limit.map(|limit| match limiters.get(self.name.as_str()) {
            Some(&running) if running.limit() == limit => running.clone(),
            _ => Arc::new(Limiter::new(limit)),
        });
        Subject {
            name: self.name.as_str().into(),
            tenant: self.tenant.as_deref().unwrap_or(&self.name).into(),
            attributes: Arc::new(self.attributes.clone()),
            explain: self.explain,
            limiter,
            priority: self.priority,
        }
    }
}

fn parse_hash(hash: &str) -> Option<Digest> {
    let mut digest = Digest::default();
    hex::decode_to_slice(hash.strip_prefix(HASH_PREFIX)?, &mut digest).ok()?;
    Some(digest)
}

/// The secret under which keys are hashed. It is kept apart from the configuration: a file of its own, or a variable.
#[derive(Clone)]
pub struct Pepper(SecretSlice<u8>);

/// A pepper too short to protect anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pepper has {0} bytes and needs at least {MIN_PEPPER}; delete the file to have one generated")]
pub struct WeakPepper(usize);

impl Pepper {
    /// From a file's or a variable's content; white space around it does not count, so that a final newline is harmless.
    pub fn new(content: &[u8]) -> Result<Self, WeakPepper> {
        let content = content.trim_ascii();
        if content.len() < MIN_PEPPER {
            return Err(WeakPepper(content.len()));
        }
        Ok(Self(content.to_vec().into()))
    }

    /// A fresh one of 256 random bits, printable.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let text = random_hex::<PEPPER_BYTES>()?;
        Ok(Self(text.as_bytes().to_vec().into()))
    }

    /// The bytes themselves: for writing them to their file, and nothing else.
    pub fn expose(&self) -> &[u8] {
        self.0.expose_secret()
    }

    /// The configuration's hash of a key.
    pub fn hash(&self, key: &str) -> String {
        format!("{HASH_PREFIX}{}", hex::encode(self.digest(key)))
    }

    /// A secret of its own for `purpose`, the same as long as the pepper is.
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, self.0.expose_secret())
    }

    fn digest(&self, key: &str) -> Digest {
        // HMAC takes a key of any length.
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("any length is a valid HMAC key");
        mac.update(key.as_bytes());
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper")
    }
}

/// A key that was just made: the only time it can be shown.
#[derive(Debug)]
pub struct NewKey {
    /// For the client.
    pub key: SecretString,
    /// For the configuration.
    pub hash: String,
}

impl NewKey {
    /// Makes a key: `ajar-` and 160 random bits in hex.
    pub fn generate(pepper: &Pepper) -> Result<Self, getrandom::Error> {
        let key = Zeroizing::new(format!("{KEY_PREFIX}{}", *random_hex::<KEY_BYTES>()?));
        Ok(Self { hash: pepper.hash(&key), key: key.as_str().into() })
    }
}

fn random_hex<const BYTES: usize>() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; BYTES]);
    getrandom::fill(&mut *bytes)?;
    Ok(Zeroizing::new(hex::encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn pepper() -> Pepper {
        Pepper::new(b"0123456789abcdef\n").unwrap()
    }

    fn entry(name: &str, hash: String) -> KeyEntry {
        let limit = RateLimit { per_minute: NonZeroU32::MIN, burst: None };
        KeyEntry {
            name: name.into(),
            hash,
            tenant: None,
            attributes: BTreeMap::from([("app".into(), "bot".into())]),
            explain: Explain::Reason,
            limit: Some(limit),
            priority: Priority::High,
        }
    }

    #[test]
    fn a_generated_key_opens_and_every_other_does_not() {
        let new = NewKey::generate(&pepper()).unwrap();
        let key = new.key.expose_secret();
        assert_eq!((key.len(), key.starts_with(KEY_PREFIX)), (45, true));
        let ring = Keyring::build(&[entry("bot", new.hash.clone())], pepper(), None).unwrap();
        let subject = ring.authenticate(key).unwrap();
        assert_eq!((&*subject.name, &*subject.tenant, subject.explain), ("bot", "bot", Explain::Reason));
        assert_eq!(subject.attributes["app"], "bot");
        for wrong in ["", "ajar-", &key[..44], &format!("{key} "), &key.to_uppercase(), &new.hash, "bot"] {
            assert!(ring.authenticate(wrong).is_none());
        }
        let elsewhere = Keyring::build(&[entry("bot", new.hash)], Pepper::generate().unwrap(), None).unwrap();
        assert!(elsewhere.authenticate(key).is_none(), "the hash alone, under another pepper, opens nothing");
    }

    #[test]
    fn reports_every_wrong_entry_at_once() {
        let hash = pepper().hash("ajar-x");
        let entries = [
            entry("a", hash.clone()),
            entry("a", "hmac-sha256:beef".into()),
            entry("b", hash),
            entry("", "sha256:00".into()),
        ];
        let errors = Keyring::build(&entries, pepper(), None).unwrap_err();
        let expected = [
            KeyError::SameName("a".into()),
            KeyError::Hash("a".into()),
            KeyError::SameHash("a".into(), "b".into()),
            KeyError::NoName(4),
            KeyError::Hash(String::new()),
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn a_reload_does_not_refill_a_limit() {
        let first = Keyring::build(&[entry("a", pepper().hash("ajar-x"))], pepper(), None).unwrap();
        let check = |ring: &Keyring| ring.authenticate("ajar-x").unwrap().limiter.as_ref().unwrap().check();
        assert!(check(&first).is_ok());
        let again = Keyring::build(&[entry("a", pepper().hash("ajar-x"))], pepper(), Some(&first)).unwrap();
        assert!(check(&again).is_err());
        let mut raised = entry("a", pepper().hash("ajar-x"));
        raised.limit = Some(RateLimit { per_minute: NonZeroU32::new(5).unwrap(), burst: None });
        assert!(check(&Keyring::build(&[raised], pepper(), Some(&again)).unwrap()).is_ok());
    }

    #[test]
    fn debug_shows_neither_keys_nor_peppers() {
        let new = NewKey::generate(&pepper()).unwrap();
        let ring = Keyring::build(&[entry("a", new.hash.clone())], pepper(), None).unwrap();
        let shown = format!("{new:?} {ring:?} {:?}", pepper());
        assert!(!shown.contains(&new.key.expose_secret()[5..]) && !shown.contains("0123456789"), "{shown}");
    }

    #[test]
    fn a_short_pepper_is_refused() {
        assert_eq!(Pepper::new(b"  short \n").unwrap_err(), WeakPepper(5));
    }
}
