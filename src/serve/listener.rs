//! The accept loop: timeouts, limits, graceful drain.
//!
//! `axum::serve` sets no timer, no limit on connections and no `TCP_NODELAY`; this loop does, and it ends a request's
//! future as soon as its client is gone.

use std::convert::Infallible;
use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response, Version};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, SockRef, Socket as RawSocket, Type};
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::activity::{Activity, InFlight};
use super::socket::{Patience, Socket};

/// Connections the kernel holds for us while we accept others.
const BACKLOG: i32 = 1024;
/// Size of a request's head (it must fit into hyper's buffer), and how many fields it may have; beyond either the answer
/// is 431.
const MAX_HEAD: usize = 64 * 1024;
const MAX_FIELDS: usize = 100;
/// Requests at once on one HTTP/2 connection.
const MAX_STREAMS: u32 = 128;
/// Pause after an error of `accept` that the next call would meet again, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a busy connection is checked for a client that is gone in a way that hyper does not see.
const CHECK: Duration = Duration::from_secs(1);
/// How long an unread request body is still drained after the answer, so that a reset does not destroy the answer.
const LINGER: Duration = Duration::from_secs(2);

/// The bounds of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes.
    pub body: usize,
    /// From connecting (or a later request's first byte) until the request's head is complete.
    pub header_timeout: Duration,
    /// How long a request body may make no progress.
    pub body_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// How long a client may take nothing of its answer.
    pub write_stall: Duration,
    /// How long requests in flight may still take after shutdown began.
    pub drain: Duration,
    /// Most connections at a time; further ones wait in the kernel's backlog.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 32 * 1024 * 1024,
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            write_stall: Duration::from_secs(60),
            drain: Duration::from_secs(25),
            connections: 4096,
        }
    }
}

/// The client's address, as an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer(pub SocketAddr);

/// Binds `addr`; a port that a just ended process left behind is taken over.
pub fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = RawSocket::new(Domain::for_address(addr), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Serves `router` on `listener` (HTTP/1.1, and HTTP/2 with prior knowledge) until `shutdown`.
///
/// Then no connection is accepted any more, requests in flight have `limits.drain` to finish, and what is left is
/// dropped, handlers included. Returns when the last connection is gone.
pub async fn serve(listener: TcpListener, router: Router, limits: Limits, shutdown: CancellationToken) {
    let server = Arc::new(Server { router, limits, http: http(), shutdown, abort: CancellationToken::new() });
    let connections = TaskTracker::new();
    server.accept_until_shutdown(listener, &connections).await;
    connections.close();
    if timeout(limits.drain, connections.wait()).await.is_err() {
        warn!(connections = connections.len(), "The drain time is over, dropping requests in flight.");
        server.abort.cancel();
        connections.wait().await;
    }
}

fn http() -> auto::Builder<TokioExecutor> {
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        // `Socket` has the clock: hyper's would also count the idle time between requests.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD)
        .max_headers(MAX_FIELDS);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(MAX_HEAD as u32)
        .max_concurrent_streams(MAX_STREAMS)
        // A peer that vanished without a packet is found by pings.
        .keep_alive_interval(Some(Duration::from_secs(20)))
        .keep_alive_timeout(Duration::from_secs(20));
    http
}

struct Server {
    router: Router,
    limits: Limits,
    http: auto::Builder<TokioExecutor>,
    shutdown: CancellationToken,
    abort: CancellationToken,
}

impl Server {
    /// Takes the listener, so that it is closed, and new connections are refused, on return.
    async fn accept_until_shutdown(self: &Arc<Self>, listener: TcpListener, connections: &TaskTracker) {
        let slots = Arc::new(Semaphore::new(self.limits.connections));
        loop {
            let (slot, stream, peer) = tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return,
                Some(accepted) = accept(&listener, &slots) => accepted,
            };
            let server = self.clone();
            connections.spawn(async move {
                server.connection(stream, peer).await;
                drop(slot);
            });
        }
    }

    async fn connection(&self, stream: TcpStream, peer: SocketAddr) {
        prepare(&stream);
        let stream = Arc::new(stream);
        let activity = Arc::new(Activity::new());
        let refused = tokio::select! {
            refused = self.requests(&stream, &activity, peer) => refused,
            () = given_up(&stream, &activity, self.limits.write_stall) => return,
            () = self.abort.cancelled() => return,
        };
        if refused || activity.has_unread_body() {
            linger(&stream).await;
        }
    }

    /// Answers the connection's requests. Whether hyper itself refused one, with more of it perhaps on its way.
    async fn requests(&self, stream: &Arc<TcpStream>, activity: &Arc<Activity>, peer: SocketAddr) -> bool {
        let socket = Socket::new(stream.clone(), activity.clone(), self.patience());
        let service = service_fn(|request| self.call(request, activity, peer));
        let mut connection = pin!(self.http.serve_connection(TokioIo::new(socket), service));
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        ended.is_err_and(|e| was_refused(&*e))
    }

    fn patience(&self) -> Patience {
        let Limits { header_timeout, idle_timeout, write_stall, .. } = self.limits;
        Patience { header: header_timeout, idle: idle_timeout, write: write_stall }
    }

    fn call(
        &self,
        request: Request<Incoming>,
        activity: &Arc<Activity>,
        peer: SocketAddr,
    ) -> impl Future<Output = Result<Response<Counted>, Infallible>> + use<> {
        let in_flight = activity.enter(request.version() == Version::HTTP_2);
        let activity = activity.clone();
        let mut request = request.map(|body| Body::new(Watched { body, activity, ended: false }));
        request.extensions_mut().insert(Peer(peer));
        let answer = self.router.clone().oneshot(request);
        async move { Ok(answer.await?.map(|body| Counted { body, in_flight })) }
    }
}

