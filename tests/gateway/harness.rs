//! A gateway in this process, with its files in a temporary folder, and a client for it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ajar::app::{self, Running};
use ajar::config::{Config, Overrides};
use ajar::govern::{NewKey, Pepper, Spender};
use ajar::record::{Records, Row};
use bytes::Bytes;
use http::HeaderMap;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::sim::Sim;

/// How long anything may take that should happen at once, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Two providers: `far` is outside and accepts only public requests, `home` plays a model on this host. What a request
/// says, the key's `desk` and the client's label may make it restricted.
pub const POLICY: &str = r#"
ajar: policy/v1
name: test
authority: base
classes: [public, internal, restricted]
sealed: [restricted]
default_class: public
attributes:
  key.desk:     { one_of: [open, closed], default: open }
  client.label: { one_of: [none, restricted], default: none }
detectors:
  card:   { kind: checksum, recognizers: [pan_luhn, iban_mod97] }
  gov_id: { kind: checksum, recognizers: [us_ssn] }
  secret: { kind: pattern, set: secrets@1 }
  label:  { kind: pattern, set: document-labels@1 }
classify:
  - { id: payment,  raise: restricted, when: finding.card }
  - { id: identity, raise: restricted, when: finding.gov_id }
  - { id: secrets,  raise: restricted, when: finding.secret }
  - { id: marked,   raise: restricted, when: finding.label }
  - { id: desk,     raise: restricted, when: 'key.desk == "closed"' }
  - { id: client,   raise: restricted, when: 'client.label == "restricted"' }
destinations:
  far:   { via: far, model: gpt-4o-mini, boundary: external, region: us, accepts: public, price: { input: 1, output: 2 } }
  home:  { via: home, model: open-1b, boundary: host, price: { input: 0, output: 0 } }
  cache: { via: sink/cache, boundary: host, accepts: public, scope: key }
  log:   { via: sink/decision-log, boundary: host, accepts: restricted, store: features }
routes:
  - { id: all, order: 900, candidates: [far, home] }
"#;

/// A gateway to be started.
pub struct Setup {
    folder: TempDir,
    policy: String,
    beside: Vec<(&'static str, String)>,
    providers: String,
    keys: String,
    more: String,
    overrides: Overrides,
    pepper: Pepper,
}

impl Setup {
    /// With the small policy of these tests and no provider.
    pub fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            policy: POLICY.to_owned(),
            beside: Vec::new(),
            providers: String::new(),
            keys: String::new(),
            more: String::new(),
            overrides: Vec::new(),
            pepper: Pepper::generate().expect("randomness"),
        }
    }

    /// Replaces a piece of the policy, which must be there.
    pub fn policy(mut self, piece: &str, by: &str) -> Self {
        assert!(self.policy.contains(piece), "the policy has no `{piece}`");
        self.policy = self.policy.replace(piece, by);
        self
    }

    /// Replaces the whole policy.
    pub fn whole_policy(self, text: impl Into<String>) -> Self {
        Self { policy: text.into(), ..self }
    }

    /// Adds to the policy's end.
    pub fn policy_tail(mut self, text: &str) -> Self {
        self.policy.push_str(text);
        self
    }

    /// Puts another policy set into a folder beside the first one's.
    pub fn policy_beside(mut self, folder: &'static str, text: impl Into<String>) -> Self {
        self.beside.push((folder, text.into()));
        self
    }

    /// What `via: NAME` refers to.
    pub fn provider(self, name: &str, sim: &Sim) -> Self {
        self.provider_at(name, &sim.base_url(), "")
    }

    /// As [`Setup::provider`], with more fields.
    pub fn provider_at(mut self, name: &str, base_url: &str, fields: &str) -> Self {
        let timeouts = "timeouts: { connect: 2s, first_byte: 10s, idle: 10s }";
        let fields = if fields.is_empty() { timeouts } else { fields };
        writeln!(self.providers, "  {name}: {{ dialect: openai, base_url: \"{base_url}\", {fields} }}").unwrap();
        self
    }

    /// As [`Setup::provider`], where it speaks another dialect than chat completions.
    pub fn provider_speaking(mut self, name: &str, sim: &Sim, dialect: &str) -> Self {
        let (url, timeouts) = (sim.base_url(), "timeouts: { connect: 2s, first_byte: 10s, idle: 10s }");
        writeln!(self.providers, "  {name}: {{ dialect: {dialect}, base_url: \"{url}\", {timeouts} }}").unwrap();
        self
    }

    /// What `via` refers to, as a line of the configuration.
    pub fn provider_line(mut self, line: &str) -> Self {
        self.providers.push_str(line);
        self
    }

    /// Adds a virtual key and returns it.
    pub fn key(&mut self, name: &str, fields: &str) -> String {
        let key = NewKey::generate(&self.pepper).expect("randomness");
        writeln!(self.keys, "  - {{ name: {name}, hash: \"{}\", {fields} }}", key.hash).unwrap();
        key.key.expose_secret().to_owned()
    }

    /// Sets one value of the configuration.
    pub fn set(mut self, path: &str, value: &str) -> Self {
        self.overrides.push((path.to_owned(), value.to_owned()));
        self
    }

    /// Adds whole sections to the configuration.
    pub fn section(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes the files and returns the configuration's; for tests of the binary, which pass no overrides.
    pub fn write(&self) -> PathBuf {
        let folder = self.folder();
        std::fs::create_dir_all(folder.join("policies")).unwrap();
        std::fs::write(folder.join("policies/policy.yaml"), &self.policy).unwrap();
        for (name, policy) in &self.beside {
            std::fs::create_dir_all(folder.join(name)).unwrap();
            std::fs::write(folder.join(name).join("policy.yaml"), policy).unwrap();
        }
        std::fs::write(folder.join("pepper"), self.pepper.expose()).unwrap();
        let file = folder.join("ajar.yaml");
        std::fs::write(&file, self.config()).unwrap();
        file
    }

    fn config(&self) -> String {
        let Self { providers, keys, more, .. } = self;
        let folder = self.folder().display();
        let section =
            |name: &str, lines: &str| if lines.is_empty() { String::new() } else { format!("{name}:\n{lines}") };
        format!(
            "server:\n  listen: 127.0.0.1:0\n  operator: 127.0.0.1:0\n  limits: {{ drain: 10s, deadline: 60s }}\n\
             policies: {folder}/policies\n\
             pepper: {folder}/pepper\n\
             anonymous: {{ allow: loopback }}\n\
             headers: {{ client.label: x-ajar-label }}\n\
             record: {{ store: sqlite, path: {folder}/ajar.db, commit_interval: 10ms }}\n\
             cache: {{ memory: 16 MiB, ttl: 1h }}\n\
             {}{}{more}",
            section("providers", providers),
            section("keys", keys),
        )
    }

    /// Starts it.
    pub async fn start(self) -> Gateway {
        self.write();
        Gateway::start(self.folder, self.overrides).await
    }
}

