//! Request ids.

use std::fmt;

use ulid::Ulid;

/// Identifies one request everywhere: in `x-ajar-id`, in the record, in the egress ledger. Sorts by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub Ulid);

impl RequestId {
    /// Parses the 26 characters that [`fmt::Display`] prints.
    pub fn parse(text: &str) -> Option<Self> {
        Ulid::from_string(text).ok().map(Self)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
