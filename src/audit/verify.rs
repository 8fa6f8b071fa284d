//! Finds what was done to a chain since it was written.
//!
//! Each entry is hashed again and must follow the one before. That alone shows what was changed, removed, inserted or
//! reordered without rewriting all that came after; the signed checkpoints show that as well, and a cut tail. A
//! checkpoint that was kept elsewhere also binds whoever has the key.

use std::collections::BTreeSet;
use std::collections::VecDeque;

use blake3::Hash;
use serde::Serialize;
use sqlx::sqlite::SqliteRow;

use super::columns;
use super::entry::{Entry, What, genesis};
use super::reader::Against;
use super::{Checkpoint, Pruned};

/// Faults that are listed; the others are counted.
const MAX_FAULTS: usize = 100;

/// One thing that is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The row is no entry.
    #[error("entry {seq} is damaged: `{column}` holds what no entry has")]
    Damaged {
        /// Which.
        seq: u64,
        /// In which column.
        column: &'static str,
    },
    /// The content is not what was hashed.
    #[error("entry {seq} was changed: its content does not have its hash")]
    Changed {
        /// Which.
        seq: u64,
    },
    /// Numbers are absent.
    #[error("{} missing", entries(*from, *through))]
    Missing {
        /// The first.
        from: u64,
        /// The last.
        through: u64,
    },
    /// A number comes twice.
    #[error("entry {seq} was inserted: its number was there already")]
    Inserted {
        /// Which.
        seq: u64,
    },
    /// It follows another entry than the one before it.
    #[error("entry {seq} does not follow the one before it: one of them was replaced, or their order was changed")]
    Unlinked {
        /// Which.
        seq: u64,
    },
    /// The chain is whole, but not the one that was signed.
    #[error("{} not what the checkpoint of {at}{} signs: rewritten", entries(after + 1, *through), kept(*external))]
    Rewritten {
        /// The last entry that an earlier checkpoint confirms, or 0.
        after: u64,
        /// The entry that the checkpoint is about.
        through: u64,
        /// When it was signed.
        at: String,
        /// Whether it was kept elsewhere.
        external: bool,
    },
    /// The chain ends too early.
    #[error("{} missing at the end, where the checkpoint of {at}{} has more", entries(last + 1, *through), kept(*external))]
    Truncated {
        /// The last that is there.
        last: u64,
        /// The last that there was.
        through: u64,
        /// When the checkpoint was signed.
        at: String,
        /// Whether it was kept elsewhere.
        external: bool,
    },
    /// Entries were removed as too old that were not.
    #[error(
        "entries up to {through} were removed as older than {before}, but the checkpoint of {at} shows entry {seq} to be younger"
    )]
    Pruned {
        /// The last that was removed.
        through: u64,
        /// How old they should have been.
        before: String,
        /// When the checkpoint was signed.
        at: String,
        /// The entry that it is about.
        seq: u64,
    },
    /// A signed statement is not what it says.
    #[error("a {what} {why}")]
    Statement {
        /// Which kind.
        what: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
}

fn entries(from: u64, through: u64) -> String {
    if from == through { format!("entry {from} is") } else { format!("entries {from} to {through} are") }
}

fn kept(external: bool) -> &'static str {
    if external { " that was kept elsewhere" } else { "" }
}

impl Fault {
    /// The entry that it begins at, where it is about one.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Damaged { seq, .. } | Self::Changed { seq } | Self::Inserted { seq } | Self::Unlinked { seq } => {
                Some(*seq)
            }
            Self::Missing { from, .. } => Some(*from),
            Self::Rewritten { after, .. } => Some(after + 1),
            Self::Truncated { last, .. } => Some(last + 1),
            Self::Pruned { seq, .. } => Some(*seq),
            Self::Statement { .. } => None,
        }
    }
}

