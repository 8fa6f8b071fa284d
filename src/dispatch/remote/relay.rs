//! A provider's bytes on their way to a client that reads just these, watched for what they say.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use crate::chat::Delta;
use crate::config::Timeouts;
use crate::dialect::openai::read::{self, observe, observe_reply};
use crate::dialect::sse::SseFramer;
use crate::dialect::{Dialect, Progress, ReadError, StreamReader, Wire, embeddings, moderations};
use crate::dispatch::answer::{Answer, Broken, Frame};
use crate::dispatch::failure::Failure;
use crate::egress::{Incoming, SendError};
use crate::transform::Tally;
use crate::transform::answer::Restoring;

/// Most bytes of a stream that are passed on at once.
const MAX_GATHERED: usize = 64 << 10;

/// A whole reply; `None` where it is none of the dialect's.
pub(super) fn whole(wire: Wire, dialect: Dialect, body: Bytes, restoring: Option<Restoring>) -> Option<Answer> {
    let mut frame = Frame::default();
    if dialect == Dialect::Embeddings {
        frame.usage = embeddings::answer::observe(&body)?;
    } else if dialect == Dialect::Moderations {
        moderations::answer::is_one(&body).then_some(())?;
    } else if wire == Wire::Chat {
        let observed = observe_reply(&body)?;
        frame.chars = observed.output_chars;
        frame.usage = observed.usage;
        frame.finish = observed.finish;
    } else {
        wire.read_reply(&body)?.iter().for_each(|delta| frame.add(delta));
    }
    (frame.bytes, frame.tally) = restored(body, restoring);
    Some(Answer::Whole(frame))
}

/// A whole body with pseudonyms put back.
pub(super) fn restored(body: Bytes, restoring: Option<Restoring>) -> (Bytes, Tally) {
    restoring.map_or((body.clone(), Tally::default()), |restoring| restoring.whole(body))
}

/// How long a stream may pause, and how long it may only say that it is alive.
pub(super) struct Patience {
    timeouts: Timeouts,
    progress: Instant,
}

impl Patience {
    pub(super) fn new(timeouts: Timeouts) -> Self {
        Self { timeouts, progress: Instant::now() }
    }

    /// Something was said.
    pub(super) fn progress(&mut self) {
        self.progress = Instant::now();
    }

    /// How long to wait for the next bytes.
    ///
    /// # Errors
    /// Where only pings came for too long.
    pub(super) fn left(&self) -> Result<Duration, Broken> {
        let left = self.timeouts.progress.saturating_sub(self.progress.elapsed());
        if left.is_zero() { Err(self.stalled()) } else { Ok(left.min(self.timeouts.idle)) }
    }

    /// Why the wait ended, where `error` says that it was too long.
    pub(super) fn out(&self, error: SendError) -> Broken {
        match error {
            SendError::Idle(waited) if waited < self.timeouts.idle => self.stalled(),
            error => Broken::Transport(error),
        }
    }

    fn stalled(&self) -> Broken {
        Broken::Stalled(self.timeouts.progress)
    }
}

/// What looks at the events that pass.
pub(super) enum Watch {
    /// Chat completions: their text is counted and not kept, and pseudonyms in them are put back.
    Chat { asked_usage: bool, restoring: Option<Box<Restoring>> },
    /// Any other dialect, by what its reader says.
    Other { reader: Box<StreamReader>, deltas: Vec<Delta> },
}

/// What an event is.
enum Event {
    /// It says something; its bytes are in the frame.
    Says(Frame),
    /// The dialect's own end.
    End(Frame),
    /// Nothing that promises an answer.
    Nothing(Frame),
}

impl Watch {
    pub(super) fn chat(asked_usage: bool, restoring: Option<Restoring>) -> Self {
        Self::Chat { asked_usage, restoring: restoring.map(Box::new) }
    }

    pub(super) fn other(reader: StreamReader) -> Self {
        Self::Other { reader: Box::new(reader), deltas: Vec::new() }
    }

    fn look(&mut self, bytes: Bytes) -> Result<Event, Broken> {
        match self {
            Self::Chat { asked_usage, restoring } => look_at_chunk(bytes, *asked_usage, restoring.as_deref_mut()),
            Self::Other { reader, deltas } => {
                deltas.clear();
                let progress = match reader.event(&bytes, deltas) {
                    Err(ReadError::Provider) => return Err(Broken::Provider),
                    // The client may know better.
                    Err(ReadError::Unreadable) => Progress::Open,
                    Ok(progress) => progress,
                };
                let mut frame = Frame { bytes, ..Frame::default() };
                deltas.iter().for_each(|delta| frame.add(delta));
                Ok(match progress {
                    Progress::Ended => Event::End(frame),
                    Progress::Open if deltas.is_empty() => Event::Nothing(frame),
                    Progress::Open => Event::Says(frame),
                })
            }
        }
    }

    /// Whether the stream may end without its marker; `finished` is whether a reason to finish has come.
    fn may_end(&self, finished: bool) -> bool {
        match self {
            Self::Chat { .. } => finished,
            Self::Other { reader, .. } => reader.may_end(),
        }
    }

