//! OpenAI's chat completions, as most servers speak them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};

use crate::audit::Entered;
use crate::config::{Credential, Provider, Timeouts};
use crate::dialect::edit::CapField;
use crate::dialect::openai::read::{self, observe, observe_reply};
use crate::dialect::sse::SseFramer;
use crate::dispatch::answer::{Answer, Broken, Frame};
use crate::dispatch::failure::{Failure, Quoting};
use crate::egress::{Egress, Incoming, SendError, Shipment};
use crate::transform::Tally;
use crate::transform::answer::Restoring;

/// Largest whole reply.
const MAX_REPLY: usize = 64 << 20;
/// Most bytes of a stream that are passed on at once.
const MAX_GATHERED: usize = 64 << 10;
/// Largest error body that is passed on.
const MAX_ERROR: usize = 64 << 10;

/// A provider that speaks OpenAI's dialect.
pub struct OpenAi {
    token: Option<SecretString>,
    cap_field: CapField,
    timeouts: Timeouts,
    egress: Egress,
}

impl OpenAi {
    /// Sets the provider up; `None` when it has no credential and so cannot be called.
    ///
    /// # Errors
    /// When there can be no client at all.
    pub fn new(provider: &Provider) -> Result<Option<Self>, SendError> {
        let token = match &provider.credential {
            Credential::None => None,
            Credential::Token(token) => Some(token.clone()),
            Credential::Missing(_) => return Ok(None),
        };
        Ok(Some(Self {
            token,
            cap_field: provider.cap_field,
            timeouts: provider.timeouts,
            egress: Egress::new(&format!("{}/chat/completions", provider.base_url), provider.timeouts.connect)?,
        }))
    }

    /// In which field its models take the cap on the answer.
    pub fn cap_field(&self) -> CapField {
        self.cap_field
    }

    /// The request that would carry `body`.
    pub fn shipment(&self, body: Bytes, streams: bool) -> Shipment {
        let accept = if streams { "text/event-stream" } else { "application/json" };
        let mut headers = vec![("content-type", "application/json".to_owned()), ("accept", accept.to_owned())];
        if let Some(token) = &self.token {
            headers.push(("authorization", format!("Bearer {}", token.expose_secret())));
        }
        Shipment { headers, body }
    }

    /// Where it goes to.
    pub fn url(&self) -> &str {
        self.egress.url()
    }

    /// Sends, and waits until the answer has really begun: a whole reply, or a stream's first event.
    ///
    /// # Errors
    /// See [`Failure`]; after a success the stream reports for itself.
    pub async fn call(
        &self,
        entered: Entered,
        shipment: Shipment,
        client_asked_usage: bool,
        deadline: Instant,
        restoring: Option<Restoring>,
    ) -> Result<Answer, Failure> {
        let first_byte = self.timeouts.first_byte.min(deadline.saturating_duration_since(Instant::now()));
        let mut incoming = self.egress.send(entered, shipment, first_byte).await?;
        if !incoming.status.is_success() {
            return Err(self.refused(incoming, restoring).await);
        }
        if is_event_stream(&incoming.headers) {
            return self.stream(incoming, client_asked_usage, restoring).await;
        }
        let body = incoming.body(MAX_REPLY, self.timeouts.idle).await?;
        let observed = observe_reply(&body).ok_or(Failure::Unreadable)?;
        let (bytes, tally) = restored(body, restoring);
        Ok(Answer::Whole(Frame {
            bytes,
            chars: observed.output_chars,
            usage: observed.usage,
            finish: observed.finish,
            tally,
        }))
    }

    async fn refused(&self, mut incoming: Incoming, restoring: Option<Restoring>) -> Failure {
        let status = incoming.status;
        match status.as_u16() {
            429 | 500.. => Failure::Upstream { status, retry_after: retry_after(&incoming.headers) },
            300..=399 | 401 | 403 | 404 | 405 => Failure::Misconfigured { status },
            _ => match incoming.body(MAX_ERROR, self.timeouts.idle).await {
                Ok(body) => Failure::Rejected { status, body: Quoting(restored(body, restoring).0) },
                Err(error) => Failure::Send(error),
            },
        }
    }

    async fn stream(
        &self,
        incoming: Incoming,
        client_asked_usage: bool,
        restoring: Option<Restoring>,
    ) -> Result<Answer, Failure> {
        let mut frames = Frames {
            incoming,
            framer: SseFramer::new(),
            ready: VecDeque::new(),
            idle: self.timeouts.idle,
            client_asked_usage,
            restoring,
            begun: false,
            finished: false,
            ended: false,
        };
        // Nothing is promised to the client before the provider has said something that is no error.
        let first = match frames.next().await {
            Some(Ok(frame)) => frame,
            Some(Err(broken)) => return Err(broken.into()),
            None => return Err(Failure::Unreadable),
        };
        let rest = stream::unfold(frames, |mut frames| async move { Some((frames.next().await?, frames)) });
        Ok(Answer::Stream(stream::once(async { Ok(first) }).chain(rest).boxed()))
    }
}

/// A whole body with pseudonyms put back.
fn restored(body: Bytes, restoring: Option<Restoring>) -> (Bytes, Tally) {
    restoring.map_or((body.clone(), Tally::default()), |restoring| restoring.whole(body))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

/// Seconds, as most providers send it; an HTTP date is not worth a wait here.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(http::header::RETRY_AFTER)?.to_str().ok()?.trim().parse::<f64>().ok()?;
    (0.0..=3600.0).contains(&seconds).then(|| Duration::from_secs_f64(seconds))
}

