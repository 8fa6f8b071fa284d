//! Answers and failures as HTTP responses.

use std::sync::Arc;

use axum::body::Body as HttpBody;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use http::header::CONTENT_TYPE;
use http::{HeaderName, HeaderValue, StatusCode};

use super::dispatching::{Answered, Begun};
use super::entry::{Entry, Labels};
use super::lookup::FlightHead;
use super::meter::Metered;
use super::understand::Call;
use crate::cache::Entry as Cached;
use crate::cache::flight::{End, Reader};
use crate::chat::MicroUsd;
use crate::dialect::Dialect;
use crate::dialect::error::ApiError;
use crate::govern::Explain;
use crate::record::{Cache, Outcome};

/// What is known when an answer begins.
#[derive(Clone, Debug)]
pub struct Head {
    /// Who answers.
    pub served_by: Arc<str>,
    /// What the client asked for and that one was not told.
    pub losses: Arc<[&'static str]>,
    /// What it cost; known at the beginning only where the answer is whole.
    pub cost: Option<MicroUsd>,
}

/// A failure, in the client's dialect; the record says the same.
pub(super) fn failed(mut entry: Entry, error: ApiError) -> Response {
    entry.failed(&error);
    refuse(&entry.labels(), error)
}

fn refuse(labels: &Labels, error: ApiError) -> Response {
    let error = ApiError { request_id: Some(Box::new(labels.id)), ..error };
    labelled(error.respond(labels.dialect), labels, None)
}

/// An answer of this request's own.
pub(super) fn direct(begun: Begun) -> Response {
    let labels = begun.meter.entry().labels();
    let response = match begun.body {
        Answered::Whole(body) => {
            begun.meter.complete();
            whole(body)
        }
        Answered::Stream(frames, deadline) => {
            let dialect = labels.dialect;
            streamed(Metered::new(frames, begun.meter, deadline).map(move |frame| match frame {
                Ok(frame) => frame.bytes,
                Err(broken) => broken_off(dialect, broken.code()),
            }))
        }
    };
    labelled(response, &labels, Some(&begun.head))
}

/// An answer from the cache.
pub(super) fn cached(mut entry: Entry, call: &Call, answer: &Cached) -> Response {
    let (served_by, losses) = (answer.served_by.clone(), answer.losses.clone());
    let head = Head { served_by, losses, cost: Some(MicroUsd::ZERO) };
    entry.shared(Cache::Hit, &head);
    answer.frames.iter().for_each(|frame| entry.keep_answer(frame));
    entry.row.timing.ttft = Some(entry.elapsed_ms());
    entry.answered();
    let response = match call.streams() {
        false => whole(answer.frames.first().cloned().unwrap_or_default()),
        true => streamed(stream::iter(answer.frames.clone())),
    };
    labelled(response, &entry.labels(), Some(&head))
}

/// An answer that identical requests share. The leader has no entry here: the task that fills keeps it.
pub(super) async fn coalesced(
    labels: Labels,
    follower: Option<Entry>,
    streams: bool,
    mut reader: Reader<FlightHead>,
) -> Response {
    let stopped = || Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the shared request was stopped"));
    let head = match (reader.head().await.unwrap_or_else(stopped), &follower) {
        (Ok(head), None) => head,
        (Ok(head), Some(_)) => Head { cost: Some(MicroUsd::ZERO), ..head },
        (Err(error), _) => return shared_failure(labels, follower, error),
    };
    let mut shared = Shared { dialect: labels.dialect, entry: follower };
    let labels = shared.begin(labels, &head);
    if streams {
        let frames = stream::unfold((reader, shared), |(mut reader, mut shared)| async move {
            let frame = shared.note(reader.next().await)?;
            Some((frame, (reader, shared)))
        });
        return labelled(streamed(frames), &labels, Some(&head));
    }
    match reader.next().await {
        Some(Ok(body)) => {
            shared.note(Some(Ok(body.clone())));
            // The end comes once the answer is kept: a client that asks again at once finds it.
            let end = reader.next().await;
            shared.note(end);
            labelled(whole(body), &labels, Some(&head))
        }
        Some(Err(_)) | None => {
            let error = ApiError::new(StatusCode::BAD_GATEWAY, "the answer is too large to be shared");
            shared_failure(labels, shared.entry, error)
        }
    }
}

fn shared_failure(labels: Labels, follower: Option<Entry>, error: ApiError) -> Response {
    match follower {
        Some(entry) => failed(entry, error),
        None => refuse(&Labels { reason: Some(error.code.into()), ..labels }, error),
    }
}

/// A follower's record while it reads.
struct Shared {
    dialect: Dialect,
    entry: Option<Entry>,
}

impl Shared {
    fn begin(&mut self, labels: Labels, head: &Head) -> Labels {
        match &mut self.entry {
            Some(entry) => {
                entry.shared(Cache::Coalesced, head);
                entry.row.timing.ttft = Some(entry.elapsed_ms());
                entry.labels()
            }
            None => labels,
        }
    }

