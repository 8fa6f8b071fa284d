//! The tree to the checked configuration.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::provider::provider;
use super::{Adapter, Anonymous, Cache, Config, Ledger, LocalModel, ModelNames, Pseudonyms, Record, Server};
use crate::audit::Mode;
use crate::chat::Priority;
use crate::govern::{Explain, KeyEntry, RateLimit};
use crate::yaml::{Fields, Node, Problems};

pub(super) fn config(root: &Node, problems: &mut Problems) -> Option<Config> {
    let mut fields = Fields::of(root, "the configuration", problems)?;
    let server = fields.required("server", problems).and_then(|n| server(n, problems));
    let policies = fields.required("policies", problems).and_then(|n| n.text(problems)).map(PathBuf::from);
    let models = fields.optional("models").map(|n| model_names(n, problems)).unwrap_or_default();
    let models_dir = path(&mut fields, "models_dir", "models", problems);
    let local = fields.optional("local").map(|n| named(n, problems, local_model)).unwrap_or_default();
    let providers = fields.optional("providers").map(|n| named(n, problems, provider)).unwrap_or_default();
    let keys = fields.optional("keys").map(|n| keys(n, problems)).unwrap_or_default();
    let pepper = path(&mut fields, "pepper", "data/pepper", problems);
    let anonymous = fields.optional("anonymous").and_then(|n| anonymous(n, problems));
    let headers = fields.optional("headers").map(|n| headers(n, problems)).unwrap_or_default();
    let record = record(fields.optional("record"), problems);
    let ledger = ledger(fields.optional("ledger"), record.path.as_deref(), problems);
    let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(24 * 3600));
    let cache = cache(fields.optional("cache"), "`cache`", Cache { memory: 256 << 20, ttl: hour }, problems);
    let responses = fields.optional("responses");
    let responses = self::cache(responses, "`responses`", Cache { memory: 64 << 20, ttl: day }, problems);
    let pseudonyms = pseudonyms(fields.optional("pseudonyms"), problems);
    fields.finish(problems);
    Some(Config {
        file: PathBuf::new(),
        overrides: Vec::new(),
        written: BTreeMap::new(),
        server: server?,
        policies: policies?,
        models,
        models_dir,
        local,
        providers,
        keys,
        pepper,
        anonymous: anonymous.unwrap_or(Anonymous {
            loopback: false,
            attributes: BTreeMap::new(),
            explain: Explain::None,
        }),
        headers,
        record,
        ledger,
        cache,
        responses,
        pseudonyms,
    })
}

fn path(fields: &mut Fields<'_>, key: &'static str, default: &str, problems: &mut Problems) -> PathBuf {
    fields.optional(key).and_then(|n| n.text(problems)).unwrap_or(default).into()
}

fn server(node: &Node, problems: &mut Problems) -> Option<Server> {
    let mut fields = Fields::of(node, "`server`", problems)?;
    let listen = fields.required("listen", problems).and_then(|n| address(n, problems));
    let operator = fields.required("operator", problems).and_then(|n| address(n, problems));
    let operator_exposed = fields.optional("operator_exposed").and_then(|n| n.flag(problems)).unwrap_or(false);
    let limits = fields.optional("limits");
    fields.finish(problems);
    let (listen, operator) = (listen?, operator?);
    if listen == operator && listen.port() != 0 {
        problems.add(&node.place, "`listen` and `operator` must differ: operators' pages never share the data port");
    }
    if !operator.ip().is_loopback() && !operator_exposed {
        let message = format!(
            "`operator` is {operator}, and operators' pages have no login; listen on loopback, or set \
             `operator_exposed: true` where the network keeps others out"
        );
        problems.add(&node.place, message);
    }
    let mut server = Server {
        listen,
        operator,
        operator_exposed,
        body: 32 << 20,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
        drain: Duration::from_secs(30),
        deadline: Duration::from_secs(600),
        scan: Duration::from_secs(10),
        connections: 10_000,
    };
    if let Some(node) = limits {
        limits_into(&mut server, node, problems);
    }
    Some(server)
}

fn limits_into(server: &mut Server, node: &Node, problems: &mut Problems) {
    let Some(mut fields) = Fields::of(node, "`limits`", problems) else { return };
    let size =
        |node: &Node, problems: &mut Problems| node.bytes(problems).map(|n| usize::try_from(n).unwrap_or(usize::MAX));
    replace(&mut server.body, fields.optional("body").and_then(|n| size(n, problems)));
    replace(&mut server.header_timeout, fields.optional("header_timeout").and_then(|n| n.duration(problems)));
    replace(&mut server.idle_timeout, fields.optional("idle_timeout").and_then(|n| n.duration(problems)));
    replace(&mut server.drain, fields.optional("drain").and_then(|n| n.duration(problems)));
    replace(&mut server.deadline, fields.optional("deadline").and_then(|n| n.duration(problems)));
    replace(&mut server.scan, fields.optional("scan").and_then(|n| n.duration(problems)));
    let connections = fields.optional("connections").and_then(|n| n.whole(problems));
    replace(&mut server.connections, connections.map(|n| usize::try_from(n).unwrap_or(usize::MAX)));
    fields.finish(problems);
}

