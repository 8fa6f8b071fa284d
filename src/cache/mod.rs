//! Exact cache with coalesced fill.
//!
//! [`key`] says what counts as the same request, [`store`] keeps whole answers, [`flight`] lets identical requests that
//! are under way share one answer. [`responses`] keeps answers that clients continue.

pub mod flight;
pub mod key;
pub mod responses;
pub mod store;

pub use flight::{Flights, Joined};
pub use key::{CacheControl, CacheKey};
pub use responses::{Kept, Responses};
pub use store::{Entry, Store};
