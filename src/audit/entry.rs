//! One entry of the chain, and the bytes that its hash is over.

use blake3::Hash;
use jiff::Timestamp;

use super::Mode;
use crate::policy::Permit;

/// First in the bytes of every entry, so that they are those of nothing else.
const ENTRY: &[u8] = b"ajar ledger entry v1\n";
/// The same for what stands before the first entry.
const GENESIS: &[u8] = b"ajar ledger v1\n";

/// One link of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number: 1, 2, 3 and so on, without a gap.
    pub seq: u64,
    /// When it was asked for, RFC 3339 in UTC to the millisecond.
    pub at: String,
    /// What it says.
    pub what: What,
    /// The hash of the entry before.
    pub prev: Hash,
    /// The hash of this one.
    pub hash: Hash,
}

/// What an entry says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a gap is an exception, and a box would cost every other entry")]
pub enum What {
    /// A body was about to be sent.
    Sent(Sent),
    /// Entries are missing here: so many could not be written, and what they would have said was sent.
    Gap {
        /// To destinations inside (`host`) or outside (`external`).
        boundary: String,
        /// How many.
        lost: u64,
    },
}

/// A body that was about to be sent. No text of it, no header, no path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The request's id, as in the record.
    pub request: String,
    /// Which attempt of that request.
    pub attempt: u32,
    /// The destination's name in the policies.
    pub destination: String,
    /// Scheme, host and port that it went to.
    pub origin: String,
    /// `host` or `external`.
    pub boundary: String,
    /// The class of what was sent.
    pub class: String,
    /// What the class rests on.
    pub basis: String,
    /// What was done to the body, names joined by commas.
    pub transforms: String,
    /// BLAKE3 of the exact bytes.
    pub body: Hash,
    /// How many these are.
    pub bytes: u64,
    /// Digest of the policies.
    pub policy: String,
    /// `required` where nothing was sent before this entry was on disk, else `best_effort`.
    pub audit: String,
}

impl Sent {
    /// What `permit` is about to be used for, in this attempt of this request.
    pub fn new(permit: &Permit, request: String, attempt: u32, mode: Mode) -> Self {
        let terms = permit.terms();
        Self {
            request,
            attempt,
            destination: terms.destination.to_string(),
            origin: permit.origin().to_owned(),
            boundary: terms.boundary.name().to_owned(),
            class: terms.class.to_string(),
            basis: terms.basis.name().to_owned(),
            transforms: terms.transforms.names().collect::<Vec<_>>().join(","),
            body: permit.body(),
            bytes: permit.bytes() as u64,
            policy: terms.policy.to_string(),
            audit: mode.name().to_owned(),
        }
    }
}

impl What {
    /// The word in the column `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Sent(_) => "sent",
            Self::Gap { .. } => "gap",
        }
    }
}

impl Entry {
    /// The entry `seq`, after the one whose hash is `prev`.
    pub fn chained(seq: u64, at: String, what: What, prev: Hash) -> Self {
        let mut entry = Self { seq, at, what, prev, hash: prev };
        entry.hash = entry.computed(&mut Vec::new());
        entry
    }

    /// The hash that its content has, whatever it says itself. `buffer` is space to work in.
    pub fn computed(&self, buffer: &mut Vec<u8>) -> Hash {
        buffer.clear();
        buffer.extend_from_slice(ENTRY);
        buffer.extend_from_slice(self.prev.as_bytes());
        number(buffer, self.seq);
        text(buffer, self.what.kind());
        text(buffer, &self.at);
        match &self.what {
            What::Sent(sent) => sent.write(buffer),
            What::Gap { boundary, lost } => {
                text(buffer, boundary);
                number(buffer, *lost);
            }
        }
        blake3::hash(buffer)
    }
}

impl Sent {
    fn write(&self, buffer: &mut Vec<u8>) {
        text(buffer, &self.request);
        number(buffer, self.attempt.into());
        text(buffer, &self.destination);
        text(buffer, &self.origin);
        text(buffer, &self.boundary);
        text(buffer, &self.class);
        text(buffer, &self.basis);
        text(buffer, &self.transforms);
        text(buffer, self.body.to_hex().as_str());
        number(buffer, self.bytes);
        text(buffer, &self.policy);
        text(buffer, &self.audit);
    }
}

/// What the first entry of the ledger called `id` has for its predecessor's hash.
pub fn genesis(id: &str) -> Hash {
    let mut bytes = GENESIS.to_vec();
    text(&mut bytes, id);
    blake3::hash(&bytes)
}

/// A field: its length in four bytes, least significant first, then its bytes.
pub(super) fn text(buffer: &mut Vec<u8>, field: &str) {
    // Nothing here comes near 4 GiB.
    let length = u32::try_from(field.len()).unwrap_or(u32::MAX);
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(field.as_bytes());
}

/// A number is the field of its decimal digits.
pub(super) fn number(buffer: &mut Vec<u8>, field: u64) {
    let (mut digits, mut rest, mut at) = ([0; 20], field, 20);
    loop {
        at -= 1;
        // A remainder of ten is one digit.
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    buffer.extend_from_slice(&((20 - at) as u32).to_le_bytes());
    buffer.extend_from_slice(&digits[at..]);
}

/// Times as the ledger keeps them: of one width, so that their order as text is their order in time.
pub(super) fn timestamp(at: Timestamp) -> String {
    format!("{at:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_their_digits() {
        for n in [0, 7, 10, 1_234_567, u64::MAX] {
            let (mut digits, mut same) = (Vec::new(), Vec::new());
            number(&mut digits, n);
            text(&mut same, &n.to_string());
            assert_eq!(digits, same);
        }
    }

    /// An independent implementation would begin with this one.
    #[test]
    fn the_bytes_and_the_hash_of_an_entry_are_these() {
        let gap = What::Gap { boundary: "external".to_owned(), lost: 12 };
        let entry = Entry::chained(1, "2026-11-24T12:00:00.000Z".to_owned(), gap, genesis("01JD"));
        let mut bytes = Vec::new();
        entry.computed(&mut bytes);
        let head = [ENTRY, genesis("01JD").as_bytes()].concat();
        let fields = b"\x01\0\0\x001\x03\0\0\0gap\x18\0\0\x002026-11-24T12:00:00.000Z\x08\0\0\0external\x02\0\0\x0012";
        assert_eq!(bytes, [&head[..], fields].concat());
        // Computed by another implementation.
        assert_eq!(entry.hash.to_hex().as_str(), "5740b372131d6572dceb40b483c62f1ebfbe8731d8ad5b2ed227456296fb4940");
    }
}
