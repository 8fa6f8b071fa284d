//! Measures streams: concurrent clients that each ask for one stream after another over a kept connection, and report
//! streams per second, time to the first event and the worst pause inside a stream, as one JSON line.
//!
//! A plain socket and a search for the end marker, so that the client costs little beside what it measures.

use std::{
    io::{self, Write},
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use clap::Parser;
use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Load of concurrent streams on an OpenAI-compatible server.
#[derive(Parser)]
struct Flags {
    /// The server's address.
    #[arg(long, default_value = "127.0.0.1:9100")]
    target: SocketAddr,
    /// Concurrent streams.
    #[arg(long, short, default_value_t = 1)]
    concurrency: usize,
    /// How long to go on.
    #[arg(long, short, default_value = "3s", value_parser = humantime::parse_duration)]
    duration: Duration,
    /// The API key sent; none is sent without it.
    #[arg(long)]
    key: Option<String>,
    /// The model asked for.
    #[arg(long, default_value = "gpt-4o-mini")]
    model: String,
}

/// The pauses of one stream.
struct Stream {
    first_event: Duration,
    worst_gap: Duration,
}

#[derive(Serialize)]
struct Report {
    streams: usize,
    streams_per_s: f64,
    ttft_p50_ms: f64,
    ttft_p99_ms: f64,
    gap_p50_ms: f64,
    gap_p99_ms: f64,
}

fn main() -> anyhow::Result<()> {
    let flags = Flags::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&flags))?;
    serde_json::to_writer(io::stdout(), &report)?;
    Ok(writeln!(io::stdout())?)
}

async fn measure(flags: &Flags) -> anyhow::Result<Report> {
    let request = request(flags);
    let began = Instant::now();
    let end = began + flags.duration;
    let client = |_| tokio::spawn(client(flags.target, request.clone(), end));
    let clients: Vec<_> = (0..flags.concurrency).map(client).collect();
    let mut streams = Vec::new();
    for client in clients {
        streams.extend(client.await??);
    }
    Ok(report(&streams, began.elapsed()))
}

/// One client: a stream after another until `end`.
async fn client(target: SocketAddr, request: String, end: Instant) -> anyhow::Result<Vec<Stream>> {
    let mut tcp = TcpStream::connect(target).await.with_context(|| format!("cannot connect to `{target}`"))?;
    tcp.set_nodelay(true)?;
    let mut streams = Vec::new();
    let mut buffer = Vec::with_capacity(64 << 10);
    while Instant::now() < end {
        streams.push(stream(&mut tcp, &request, &mut buffer).await?);
    }
    Ok(streams)
}

async fn stream(tcp: &mut TcpStream, request: &str, buffer: &mut Vec<u8>) -> anyhow::Result<Stream> {
    buffer.clear();
    let began = Instant::now();
    tcp.write_all(request.as_bytes()).await?;
    let mut first_event = None;
    let mut last = began;
    let mut worst_gap = Duration::ZERO;
    while !buffer.ends_with(b"\r\n0\r\n\r\n") {
        ensure!(tcp.read_buf(buffer).await? > 0, "the server closed the connection inside a stream");
        let now = Instant::now();
        if first_event.is_some() {
            worst_gap = worst_gap.max(now - last);
        } else if contains(buffer, b"data: {") {
            first_event = Some(now - began);
        } else {
            ensure!(buffer.len() < 12 || buffer.starts_with(b"HTTP/1.1 200"), "not a stream: {}", head(buffer));
        }
        last = now;
    }
    ensure!(contains(&buffer[buffer.len().saturating_sub(64)..], b"[DONE]"), "the stream ended without `[DONE]`");
    Ok(Stream { first_event: first_event.context("the stream had no event")?, worst_gap })
}

fn request(flags: &Flags) -> String {
    let authorization = flags.key.as_ref().map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let question = "Compare three ways to keep two replicas of a small table in step, name the failure each one survives, \
                    and say which you would choose for ten writes a second.";
    let body = serde_json::json!({
        "model": flags.model, "stream": true, "stream_options": { "include_usage": true }, "temperature": 0.7,
        "messages": [{ "role": "user", "content": question }],
    })
    .to_string();
    let length = body.len();
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         {authorization}content-length: {length}\r\n\r\n{body}"
    )
}

fn report(streams: &[Stream], elapsed: Duration) -> Report {
    let ttft = sorted_ms(streams.iter().map(|stream| stream.first_event));
    let gap = sorted_ms(streams.iter().map(|stream| stream.worst_gap));
    Report {
        streams: streams.len(),
        streams_per_s: streams.len() as f64 / elapsed.as_secs_f64(),
        ttft_p50_ms: percentile(&ttft, 50),
        ttft_p99_ms: percentile(&ttft, 99),
        gap_p50_ms: percentile(&gap, 50),
        gap_p99_ms: percentile(&gap, 99),
    }
}

fn sorted_ms(durations: impl Iterator<Item = Duration>) -> Vec<f64> {
    let mut ms: Vec<f64> = durations.map(|duration| duration.as_secs_f64() * 1e3).collect();
    ms.sort_by(f64::total_cmp);
    ms
}

fn percentile(sorted: &[f64], percent: usize) -> f64 {
    sorted.get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn head(bytes: &[u8]) -> String {
    bytes[..bytes.len().min(200)].escape_ascii().to_string()
}