/// The next connection, when there is a slot for it; `None` after an error.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> Option<(OwnedSemaphorePermit, TcpStream, SocketAddr)> {
    let slot = slots.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((slot, stream, peer)),
        Err(e) => {
            if is_about_the_listener(&e) {
                warn!(error = %e, "Cannot accept connections.");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            None
        }
    }
}

/// Whether the next `accept` would fail as well; other errors belong to the one connection that was lost.
fn is_about_the_listener(error: &io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionRefused
            | ErrorKind::Interrupted
    )
}

/// Without `TCP_NODELAY` the kernel holds back a stream's small frames, up to 40 ms each.
fn prepare(stream: &TcpStream) {
    if let Err(e) = stream.set_nodelay(true) {
        debug!(error = %e, "Cannot set `TCP_NODELAY`.");
    }
}

/// Resolves when the client has closed while a request is in flight, or takes nothing of an answer for `stall`.
///
/// hyper sees a closed connection itself, at once, unless bytes of a next request are already in its buffer: then it
/// stops reading. And under HTTP/2 a client can stall one stream, by flow control, while the socket stays writable.
async fn given_up(stream: &TcpStream, activity: &Activity, stall: Duration) {
    loop {
        activity.busy().await;
        tokio::time::sleep(CHECK).await;
        let closed = matches!(stream.ready(Interest::READABLE).now_or_never(), Some(Ok(r)) if r.is_read_closed());
        if closed && activity.is_busy() || activity.is_stalled(stall) {
            return;
        }
    }
}

fn was_refused(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<hyper::Error>().is_some_and(|e| e.is_parse() || e.is_parse_too_large())
}

/// Discards what the client still sends: closing a socket with unread bytes resets it, and the client loses the answer.
async fn linger(stream: &TcpStream) {
    // Fails only where the client has closed, and then the reads end at once.
    let _ = SockRef::from(stream).shutdown(Shutdown::Write);
    let mut sink = vec![0; 16 * 1024];
    let drained = async {
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut sink) {
                Ok(1..) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Ok(0) | Err(_) => return,
            }
        }
    };
    let _ = timeout(LINGER, drained).await;
}

/// A request body that notes whether it was read to its end.
struct Watched {
    body: Incoming,
    activity: Arc<Activity>,
    ended: bool,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.ended |= matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if !self.ended && !http_body::Body::is_end_stream(&self.body) {
            self.activity.left_body_unread();
        }
    }
}

/// A response body whose request is in flight until it is dropped. hyper polls it again when the client has room.
struct Counted {
    body: Body,
    in_flight: InFlight,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match polled {
            Poll::Ready(Some(_)) => self.in_flight.offered(),
            Poll::Ready(None) | Poll::Pending => self.in_flight.taken(),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
