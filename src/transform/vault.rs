//! Which pseudonym stands for what, conversation by conversation.
//!
//! In memory only: nothing of it is written, logged or sent. It outlives reloads of policies, so that a conversation keeps
//! its pseudonyms, and is forgotten when the conversation has been idle for long.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use zeroize::Zeroizing;

use super::kind::Kind;
use super::replace::Search;
use super::token::{Seed, draw};
use crate::policy::Style;

/// Most pseudonyms of one conversation.
pub const MAX_ENTRIES: usize = 4096;
/// Most conversations; those idle longest make room.
const MAX_CONVERSATIONS: u64 = 100_000;
/// Most memory of all entries of all conversations; bytes.
const MAX_BYTES: usize = 256 << 20;
/// What an entry takes beside its two texts; bytes.
const ENTRY_BYTES: usize = 256;
/// Longest original; bytes. Longer findings are stretches of encoded data, which no model needs to see.
const MAX_ORIGINAL: usize = 64 << 10;
/// How often another pseudonym is drawn where one is taken.
const MAX_ATTEMPTS: u32 = 1024;

/// The vaults of all conversations.
pub struct Vaults {
    secret: [u8; 32],
    vaults: Cache<[u8; 32], Arc<Vault>>,
    room: Arc<Room>,
}

impl Vaults {
    /// No vaults yet; each is forgotten when it was not used for `idle`. `None` where the system has no randomness to
    /// give: a secret that others know hides nothing.
    pub fn new(idle: Duration) -> Option<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).ok()?;
        let vaults = Cache::builder().max_capacity(MAX_CONVERSATIONS).time_to_idle(idle).build();
        Some(Self { secret, vaults, room: Arc::default() })
    }

    /// The process's secret, under which conversations are named.
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The vault of a conversation; its name already says whose conversation it is.
    pub fn of(&self, conversation: &[u8; 32]) -> Arc<Vault> {
        self.vaults.get_with(*conversation, || {
            let key = *blake3::keyed_hash(&self.secret, conversation).as_bytes();
            Arc::new(Vault { key, room: self.room.clone(), entries: Mutex::default() })
        })
    }
}

/// Bytes that all vaults take together.
#[derive(Default)]
struct Room(AtomicUsize);

/// There is no room for another pseudonym. What needs one is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the conversation has no room for another pseudonym")]
pub struct Full;

/// The pseudonyms of one conversation.
pub struct Vault {
    key: [u8; 32],
    room: Arc<Room>,
    entries: Mutex<Entries>,
}

/// One pseudonym and what it stands for. Shows neither.
pub struct Entry {
    /// What stands in the outgoing body.
    pub token: String,
    /// What kind of thing it stands for.
    pub kind: Kind,
    original: Zeroizing<String>,
}

impl Entry {
    /// What it stands for.
    pub fn original(&self) -> &str {
        &self.original
    }
}

#[derive(Default)]
struct Entries {
    all: Vec<Arc<Entry>>,
    /// By a keyed hash of style and text.
    by_text: HashMap<[u8; 32], usize>,
    /// All tokens, and the words of those that have several, in small letters.
    taken: HashSet<String>,
    bytes: usize,
    /// Finds the originals; made anew when there are more.
    search: Option<Arc<Search>>,
}

impl Vault {
    /// The pseudonym for `original`: the one it has, or a new one that `occurs` nowhere in the request.
    ///
    /// # Errors
    /// [`Full`].
    pub fn token(
        &self,
        style: Style,
        kind: Kind,
        original: &str,
        occurs: &dyn Fn(&str) -> bool,
    ) -> Result<Arc<Entry>, Full> {
        let place = self.place(style, original);
        let mut entries = self.lock();
        if let Some(at) = entries.by_text.get(&place) {
            return Ok(entries.all[*at].clone());
        }
        let token = self.draw(&entries, style, kind, original, occurs)?;
        self.reserve(&mut entries, original.len() + token.len() + ENTRY_BYTES)?;
        entries.taken.extend(words(&token));
        let entry = Arc::new(Entry { token, kind, original: Zeroizing::new(original.to_owned()) });
        let at = entries.all.len();
        entries.by_text.insert(place, at);
        entries.all.push(entry.clone());
        entries.search = None;
        Ok(entry)
    }

    /// What finds every original that has a pseudonym by now.
    pub fn search(&self) -> Arc<Search> {
        let mut entries = self.lock();
        let Entries { all, search, .. } = &mut *entries;
        search.get_or_insert_with(|| Arc::new(Search::new(all.iter().map(|e| (e.kind, e.original()))))).clone()
    }

    fn draw(
        &self,
        entries: &Entries,
        style: Style,
        kind: Kind,
        original: &str,
        occurs: &dyn Fn(&str) -> bool,
    ) -> Result<String, Full> {
        if entries.all.len() >= MAX_ENTRIES || original.len() > MAX_ORIGINAL {
            return Err(Full);
        }
        let drawn = |style| {
            let one = move |attempt| draw(style, &Seed { key: &self.key, kind, original, attempt });
            (0..MAX_ATTEMPTS)
                .map(one)
                .find(|token| words(token).all(|word| !entries.taken.contains(&word)) && !occurs(token))
        };
        // A range of surrogates that is used up leaves tags.
        drawn(style).or_else(|| drawn(Style::Tag)).ok_or(Full)
    }

