//! Puts the gateway together and runs it. Only this module names concrete types from both sides.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cache::{Flights, Store};
use crate::classify::difficulty::Estimator;
use crate::classify::{DetectorKind, DetectorSpec, names};
use crate::config::{Config, LocalModel};
use crate::dispatch::Dispatcher;
use crate::dispatch::local::{Engine, EngineConfig};
use crate::dispatch::remote::OpenAi;
use crate::egress::SendError;
use crate::govern::{Budget, Keyring, Ledger, Pepper, Per, PriceList, Subject, Window};
use crate::models;
use crate::pipeline::{Gateway, Policy};
use crate::policy::{self, PolicySet, set};
use crate::record::{Recorder, Records, StoreError, StoreOptions};
use crate::serve::listener::{Limits, bind, serve};
use crate::serve::{data, operator};
use crate::telemetry::Metrics;
use crate::yaml::{Place, Problems, did_you_mean};

/// The name under which requests without a key are recorded.
const ANONYMOUS: &str = "anonymous";
/// How many requests may wait to be recorded.
const RECORD_QUEUE: usize = 16 * 1024;

/// Why the gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Configuration or policies are wrong.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An address cannot be bound.
    #[error("cannot listen on {addr}: {error}")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// The record cannot be opened.
    #[error("the record: {0}")]
    Record(#[from] StoreError),
    /// There can be no HTTP client.
    #[error("the HTTP client: {0}")]
    Client(#[from] SendError),
    /// A model's file is missing or wrong.
    #[error("{0}")]
    Model(#[from] models::VerifyError),
    /// The pepper is no secret.
    #[error("the pepper: {0}")]
    Pepper(String),
}

/// A gateway that serves.
pub struct Running {
    /// Where applications connect.
    pub data: SocketAddr,
    /// Where operators connect.
    pub operator: SocketAddr,
    /// What all requests share.
    pub gateway: Arc<Gateway>,
    shutdown: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

impl Running {
    /// Stops: no new connection, requests in flight may finish within the drain time, then the record is closed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for listener in self.listeners {
            // A listener's panic has been reported by its task.
            let _ = listener.await;
        }
        self.gateway.dispatcher.shutdown().await;
        if let Some(recorder) = &self.gateway.recorder {
            recorder.close().await;
        }
    }
}

/// Loads the policy set of the configuration, and checks it against the configuration.
///
/// # Errors
/// Every mistake at once, or the file that cannot be read.
pub fn load_policy(config: &Config) -> Result<PolicySet, StartError> {
    let set = load_set(&config.policies)?;
    let mut problems = Problems::new();
    cross_check(config, &set, &mut problems);
    Ok(problems.or_ok(set)?)
}

/// Loads the policy set of a folder: checked, tested and proved, with the prices that it names, or the catalogue's.
///
/// # Errors
/// Every mistake at once, or the file that cannot be read.
pub fn load_set(folder: &Path) -> Result<PolicySet, StartError> {
    let sources = read_policies(folder)?;
    let prices = read_prices(folder, &sources)?;
    Ok(policy::load(&sources, &|model| prices.price(model))?)
}

/// Starts the gateway: everything is checked before a port is bound. Models load behind `/readyz`.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config) -> Result<Running, StartError> {
    let set = load_policy(&config)?;
    let keys = keyring(&config)?;
    let ledger = Ledger::new(set.budgets.iter().map(budget).collect());
    check_models(&config)?;
    let recorder = recorder(&config, &ledger).await?;
    let listen = listen(config.server.listen)?;
    let operate = listen_on_operator(&config)?;
    let (data_addr, operator_addr) = (local_addr(&listen)?, local_addr(&operate)?);
    let limits = limits(&config);
    let dispatcher = Dispatcher::new(engines(&config, |engine| Some(Engine::load(engine))), providers(&config)?);
    let gateway = Arc::new(assemble(config, set, keys, ledger, dispatcher, recorder));
    warn_of_the_unavailable(&gateway);
    let shutdown = CancellationToken::new();
    let listeners = vec![
        tokio::spawn(serve(listen, data::router(gateway.clone()), limits, shutdown.clone())),
        tokio::spawn(serve(operate, operator::router(gateway.clone()), limits, shutdown.clone())),
    ];
    Ok(Running { data: data_addr, operator: operator_addr, gateway, shutdown, listeners })
}

