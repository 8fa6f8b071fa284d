//! Runs the detectors over one folded text.

use std::ops::Range;

use super::detect::{
    Candidate, Cluster, Contexts, DEFAULT_WORDS, Hit, Labels, Lists, Named, Nationals, Secrets, btc_address, card,
    email_around, eth_address, iban_at, ipv4_in, ipv6_around, is_named, mac_around, mac_at, phone, ssn,
};
use super::languages::{Foreign, Languages};
use super::scan::{DetectorKind, DetectorSpec};
use super::signals::Entity;
use crate::classify::{PatternSet, Recognizer};

/// The detectors of a policy set, compiled.
#[derive(Debug)]
pub struct Detectors {
    /// For each entity that a checksum confirms, the detectors that look for it.
    checksums: Vec<(Entity, Vec<u16>)>,
    wants: Wants,
    nationals: Nationals,
    contact: Vec<u16>,
    secret: Vec<u16>,
    secrets: Option<Secrets>,
    labels: Lists,
    languages: Languages,
    contexts: Contexts,
}

/// No secret with what it is known by has fewer bytes.
const SHORTEST_SECRET: usize = 8;

/// Fewest digits of a telephone number; identifiers have more.
const FEWEST_DIGITS: usize = 7;

/// Numbers of an IPv4 address.
const IPV4_GROUPS: usize = 4;

/// How far before a telephone number a word may stand that names it; bytes.
const PHONE_REACH: usize = 32;

/// What is looked for at digits.
#[derive(Debug, Default)]
struct Wants {
    card: bool,
    iban: bool,
    ssn: bool,
    btc: bool,
    eth: bool,
}

/// What kind of text is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lens {
    /// As it was sent, or decoded.
    Whole,
    /// Put together from single characters: words have no limits.
    Loose,
    /// Turned round or shifted: what has no checksum would be found by chance.
    Turned,
    /// Shifted, and looked at only for what has letters.
    Shifted,
}

impl Detectors {
    /// Compiles the detectors.
    pub fn new(specs: &[DetectorSpec]) -> Self {
        let mut detectors = Self {
            checksums: Vec::new(),
            wants: Wants::default(),
            nationals: Nationals::default(),
            contact: Vec::new(),
            secret: Vec::new(),
            secrets: None,
            labels: Lists::default(),
            languages: Languages::default(),
            contexts: Contexts::new(&[]),
        };
        let mut named = Vec::new();
        for (index, spec) in (0..=u16::MAX).zip(specs) {
            detectors.add(index, &spec.kind, &mut named);
        }
        detectors.secrets = (!detectors.secret.is_empty()).then(Secrets::default);
        detectors.contexts = Contexts::new(&named);
        detectors
    }

