//! An accepted socket with a clock: silence, slow heads, idle connections and stalled writes end.
//!
//! hyper's own header timeout also counts the idle time between two requests, and hyper-util's version detection has
//! no timeout at all; so both clocks live here, below them, where every byte passes.

use std::io::{self, ErrorKind, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::activity::Activity;

/// How long a socket may take.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// From connecting, or from the first byte of a later request, until its head is complete.
    pub header: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// While the client takes none of what is written.
    pub write: Duration,
}

/// The socket. Reads end (as if the client had closed) when a read clock runs out; writes fail.
pub struct Socket {
    // Shared, because the connection's task looks after the client's departure and lingers on after hyper is done.
    stream: Arc<TcpStream>,
    activity: Arc<Activity>,
    patience: Patience,
    /// Requests that had started when the clock was last set.
    seen: u64,
    awaits: Awaits,
    clock: Pin<Box<Sleep>>,
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(PartialEq)]
enum Awaits {
    RestOfHead,
    NextRequest,
}

impl Socket {
    /// A socket just accepted.
    pub fn new(stream: Arc<TcpStream>, activity: Arc<Activity>, patience: Patience) -> Self {
        let clock = Box::pin(sleep(patience.header));
        Self { stream, activity, patience, seen: 0, awaits: Awaits::RestOfHead, clock, stalled: None }
    }

    /// Sets the clock for a later request's head when its first byte arrives.
    fn received(&mut self) {
        if self.activity.is_busy() {
            return;
        }
        let next = self.request_ended() || self.awaits == Awaits::NextRequest;
        // HTTP/2 sends pings and window updates between requests.
        if next && !self.activity.is_http2() {
            self.set(Awaits::RestOfHead, self.patience.header);
        }
    }

    fn request_ended(&mut self) -> bool {
        let started = self.activity.started();
        std::mem::replace(&mut self.seen, started) != started
    }

    fn set(&mut self, awaits: Awaits, patience: Duration) {
        self.awaits = awaits;
        self.clock.as_mut().reset(Instant::now() + patience);
    }

    /// Ready when nothing came for too long: the caller reports it as the end of the stream.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let busy = self.activity.is_busy();
            if !busy && self.request_ended() {
                self.set(Awaits::NextRequest, self.patience.idle);
            }
            ready!(self.clock.as_mut().poll(cx));
            if !busy {
                return Poll::Ready(Ok(()));
            }
            // Looked at again, since under HTTP/2 a request can end without another poll of the socket.
            self.clock.as_mut().reset(Instant::now() + self.patience.idle);
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.stream.poll_write_ready(cx)?.is_pending() {
                let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience.write)));
                ready!(stalled.as_mut().poll(cx));
                return Poll::Ready(Err(ErrorKind::TimedOut.into()));
            }
            match send(&self.stream) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                sent => {
                    self.stalled = None;
                    if self.awaits == Awaits::NextRequest {
                        // The last answer is still on its way, out of hyper's buffer.
                        self.set(Awaits::NextRequest, self.patience.idle);
                    }
                    return Poll::Ready(sent);
                }
            }
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.stream.poll_read_ready(cx)?.is_pending() {
                return this.poll_silence(cx);
            }
            match this.stream.try_read_buf(buf) {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                read => {
                    this.received();
                    return Poll::Ready(read.map(drop));
                }
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, |stream| stream.try_write(buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_send(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.stream).shutdown(Shutdown::Write))
    }
}
