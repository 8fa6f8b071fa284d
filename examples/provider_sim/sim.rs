//! Simulated providers, OpenAI and Anthropic: the real wire formats over real sockets, with scripted answers, pauses and faults, keeping every
//! byte it receives.
//!
//! It runs on a thread of its own, so tests may block, pause their clock, or have no runtime at all. A test uses it with
//! `#[path = "../examples/provider_sim/sim.rs"] mod sim;`.
#![allow(dead_code, unreachable_pub, reason = "each test that includes this file uses a part of it")]

#[path = "anthropic.rs"]
mod anthropic;
#[path = "body.rs"]
mod body;
#[path = "completions.rs"]
mod completions;
#[path = "embeddings.rs"]
mod embeddings;
#[path = "gemini.rs"]
mod gemini;
#[path = "moderations.rs"]
mod moderations;
#[path = "quirks.rs"]
mod quirks;
#[path = "responses.rs"]
mod responses;
#[path = "script.rs"]
mod script;
#[path = "shapes.rs"]
mod shapes;
#[path = "speech.rs"]
mod speech;
#[path = "tape.rs"]
mod tape;
#[path = "wire.rs"]
mod wire;

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, SystemTime},
};

use arc_swap::ArcSwap;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
};

use self::{
    body::{Body, InFlight, Reply},
    speech::Speech,
    tape::{Counters, Recording, Socket, lock},
    wire::{ApiError, Call, Envelope},
};
#[allow(unused_imports, reason = "each test that includes this file uses a part of it")]
pub use self::{
    quirks::Quirk,
    script::{Answer, Break, Fault, Latency, On, Planned, Recorded, Script},
    tape::Counts,
};

/// A running simulator; it stops when dropped.
pub struct Sim {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The HTTP method.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// The headers, parsed.
    pub headers: HeaderMap,
    /// The body, without transfer encoding.
    pub body: Bytes,
    /// The bytes of head and body as they came over the socket.
    pub raw: Vec<u8>,
}

/// The longest a test waits for something to happen.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest request body read.
const LARGEST_BODY: usize = 64 << 20;

impl Sim {
    /// Starts a simulator on a free loopback port.
    ///
    /// # Panics
    /// No port can be bound.
    pub fn start(script: Script) -> Self {
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::listen(any_port, script, None).expect("a free loopback port can be bound")
    }

    /// Starts a simulator on `addr` that copies received bytes to `copy`, as they come.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn listen(addr: SocketAddr, script: Script, copy: Option<File>) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let shared = Arc::new(Shared::new(script, copy));
        let (stop, stopped) = oneshot::channel();
        let serve = serve(listener, Arc::clone(&shared));
        let thread = thread::Builder::new().name("provider-sim".to_owned()).spawn(move || {
            runtime.block_on(async {
                tokio::select! { _ = stopped => {}, () = serve => {} }
            });
        })?;
        Ok(Self { addr, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// The base URL an OpenAI client takes.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.addr)
    }

    /// Replaces the script from the next request on, and counts the requests that faults befall from 0 again.
    pub fn set_script(&self, script: Script) {
        self.shared.play(script);
    }

    /// The requests read so far, in the order their bodies ended.
    pub fn requests(&self) -> Vec<Received> {
        lock(&self.shared.requests).clone()
    }

    /// Every byte received on any connection, connection by connection.
    pub fn raw_bytes(&self) -> Vec<u8> {
        lock(&self.shared.sockets).iter().flat_map(|socket| socket.bytes()).collect()
    }

    /// Whether `needle` occurs among the received bytes of any one connection.
    pub fn saw(&self, needle: &str) -> bool {
        let finder = |socket: &Arc<Socket>| {
            socket.bytes().windows(needle.len().max(1)).any(|window| window == needle.as_bytes())
        };
        lock(&self.shared.sockets).iter().any(finder)
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.counts().connections
    }

    /// Connections not yet closed; a client's idle pool counts.
    pub fn open_connections(&self) -> u64 {
        self.counts().open_connections
    }

    /// Answers that were dropped because the client left.
    pub fn cancelled(&self) -> u64 {
        self.counts().cancelled
    }

    /// All counts.
    pub fn counts(&self) -> Counts {
        self.shared.counters.now()
    }

    /// Waits until `holds`; whether it did within five seconds.
    pub async fn until(&self, holds: impl Fn(Counts) -> bool) -> bool {
        let mut counts = self.shared.counters.subscribe();
        let reached = counts.wait_for(|counts| holds(*counts));
        tokio::time::timeout(PATIENCE, reached).await.is_ok_and(|reached| reached.is_ok())
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        join(self.thread.take());
    }

    /// Closes the port and every connection, and returns when they are closed.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens any more where the thread has ended already.
            let _ = stop.send(());
        }
        join(self.thread.take());
    }
}

