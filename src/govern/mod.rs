//! Who may ask, how often, and for how much: virtual keys, rate limits, prices and budgets.
//!
//! Nothing here does I/O, and nothing but the rate limiter's cells reads a clock: budgets are told the time.

mod accounts;
pub mod budget;
pub mod keys;
pub mod limits;
mod price_file;
pub mod prices;
mod window;

pub use budget::{Budget, Exhausted, Ledger, Per, Reservation, Spend, Spender};
pub use keys::{Explain, KeyEntry, KeyError, Keyring, NewKey, Pepper, Subject};
pub use limits::{Limiter, RateLimit};
pub use prices::{Price, PriceError, PriceList};
pub use window::Window;
