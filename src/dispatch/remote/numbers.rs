//! What the metrics say of providers. Labels are names of the configuration and our own words.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::dispatch::failure::Failure;

/// Counts of calls, and the state of providers as it was when it was last asked for.
#[derive(Clone, Default)]
pub struct Numbers {
    /// Calls by what came of them: `answered`, or the failure's code.
    pub calls: Family<Called, Counter>,
    /// Calls that were made since one before had failed.
    pub retries: Family<Of, Counter>,
    /// 1 for the state that the breaker is in.
    pub breakers: Family<In, Gauge>,
    /// Credentials by what can be done with them.
    pub credentials: Family<In, Gauge>,
}

/// Which provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Of {
    provider: String,
}

/// What came of a call to a provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Called {
    provider: String,
    result: &'static str,
}

/// A provider, or a part of one, in some state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct In {
    provider: String,
    state: &'static str,
}

impl Numbers {
    pub(in crate::dispatch) fn called<T>(&self, provider: &str, answer: &Result<T, Failure>) {
        let result = answer.as_ref().err().map_or("answered", Failure::code);
        self.calls.get_or_create(&Called { provider: provider.to_owned(), result }).inc();
    }

    pub(in crate::dispatch) fn retried(&self, provider: &str) {
        self.retries.get_or_create(&Of { provider: provider.to_owned() }).inc();
    }

    pub(in crate::dispatch) fn observe(
        &self,
        provider: &str,
        breaker: [(&'static str, i64); 3],
        credentials: [(&'static str, i64); 5],
    ) {
        let set = |family: &Family<In, Gauge>, (state, value): (&'static str, i64)| {
            family.get_or_create(&In { provider: provider.to_owned(), state }).set(value);
        };
        breaker.into_iter().for_each(|state| set(&self.breakers, state));
        credentials.into_iter().for_each(|state| set(&self.credentials, state));
    }
}
