//! Why a provider is not called now.

/// Why a provider is not called now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resting {
    /// It failed too often.
    Broken,
    /// It comes back, and has enough to do.
    Warming,
    /// It asked for a pause.
    Paused,
    /// It limits the rate of every credential that there is.
    Limited,
    /// It refuses every credential that there is.
    Refused,
    /// There is no credential.
    NoCredential,
}

impl Resting {
    /// The word in records and explanations.
    pub fn code(self) -> &'static str {
        match self {
            Self::Broken | Self::Warming => "breaker_open",
            Self::Paused | Self::Limited => "rate_limited",
            Self::Refused => "credential_refused",
            Self::NoCredential => "no_credential",
        }
    }
}
