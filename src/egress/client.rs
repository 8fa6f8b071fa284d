//! Sends what an entered permit covers, and nothing else.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use reqwest::{Client, Response, Url};

use super::tls;
use crate::audit::Entered;
use crate::policy::permit::PermitError;

/// Idle connections kept per provider, so that a burst does not open a new one for each request.
const IDLE_CONNECTIONS: usize = 64;

/// Headers that carry credentials.
const CREDENTIALS: [&str; 4] = ["authorization", "api-key", "x-api-key", "x-goog-api-key"];

/// A request that is ready to leave.
#[derive(Clone)]
pub struct Shipment {
    /// Where to, in full; [`Egress::url`] makes it.
    pub url: Url,
    /// All headers but those of HTTP itself; a credential is one of them.
    pub headers: Vec<(&'static str, String)>,
    /// The exact bytes.
    pub body: Bytes,
}

impl Shipment {
    /// The headers as a permit binds them.
    pub fn header_refs(&self) -> Vec<(&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }
}

/// The head of a provider's answer; the body follows chunk by chunk.
pub struct Incoming {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    response: Response,
}

/// Why nothing, or no more, came back. No variant carries a URL, a header or content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The permit does not cover the shipment: a bug in ajar. Nothing left.
    #[error("refused to send: {0}")]
    Permit(#[from] PermitError),
    /// No connection. Nothing left.
    #[error("could not connect: {0}")]
    Connect(String),
    /// No connection in time, TLS included. Nothing left.
    #[error("no connection within {} s", .0.as_secs_f64())]
    ConnectTimeout(Duration),
    /// The provider did not begin to answer in time.
    #[error("no answer within {} s", .0.as_secs_f64())]
    FirstByte(Duration),
    /// The provider stopped in the middle of its answer for too long.
    #[error("the answer paused for more than {} s", .0.as_secs_f64())]
    Idle(Duration),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
}

impl SendError {
    /// Whether the request may have reached the provider, and so may cost.
    pub fn may_have_left(&self) -> bool {
        !matches!(self, Self::Permit(_) | Self::Connect(_) | Self::ConnectTimeout(_))
    }
}

/// The client for one provider: it can send below one base URL, and nowhere else.
#[derive(Clone)]
pub struct Egress {
    client: Client,
    /// Ends with a slash.
    base: Url,
    connect_timeout: Duration,
}

impl Egress {
    /// A client with its own retries, redirects and proxy variables switched off: each would send bytes that no permit
    /// covers, or to where no permit says. HTTP/1.1 only: one HTTP/2 connection would carry all streams of a provider,
    /// and a hundred of them block the next.
    ///
    /// # Errors
    /// [`SendError::Connect`] when `base` is no URL, or the machine's trusted certificates cannot be read.
    pub fn new(base: &str, connect_timeout: Duration) -> Result<Self, SendError> {
        tls::use_ring();
        let base = format!("{}/", base.trim_end_matches('/'));
        let base = Url::parse(&base).map_err(|error| SendError::Connect(error.to_string()))?;
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .connect_timeout(connect_timeout)
            .user_agent(concat!("ajar/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| SendError::Connect(describe(error)))?;
        Ok(Self { client, base, connect_timeout })
    }

    /// The URL of `path` below the base.
    ///
    /// # Errors
    /// [`SendError::Connect`] for a path that leads elsewhere.
    pub fn url(&self, path: &str) -> Result<Url, SendError> {
        let url = self.base.join(path).map_err(|error| SendError::Connect(error.to_string()))?;
        if self.reaches(&url) { Ok(url) } else { Err(SendError::Connect("the path leads out of its base".to_owned())) }
    }

    fn reaches(&self, url: &Url) -> bool {
        // As `Url::origin` compares, which would copy the host for each request.
        let same_origin = url.scheme() == self.base.scheme()
            && url.host_str() == self.base.host_str()
            && url.port_or_known_default() == self.base.port_or_known_default();
        same_origin && url.path().starts_with(self.base.path())
    }

    /// Sends `shipment`, using up a permit that the ledger has entered, and waits for the head of the answer at most `first_byte`.
    /// Dropping the future, or the [`Incoming`], closes the connection.
    ///
    /// # Errors
    /// See [`SendError`]; a status of failure is no error here.
    pub async fn send(
        &self,
        entered: Entered,
        shipment: Shipment,
        first_byte: Duration,
    ) -> Result<Incoming, SendError> {
        let permit = entered.into_permit();
        if !self.reaches(&shipment.url) {
            return Err(PermitError::Url.into());
        }
        permit.covers(shipment.url.as_str(), &shipment.header_refs(), &shipment.body, Instant::now())?;
        tracing::debug!(?permit, bytes = shipment.body.len(), "Sending.");
        let headers = header_map(&shipment.headers)?;
        let request = self.client.post(shipment.url).headers(headers).body(shipment.body);
        let response = match tokio::time::timeout(first_byte, request.send()).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) if error.is_connect() && error.is_timeout() => {
                return Err(SendError::ConnectTimeout(self.connect_timeout));
            }
            Ok(Err(error)) if error.is_connect() => return Err(SendError::Connect(describe(error))),
            Ok(Err(error)) => return Err(SendError::Broken(describe(error))),
            Err(_) => return Err(SendError::FirstByte(first_byte)),
        };
        Ok(Incoming { status: response.status(), headers: response.headers().clone(), response })
    }
}

impl Incoming {
    /// The next bytes of the body, `None` at its end; waits at most `idle`.
    ///
    /// # Errors
    /// [`SendError::Idle`] or [`SendError::Broken`].
    pub async fn chunk(&mut self, idle: Duration) -> Result<Option<Bytes>, SendError> {
        match tokio::time::timeout(idle, self.response.chunk()).await {
            Ok(chunk) => chunk.map_err(|error| SendError::Broken(describe(error))),
            Err(_) => Err(SendError::Idle(idle)),
        }
    }

