//! Which slot a sequence gets, and what of its prompt is there already.

use super::super::model::Model;
use super::super::prefixes::{Origin, Place, WORTH, Wanted};
use super::super::schedule::Work;
use super::choices::Group;
use super::{Sequence, Worker};

impl<M: Model> Worker<'_, M> {
    /// Gives `sequence` the one of the slots in `free`, which is not empty, where least is lost.
    pub(super) fn place(&mut self, sequence: Sequence<M::Sampler>, free: &[usize]) {
        let leader = self.leader_of(&sequence.group);
        let own = || self.prefixes.origin(sequence.wanted(), |slot| free.contains(&slot));
        let origin = if leader.is_none() { own() } else { None };
        let slot = self.prefixes.choose(free, origin);
        self.schedule.assign(slot, sequence.group.adapter);
        if self.prefixes.loses(slot, origin) {
            self.park(slot);
        }
        match leader {
            Some(leader) => {
                self.prefixes.wait(slot, sequence.wanted());
                self.schedule.follow(slot, leader);
            }
            None => self.start(slot, &sequence),
        }
        self.sequences[slot] = Some(sequence);
    }

    /// Starts those that have waited for what another sequence computes.
    pub(super) fn resume(&mut self) {
        for slot in self.schedule.due() {
            if let Some(sequence) = self.sequences[slot].take() {
                self.start(slot, &sequence);
                self.sequences[slot] = Some(sequence);
            }
        }
    }

    /// Lets `slot` go on from the longest beginning of the prompt that is computed; or wait, where another slot is about
    /// to compute more of it.
    pub(super) fn start(&mut self, slot: usize, sequence: &Sequence<M::Sampler>) {
        let wanted = sequence.wanted();
        let origin = self.prefixes.origin(wanted, |at| at == slot);
        let kept = origin.map_or(0, |origin| origin.tokens);
        let leader = self.prefixes.leader(wanted, |at| at != slot && self.schedule.reads(at));
        if let Some((leader, until)) = leader.filter(|(_, until)| *until >= kept + WORTH) {
            self.prefixes.wait(slot, wanted);
            return self.schedule.wait(slot, leader, until);
        }
        let origin = self.fetch(slot, origin);
        self.prefixes.begin(slot, wanted, origin);
        let kept = origin.map_or(0, |origin| origin.tokens);
        if sequence.index == 0 {
            sequence.group.kept.set(kept);
        }
        self.schedule.admit(slot, kept, sequence.group.prompt.len());
    }

    /// Brings the memory of `slot` to hold what `origin` says and nothing else; says what it holds then.
    fn fetch(&mut self, slot: usize, origin: Option<Origin>) -> Option<Origin> {
        let origin = origin.filter(|origin| self.prefixes.pays(slot, *origin)).filter(|origin| match origin.place {
            Place::Slot(at) => at == slot || self.copy(at, slot),
            Place::Parked(index) => self.prefixes.parked(index).is_some_and(|state| self.model.restore(slot, state)),
        });
        let origin = origin.filter(|origin| self.model.keep(slot, origin.tokens));
        if origin.is_none() {
            self.model.clear(slot);
        }
        origin
    }

    fn copy(&mut self, from: usize, to: usize) -> bool {
        let state = self.save(from);
        state.is_some_and(|(state, _)| self.model.restore(to, &state))
    }

    fn park(&mut self, slot: usize) {
        if let Some((state, bytes)) = self.save(slot) {
            self.prefixes.park(slot, state, bytes);
        }
    }

    /// A copy of a slot's memory, unless it is larger than all that may be kept.
    fn save(&self, slot: usize) -> Option<(M::State, usize)> {
        let bytes = self.model.saved_bytes(slot);
        if !self.prefixes.has_room_for(bytes) {
            return None;
        }
        Some((self.model.save(slot)?, bytes))
    }

    /// Notes what a step has computed.
    pub(super) fn note_computed(&mut self, step: &[Work]) {
        for work in step {
            match (work, &self.sequences[work.slot()]) {
                (Work::Prompt { slot, range, .. }, Some(_)) => self.prefixes.computed(*slot, range.end),
                (Work::Next { slot }, Some(sequence)) => self.prefixes.generated(*slot, sequence.last),
                // What is right of a guess is noted when that is known.
                (Work::Guess { .. }, _) | (_, None) => {}
            }
        }
    }

    /// Clears the memory of `slot`.
    pub(super) fn forget(&mut self, slot: usize) {
        self.model.clear(slot);
        self.prefixes.forget(slot);
    }
}

impl<S> Sequence<S> {
    fn wanted(&self) -> Wanted<'_> {
        let Group { sharing, adapter, prompt, exactly, .. } = &*self.group;
        Wanted { sharing, adapter: *adapter, prompt, exactly: *exactly }
    }
}
