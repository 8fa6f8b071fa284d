//! Budgets that cannot be overrun: the worst case is reserved before the call, and settled after it.
//!
//! A reservation takes its amount from every budget that applies, or from none, under one short lock; so of any number
//! of simultaneous requests exactly those go that the budgets cover. Time is passed in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use crate::chat::MicroUsd;

use super::Window;
use super::accounts::{Accounts, Hold};

/// Most scopes that are counted at once. Where there would be more, the new ones get no money.
const MAX_SCOPES: usize = 100_000;

/// One budget, as the policy states it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// The policy's name for it.
    pub id: Arc<str>,
    /// Who shares it.
    pub per: Per,
    /// How long it lasts.
    pub window: Window,
    /// How much it is.
    pub limit: MicroUsd,
}

/// Who shares a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Per {
    /// Nobody: it caps each single request.
    Request,
    /// All requests of one key.
    Key,
    /// All requests whose attribute has the same value, such as a team's. Requests without it share one budget.
    Attribute(String),
    /// Everyone.
    All,
}

impl Budget {
    /// What must stay the same for the sums to live on when the policies are reloaded.
    fn series(&self) -> Arc<str> {
        let per = match &self.per {
            Per::Request => "request",
            Per::Key => "key",
            Per::Attribute(name) => name,
            Per::All => "all",
        };
        format!("{}/{per}/{}", self.id, self.window.name()).into()
    }
}

/// Who pays.
#[derive(Clone, Copy, Debug)]
pub struct Spender<'a> {
    /// The key's name; empty without one.
    pub key: &'a str,
    /// The key's attributes.
    pub attributes: &'a BTreeMap<String, String>,
}

/// Money that was spent, as the records tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spend {
    /// The key's name; empty without one.
    pub key: String,
    /// The key's attributes.
    pub attributes: BTreeMap<String, String>,
    /// When, to the hour.
    pub at: Timestamp,
    /// How much.
    pub cost: MicroUsd,
}

/// A budget does not cover the worst case.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("budget `{budget}` does not cover the request's worst case")]
pub struct Exhausted {
    /// Which.
    pub budget: Arc<str>,
    /// When its window ends, where it has one.
    pub until: Option<Timestamp>,
}

/// Which of a ledger's two lists of budgets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Books {
    /// Those of the policies in force.
    InForce,
    /// Those of policies that are only tried: what is spent counts there as well, and only requests that the tried
    /// policies decide are held to them.
    OnTrial,
}

/// Where one budget stands for one spender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// How much the budget is.
    pub limit: MicroUsd,
    /// Paid for in this window.
    pub settled: MicroUsd,
    /// Promised to calls that are under way.
    pub reserved: MicroUsd,
}

impl Standing {
    /// What is settled or reserved, as a fraction of the limit.
    pub fn used(&self) -> f64 {
        match self.limit {
            MicroUsd::ZERO => 1.0,
            limit => (self.settled + self.reserved).as_usd() / limit.as_usd(),
        }
    }
}

/// The budgets in force and what was spent of them.
#[derive(Debug)]
pub struct Ledger {
    books: Vec<Book>,
    on_trial: Vec<Book>,
    accounts: Arc<Mutex<Accounts>>,
}

#[derive(Debug)]
struct Book {
    budget: Budget,
    series: Arc<str>,
    /// Nothing was known of it when the ledger was made: its past is in the records alone.
    is_new: bool,
}

impl Ledger {
    /// A ledger in which nothing was spent yet. Follow with [`Ledger::restore`].
    pub fn new(budgets: Vec<Budget>) -> Self {
        Self::with_capacity(budgets, MAX_SCOPES)
    }

    /// An empty ledger without budgets: the one that all others are successors of.
    pub fn empty() -> Self {
        Self::new(Vec::new())
    }

    fn with_capacity(budgets: Vec<Budget>, scopes: usize) -> Self {
        Self::over(budgets, Vec::new(), Arc::new(Mutex::new(Accounts::new(scopes))))
    }

    /// The ledger of newly loaded policies, and of those that are tried beside them. Budgets that stayed the same, up to
    /// their limit, keep their sums, and reservations made in the old ledger settle in the new one. Budgets that this
    /// ledger does not know have their past in the records: see [`Ledger::unknown_since`] and [`Ledger::restore`].
    pub fn successor(&self, budgets: Vec<Budget>, on_trial: Vec<Budget>) -> Self {
        let next = Self::over(budgets, on_trial, self.accounts.clone());
        let kept: Vec<Arc<str>> = next.all().map(|b| b.series.clone()).collect();
        next.lock().retain_series(&kept);
        next
    }