/// A client that keeps no connection, so that one that leaves is seen to leave.
pub fn client() -> reqwest::Client {
    // The first in the process wins, whichever: it is the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(PATIENCE).build().expect("a client")
}

/// A gateway that serves.
pub struct Gateway {
    pub running: Running,
    pub client: reqwest::Client,
    pub folder: TempDir,
    overrides: Overrides,
}

impl Gateway {
    async fn start(folder: TempDir, overrides: Overrides) -> Self {
        let file = folder.path().join("ajar.yaml");
        let config = Config::load(&file, &overrides).unwrap_or_else(|problems| panic!("{problems}"));
        let running = app::start(config).await.unwrap_or_else(|error| panic!("{error}"));
        Self { client: client(), running, folder, overrides }
    }

    /// Stops it, and starts another in the same folder.
    pub async fn restart(self) -> Self {
        self.running.stop().await;
        Self::start(self.folder, self.overrides).await
    }

    /// The URL of a path on the data port.
    pub fn data(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.data)
    }

    /// The URL of a path on the operators' port.
    pub fn operator(&self, path: &str) -> String {
        format!("http://{}{path}", self.running.operator)
    }

    /// Asks, and reads the whole answer.
    pub async fn ask(&self, body: &Value) -> Reply {
        self.send(body.to_string(), &[]).await
    }

    /// Asks with headers, and reads the whole answer.
    pub async fn ask_with(&self, body: &Value, headers: &[(&str, &str)]) -> Reply {
        self.send(body.to_string(), headers).await
    }

    /// Sends any bytes, and reads the whole answer.
    pub async fn send(&self, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> Reply {
        Reply::read(self.open(body, headers).await).await
    }

    /// Asks on a path of another dialect than chat completions, and reads the whole answer.
    pub async fn ask_at(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Reply {
        Reply::read(self.open_at(path, body.to_string(), headers).await).await
    }

    /// Sends, and returns when the answer's head is there.
    pub async fn open(&self, body: impl Into<reqwest::Body>, headers: &[(&str, &str)]) -> reqwest::Response {
        self.open_at("/v1/chat/completions", body, headers).await
    }

    /// As [`Self::open`], on another path.
    pub async fn open_at(
        &self,
        path: &str,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> reqwest::Response {
        let mut request = self.client.post(self.data(path)).header("content-type", "application/json").body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.expect("the gateway answers")
    }

    /// A GET of any URL.
    pub async fn get(&self, url: String) -> Reply {
        Reply::read(self.client.get(url).send().await.expect("the gateway answers")).await
    }

    /// Replaces a file as editors do: another one is renamed over it.
    pub fn replace(&self, file: &str, text: &str) {
        replace(&self.folder.path().join(file), text);
    }

    /// Replaces a piece of a file, which must be there.
    pub fn edit(&self, file: &str, piece: &str, by: &str) {
        let text = std::fs::read_to_string(self.folder.path().join(file)).unwrap();
        assert!(text.contains(piece), "`{file}` has no `{piece}`: {text}");
        self.replace(file, &text.replace(piece, by));
    }

    /// Asks for a reload.
    pub async fn reload(&self) -> Reply {
        let url = self.operator("/api/reload");
        Reply::read(self.client.post(url).send().await.expect("the gateway answers")).await
    }

    /// The digest of the policies in force.
    pub fn digest(&self) -> String {
        self.running.gateway.generation.load().policy.set.digest.clone()
    }

    /// The value of a metric without labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let metrics = self.get(self.operator("/metrics")).await.text();
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
        line.unwrap_or_else(|| panic!("no metric `{name}` in {metrics}")).parse().unwrap()
    }

    /// The rows, oldest first, once there are `n` and no request is in flight.
    pub async fn rows(&self, n: usize) -> Vec<Row> {
        let rows = self.rows_by(Instant::now() + PATIENCE, n).await;
        assert_eq!(rows.len(), n, "rows: {rows:#?}");
        rows
    }

    async fn rows_by(&self, deadline: Instant, n: usize) -> Vec<Row> {
        let gateway = &self.running.gateway;
        loop {
            gateway.recorder.as_ref().expect("a record").flush().await;
            let mut records = Records::open(&self.folder.path().join("ajar.db")).await.expect("the store opens");
            let rows: Vec<Row> = records.tail(100_000).await.unwrap().into_iter().map(|entry| entry.row).collect();
            if (rows.len() >= n && gateway.metrics.in_flight.get() == 0) || Instant::now() > deadline {
                return rows;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the ledger counts as used of a budget, in dollars, reservations included.
    pub fn used(&self, budget: &str, limit: f64) -> f64 {
        let attributes = std::collections::BTreeMap::new();
        let key = Spender { key: "anonymous", attributes: &attributes };
        let share = self.running.gateway.generation.load().ledger.used_fraction(budget, key, jiff::Timestamp::now());
        share.expect("the budget exists") * limit
    }
}

/// An answer read whole.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// Reads the rest of an answer.
    pub async fn read(response: reqwest::Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.expect("the answer ends") }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).expect("answers are UTF-8")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The data of a stream's events.
    pub fn events(&self) -> Vec<String> {
        self.text().lines().filter_map(|line| line.strip_prefix("data: ").map(str::to_owned)).collect()
    }

    /// The words of the answer, streamed or not.
    pub fn content(&self) -> String {
        if self.header("content-type") != "text/event-stream" {
            return self.json()["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        }
        let chunks = self.events().into_iter().filter(|event| event != "[DONE]");
        let chunks = chunks.map(|event| serde_json::from_str::<Value>(&event).expect("events are JSON"));
        chunks.map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// The error's code and field.
    pub fn error(&self) -> (String, Option<String>) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|m| !m.is_empty()) && error["type"].is_string(), "{error}");
        (error["code"].as_str().unwrap_or_default().to_owned(), error["param"].as_str().map(str::to_owned))
    }
}

/// A request with one user message.
pub fn user(text: &str) -> Value {
    json!({ "model": "auto", "messages": [{ "role": "user", "content": text }] })
}

/// The same request, streamed.
pub fn streamed(mut body: Value) -> Value {
    body["stream"] = true.into();
    body
}

/// Adds fields to a request.
pub fn with(mut body: Value, fields: Value) -> Value {
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// Waits until `holds`, and panics with `what` if that takes too long.
pub async fn eventually(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Replaces a file as editors do: another one is renamed over it.
pub fn replace(file: &Path, text: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, file).unwrap();
}

/// An address where nobody listens.
pub fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    format!("http://127.0.0.1:{port}/v1")
}
