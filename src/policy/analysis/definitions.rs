//! What two sets mean by the same name.

use humantime::format_duration;

use super::diff::Change;
use crate::classify::DetectorKind;
use crate::govern::Price;
use crate::policy::PolicySet;
use crate::policy::cases::DEFAULT_TOKENS;
use crate::policy::set::{Boundary, Budget, Conversations, Destination, KnownBy};

/// Definitions that differ in ways that no request shows.
pub(super) fn compare(old: &PolicySet, new: &PolicySet) -> Vec<Change> {
    let mut changes = Vec::new();
    for destination in &new.destinations {
        if let Some(id) = old.destination_named(&destination.name) {
            changes.extend(moved(old.destination(id), destination));
        }
    }
    for detector in &new.detectors {
        let known = old.detectors.iter().find(|known| known.name == detector.name);
        changes.extend(known.and_then(|known| redefined(&detector.name, &known.kind, &detector.kind)));
        changes.extend(relabelled(&detector.name, old, new));
    }
    for destination in &new.destinations {
        changes.extend(reestimated(&destination.name, old, new));
        changes.extend(repriced(&destination.name, old, new));
    }
    changes.extend(forgotten(&old.conversations, &new.conversations));
    for budget in &new.budgets {
        let known = old.budgets.iter().find(|known| known.id == budget.id);
        changes.extend(known.and_then(|known| rebudgeted(known, budget)));
    }
    changes
}

/// Where content goes under this name.
fn moved(old: &Destination, new: &Destination) -> Option<Change> {
    let mut differences = Vec::new();
    for property in Destination::PROPERTIES {
        let (before, after) = (old.property(property), new.property(property));
        if before != after {
            let (before, after) = (before.unwrap_or("nothing"), after.unwrap_or("nothing"));
            differences.push(format!("`{property}` {before} became {after}"));
        }
    }
    if differences.is_empty() {
        return None;
    }
    let message = format!("`{}` is another destination: {}", new.name, differences.join(", "));
    let widens = new.boundary == Boundary::External;
    Some(Change { id: format!("moves/{}", new.name), widens, message, request: None })
}

/// A detector that recognises more only restricts; anything else may miss what was found before.
fn redefined(name: &str, old: &DetectorKind, new: &DetectorKind) -> Option<Change> {
    if old == new {
        return None;
    }
    let grows = match (old, new) {
        (DetectorKind::Checksum(old), DetectorKind::Checksum(new)) => old.iter().all(|known| new.contains(known)),
        (DetectorKind::Label { words: old }, DetectorKind::Label { words: new }) => {
            old.iter().all(|known| new.contains(known))
        }
        (
            DetectorKind::Dictionary { words: old, as_written: old_case },
            DetectorKind::Dictionary { words: new, as_written: new_case },
        ) => (old_case == new_case || !new_case) && old.iter().all(|known| new.contains(known)),
        // Fewer languages that pass are more that are found.
        (DetectorKind::Language { usual: old }, DetectorKind::Language { usual: new }) => {
            new.iter().all(|usual| old.contains(usual))
        }
        _ => false,
    };
    let message = match grows {
        true => format!("the detector `{name}` recognises more than before"),
        false => format!("the detector `{name}` is defined otherwise, and may miss what it found before"),
    };
    Some(Change { id: format!("redefines/{name}"), widens: !grows, message, request: None })
}

/// A detector that no longer goes by a header or an attribute may miss what was labelled.
fn relabelled(name: &str, old: &PolicySet, new: &PolicySet) -> Option<Change> {
    let label = |set: &PolicySet| -> Option<(Option<String>, Option<String>)> {
        let detector = set.detectors.iter().position(|detector| detector.name == name)?;
        let label = set.labels.iter().find(|label| label.detector == detector)?;
        Some((label.header.clone(), label.key.clone()))
    };
    let before = label(old).filter(|before| label(new).as_ref() != Some(before))?;
    let (header, key) = (before.0.unwrap_or_default(), before.1.unwrap_or_default());
    let message = format!("the detector `{name}` no longer goes by the same labels (header `{header}`, key `{key}`)");
    Some(Change { id: format!("relabels/{name}"), widens: true, message, request: None })
}

