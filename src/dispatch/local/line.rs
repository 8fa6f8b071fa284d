//! Who of those that wait is next, and who makes room when too many do: plain bookkeeping, without clock or locks.
//!
//! The highest priority goes first. Within one, the tenant that holds the fewest sequences does, and those that hold as many
//! take turns; of one tenant, whoever came first. Each fourth to be taken is the one that has waited longest, whatever its
//! priority: so whoever comes when `n` others wait is at the latest the `4 * (n + 1)`-th to be taken from then on.
//!
//! Where as many wait as may, somebody of the lowest priority leaves for a newcomer, perhaps the newcomer itself: the newest
//! of the tenant of which most wait.

use std::cmp::Ordering;
#[cfg(any(feature = "llama", test))]
use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::chat::Priority;

/// One of so many that are taken is the one that has waited longest.
#[cfg(any(feature = "llama", test))]
const LONGEST: u64 = 4;

/// Whose turn somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The tenant's name.
    pub tenant: Arc<str>,
    /// How urgent it is.
    pub priority: Priority,
}

/// Those that wait.
pub(super) struct Line<T> {
    /// As [`Priority::ALL`]: the tenants of which somebody waits, in the order of their turns.
    levels: [Vec<Party<T>>; Priority::ALL.len()],
    /// How many have come.
    arrived: u64,
    /// How many were taken.
    #[cfg(any(feature = "llama", test))]
    taken: u64,
}

/// Those of one tenant, in the order in which they came.
struct Party<T> {
    tenant: Arc<str>,
    /// Each with its number of all that have come; never empty.
    waiting: VecDeque<(u64, T)>,
}

/// What decides who is next: the less the sooner.
#[cfg(any(feature = "llama", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Reverse<Priority>,
    /// How many sequences the tenant's jobs hold now.
    held: usize,
}

#[cfg(any(feature = "llama", test))]
impl Rank {
    pub(super) fn new(priority: Priority, held: usize) -> Self {
        Self { priority: Reverse(priority), held }
    }
}

/// As many wait as may, and whoever comes has the least claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            levels: [const { Vec::new() }; Priority::ALL.len()],
            arrived: 0,
            #[cfg(any(feature = "llama", test))]
            taken: 0,
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.levels.iter().flatten().map(|party| party.waiting.len()).sum()
    }

    /// Lets `item` wait, where at most `capacity` may. Whoever had to leave for it.
    ///
    /// # Errors
    /// [`Full`] where nobody has to.
    pub(super) fn push(&mut self, turn: Turn, item: T, capacity: usize) -> Result<Option<T>, Full> {
        let left = if self.len() < capacity { None } else { Some(self.leave_for(&turn).ok_or(Full)?) };
        let waiting = (self.arrived, item);
        self.arrived += 1;
        let level = &mut self.levels[level(turn.priority)];
        match level.iter_mut().find(|party| party.tenant == turn.tenant) {
            Some(party) => party.waiting.push_back(waiting),
            None => level.push(Party { tenant: turn.tenant, waiting: VecDeque::from([waiting]) }),
        }
        Ok(left)
    }

    /// Takes whoever is next, where each tenant's jobs hold so many sequences now. Nobody where somebody of rank `begun`,
    /// who has begun and so waited longer than all here, is to go first.
    #[cfg(any(feature = "llama", test))]
    pub(super) fn pop(&mut self, held: impl Fn(&str) -> usize, begun: Option<Rank>) -> Option<T> {
        let is_longests = self.taken % LONGEST == LONGEST - 1;
        let (level, at) = match begun {
            None if is_longests => self.longest()?,
            Some(_) if is_longests => {
                self.taken += 1;
                return None;
            }
            begun => {
                let (level, at, rank) = self.next(held)?;
                if begun.is_some_and(|begun| begun <= rank) {
                    return None;
                }
                (level, at)
            }
        };
        self.taken += 1;
        let mut party = self.levels[level].remove(at);
        let taken = party.waiting.pop_front();
        if !party.waiting.is_empty() {
            self.levels[level].push(party);
        }
        taken.map(|(_, item)| item)
    }

    /// Removes and returns all for which `leaves` holds.
    pub(super) fn take_if(&mut self, mut leaves: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut gone = Vec::new();
        for level in &mut self.levels {
            for party in level.iter_mut() {
                let all = std::mem::take(&mut party.waiting);
                let (leaving, staying): (VecDeque<_>, _) = all.into_iter().partition(|(_, item)| leaves(item));
                party.waiting = staying;
                gone.extend(leaving.into_iter().map(|(_, item)| item));
            }
            level.retain(|party| !party.waiting.is_empty());
        }
        gone
    }

    /// By level and place there, the tenant whose turn it is, and of which rank that is.
    #[cfg(any(feature = "llama", test))]
    fn next(&self, held: impl Fn(&str) -> usize) -> Option<(usize, usize, Rank)> {
        let level = self.levels.iter().position(|parties| !parties.is_empty())?;
        let held = self.levels[level].iter().map(|party| held(&party.tenant)).enumerate();
        let (at, held) = held.min_by_key(|(_, held)| *held)?;
        Some((level, at, Rank::new(Priority::ALL[level], held)))
    }

    /// By level and place there, the tenant of whom somebody has waited longest.
    #[cfg(any(feature = "llama", test))]
    fn longest(&self) -> Option<(usize, usize)> {
        let came = |level: usize, at: usize| self.levels[level][at].waiting.front().map(|(number, _)| *number);
        let all = (0..self.levels.len()).flat_map(|level| (0..self.levels[level].len()).map(move |at| (level, at)));
        all.min_by_key(|&(level, at)| came(level, at))
    }

    /// Removes whoever has less claim to its place than a newcomer of `turn`.
    fn leave_for(&mut self, turn: &Turn) -> Option<T> {
        let lowest = self.levels.iter().rposition(|parties| !parties.is_empty())?;
        let parties = &self.levels[lowest];
        let (at, most) = parties.iter().map(|party| party.waiting.len()).enumerate().max_by_key(|(_, count)| *count)?;
        let leaves = match lowest.cmp(&level(turn.priority)) {
            Ordering::Less => false,
            Ordering::Equal => {
                let own = parties.iter().find(|party| party.tenant == turn.tenant);
                most > own.map_or(0, |party| party.waiting.len()) + 1
            }
            Ordering::Greater => true,
        };
        if !leaves {
            return None;
        }
        let left = self.levels[lowest][at].waiting.pop_back();
        self.levels[lowest].retain(|party| !party.waiting.is_empty());
        left.map(|(_, item)| item)
    }
}

/// Where those of `priority` wait.
fn level(priority: Priority) -> usize {
    Priority::High as usize - priority as usize
}

#[cfg(test)]
mod tests;
