//! Puts the gateway together and runs it. Only this module names concrete types from both sides.

mod load;
mod models;
mod reload;
mod watch;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use self::load::{Sets, load_policy, load_set, load_sets, read_pepper};
use self::load::{anonymous, conversation_secret, first_generation};
use self::models::{check_models, is_known, pin};
pub use self::models::{missing_files, model_path};
pub use self::watch::Watch;
use crate::audit::{EgressLedger, LedgerError, LedgerOptions};
use crate::cache::{Flights, Responses, Store};
use crate::classify::difficulty::Estimator;
use crate::config::{self, Config, LocalModel};
use crate::dispatch::Dispatcher;
use crate::dispatch::local::{Adapter, Engine, EngineConfig, Load};
use crate::dispatch::remote::Provider;
use crate::egress::SendError;
use crate::govern::{Ledger, PriceList};
use crate::models::VerifyError;
use crate::pipeline::{Apart, Companions, Fills, Gateway, Generation, Named, Reloads, Taints};
use crate::record::{Conversations, Recorder, Records, StoreError, StoreOptions};
use crate::serve::listener::{Limits, bind, serve};
use crate::serve::{data, operator};
use crate::telemetry::Metrics;
use crate::transform::Vaults;
use crate::yaml::Problems;

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
    /// The egress ledger cannot be opened.
    #[error("the egress ledger: {0}")]
    Ledger(#[from] LedgerError),
    /// There can be no HTTP client.
    #[error("the HTTP client: {0}")]
    Client(#[from] SendError),
    /// A model's file is missing or wrong.
    #[error("{0}")]
    Model(#[from] VerifyError),
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
    /// Stops: no new connection, requests in flight may finish within the drain time, then record and ledger are closed.
    pub async fn stop(self) {
        self.shutdown.cancel();
        for listener in self.listeners {
            // A listener's panic has been reported by its task.
            let _ = listener.await;
        }
        self.gateway.fills.stop().await;
        self.gateway.dispatcher.shutdown().await;
        if let Some(recorder) = &self.gateway.recorder {
            recorder.close().await;
        }
        self.gateway.dispatcher.ledger().close().await;
    }
}

/// Starts the gateway: everything is checked before a port is bound. Models load behind `/readyz`.
///
/// # Errors
/// See [`StartError`].
pub async fn start(config: Config) -> Result<Running, StartError> {
    start_with(config, Engine::load).await
}

/// As [`start`], with the engines that `load` makes.
async fn start_with(config: Config, load: impl Fn(EngineConfig) -> Engine) -> Result<Running, StartError> {
    let generation = first_generation(&config)?;
    check_models(&config)?;
    let recorder = recorder(&config, &generation.ledger).await?;
    let ledger = egress_ledger(&config).await?;
    let (listen, operate) = (listen(config.server.listen)?, listen(config.server.operator)?);
    let (data_addr, operator_addr) = (local_addr(&listen)?, local_addr(&operate)?);
    let limits = limits(&config);
    let engines = engines(&config, |engine| Some(load(engine)));
    let dispatcher = Dispatcher::new(engines, providers(&config)?, ledger);
    let (reloads, work) = Reloads::new();
    let gateway = Arc::new(assemble(config, generation, dispatcher, recorder, reloads)?);
    let shutdown = CancellationToken::new();
    tokio::spawn(shutdown.clone().run_until_cancelled_owned(reload::serve(gateway.clone(), work)));
    let listeners = vec![
        tokio::spawn(serve(listen, data::router(gateway.clone()), limits, shutdown.clone())),
        tokio::spawn(serve(operate, operator::router(gateway.clone()), limits, shutdown.clone())),
    ];
    Ok(Running { data: data_addr, operator: operator_addr, gateway, shutdown, listeners })
}

/// A gateway that listens nowhere, loads no model, records nothing and can send nothing: for explaining decisions. Configured engines
/// count as available.
///
/// # Errors
/// Mistakes in configuration and policies.
pub fn idle(config: Config) -> Result<Gateway, StartError> {
    let generation = first_generation(&config)?;
    let dispatcher = Dispatcher::new(engines(&config, |_| None), providers(&config)?, EgressLedger::none());
    assemble(config, generation, dispatcher, None, Reloads::never())
}

fn assemble(
    config: Config,
    generation: Generation,
    dispatcher: Dispatcher,
    recorder: Option<Recorder>,
    reloads: Reloads,
) -> Result<Gateway, StartError> {
    let record = config.record.path.as_deref().map(Conversations::of).zip(recorder.clone());
    let taints = Taints::new(conversation_secret(&config)?, record);
    let mut metrics = Metrics::default();
    metrics.watch_ledger(dispatcher.ledger().numbers());
    metrics.watch_providers(dispatcher.numbers());
    metrics.policies_loaded(jiff::Timestamp::now());
    Ok(Gateway {
        anonymous: Arc::new(anonymous(&config)),
        cache: (config.cache.memory > 0).then(|| Store::new(config.cache.memory, config.cache.ttl)),
        responses: (config.responses.memory > 0).then(|| Responses::new(config.responses.memory, config.responses.ttl)),
        generation: ArcSwap::from_pointee(generation),
        reloads,
        estimator: Arc::new(Estimator::embedded()),
        prices: PriceList::embedded(),
        flights: Flights::default(),
        fills: Fills::default(),
        named: Named::default(),
        apart: Apart::default(),
        taints,
        companions: Companions::default(),
        vaults: Vaults::new(config.pseudonyms.ttl),
        dispatcher,
        recorder,
        metrics,
        started: jiff::Timestamp::now(),
        config,
    })
}

// === record and ledger

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

async fn egress_ledger(config: &Config) -> Result<EgressLedger, LedgerError> {
    let ledger = &config.ledger;
    let options = LedgerOptions {
        checkpoints: ledger.checkpoints.clone(),
        mode: ledger.audit,
        retention: Some(ledger.retention),
        ..LedgerOptions::new(&ledger.path, &ledger.key)
    };
    EgressLedger::start(options).await
}

// === who answers

fn serves(local: &LocalModel, model: &str) -> bool {
    names(local).any(|(name, _)| name == model)
}

/// By which names destinations ask for a local model, and for which of its adapters.
fn names(local: &LocalModel) -> impl Iterator<Item = (String, Option<&str>)> {
    let bases = [&local.name, &local.model];
    let adapted = |base| local.adapters.iter().map(move |a| (format!("{base}+{}", a.name), Some(a.name.as_str())));
    bases.into_iter().flat_map(move |base| std::iter::once((base.clone(), None)).chain(adapted(base)))
}

fn engines(config: &Config, load: impl Fn(EngineConfig) -> Option<Engine>) -> HashMap<String, Option<Engine>> {
    let mut engines = HashMap::new();
    for local in &config.local {
        let engine = load(EngineConfig {
            name: local.name.clone(),
            model: model_path(config, local),
            adapters: local.adapters.iter().map(adapter).collect(),
            context: local.context,
            sequences: local.sequences,
            threads: local.threads,
            gpu_layers: local.gpu_layers,
            devices: local.devices.clone(),
            cpu_fallback: true,
            queue: local.queue,
            pin: Some(pin(local)),
            tried_by: (!is_known(local) || !local.adapters.is_empty()).then(this_program),
            prefix_cache: local.prefix_cache,
            load: if local.on_demand { Load::OnDemand { idle: local.idle_unload } } else { Load::Start },
        });
        for (name, adapter) in names(local) {
            let adapted = |engine: &Engine| adapter.map_or(Some(engine.clone()), |name| engine.with_adapter(name));
            engines.insert(name, engine.as_ref().and_then(adapted));
        }
    }
    engines
}

fn adapter(adapter: &config::Adapter) -> Adapter {
    let config::Adapter { name, file, scale } = adapter.clone();
    Adapter { name, file, scale }
}

/// Where this cannot be told, a file that must be tried is refused.
fn this_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| "ajar".into())
}

fn providers(config: &Config) -> Result<HashMap<String, Provider>, StartError> {
    let set_up = |provider: &crate::config::Provider| Ok((provider.name.clone(), Provider::new(provider)?));
    config.providers.iter().map(set_up).collect()
}

// === listeners

fn listen(addr: SocketAddr) -> Result<tokio::net::TcpListener, StartError> {
    bind(addr).map_err(|error| StartError::Bind { addr, error })
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

#[cfg(test)]
mod tests;