    fn over(budgets: Vec<Budget>, on_trial: Vec<Budget>, accounts: Arc<Mutex<Accounts>>) -> Self {
        let mut known = lock(&accounts);
        let mut open = |budget: Budget| {
            let series = budget.series();
            Book { is_new: known.add_series(&series), budget, series }
        };
        let books = budgets.into_iter().map(&mut open).collect();
        // What stands in both lists is new in one of them only, and so restored once.
        let on_trial = on_trial.into_iter().map(&mut open).collect();
        drop(known);
        Self { books, on_trial, accounts }
    }

    fn all(&self) -> impl Iterator<Item = &Book> {
        self.books.iter().chain(&self.on_trial)
    }

    /// From when on a successor with these budgets needs the records, for those that this ledger knows nothing of.
    pub fn unknown_since<'a>(
        &self,
        budgets: impl IntoIterator<Item = &'a Budget>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let known = self.lock();
        let new = budgets.into_iter().filter(|b| b.per != Per::Request && !known.has_series(&b.series()));
        new.map(|b| b.window.start(now)).min()
    }

    /// From when on [`Ledger::restore`] needs the records; `None` where no budget has a past to restore.
    pub fn restores_from(&self, now: Timestamp) -> Option<Timestamp> {
        let new = self.all().filter(|b| b.is_new && b.budget.per != Per::Request);
        new.map(|b| b.budget.window.start(now)).min()
    }

    /// Adds what was spent before to the budgets that did not see it: those whose current window holds it. To be called
    /// once, with the records since [`Ledger::restores_from`].
    pub fn restore(&self, spent: impl IntoIterator<Item = Spend>, now: Timestamp) {
        let second = now.as_second();
        let mut accounts = self.lock();
        for spend in spent {
            let who = Spender { key: &spend.key, attributes: &spend.attributes };
            for book in self.all().filter(|b| b.is_new) {
                let Some(scope) = book.scope(who) else { continue };
                if book.budget.window.start(now) <= spend.at
                    && let Some(slot) = accounts.open(&book.series, scope, book.budget.window, second)
                {
                    accounts.get_mut(slot).settled += spend.cost;
                }
            }
        }
    }

    /// Takes `worst`, the most that the request can cost, from every budget that applies to `who`, or from none.
    pub fn reserve(&self, who: Spender<'_>, worst: MicroUsd, now: Timestamp) -> Result<Reservation, Exhausted> {
        self.reserve_by(Books::InForce, who, worst, now)
    }

    /// As [`Ledger::reserve`], for a request that the policies of `deciding` decide: those on trial are bound by the
    /// budgets in force *and* by their own.
    ///
    /// # Errors
    /// The first budget that does not cover it.
    pub fn reserve_by(
        &self,
        deciding: Books,
        who: Spender<'_>,
        worst: MicroUsd,
        now: Timestamp,
    ) -> Result<Reservation, Exhausted> {
        let mut accounts = self.lock();
        if worst == MicroUsd::ZERO {
            // What costs nothing needs no room: an empty budget must still let the local model answer.
            return Ok(Reservation { accounts: self.accounts.clone(), holds: Vec::new(), amount: worst, sent: false });
        }
        let mut slots = Vec::with_capacity(self.books.len());
        for book in &self.books {
            slots.extend(book.cover(who, worst, now, &mut accounts)?);
        }
        for book in &self.on_trial {
            let slot = match deciding {
                Books::OnTrial => book.cover(who, worst, now, &mut accounts)?,
                Books::InForce => book.slot(who, now, &mut accounts),
            };
            // A budget of both lists has one account.
            slots.extend(slot.filter(|slot| !slots.contains(slot)));
        }
        let holds = slots.into_iter().map(|slot| accounts.hold(slot, worst)).collect();
        Ok(Reservation { accounts: self.accounts.clone(), holds, amount: worst, sent: false })
    }

    /// How much of budget `id` is settled or reserved for `who`, as a fraction of its limit: the policy's
    /// `budget.<id>`. `None` where there is no such budget; 0 for one per request, which nothing uses up.
    pub fn used_fraction(&self, id: &str, who: Spender<'_>, now: Timestamp) -> Option<f64> {
        self.used_fraction_in(Books::InForce, id, who, now)
    }

    /// As [`Ledger::used_fraction`], for a budget of either list.
    pub fn used_fraction_in(&self, books: Books, id: &str, who: Spender<'_>, now: Timestamp) -> Option<f64> {
        let book = self.book(books, id)?;
        Some(book.standing(who, now, &self.lock()).map_or(0.0, |standing| standing.used()))
    }

    /// Where budget `id` stands for `who`. `None` where there is no such budget, or where it is one per request.
    pub fn standing(&self, books: Books, id: &str, who: Spender<'_>, now: Timestamp) -> Option<Standing> {
        self.book(books, id)?.standing(who, now, &self.lock())
    }

    fn book(&self, books: Books, id: &str) -> Option<&Book> {
        let books = match books {
            Books::InForce => &self.books,
            Books::OnTrial => &self.on_trial,
        };
        books.iter().find(|b| &*b.budget.id == id)
    }

    fn lock(&self) -> MutexGuard<'_, Accounts> {
        lock(&self.accounts)
    }
}

