//! Policies and keys from their files, checked against the configuration.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{StartError, serves};
use crate::chat::Priority;
use crate::classify::{DetectorKind, DetectorSpec, names};
use crate::config::Config;
use crate::govern::{Budget, Keyring, Ledger, Pepper, Per, PriceList, Subject, Window};
use crate::pipeline::{Generation, Policy, Trial};
use crate::policy::rollout::{Mode, Rollout};
use crate::policy::{self, PolicySet, set};
use crate::yaml::{Place, Problems, did_you_mean, parse};

/// The name under which requests without a key are recorded.
const ANONYMOUS: &str = "anonymous";

/// The policies that the configuration names: the set in force, and one that is tried beside it.
pub struct Sets {
    /// The set in force.
    pub in_force: PolicySet,
    /// The set that is only tried, and how.
    pub on_trial: Option<(PolicySet, Rollout)>,
}

/// Loads the policy set that the configuration names, and checks it against the configuration. Whether it is in force or
/// only tried is not its matter: see [`load_sets`].
///
/// # Errors
/// Every mistake at once, or the file that cannot be read.
pub fn load_policy(config: &Config) -> Result<PolicySet, StartError> {
    checked(config, &config.policies)
}

/// Loads the policy set that the configuration names and, where that is only tried, the set that is in force meanwhile.
///
/// # Errors
/// Every mistake at once, or the file that cannot be read.
pub fn load_sets(config: &Config) -> Result<Sets, StartError> {
    let named = load_policy(config)?;
    let Some(rollout) = named.rollout.clone().filter(|rollout| rollout.mode != Mode::Enforce) else {
        return Ok(Sets { in_force: named, on_trial: None });
    };
    let in_force = checked(config, &compared_with(&config.policies, &rollout))?;
    if let Some(other) = in_force.rollout.as_ref().filter(|other| other.mode != Mode::Enforce) {
        let mut problems = Problems::new();
        let message = "this set is itself only tried, so it cannot be the one in force meanwhile; set `mode: enforce`";
        problems.add(&other.place, message);
        return Err(problems.into());
    }
    Ok(Sets { in_force, on_trial: Some((named, rollout)) })
}

/// The folder of the set that is in force while the one in `folder` is tried.
pub(super) fn compared_with(folder: &Path, rollout: &Rollout) -> PathBuf {
    // The loader demands it of every set that is only tried.
    folder.join(rollout.compare_with.as_deref().unwrap_or_default())
}

/// What the set in `folder` names elsewhere, whatever else is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    /// Folders of sets that it is compared with.
    pub(super) folders: Vec<PathBuf>,
    /// Its list of prices.
    pub(super) prices: Option<PathBuf>,
}

impl Elsewhere {
    pub(super) fn of(folder: &Path) -> Self {
        let sources = read_policies(folder).unwrap_or_default();
        let compared = |source: &policy::Source| {
            let root = parse(&source.file, &source.text).ok()?;
            Some(folder.join(root.get("rollout")?.get("compare_with")?.scalar()?))
        };
        let folders = sources.iter().filter_map(compared).collect();
        Self { folders, prices: policy::price_file(&sources).map(|file| folder.join(&file.path)) }
    }
}

/// Sets with what is built from them.
pub(super) struct Compiled {
    pub(super) policy: Arc<Policy>,
    pub(super) trial: Option<Trial>,
}

impl Sets {
    /// Builds detectors.
    pub(super) fn compile(self) -> Compiled {
        let policy = Arc::new(Policy::new(self.in_force));
        let trial = self.on_trial.map(|(set, rollout)| Trial::new(set, rollout, &policy));
        Compiled { policy, trial }
    }
}