fn join(thread: Option<thread::JoinHandle<()>>) {
    if let Some(Err(panic)) = thread.map(thread::JoinHandle::join)
        && !thread::panicking()
    {
        std::panic::resume_unwind(panic);
    }
}

struct Shared {
    playing: ArcSwap<Playing>,
    counters: Arc<Counters>,
    serial: AtomicU64,
    requests: Mutex<Vec<Received>>,
    sockets: Mutex<Vec<Arc<Socket>>>,
    copy: Option<Arc<File>>,
}

/// A script, and how far it has come.
struct Playing {
    script: Script,
    requests: AtomicU64,
    connections: AtomicU64,
}

impl Shared {
    fn new(script: Script, copy: Option<File>) -> Self {
        Self {
            playing: ArcSwap::from_pointee(Playing::new(script)),
            counters: Arc::default(),
            serial: AtomicU64::new(0),
            requests: Mutex::default(),
            sockets: Mutex::default(),
            copy: copy.map(Arc::new),
        }
    }

    fn play(&self, script: Script) {
        self.playing.store(Arc::new(Playing::new(script)));
    }
}

impl Playing {
    fn new(script: Script) -> Self {
        Self { script, requests: AtomicU64::new(0), connections: AtomicU64::new(0) }
    }
}

async fn serve(listener: std::net::TcpListener, shared: Arc<Shared>) {
    let listener = TcpListener::from_std(listener).expect("the listener is non-blocking and a runtime runs");
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => drop(tokio::spawn(connection(tcp, Arc::clone(&shared)))),
            // Out of file descriptors: connections that end give some back.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(tcp: TcpStream, shared: Arc<Shared>) {
    let playing = shared.playing.load_full();
    let index = playing.connections.fetch_add(1, Ordering::Relaxed);
    let socket = Arc::new(Socket::new(playing.script.keep));
    if playing.script.keep {
        lock(&shared.sockets).push(Arc::clone(&socket));
    }
    // Without it the kernel would hold back the second of two small events for 40 ms.
    let _ = tcp.set_nodelay(true);
    let io = Recording::new(tcp, Arc::clone(&socket), Arc::clone(&shared.counters), shared.copy.clone());
    // How a connection ends is the client's doing or the script's, and is seen in the counts.
    if playing.script.faults_of(index).any(|fault| matches!(fault, Fault::HangAccept)) {
        let _ = io.ignore().await;
    } else {
        let service = service_fn(|request| exchange(Arc::clone(&shared), Arc::clone(&socket), request));
        let _ = http1::Builder::new().serve_connection(TokioIo::new(io), service).await;
    }
}

/// One request and its answer.
async fn exchange(
    shared: Arc<Shared>,
    socket: Arc<Socket>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, LARGEST_BODY).collect().await?.to_bytes();
    let playing = shared.playing.load_full();
    let serial = shared.serial.fetch_add(1, Ordering::Relaxed);
    let index = playing.requests.fetch_add(1, Ordering::Relaxed);
    let reply = reply(&playing.script, serial, index, &head, &body);
    if playing.script.keep {
        let path = head.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
        let raw = socket.take_request();
        lock(&shared.requests).push(Received { method: head.method, path, headers: head.headers, body, raw });
    }
    shared.counters.change(|counts| counts.requests += 1);
    let in_flight = InFlight::new(socket, Arc::clone(&shared.counters));
    if playing.script.faults_of(index).any(|fault| matches!(fault, Fault::HangBeforeHeaders)) {
        match in_flight.hang().await {}
    }
    let latency = playing.script.latency;
    if !latency.first_byte.is_zero() {
        tokio::time::sleep(latency.first_byte).await;
    }
    Ok(reply.into_response(serial, latency, in_flight))
}