/// A gateway that listens nowhere, loads no model and records nothing: for explaining decisions. Configured engines
/// count as available.
///
/// # Errors
/// Mistakes in configuration and policies.
pub fn idle(config: Config) -> Result<Gateway, StartError> {
    let set = load_policy(&config)?;
    let keys = keyring(&config)?;
    let ledger = Ledger::new(set.budgets.iter().map(budget).collect());
    let dispatcher = Dispatcher::new(engines(&config, |_| None), providers(&config)?);
    Ok(assemble(config, set, keys, ledger, dispatcher, None))
}

fn assemble(
    config: Config,
    set: PolicySet,
    keys: Keyring,
    ledger: Ledger,
    dispatcher: Dispatcher,
    recorder: Option<Recorder>,
) -> Gateway {
    Gateway {
        anonymous: Arc::new(anonymous(&config)),
        cache: (config.cache.memory > 0).then(|| Store::new(config.cache.memory, config.cache.ttl)),
        policy: ArcSwap::from_pointee(Policy::new(set)),
        keys,
        estimator: Estimator::embedded(),
        ledger,
        prices: PriceList::embedded(),
        flights: Flights::default(),
        dispatcher,
        recorder,
        metrics: Metrics::default(),
        started: jiff::Timestamp::now(),
        config,
    }
}

// === policies

/// The policies of a folder and the word lists beside them, which dictionaries name.
fn read_policies(folder: &Path) -> Result<Vec<policy::Source>, StartError> {
    let file_error = |error| StartError::File { path: folder.to_owned(), error };
    let unreadable = |error: io::Error| io::Error::new(error.kind(), format!("the folder of `policies`: {error}"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|error| file_error(unreadable(error)))?
        .filter_map(|entry| entry.ok().map(|e| e.path()))
        .filter(|path| is_policy(path) || path.extension().is_some_and(|e| e == policy::WORD_LIST))
        .collect();
    files.sort();
    if !files.iter().any(|path| is_policy(path)) {
        return Err(file_error(io::Error::new(io::ErrorKind::NotFound, "the folder has no `*.yaml` policy")));
    }
    let read = |path: PathBuf| match std::fs::read_to_string(&path) {
        Ok(text) => Ok(policy::Source { file: path.display().to_string(), text }),
        Err(error) => Err(StartError::File { path, error }),
    };
    files.into_iter().map(read).collect()
}

fn is_policy(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "yaml" || e == "yml")
}

/// The list of prices in force: the set's own file, or the catalogue.
fn read_prices(folder: &Path, sources: &[policy::Source]) -> Result<PriceList, StartError> {
    let Some(file) = policy::price_file(sources) else { return Ok(PriceList::embedded()) };
    let path = folder.join(&file.path);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(PriceList::from_yaml(&path.display().to_string(), &text)?),
        Err(error) => {
            let mut problems = Problems::new();
            let message = format!("the price file `{}` cannot be read: {error}", path.display());
            problems.add(&file.place, message);
            Err(problems.into())
        }
    }
}

/// What policy and configuration say about each other must fit.
fn cross_check(config: &Config, set: &PolicySet, problems: &mut Problems) {
    for destination in set.destinations.iter().filter(|d| d.is_model()) {
        check_destination(config, destination, problems);
    }
    let place = Place::whole(config.file.display().to_string());
    let policies = Place::whole(config.policies.display().to_string());
    set.detectors.iter().for_each(|detector| check_detector(detector, &policies, problems));
    for (pattern, target) in &config.models.aliases {
        if target != "auto" && set.destination_named(target).is_none() {
            let hint = did_you_mean(target, set.destinations.iter().map(|d| d.name.as_str()));
            problems.add(&place, format!("`models`: `{pattern}` stands for `{target}`, which is no destination{hint}"));
        }
    }
    for header in config.headers.keys().filter(|name| set.vocabulary.slot(name).is_none()) {
        problems.add(&place, format!("`headers`: the policy set has no attribute `{header}`"));
    }
    let anonymous = ("anonymous", &config.anonymous.attributes);
    let keys = config.keys.iter().map(|key| (key.name.as_str(), &key.attributes));
    for (key, attributes) in keys.chain([anonymous]) {
        for (name, word) in attributes {
            check_attribute(set, key, name, word, &place, problems);
        }
    }
}