/// What is in force when the process starts.
///
/// # Errors
/// Every mistake at once, or the file that cannot be read.
pub(super) fn first_generation(config: &Config) -> Result<Generation, StartError> {
    let Compiled { policy, trial } = load_sets(config)?.compile();
    let keys = keyring(config, None)?;
    let on_trial = trial.as_ref().map(|trial| budgets(&trial.policy.set)).unwrap_or_default();
    let ledger = Ledger::empty().successor(budgets(&policy.set), on_trial);
    Ok(Generation { policy, trial, keys, entries: config.keys.clone(), ledger })
}

/// The budgets of a set, as the ledger knows them.
pub(super) fn budgets(set: &PolicySet) -> Vec<Budget> {
    set.budgets.iter().map(budget).collect()
}

fn checked(config: &Config, folder: &Path) -> Result<PolicySet, StartError> {
    let set = load_set(folder)?;
    let mut problems = Problems::new();
    cross_check(config, &set, folder, &mut problems);
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
        return Err(file_error(io::Error::new(ErrorKind::NotFound, "the folder has no `*.yaml` policy")));
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
fn cross_check(config: &Config, set: &PolicySet, folder: &Path, problems: &mut Problems) {
    for destination in set.destinations.iter().filter(|d| d.is_model()) {
        check_destination(config, destination, problems);
    }
    let place = Place::whole(config.file.display().to_string());
    let policies = Place::whole(folder.display().to_string());
    set.detectors.iter().for_each(|detector| check_detector(detector, &policies, problems));
    for (pattern, target) in &config.models.aliases {
        let models = || set.destinations.iter().filter(|d| d.is_model()).map(|d| d.name.as_str());
        if target != "auto" && models().all(|name| name != target) {
            let hint = did_you_mean(target, models());
            let message =
                format!("`models`: `{pattern}` stands for `{target}`, which is no destination that answers{hint}");
            problems.add(&place, message);
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
        | DetectorKind::Dictionary { .. }
        | DetectorKind::Language { .. } => {}
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
    let content = std::fs::read(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => StartError::Pepper(format!(
            "`{}` is not there, and the keys of the configuration are hashed under it; restore it, or make all keys anew \
             by `ajar keys new NAME`",
            path.display()
        )),
        _ => StartError::File { path: path.to_owned(), error },
    })?;
    Pepper::new(&content).map_err(|weak| StartError::Pepper(weak.to_string()))
}

/// The keyring of the configuration; given the `previous` one, limits that are unchanged go on counting.
///
/// # Errors
/// Every key that is wrong, or the pepper.
pub(super) fn keyring(config: &Config, previous: Option<&Keyring>) -> Result<Keyring, StartError> {
    let pepper = if config.keys.is_empty() {
        // Nothing is hashed under it.
        Pepper::generate().map_err(|error| StartError::Pepper(error.to_string()))?
    } else {
        read_pepper(&config.pepper)?
    };
    Keyring::build(&config.keys, pepper, previous).map_err(|errors| {
        let mut problems = Problems::new();
        let place = Place::whole(config.file.display().to_string());
        errors.iter().for_each(|error| problems.add(&place, error.to_string()));
        problems.into()
    })
}

/// The secret under which conversations are known: made of the pepper, so that it outlives the process where there is one.
///
/// # Errors
/// When there is neither a pepper nor randomness.
pub(super) fn conversation_secret(config: &Config) -> Result<[u8; 32], StartError> {
    let pepper = match read_pepper(&config.pepper) {
        Ok(pepper) => pepper,
        // Keys that need it were refused before.
        Err(_) => Pepper::generate().map_err(|error| StartError::Pepper(error.to_string()))?,
    };
    Ok(pepper.derive("ajar conversations v1"))
}

/// Whom requests without a key count as.
pub(super) fn anonymous(config: &Config) -> Subject {
    Subject {
        name: ANONYMOUS.into(),
        tenant: ANONYMOUS.into(),
        attributes: Arc::new(config.anonymous.attributes.clone()),
        explain: config.anonymous.explain,
        limiter: None,
        priority: Priority::default(),
    }
}
