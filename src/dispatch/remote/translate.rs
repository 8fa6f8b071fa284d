//! Answers of providers whose bytes are not what the client reads, as deltas.

use std::collections::VecDeque;

use futures_util::{StreamExt, stream};

use super::relay::Patience;
use crate::chat::Delta;
use crate::config::Timeouts;
use crate::dialect::sse::{SseFramer, Tail};
use crate::dialect::{Progress, ReadError, StreamReader};
use crate::dispatch::answer::{Answer, Broken};
use crate::dispatch::failure::Failure;
use crate::egress::Incoming;
use crate::transform::deltas::RestoringDeltas;

/// A whole answer, told in deltas.
pub(super) fn whole(deltas: Vec<Delta>, restoring: Option<RestoringDeltas>) -> Answer {
    Answer::Deltas(stream::iter(deltas.into_iter().map(Ok)).boxed(), restoring)
}

/// A stream, as it comes; waits for the answer's first word.
///
/// # Errors
/// What came instead.
pub(super) async fn stream(
    incoming: Incoming,
    reader: StreamReader,
    timeouts: Timeouts,
    restoring: Option<RestoringDeltas>,
) -> Result<Answer, Failure> {
    let (patience, framer) = (Patience::new(timeouts), SseFramer::new());
    let mut reading = Reading { incoming, framer, reader, patience, ready: VecDeque::new(), ended: false };
    let first = match reading.next().await {
        Some(first) => first?,
        None => return Err(Failure::Unreadable),
    };
    let rest = stream::unfold(reading, |mut reading| async move { Some((reading.next().await?, reading)) });
    Ok(Answer::Deltas(stream::once(async { Ok(first) }).chain(rest).boxed(), restoring))
}

struct Reading {
    incoming: Incoming,
    framer: SseFramer,
    reader: StreamReader,
    patience: Patience,
    ready: VecDeque<Delta>,
    ended: bool,
}

impl Reading {
    async fn next(&mut self) -> Option<Result<Delta, Broken>> {
        loop {
            if let Some(delta) = self.ready.pop_front() {
                return Some(Ok(delta));
            }
            if self.ended {
                return None;
            }
            if let Err(broken) = self.read().await {
                self.ended = true;
                return Some(Err(broken));
            }
        }
    }

    /// Reads what arrives next.
    async fn read(&mut self) -> Result<(), Broken> {
        match self.incoming.chunk(self.patience.left()?).await {
            Ok(Some(chunk)) => {
                self.framer.push(&chunk);
                let mut deltas = Vec::new();
                while let (false, Some(frame)) = (self.ended, self.framer.next()) {
                    let frame = frame.map_err(|_| Broken::TooLarge)?;
                    self.event(&frame, &mut deltas)?;
                }
                self.take(deltas);
                Ok(())
            }
            Ok(None) => self.closed(),
            Err(error) => Err(self.patience.out(error)),
        }
    }

    /// The connection has ended: the answer only if all of it has come.
    fn closed(&mut self) -> Result<(), Broken> {
        if let Tail::Frame(frame) = std::mem::take(&mut self.framer).finish() {
            let mut deltas = Vec::new();
            self.event(&frame, &mut deltas)?;
            self.take(deltas);
        }
        match self.ended || self.reader.may_end() {
            true => self.ended = true,
            false => return Err(Broken::Truncated),
        }
        Ok(())
    }

    fn event(&mut self, frame: &[u8], deltas: &mut Vec<Delta>) -> Result<(), Broken> {
        match self.reader.event(frame, deltas) {
            Ok(progress) => self.ended |= progress == Progress::Ended,
            Err(ReadError::Provider) => return Err(Broken::Provider),
            // What cannot be read may have been content.
            Err(ReadError::Unreadable) => return Err(Broken::Unreadable),
        }
        Ok(())
    }

    fn take(&mut self, deltas: Vec<Delta>) {
        if !deltas.is_empty() {
            self.patience.progress();
        }
        self.ready.extend(deltas);
    }
}
