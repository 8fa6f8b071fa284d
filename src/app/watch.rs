//! Reloads when a file changes.
//!
//! Folders are watched and not files, since editors and configuration systems replace files by renaming others over
//! them, and folders by moving links. Their parents are watched too, for the folders themselves may be replaced.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use super::load::Elsewhere;
use crate::config::{Config, Credential, Provider};
use crate::pipeline::Gateway;
use crate::policy::WORD_LIST;

/// After a change, nothing may change for so long before files are read: several are often written together.
const QUIET: Duration = Duration::from_millis(200);
/// Yet what keeps changing is read after this long.
const PATIENCE: Duration = Duration::from_secs(2);

/// Notices changes from the moment it is made; so it is made before anything is read.
pub struct Watch {
    tell: mpsc::Sender<()>,
    told: mpsc::Receiver<()>,
    /// `None` where files cannot be watched.
    watching: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches what the configuration names.
    pub fn new(config: &Config) -> Self {
        let (tell, told) = mpsc::channel(1);
        Self { watching: observe(config, tell.clone()), tell, told }
    }

    /// Reloads whenever the configuration, a policy or a provider's credential changes, until the gateway stops or this is dropped.
    pub async fn run(mut self, gateway: Arc<Gateway>) {
        while self.told.recv().await.is_some() {
            settle(&mut self.told).await;
            // Watched anew, for folders may have been replaced, and before it is read: what changes in between is seen.
            let (watched, tell) = (gateway.clone(), self.tell.clone());
            let anew = tokio::task::spawn_blocking(move || observe(&watched.config, tell)).await;
            self.watching = anew.ok().flatten();
            if gateway.reloads.ask().await.is_none() {
                return;
            }
        }
    }
}

async fn settle(told: &mut mpsc::Receiver<()>) {
    let latest = Instant::now() + PATIENCE;
    while let Ok(Ok(Some(()))) = timeout_at(latest, timeout(QUIET, told.recv())).await {}
}

fn observe(config: &Config, tell: mpsc::Sender<()>) -> Option<RecommendedWatcher> {
    let started = Targets::of(config).watch(tell);
    if let Err(error) = &started {
        tracing::warn!(%error, "Files are not watched; SIGHUP and `POST /api/reload` still reload.");
    }
    started.ok()
}

/// What is watched.
#[derive(Debug, Default)]
struct Targets {
    folders: BTreeSet<PathBuf>,
    /// Of what is not a policy file, the names that matter.
    names: BTreeSet<OsString>,
}

impl Targets {
    /// Of what the configuration says now, or said when the process started.
    fn of(config: &Config) -> Self {
        let policies = config.again().map_or_else(|_| config.policies.clone(), |later| later.policies);
        let mut targets = Self::default();
        targets.add(&config.file);
        targets.add_credentials(&config.providers);
        let compared = targets.add_set(&policies);
        for folder in compared {
            targets.add_set(&folder);
        }
        targets
    }

    /// Adds the folder of a set and its list of prices, and returns what it is compared with.
    fn add_set(&mut self, folder: &Path) -> Vec<PathBuf> {
        let Elsewhere { folders, prices } = Elsewhere::of(folder);
        self.add(folder);
        self.folders.insert(folder.to_owned());
        prices.iter().for_each(|file| self.add(file));
        folders
    }

    fn add_credentials(&mut self, providers: &[Provider]) {
        for credential in providers.iter().flat_map(|provider| &provider.credentials) {
            if let Credential::File(path) = credential {
                self.add(path);
            }
        }
    }

    fn add(&mut self, path: &Path) {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        self.folders.insert(parent.unwrap_or(Path::new(".")).to_owned());
        self.names.extend(path.file_name().map(ToOwned::to_owned));
    }

    fn watch(self, tell: mpsc::Sender<()>) -> notify::Result<RecommendedWatcher> {
        let Self { folders, names } = self;
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| matters(&event, &names)) {
                // A full channel has told already.
                let _ = tell.try_send(());
            }
        })?;
        let mut watched = Err(notify::Error::generic("no folder can be watched"));
        for folder in &folders {
            // One that is not there appears in its parent, which is watched too.
            watched = watched.or(watcher.watch(folder, RecursiveMode::NonRecursive));
        }
        watched.map(|()| watcher)
    }
}

fn matters(event: &Event, names: &BTreeSet<OsString>) -> bool {
    // Reading the files is an event as well, and must not lead to reading them again.
    let changes = !matches!(event.kind, EventKind::Access(_));
    changes && (event.need_rescan() || event.paths.iter().any(|path| is_ours(path, names)))
}

fn is_ours(path: &Path, names: &BTreeSet<OsString>) -> bool {
    let is_policy = path.extension().is_some_and(|e| e == "yaml" || e == "yml" || e == WORD_LIST);
    // Kubernetes replaces mounted files by moving the link `..data`.
    let is_mount = path.file_name().is_some_and(|name| name == "..data");
    is_policy || is_mount || path.file_name().is_some_and(|name| names.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_policies_the_configuration_and_replaced_folders_matter() {
        let mut targets = Targets::default();
        targets.add(Path::new("ajar.conf"));
        targets.add(Path::new("sets/default"));
        assert_eq!(targets.folders, [PathBuf::from("."), PathBuf::from("sets")].into());
        let ours = |path: &str| is_ours(Path::new(path), &targets.names);
        assert!(["a/p.yaml", "a/p.yml", "./ajar.conf", "sets/default", "sets/default/..data"].into_iter().all(ours));
        assert!(!["ajar.db", "ajar.db-wal", "sets/default/.p.yaml.swp", "sets/other"].into_iter().any(ours));
    }
}
