//! What is computed already, for whom, and where: pure bookkeeping, without llama.cpp.
//!
//! A slot keeps what was computed in it after its answer has ended, until somebody else needs the slot; what would be
//! lost then is parked in the host's memory, within a budget of bytes. A new prompt starts from whatever is kept of
//! the same tenant *and* class, by the same adapter, and begins like it. Nobody else's is ever looked at.

use std::collections::VecDeque;
use std::fmt;

use super::Sharing;
use super::model::Token;

/// Fewer tokens than this are computed again rather than copied, parked or waited for.
pub(super) const WORTH: usize = 8;

/// A sequence is copied whole. To compute a token takes longer than to copy so many (measured, with the smallest of
/// models: 350).
const COPIED_AS_SOON: usize = 64;

/// What all slots hold, and what is parked. `S` is a saved sequence.
pub(super) struct Prefixes<S> {
    /// By slot.
    slots: Vec<Option<Held>>,
    /// The one used last stands last.
    parked: VecDeque<Parked<S>>,
    /// Most bytes of what is parked; nothing is kept at all where it is 0.
    budget: usize,
    /// Tokens of a prompt piece.
    piece: usize,
    /// Counts uses, to tell which is the oldest.
    clock: u64,
}

/// A computed sequence.
#[derive(Clone)]
struct Held {
    sharing: Sharing,
    /// By which adapter of the model; another one computes otherwise.
    adapter: usize,
    tokens: Vec<Token>,
    /// How many of the tokens are computed.
    done: usize,
    /// How many of the tokens, counted from the first, were computed in whole pieces: as they would be any time again.
    exact: usize,
    used: u64,
}

struct Parked<S> {
    held: Held,
    bytes: usize,
    state: S,
}

/// Shows how much, never what.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({} of {} tokens)", self.done, self.tokens.len())
    }
}

/// A prompt that looks for what is computed of it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    /// Whose it is.
    pub(super) sharing: &'a Sharing,
    /// By which adapter of the model.
    pub(super) adapter: usize,
    /// Its tokens; at least one.
    pub(super) prompt: &'a [Token],
    /// Whether the answer must not depend on what happens to be kept: then only whole pieces count.
    pub(super) exactly: bool,
}

/// Where the beginning of a prompt is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In this slot, which may be at work.
    Slot(usize),
    /// Among what is parked, at this index.
    Parked(usize),
}

/// The longest computed beginning of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    /// Where it is.
    pub(super) place: Place,
    /// How many tokens; at least one, and fewer than the prompt has.
    pub(super) tokens: usize,
}

impl<S> Prefixes<S> {
    /// For so many slots, with so many bytes to park in; 0 keeps nothing.
    pub(super) fn new(slots: usize, budget: usize, piece: usize) -> Self {
        Self { slots: (0..slots).map(|_| None).collect(), parked: VecDeque::new(), budget, piece, clock: 0 }
    }

    /// Whether anything outlives its request.
    pub(super) fn keeps(&self) -> bool {
        self.budget > 0
    }

    /// The longest beginning of `wanted` that is computed; of two alike, the one in a slot that `is_free`.
    pub(super) fn origin(&self, wanted: Wanted<'_>, is_free: impl Fn(usize) -> bool) -> Option<Origin> {
        if !self.keeps() {
            return None;
        }
        let slots = self.slots.iter().enumerate().filter_map(|(i, held)| Some((Place::Slot(i), held.as_ref()?)));
        let parked = self.parked.iter().enumerate().map(|(i, parked)| (Place::Parked(i), &parked.held));
        let found = parked.chain(slots).map(|(place, held)| Origin { place, tokens: self.usable(held, wanted) });
        let free = |origin: &Origin| matches!(origin.place, Place::Slot(slot) if is_free(slot));
        found.filter(|origin| origin.tokens > 0).max_by_key(|origin| (origin.tokens, free(origin)))
    }

    fn usable(&self, held: &Held, wanted: Wanted<'_>) -> usize {
        let most = held.done.min(wanted.prompt.len() - 1);
        self.reproducible(held, wanted, held.common(wanted).min(most))
    }

    /// How many of so many tokens can be used by `wanted`.
    fn reproducible(&self, held: &Held, wanted: Wanted<'_>, tokens: usize) -> usize {
        if wanted.exactly { tokens.min(held.exact) / self.piece * self.piece } else { tokens }
    }