pub(super) fn replace<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn address(node: &Node, problems: &mut Problems) -> Option<SocketAddr> {
    let text = node.text(problems)?;
    let parsed = text.parse().ok();
    if parsed.is_none() {
        problems.add(&node.place, format!("expected an address such as `127.0.0.1:8080`, found `{text}`"));
    }
    parsed
}

fn model_names(node: &Node, problems: &mut Problems) -> ModelNames {
    let mut names = ModelNames::default();
    for (key, value) in node.map(problems).unwrap_or_default() {
        let pattern = key.scalar().unwrap_or_default();
        if pattern == "unknown_model" {
            names.unknown_is_auto = value.one_of(&[("auto", true), ("reject", false)], problems).unwrap_or(false);
        } else if pattern.trim_end_matches('*').contains('*') || pattern.ends_with("**") {
            problems.add(&key.place, format!("`{pattern}`: `*` may stand only once, at the end"));
        } else if let Some(target) = value.text(problems) {
            names.aliases.push((pattern.to_owned(), target.to_owned()));
        }
    }
    names
}

fn named<T>(
    node: &Node,
    problems: &mut Problems,
    read: impl Fn(&str, &mut Fields<'_>, &mut Problems) -> Option<T>,
) -> Vec<T> {
    let mut all = Vec::new();
    for (key, value) in node.map(problems).unwrap_or_default() {
        let Some(mut fields) = Fields::of(value, "this entry", problems) else { continue };
        all.extend(read(key.scalar().unwrap_or_default(), &mut fields, problems));
        fields.finish(problems);
    }
    all
}

fn local_model(name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<LocalModel> {
    let model = fields.required("model", problems).and_then(|n| n.text(problems)).map(str::to_owned);
    let sha256 = fields.optional("sha256").and_then(|n| hash(n, problems));
    let template_sha256 = fields.optional("template_sha256").and_then(|n| hash(n, problems));
    let adapters = fields.optional("adapters").map(|n| adapters(n, problems)).unwrap_or_default();
    let context = fields.optional("context").and_then(|n| small(n, problems)).unwrap_or(4096);
    let sequences = fields.optional("sequences").and_then(|n| small(n, problems)).unwrap_or(4);
    let threads = fields.optional("threads").and_then(|n| small_or_auto(n, problems));
    let gpu_layers = fields.optional("gpu_layers").and_then(|n| small_or_auto(n, problems));
    let devices = fields.optional("devices").map(|n| devices(n, problems)).unwrap_or_default();
    let queue = fields.optional("queue").and_then(|n| n.whole(problems)).unwrap_or(64);
    let prefix_cache = fields.optional("prefix_cache").and_then(|n| n.bytes(problems)).unwrap_or(512 << 20);
    let (on_demand, idle_unload) = load(fields, problems);
    for (number, what) in [(context, "context"), (sequences, "sequences")] {
        if number == 0 {
            problems.add(fields.place(), format!("`{what}` must be at least 1"));
        }
    }
    let (name, queue) = (name.to_owned(), usize::try_from(queue).unwrap_or(usize::MAX));
    Some(LocalModel {
        name,
        model: model?,
        sha256,
        template_sha256,
        adapters,
        context,
        sequences,
        threads,
        gpu_layers,
        devices,
        queue,
        prefix_cache,
        on_demand,
        idle_unload,
    })
}

/// 64 hexadecimal digits, in lower case.
fn hash(node: &Node, problems: &mut Problems) -> Option<String> {
    let digits = node.text(problems)?.to_ascii_lowercase();
    let is_hash = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hash {
        problems.add(&node.place, "expected a SHA-256, 64 hexadecimal digits, as `ajar models check FILE` prints it");
    }
    is_hash.then_some(digits)
}

/// Names, each once.
fn devices(node: &Node, problems: &mut Problems) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for item in node.list(problems).unwrap_or_default() {
        let Some(name) = item.text(problems) else { continue };
        if names.iter().any(|other| other == name) {
            problems.add(&item.place, format!("the device `{name}` is listed twice"));
        }
        names.push(name.to_owned());
    }
    names
}

/// Each is a file, or says how strongly it acts, too.
fn adapters(node: &Node, problems: &mut Problems) -> Vec<Adapter> {
    let entries = node.map(problems).unwrap_or_default();
    entries.iter().filter_map(|(name, value)| adapter(name.scalar().unwrap_or_default(), value, problems)).collect()
}

fn adapter(name: &str, node: &Node, problems: &mut Problems) -> Option<Adapter> {
    let name = name.to_owned();
    if node.scalar().is_some() {
        return Some(Adapter { name, file: node.text(problems)?.into(), scale: 1.0 });
    }
    let mut fields = Fields::of(node, "an adapter", problems)?;
    let file = fields.required("file", problems).and_then(|n| n.text(problems)).map(PathBuf::from);
    let scale = fields.optional("scale").and_then(|n| n.number(problems)).unwrap_or(1.0);
    fields.finish(problems);
    Some(Adapter { name, file: file?, scale: scale as f32 })
}

/// Whether the model is loaded only when somebody asks, and how long it is kept then.
fn load(fields: &mut Fields<'_>, problems: &mut Problems) -> (bool, Option<Duration>) {
    let on_demand = fields.optional("load").and_then(|n| n.one_of(&LOADS, problems)).unwrap_or(false);
    let idle = fields.optional("idle_unload");
    if let Some(node) = idle.filter(|_| !on_demand) {
        let message =
            "`idle_unload` is for a model that is loaded again when somebody asks: set `load: on_demand`, too";
        problems.add(&node.place, message);
    }
    (on_demand, idle.and_then(|n| n.duration(problems)))
}

fn small(node: &Node, problems: &mut Problems) -> Option<u32> {
    node.whole(problems).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

fn small_or_auto(node: &Node, problems: &mut Problems) -> Option<u32> {
    if node.scalar() == Some("auto") { None } else { small(node, problems) }
}

/// Whether a model is loaded only when somebody asks.
const LOADS: [(&str, bool); 2] = [("start", false), ("on_demand", true)];

fn keys(node: &Node, problems: &mut Problems) -> Vec<KeyEntry> {
    let mut keys: Vec<KeyEntry> = Vec::new();
    for item in node.list(problems).unwrap_or_default() {
        let Some(mut fields) = Fields::of(item, "a key", problems) else { continue };
        let key = key(&mut fields, problems);
        fields.finish(problems);
        let Some(key) = key else { continue };
        if keys.iter().any(|k| k.name == key.name || k.hash == key.hash) {
            problems.add(&item.place, format!("the key `{}` or its hash is listed twice", key.name));
        }
        keys.push(key);
    }
    keys
}

fn key(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<KeyEntry> {
    let name = fields.required("name", problems).and_then(|n| n.text(problems)).map(str::to_owned);
    let hash = fields.required("hash", problems).and_then(|n| {
        let text = n.text(problems)?;
        let digits = text.strip_prefix("hmac-sha256:").and_then(|d| hex::decode(d).ok()).filter(|d| d.len() == 32);
        if digits.is_none() {
            problems.add(&n.place, "expected `hmac-sha256:` and 64 hex digits, as `ajar keys new NAME` prints them");
        }
        digits.map(|_| text.to_owned())
    });
    let attributes = fields.optional("attributes").map(|n| attributes(n, problems)).unwrap_or_default();
    let explain = fields.optional("explain").and_then(|n| explain(n, problems)).unwrap_or(Explain::Reason);
    let tenant = fields.optional("tenant").and_then(|n| n.text(problems)).map(str::to_owned);
    let per_minute = fields.optional("requests_per_minute").and_then(|n| at_least_one(n, problems));
    let burst = fields.optional("burst").and_then(|n| at_least_one(n, problems));
    let limit = per_minute.map(|per_minute| RateLimit { per_minute, burst });
    let priorities = Priority::ALL.map(|priority| (priority.name(), priority));
    let priority = fields.optional("priority").and_then(|n| n.one_of(&priorities, problems)).unwrap_or_default();
    Some(KeyEntry { name: name?, hash: hash?, tenant, attributes, explain, limit, priority })
}

fn explain(node: &Node, problems: &mut Problems) -> Option<Explain> {
    node.one_of(&[("none", Explain::None), ("reason", Explain::Reason), ("full", Explain::Full)], problems)
}

fn at_least_one(node: &Node, problems: &mut Problems) -> Option<NonZeroU32> {
    let number = NonZeroU32::new(small(node, problems)?);
    if number.is_none() {
        problems.add(&node.place, "0 would refuse everything; leave it out for no limit");
    }
    number
}

fn attributes(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut attributes = BTreeMap::new();
    for (key, value) in node.map(problems).unwrap_or_default() {
        if let Some(word) = value.text(problems) {
            attributes.insert(key.scalar().unwrap_or_default().to_owned(), word.to_owned());
        }
    }
    attributes
}

fn anonymous(node: &Node, problems: &mut Problems) -> Option<Anonymous> {
    let mut fields = Fields::of(node, "`anonymous`", problems)?;
    let loopback =
        fields.required("allow", problems).and_then(|n| n.one_of(&[("loopback", true), ("none", false)], problems));
    let attributes = fields.optional("attributes").map(|n| attributes(n, problems)).unwrap_or_default();
    let explain = fields.optional("explain").and_then(|n| explain(n, problems)).unwrap_or(Explain::Full);
    fields.finish(problems);
    Some(Anonymous { loopback: loopback?, attributes, explain })
}

fn headers(node: &Node, problems: &mut Problems) -> BTreeMap<String, String> {
    let mut headers = BTreeMap::new();
    for (key, value) in node.map(problems).unwrap_or_default() {
        let name = key.scalar().unwrap_or_default();
        if !name.starts_with("client.") {
            problems.add(
                &key.place,
                format!(
                    "`{name}`: only `client.*` attributes may come from headers, for clients can say anything there"
                ),
            );
            continue;
        }
        if let Some(header) = value.text(problems) {
            headers.insert(name.to_owned(), header.to_ascii_lowercase());
        }
    }
    headers
}

/// How long records and the ledger are kept unless the file says otherwise: half a year.
const RETENTION: Duration = Duration::from_secs(183 * 24 * 3600);

fn record(node: Option<&Node>, problems: &mut Problems) -> Record {
    let mut record = Record {
        path: Some(PathBuf::from("data/ajar.db")),
        retention: RETENTION,
        commit_interval: Duration::from_millis(50),
    };
    if let Some(mut fields) = node.and_then(|n| Fields::of(n, "`record`", problems)) {
        let stores = [("sqlite", true), ("none", false)];
        let kept = fields.optional("store").and_then(|n| n.one_of(&stores, problems)).unwrap_or(true);
        let path = fields.optional("path").and_then(|n| n.text(problems)).map(PathBuf::from);
        record.path = if kept { path.or(record.path) } else { None };
        replace(&mut record.retention, fields.optional("retention").and_then(|n| n.duration(problems)));
        replace(&mut record.commit_interval, fields.optional("commit_interval").and_then(|n| n.duration(problems)));
        fields.finish(problems);
    }
    record
}

/// Its files are beside the record unless something else is said.
fn ledger(node: Option<&Node>, record: Option<&Path>, problems: &mut Problems) -> Ledger {
    let folder = record.and_then(Path::parent).unwrap_or(Path::new("data"));
    let mut ledger = Ledger {
        audit: Mode::BestEffort,
        path: folder.join("ledger.db"),
        key: folder.join("ledger.key"),
        checkpoints: None,
        retention: RETENTION,
    };
    if let Some(mut fields) = node.and_then(|n| Fields::of(n, "`ledger`", problems)) {
        let modes = [Mode::BestEffort, Mode::Required].map(|mode| (mode.name(), mode));
        replace(&mut ledger.audit, fields.optional("audit").and_then(|n| n.one_of(&modes, problems)));
        replace(&mut ledger.path, fields.optional("path").and_then(|n| n.text(problems)).map(PathBuf::from));
        replace(&mut ledger.key, fields.optional("key").and_then(|n| n.text(problems)).map(PathBuf::from));
        ledger.checkpoints = fields.optional("checkpoints").and_then(|n| n.text(problems)).map(PathBuf::from);
        replace(&mut ledger.retention, fields.optional("retention").and_then(|n| n.duration(problems)));
        fields.finish(problems);
    }
    ledger
}

fn cache(node: Option<&Node>, name: &'static str, usual: Cache, problems: &mut Problems) -> Cache {
    let mut cache = usual;
    if let Some(mut fields) = node.and_then(|n| Fields::of(n, name, problems)) {
        replace(&mut cache.memory, fields.optional("memory").and_then(|n| n.bytes(problems)));
        replace(&mut cache.ttl, fields.optional("ttl").and_then(|n| n.duration(problems)));
        fields.finish(problems);
    }
    cache
}

fn pseudonyms(node: Option<&Node>, problems: &mut Problems) -> Pseudonyms {
    let mut pseudonyms = Pseudonyms { ttl: Duration::from_secs(24 * 3600) };
    if let Some(mut fields) = node.and_then(|n| Fields::of(n, "`pseudonyms`", problems)) {
        replace(&mut pseudonyms.ttl, fields.optional("ttl").and_then(|n| n.duration(problems)));
        fields.finish(problems);
    }
    pseudonyms
}
