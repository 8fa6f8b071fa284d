//! `config/ajar.yaml`, the environment and flags, checked into one [`Config`].
//!
//! The configuration says what is about this installation: where to listen, how to reach providers, who holds keys.
//! What may go where, and at what price, is the policy set's matter.

mod credential;
mod layers;
mod provider;
mod read;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use credential::Credential;
pub use layers::Overrides;

use crate::audit;
use crate::dialect::Wire;
use crate::dialect::edit::CapField;
use crate::govern::{Explain, KeyEntry};
use crate::yaml::{Node, Place, Problems, Shape, parse};

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from.
    pub file: PathBuf,
    /// The values from the command line over it.
    pub overrides: Overrides,
    /// Every value that a reload leaves alone, as written, by its path.
    written: BTreeMap<String, String>,
    /// Listeners and their limits.
    pub server: Server,
    /// The folder of the policy set in force.
    pub policies: PathBuf,
    /// What to do with the model names that applications send.
    pub models: ModelNames,
    /// The folder of model files.
    pub models_dir: PathBuf,
    /// Engines in this process.
    pub local: Vec<LocalModel>,
    /// What `via` in policies refers to.
    pub providers: Vec<Provider>,
    /// Virtual keys.
    pub keys: Vec<KeyEntry>,
    /// The secret that keys are hashed under.
    pub pepper: PathBuf,
    /// Whom requests without a key count as.
    pub anonymous: Anonymous,
    /// Client headers that become attributes: attribute name to header name, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The record.
    pub record: Record,
    /// The egress ledger.
    pub ledger: Ledger,
    /// The cache.
    pub cache: Cache,
    /// Answers that clients may continue.
    pub responses: Cache,
    /// The pseudonyms of conversations.
    pub pseudonyms: Pseudonyms,
}

/// Listeners and their limits.
#[derive(Clone, Debug)]
pub struct Server {
    /// Where applications connect.
    pub listen: SocketAddr,
    /// Where operators connect: health, metrics, explain. Never the same as `listen`.
    pub operator: SocketAddr,
    /// Whether the operators' listener may be reached from elsewhere than this host.
    pub operator_exposed: bool,
    /// Largest request body in bytes.
    pub body: usize,
    /// How long a request's headers may take.
    pub header_timeout: Duration,
    /// How long a connection may be idle, and a body may pause.
    pub idle_timeout: Duration,
    /// How long requests in flight may take once a stop is asked for.
    pub drain: Duration,
    /// How long one request may take altogether.
    pub deadline: Duration,
    /// How long a large request may wait for its turn and be looked at by the detectors.
    pub scan: Duration,
    /// Most connections at a time.
    pub connections: usize,
}

/// What to do with the model names that applications send.
#[derive(Clone, Debug, Default)]
pub struct ModelNames {
    /// Patterns in the order written; `*` at the end stands for anything. The value is `auto` or a destination.
    pub aliases: Vec<(String, String)>,
    /// Whether a name that nothing knows is treated as `auto` rather than refused.
    pub unknown_is_auto: bool,
}

impl ModelNames {
    /// What `name` stands for, if a pattern matches.
    pub fn alias(&self, name: &str) -> Option<&str> {
        let matches = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        self.aliases.iter().find(|(pattern, _)| matches(pattern)).map(|(_, target)| target.as_str())
    }
}

/// An engine in this process.
#[derive(Clone, Debug)]
pub struct LocalModel {
    /// Its name.
    pub name: String,
    /// A name of the catalogue, or the path of a GGUF file.
    pub model: String,
    /// The SHA-256 that the file must have, in lower-case hexadecimal.
    pub sha256: Option<String>,
    /// The SHA-256 that its chat template must have.
    pub template_sha256: Option<String>,
    /// LoRA adapters of it, each a destination's model by `NAME+ADAPTER`.
    pub adapters: Vec<Adapter>,
    /// Tokens of context per sequence.
    pub context: u32,
    /// How many sequences decode together.
    pub sequences: u32,
    /// Compute threads; `None` is one less than cores.
    pub threads: Option<u32>,
    /// Layers on GPUs; `None` is as many as fit.
    pub gpu_layers: Option<u32>,
    /// The GPUs to use, by llama.cpp's names; none named are those that it would take.
    pub devices: Vec<String>,
    /// How many requests may wait.
    pub queue: usize,
    /// Bytes of memory for computed prompts; 0 keeps nothing beyond its request.
    pub prefix_cache: u64,
    /// Whether the model is loaded only when somebody asks.
    pub on_demand: bool,
    /// How long such a model is kept unused; `None` is until another needs the memory.
    pub idle_unload: Option<Duration>,
}

/// A LoRA adapter of a local model.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    /// Its name.
    pub name: String,
    /// The path of a GGUF file.
    pub file: PathBuf,
    /// How strongly it acts; 1 as it was trained.
    pub scale: f32,
}

