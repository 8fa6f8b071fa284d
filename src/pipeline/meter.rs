//! Watches an answer on its way to the client: what was used, what it cost, how it ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::{Stream, StreamExt, stream};
use http::StatusCode;
use tokio::time::Sleep;

use super::entry::Entry;
use crate::chat::{FinishReason, MicroUsd, Usage};
use crate::dispatch::{Broken, Frame, FrameStream};
use crate::govern::{Price, Reservation};
use crate::policy::DestinationId;
use crate::record::Outcome;

/// Largest answer text that is kept where a policy keeps text, in bytes.
const MAX_KEPT: usize = 1 << 20;

/// Settles the reservation and completes the record when the answer ends, in whatever way.
pub(crate) struct Meter {
    entry: Entry,
    destination: DestinationId,
    price: Price,
    reservation: Option<Reservation>,
    /// Prompt tokens, estimated: for answers whose usage is not reported.
    tokens_input: u64,
    chars: u64,
    usage: Option<Usage>,
    finish: Option<FinishReason>,
}

impl Meter {
    pub(crate) fn new(
        entry: Entry,
        destination: DestinationId,
        price: Price,
        reservation: Reservation,
        tokens_input: u64,
    ) -> Self {
        let reservation = Some(reservation);
        Self { entry, destination, price, reservation, tokens_input, chars: 0, usage: None, finish: None }
    }

    pub(crate) fn destination(&self) -> DestinationId {
        self.destination
    }

    pub(crate) fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The cost so far, in truth or estimated.
    pub(crate) fn cost(&self) -> MicroUsd {
        self.price.cost(self.usage_or_estimate())
    }

    pub(crate) fn observe(&mut self, frame: &Frame) {
        if frame.chars > 0 && self.entry.row.timing.ttft.is_none() {
            self.entry.row.timing.ttft = Some(self.entry.elapsed_ms());
        }
        self.chars += frame.chars;
        self.usage = frame.usage.or(self.usage);
        self.finish = frame.finish.or(self.finish);
        self.entry.keep_answer(&frame.bytes, MAX_KEPT);
    }

    /// The answer is complete.
    pub(crate) fn complete(mut self) {
        self.entry.answered();
    }

    /// The answer broke off.
    pub(crate) fn broken(mut self, broken: &Broken) {
        tracing::warn!(id = %self.entry.row.id, code = broken.code(), error = %broken, "An answer broke off.");
        self.entry.end(Outcome::Failed, StatusCode::OK, broken.code());
    }

    fn usage_or_estimate(&self) -> Usage {
        // A token has about four characters.
        self.usage.unwrap_or(Usage { input: self.tokens_input, output: self.chars.div_ceil(4), cached_input: 0 })
    }
}

/// Also when nobody waited for the end: what came so far is paid for and recorded.
impl Drop for Meter {
    fn drop(&mut self) {
        let cost = self.cost();
        self.entry.usage(self.usage_or_estimate(), cost, self.usage.is_none());
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(cost);
        }
    }
}

/// Frames on their way to the client, watched by a meter.
pub(crate) struct Metered {
    frames: FrameStream,
    meter: Option<Meter>,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl Metered {
    pub(crate) fn whole(frame: Frame, meter: Meter) -> Self {
        Self { frames: stream::once(async { Ok(frame) }).boxed(), meter: Some(meter), deadline: None }
    }

    pub(crate) fn stream(frames: FrameStream, meter: Meter, deadline: Instant) -> Self {
        let sleep = tokio::time::sleep_until(deadline.into());
        Self { frames, meter: Some(meter), deadline: Some(Box::pin(sleep)) }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Broken>>> {
        match self.frames.as_mut().poll_next(cx) {
            Poll::Pending if self.is_late(cx) => Poll::Ready(Some(Err(Broken::Deadline))),
            polled => polled,
        }
    }

    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        self.deadline.as_mut().is_some_and(|sleep| sleep.as_mut().poll(cx).is_ready())
    }
}

impl Stream for Metered {
    type Item = Result<Frame, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.meter.is_none() {
            return Poll::Ready(None);
        }
        let Poll::Ready(next) = self.poll_frame(cx) else { return Poll::Pending };
        match &next {
            Some(Ok(frame)) => {
                if let Some(meter) = &mut self.meter {
                    meter.observe(frame);
                }
            }
            Some(Err(broken)) => {
                if let Some(meter) = self.meter.take() {
                    meter.broken(broken);
                }
            }
            None => {
                if let Some(meter) = self.meter.take() {
                    meter.complete();
                }
            }
        }
        Poll::Ready(next)
    }
}
