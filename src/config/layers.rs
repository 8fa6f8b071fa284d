//! Environment variables and flags over the file.

use std::collections::HashMap;
use std::sync::Arc;

use config::{Environment, Map, Source, Value, ValueKind};

use crate::yaml::{Node, Place, Problems, Shape};

/// Values from the command line, by dotted path: `server.listen` to `0.0.0.0:8080`.
pub type Overrides = Vec<(String, String)>;

const PREFIX: &str = "AJAR";
const SEPARATOR: &str = "__";

/// Puts `AJAR__SECTION__KEY` variables and `overrides` into the tree read from the file, in this order.
pub(super) fn apply(root: &mut Node, overrides: &Overrides, problems: &mut Problems) {
    let environment = Environment::with_prefix(PREFIX).prefix_separator(SEPARATOR).separator(SEPARATOR);
    match environment.collect() {
        Ok(values) => tables(root, values, &mut Vec::new()),
        Err(error) => problems.add(&Place::whole("the environment"), error.to_string()),
    }
    for (path, text) in overrides {
        let place = Place::whole(Arc::from(format!("flag for `{path}`")));
        set(root, &path.split('.').map(str::to_owned).collect::<Vec<_>>(), text.clone(), place);
    }
}

fn tables(root: &mut Node, values: Map<String, Value>, path: &mut Vec<String>) {
    let sorted: std::collections::BTreeMap<_, _> = HashMap::into_iter(values).collect();
    for (key, value) in sorted {
        path.extend(key.split('.').map(str::to_owned));
        let depth = key.split('.').count();
        match value.kind {
            ValueKind::Table(inner) => tables(root, inner, path),
            other => {
                let variable = format!("{PREFIX}{SEPARATOR}{}", path.join(SEPARATOR).to_uppercase());
                let place = Place::whole(Arc::from(format!("environment variable {variable}")));
                set(root, path, other.to_string(), place);
            }
        }
        path.truncate(path.len() - depth);
    }
}

/// Sets the scalar at `path`, making maps on the way.
fn set(node: &mut Node, path: &[String], text: String, place: Place) {
    let Some((first, rest)) = path.split_first() else {
        *node = Node { place, shape: Shape::Scalar { text, plain: true } };
        return;
    };
    if !matches!(node.shape, Shape::Map(_)) {
        node.shape = Shape::Map(Vec::new());
    }
    let Shape::Map(entries) = &mut node.shape else { return };
    let at = entries.iter().position(|(key, _)| key.scalar() == Some(first)).unwrap_or_else(|| {
        let key = Node { place: place.clone(), shape: Shape::Scalar { text: first.clone(), plain: true } };
        entries.push((key, Node { place: place.clone(), shape: Shape::Null }));
        entries.len() - 1
    });
    set(&mut entries[at].1, rest, text, place);
}
