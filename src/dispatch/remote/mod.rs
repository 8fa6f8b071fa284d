//! Providers behind an API.

#[cfg(test)]
mod cuts;
mod health;
mod relay;
mod retry_after;
mod translate;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

pub use self::health::Resting;
use self::health::{Health, Ticket};
use self::relay::{Relay, Watch};
use self::retry_after::retry_after;
use super::answer::Answer;
use super::failure::{Failure, Quoting};
use crate::audit::Entered;
use crate::config::{self, Credential, Timeouts};
use crate::dialect::anthropic::header::{self, Said};
use crate::dialect::edit::CapField;
use crate::dialect::{Dialect, Target, Wire};
use crate::egress::{Egress, Incoming, SendError, Shipment};
use crate::transform::Restorer;
use crate::transform::answer::Restoring;
use crate::transform::deltas::RestoringDeltas;

/// Largest whole reply.
const MAX_REPLY: usize = 64 << 20;
/// Largest error body that is passed on.
const MAX_ERROR: usize = 64 << 10;

/// A provider, and what is needed to call it.
pub struct Provider {
    wire: Wire,
    token: Option<SecretString>,
    credential_header: &'static str,
    cap_field: CapField,
    timeouts: Timeouts,
    egress: Egress,
    health: Arc<Health>,
}

/// How an answer is read.
pub struct Reading {
    /// What the client speaks.
    pub dialect: Dialect,
    /// Whether the client asked for usage in its stream, where its dialect leaves that open.
    pub asked_usage: bool,
    /// Whether the answer's text is JSON.
    pub answers_json: bool,
    /// Puts pseudonyms back, where the request had any.
    pub restorer: Option<Arc<Restorer>>,
}

impl Provider {
    /// Sets the provider up; `None` when it has no credential and so cannot be called.
    ///
    /// # Errors
    /// When there can be no client at all.
    pub fn new(provider: &config::Provider) -> Result<Option<Self>, SendError> {
        let token = match &provider.credential {
            Credential::None => None,
            Credential::Token(token) => Some(token.clone()),
            Credential::Missing(_) => return Ok(None),
        };
        Ok(Some(Self {
            wire: provider.wire,
            token,
            credential_header: provider.credential_header,
            cap_field: provider.cap_field,
            timeouts: provider.timeouts,
            egress: Egress::new(&provider.base_url, provider.timeouts.connect)?,
            health: Health::new(&provider.name),
        }))
    }

