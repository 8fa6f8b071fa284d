//! Providers behind an API.

#[cfg(test)]
mod cuts;
mod health;
mod keys;
mod numbers;
mod relay;
mod resting;
mod retry_after;
mod translate;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use self::health::{Health, Ticket};
pub use self::keys::Affinity;
pub use self::keys::Lease;
use self::keys::{Keys, Refusal};
pub use self::numbers::Numbers;
use self::relay::{Patience, Relay, Watch};
pub use self::resting::Resting;
use self::retry_after::retry_after;
use super::answer::Answer;
use super::failure::{Failure, Quoting};
use crate::audit::Entered;
use crate::chat::Task;
use crate::config::{self, ApiVersion, Timeouts};
use crate::dialect::anthropic::header::{self, Said};
use crate::dialect::edit::CapField;
use crate::dialect::{Dialect, Target, Wire, gemini};
use crate::egress::{Egress, Incoming, SendError, Shipment};
use crate::transform::Restorer;
use crate::transform::answer::Restoring;
use crate::transform::deltas::RestoringDeltas;

/// Largest whole reply.
const MAX_REPLY: usize = 64 << 20;
/// Largest error body that is passed on.
const MAX_ERROR: usize = 64 << 10;
/// For how long nobody asks again who limits the rate and does not say for how long.
const LIMITED: Duration = Duration::from_millis(500);

/// A provider, and what is needed to call it.
pub struct Provider {
    wire: Wire,
    credential_header: &'static str,
    cap_field: CapField,
    stream_options: bool,
    grammars: bool,
    api_version: Option<ApiVersion>,
    timeouts: Timeouts,
    egress: Egress,
    health: Arc<Health>,
    keys: Arc<Keys>,
}

/// How an answer is read.
pub struct Reading {
    /// What the client speaks.
    pub dialect: Dialect,
    /// Whether the provider was asked in the client's own bytes.
    pub speaks: bool,
    /// Whether the client asked for usage in its stream, where its dialect leaves that open.
    pub asked_usage: bool,
    /// Whether the answer's text is JSON.
    pub answers_json: bool,
    /// Puts pseudonyms back, where the request had any.
    pub restorer: Option<Arc<Restorer>>,
}

impl Provider {
    /// Sets the provider up and reads its credentials.
    ///
    /// # Errors
    /// When there can be no client at all.
    pub fn new(provider: &config::Provider) -> Result<Self, SendError> {
        Ok(Self {
            wire: provider.wire,
            credential_header: provider.credential_header,
            cap_field: provider.cap_field,
            stream_options: provider.stream_options,
            grammars: provider.grammars,
            api_version: provider.api_version.clone(),
            timeouts: provider.timeouts,
            egress: Egress::new(&provider.base_url, provider.timeouts.connect)?,
            health: Health::new(&provider.name),
            keys: Keys::new(&provider.name, &provider.credentials),
        })
    }

    /// What it speaks.
    pub fn wire(&self) -> Wire {
        self.wire
    }

    /// Whether it holds answers to a grammar.
    pub fn holds_grammars(&self) -> bool {
        self.grammars
    }

