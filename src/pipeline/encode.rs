//! What an attempt brought back, in the client's dialect.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use crate::chat::{Delta, Reply, Streaming};
use crate::dialect::{AnswerMeta, Dialect, StreamEncoder};
use crate::dispatch::{Answer, Broken, DeltaStream, Failure, Frame, FrameStream};

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
    pub(crate) streaming: Streaming,
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
        Answer::Deltas(deltas) => match encoding.streaming {
            Streaming::Off => Ok(Body::Whole(collect(deltas, &encoding).await?)),
            Streaming::On { usage } => Ok(Body::Stream(write_out(deltas, &encoding, usage).await?)),
        },
    }
}

async fn collect(mut deltas: DeltaStream, encoding: &Encoding) -> Result<Frame, Broken> {
    let mut reply = Reply::default();
    let mut frame = Frame::default();
    while let Some(delta) = deltas.next().await {
        let delta = delta?;
        frame.add(&delta);
        reply.add(delta);
    }
    frame.bytes = encoding.dialect.encode_reply(&encoding.meta(), &reply).into();
    Ok(frame)
}

async fn write_out(mut deltas: DeltaStream, encoding: &Encoding, usage: bool) -> Result<FrameStream, Broken> {
    let encoder = StreamEncoder::new(encoding.dialect, &encoding.meta(), usage);
    let mut writer = Writer { encoder, buffer: BytesMut::new() };
    let first = match deltas.next().await {
        Some(delta) => writer.frame(&delta?),
        None => return Err(Broken::Truncated),
    };
    let rest = deltas.map(move |delta| delta.map(|delta| writer.frame(&delta)));
    Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
}

struct Writer {
    encoder: StreamEncoder,
    buffer: BytesMut,
}

impl Writer {
    fn frame(&mut self, delta: &Delta) -> Frame {
        self.encoder.delta(delta, &mut self.buffer);
        if matches!(delta, Delta::Usage(_)) {
            self.encoder.done(&mut self.buffer);
        }
        let mut frame = Frame { bytes: self.take(), ..Frame::default() };
        frame.add(delta);
        frame
    }

    fn take(&mut self) -> Bytes {
        self.buffer.split().freeze()
    }
}

impl Encoding {
    fn meta(&self) -> AnswerMeta<'_> {
        AnswerMeta { id: &self.id, created: self.created, model: &self.model }
    }
}
