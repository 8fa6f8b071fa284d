//! Reading a request body whole, within bounds of size and time.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::dialect::error::ApiError;

/// What must arrive within each progress timeout, unless the body ends before: a client that drips single bytes would
/// otherwise hold its place for hours.
const PROGRESS: usize = 1024;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// Longer than the limit, as declared or as it came.
    #[error("the body is larger than {limit} bytes")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// Nothing, or next to nothing, came for the progress timeout.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// The client left, or broke the transfer encoding.
    #[error("the body ended before it was complete")]
    Disconnected,
    /// Nothing here undoes compression: few bytes could become many.
    #[error("the body is compressed, which nothing here undoes; send it without `content-encoding`")]
    Compressed,
}

/// Whether a body with these headers is sent as it is.
///
/// # Errors
/// [`BodyError::Compressed`] where it is not.
pub fn expect_plain(headers: &HeaderMap) -> Result<(), BodyError> {
    let is_plain = |encoding: &HeaderValue| encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    match headers.get_all(CONTENT_ENCODING).iter().all(is_plain) {
        true => Ok(()),
        false => Err(BodyError::Compressed),
    }
}

/// Reads `body` to its end.
///
/// A declared length over `limit` is refused before a byte is read; memory grows with what arrives, not with what is
/// declared. A body in one frame is not copied.
pub async fn read_body<B>(body: B, limit: usize, progress: Duration) -> Result<Bytes, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Err(BodyError::TooLarge { limit });
    }
    let mut reader = Reader { body, limit, progress, deadline: Instant::now() + progress, since: 0 };
    let Some(first) = reader.next(0).await? else { return Ok(Bytes::new()) };
    let Some(second) = reader.next(first.len()).await? else { return Ok(first) };
    let mut whole = BytesMut::from(first);
    whole.extend_from_slice(&second);
    while let Some(more) = reader.next(whole.len()).await? {
        whole.extend_from_slice(&more);
    }
    Ok(whole.freeze())
}

struct Reader<B> {
    body: B,
    limit: usize,
    progress: Duration,
    deadline: Instant,
    /// Bytes since the deadline was last moved.
    since: usize,
}

impl<B: Body<Data = Bytes> + Unpin> Reader<B> {
    /// The next data, after `have` bytes.
    async fn next(&mut self, have: usize) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = timeout_at(self.deadline, self.body.frame()).await.map_err(|_| BodyError::TooSlow)?;
            let Some(frame) = frame else { return Ok(None) };
            // Trailers carry nothing that is used here.
            let Ok(data) = frame.map_err(|_| BodyError::Disconnected)?.into_data() else { continue };
            if data.is_empty() {
                continue;
            }
            if have + data.len() > self.limit {
                return Err(BodyError::TooLarge { limit: self.limit });
            }
            self.since += data.len();
            if self.since >= PROGRESS {
                self.since = 0;
                self.deadline = Instant::now() + self.progress;
            }
            return Ok(Some(data));
        }
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = match error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::TooSlow => StatusCode::REQUEST_TIMEOUT,
            BodyError::Disconnected => StatusCode::BAD_REQUEST,
            BodyError::Compressed => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body::{Frame, SizeHint};
    use http_body_util::{Full, StreamBody};

    use super::*;

    const SLOW: Duration = Duration::from_secs(10);

    fn frames(of: &[&'static [u8]]) -> impl Body<Data = Bytes, Error = Infallible> + Unpin {
        let frames: Vec<_> = of.iter().map(|b| Ok(Frame::data(Bytes::from_static(b)))).collect();
        StreamBody::new(futures_util::stream::iter(frames))
    }

    #[tokio::test]
    async fn joins_frames_up_to_exactly_the_limit() {
        assert_eq!(read_body(frames(&[b"ab", b"", b"cd", b"e"]), 5, SLOW).await.unwrap(), "abcde");
        assert_eq!(read_body(frames(&[]), 0, SLOW).await.unwrap(), "");
        let too_large = Err(BodyError::TooLarge { limit: 4 });
        assert_eq!(read_body(frames(&[b"ab", b"cd", b"e"]), 4, SLOW).await, too_large);
    }

    #[tokio::test]
    async fn a_body_in_one_frame_is_not_copied() {
        let bytes = Bytes::from(vec![7; 100]);
        let read = read_body(Full::new(bytes.clone()), 100, SLOW).await.unwrap();
        assert_eq!(read.as_ptr(), bytes.as_ptr());
    }

    #[tokio::test]
    async fn a_declared_length_over_the_limit_is_refused_unread() {
        struct Declared;
        impl Body for Declared {
            type Data = Bytes;
            type Error = Infallible;
            fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
                panic!("must not be read");
            }
            fn size_hint(&self) -> SizeHint {
                SizeHint::with_exact(11)
            }
        }
        assert_eq!(read_body(Declared, 10, SLOW).await, Err(BodyError::TooLarge { limit: 10 }));
    }

    #[tokio::test]
    async fn dripping_single_bytes_is_no_progress() {
        let drip = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), ()))
        });
        let read = read_body(StreamBody::new(Box::pin(drip)), 1 << 20, Duration::from_millis(100)).await;
        assert_eq!(read, Err(BodyError::TooSlow));
    }

    #[tokio::test]
    async fn a_body_may_take_longer_than_the_timeout_while_it_makes_progress() {
        let steady = futures_util::stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_millis(50)).await;
            (n < 10).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; PROGRESS]))), n + 1))
        });
        let read = read_body(StreamBody::new(Box::pin(steady)), 1 << 20, Duration::from_millis(300)).await;
        assert_eq!(read.unwrap().len(), 10 * PROGRESS);
    }
}