/// What verifying found.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verification {
    /// Which ledger.
    pub ledger: String,
    /// Entries that were read.
    pub entries: u64,
    /// The first and the last number.
    pub numbers: Option<(u64, u64)>,
    /// How many were removed from the beginning for age, under a signed statement.
    pub pruned: u64,
    /// Bodies that left without an entry, as gap entries say.
    pub lost: u64,
    /// The last entry that a checkpoint of the ledger's own confirms.
    pub confirmed: Option<Confirmed>,
    /// The last entry that a checkpoint kept elsewhere confirms.
    pub confirmed_elsewhere: Option<Confirmed>,
    /// Who signed.
    pub keys: BTreeSet<String>,
    /// What is wrong, in the order of the chain.
    #[serde(serialize_with = "as_texts")]
    pub faults: Vec<Fault>,
    /// Faults that are not listed.
    pub further_faults: u64,
}

/// A checkpoint that the chain agrees with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Confirmed {
    /// Number of the last entry.
    pub entries: u64,
    /// When it was signed.
    pub at: String,
}

impl Verification {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }
}

fn as_texts<S: serde::Serializer>(faults: &[Fault], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(faults.iter().map(ToString::to_string))
}

/// Goes along the chain.
pub(super) struct Verifier {
    /// Number and hash of the entry before; the hash is `None` where a fault hides it.
    last: (u64, Option<Hash>),
    /// By number, those not yet come to first.
    checkpoints: VecDeque<(Checkpoint, bool)>,
    found: Verification,
    rewritten: bool,
    buffer: Vec<u8>,
}

impl Verifier {
    pub(super) fn new(ledger: &str, own: Vec<String>, pruned: Option<String>, against: Against) -> Self {
        let found = Verification { ledger: ledger.to_owned(), ..Verification::default() };
        let mut verifier = Self {
            last: (0, Some(genesis(ledger))),
            checkpoints: VecDeque::new(),
            found,
            rewritten: false,
            buffer: Vec::new(),
        };
        let mut checkpoints = Vec::new();
        for line in own {
            match serde_json::from_str(&line) {
                Ok(checkpoint) => checkpoints.push((checkpoint, false)),
                Err(_) => verifier.fault(Fault::Statement { what: "stored checkpoint", why: "is damaged" }),
            }
        }
        checkpoints.extend(against.checkpoints.iter().map(|checkpoint| (checkpoint.clone(), true)));
        checkpoints.retain(|(checkpoint, external)| verifier.trusts(checkpoint, *external, &against));
        checkpoints.sort_by(|(a, _), (b, _)| (a.entries, &a.at).cmp(&(b.entries, &b.at)));
        verifier.checkpoints = checkpoints.into();
        if let Some(line) = pruned {
            verifier.begin_after(&line, &against);
        }
        verifier
    }

    /// Whether a checkpoint may be relied on.
    fn trusts(&mut self, checkpoint: &Checkpoint, external: bool, against: &Against) -> bool {
        let what = if external { "checkpoint that was kept elsewhere" } else { "stored checkpoint" };
        let (ledger, key) = (&checkpoint.ledger, &checkpoint.key);
        self.is_valid(what, checkpoint.is_genuine(), ledger, key, against)
    }

    fn is_valid(&mut self, what: &'static str, genuine: bool, ledger: &str, key: &str, against: &Against) -> bool {
        let why = if !genuine {
            "was changed: its signature does not fit"
        } else if ledger != self.found.ledger {
            "is of another ledger"
        } else if !against.keys.is_empty() && !against.keys.iter().any(|known| known.to_string() == key) {
            "is signed with a key that is not trusted"
        } else {
            self.found.keys.insert(key.to_owned());
            return true;
        };
        self.fault(Fault::Statement { what, why });
        false
    }

    /// The chain begins where the statement of what was removed ends.
    fn begin_after(&mut self, line: &str, against: &Against) {
        let what = "statement of what was removed";
        let Ok(pruned) = serde_json::from_str::<Pruned>(line) else {
            return self.fault(Fault::Statement { what, why: "is damaged" });
        };
        if self.is_valid(what, pruned.is_genuine(), &pruned.ledger, &pruned.key, against) {
            self.last = (pruned.through, Some(pruned.head));
            self.found.pruned = pruned.through;
            self.compare_with_removed(&pruned);
        }
    }

