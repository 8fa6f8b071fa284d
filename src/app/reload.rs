//! Replaces policies, keys and budgets while the gateway serves: all of it, or nothing. Credentials of providers are read
//! again whatever becomes of that: an old one may be worth nothing any more.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::StartError;
use super::load::{Compiled, budgets, keyring, load_sets};
use crate::config::Config;
use crate::govern::{Budget, KeyEntry, Keyring, Price, Spend};
use crate::pipeline::{Answer, Gateway, Generation, Reload, Trial};
use crate::policy::PolicySet;
use crate::record::Records;

/// How long a reload waits for the record.
const FLUSHING: Duration = Duration::from_secs(10);

/// Reloads whenever somebody asks, one at a time. One reload answers everybody who asked before it began.
pub(super) async fn serve(gateway: Arc<Gateway>, mut work: mpsc::Receiver<Answer>) {
    while let Some(first) = work.recv().await {
        let mut waiting = vec![first];
        while let Ok(next) = work.try_recv() {
            waiting.push(next);
        }
        let reload = Arc::new(reload(&gateway).await);
        gateway.reloads.done(reload.clone());
        gateway.metrics.reloaded(&reload);
        tell(&reload);
        for answer in waiting {
            // Whoever asked may have left.
            let _ = answer.send(reload.clone());
        }
    }
}

/// Everything read and checked, before it is put in force.
struct Next {
    compiled: Compiled,
    keys: Keyring,
    entries: Vec<KeyEntry>,
}

async fn reload(gateway: &Arc<Gateway>) -> Reload {
    let (at, reader) = (format!("{:.3}", Timestamp::now()), gateway.clone());
    // Files are read, and policies tested and proved: that may take seconds.
    let reading = tokio::task::spawn_blocking(move || (reader.dispatcher.read_credentials(), read(&reader)));
    let (mut renewed, (ignored, next)) = reading.await.unwrap_or_else(|panic| {
        let (path, error) = (gateway.config.file.clone(), io::Error::other(format!("reading failed: {panic}")));
        (Vec::new(), (Vec::new(), Err(StartError::File { path, error })))
    });
    let replaced = match next {
        Ok(next) => replace(gateway, next).await,
        Err(error) => Err(error),
    };
    let (ok, changed, errors) = match replaced {
        Ok(changed) => (true, changed, Vec::new()),
        Err(error) => (false, Vec::new(), told(&error, &ignored)),
    };
    renewed.extend(changed);
    let policy = gateway.generation.load().policy.set.digest.clone();
    Reload { at, ok, policy, changed: renewed, ignored, errors }
}

/// Every error, and what may look like there but is not in this process.
fn told(error: &StartError, ignored: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = error.to_string().lines().map(str::to_owned).collect();
    if !ignored.is_empty() {
        lines.push(format!(
            "these changes of the configuration are not in force, they need a restart: {}",
            ignored.join(", ")
        ));
    }
    lines
}

/// Reads the configuration again and, as far as a running process can take it over, what it names. Also returns the
/// changes that need a restart.
fn read(gateway: &Gateway) -> (Vec<String>, Result<Next, StartError>) {
    let later = match gateway.config.again() {
        Ok(later) => later,
        Err(problems) => return (Vec::new(), Err(problems.into())),
    };
    let config = gateway.config.with_reloadable(&later);
    (gateway.config.ignored_changes(&later), check(gateway, config))
}

fn check(gateway: &Gateway, config: Config) -> Result<Next, StartError> {
    let compiled = load_sets(&config)?.compile();
    let keys = keyring(&config, Some(&gateway.generation.load().keys))?;
    Ok(Next { compiled, keys, entries: config.keys })
}

