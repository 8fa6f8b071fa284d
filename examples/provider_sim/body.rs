//! An answer as a list of steps (send, wait, hang, break), so that every fault is an edit of that list.

use std::{
    convert::Infallible,
    future::{Future, pending},
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
    vec,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::body::Frame;
use tokio::time::Sleep;

use super::{
    script::{Break, Fault, Latency},
    speech::Speech,
    tape::{Counters, Socket},
    wire::ApiError,
};

/// Longer than anybody waits.
const PINGS: usize = 10_000;

/// One thing that happens while a body is sent.
pub enum Step {
    Send(Bytes),
    Wait(Duration),
    /// Everything sent so far reaches the socket before the next step.
    Flush,
    Hang,
    Break(Break),
}

/// An answer before it is sent: what faults edit.
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    speech: Speech,
    steps: Vec<Step>,
}

impl Reply {
    /// A whole JSON document.
    pub fn document(status: u16, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers, speech: Speech::OpenAi, steps: vec![Step::Send(body)] }
    }

    /// A stream of events, `gap` apart.
    pub fn events(events: Vec<Bytes>, gap: Duration) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        let steps = spaced(events.into_iter(), gap);
        Self { status: StatusCode::OK, headers, speech: Speech::OpenAi, steps }
    }

    /// An error, as a document.
    pub fn error(error: &ApiError, speech: Speech) -> Self {
        Self::document(error.status, speech.error(error))
    }

    /// Fails in these words.
    pub fn speaking(self, speech: Speech) -> Self {
        Self { speech, ..self }
    }

    /// The reply with `fault` in it.
    pub fn with(mut self, fault: &Fault) -> Self {
        match fault {
            Fault::Status { status, retry_after } => return Self::failing(*status, *retry_after, self.speech),
            Fault::HangMidStream { after } => self.replace_rest(*after, [Step::Hang]),
            Fault::Pings { after, every } => {
                let sign: &[u8] = if self.is_stream() { b": ping\n\n" } else { b"\n" };
                let ping = || [Step::Wait(*every), Step::Send(Bytes::from_static(sign))];
                self.replace_rest(*after, (0..PINGS).flat_map(|_| ping()));
                self.headers.remove(header::CONTENT_LENGTH);
            }
            Fault::Cut { after, how } => self.replace_rest(*after, [Step::Flush, Step::Break(*how)]),
            Fault::CutAt { bytes, how } => self.cut_at(*bytes, *how),
            Fault::MalformedChunk { after } => self.garble(*after),
            Fault::ErrorEvent { after } => {
                self.replace_rest(*after, [Step::Send(self.speech.error_event(500))]);
            }
            Fault::NoDone => {
                let speech = self.speech;
                self.steps.retain(|step| !matches!(step, Step::Send(bytes) if speech.is_end(bytes)));
            }
            Fault::SlowDrip { bytes, every } => self.drip((*bytes).max(1), *every),
            Fault::OversizedLine { bytes } => self.swell(*bytes),
            Fault::WrongContentType(kind) => {
                let kind = HeaderValue::from_str(kind).expect("a scripted content type is a header value");
                self.headers.insert(header::CONTENT_TYPE, kind);
            }
            // Befall the connection, the time before the head, and the making of the answer.
            Fault::HangAccept | Fault::HangBeforeHeaders | Fault::NoUsage => {}
        }
        self
    }

    /// The response, with the headers every OpenAI answer has.
    pub fn into_response(mut self, serial: u64, latency: Latency, in_flight: InFlight) -> Response<Body> {
        let name = HeaderName::from_static;
        let request_id = HeaderValue::try_from(format!("req_{serial:032x}")).expect("hexadecimal is a header value");
        let elapsed = u64::try_from(latency.first_byte.as_millis()).unwrap_or(u64::MAX);
        self.headers.insert(name("x-request-id"), request_id);
        self.headers.insert(name("openai-processing-ms"), HeaderValue::from(elapsed));
        self.headers.insert(name("openai-version"), HeaderValue::from_static("2020-10-01"));
        self.headers.insert(name("openai-organization"), HeaderValue::from_static("simulated"));
        let steps = self.steps.into_iter();
        let mut response = Response::new(Body { steps, timer: None, flushing: false, in_flight });
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }

    fn failing(status: u16, retry_after: Option<Duration>, speech: Speech) -> Self {
        let mut reply = Self::error(&ApiError::of_status(status), speech).speaking(speech);
        if let Some(pause) = retry_after {
            let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
            reply.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        reply
    }

    fn is_stream(&self) -> bool {
        !self.headers.contains_key(header::CONTENT_LENGTH)
    }

    /// Keeps what goes out before the fault and puts `steps` in place of the rest.
    fn replace_rest(&mut self, after: usize, steps: impl IntoIterator<Item = Step>) {
        let kept = if !self.is_stream() && after > 0 {
            self.halve();
            1
        } else {
            self.position(after)
        };
        self.steps.truncate(kept);
        self.steps.extend(steps);
    }

    fn garble(&mut self, after: usize) {
        if self.is_stream() {
            let position = self.position(after);
            self.steps.insert(position, Step::Send(Bytes::from_static(self.speech.malformed())));
        } else if let Some(half) = self.halve() {
            self.steps.truncate(1);
            self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(half));
        }
    }

    /// Cuts a whole document in two pieces; the length of the first.
    fn halve(&mut self) -> Option<usize> {
        let Some(Step::Send(whole)) = self.steps.first_mut() else { return None };
        let rest = whole.split_off(whole.len() / 2);
        let half = whole.len();
        self.steps.insert(1, Step::Send(rest));
        Some(half)
    }

    fn cut_at(&mut self, bytes: usize, how: Break) {
        let sent =
            self.steps.iter().filter_map(|step| if let Step::Send(bytes) = step { Some(&bytes[..]) } else { None });
        let mut sent = sent.collect::<Vec<_>>().concat();
        sent.truncate(bytes);
        self.steps = vec![Step::Send(sent.into()), Step::Flush, Step::Break(how)];
    }

    fn drip(&mut self, size: usize, every: Duration) {
        let mut whole = Vec::new();
        let mut end = Vec::new();
        for step in std::mem::take(&mut self.steps) {
            match step {
                Step::Send(bytes) => whole.extend_from_slice(&bytes),
                Step::Wait(_) => {}
                Step::Flush | Step::Hang | Step::Break(_) => end.push(step),
            }
        }
        self.steps = spaced(whole.chunks(size).map(Bytes::copy_from_slice), every);
        self.steps.append(&mut end);
    }

    fn swell(&mut self, size: usize) {
        if self.is_stream() {
            let position = self.position(1);
            return self.steps.insert(position, Step::Send(self.speech.oversized_event(size)));
        }
        let Some(Step::Send(whole)) = self.steps.first_mut() else { return };
        *whole = [&vec![b' '; size], &whole[..]].concat().into();
        self.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
    }

    /// The index just behind the `after`-th event.
    fn position(&self, after: usize) -> usize {
        let sends = self.steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Send(_)));
        let last = after.checked_sub(1).map(|last| sends.map(|(index, _)| index + 1).nth(last));
        last.map_or(0, |last| last.unwrap_or(self.steps.len()))
    }
}