fn reply(script: &Script, serial: u64, index: u64, head: &http::request::Parts, body: &Bytes) -> Reply {
    let speech = Speech::on(head.uri.path(), script.quirk);
    let whole = route(script, serial, index, head, body).unwrap_or_else(|error| Reply::error(&error, speech));
    let sent = sent_key(&head.headers);
    let of_key = script.by_key.iter().filter(|(key, _)| sent == Some(key.as_str())).map(|(_, fault)| fault);
    script.faults_of(index).chain(of_key).fold(whole.speaking(speech), Reply::with)
}

fn route(
    script: &Script,
    serial: u64,
    index: u64,
    head: &http::request::Parts,
    body: &Bytes,
) -> Result<Reply, ApiError> {
    authenticate(script, &head.headers)?;
    match (head.method.as_str(), head.uri.path()) {
        ("POST", "/v1/chat/completions") if script.quirk != Some(Quirk::Azure) => chat(script, serial, index, body),
        ("POST", path) if script.quirk == Some(Quirk::Azure) => {
            azure(path, head)?;
            chat(script, serial, index, body)
        }
        ("POST", "/v1/completions") => completions::answer(script, serial, index, body),
        ("POST", "/v1/embeddings") => embeddings::answer(script, index, body),
        ("POST", "/v1/moderations") => moderations::answer(script, serial, body),
        ("POST", "/v1/responses") => responses::answer(script, serial, index, body),
        ("POST", "/v1/messages") => anthropic::answer(script, serial, index, &head.headers, body),
        ("GET", "/v1/models") => Ok(Reply::document(200, wire::models(&script.models))),
        (method, path) => match gemini::called(path) {
            None if method == "POST" && path.ends_with(":batchEmbedContents") => {
                embeddings::answer_gemini(index, script, body)
            }
            Some(called) if method == "POST" => gemini::answer(script, serial, index, called, body),
            _ => Err(ApiError::unknown_url(method, path)),
        },
    }
}

fn authenticate(script: &Script, headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(key) = &script.bearer else { return Ok(()) };
    if sent_key(headers) == Some(key) { Ok(()) } else { Err(ApiError::bad_key()) }
}

/// Refuses what Azure does not know: its paths, and the query that one of them needs.
fn azure(path: &str, head: &http::request::Parts) -> Result<(), ApiError> {
    let version = head.uri.query().and_then(|query| query.strip_prefix("api-version="));
    let deployment = path.strip_prefix("/openai/deployments/").and_then(|rest| rest.strip_suffix("/chat/completions"));
    let known = match deployment {
        Some(deployment) => !deployment.is_empty() && !deployment.contains('/') && version.is_some(),
        None => path == "/openai/v1/chat/completions" && version.is_none_or(|version| version == "preview"),
    };
    if known { Ok(()) } else { Err(ApiError::unknown_url("POST", path)) }
}

fn sent_key(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let own = ["x-api-key", "api-key", "x-goog-api-key"].into_iter().find_map(|name| headers.get(name)?.to_str().ok());
    bearer.or(own)
}

fn chat(script: &Script, serial: u64, index: u64, body: &Bytes) -> Result<Reply, ApiError> {
    if let Answer::Canned(canned) = &script.otherwise {
        return Ok(if wire::asks_for_stream(body) {
            Reply::events(canned.events.clone(), script.latency.gap)
        } else {
            Reply::document(200, canned.whole.clone())
        });
    }
    let mut call = Call::parse(body)?;
    if let Some(quirk) = script.quirk {
        quirk.check(&serde_json::from_slice(body).map_err(|_| ApiError::not_json())?)?;
        call.include_usage |= quirk.always_counts();
    }
    if !script.models.is_empty() && !script.models.contains(&call.model) {
        return Err(ApiError::unknown_model(&call.model));
    }
    let answer = script.answer_to(&call.prompt);
    let usage = !script.faults_of(index).any(|fault| matches!(fault, Fault::NoUsage));
    let envelope = Envelope { serial, created: unix_seconds(), usage };
    let thought = match &answer {
        Answer::Thought { thought, .. } => Some(thought.as_str()),
        _ => None,
    };
    Ok(if call.stream {
        let events = call.events(&answer, &envelope);
        let events = script.quirk.map_or_else(|| events.clone(), |quirk| quirk.events(&events, thought));
        Reply::events(events, script.latency.gap)
    } else {
        let whole = call.document(&answer, &envelope);
        Reply::document(200, script.quirk.map_or_else(|| whole.clone(), |quirk| quirk.document(&whole, thought)))
    })
}

fn unix_seconds() -> u64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs())
}