    fn reserve(&self, entries: &mut Entries, bytes: usize) -> Result<(), Full> {
        if self.room.0.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES {
            self.room.0.fetch_sub(bytes, Ordering::Relaxed);
            return Err(Full);
        }
        entries.bytes += bytes;
        Ok(())
    }

    fn place(&self, style: Style, original: &str) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        *hasher.update(&[style as u8]).update(original.as_bytes()).finalize().as_bytes()
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        // Entries are whole between two statements: a panic elsewhere leaves nothing half done.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Vault {
    fn drop(&mut self) {
        let bytes = self.lock().bytes;
        self.room.0.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("entries", &self.lock().all.len()).finish_non_exhaustive()
    }
}

/// The token, and each of its words where it has several: a model may use one of them alone.
fn words(token: &str) -> impl Iterator<Item = String> {
    let several = token.split(' ').filter(|word| word.len() < token.len());
    std::iter::once(token).chain(several).map(str::to_ascii_lowercase).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn vaults() -> Vaults {
        Vaults::new(Duration::from_secs(60)).unwrap()
    }

    fn token(vault: &Vault, style: Style, kind: Kind, original: &str) -> String {
        vault.token(style, kind, original, &|_| false).unwrap().token.clone()
    }

    #[test]
    fn a_conversation_keeps_its_tokens_and_shares_them_with_no_other() {
        let vaults = vaults();
        let of =
            |conversation: u8, original| token(&vaults.of(&[conversation; 32]), Style::Tag, Kind::Person, original);
        assert_eq!(of(1, "Maria"), of(1, "Maria"));
        assert_ne!(of(1, "Maria"), of(2, "Maria"));
        let other = Vaults::new(Duration::from_secs(60)).unwrap();
        assert_ne!(of(1, "Maria"), token(&other.of(&[1; 32]), Style::Tag, Kind::Person, "Maria"));
    }

    #[test]
    fn what_is_taken_or_occurs_in_the_request_is_not_drawn() {
        let vault = vaults().of(&[1; 32]);
        let usual = token(&vaults().of(&[1; 32]), Style::Tag, Kind::Card, "4111");
        let drawn = vault.token(Style::Tag, Kind::Card, "4111", &|token| token == usual).unwrap();
        assert_ne!(drawn.token, usual);
    }

    #[test]
    fn a_range_that_is_used_up_leaves_tags() {
        let vault = vaults().of(&[1; 32]);
        let macs: Vec<String> =
            (0..300).map(|n| token(&vault, Style::Surrogate, Kind::Mac, &format!("a4:83:e7:01:{n}"))).collect();
        assert!(macs[0].starts_with("00:00:5e") && macs[299].starts_with("MAC_"), "{} {}", macs[0], macs[299]);
    }

    #[test]
    fn a_full_vault_gives_no_more_and_one_that_is_dropped_frees_its_room() {
        let room = Arc::new(Room::default());
        let vault = Vault { key: [1; 32], room: room.clone(), entries: Mutex::default() };
        for n in 0..MAX_ENTRIES {
            token(&vault, Style::Tag, Kind::Value, &n.to_string());
        }
        assert!(matches!(vault.token(Style::Tag, Kind::Value, "one more", &|_| false), Err(Full)));
        assert_eq!(token(&vault, Style::Tag, Kind::Value, "7"), token(&vault, Style::Tag, Kind::Value, "7"));
        assert!(room.0.load(Ordering::Relaxed) > MAX_ENTRIES * ENTRY_BYTES);
        drop(vault);
        assert_eq!(room.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn debug_shows_no_original() {
        let vault = vaults().of(&[1; 32]);
        token(&vault, Style::Tag, Kind::Person, "Maria Gonzalez");
        assert_eq!(format!("{vault:?}"), "Vault { entries: 1, .. }");
    }

    proptest! {
        #[test]
        fn tokens_are_stable_unique_and_none_begins_another(
            originals in prop::collection::hash_set("[A-Za-z0-9 @.:]{1,12}", 1..60),
            surrogates in any::<bool>(),
        ) {
            let vault = vaults().of(&[9; 32]);
            let style = if surrogates { Style::Surrogate } else { Style::Tag };
            let originals: Vec<(Kind, String)> = Kind::ALL.into_iter().cycle().zip(originals).collect();
            let draw = || originals.iter().map(|(kind, o)| token(&vault, style, *kind, o)).collect::<Vec<_>>();
            let tokens = draw();
            prop_assert_eq!(&draw(), &tokens);
            for (i, one) in tokens.iter().enumerate() {
                for other in &tokens[i + 1..] {
                    let (one, other) = (one.to_lowercase(), other.to_lowercase());
                    prop_assert!(!one.starts_with(&other) && !other.starts_with(&one), "{} {}", one, other);
                }
            }
        }
    }
}