fn check_destination(config: &Config, destination: &set::Destination, problems: &mut Problems) {
    let (name, via, model) = (&destination.name, &destination.via, &destination.model);
    if destination.is_embedded() {
        if !config.local.iter().any(|local| serves(local, model)) {
            let message =
                format!("`{name}` needs the model `{model}`, which `local` in the configuration does not define");
            problems.add(&destination.place, message);
        }
    } else if !config.providers.iter().any(|provider| provider.name == *via) {
        let hint = did_you_mean(via, config.providers.iter().map(|p| p.name.as_str()));
        let message =
            format!("`{name}` goes via `{via}`, which `providers` in the configuration does not define{hint}");
        problems.add(&destination.place, message);
    }
}

/// A detector that nothing here can run would always be unknown, and the set would mean something else than it says.
fn check_detector(detector: &DetectorSpec, place: &Place, problems: &mut Problems) {
    let name = &detector.name;
    match &detector.kind {
        DetectorKind::Checksum(_)
        | DetectorKind::Pattern(_)
        | DetectorKind::Label { .. }
        | DetectorKind::Dictionary { .. } => {}
        DetectorKind::Model(spec) if spec.model == names::NAME => {
            for (entity, _) in spec.thresholds.iter().filter(|(entity, _)| names::Entity::parse(entity).is_none()) {
                let hint = did_you_mean(entity, names::Entity::NAMES);
                problems.add(place, format!("the detector `{name}`: `{}` recognises no `{entity}`{hint}", names::NAME));
            }
        }
        DetectorKind::Model(spec) => {
            let model = &spec.model;
            let message = format!(
                "the detector `{name}` needs the model `{model}`, which this build cannot run; leave the detector out, or \
                 use one of kind `checksum`, `pattern` or `label`"
            );
            problems.add(place, message);
        }
        DetectorKind::External { .. } => {
            let message = format!(
                "the detector `{name}` runs elsewhere, which this build cannot ask; leave it out, or use one that runs here"
            );
            problems.add(place, message);
        }
    }
}

fn check_attribute(set: &PolicySet, key: &str, name: &str, word: &str, place: &Place, problems: &mut Problems) {
    let full = format!("key.{name}");
    let counted = set.budgets.iter().any(|budget| budget.per == set::Scope::Attribute(name.to_owned()));
    match set.vocabulary.slot(&full) {
        // A budget counts by any word: the names of teams are no vocabulary.
        None if counted => {}
        None => {
            let known = set.vocabulary.names().filter(|known| known.starts_with("key."));
            let hint = did_you_mean(&full, known);
            problems.add(place, format!("key `{key}`: the policy set has no attribute `{full}`{hint}"));
        }
        Some(slot) if set.vocabulary.word(slot, word) == policy::Fact::Unknown => {
            problems.add(place, format!("key `{key}`: `{full}` is never `{word}` in the policy set"));
        }
        Some(_) => {}
    }
}

fn budget(budget: &set::Budget) -> Budget {
    let per = match &budget.per {
        set::Scope::Key => Per::Key,
        set::Scope::Attribute(name) => Per::Attribute(name.clone()),
        set::Scope::Request => Per::Request,
        set::Scope::All => Per::All,
    };
    let window = match budget.window {
        set::Window::Hour => Window::Hour,
        set::Window::Day | set::Window::Request => Window::Day,
        set::Window::Month => Window::Month,
    };
    Budget { id: budget.id.as_str().into(), per, window, limit: budget.limit }
}

// === keys

/// Reads the pepper's file.
///
/// # Errors
/// When it cannot be read, or is too short.
pub fn read_pepper(path: &Path) -> Result<Pepper, StartError> {
    let content = std::fs::read(path).map_err(|error| StartError::File { path: path.to_owned(), error })?;
    Pepper::new(&content).map_err(|weak| StartError::Pepper(weak.to_string()))
}

fn keyring(config: &Config) -> Result<Keyring, StartError> {
    let pepper = if config.keys.is_empty() {
        // Nothing is hashed under it.
        Pepper::generate().map_err(|error| StartError::Pepper(error.to_string()))?
    } else {
        read_pepper(&config.pepper)?
    };
    Keyring::build(&config.keys, pepper, None).map_err(|errors| {
        let mut problems = Problems::new();
        let place = Place::whole(config.file.display().to_string());
        errors.iter().for_each(|error| problems.add(&place, error.to_string()));
        problems.into()
    })
}