    /// What it speaks.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// For whom requests to its `model` are written.
    pub fn target<'a>(&self, model: &'a str, max_output: u32) -> Target<'a> {
        Target { model, max_output, cap_field: self.cap_field }
    }

    /// Why it is better not called now.
    pub fn resting(&self) -> Option<Resting> {
        self.health.resting(Instant::now())
    }

    /// Whether a call to it may be a retry; it is counted.
    pub fn may_retry(&self) -> bool {
        self.health.may_retry()
    }

    /// Asks to be let through to it.
    ///
    /// # Errors
    /// [`Failure::Resting`].
    pub fn admit(&self) -> Result<Ticket, Failure> {
        self.health.admit(Instant::now()).map_err(Failure::Resting)
    }

    /// The request that would carry `body`, with what the client `said` in headers of the provider's dialect.
    ///
    /// # Errors
    /// Where `target`'s model makes no URL.
    pub fn shipment(
        &self,
        body: Bytes,
        target: &Target<'_>,
        streams: bool,
        said: &Said,
    ) -> Result<Shipment, SendError> {
        let accept = if streams { "text/event-stream" } else { "application/json" };
        let mut headers = vec![("content-type", "application/json".to_owned()), ("accept", accept.to_owned())];
        if self.wire == Wire::Messages {
            headers.push((header::VERSION, said.version().to_owned()));
            headers.extend(said.plain_betas().map(|betas| (header::BETA, betas.to_owned())));
        }
        if let Some(token) = &self.token {
            let token = token.expose_secret();
            let bearer = self.credential_header == "authorization";
            headers.push((self.credential_header, if bearer { format!("Bearer {token}") } else { token.to_owned() }));
        }
        Ok(Shipment { url: self.egress.url(&self.wire.path(target.model, streams))?, headers, body })
    }

    /// Sends, and waits until the answer has really begun: a whole reply, or a stream's first event.
    ///
    /// # Errors
    /// See [`Failure`]; after a success the stream reports for itself.
    pub async fn call(
        &self,
        entered: Entered,
        shipment: Shipment,
        reading: Reading,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let first_byte = self.timeouts.first_byte.min(deadline.saturating_duration_since(Instant::now()));
        let incoming = self.egress.send(entered, shipment, first_byte).await?;
        if !incoming.status.is_success() {
            return Err(self.refused(incoming, reading).await);
        }
        match (is_event_stream(&incoming.headers), self.passes(&reading)) {
            (true, true) => self.relay(incoming, reading).await,
            (true, false) => translate::stream(incoming, self.wire.reader(), self.timeouts, reading.deltas()).await,
            (false, passes) => self.whole(incoming, reading, passes).await,
        }
    }

    /// Whether the provider's bytes are what the client reads. Pseudonyms are put back in bytes of chat completions only.
    fn passes(&self, reading: &Reading) -> bool {
        self.wire.speaks(reading.dialect) && (reading.restorer.is_none() || self.wire == Wire::Chat)
    }

    async fn whole(&self, mut incoming: Incoming, reading: Reading, passes: bool) -> Result<Answer, Failure> {
        let body = incoming.body(MAX_REPLY, self.timeouts.idle).await?;
        match passes {
            true => relay::whole(self.wire, body, reading.bytes()).ok_or(Failure::Unreadable),
            false => {
                let deltas = self.wire.read_reply(&body).ok_or(Failure::Unreadable)?;
                Ok(translate::whole(deltas, reading.deltas()))
            }
        }
    }

    async fn relay(&self, incoming: Incoming, reading: Reading) -> Result<Answer, Failure> {
        let watch = match self.wire == Wire::Chat {
            true => Watch::chat(reading.asked_usage, reading.bytes()),
            false => Watch::other(self.wire.reader()),
        };
        Relay::new(incoming, watch, self.timeouts).begin().await
    }

    async fn refused(&self, mut incoming: Incoming, reading: Reading) -> Failure {
        let status = incoming.status;
        match status.as_u16() {
            429 | 500.. => Failure::Upstream { status, retry_after: retry_after(&incoming.headers) },
            300..=399 | 401 | 403 | 404 | 405 => Failure::Misconfigured { status },
            _ => match incoming.body(MAX_ERROR, self.timeouts.idle).await {
                Ok(body) => Failure::Rejected { status, body: Quoting(relay::restored(body, reading.bytes()).0) },
                Err(error) => Failure::Send(error),
            },
        }
    }
}

impl Reading {
    fn bytes(self) -> Option<Restoring> {
        self.restorer.map(|restorer| Restoring::new(restorer, self.answers_json))
    }

    fn deltas(self) -> Option<RestoringDeltas> {
        self.restorer.map(|restorer| RestoringDeltas::new(restorer, self.answers_json))
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

impl Wire {
    /// Where requests go below the provider's base URL.
    fn path(self, model: &str, streams: bool) -> Cow<'static, str> {
        match self {
            Self::Chat => Cow::Borrowed("chat/completions"),
            Self::Messages => Cow::Borrowed("messages"),
            Self::Responses => Cow::Borrowed("responses"),
            Self::Gemini => {
                let method = if streams { "streamGenerateContent?alt=sse" } else { "generateContent" };
                // Tuned models, and those of others, say where they are.
                let folder = if model.contains('/') { "" } else { "models/" };
                Cow::Owned(format!("{folder}{model}:{method}"))
            }
        }
    }
}
