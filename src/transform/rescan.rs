//! Looks at the outgoing bytes as if a client had sent them, and says whether they are clean.
//!
//! *Clean* means: every detector of every policy set that has a say could look, the class by the rules that classified the
//! request is at most what the way down promises, and no original of the conversation is found, be it folded, encoded to
//! depth two, or across parts. The pseudonyms that were put in are left out: a surrogate looks like a name.

use std::borrow::Cow;
use std::sync::Arc;

use aho_corasick::AhoCorasick;

use super::kind::Kind;
use super::replace::Search;
use super::vault::Entry;
use crate::chat::{Json, Part};
use crate::classify::{Encoding, Finding, Scan, Scanner, Truth};
use crate::dialect::Dialect;
use crate::policy::facts::seen_again;
use crate::policy::{Class, Facts, PolicySet, class_of};

/// Stands for a pseudonym while detectors look: no word, and nothing that figures continue across.
const LEFT_OUT: &str = " | ";

/// A policy set that has a say in what is clean.
pub struct Check<'a> {
    /// The set.
    pub set: &'a PolicySet,
    /// Its detectors.
    pub scanner: &'a Scanner,
    /// The request's facts, as it came.
    pub facts: &'a Facts,
    /// What headers and key say to each detector, whatever the body says.
    pub labels: &'a [Truth],
    /// What the body must count as at most.
    pub to: Class,
}

/// Why a body is not clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclean {
    /// It is no request any more.
    #[error("the body cannot be read again")]
    Unreadable,
    /// A detector could not look.
    #[error("a detector could not look at the outgoing body")]
    Unknown,
    /// Its class is too high.
    #[error("the class of the outgoing body is too high")]
    Class,
    /// Something that has a pseudonym stands in it.
    #[error("the outgoing body holds what has a pseudonym")]
    Original,
}

/// What a rescan says.
pub enum Verdict {
    /// The body may go.
    Clean,
    /// Not as it is. This is what was found: with pseudonyms for it too, the next body may be clean.
    Unclean(Unclean, Vec<(Kind, String)>),
}

/// Looks at `body`, in which `used` are left out. Models look as long as `go_on` says so.
pub fn rescan(
    dialect: Dialect,
    body: &[u8],
    used: &[Arc<Entry>],
    search: &Search,
    checks: &[Check<'_>],
    scope: &str,
    go_on: &dyn Fn(&Scanner) -> bool,
) -> Verdict {
    let unreadable = || Verdict::Unclean(Unclean::Unreadable, Vec::new());
    let Ok(json) = Json::parse(body) else { return unreadable() };
    let Ok(decoded) = dialect.decode(body, &json) else { return unreadable() };
    let Ok(tokens) = AhoCorasick::new(used.iter().map(|entry| &entry.token)) else { return unreadable() };
    let parts: Vec<Part<'_>> = decoded.parts.iter().map(|part| without(&tokens, part)).collect();
    let mut left = Vec::new();
    let mut unclean = None;
    for check in checks {
        let (verdict, scan) = check.look(&parts, scope, go_on);
        if let Some(why) = verdict {
            unclean = unclean.or(Some(why));
            left.extend(texts(&parts, &scan.findings));
        }
    }
    let originals = search.dictionary.scan_exact(scope, &parts);
    if !search.is_ready() || originals.results.iter().any(|result| result.truth != Truth::False) {
        unclean = unclean.or(Some(Unclean::Original));
        left.extend(texts(&parts, &originals.findings));
    }
    unclean.map_or(Verdict::Clean, |why| Verdict::Unclean(why, left))
}

impl Check<'_> {
    fn look(&self, parts: &[Part<'_>], scope: &str, go_on: &dyn Fn(&Scanner) -> bool) -> (Option<Unclean>, Scan) {
        let mut scan = self.scanner.scan_exact(scope, parts);
        self.scanner.recognise(parts, &mut scan, &|| go_on(self.scanner));
        let verdicts: Vec<Truth> = scan.results.iter().zip(self.labels).map(|(r, label)| r.truth | *label).collect();
        let facts = seen_again(self.set, self.facts, &verdicts, scan.uninspectable);
        let unclean = if verdicts.contains(&Truth::Unknown) || scan.truncated {
            Some(Unclean::Unknown)
        } else {
            (class_of(self.set, &facts) > self.to).then_some(Unclean::Class)
        };
        (unclean, scan)
    }
}

fn without<'p>(tokens: &AhoCorasick, part: &'p Part<'_>) -> Part<'p> {
    if !tokens.is_match(part.text.as_ref()) {
        return Part { source: part.source, text: Cow::Borrowed(&part.text) };
    }
    let mut text = String::with_capacity(part.text.len());
    tokens.replace_all_with(&part.text, &mut text, |_, _, text| {
        text.push_str(LEFT_OUT);
        true
    });
    Part { source: part.source, text: Cow::Owned(text) }
}

/// What findings stand on, without what was left out between. What lies across parts begins in one that may hold only
/// a word of it, or the name of a field: there is nothing to replace.
pub fn texts<'f>(parts: &'f [Part<'_>], findings: &'f [Finding]) -> impl Iterator<Item = (Kind, String)> + 'f {
    findings.iter().filter(|finding| finding.encoding != Encoding::Split).flat_map(|finding| {
        let text = parts.get(finding.part as usize).and_then(|part| part.text.get(finding.span.clone()));
        let pieces = text.unwrap_or_default().split('|').map(str::trim);
        pieces
            .filter(|piece| piece.contains(char::is_alphanumeric))
            .map(|piece| (Kind::of(finding.entity), piece.to_owned()))
    })
}
