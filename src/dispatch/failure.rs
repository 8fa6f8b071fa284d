//! Why an attempt brought no answer.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::answer::Broken;
use super::local::EngineError;
use super::remote::Resting;
use crate::audit::LedgerError;
use crate::chat::text::redacted;
use crate::dialect::Unfit;
use crate::egress::SendError;
use crate::transform::TransformError;

/// Why an attempt brought no answer; nothing of one has reached the client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The provider was not reached, or did not answer.
    #[error("{0}")]
    Send(#[from] SendError),
    /// For this long the provider only said that it is alive.
    #[error("the answer did not begin for {} s", .0.as_secs_f64())]
    Stalled(Duration),
    /// The provider is left alone now. Nothing left.
    #[error("the provider is not called now: {}", .0.code())]
    Resting(Resting),
    /// What was to be sent could not be entered in the egress ledger. Nothing left.
    #[error("{0}")]
    Ledger(String),
    /// The provider answered with a failure of its own: 429, 5xx.
    #[error("the provider answered {status}")]
    Upstream {
        /// The provider's status.
        status: StatusCode,
        /// When it asks to be tried again.
        retry_after: Option<Duration>,
    },
    /// The provider refuses ajar's credentials, or does not know the model: the operator's to mend.
    #[error("the provider answered {status}: check its credential, base URL and the destination's model")]
    Misconfigured {
        /// The provider's status.
        status: StatusCode,
    },
    /// The provider finds the client's request wrong, and says why in its own words.
    #[error("the provider refused the request ({status})")]
    Rejected {
        /// The provider's status.
        status: StatusCode,
        /// The provider's error body, which may quote the prompt.
        body: Quoting,
    },
    /// The provider's answer is none.
    #[error("the provider's answer is none that can be read")]
    Unreadable,
    /// The embedded engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The request's deadline passed.
    #[error("the deadline passed")]
    Deadline,
    /// The body could not be made fit to leave. Nothing left.
    #[error("{0}")]
    Transform(#[from] TransformError),
    /// The destination's dialect has no words for the request. Nothing left.
    #[error("{0}")]
    Unfit(#[from] Unfit),
    /// The body could not be built as it was classified: a bug in ajar. Nothing left.
    #[error("the outgoing body differs from what was classified")]
    Unfaithful,
}

/// Bytes that may quote a request; `Debug` shows how many.
#[derive(Clone, PartialEq, Eq)]
pub struct Quoting(pub Bytes);

impl fmt::Debug for Quoting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        redacted(f, "Quoting", self.0.len())
    }
}

/// Of an answer that broke off before its first word.
impl From<Broken> for Failure {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Transport(error) => Self::Send(error),
            Broken::Engine(error) => Self::Engine(error),
            Broken::Deadline => Self::Deadline,
            Broken::Stalled(waited) => Self::Stalled(waited),
            Broken::Provider => Self::Upstream { status: StatusCode::OK, retry_after: None },
            // It may have been on its way, and so may cost.
            Broken::Truncated | Broken::Unreadable | Broken::TooLarge => Self::Unreadable,
        }
    }
}

impl Failure {
    /// Whether somebody else might do better with the same request.
    pub fn is_worth_another(&self) -> bool {
        match self {
            Self::Send(_) | Self::Stalled(_) | Self::Unreadable => true,
            Self::Ledger(_) | Self::Upstream { .. } | Self::Misconfigured { .. } => true,
            // Another destination may accept the class as it is, or have the words.
            Self::Transform(_) | Self::Unfit(_) | Self::Resting(_) => true,
            Self::Engine(error) => !matches!(error, EngineError::Deadline),
            Self::Rejected { .. } | Self::Deadline | Self::Unfaithful => false,
        }
    }

    /// Whether the same destination might do better in a moment, and nothing can have been paid for yet.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Send(error) => matches!(error, SendError::Connect(_) | SendError::ConnectTimeout(_)),
            Self::Upstream { .. } | Self::Resting(Resting::Warming) => true,
            _ => false,
        }
    }

    /// Whether it says that the provider is not well.
    pub fn is_the_providers(&self) -> bool {
        match self {
            Self::Send(error) => !matches!(error, SendError::Permit(_)),
            Self::Upstream { status, .. } => *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Unreadable | Self::Stalled(_) => true,
            _ => false,
        }
    }

    /// Whether it is about the credential that was used: another one may be let in.
    pub fn is_the_credentials(&self) -> bool {
        match self {
            Self::Misconfigured { status } => matches!(status.as_u16(), 401..=403),
            Self::Upstream { status, .. } => *status == StatusCode::TOO_MANY_REQUESTS,
            _ => false,
        }
    }

    /// When the provider asks to be tried again.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the request may have reached a provider, and so may cost.
    pub fn may_cost(&self) -> bool {
        match self {
            Self::Send(error) => error.may_have_left(),
            Self::Unreadable | Self::Stalled(_) | Self::Deadline => true,
            Self::Upstream { .. } | Self::Misconfigured { .. } | Self::Rejected { .. } => false,
            Self::Resting(_) | Self::Ledger(_) | Self::Engine(_) => false,
            Self::Transform(_) | Self::Unfit(_) | Self::Unfaithful => false,
        }
    }

    /// Whether anything may have reached a provider.
    pub fn may_have_left(&self) -> bool {
        match self {
            Self::Send(error) => error.may_have_left(),
            Self::Resting(_) | Self::Ledger(_) | Self::Engine(_) => false,
            Self::Transform(_) | Self::Unfit(_) | Self::Unfaithful => false,
            Self::Upstream { .. }
            | Self::Misconfigured { .. }
            | Self::Rejected { .. }
            | Self::Stalled(_)
            | Self::Unreadable
            | Self::Deadline => true,
        }
    }

    /// The code kept in records and told to clients.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Send(SendError::Connect(_)) => "upstream_unreachable",
            Self::Send(SendError::ConnectTimeout(_)) => "upstream_connect_timeout",
            Self::Send(SendError::FirstByte(_)) => "upstream_timeout",
            Self::Send(SendError::Idle(_)) => "upstream_idle",
            Self::Stalled(_) => "upstream_stalled",
            Self::Send(SendError::Broken(_)) => "upstream_broken",
            Self::Send(SendError::Permit(_)) | Self::Unfaithful => "egress_refused",
            Self::Resting(resting) => resting.code(),
            Self::Transform(error) => error.code(),
            Self::Unfit(_) => "capability_missing",
            Self::Ledger(_) => "audit_unavailable",
            Self::Upstream { status, .. } if *status == StatusCode::TOO_MANY_REQUESTS => "upstream_rate_limited",
            Self::Upstream { .. } => "upstream_error",
            Self::Misconfigured { .. } => "upstream_misconfigured",
            Self::Rejected { .. } => "upstream_rejected",
            Self::Unreadable => "upstream_unreadable",
            Self::Engine(error) => error.code(),
            Self::Deadline => "deadline",
        }
    }
}

impl From<LedgerError> for Failure {
    fn from(error: LedgerError) -> Self {
        Self::Ledger(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_form_of_a_refusal_shows_what_the_provider_quotes() {
        let body = Quoting(Bytes::from_static(b"invalid prompt: my secret"));
        let failure = Failure::Rejected { status: StatusCode::BAD_REQUEST, body };
        assert!(!format!("{failure} {failure:?}").contains("secret"));
    }
}
