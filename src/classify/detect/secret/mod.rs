//! Secrets: private-key blocks, web tokens, the vendors' keys, credentials in URLs, headers and commands, and values that
//! look random beside a name that says they are secret.
//!
//! One automaton finds the anchors, in any case; a rule then looks at what stands around the anchor. What is written as a
//! placeholder (`your-api-key`, `xxxx`, `${TOKEN}`) is not a secret.

mod assigned;
mod commands;
mod names;
mod random;
mod structures;
#[cfg(test)]
mod tests;
mod vendors;

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};

use self::names::{NAMES, name_of};
use self::vendors::{FORMATS, vendor_key};
use super::Hit;

/// Finds secrets in folded text.
#[derive(Debug)]
pub struct Secrets {
    anchors: Option<AhoCorasick>,
}

/// Looks at what stands around an anchor.
type Rule = fn(&[u8], Range<usize>) -> Option<Hit>;

/// Anchors that are no vendor's prefix, and their rules.
const STRUCTURES: [(&str, Rule); 4] = [
    ("-----BEGIN", structures::private_key),
    ("eyJ", structures::jwt),
    (".ey", structures::jwt_form),
    (":AA", structures::telegram_token),
];

/// As [`STRUCTURES`], where what follows has no form of its own and the anchor is as good as a name.
const ANNOUNCED: [(&str, Rule); 8] = [
    ("://", structures::url_password),
    ("bearer", structures::authorization),
    ("basic", structures::authorization),
    ("authorization", structures::authorization_header),
    ("curl ", commands::curl_user),
    ("mysql", commands::mysql_password),
    ("sshpass ", commands::sshpass_password),
    ("redis-cli ", commands::redis_password),
];

impl Default for Secrets {
    fn default() -> Self {
        let formats = FORMATS.iter().map(|format| format.prefix);
        let rules = STRUCTURES.iter().chain(&ANNOUNCED).map(|(anchor, _)| *anchor);
        let names = NAMES.iter().flat_map(|(_, words)| words.iter().copied());
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::DFA));
        Self { anchors: builder.build(formats.chain(rules).chain(names)).ok() }
    }
}

impl Secrets {
    /// Whether the automaton could be built; if not, every text is unknown.
    pub fn is_ready(&self) -> bool {
        self.anchors.is_some()
    }

    /// Calls `found` for every secret in `text`; of those that end in one place by a rule of one kind, for the first.
    ///
    /// Without `names`, only for those with a form of their own: what looks random beside a name says nothing where the
    /// text was turned.
    pub fn find(&self, text: &str, names: bool, mut found: impl FnMut(Hit)) {
        let bytes = text.as_bytes();
        let (mut after_form, mut after_name) = (0, 0);
        for anchor in self.anchors.iter().flat_map(|a| a.find_overlapping_iter(bytes)) {
            let (pattern, span) = (anchor.pattern().as_usize(), anchor.start()..anchor.end());
            let is_name = pattern >= FORMATS.len() + STRUCTURES.len() + ANNOUNCED.len();
            let seen = if is_name { &mut after_name } else { &mut after_form };
            if let Some(hit) = around(bytes, pattern, span, names).filter(|hit| hit.span.end > *seen) {
                *seen = hit.span.end;
                found(hit);
            }
        }
    }
}

/// The secret around an anchor, by the rule that its pattern stands for.
fn around(text: &[u8], pattern: usize, anchor: Range<usize>, names: bool) -> Option<Hit> {
    let Some(place) = pattern.checked_sub(FORMATS.len()) else {
        return vendor_key(text, &FORMATS[pattern], anchor);
    };
    if let Some((_, rule)) = STRUCTURES.get(place) {
        return rule(text, anchor);
    }
    let place = place - STRUCTURES.len();
    match ANNOUNCED.get(place) {
        _ if !names => None,
        Some((_, rule)) => rule(text, anchor),
        None => assigned::assigned(text, name_of(place - ANNOUNCED.len()), anchor),
    }
}