fn anonymous(config: &Config) -> Subject {
    Subject {
        name: ANONYMOUS.into(),
        tenant: ANONYMOUS.into(),
        attributes: Arc::new(config.anonymous.attributes.clone()),
        explain: config.anonymous.explain,
        limiter: None,
    }
}

// === the record

async fn recorder(config: &Config, ledger: &Ledger) -> Result<Option<Recorder>, StartError> {
    let Some(path) = &config.record.path else { return Ok(None) };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| StartError::File { path: folder.to_owned(), error })?;
    }
    let options = StoreOptions {
        commit_interval: config.record.commit_interval,
        queue: RECORD_QUEUE,
        retention: Some(config.record.retention),
        ..StoreOptions::new(path)
    };
    let recorder = Recorder::start(options).await?;
    let now = jiff::Timestamp::now();
    if let Some(since) = ledger.restores_from(now) {
        let mut records = Records::open(path).await?;
        ledger.restore(records.spend_since(since).await?, now);
        records.close().await?;
    }
    Ok(Some(recorder))
}

// === who answers

fn serves(local: &LocalModel, model: &str) -> bool {
    local.name == model || local.model == model
}

/// Where a local model's file is: a catalogue name stands for a file in the models' folder.
pub fn model_path(config: &Config, local: &LocalModel) -> PathBuf {
    match models::find(&local.model) {
        Some(entry) => models::path(&config.models_dir, entry),
        None => PathBuf::from(&local.model),
    }
}

/// A model that is missing or is not what the catalogue says is a mistake to be told at once, not at the first request.
fn check_models(config: &Config) -> Result<(), StartError> {
    for local in &config.local {
        let path = model_path(config, local);
        match models::find(&local.model) {
            Some(entry) => models::verify(&path, entry)?,
            None => {
                std::fs::metadata(&path).map_err(|error| StartError::File { path, error })?;
            }
        }
    }
    Ok(())
}

fn engines(config: &Config, load: impl Fn(EngineConfig) -> Option<Engine>) -> HashMap<String, Option<Engine>> {
    let mut engines = HashMap::new();
    for local in &config.local {
        let engine = load(EngineConfig {
            name: local.name.clone(),
            model: model_path(config, local),
            context: local.context,
            sequences: local.sequences,
            threads: local.threads,
            gpu_layers: local.gpu_layers,
            queue: local.queue,
        });
        engines.insert(local.name.clone(), engine.clone());
        engines.insert(local.model.clone(), engine);
    }
    engines
}

fn providers(config: &Config) -> Result<HashMap<String, Option<OpenAi>>, StartError> {
    let set_up = |provider: &crate::config::Provider| Ok((provider.name.clone(), OpenAi::new(provider)?));
    config.providers.iter().map(set_up).collect()
}

fn warn_of_the_unavailable(gateway: &Gateway) {
    for provider in &gateway.config.providers {
        if let crate::config::Credential::Missing(why) = &provider.credential {
            tracing::warn!(
                provider = provider.name,
                why,
                "A provider has no credential, its destinations are unavailable."
            );
        }
    }
}

// === listeners

fn listen(addr: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    bind(addr).map_err(|error| StartError::Bind { addr, error })
}

/// Operators' pages have no login: elsewhere than on this host they would be anybody's.
fn listen_on_operator(config: &Config) -> Result<tokio::net::TcpListener, StartError> {
    let addr = config.server.operator;
    if !addr.ip().is_loopback() && !config.server.operator_exposed {
        let mut problems = Problems::new();
        problems.add(
            &Place::whole(config.file.display().to_string()),
            format!(
                "`server.operator` is {addr}, and operators' pages have no login; listen on loopback, or set \
                 `operator_exposed: true` where the network keeps others out"
            ),
        );
        return Err(problems.into());
    }
    listen(addr)
}

fn local_addr(listener: &tokio::net::TcpListener) -> Result<SocketAddr, StartError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|error| StartError::Bind { addr: unknown, error })
}

fn limits(config: &Config) -> Limits {
    let server = &config.server;
    Limits {
        body: server.body,
        header_timeout: server.header_timeout,
        idle_timeout: server.idle_timeout,
        drain: server.drain,
        connections: server.connections,
        ..Limits::default()
    }
}