/// A provider behind an API.
#[derive(Clone, Debug)]
pub struct Provider {
    /// What `via` in policies says.
    pub name: String,
    /// What it speaks.
    pub wire: Wire,
    /// Such as `https://api.openai.com/v1`, without a slash at the end.
    pub base_url: String,
    /// What to authenticate with; none where the provider wants nothing.
    pub credentials: Vec<Credential>,
    /// In which header the credential goes.
    pub credential_header: &'static str,
    /// In which field its models take the cap on the answer.
    pub cap_field: CapField,
    /// Whether it takes `stream_options`.
    pub stream_options: bool,
    /// Whether it holds answers to a grammar.
    pub grammars: bool,
    /// Azure's version of the API, where that is in the URL.
    pub api_version: Option<ApiVersion>,
    /// Its clocks.
    pub timeouts: Timeouts,
}

/// A version of Azure's API, which stands in the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiVersion {
    /// Such as `2024-10-21`.
    pub name: String,
    /// Whether the path names the model's deployment, as it does but for the `/openai/v1` form.
    pub deployments: bool,
}

/// A provider's clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Until connected, TLS included.
    pub connect: Duration,
    /// From then until the first byte of the answer.
    pub first_byte: Duration,
    /// Between bytes of a stream.
    pub idle: Duration,
    /// Between events of a stream that say something: signs of life do not count.
    pub progress: Duration,
}

/// Whom requests without a key count as.
#[derive(Clone, Debug)]
pub struct Anonymous {
    /// Whether loopback clients need no key.
    pub loopback: bool,
    /// The policy's `key.*` for them, without the prefix.
    pub attributes: BTreeMap<String, String>,
    /// How much answers tell them.
    pub explain: Explain,
}

/// The record.
#[derive(Clone, Debug)]
pub struct Record {
    /// The SQLite file; `None` keeps no record.
    pub path: Option<PathBuf>,
    /// How long rows are kept.
    pub retention: Duration,
    /// How often rows are committed.
    pub commit_interval: Duration,
}

/// The egress ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    /// Whether something may be sent before its entry is on disk.
    pub audit: audit::Mode,
    /// The SQLite file.
    pub path: PathBuf,
    /// The signing key's file.
    pub key: PathBuf,
    /// Where checkpoints are appended; `None` only stores them.
    pub checkpoints: Option<PathBuf>,
    /// How long entries are kept.
    pub retention: Duration,
}

/// What is kept in memory for a while.
#[derive(Clone, Copy, Debug)]
pub struct Cache {
    /// Most bytes; 0 switches it off.
    pub memory: u64,
    /// How long an entry lives.
    pub ttl: Duration,
}

/// The pseudonyms of conversations, which are in memory only.
#[derive(Clone, Copy, Debug)]
pub struct Pseudonyms {
    /// After how long without a request a conversation's are forgotten.
    pub ttl: Duration,
}

impl Config {
    /// Reads `file`, then the environment (`AJAR__SERVER__LISTEN=…`), then `overrides`.
    ///
    /// # Errors
    /// Every mistake at once, with its place.
    pub fn load(file: &Path, overrides: &Overrides) -> Result<Self, Problems> {
        let name = file.display().to_string();
        let text = std::fs::read_to_string(file).map_err(|error| {
            let mut problems = Problems::new();
            problems
                .add(&Place::whole(name.as_str()), format!("cannot be read: {error}; `--config` names another file"));
            problems
        })?;
        let mut root = parse(&name, &text)?;
        let mut problems = Problems::new();
        layers::apply(&mut root, overrides, &mut problems);
        let config = read::config(&root, &mut problems);
        match config {
            Some(config) => {
                let (file, overrides) = (file.to_owned(), overrides.clone());
                problems.or_ok(Self { file, overrides, written: written(&root), ..config })
            }
            None => Err(problems),
        }
    }

    /// Reads the same file, environment and overrides again.
    ///
    /// # Errors
    /// As for [`Config::load`].
    pub fn again(&self) -> Result<Self, Problems> {
        Self::load(&self.file, &self.overrides)
    }

    /// What `later` has of this configuration that a running process can take: keys, and the folder of the policies.
    pub fn with_reloadable(&self, later: &Self) -> Self {
        Self { keys: later.keys.clone(), policies: later.policies.clone(), ..self.clone() }
    }

    /// The paths of all other values that differ in `later`.
    pub fn ignored_changes(&self, later: &Self) -> Vec<String> {
        let paths: BTreeSet<&String> = self.written.keys().chain(later.written.keys()).collect();
        let differs = |path: &&String| self.written.get(*path) != later.written.get(*path);
        paths.into_iter().filter(differs).cloned().collect()
    }
}

/// All scalars of the tree by their dotted paths, but for those that a reload takes over.
fn written(root: &Node) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    flatten(root, "", &mut all);
    all.retain(|path, _| path != "policies" && !path.starts_with("keys"));
    all
}

fn flatten(node: &Node, path: &str, all: &mut BTreeMap<String, String>) {
    let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match &node.shape {
        Shape::Null => {}
        Shape::Scalar { text, .. } => drop(all.insert(path.to_owned(), text.clone())),
        Shape::List(items) => items.iter().enumerate().for_each(|(i, item)| flatten(item, &below(&i.to_string()), all)),
        Shape::Map(entries) => {
            entries.iter().for_each(|(key, value)| flatten(value, &below(key.scalar().unwrap_or_default()), all));
        }
    }
}

#[cfg(test)]
mod tests;