    /// Whether what promises no answer must still reach the client, once the answer begins.
    fn keeps_early(&self) -> bool {
        matches!(self, Self::Other { .. })
    }

    /// What was held back of the answer until its end.
    fn held(&mut self) -> Option<Frame> {
        let Self::Chat { restoring: Some(restoring), .. } = self else { return None };
        let bytes = restoring.done();
        let frame = Frame { bytes, tally: restoring.take_tally(), ..Frame::default() };
        (frame != Frame::default()).then_some(frame)
    }
}

fn look_at_chunk(bytes: Bytes, asked_usage: bool, restoring: Option<&mut Restoring>) -> Result<Event, Broken> {
    Ok(match observe(&bytes) {
        read::Frame::Chunk(chunk) => {
            let (bytes, tally) = match restoring {
                _ if chunk.is_unasked_usage(asked_usage) => (Bytes::new(), Tally::default()),
                Some(restoring) => (restoring.event(bytes), restoring.take_tally()),
                None => (bytes, Tally::default()),
            };
            Event::Says(Frame { bytes, chars: chunk.chars, usage: chunk.usage, finish: chunk.finish, tally })
        }
        read::Frame::Done => Event::End(Frame { bytes, ..Frame::default() }),
        read::Frame::Error { .. } => return Err(Broken::Provider),
        read::Frame::Comment | read::Frame::Other => Event::Nothing(Frame { bytes, ..Frame::default() }),
    })
}

/// A provider's stream, cut into frames.
pub(super) struct Relay {
    incoming: Incoming,
    framer: SseFramer,
    watch: Watch,
    patience: Patience,
    ready: VecDeque<Result<Frame, Broken>>,
    /// What came before the answer began.
    early: Gathered,
    /// Whether something was said; keep-alives before it promise nothing.
    begun: bool,
    /// Whether a reason to finish, or the protocol's own end, has come.
    finished: bool,
    ended: bool,
}

impl Relay {
    pub(super) fn new(incoming: Incoming, watch: Watch, timeouts: Timeouts) -> Self {
        Self {
            incoming,
            framer: SseFramer::new(),
            watch,
            patience: Patience::new(timeouts),
            ready: VecDeque::new(),
            early: Gathered::default(),
            begun: false,
            finished: false,
            ended: false,
        }
    }

    /// Waits for the answer's first word: nothing is promised to the client before the provider has said something that
    /// is no error.
    ///
    /// # Errors
    /// What came instead.
    pub(super) async fn begin(mut self) -> Result<Answer, Failure> {
        let first = match self.next().await {
            Some(first) => first?,
            None => return Err(Failure::Unreadable),
        };
        let rest = stream::unfold(self, |mut relay| async move { Some((relay.next().await?, relay)) });
        Ok(Answer::Stream(stream::once(async { Ok(first) }).chain(rest).boxed()))
    }

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
            if let Err(broken) = self.read().await {
                self.ended = true;
                return Some(Err(broken));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Broken> {
        match self.incoming.chunk(self.patience.left()?).await {
            Ok(Some(chunk)) if !self.begun => self.gather(&chunk).await,
            Ok(Some(chunk)) => {
                self.framer.push(&chunk);
                self.cut();
            }
            Ok(None) => {
                self.ended = true;
                // Some servers leave the marker out; but without a finish reason it is no end.
                if !self.watch.may_end(self.finished) {
                    return Err(Broken::Truncated);
                }
                let held = self.watch.held();
                self.ready.extend(held.map(Ok));
            }
            Err(error) => return Err(self.patience.out(error)),
        }
        Ok(())
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
        if !self.ended {
            self.ready.extend(failed);
        }
    }

    fn cut(&mut self) {
        let mut gathered = std::mem::take(&mut self.early);
        let mut broken = None;
        while let (None, false, Some(cut)) = (&broken, self.ended, self.framer.next()) {
            broken = match cut {
                Ok(bytes) => self.look(bytes, &mut gathered).err(),
                Err(_) => Some(Broken::TooLarge),
            };
        }
        match self.begun || broken.is_some() {
            true => self.ready.extend(gathered.frame().filter(|_| self.begun).map(Ok)),
            false => self.early = gathered,
        }
        self.ready.extend(broken.map(Err));
    }

    fn look(&mut self, bytes: Bytes, gathered: &mut Gathered) -> Result<(), Broken> {
        match self.watch.look(bytes)? {
            Event::Says(frame) => {
                self.begun = true;
                self.finished |= frame.finish.is_some();
                self.patience.progress();
                gathered.add(frame);
            }
            Event::End(frame) => {
                self.begun = true;
                self.finished = true;
                self.ended = true;
                self.watch.held().into_iter().for_each(|held| gathered.add(held));
                gathered.add(frame);
            }
            Event::Nothing(frame) if self.begun || self.watch.keeps_early() => gathered.add(frame),
            Event::Nothing(_) => {}
        }
        Ok(())
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