/// A provider's stream, cut into frames.
struct Frames {
    incoming: Incoming,
    framer: SseFramer,
    ready: VecDeque<Result<Frame, Broken>>,
    idle: Duration,
    client_asked_usage: bool,
    /// Puts pseudonyms back, where the request had any.
    restoring: Option<Restoring>,
    /// Whether a chunk has come; keep-alives before it promise nothing.
    begun: bool,
    /// Whether the protocol's own end has come: a finish reason or `[DONE]`.
    finished: bool,
    ended: bool,
}

impl Frames {
    /// The next events as one frame: until the answer begins all that have arrived, then chunk by chunk.
    async fn next(&mut self) -> Option<Result<Frame, Broken>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                self.ended |= frame.is_err();
                return Some(frame);
            }
            if self.ended {
                return None;
            }
            match self.incoming.chunk(self.idle).await {
                Ok(Some(chunk)) if !self.begun => self.gather(&chunk).await,
                Ok(Some(chunk)) => {
                    self.framer.push(&chunk);
                    self.cut();
                }
                Ok(None) => {
                    self.ended = true;
                    // Some servers leave `[DONE]` out; but without a finish reason it is no end.
                    if !self.finished {
                        return Some(Err(Broken::Truncated));
                    }
                    let held = self.held();
                    self.ready.extend(held.map(Ok));
                }
                Err(error) => {
                    self.ended = true;
                    return Some(Err(Broken::Transport(error)));
                }
            }
        }
    }

    /// Takes `chunk` and whatever else has arrived, before the answer begins; later a turn costs more than a write, since
    /// it polls the client's whole connection. The connection's task hands chunks over one by one, so it gets a
    /// turn after each: without that a burst of 64 small chunks costs the client's socket 64 writes.
    async fn gather(&mut self, chunk: &[u8]) {
        self.framer.push(chunk);
        let mut gathered = chunk.len();
        let mut failed = None;
        while gathered < MAX_GATHERED {
            tokio::task::yield_now().await;
            match self.incoming.chunk_now() {
                Some(Ok(more)) => {
                    gathered += more.len();
                    self.framer.push(&more);
                }
                Some(Err(error)) => {
                    failed = Some(Err(Broken::Transport(error)));
                    break;
                }
                None => break,
            }
        }
        self.cut();
        if !self.finished {
            self.ready.extend(failed);
        }
    }

    fn cut(&mut self) {
        let mut gathered = Gathered::default();
        let mut broken = None;
        while let (None, Some(cut)) = (&broken, self.framer.next()) {
            match cut {
                Ok(bytes) => broken = self.look(bytes, &mut gathered).err(),
                Err(_) => broken = Some(Broken::TooLarge),
            }
        }
        self.ready.extend(gathered.frame().map(Ok));
        self.ready.extend(broken.map(Err));
    }

    fn look(&mut self, bytes: Bytes, gathered: &mut Gathered) -> Result<(), Broken> {
        match observe(&bytes) {
            read::Frame::Chunk(chunk) => {
                self.begun = true;
                self.finished |= chunk.finish.is_some();
                let hidden = chunk.is_unasked_usage(self.client_asked_usage);
                let (bytes, tally) = if hidden { (Bytes::new(), Tally::default()) } else { self.put_back(bytes) };
                gathered.add(Frame { bytes, chars: chunk.chars, usage: chunk.usage, finish: chunk.finish, tally });
            }
            read::Frame::Done => {
                self.finished = true;
                self.ended = true;
                self.held().into_iter().for_each(|held| gathered.add(held));
                gathered.add(Frame { bytes, ..Frame::default() });
            }
            read::Frame::Error { .. } => return Err(Broken::Provider),
            read::Frame::Comment | read::Frame::Other if self.begun => {
                gathered.add(Frame { bytes, ..Frame::default() });
            }
            // A keep-alive before the first chunk promises nothing.
            read::Frame::Comment | read::Frame::Other => {}
        }
        Ok(())
    }
}

impl Frames {
    fn put_back(&mut self, bytes: Bytes) -> (Bytes, Tally) {
        match &mut self.restoring {
            Some(restoring) => (restoring.event(bytes), restoring.take_tally()),
            None => (bytes, Tally::default()),
        }
    }

    /// What was held back of the answer until its end.
    fn held(&mut self) -> Option<Frame> {
        let restoring = self.restoring.as_mut()?;
        let bytes = restoring.done();
        let frame = Frame { bytes, tally: restoring.take_tally(), ..Frame::default() };
        (frame != Frame::default()).then_some(frame)
    }
}

/// Frames that arrived together, as one.
#[derive(Default)]
struct Gathered {
    first: Option<Frame>,
    rest: BytesMut,
}

impl Gathered {
    fn add(&mut self, frame: Frame) {
        let Some(first) = &mut self.first else {
            self.first = Some(frame);
            return;
        };
        self.rest.extend_from_slice(&frame.bytes);
        first.chars += frame.chars;
        first.usage = frame.usage.or(first.usage);
        first.finish = frame.finish.or(first.finish);
        first.tally.add(frame.tally);
    }

    fn frame(self) -> Option<Frame> {
        let mut frame = self.first?;
        if !self.rest.is_empty() {
            let mut whole = BytesMut::with_capacity(frame.bytes.len() + self.rest.len());
            whole.extend_from_slice(&frame.bytes);
            whole.extend_from_slice(&self.rest);
            frame.bytes = whole.freeze();
        }
        Some(frame)
    }
}