    /// The slot among those `computing` whose prompt begins longest like `wanted`, and up to where.
    pub(super) fn leader(&self, wanted: Wanted<'_>, computing: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        if !self.keeps() {
            return None;
        }
        let most = wanted.prompt.len() - 1;
        let shared = |(slot, held): (usize, &Option<Held>)| {
            let held = held.as_ref().filter(|_| computing(slot))?;
            Some((slot, self.reproducible(held, wanted, held.common(wanted).min(most))))
        };
        self.slots.iter().enumerate().filter_map(shared).max_by_key(|(_, until)| *until)
    }

    /// Which of the slots in `free`, which is not empty, is best given to a prompt with this origin: that in which most
    /// stays in use, else an empty one, else the one that was not used for longest.
    pub(super) fn choose(&self, free: &[usize], origin: Option<Origin>) -> usize {
        let stays = |slot: usize| match origin {
            Some(Origin { place: Place::Slot(at), tokens }) if at == slot => 2 * tokens >= self.done(slot),
            Some(_) | None => false,
        };
        let in_place = free.iter().copied().find(|slot| stays(*slot));
        let oldest = || free.iter().copied().min_by_key(|slot| self.slots[*slot].as_ref().map_or(0, |held| held.used));
        in_place.or_else(oldest).unwrap_or_default()
    }

    /// Whether `slot` comes to what `origin` says sooner by a copy than by computing it.
    pub(super) fn pays(&self, slot: usize, origin: Origin) -> bool {
        let copied = match origin.place {
            Place::Slot(at) if at == slot => return true,
            Place::Slot(at) => self.done(at),
            Place::Parked(index) => self.parked.get(index).map_or(0, |parked| parked.held.done),
        };
        origin.tokens >= WORTH && origin.tokens.saturating_mul(COPIED_AS_SOON) >= copied
    }

    /// Whether giving `slot` to a prompt with this origin would lose what is worth parking.
    pub(super) fn loses(&self, slot: usize, origin: Option<Origin>) -> bool {
        let Some(held) = self.slots[slot].as_ref().filter(|held| self.keeps() && held.done >= WORTH) else {
            return false;
        };
        let in_place = origin.is_some_and(|origin| origin.place == Place::Slot(slot) && 2 * origin.tokens >= held.done);
        let elsewhere = self.slots.iter().enumerate().filter(|(i, _)| *i != slot).filter_map(|(_, held)| held.as_ref());
        let mut others = elsewhere.chain(self.parked.iter().map(|parked| &parked.held));
        !in_place && !others.any(|other| other.covers(held))
    }

    /// Whether so many bytes can be parked at all.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        bytes <= self.budget
    }

    /// Keeps `state`, a copy of what `slot` holds; the oldest make room.
    pub(super) fn park(&mut self, slot: usize, state: S, bytes: usize) {
        let Some(held) = self.slots[slot].as_ref().filter(|_| bytes <= self.budget) else { return };
        let mut held = held.clone();
        held.tokens.truncate(held.done);
        self.parked.retain(|parked| !held.covers(&parked.held));
        while self.parked_bytes() + bytes > self.budget {
            self.parked.pop_front();
        }
        self.parked.push_back(Parked { held, bytes, state });
    }

    /// What is parked at `index`.
    pub(super) fn parked(&self, index: usize) -> Option<&S> {
        self.parked.get(index).map(|parked| &parked.state)
    }

    /// Bytes of all that is parked.
    pub(super) fn parked_bytes(&self) -> usize {
        self.parked.iter().map(|parked| parked.bytes).sum()
    }

    /// `slot` has the beginning of `wanted` from `origin`, and computes the rest.
    pub(super) fn begin(&mut self, slot: usize, wanted: Wanted<'_>, origin: Option<Origin>) {
        let kept = origin.map_or(0, |origin| origin.tokens);
        let source = origin.and_then(|origin| match origin.place {
            Place::Slot(at) => self.slots[at].as_ref(),
            Place::Parked(index) => self.parked.get(index).map(|parked| &parked.held),
        });
        let exact = source.map_or(0, |held| held.exact).min(kept);
        let whole = wanted.prompt.len() / self.piece * self.piece;
        let exact = if exact == kept && kept.is_multiple_of(self.piece) { whole } else { exact };
        self.hold(slot, wanted, kept, exact);
        if let Some(Origin { place: Place::Parked(index), .. }) = origin {
            // The one used last is the last to go.
            let used = self.parked.remove(index);
            self.parked.extend(used);
        }
    }

    /// `slot` computes nothing yet: it waits for what another one computes.
    pub(super) fn wait(&mut self, slot: usize, wanted: Wanted<'_>) {
        self.hold(slot, wanted, 0, 0);
    }

    fn hold(&mut self, slot: usize, wanted: Wanted<'_>, done: usize, exact: usize) {
        self.clock += 1;
        let (sharing, tokens) = (wanted.sharing.clone(), wanted.prompt.to_vec());
        self.slots[slot] = Some(Held { sharing, adapter: wanted.adapter, tokens, done, exact, used: self.clock });
    }

    /// `to` has a copy of all that `from` holds.
    pub(super) fn copied(&mut self, from: usize, to: usize) {
        self.clock += 1;
        self.slots[to] = self.slots[from].clone().map(|held| Held { used: self.clock, ..held });
    }

    /// The first `done` tokens of `slot`'s prompt are computed.
    pub(super) fn computed(&mut self, slot: usize, done: usize) {
        if let Some(held) = &mut self.slots[slot] {
            held.done = done;
        }
    }

    /// `token` is computed behind `slot`'s prompt.
    pub(super) fn generated(&mut self, slot: usize, token: Token) {
        if let Some(held) = &mut self.slots[slot] {
            held.tokens.push(token);
            held.done = held.tokens.len();
        }
    }

    /// `slot` is at rest and keeps what is computed.
    pub(super) fn rest(&mut self, slot: usize) {
        if let Some(held) = &mut self.slots[slot] {
            held.tokens.truncate(held.done);
        }
    }

    /// Nothing of `slot` is left.
    pub(super) fn forget(&mut self, slot: usize) {
        self.slots[slot] = None;
    }

    fn done(&self, slot: usize) -> usize {
        self.slots[slot].as_ref().map_or(0, |held| held.done)
    }
}

impl Held {
    /// How many tokens begin like `wanted`; none of them where it is somebody else's.
    fn common(&self, wanted: Wanted<'_>) -> usize {
        if self.sharing != *wanted.sharing || self.adapter != wanted.adapter {
            return 0;
        }
        self.tokens.iter().zip(wanted.prompt).take_while(|(a, b)| a == b).count()
    }

    /// Whether all that is computed of `other` is also computed here.
    fn covers(&self, other: &Self) -> bool {
        let computed = &other.tokens[..other.done];
        self.sharing == other.sharing && self.adapter == other.adapter && self.tokens[..self.done].starts_with(computed)
    }
}

#[cfg(test)]
mod tests;