/// Puts `next` in force where it is different from what is, and says how.
async fn replace(gateway: &Gateway, next: Next) -> Result<Vec<String>, StartError> {
    let Next { compiled: Compiled { policy, trial }, keys, entries } = next;
    let current = gateway.generation.load_full();
    let mut changed = Vec::new();
    if policy.names.digest != current.policy.names.digest {
        let (old, new) = (&current.policy.set, &policy.set);
        let digests = (old.short_digest(), new.short_digest());
        changed.push(format!("policy: `{}` {} to `{}` {}", old.name, digests.0, new.name, digests.1));
    }
    if changed.is_empty() && prices(&current.policy.set) != prices(&policy.set) {
        changed.push("prices: the list is another".to_owned());
    }
    let (old, new) = (described(current.trial.as_ref()), described(trial.as_ref()));
    if old != new {
        changed.push(format!("rollout: {old} to {new}"));
    }
    changed.extend(changed_keys(&current.entries, &entries));
    if changed.is_empty() {
        return Ok(changed);
    }
    let in_force = budgets(&policy.set);
    let on_trial = trial.as_ref().map(|trial| budgets(&trial.policy.set)).unwrap_or_default();
    let now = Timestamp::now();
    let past = past(gateway, &current, in_force.iter().chain(&on_trial), now).await?;
    // From here on nothing can fail: a ledger that is made is one in force.
    let ledger = current.ledger.successor(in_force, on_trial);
    ledger.restore(past, now);
    gateway.generation.store(Arc::new(Generation { policy, trial, keys, entries, ledger }));
    gateway.metrics.policies_loaded(now);
    Ok(changed)
}

/// They stand in a file that the set's digest does not cover.
fn prices(set: &PolicySet) -> Vec<Option<Price>> {
    set.destinations.iter().map(|destination| destination.price).collect()
}

fn described(trial: Option<&Trial>) -> String {
    let Some(Trial { policy, rollout, .. }) = trial else { return "none".to_owned() };
    let share = format!("{} {}% by {}", rollout.mode.name(), rollout.percent, rollout.by.name());
    format!("{share} of `{}` {}", policy.set.name, policy.set.short_digest())
}

fn changed_keys(old: &[KeyEntry], new: &[KeyEntry]) -> Vec<String> {
    let find = |keys: &[KeyEntry], name: &str| keys.iter().find(|key| key.name == name).cloned();
    let arrived = new.iter().filter_map(|key| match find(old, &key.name) {
        None => Some(format!("key `{}`: added", key.name)),
        Some(before) => (before != *key).then(|| format!("key `{}`: changed", key.name)),
    });
    let left =
        old.iter().filter(|key| find(new, &key.name).is_none()).map(|key| format!("key `{}`: removed", key.name));
    arrived.chain(left).collect()
}

/// What was spent in the windows of budgets that are new: the record knows, once all that is queued is written.
async fn past<'a>(
    gateway: &Gateway,
    current: &Generation,
    budgets: impl IntoIterator<Item = &'a Budget>,
    now: Timestamp,
) -> Result<Vec<Spend>, StartError> {
    let Some(since) = current.ledger.unknown_since(budgets, now) else { return Ok(Vec::new()) };
    let (Some(recorder), Some(path)) = (&gateway.recorder, &gateway.config.record.path) else { return Ok(Vec::new()) };
    if timeout(FLUSHING, recorder.flush()).await.is_err() {
        let error =
            io::Error::new(io::ErrorKind::TimedOut, "what was spent is not written yet, so no new budget can know it");
        return Err(StartError::File { path: path.clone(), error });
    }
    let mut records = Records::open(path).await?;
    let spent = records.spend_since(since).await?;
    records.close().await?;
    Ok(spent)
}

fn tell(reload: &Reload) {
    for path in &reload.ignored {
        tracing::warn!(path, "A change of the configuration needs a restart and is ignored until then.");
    }
    for problem in &reload.errors {
        tracing::error!(problem, "A reload was refused; what was in force stays in force.");
    }
    let policy = &reload.policy[..12.min(reload.policy.len())];
    for changed in &reload.changed {
        tracing::info!(policy, changed, "Reloaded.");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::chat::Priority;
    use crate::govern::Explain;

    fn key(name: &str, explain: Explain) -> KeyEntry {
        let (hash, attributes) = (format!("hmac-sha256:{name}"), BTreeMap::new());
        KeyEntry {
            name: name.to_owned(),
            hash,
            tenant: None,
            attributes,
            explain,
            limit: None,
            priority: Priority::default(),
        }
    }

    #[test]
    fn keys_that_came_changed_and_left_are_named() {
        let old = [key("stays", Explain::Full), key("changes", Explain::Full), key("leaves", Explain::Full)];
        let new = [key("comes", Explain::Full), key("changes", Explain::None), key("stays", Explain::Full)];
        assert_eq!(changed_keys(&old, &new), ["key `comes`: added", "key `changes`: changed", "key `leaves`: removed"]);
    }
}
