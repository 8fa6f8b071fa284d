//! The right to send one body to one destination.
//!
//! A [`Grant`] comes only out of a decision that permits the destination; a [`Permit`] comes only out of a grant, for
//! exact bytes. Neither can be made elsewhere, copied, or used twice, and the egress module accepts nothing else.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::set::{Basis, Boundary, TransformSet};
use crate::chat::MicroUsd;

/// A destination may receive this request, once its transforms are done. One grant serves one attempt.
pub struct Grant {
    terms: Terms,
}

/// On what terms something may be sent: what the egress ledger says of it.
#[derive(Debug)]
pub struct Terms {
    /// The destination's name in the policies.
    pub destination: Arc<str>,
    /// Whether that is outside.
    pub boundary: Boundary,
    /// The class of what is sent.
    pub class: Arc<str>,
    /// What that class rests on.
    pub basis: Basis,
    /// What is done to the body.
    pub transforms: TransformSet,
    /// Digest of the policies.
    pub policy: Arc<str>,
}

/// What is about to be sent.
pub struct Outbound<'a> {
    /// Where to, in full.
    pub url: &'a str,
    /// The header names and values that will be sent, credentials included, in order.
    pub headers: &'a [(&'static str, &'a str)],
    /// The exact bytes.
    pub body: &'a [u8],
    /// What the call can cost at most.
    pub max_cost: MicroUsd,
    /// When the permission lapses.
    pub expires: Instant,
}

impl Grant {
    pub(super) fn new(terms: Terms) -> Self {
        Self { terms }
    }

    /// What must be done to the body first.
    pub fn transforms(&self) -> TransformSet {
        self.terms.transforms
    }

    /// Uses the grant up for these bytes.
    pub fn permit(self, outbound: &Outbound<'_>) -> Permit {
        Permit {
            terms: self.terms,
            url: outbound.url.to_owned(),
            headers: hash_headers(outbound.headers),
            body: blake3::hash(outbound.body),
            bytes: outbound.body.len(),
            max_cost: outbound.max_cost,
            expires: outbound.expires,
        }
    }
}

/// The right to send exactly these bytes there, once. Has no public constructor and no `Clone`.
pub struct Permit {
    terms: Terms,
    url: String,
    headers: blake3::Hash,
    body: blake3::Hash,
    bytes: usize,
    max_cost: MicroUsd,
    expires: Instant,
}

/// Why a permit does not cover what is about to be sent. Any of these is a bug in ajar, and nothing leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PermitError {
    /// Another URL.
    #[error("the permit is for another URL")]
    Url,
    /// Other headers.
    #[error("the permit is for other headers")]
    Headers,
    /// Other bytes.
    #[error("the permit is for other bytes")]
    Body,
    /// Too late.
    #[error("the permit has lapsed")]
    Expired,
}

impl Permit {
    /// Checks that it covers this URL, these headers and these bytes, at this time.
    pub fn covers(
        &self,
        url: &str,
        headers: &[(&'static str, &str)],
        body: &[u8],
        now: Instant,
    ) -> Result<(), PermitError> {
        if now > self.expires {
            return Err(PermitError::Expired);
        }
        if self.url != url {
            return Err(PermitError::Url);
        }
        if self.headers != hash_headers(headers) {
            return Err(PermitError::Headers);
        }
        if self.body != blake3::hash(body) {
            return Err(PermitError::Body);
        }
        Ok(())
    }

    /// On what terms it was given.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Scheme, host and port of the URL, as it is written.
    pub fn origin(&self) -> &str {
        let host = self.url.find("://").map_or(0, |at| at + 3);
        let end = self.url[host..].find('/').map_or(self.url.len(), |at| host + at);
        &self.url[..end]
    }

    /// The hash of the exact bytes.
    pub fn body(&self) -> blake3::Hash {
        self.body
    }

    /// How many bytes these are.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// What left for where, under which policy: no URL, no header, no text.
impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit")
            .field("destination", &self.terms.destination)
            .field("class", &self.terms.class)
            .field("transforms", &self.terms.transforms.names().collect::<Vec<_>>())
            .field("policy", &self.terms.policy)
            .field("max_cost", &self.max_cost)
            .field("body", &self.body.to_hex().as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Permit {
    /// A permit for tests of what takes permits.
    pub(crate) fn of(boundary: Boundary, class: &str, body: &[u8], expires: Instant) -> Self {
        let headers = [("authorization", "Bearer k")];
        let outbound = Outbound { url: "https://a/v1", headers: &headers, body, max_cost: MicroUsd(5), expires };
        Self::for_outbound(boundary, class, &outbound)
    }

    /// A permit for tests of sending.
    pub(crate) fn for_outbound(boundary: Boundary, class: &str, outbound: &Outbound<'_>) -> Self {
        let terms = Terms {
            destination: "far".into(),
            boundary,
            class: class.into(),
            basis: Basis::Declared,
            transforms: TransformSet::default(),
            policy: "d".into(),
        };
        Grant::new(terms).permit(outbound)
    }
}

/// Lengths are hashed too, so that no two different lists hash alike.
fn hash_headers(headers: &[(&'static str, &str)]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in headers {
        hasher.update(&(name.len() as u64).to_le_bytes()).update(name.as_bytes());
        hasher.update(&(value.len() as u64).to_le_bytes()).update(value.as_bytes());
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn covers_only_the_url_headers_bytes_and_time_it_was_made_for() {
        let now = Instant::now();
        let permit = Permit::of(Boundary::External, "internal", b"abc", Instant::now() + Duration::from_secs(1));
        let headers = [("authorization", "Bearer k")];
        assert_eq!(permit.covers("https://a/v1", &headers, b"abc", now), Ok(()));
        assert_eq!(permit.covers("https://a/v1", &headers, b"abc", permit.expires), Ok(()));
        assert_eq!(permit.covers("https://b/v1", &headers, b"abc", now), Err(PermitError::Url));
        assert_eq!(permit.covers("https://a/v1", &[], b"abc", now), Err(PermitError::Headers));
        assert_eq!(permit.covers("https://a/v1", &headers, b"abd", now), Err(PermitError::Body));
        let expired = permit.covers("https://a/v1", &headers, b"abc", now + Duration::from_secs(60));
        assert_eq!(expired, Err(PermitError::Expired));
    }

    #[test]
    fn says_what_it_is_for_and_nothing_of_headers_or_paths() {
        let permit = Permit::of(Boundary::External, "internal", b"abc", Instant::now() + Duration::from_secs(1));
        assert_eq!((permit.origin(), permit.bytes(), permit.body()), ("https://a", 3, blake3::hash(b"abc")));
        let shown = format!("{permit:?}");
        assert!(shown.contains("internal") && !shown.contains("Bearer") && !shown.contains("/v1"), "{shown}");
    }

    #[test]
    fn headers_that_only_look_alike_when_joined_hash_differently() {
        assert_ne!(hash_headers(&[("a", "bc")]), hash_headers(&[("a", "b"), ("c", "")]));
    }
}
