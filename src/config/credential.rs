//! Where credentials stand: in the environment or in files, never in the configuration.

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;

use crate::yaml::{Fields, Node, Problems, Shape};

/// Where one credential of a provider stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// In an environment variable, which stays as it is while the process runs.
    Env(String),
    /// In a file, which is read again when it changes.
    File(PathBuf),
}

impl Credential {
    /// The token as it stands there now.
    ///
    /// # Errors
    /// Why there is none, without its value.
    pub fn read(&self) -> Result<SecretString, String> {
        match self {
            Self::Env(name) => match std::env::var(name) {
                Ok(token) if !token.trim().is_empty() => Ok(SecretString::from(token.trim().to_owned())),
                _ => Err(format!("{self} is not set")),
            },
            Self::File(path) => match std::fs::read_to_string(path) {
                Ok(token) if !token.trim().is_empty() => Ok(SecretString::from(token.trim().to_owned())),
                Ok(_) => Err(format!("{self} is empty")),
                Err(error) => Err(format!("{self} cannot be read: {error}")),
            },
        }
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "the environment variable `{name}`"),
            Self::File(path) => write!(f, "the file `{}`", path.display()),
        }
    }
}

/// One credential, or a list of them.
pub(super) fn credentials(node: &Node, problems: &mut Problems) -> Option<Vec<Credential>> {
    let Shape::List(items) = &node.shape else { return Some(vec![credential(node, problems)?]) };
    let read: Vec<_> = items.iter().filter_map(|item| credential(item, problems)).collect();
    for (i, credential) in read.iter().enumerate() {
        if read[..i].contains(credential) {
            problems.add(&node.place, format!("{credential} is listed twice"));
        }
    }
    if items.is_empty() {
        problems.add(&node.place, "an empty list is no credential; leave it out where the provider wants none");
    }
    (read.len() == items.len()).then_some(read)
}

fn credential(node: &Node, problems: &mut Problems) -> Option<Credential> {
    let mut fields = Fields::of(node, "`credential`", problems)?;
    let variable = fields.optional("env").and_then(|n| n.text(problems));
    let file = fields.optional("file").and_then(|n| n.text(problems));
    fields.finish(problems);
    match (variable, file) {
        (Some(variable), None) => Some(Credential::Env(variable.to_owned())),
        (None, Some(file)) => Some(Credential::File(file.into())),
        _ => {
            let message =
                "a credential is either `{ env: NAME }` or `{ file: PATH }`, or a list of these; never write it here";
            problems.add(&node.place, message);
            None
        }
    }
}