/// Sends with a pause before each but the first.
fn spaced(pieces: impl Iterator<Item = Bytes>, gap: Duration) -> Vec<Step> {
    let pause = |index| (index > 0 && !gap.is_zero()).then_some(Step::Wait(gap));
    pieces.enumerate().flat_map(|(index, piece)| pause(index).into_iter().chain([Step::Send(piece)])).collect()
}

/// A response body that carries out its steps.
pub struct Body {
    steps: vec::IntoIter<Step>,
    timer: Option<Pin<Box<Sleep>>>,
    flushing: bool,
    in_flight: InFlight,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        loop {
            if let Some(timer) = &mut self.timer {
                ready!(timer.as_mut().poll(cx));
                self.timer = None;
            }
            if std::mem::take(&mut self.flushing) {
                // hyper writes out what it has whenever a body has nothing for it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match self.steps.next() {
                Some(Step::Send(bytes)) => {
                    self.in_flight.finished = self.steps.as_slice().is_empty();
                    return Poll::Ready(Some(Ok(Frame::data(bytes))));
                }
                Some(Step::Wait(pause)) => self.timer = Some(Box::pin(tokio::time::sleep(pause))),
                Some(Step::Flush) => self.flushing = true,
                Some(Step::Hang) => {
                    self.steps = vec![Step::Hang].into_iter();
                    return Poll::Pending;
                }
                Some(Step::Break(how)) => {
                    self.in_flight.finished = true;
                    self.in_flight.socket.break_off(how);
                    return Poll::Ready(Some(Err(io::Error::other("scripted break"))));
                }
                None => {
                    self.in_flight.finished = true;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.as_slice().is_empty() && self.timer.is_none()
    }
}

/// Counts an answer that is under way, and how it ended: dropped unfinished, the client has left.
pub struct InFlight {
    finished: bool,
    socket: Arc<Socket>,
    counters: Arc<Counters>,
}

impl InFlight {
    pub fn new(socket: Arc<Socket>, counters: Arc<Counters>) -> Self {
        counters.change(|counts| counts.in_flight += 1);
        Self { finished: false, socket, counters }
    }

    /// Holds the request open until the client leaves.
    pub async fn hang(self) -> Infallible {
        pending().await
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.counters.change(|counts| {
            counts.in_flight -= 1;
            counts.cancelled += u64::from(!self.finished);
        });
    }
}
