//! The sums behind the budgets: one account per budget and scope, all under one short lock.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::chat::MicroUsd;

use super::Window;

/// What one scope (a key, a team, everyone) has spent and reserved in the current window of one budget.
#[derive(Debug)]
pub(super) struct Account {
    /// First second of the window, and first after it.
    pub(super) start: i64,
    end: i64,
    /// Paid for.
    pub(super) settled: MicroUsd,
    /// Promised to calls that are under way.
    pub(super) reserved: MicroUsd,
    /// Reservations that still refer to this account, whichever window they were made in.
    open: usize,
}

impl Account {
    fn new(window: Window, now: i64) -> Self {
        let (start, end) = window.bounds(now);
        Self { start, end, settled: MicroUsd::ZERO, reserved: MicroUsd::ZERO, open: 0 }
    }

    /// Starts anew where the window is over. A clock that is set back reopens nothing.
    fn roll(&mut self, window: Window, now: i64) {
        if now >= self.end {
            *self = Self { open: self.open, ..Self::new(window, now) };
        }
    }

    pub(super) fn used(&self) -> MicroUsd {
        self.settled + self.reserved
    }

    pub(super) fn is_over(&self, now: i64) -> bool {
        now >= self.end
    }

    pub(super) fn window_end(&self) -> i64 {
        self.end
    }
}

/// A share of one account that a reservation holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hold {
    slot: usize,
    window_start: i64,
}

/// All accounts, by series (a budget's identity) and scope.
#[derive(Debug)]
pub(super) struct Accounts {
    /// The series of the budgets in force; the index may also hold what reservations of earlier ones refer to.
    known: HashSet<Arc<str>>,
    index: HashMap<Arc<str>, HashMap<Arc<str>, usize>>,
    slots: Vec<Account>,
    free: Vec<usize>,
    capacity: usize,
    /// When full: no account can be dropped before this second.
    sweep_at: i64,
}

impl Accounts {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            known: HashSet::new(),
            index: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            capacity,
            sweep_at: i64::MIN,
        }
    }

    pub(super) fn has_series(&self, series: &str) -> bool {
        self.known.contains(series)
    }

    /// Whether the series is new. What reservations of an earlier one with the same name left behind is forgotten but
    /// for what is still reserved: the records know it.
    pub(super) fn add_series(&mut self, series: &Arc<str>) -> bool {
        let is_new = self.known.insert(series.clone());
        let scopes = self.index.entry(series.clone()).or_default();
        if is_new {
            scopes.values().for_each(|&slot| self.slots[slot].settled = MicroUsd::ZERO);
        }
        is_new
    }

    /// Drops every series that is not in `kept` and that no reservation refers to.
    pub(super) fn retain_series(&mut self, kept: &[Arc<str>]) {
        let Self { known, index, slots, free, .. } = self;
        known.retain(|series| kept.contains(series));
        index.retain(|series, scopes| {
            if !kept.contains(series) {
                free_where(scopes, slots, free, |_| true);
            }
            kept.contains(series) || !scopes.is_empty()
        });
    }

    pub(super) fn peek(&self, series: &str, scope: &str) -> Option<&Account> {
        self.index.get(series)?.get(scope).map(|&slot| &self.slots[slot])
    }

    /// The account's place, opened and in its current window; `None` when there is no room for one more.
    pub(super) fn open(&mut self, series: &Arc<str>, scope: &str, window: Window, now: i64) -> Option<usize> {
        if let Some(&slot) = self.index.get(series).and_then(|scopes| scopes.get(scope)) {
            self.slots[slot].roll(window, now);
            return Some(slot);
        }
        let slot = self.vacant(Account::new(window, now), now)?;
        self.index.entry(series.clone()).or_default().insert(scope.into(), slot);
        Some(slot)
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> &mut Account {
        &mut self.slots[slot]
    }

    pub(super) fn hold(&mut self, slot: usize, amount: MicroUsd) -> Hold {
        let account = &mut self.slots[slot];
        account.reserved += amount;
        account.open += 1;
        Hold { slot, window_start: account.start }
    }

    /// Ends a reservation of `amount` that cost `charge`. Money reserved in a window that is over concerns nobody now.
    pub(super) fn end_hold(&mut self, hold: Hold, amount: MicroUsd, charge: MicroUsd) {
        let account = &mut self.slots[hold.slot];
        account.open = account.open.saturating_sub(1);
        if account.start == hold.window_start {
            account.reserved = account.reserved - amount;
            account.settled += charge;
        }
    }

    fn vacant(&mut self, account: Account, now: i64) -> Option<usize> {
        if self.free.is_empty() && self.slots.len() >= self.capacity {
            self.sweep(now);
        }
        if let Some(slot) = self.free.pop() {
            self.slots[slot] = account;
            return Some(slot);
        }
        (self.slots.len() < self.capacity).then(|| {
            self.slots.push(account);
            self.slots.len() - 1
        })
    }

    /// Drops the accounts of past windows, at most once per end of a window: a flood of new scopes must not make every
    /// request walk all of them.
    fn sweep(&mut self, now: i64) {
        if now < self.sweep_at {
            return;
        }
        let Self { index, slots, free, .. } = self;
        for scopes in index.values_mut() {
            free_where(scopes, slots, free, |account| account.is_over(now));
        }
        self.sweep_at = self.slots.iter().map(|a| a.end).filter(|&end| end > now).min().unwrap_or(now);
    }

    #[cfg(test)]
    pub(super) fn totals(&self) -> Vec<(MicroUsd, MicroUsd)> {
        let slots = self.index.values().flat_map(HashMap::values);
        slots.map(|&slot| (self.slots[slot].settled, self.slots[slot].reserved)).collect()
    }
}

fn free_where(
    scopes: &mut HashMap<Arc<str>, usize>,
    slots: &[Account],
    free: &mut Vec<usize>,
    can_go: impl Fn(&Account) -> bool,
) {
    scopes.retain(|_, &mut slot| {
        let goes = slots[slot].open == 0 && can_go(&slots[slot]);
        if goes {
            free.push(slot);
        }
        !goes
    });
}