    /// Checkpoints of what was removed: its end must be the one signed, and all of it old enough.
    fn compare_with_removed(&mut self, pruned: &Pruned) {
        while let Some((checkpoint, external)) = self.checkpoints.pop_front_if(|(c, _)| c.entries <= pruned.through) {
            if checkpoint.newest >= pruned.before {
                let Pruned { through, before, .. } = pruned.clone();
                self.fault(Fault::Pruned { through, before, at: checkpoint.at, seq: checkpoint.entries });
            } else if checkpoint.entries == pruned.through {
                self.compare(&checkpoint, external, pruned.head);
            }
        }
    }

    pub(super) fn row(&mut self, row: &SqliteRow, each: &mut impl FnMut(&Entry)) {
        let entry = match columns::read(row) {
            Ok(entry) => entry,
            Err(column) => {
                let seq = columns::number(row).unwrap_or(self.last.0 + 1);
                self.number(seq);
                self.fault(Fault::Damaged { seq, column });
                self.last = (seq.max(self.last.0), None);
                return;
            }
        };
        self.entry(&entry);
        each(&entry);
    }

    fn entry(&mut self, entry: &Entry) {
        let follows = self.number(entry.seq);
        if entry.computed(&mut self.buffer) != entry.hash {
            self.fault(Fault::Changed { seq: entry.seq });
        } else if follows && self.last.1.is_some_and(|hash| hash != entry.prev) {
            self.fault(Fault::Unlinked { seq: entry.seq });
        }
        if let What::Gap { lost, .. } = &entry.what {
            self.found.lost += lost;
        }
        if entry.seq > self.last.0 {
            self.last = (entry.seq, Some(entry.hash));
        }
        while let Some((checkpoint, external)) = self.checkpoints.pop_front_if(|(c, _)| c.entries <= entry.seq) {
            // Those of numbers that are missing have nothing to be compared with; that is a fault already.
            if checkpoint.entries == entry.seq {
                self.compare(&checkpoint, external, entry.hash);
            }
        }
    }

    /// Whether `seq` is the next number.
    fn number(&mut self, seq: u64) -> bool {
        self.found.entries += 1;
        let first = self.found.numbers.map_or(seq, |(first, _)| first);
        self.found.numbers = Some((first, seq));
        let next = self.last.0 + 1;
        if seq > next {
            self.fault(Fault::Missing { from: next, through: seq - 1 });
        } else if seq < next {
            self.fault(Fault::Inserted { seq });
        }
        seq == next
    }

    /// After the first checkpoint that does not fit, no later one says anything new.
    fn compare(&mut self, checkpoint: &Checkpoint, external: bool, hash: Hash) {
        let Checkpoint { entries, at, .. } = checkpoint.clone();
        if checkpoint.head == hash {
            let confirmed = Some(Confirmed { entries, at });
            if external {
                self.found.confirmed_elsewhere = confirmed;
            } else {
                self.found.confirmed = confirmed;
            }
        } else if !std::mem::replace(&mut self.rewritten, true) {
            // What the ledger's own confirm is no help against one kept elsewhere: whoever rewrote it may have signed them.
            let own = self.found.confirmed.as_ref().filter(|_| !external);
            let confirmed = own.into_iter().chain(&self.found.confirmed_elsewhere).map(|confirmed| confirmed.entries);
            let after = confirmed.filter(|confirmed| *confirmed < entries).max().unwrap_or(0);
            self.fault(Fault::Rewritten { after: after.max(self.found.pruned), through: entries, at, external });
        }
    }

    pub(super) fn finish(mut self) -> Verification {
        // Those that are left are of numbers beyond the end; the last one has them all.
        if let Some((Checkpoint { entries, at, .. }, external)) = self.checkpoints.pop_back() {
            self.fault(Fault::Truncated { last: self.last.0, through: entries, at, external });
        }
        self.found
    }

    fn fault(&mut self, fault: Fault) {
        if self.found.faults.len() < MAX_FAULTS {
            self.found.faults.push(fault);
        } else {
            self.found.further_faults += 1;
        }
    }
}