    fn note(&mut self, next: Option<Result<Bytes, End>>) -> Option<Bytes> {
        match next {
            Some(Ok(bytes)) => {
                if let Some(entry) = &mut self.entry {
                    entry.keep_answer(&bytes);
                }
                Some(bytes)
            }
            Some(Err(_)) => {
                if let Some(mut entry) = self.entry.take() {
                    entry.end(Outcome::Failed, StatusCode::OK, "upstream_broken");
                }
                Some(broken_off(self.dialect, "upstream_broken"))
            }
            None => {
                if let Some(mut entry) = self.entry.take() {
                    entry.answered();
                }
                None
            }
        }
    }
}

pub(super) fn whole(body: Bytes) -> Response {
    let mut response = Response::new(HttpBody::from(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn streamed(frames: impl Stream<Item = Bytes> + Send + 'static) -> Response {
    let frames = frames.filter(|frame| std::future::ready(!frame.is_empty())).map(Ok::<_, std::convert::Infallible>);
    let mut response = Response::new(HttpBody::from_stream(frames));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response
}

/// The dialect's own error event; no end marker follows, for there was no end.
fn broken_off(dialect: Dialect, code: &'static str) -> Bytes {
    let mut frame = BytesMut::new();
    let error = ApiError::new(StatusCode::BAD_GATEWAY, "the answer broke off").code(code);
    dialect.error_frame(&error, &mut frame);
    frame.freeze()
}

/// What a set that is tried says of the request, and what the destination was not told.
fn warning(labels: &Labels, head: Option<&Head>) -> Option<String> {
    let losses = head.map(|head| &head.losses).filter(|losses| !losses.is_empty());
    let lost = losses.map(|losses| format!("not sent: {}", losses.join(", ")));
    let all: Vec<String> = labels.warning.iter().map(ToString::to_string).chain(lost).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// Tells as much of the decision as the key's `explain` allows.
pub(super) fn labelled(mut response: Response, labels: &Labels, head: Option<&Head>) -> Response {
    let mut set = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    let id = labels.id.to_string();
    set("x-ajar-id", &id);
    // Where the official client libraries look for it.
    set(labels.dialect.request_id_header(), &id);
    if labels.explain != Explain::None {
        if let Some(reason) = &labels.reason {
            set("x-ajar-reason", reason);
        }
        if let Some(warning) = warning(labels, head) {
            set("x-ajar-warning", &warning);
        }
        set("x-ajar-cache", labels.cache.name());
        if let Some(head) = head {
            set("x-ajar-served-by", &head.served_by);
        }
        if let Some(cost) = head.and_then(|head| head.cost) {
            set("x-ajar-cost", &cost.to_string());
        }
    }
    if labels.explain == Explain::Full {
        if let Some(route) = &labels.route {
            set("x-ajar-route", route);
        }
        if let Some(policy) = &labels.policy {
            set("x-ajar-policy", policy);
        }
    }
    set("cache-control", "private, no-store");
    response
}