/// The sums are consistent between any two statements that can panic, so a poisoned lock is as good as any.
fn lock(accounts: &Mutex<Accounts>) -> MutexGuard<'_, Accounts> {
    accounts.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Book {
    /// Whose account is charged; `None` where each request stands alone.
    fn scope<'a>(&self, who: Spender<'a>) -> Option<&'a str> {
        match &self.budget.per {
            Per::Request => None,
            Per::Key => Some(who.key),
            Per::Attribute(name) => Some(who.attributes.get(name).map_or("", String::as_str)),
            Per::All => Some(""),
        }
    }

    /// `None` where each request stands alone.
    fn standing(&self, who: Spender<'_>, now: Timestamp, accounts: &Accounts) -> Option<Standing> {
        let account = accounts.peek(&self.series, self.scope(who)?).filter(|a| !a.is_over(now.as_second()));
        let (settled, reserved) = account.map_or_else(Default::default, |a| (a.settled, a.reserved));
        Some(Standing { limit: self.budget.limit, settled, reserved })
    }

    /// The account that is charged, if there is one and room for it: whatever its limit.
    fn slot(&self, who: Spender<'_>, now: Timestamp, accounts: &mut Accounts) -> Option<usize> {
        accounts.open(&self.series, self.scope(who)?, self.budget.window, now.as_second())
    }

    /// The account that can take `worst`, if it needs one.
    fn cover(
        &self,
        who: Spender<'_>,
        worst: MicroUsd,
        now: Timestamp,
        accounts: &mut Accounts,
    ) -> Result<Option<usize>, Exhausted> {
        let budget = &self.budget;
        let exhausted = |until: Option<i64>| Exhausted {
            budget: budget.id.clone(),
            until: until.and_then(|second| Timestamp::from_second(second).ok()),
        };
        let Some(scope) = self.scope(who) else {
            return if worst > budget.limit { Err(exhausted(None)) } else { Ok(None) };
        };
        let slot = accounts.open(&self.series, scope, budget.window, now.as_second()).ok_or_else(|| exhausted(None))?;
        let account = accounts.get_mut(slot);
        if account.used() + worst > budget.limit {
            return Err(exhausted(Some(account.window_end())));
        }
        Ok(Some(slot))
    }
}

/// Money that is set aside for one request, in all its attempts.
///
/// It ends in [`Reservation::settle`]. Dropped without that, it gives the money back where nothing was sent, and counts
/// as spent where something was: a call whose end nobody saw is paid for all the same.
#[derive(Debug)]
#[must_use = "dropping a reservation gives the money back"]
pub struct Reservation {
    accounts: Arc<Mutex<Accounts>>,
    holds: Vec<Hold>,
    amount: MicroUsd,
    sent: bool,
}

impl Reservation {
    /// How much is set aside.
    pub fn amount(&self) -> MicroUsd {
        self.amount
    }

    /// To be called before the first byte goes to a provider: from here on the call may cost.
    pub fn sent(&mut self) {
        self.sent = true;
    }

    /// Ends the reservation with what the request cost in truth, even where that is more than was reserved.
    pub fn settle(mut self, actual: MicroUsd) {
        self.end(actual);
    }

    fn end(&mut self, charge: MicroUsd) {
        let mut accounts = lock(&self.accounts);
        for hold in self.holds.drain(..) {
            accounts.end_hold(hold, self.amount, charge);
        }
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.holds.is_empty() {
            self.end(if self.sent { self.amount } else { MicroUsd::ZERO });
        }
    }
}

#[cfg(test)]
mod tests;
