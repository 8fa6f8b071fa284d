//! Sockets that keep every byte they receive, below HTTP: what a leak would have to pass.

use std::{
    fs::File,
    io::{self, IoSlice, Write},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::watch,
};

use super::script::Break;

/// What has happened so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Connections accepted.
    pub connections: u64,
    /// Connections not yet closed.
    pub open_connections: u64,
    /// Requests read whole.
    pub requests: u64,
    /// Answers under way.
    pub in_flight: u64,
    /// Answers dropped because the client left.
    pub cancelled: u64,
}

/// The counts, and a signal at every change.
#[derive(Debug, Default)]
pub struct Counters(watch::Sender<Counts>);

impl Counters {
    pub fn change(&self, change: impl FnOnce(&mut Counts)) {
        self.0.send_modify(change);
    }

    pub fn now(&self) -> Counts {
        *self.0.borrow()
    }

    pub fn subscribe(&self) -> watch::Receiver<Counts> {
        self.0.subscribe()
    }
}

/// What outlives a connection: the bytes it received.
#[derive(Debug, Default)]
pub struct Socket {
    keep: bool,
    tape: Mutex<Tape>,
    reset: AtomicBool,
}

#[derive(Debug, Default)]
struct Tape {
    bytes: Vec<u8>,
    /// Where the next request starts.
    mark: usize,
}

impl Socket {
    pub fn new(keep: bool) -> Self {
        Self { keep, ..Self::default() }
    }

    /// Every byte received so far.
    pub fn bytes(&self) -> Vec<u8> {
        lock(&self.tape).bytes.clone()
    }

    /// The bytes since the last call: one request, of a client that does not pipeline.
    pub fn take_request(&self) -> Vec<u8> {
        let mut tape = lock(&self.tape);
        let request = tape.bytes[tape.mark..].to_vec();
        tape.mark = tape.bytes.len();
        request
    }

    /// Chooses how the connection ends when it is dropped next.
    pub fn break_off(&self, how: Break) {
        self.reset.store(how == Break::Reset, Ordering::Relaxed);
    }
}

/// A connection that records.
pub struct Recording {
    tcp: TcpStream,
    socket: Arc<Socket>,
    counters: Arc<Counters>,
    copy: Option<Arc<File>>,
}

impl Recording {
    pub fn new(tcp: TcpStream, socket: Arc<Socket>, counters: Arc<Counters>, copy: Option<Arc<File>>) -> Self {
        counters.change(|counts| {
            counts.connections += 1;
            counts.open_connections += 1;
        });
        Self { tcp, socket, counters, copy }
    }

    /// Reads nothing until the peer has closed, then keeps what it had sent.
    pub async fn ignore(self) -> io::Result<()> {
        let mut clock = tokio::time::interval(std::time::Duration::from_millis(5));
        while !self.tcp.ready(tokio::io::Interest::READABLE).await?.is_read_closed() {
            clock.tick().await;
        }
        let mut buffer = [0; 4096];
        while let length @ 1.. = self.tcp.try_read(&mut buffer)? {
            self.keep(&buffer[..length])?;
        }
        Ok(())
    }

    fn keep(&self, bytes: &[u8]) -> io::Result<()> {
        if self.socket.keep {
            lock(&self.socket.tape).bytes.extend_from_slice(bytes);
        }
        self.copy.as_deref().map_or(Ok(()), |mut file| file.write_all(bytes))
    }
}

impl AsyncRead for Recording {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let outcome = Pin::new(&mut self.tcp).poll_read(cx, buffer);
        if outcome.is_ready() {
            self.keep(&buffer.filled()[before..])?;
        }
        outcome
    }
}

impl AsyncWrite for Recording {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if self.socket.reset.load(Ordering::Relaxed) {
            // A failure here leaves an orderly close, which the test that asked for a reset will notice.
            let _ = self.tcp.set_zero_linger();
        }
        self.counters.change(|counts| counts.open_connections -= 1);
    }
}

/// A panic elsewhere leaves the simulator's plain data usable.
pub fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
