//! What an attempt brought back, in the client's dialect.

use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{StreamExt, stream};

use crate::chat::{ChatRequest, Delta, Reply, Streaming};
use crate::dialect::{AnswerMeta, Dialect, StreamEncoder, embeddings};
use crate::dispatch::{Answer, Broken, DeltaStream, Failure, Frame, FrameStream};
use crate::transform::Tally;
use crate::transform::deltas::RestoringDeltas;

/// An answer as the client gets it.
pub(crate) enum Body {
    /// All at once.
    Whole(Frame),
    /// As it comes; its first frame is there already.
    Stream(FrameStream),
}

/// What an answer that is written here says about itself.
pub(crate) struct Encoding {
    /// Whose words.
    pub(crate) dialect: Dialect,
    /// Such as `chatcmpl-…`.
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The destination's name.
    pub(crate) model: String,
    /// Prompt tokens, estimated.
    pub(crate) input_tokens: u64,
    pub(crate) streaming: Streaming,
    /// What was asked.
    pub(crate) request: Arc<ChatRequest>,
}

/// A provider's bytes pass through; deltas are written out. Waits for the first words, so that a failure before them can
/// still become a status or a second attempt.
///
/// # Errors
/// What broke the answer off.
pub(crate) async fn encode(answer: Answer, encoding: Encoding) -> Result<Body, Failure> {
    match answer {
        Answer::Whole(frame) => Ok(Body::Whole(frame)),
        Answer::Stream(frames) => Ok(Body::Stream(frames)),
        Answer::Vectors(embedded) => {
            let bytes = embeddings::encode::encode(&encoding.meta(), &embedded).into();
            Ok(Body::Whole(Frame { bytes, usage: embedded.usage, ..Frame::default() }))
        }
        Answer::Deltas(deltas, restoring) => {
            let deltas = Restored { deltas, restoring, ended: false };
            match encoding.streaming {
                Streaming::Off => Ok(Body::Whole(collect(deltas, &encoding).await?)),
                Streaming::On { usage } => Ok(Body::Stream(write_out(deltas, &encoding, usage).await?)),
            }
        }
    }
}

/// Deltas with pseudonyms put back, as many at a time as belong together.
struct Restored {
    deltas: DeltaStream,
    restoring: Option<RestoringDeltas>,
    ended: bool,
}

impl Restored {
    /// The next deltas that say something, and what was put back in them; `None` after the end.
    async fn next(&mut self) -> Option<Result<(Vec<Delta>, Tally), Broken>> {
        let mut ready = Vec::new();
        while !self.ended && ready.is_empty() {
            match (self.deltas.next().await, &mut self.restoring) {
                (Some(Err(broken)), _) => return Some(Err(broken)),
                (Some(Ok(delta)), None) => ready.push(delta),
                (Some(Ok(delta)), Some(restoring)) => restoring.push(delta, &mut ready),
                (None, restoring) => {
                    self.ended = true;
                    restoring.iter_mut().for_each(|restoring| restoring.finish(&mut ready));
                }
            }
        }
        let tally = self.restoring.as_mut().map_or(Tally::default(), RestoringDeltas::take_tally);
        (!ready.is_empty()).then_some(Ok((ready, tally)))
    }
}

async fn collect(mut deltas: Restored, encoding: &Encoding) -> Result<Frame, Broken> {
    let mut reply = Reply::default();
    let mut frame = Frame::default();
    while let Some(next) = deltas.next().await {
        let (ready, tally) = next?;
        frame.tally.add(tally);
        for delta in ready {
            frame.add(&delta);
            reply.add(delta);
        }
    }
    frame.bytes = encoding.dialect.encode_reply(&encoding.meta(), &reply).into();
    Ok(frame)
}

async fn write_out(mut deltas: Restored, encoding: &Encoding, usage: bool) -> Result<FrameStream, Broken> {
    let mut encoder = StreamEncoder::new(encoding.dialect, &encoding.meta(), usage);
    let first = match deltas.next().await {
        Some(next) => frame(&mut encoder, next?),
        None => return Err(Broken::Truncated),
    };
    let writer = Some((deltas, encoder));
    let rest = stream::unfold(writer, |writer| async move {
        let (mut deltas, mut encoder) = writer?;
        match deltas.next().await {
            Some(Ok(next)) => Some((Ok(frame(&mut encoder, next)), Some((deltas, encoder)))),
            Some(Err(broken)) => Some((Err(broken), None)),
            None => {
                let mut end = BytesMut::new();
                encoder.done(&mut end);
                Some((Ok(Frame { bytes: end.freeze(), ..Frame::default() }), None))
            }
        }
    });
    Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
}

fn frame(encoder: &mut StreamEncoder, (ready, tally): (Vec<Delta>, Tally)) -> Frame {
    let mut bytes = BytesMut::new();
    let mut frame = Frame { tally, ..Frame::default() };
    for delta in &ready {
        encoder.delta(delta, &mut bytes);
        frame.add(delta);
    }
    Frame { bytes: bytes.freeze(), ..frame }
}

impl Encoding {
    fn meta(&self) -> AnswerMeta<'_> {
        AnswerMeta {
            id: &self.id,
            created: self.created,
            model: &self.model,
            input_tokens: self.input_tokens,
            request: Some(&self.request),
        }
    }
}
