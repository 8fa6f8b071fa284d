//! Watches an answer on its way to the client: what was used, what it cost, how it ended.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use futures_util::Stream;
use http::StatusCode;
use tokio::time::Sleep;

use super::entry::Entry;
use crate::chat::{MicroUsd, Usage};
use crate::dispatch::{Broken, Frame, FrameStream};
use crate::govern::{Price, Reservation};
use crate::record::Outcome;
use crate::transform::Tally;

/// Settles the reservation and completes the record when the answer ends, in whatever way.
pub(crate) struct Meter {
    entry: Entry,
    price: Price,
    reservation: Option<Reservation>,
    /// Prompt tokens, estimated: for answers whose usage is not reported.
    tokens_input: u64,
    chars: u64,
    usage: Option<Usage>,
    tally: Tally,
}

impl Meter {
    pub(crate) fn new(entry: Entry, price: Price, reservation: Reservation, tokens_input: u64) -> Self {
        Self {
            entry,
            price,
            reservation: Some(reservation),
            tokens_input,
            chars: 0,
            usage: None,
            tally: Tally::default(),
        }
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
        self.tally.add(frame.tally);
        self.entry.keep_answer(&frame.bytes);
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
        self.usage.unwrap_or(Usage { input: self.tokens_input, output: self.chars.div_ceil(4), ..Usage::default() })
    }
}

/// Also when nobody waited for the end: what came so far is paid for and recorded.
impl Drop for Meter {
    fn drop(&mut self) {
        let cost = self.cost();
        self.entry.usage(self.usage_or_estimate(), cost, self.usage.is_none());
        self.entry.restored(self.tally);
        if let Some(reservation) = self.reservation.take() {
            reservation.settle(cost);
        }
    }
}

/// Frames on their way to the client, watched by a meter.
pub(crate) struct Metered {
    frames: FrameStream,
    meter: Option<Meter>,
    deadline: Pin<Box<Sleep>>,
}

impl Metered {
    pub(crate) fn new(frames: FrameStream, meter: Meter, deadline: Instant) -> Self {
        let deadline = Box::pin(tokio::time::sleep_until(deadline.into()));
        Self { frames, meter: Some(meter), deadline }
    }

    /// Ends the answer here.
    pub(crate) fn break_off(mut self, broken: &Broken) {
        if let Some(meter) = self.meter.take() {
            meter.broken(broken);
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Broken>>> {
        match self.frames.as_mut().poll_next(cx) {
            Poll::Pending if self.deadline.as_mut().poll(cx).is_ready() => Poll::Ready(Some(Err(Broken::Deadline))),
            polled => polled,
        }
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