    /// Bytes that are there already, without waiting.
    ///
    /// # Errors
    /// [`SendError::Broken`].
    pub fn chunk_now(&mut self) -> Option<Result<Bytes, SendError>> {
        // Polled once and dropped: nothing is lost, the next call polls the same body again.
        let chunk = self.response.chunk().now_or_never()?;
        chunk.map_err(|error| SendError::Broken(describe(error))).transpose()
    }

    /// The whole body, at most `limit` bytes; `wait` says of the latest bytes, none at first, how long to wait for more.
    ///
    /// # Errors
    /// As [`Incoming::chunk`]; [`SendError::Broken`] when there is more.
    pub async fn body(&mut self, limit: usize, mut wait: impl FnMut(&[u8]) -> Duration) -> Result<Bytes, SendError> {
        let mut left = limit;
        let Some(first) = self.chunk_within(&mut left, limit, wait(&[])).await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk_within(&mut left, limit, wait(&first)).await? else { return Ok(first) };
        let mut whole = bytes::BytesMut::from(first);
        let mut latest = second;
        loop {
            whole.extend_from_slice(&latest);
            match self.chunk_within(&mut left, limit, wait(&latest)).await? {
                Some(chunk) => latest = chunk,
                None => break,
            }
        }
        Ok(whole.freeze())
    }

    /// The next bytes, where these are not more than are `left` of the `limit`.
    async fn chunk_within(
        &mut self,
        left: &mut usize,
        limit: usize,
        idle: Duration,
    ) -> Result<Option<Bytes>, SendError> {
        let chunk = self.chunk(idle).await?;
        let length = chunk.as_ref().map_or(0, Bytes::len);
        *left = left
            .checked_sub(length)
            .ok_or_else(|| SendError::Broken(format!("the answer is larger than {limit} bytes")))?;
        Ok(chunk)
    }
}

#[cfg(test)]
impl Incoming {
    /// An answer whose body is `chunks`, after which the connection ends or, if it `breaks`, breaks.
    pub(crate) fn arriving(chunks: Vec<Bytes>, breaks: bool) -> Self {
        let broken = breaks.then(|| Err(std::io::Error::other("reset")));
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(chunks.into_iter().map(Ok).chain(broken)));
        let response = Response::from(http::Response::new(body));
        Self { status: response.status(), headers: response.headers().clone(), response }
    }
}

/// The headers as HTTP has them; a credential is marked as one, so that nobody's debug output shows it.
fn header_map(headers: &[(&'static str, String)]) -> Result<HeaderMap, SendError> {
    let mut map = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        let mut value = HeaderValue::from_str(value)
            .map_err(|_| SendError::Connect(format!("the header `{name}` has characters that HTTP forbids")))?;
        value.set_sensitive(CREDENTIALS.contains(name));
        map.insert(HeaderName::from_static(name), value);
    }
    Ok(map)
}

/// The innermost cause, without the URL, which can carry a key.
fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut cause: &dyn Error = &error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
