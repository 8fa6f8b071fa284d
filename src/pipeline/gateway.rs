//! What all requests share.

use std::net::SocketAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use http::StatusCode;
use http::header::{AUTHORIZATION, ORIGIN};
use http::request::Parts;

use super::respond::Head;
use super::{Apart, Companions, Fills, Generation, Named, Reloads, Taints};
use crate::cache::{Flights, Responses, Store};
use crate::classify::difficulty::Estimator;
use crate::config::Config;
use crate::dialect::error::ApiError;
use crate::dispatch::Dispatcher;
use crate::govern::{PriceList, Subject};
use crate::record::Recorder;
use crate::serve::listener::Peer;
use crate::telemetry::Metrics;
use crate::transform::Vaults;

/// The running gateway.
pub struct Gateway {
    /// The configuration.
    pub config: Config,
    /// Policies, keys and budgets in force; requests in flight keep those they began with.
    pub generation: ArcSwap<Generation>,
    /// Asks for the next generation.
    pub reloads: Reloads,
    /// Whom requests without a key count as, where that is allowed.
    pub anonymous: Arc<Subject>,
    /// Expected gain of the closed model.
    pub estimator: Arc<Estimator>,
    /// What models cost and can do.
    pub prices: PriceList,
    /// Whole answers.
    pub cache: Option<Store>,
    /// Answers that may be continued.
    pub responses: Option<Responses>,
    /// Identical requests under way.
    pub flights: Flights<Result<Head, ApiError>>,
    /// Requests that run in tasks of their own.
    pub fills: Fills,
    /// Keys that clients gave their requests.
    pub named: Named,
    /// Where large requests are looked at.
    pub apart: Apart,
    /// What conversations rose to.
    pub taints: Taints,
    /// Who answered conversations last.
    pub companions: Companions,
    /// Pseudonyms of conversations; `None` where there is no randomness to draw them from.
    pub vaults: Option<Vaults>,
    /// Everybody who answers.
    pub dispatcher: Dispatcher,
    /// The record, where one is kept.
    pub recorder: Option<Recorder>,
    /// Counters and clocks.
    pub metrics: Metrics,
    /// When the process began to serve.
    pub started: jiff::Timestamp,
}

impl Gateway {
    /// Who is asking, by the keys of `generation`.
    ///
    /// # Errors
    /// 401 for a wrong key, or for none where one is needed. Counted, not recorded: nobody has been identified.
    pub fn authenticate(&self, generation: &Generation, head: &Parts) -> Result<Arc<Subject>, ApiError> {
        let keys = &generation.keys;
        let sent = sent_key(head);
        let subject = match sent {
            None => self.without_key(head),
            Some(token) => token
                .and_then(|token| keys.authenticate(token.trim()).cloned())
                // Many client libraries insist on sending some key; where none are configured it means nothing.
                .or_else(|| if keys.is_empty() { self.without_key(head) } else { None }),
        };
        subject.ok_or_else(|| {
            self.metrics.unauthenticated.inc();
            ApiError::new(
                StatusCode::UNAUTHORIZED,
                "no valid key; send one as `Authorization: Bearer ajar-…` or `x-api-key: ajar-…` (`ajar keys new NAME` makes one)",
            )
        })
    }

    /// A browser says on whose page's behalf it asks (`Origin`): without a key, any page that a person on this host
    /// opens could spend their money.
    fn without_key(&self, head: &Parts) -> Option<Arc<Subject>> {
        if head.headers.contains_key(ORIGIN) {
            return None;
        }
        let Peer(peer): Peer = *head.extensions.get()?;
        (self.config.anonymous.loopback && is_loopback(peer)).then(|| self.anonymous.clone())
    }
}

/// The key that a client sends, where OpenAI's or where Anthropic's libraries put it; `Some(None)` for what is none.
fn sent_key(head: &Parts) -> Option<Option<&str>> {
    if let Some(value) = head.headers.get(AUTHORIZATION) {
        let bearer = value.to_str().ok();
        return Some(bearer.and_then(|v| v.strip_prefix("Bearer ").or_else(|| v.strip_prefix("bearer "))));
    }
    head.headers.get("x-api-key").map(|value| value.to_str().ok())
}

fn is_loopback(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}
