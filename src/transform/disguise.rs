//! All that must be done to a request's body before it may go where its class alone would not let it.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::kind::Kind;
use super::replace::{Replaced, replace, verify};
use super::rescan::{Check, Unclean, Verdict, rescan, texts};
use super::restore::Restorer;
use super::vault::{Entry, Full, Vault};
use crate::chat::{Json, Part};
use crate::classify::{Encoding, Finding, Scan, Scanner};
use crate::dialect::Dialect;
use crate::dialect::edit::{self, Edits};
use crate::policy::{Style, Transform, TransformSet};

/// How often what the rescan finds is given pseudonyms, too, before the body counts as one that cannot be made clean.
const MAX_ROUNDS: usize = 3;

/// What detectors found in a request, as text: it lives as long as the request, and shows nothing.
#[derive(Default)]
pub struct Originals {
    found: Vec<(Zeroizing<String>, Kind)>,
    /// Not all of it is here.
    incomplete: bool,
}

impl Originals {
    /// Adds what a scan found in `parts`: each finding, and those that overlap also as one.
    pub fn add(&mut self, parts: &[Part<'_>], scan: &Scan) {
        self.incomplete |= scan.truncated;
        let whole = united(&scan.findings);
        for (kind, text) in texts(parts, &scan.findings).chain(texts(parts, &whole)) {
            self.found.push((Zeroizing::new(text), kind));
        }
    }
}

/// Findings that overlap, each group as one; `findings` are in order of part and place.
fn united(findings: &[Finding]) -> Vec<Finding> {
    let mut united: Vec<Finding> = Vec::new();
    for finding in findings.iter().filter(|finding| finding.encoding != Encoding::Split) {
        match united.last_mut() {
            Some(last) if last.part == finding.part && finding.span.start < last.span.end => {
                last.span.end = last.span.end.max(finding.span.end);
            }
            _ => united.push(finding.clone()),
        }
    }
    united
}

/// How to make one request's body fit for one destination.
pub struct Disguise<'a> {
    /// What the request is written in.
    pub dialect: Dialect,
    /// What must be done.
    pub transforms: TransformSet,
    /// The conversation's pseudonyms.
    pub vault: &'a Vault,
    /// What they look like.
    pub style: Style,
    /// What was found in the request.
    pub originals: &'a Originals,
    /// The policy sets that have a say in what is clean.
    pub checks: Vec<Check<'a>>,
    /// The tenant.
    pub scope: &'a str,
    /// Whether a scanner's models may go on looking.
    pub go_on: &'a dyn Fn(&Scanner) -> bool,
}

/// A body that is fit to leave.
pub struct Outgoing {
    /// The bytes.
    pub body: Vec<u8>,
    /// Puts back in the answer what was replaced in this body, if anything was.
    pub restorer: Option<Arc<Restorer>>,
    /// How many originals were replaced.
    pub replaced: u32,
}

/// Why a body cannot be made fit to leave. Nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransformError {
    /// More was found than is kept of findings, so it is not known what to replace.
    #[error("the request holds more findings than can be replaced")]
    TooMany,
    /// There is no room for its pseudonyms.
    #[error(transparent)]
    Full(#[from] Full),
    /// The body with pseudonyms is not the classified one with pseudonyms: a bug in ajar.
    #[error("the body with pseudonyms differs from what was classified")]
    Unfaithful,
    /// The engine in this process takes requests as they came.
    #[error("the embedded engine is given no transformed request")]
    Embedded,
    /// The rescan says no.
    #[error(transparent)]
    Unclean(#[from] Unclean),
}

impl TransformError {
    /// The code kept in records and told to clients.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooMany => "too_many_findings",
            Self::Full(Full) => "pseudonyms_full",
            Self::Unfaithful => "egress_refused",
            Self::Embedded => "transform_unavailable",
            Self::Unclean(_) => "rescan_not_clean",
        }
    }
}

impl Disguise<'_> {
    /// The client's `body` with pseudonyms where they are asked for and with `edits`, found clean.
    ///
    /// What the rescan finds, where models see other names now that the first are gone, gets pseudonyms as well, and the
    /// next body is looked at in the same way.
    ///
    /// # Errors
    /// See [`TransformError`].
    pub fn apply(&self, body: &[u8], edits: &Edits) -> Result<Outgoing, TransformError> {
        let replaces = self.transforms.contains(Transform::Pseudonymize);
        let text = std::str::from_utf8(body).map_err(|_| TransformError::Unfaithful)?;
        let original = Json::parse(body).map_err(|_| TransformError::Unfaithful)?;
        if replaces {
            self.vault_found(text)?;
        }
        let mut unclean = Unclean::Original;
        for _ in 0..MAX_ROUNDS {
            let Replaced { body, used, count } = match replaces {
                true => self.replaced(text, &original)?,
                false => Replaced { body: body.to_vec(), used: Vec::new(), count: 0 },
            };
            let body = edited(self.dialect, &body, edits)?;
            match rescan(self.dialect, &body, &used, &self.vault.search(), &self.checks, self.scope, self.go_on) {
                Verdict::Clean => {
                    let restorer = Restorer::new(used).map(Arc::new);
                    return Ok(Outgoing { body, restorer, replaced: count });
                }
                Verdict::Unclean(why, left) => unclean = self.vault_left(why, left, replaces, text)?,
            }
        }
        Err(unclean.into())
    }

    fn vault_found(&self, body: &str) -> Result<(), TransformError> {
        if self.originals.incomplete {
            return Err(TransformError::TooMany);
        }
        for (original, kind) in &self.originals.found {
            self.token(self.style, *kind, original, body)?;
        }
        Ok(())
    }

    /// Gives what the rescan found pseudonyms; an error where that is no use.
    fn vault_left(
        &self,
        why: Unclean,
        left: Vec<(Kind, String)>,
        replaces: bool,
        body: &str,
    ) -> Result<Unclean, TransformError> {
        if !replaces || left.is_empty() {
            return Err(why.into());
        }
        for (kind, text) in left {
            self.token(self.style, kind, &Zeroizing::new(text), body)?;
        }
        Ok(why)
    }

    fn token(&self, style: Style, kind: Kind, original: &str, body: &str) -> Result<Arc<Entry>, Full> {
        self.vault.token(style, kind, original, &|token| body.contains(token))
    }

    fn replaced(&self, text: &str, original: &Json<'_>) -> Result<Replaced, TransformError> {
        let mut issue = |style, kind, what: &str| self.token(style, kind, what, text);
        let replaced = replace(text, original, &self.vault.search(), self.style, &mut issue)?;
        let again = Json::parse(&replaced.body).map_err(|_| TransformError::Unfaithful)?;
        match verify(original, &again, &replaced.used) {
            true => Ok(replaced),
            false => Err(TransformError::Unfaithful),
        }
    }
}

/// The body with `edits`, proved to differ in nothing else.
fn edited(dialect: Dialect, body: &[u8], edits: &Edits) -> Result<Vec<u8>, TransformError> {
    let json = Json::parse(body).map_err(|_| TransformError::Unfaithful)?;
    // A pseudonym where the dialect knows only certain words makes it another request: none that can be sent.
    let points = dialect.decode(body, &json).map_err(|_| Unclean::Unreadable)?.edits;
    let edited = edit::apply(body, &points, edits);
    edit::verify(&json, &edited, edits).map_err(|_| TransformError::Unfaithful)?;
    Ok(edited)
}