/// A guess only chooses.
fn reestimated(name: &str, old: &PolicySet, new: &PolicySet) -> Option<Change> {
    let guess = |set: &PolicySet| set.assumed_quality(set.destination_named(name)?);
    let (before, after) = (guess(old), guess(new));
    let told = |guess: Option<f64>| guess.map_or("nothing".to_owned(), |guess| guess.to_string());
    let message = format!("p_ok of `{name}` is assumed to be {} instead of {}", told(after), told(before));
    (before != after).then(|| Change { id: format!("estimates/{name}"), widens: false, message, request: None })
}

/// A price says what something costs, not what may be spent.
fn repriced(name: &str, old: &PolicySet, new: &PolicySet) -> Option<Change> {
    let price = |set: &PolicySet| set.destination_named(name).and_then(|id| set.destination(id).price);
    let (before, after) = (price(old)?, price(new)?);
    let message = format!("the price of `{name}` is another: {} instead of {}", usual(after), usual(before));
    (before != after).then(|| Change { id: format!("prices/{name}"), widens: false, message, request: None })
}

fn usual(price: Price) -> String {
    format!("${} for {DEFAULT_TOKENS} tokens in and out", price.worst_case(DEFAULT_TOKENS, DEFAULT_TOKENS))
}

/// A conversation that is known by less, or for a shorter time, loses a class that it rose to.
fn forgotten(old: &Conversations, new: &Conversations) -> Vec<Change> {
    let change = |id: &str, widens: bool, message: String| Change { id: id.to_owned(), widens, message, request: None };
    let mut changes = Vec::new();
    for (word, by) in KnownBy::ALL {
        match (old.by.contains(&by), new.by.contains(&by)) {
            (true, false) => {
                let message = format!("conversations are no longer known by `{word}`");
                changes.push(change(&format!("forgets/{word}"), true, message));
            }
            (false, true) => {
                let message = format!("conversations are also known by `{word}`");
                changes.push(change(&format!("remembers/{word}"), false, message));
            }
            (true, true) | (false, false) => {}
        }
    }
    if old.ttl != new.ttl && old.are_kept() && new.are_kept() {
        let (before, after) = (format_duration(old.ttl), format_duration(new.ttl));
        let message = format!("what conversations rose to is kept for {after} instead of {before}");
        changes.push(change("remembers/ttl", new.ttl < old.ttl, message));
    }
    changes
}

fn rebudgeted(old: &Budget, new: &Budget) -> Option<Change> {
    let id = format!("rebudgets/{}", new.id);
    if (&old.per, old.window) != (&new.per, new.window) {
        let message = format!("the budget `{}` counts over another scope or window", new.id);
        return Some(Change { id, widens: true, message, request: None });
    }
    if old.limit == new.limit {
        return None;
    }
    let message = format!("the budget `{}` allows ${} instead of ${}", new.id, new.limit.as_usd(), old.limit.as_usd());
    Some(Change { id, widens: new.limit > old.limit, message, request: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(words: &[&str], as_written: bool) -> DetectorKind {
        DetectorKind::Dictionary { words: words.iter().map(|word| (*word).to_owned()).collect(), as_written }
    }

    #[test]
    fn a_dictionary_grows_by_words_and_by_matching_in_any_case() {
        let old = dictionary(&["Nightjar"], true);
        let widens = |new: DetectorKind| redefined("names", &old, &new).map(|change| change.widens);
        assert_eq!(widens(dictionary(&["Nightjar"], true)), None);
        assert_eq!(widens(dictionary(&["Falconer", "Nightjar"], true)), Some(false));
        assert_eq!(widens(dictionary(&["Nightjar"], false)), Some(false));
        assert_eq!(widens(dictionary(&["Falconer"], true)), Some(true));
        let any = redefined("names", &dictionary(&["Nightjar"], false), &old);
        assert_eq!(any.map(|change| change.widens), Some(true));
    }
}
