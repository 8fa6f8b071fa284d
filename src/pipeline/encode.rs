//! What an attempt brought back, in the client's dialect.

use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, stream};

use crate::chat::{Choice, Delta, Reply, Streaming, Text};
use crate::dispatch::local::{EngineError, Generation};
use crate::dispatch::{Answer, Broken, Failure, Frame, FrameStream};
use crate::serve::openai::encode::{AnswerMeta, StreamEncoder, encode_reply};

/// An answer as the client gets it.
pub(crate) enum Body {
    /// All at once.
    Whole(Frame),
    /// As it comes; its first frame is there already.
    Stream(FrameStream),
}

/// What a generated answer says about itself.
pub(crate) struct Encoding {
    /// `chatcmpl-…`
    pub(crate) id: String,
    /// Seconds since 1970.
    pub(crate) created: i64,
    /// The destination's name.
    pub(crate) model: String,
    pub(crate) streaming: Streaming,
}

/// A provider's bytes pass through; what the engine generates is written out. Waits for an engine's first words, so
/// that its failure can still become a status or a second attempt.
///
/// # Errors
/// The engine's.
pub(crate) async fn encode(answer: Answer, encoding: Encoding) -> Result<Body, Failure> {
    match answer {
        Answer::Whole(frame) => Ok(Body::Whole(frame)),
        Answer::Stream(frames) => Ok(Body::Stream(frames)),
        Answer::Deltas(generation) => match encoding.streaming {
            Streaming::Off => Ok(Body::Whole(collect(generation, &encoding).await?)),
            Streaming::On { usage } => Ok(Body::Stream(write_out(generation, &encoding, usage).await?)),
        },
    }
}

async fn collect(mut generation: Generation, encoding: &Encoding) -> Result<Frame, EngineError> {
    let mut reply = Reply { choices: vec![Choice::default()], ..Reply::default() };
    while let Some(delta) = generation.next().await {
        match delta? {
            // The engine makes one choice; a request for more never reaches it.
            Delta::Text { text, .. } => reply.choices[0].text.push_str(text.expose()),
            Delta::Finish { reason, .. } => reply.choices[0].finish = reason,
            Delta::Usage(usage) => reply.usage = usage,
        }
    }
    let choice = &reply.choices[0];
    let (chars, finish) = (char_count(&choice.text), Some(choice.finish));
    let bytes = encode_reply(&encoding.meta(), &reply).into();
    Ok(Frame { bytes, chars, usage: Some(reply.usage), finish, ..Frame::default() })
}

async fn write_out(mut generation: Generation, encoding: &Encoding, usage: bool) -> Result<FrameStream, EngineError> {
    let mut writer = Writer { encoder: StreamEncoder::new(&encoding.meta(), usage), buffer: BytesMut::new() };
    let first = match generation.next().await {
        Some(delta) => writer.frame(&delta?),
        None => return Err(EngineError::Stopped),
    };
    let rest = generation.map(move |delta| match delta {
        Ok(delta) => Ok(writer.frame(&delta)),
        Err(error) => Err(Broken::Engine(error)),
    });
    Ok(stream::once(async { Ok(first) }).chain(rest).boxed())
}

struct Writer {
    encoder: StreamEncoder,
    buffer: BytesMut,
}

impl Writer {
    fn frame(&mut self, delta: &Delta) -> Frame {
        self.encoder.delta(delta, &mut self.buffer);
        let mut frame = Frame::default();
        match delta {
            Delta::Text { text, .. } => frame.chars = char_count(text),
            Delta::Finish { reason, .. } => frame.finish = Some(*reason),
            Delta::Usage(usage) => {
                frame.usage = Some(*usage);
                self.encoder.done(&mut self.buffer);
            }
        }
        Frame { bytes: self.take(), ..frame }
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

fn char_count(text: &Text) -> u64 {
    text.expose().chars().count() as u64
}