    /// For whom requests to its `model` are written.
    pub fn target<'a>(&self, model: &'a str, max_output: u32) -> Target<'a> {
        Target { model, max_output, cap_field: self.cap_field, stream_options: self.stream_options }
    }

    /// Why it is better not called now.
    pub fn resting(&self) -> Option<Resting> {
        let now = Instant::now();
        self.health.resting(now).or_else(|| self.keys.resting(now))
    }

    /// For how long it is better not called, from now on; `None` where nobody can say, for it has no credential.
    pub fn rest(&self) -> Option<Duration> {
        let now = Instant::now();
        Some(self.keys.rest(now)?.max(self.health.rest(now)))
    }

    /// Notes in the `numbers` in which state it is.
    pub fn observe(&self, name: &str, numbers: &Numbers) {
        let now = Instant::now();
        numbers.observe(name, self.health.observed(now), self.keys.observed(now));
    }

    /// How many credentials it has; at least one, that may send nothing.
    pub fn credentials(&self) -> usize {
        self.keys.count()
    }

    /// Whether it has a credential that it has not refused lately.
    pub fn has_fresh_credential(&self) -> bool {
        self.keys.has_fresh(Instant::now())
    }

    /// Reads its credentials again, and says which are different now.
    pub fn read_credentials(&self) -> Vec<String> {
        self.keys.read_again()
    }

    /// A credential for a call.
    ///
    /// # Errors
    /// [`Failure::Resting`].
    pub fn lease(&self, affinity: Affinity) -> Result<Lease, Failure> {
        self.keys.lease(affinity, Instant::now()).map_err(Failure::Resting)
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

    /// The request that would carry `body` and ask for `task` with the credential of `lease`, and with what the client
    /// `said` in headers of the provider's dialect.
    ///
    /// # Errors
    /// Where `target`'s model makes no URL.
    pub fn shipment(
        &self,
        body: Bytes,
        target: &Target<'_>,
        task: Task,
        streams: bool,
        said: &Said,
        lease: &Lease,
    ) -> Result<Shipment, SendError> {
        let accept = if streams { "text/event-stream" } else { "application/json" };
        let mut headers = vec![("content-type", "application/json".to_owned()), ("accept", accept.to_owned())];
        if self.wire == Wire::Messages {
            headers.push((header::VERSION, said.version().to_owned()));
            headers.extend(said.plain_betas().map(|betas| (header::BETA, betas.to_owned())));
        }
        if let Some(token) = lease.token() {
            let bearer = self.credential_header == "authorization";
            headers.push((self.credential_header, if bearer { format!("Bearer {token}") } else { token.to_owned() }));
        }
        Ok(Shipment { url: self.egress.url(&self.path(target.model, task, streams))?, headers, body })
    }

    /// Where requests go below the base URL.
    fn path<'a>(&self, model: &'a str, task: Task, streams: bool) -> Cow<'a, str> {
        let path = self.wire.path(model, task, streams);
        match &self.api_version {
            None => path,
            Some(ApiVersion { name, deployments: true }) => {
                format!("deployments/{model}/{path}?api-version={name}").into()
            }
            Some(ApiVersion { name, deployments: false }) => format!("{path}?api-version={name}").into(),
        }
    }

    /// Sends with the credential of `lease`, and waits until the answer has really begun: a whole reply, or a stream's first
    /// event.
    ///
    /// # Errors
    /// See [`Failure`]; after a success the stream reports for itself.
    pub async fn call(
        &self,
        entered: Entered,
        shipment: Shipment,
        lease: Lease,
        reading: Reading,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let answer = self.exchange(entered, shipment, reading, deadline).await;
        match (&answer, answer.as_ref().err().and_then(refusal)) {
            (_, Some(refusal)) => lease.refused(refusal, Instant::now()),
            (Ok(_) | Err(Failure::Rejected { .. }), None) => lease.accepted(),
            (Err(_), None) => {}
        }
        answer
    }

    async fn exchange(
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
        reading.speaks && (reading.restorer.is_none() || self.wire == Wire::Chat)
    }

    async fn whole(&self, mut incoming: Incoming, reading: Reading, passes: bool) -> Result<Answer, Failure> {
        let mut patience = Patience::new(self.timeouts);
        let wait = |latest: &[u8]| {
            // Some send blank lines until there is an answer.
            if !latest.trim_ascii().is_empty() {
                patience.progress();
            }
            patience.left().unwrap_or_default()
        };
        let body = incoming.body(MAX_REPLY, wait).await.map_err(|error| patience.out(error))?;
        match passes {
            true => relay::whole(self.wire, reading.dialect, body, reading.bytes()).ok_or(Failure::Unreadable),
            false if reading.dialect == Dialect::Embeddings => {
                gemini::embed::read(&body).map(Answer::Vectors).ok_or(Failure::Unreadable)
            }
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
            408 => Failure::Upstream { status, retry_after: retry_after(&incoming.headers) },
            429 => Failure::Upstream { status, retry_after: retry_after(&incoming.headers).or(Some(LIMITED)) },
            500.. => Failure::Upstream { status, retry_after: retry_after(&incoming.headers) },
            300..=399 | 401..=405 => Failure::Misconfigured { status },
            _ => match incoming.body(MAX_ERROR, |_| self.timeouts.idle).await {
                Ok(body) => Failure::Rejected { status, body: Quoting(relay::restored(body, reading.bytes()).0) },
                Err(error) => Failure::Send(error),
            },
        }
    }
}

/// What `failure` says about the credential that was used.
fn refusal(failure: &Failure) -> Option<Refusal> {
    match failure {
        Failure::Upstream { retry_after, .. } if failure.is_the_credentials() => {
            Some(Refusal::Limited(retry_after.unwrap_or(LIMITED)))
        }
        // Without credit it is as good as none.
        Failure::Misconfigured { status: StatusCode::UNAUTHORIZED | StatusCode::PAYMENT_REQUIRED } => {
            Some(Refusal::Unknown)
        }
        Failure::Misconfigured { status: StatusCode::FORBIDDEN } => Some(Refusal::Forbidden),
        _ => None,
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
    fn path<'a>(self, model: &str, task: Task, streams: bool) -> Cow<'a, str> {
        match self {
            Self::Chat if task == Task::Chat => Cow::Borrowed("chat/completions"),
            Self::Chat => Cow::Borrowed(task.name()),
            Self::Messages => Cow::Borrowed("messages"),
            Self::Responses => Cow::Borrowed("responses"),
            Self::Gemini => {
                let method = match (task, streams) {
                    (Task::Embeddings, _) => "batchEmbedContents",
                    (_, true) => "streamGenerateContent?alt=sse",
                    (_, false) => "generateContent",
                };
                Cow::Owned(format!("{}:{method}", gemini::embed::path(model)))
            }
        }
    }
}