    fn add(&mut self, index: u16, kind: &DetectorKind, named: &mut Vec<(Entity, &'static [&'static str])>) {
        match kind {
            DetectorKind::Checksum(recognizers) => {
                for recognizer in recognizers {
                    self.recognizer(*recognizer, index);
                    named.push(recognizer.entity());
                }
            }
            DetectorKind::Pattern(PatternSet::Contact) => self.contact.push(index),
            DetectorKind::Pattern(PatternSet::Secrets) => self.secret.push(index),
            DetectorKind::Pattern(PatternSet::DocumentLabels) => {
                self.labels.add(index, Labels::new(&DEFAULT_WORDS));
            }
            DetectorKind::Label { words } => self.labels.add(index, Labels::new(words)),
            DetectorKind::Dictionary { words, as_written } => {
                self.labels.add(index, Labels::dictionary(words, *as_written));
            }
            DetectorKind::Language { usual } => self.languages.add(index, usual),
            // These look by themselves, after the others.
            DetectorKind::Model(_) | DetectorKind::External { .. } => {}
        }
    }

    fn recognizer(&mut self, recognizer: Recognizer, index: u16) {
        match recognizer {
            Recognizer::PanLuhn => self.wants.card = true,
            Recognizer::IbanMod97 => self.wants.iban = true,
            Recognizer::UsSsn => self.wants.ssn = true,
            Recognizer::BtcAddress => self.wants.btc = true,
            Recognizer::EthAddress => self.wants.eth = true,
            Recognizer::National(national) => self.nationals.add(national),
        }
        let (entity, _) = recognizer.entity();
        match self.checksums.iter_mut().find(|(known, _)| *known == entity) {
            Some((_, owners)) if owners.contains(&index) => {}
            Some((_, owners)) => owners.push(index),
            None => self.checksums.push((entity, vec![index])),
        }
    }

    /// Whether everything could be compiled; if not, no text can be said to hold nothing.
    pub fn are_ready(&self) -> bool {
        let secrets = self.secrets.as_ref().is_none_or(Secrets::is_ready);
        secrets && self.labels.are_ready() && self.contexts.is_ready()
    }

    /// What of `text` is in another language than it should; of the text as it was sent, for folding drops accents.
    pub fn foreign(&self, text: &str) -> Vec<Foreign> {
        self.languages.look(text)
    }

    /// Calls `spoken` for every entity that `text` names.
    pub fn contexts(&self, text: &str, spoken: impl FnMut(Entity)) {
        self.contexts.find(text, spoken);
    }

    /// Calls `found` for everything in `text` with the detector that looks for it.
    pub fn look(&self, text: &str, lens: Lens, found: &mut dyn FnMut(u16, Candidate)) {
        let bytes = text.as_bytes();
        self.anchors(bytes, lens, &|span, words| is_named(bytes, span, words), found);
        if let Some(secrets) = self.secrets.as_ref().filter(|_| text.len() >= SHORTEST_SECRET) {
            secrets.find(text, lens != Lens::Turned, |hit| report(&self.secret, &Candidate::Certain(hit), found));
        }
        self.labels.find(text, lens == Lens::Loose, |detector, hit| found(detector, Candidate::Certain(hit)));
    }

    /// Calls `found` for what can be found in a text that was turned, by itself or where a word names it.
    pub fn look_turned(&self, text: &str, lens: Lens, named: &Named<'_>, found: &mut dyn FnMut(Range<usize>)) {
        self.anchors(text.as_bytes(), lens, named, &mut |_, candidate| {
            let (Candidate::Certain(hit) | Candidate::InContext(hit)) = candidate;
            found(hit.span);
        });
        if let Some(secrets) = &self.secrets {
            secrets.find(text, false, |hit| found(hit.span));
        }
    }

    /// Whether US social security numbers are looked for.
    pub fn looks_for_ssn(&self) -> bool {
        self.wants.ssn
    }

    fn checked(&self, candidate: &Candidate, found: &mut dyn FnMut(u16, Candidate)) {
        let (Candidate::Certain(hit) | Candidate::InContext(hit)) = candidate;
        if let Some((_, owners)) = self.checksums.iter().find(|(entity, _)| *entity == hit.entity) {
            report(owners, candidate, found);
        }
    }

    /// One pass that stops only at digits, `@` and `:`.
    fn anchors(&self, text: &[u8], lens: Lens, named: &Named<'_>, found: &mut dyn FnMut(u16, Candidate)) {
        if self.checksums.is_empty() && self.contact.is_empty() {
            return;
        }
        let contact: &[u16] = if matches!(lens, Lens::Turned | Lens::Shifted) { &[] } else { &self.contact };
        let (mut at, mut after_ipv6) = (0, 0);
        let mut cluster = Cluster::default();
        while let Some(next) = text[at..].iter().position(|b| IS_ANCHOR[usize::from(*b)]) {
            at += next;
            match text[at] {
                b'@' => report_maybe(contact, email_around(text, at), found),
                b':' if !contact.is_empty() && at >= after_ipv6 => {
                    let (hit, end) = ipv6_around(text, at);
                    after_ipv6 = end;
                    report_maybe(contact, hit.or_else(|| mac_at(text, at)), found);
                }
                b'0'..=b'9' => {
                    let end = cluster.read(text, at);
                    if may_be_something(text, &cluster) {
                        self.cluster(text, &cluster, lens, named, found);
                    }
                    at = end;
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// What digits are, by themselves or with the letters beside them.
    fn cluster(
        &self,
        text: &[u8],
        cluster: &Cluster,
        lens: Lens,
        named: &Named<'_>,
        found: &mut dyn FnMut(u16, Candidate),
    ) {
        self.words(text, cluster, named, found);
        if lens != Lens::Shifted {
            self.numbers(text, cluster, named, found);
        }
        if !self.contact.is_empty() && matches!(lens, Lens::Whole | Lens::Loose) {
            numbers_of_contact(text, cluster, |hit| report_maybe(&self.contact, Some(hit), found));
        }
    }

    /// What a checksum confirms among these digits and the letters beside them.
    fn words(&self, text: &[u8], cluster: &Cluster, named: &Named<'_>, found: &mut dyn FnMut(u16, Candidate)) {
        for group in &cluster.groups {
            let start = group.start;
            let mut certain = |hit: Option<Hit>| {
                hit.into_iter().for_each(|hit| self.checked(&Candidate::Certain(hit), found));
            };
            if self.wants.iban {
                certain(start.checked_sub(2).and_then(|at| iban_at(text, at)));
            }
            if self.wants.btc && matches!(text[start], b'1' | b'3') {
                certain(btc_address(text, start));
            }
            if self.wants.eth && text[start] == b'0' {
                eth_address(text, start, named).into_iter().for_each(|candidate| self.checked(&candidate, found));
            }
        }
        self.nationals.words(text, cluster, named, |candidate| self.checked(&candidate, found));
    }

    /// What a checksum confirms among these digits.
    fn numbers(&self, text: &[u8], cluster: &Cluster, named: &Named<'_>, found: &mut dyn FnMut(u16, Candidate)) {
        let digits = cluster.digit_count();
        if self.wants.card && digits >= 13 {
            card(text, cluster).into_iter().for_each(|hit| self.checked(&Candidate::Certain(hit), found));
        }
        if self.wants.ssn && digits >= 9 {
            ssn(text, cluster).iter().for_each(|candidate| self.checked(candidate, found));
        }
        self.nationals.numbers(text, cluster, named, |candidate| self.checked(&candidate, found));
    }
}

fn report(owners: &[u16], candidate: &Candidate, found: &mut dyn FnMut(u16, Candidate)) {
    owners.iter().for_each(|owner| found(*owner, candidate.clone()));
}

fn report_maybe(owners: &[u16], hit: Option<Hit>, found: &mut dyn FnMut(u16, Candidate)) {
    hit.into_iter().for_each(|hit| report(owners, &Candidate::Certain(hit), found));
}

fn numbers_of_contact(text: &[u8], cluster: &Cluster, mut found: impl FnMut(Hit)) {
    let dots =
        |groups: &&[Range<usize>]| groups.windows(2).all(|g| g[0].end + 1 == g[1].start && text[g[0].end] == b'.');
    let dotted = cluster.groups.windows(IPV4_GROUPS).filter(dots);
    let addresses: Vec<Hit> = dotted.filter_map(|groups| ipv4_in(text, groups[0].start)).collect();
    let first = &cluster.groups[0];
    let beside = |b: Option<&u8>| b.is_some_and(|b| *b == b'-' || b.is_ascii_hexdigit());
    let dashed = beside(text.get(first.end)) || beside(first.start.checked_sub(1).map(|at| &text[at]));
    match dashed.then(|| mac_around(text, first.start)).flatten() {
        Some(hit) => found(hit),
        None if addresses.is_empty() && may_be_phone(text, cluster) => {
            phone(text, cluster).into_iter().for_each(&mut found);
        }
        None => {}
    }
    addresses.into_iter().for_each(found);
}

/// Whether digits have some sign of a telephone number: a mark before them, three groups, or words.
fn may_be_phone(text: &[u8], cluster: &Cluster) -> bool {
    let start = cluster.span().start;
    let before = &text[start.saturating_sub(PHONE_REACH)..start];
    let marked = matches!(before.last(), Some(b'+' | b'(')) || text[start] == b'0' || cluster.groups.len() > 2;
    // Counting them all is faster than to stop at the first.
    marked || before.iter().filter(|b| b.is_ascii_alphabetic()).count() > 0
}

/// Whether there are enough digits for a number of somebody's, or signs beside them that make something of fewer.
fn may_be_something(text: &[u8], cluster: &Cluster) -> bool {
    let Range { start, end } = cluster.span();
    let beside = &text[start.saturating_sub(2)..text.len().min(end + 2)];
    let sign = |b: &u8| b.is_ascii_alphabetic() || *b == b'.';
    cluster.digit_count() >= FEWEST_DIGITS || beside.iter().any(sign)
}

/// Bytes at which [`Detectors::anchors`] stops.
const IS_ANCHOR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = b'0';
    while byte <= b'9' {
        table[byte as usize] = true;
        byte += 1;
    }
    table[b'@' as usize] = true;
    table[b':' as usize] = true;
    table
};
