//! Runs the detectors of a policy set over the parts of a request.

use std::time::Duration;

use super::detect::{
    Cluster, DEFAULT_WORDS, Family, Hit, Labels, Secrets, Ssn, card, cluster_at, email_around, iban_at, ipv4_in,
    ipv6_around, phone, ssn, ssn_context,
};
pub use super::detect::{PatternSet, Recognizer};
use super::models::Models;
use super::normalise::Normalised;
use super::{DetectorResult, Finding, Strength, Truth};
use crate::chat::{Part, Source};

/// Most findings a scan lists; the verdicts count all.
pub const MAX_FINDINGS: usize = 256;

/// A detector as a policy declares it.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorSpec {
    /// Its name in the policy: what `finding.<name>` refers to.
    pub name: String,
    /// What it looks for.
    pub kind: DetectorKind,
}

/// What a detector looks for.
#[derive(Clone, Debug, PartialEq)]
pub enum DetectorKind {
    /// Identifiers that a checksum or an issuing rule confirms.
    Checksum(Vec<Recognizer>),
    /// A set of exact patterns.
    Pattern(PatternSet),
    /// Words that mark a document. One with a capital matches as written, one in small letters in any case, and any of
    /// them in any case where it is all of its line.
    Label {
        /// The words.
        words: Vec<String>,
    },
    /// What a model recognises.
    Model(ModelSpec),
    /// What another service recognises.
    External {
        /// How long it may take.
        deadline: Duration,
    },
}

impl DetectorKind {
    /// How much its findings can be relied on.
    pub fn strength(&self) -> Strength {
        match self {
            Self::Checksum(_) | Self::Pattern(_) | Self::Label { .. } => Strength::Deterministic,
            Self::Model(_) | Self::External { .. } => Strength::Statistical,
        }
    }
}

/// A recogniser that is a model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSpec {
    /// Its name and version: `names@1`.
    pub model: String,
    /// What score of an entity counts as a finding. What is not named is not looked for; without any, the model chooses.
    pub thresholds: Vec<(String, f64)>,
    /// How long it may take for a request.
    pub deadline: Option<Duration>,
}

/// What the detectors said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scan {
    /// One verdict a detector, in the order of the specs.
    pub results: Vec<DetectorResult>,
    /// What was found, by part and place; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// Whether findings beyond the limit were left out.
    pub truncated: bool,
}

/// The detectors of a policy set, compiled.
#[derive(Debug)]
pub struct Scanner {
    detectors: usize,
    /// For each family, the detectors that look for it.
    families: [Vec<u16>; Family::COUNT],
    labels: Vec<(u16, Labels)>,
    secrets: Option<Secrets>,
    ssn_context: Option<Labels>,
    /// Detectors that nothing here can run: what they would find is unknown.
    absent: Vec<u16>,
    models: Models,
}

impl Scanner {
    /// Compiles the detectors.
    pub fn new(specs: &[DetectorSpec]) -> Self {
        let mut scanner = Self {
            detectors: specs.len(),
            families: Default::default(),
            labels: Vec::new(),
            secrets: None,
            ssn_context: None,
            absent: Vec::new(),
            models: Models::default(),
        };
        for (index, spec) in (0..=u16::MAX).zip(specs) {
            match &spec.kind {
                DetectorKind::Checksum(recognizers) => recognizers.iter().for_each(|r| scanner.add(r.family(), index)),
                DetectorKind::Pattern(PatternSet::Contact) => scanner.add(Family::Contact, index),
                DetectorKind::Pattern(PatternSet::Secrets) => scanner.add(Family::Secret, index),
                DetectorKind::Pattern(PatternSet::DocumentLabels) => {
                    scanner.labels.push((index, Labels::new(&DEFAULT_WORDS)));
                }
                DetectorKind::Label { words } => scanner.labels.push((index, Labels::new(words))),
                DetectorKind::Model(spec) if scanner.models.add(index, spec) => {}
                DetectorKind::Model(_) | DetectorKind::External { .. } => scanner.absent.push(index),
            }
        }
        scanner.secrets = scanner.wants(Family::Secret).then(Secrets::default);
        scanner.ssn_context = scanner.wants(Family::Ssn).then(ssn_context);
        scanner
    }

    /// Looks at every part, with models too, for however long they take.
    pub fn scan(&self, parts: &[Part<'_>]) -> Scan {
        let mut scan = self.scan_exact(parts);
        self.recognise(parts, &mut scan, &|| true);
        scan
    }

    /// How long the models may take for a request; `None` if there are none.
    pub fn models_deadline(&self) -> Option<Duration> {
        self.models.deadline()
    }

    /// The detectors that are models, by index.
    pub fn models(&self) -> impl Iterator<Item = u16> {
        self.models.detectors()
    }

    /// The second half of a scan: lets the models look, while `go_on` says so.
    ///
    /// A model that was stopped, or broke, and found nothing until then leaves *unknown*.
    pub fn recognise(&self, parts: &[Part<'_>], scan: &mut Scan, go_on: &dyn Fn() -> bool) {
        let looked_at = (0..=u32::MAX).zip(parts).filter(|(_, part)| !is_inline_media(part));
        self.models.look(looked_at, scan, go_on);
    }

    /// The first half of a scan: every detector but the models, whose verdicts are *unknown*.
    ///
    /// A part too long to look at makes every detector that found nothing *unknown*. Inline base64 data of media is not
    /// looked into and changes no verdict: what it may hold is for guards on `uses.image` and its like to judge.
    pub fn scan_exact(&self, parts: &[Part<'_>]) -> Scan {
        let mut collector = Collector::new(self.detectors);
        for (index, part) in (0..=u32::MAX).zip(parts) {
            if !is_inline_media(part) {
                self.scan_part(index, part, &mut collector);
            }
        }
        if !collector.in_context.is_empty() && self.speaks_of_ssn(parts) {
            collector.accept_context();
        }
        let mut scan = collector.finish();
        for detector in &self.absent {
            scan.results[usize::from(*detector)].truth = Truth::Unknown;
        }
        self.models.leave_out(&mut scan);
        scan
    }

    fn speaks_of_ssn(&self, parts: &[Part<'_>]) -> bool {
        let mut spoken_of = false;
        for (labels, part) in self.ssn_context.iter().flat_map(|labels| parts.iter().map(move |part| (labels, part))) {
            if let Some(text) = Normalised::new(&part.text) {
                labels.find(text.text(), |_| spoken_of = true);
            }
        }
        spoken_of
    }

    fn add(&mut self, family: Family, detector: u16) {
        let detectors = &mut self.families[family as usize];
        if !detectors.contains(&detector) {
            detectors.push(detector);
        }
    }

    fn wants(&self, family: Family) -> bool {
        !self.families[family as usize].is_empty()
    }

    fn scan_part(&self, index: u32, part: &Part<'_>, collector: &mut Collector) {
        let Some(text) = Normalised::new(&part.text) else {
            collector.blind = true;
            return;
        };
        let mut sink = Sink { scanner: self, part: index, text: &text, collector };
        self.scan_bytes(text.text().as_bytes(), &mut sink);
        if let Some(secrets) = &self.secrets {
            sink.collector.blind |= !secrets.is_ready();
            secrets.find(text.text(), |hit| sink.found(Family::Secret, hit));
        }
        for (detector, labels) in &self.labels {
            sink.collector.blind |= !labels.is_ready();
            labels.find(text.text(), |hit| sink.found_by(*detector, hit));
        }
    }

    /// One pass that stops only at digits, `@` and `:`.
    fn scan_bytes(&self, text: &[u8], sink: &mut Sink<'_, '_>) {
        let contact = self.wants(Family::Contact);
        if !contact && !self.wants(Family::Card) && !self.wants(Family::Iban) && !self.wants(Family::Ssn) {
            return;
        }
        let (mut at, mut after_ipv6) = (0, 0);
        while let Some(next) = text[at..].iter().position(|b| IS_ANCHOR[usize::from(*b)]) {
            at += next;
            match text[at] {
                b'@' if contact => sink.found_maybe(Family::Contact, email_around(text, at)),
                b':' if contact && at >= after_ipv6 => {
                    let (hit, end) = ipv6_around(text, at);
                    after_ipv6 = end;
                    sink.found_maybe(Family::Contact, hit);
                }
                b'0'..=b'9' => {
                    at = self.scan_digits(text, at, sink);
                    continue;
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// Looks at the digits from `start` on; returns where to go on.
    fn scan_digits(&self, text: &[u8], start: usize, sink: &mut Sink<'_, '_>) -> usize {
        let (cluster, end) = cluster_at(text, start);
        if self.wants(Family::Iban) {
            for group in &cluster.groups {
                let country = group.start.checked_sub(2);
                sink.found_maybe(Family::Iban, country.and_then(|at| iban_at(text, at)));
            }
        }
        if self.wants(Family::Card) && cluster.digit_count() >= 13 {
            card(text, &cluster).into_iter().for_each(|hit| sink.found(Family::Card, hit));
        }
        if self.wants(Family::Ssn) && cluster.digit_count() >= 9 {
            ssn(text, &cluster).into_iter().for_each(|found| sink.found_ssn(found));
        }
        if self.wants(Family::Contact) {
            contact_number(text, &cluster, sink);
        }
        end
    }
}

fn contact_number(text: &[u8], cluster: &Cluster, sink: &mut Sink<'_, '_>) {
    let addresses: Vec<Hit> = cluster.groups.iter().filter_map(|group| ipv4_in(text, group.start)).collect();
    if addresses.is_empty() {
        sink.found_maybe(Family::Contact, phone(text, cluster));
    }
    addresses.into_iter().for_each(|hit| sink.found(Family::Contact, hit));
}

/// Bytes at which [`Scanner::scan_bytes`] stops.
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

fn is_inline_media(part: &Part<'_>) -> bool {
    part.source == Source::Media && is_inline_data(&part.text)
}

/// Whether the text is nothing but base64, with or without the head of a `data:` URL.
fn is_inline_data(text: &str) -> bool {
    let data = match text.strip_prefix("data:").and_then(|rest| rest.split_once(',')) {
        Some((head, data)) if head.ends_with(";base64") && head.len() < 128 => data,
        Some(_) => return false,
        None => text,
    };
    let in_base64 = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'\r' | b'\n');
    data.len() >= 256 && data.bytes().all(in_base64)
}

/// Takes hits of one part to the collector, with their places in the original text.
struct Sink<'s, 'c> {
    scanner: &'s Scanner,
    part: u32,
    text: &'s Normalised<'s>,
    collector: &'c mut Collector,
}

impl Sink<'_, '_> {
    fn found_maybe(&mut self, family: Family, hit: Option<Hit>) {
        hit.into_iter().for_each(|hit| self.found(family, hit));
    }

    fn found(&mut self, family: Family, hit: Hit) {
        for detector in &self.scanner.families[family as usize] {
            self.found_by(*detector, hit.clone());
        }
    }

    fn found_by(&mut self, detector: u16, hit: Hit) {
        let finding = self.finding(detector, hit);
        self.collector.add(finding);
    }

    fn found_ssn(&mut self, found: Ssn) {
        match found {
            Ssn::Certain(hit) => self.found(Family::Ssn, hit),
            Ssn::InContext(hit) => {
                for detector in &self.scanner.families[Family::Ssn as usize] {
                    let finding = self.finding(*detector, hit.clone());
                    self.collector.keep_for_context(finding);
                }
            }
        }
    }

    fn finding(&self, detector: u16, hit: Hit) -> Finding {
        let span = self.text.original(hit.span);
        Finding { detector, entity: hit.entity, part: self.part, span, strength: Strength::Deterministic }
    }
}

struct Collector {
    found: Vec<bool>,
    findings: Vec<Finding>,
    truncated: bool,
    /// Something could not be looked at.
    blind: bool,
    /// Findings that hold only if the request speaks of social security numbers.
    in_context: Vec<Finding>,
}

impl Collector {
    fn new(detectors: usize) -> Self {
        Self {
            found: vec![false; detectors],
            findings: Vec::new(),
            truncated: false,
            blind: false,
            in_context: Vec::new(),
        }
    }

    fn add(&mut self, finding: Finding) {
        self.found[usize::from(finding.detector)] = true;
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.truncated = true;
        }
    }

    fn keep_for_context(&mut self, finding: Finding) {
        if self.in_context.len() < MAX_FINDINGS {
            self.in_context.push(finding);
        }
    }

    fn accept_context(&mut self) {
        for finding in std::mem::take(&mut self.in_context) {
            self.add(finding);
        }
    }

    fn finish(mut self) -> Scan {
        self.findings.sort_by(|a, b| order(a).cmp(&order(b)));
        self.findings.dedup();
        let unseen = if self.blind { Truth::Unknown } else { Truth::False };
        let verdict = |found: bool| DetectorResult { truth: if found { Truth::True } else { unseen } };
        let results = self.found.into_iter().map(verdict).collect();
        Scan { results, findings: self.findings, truncated: self.truncated }
    }
}

fn order(finding: &Finding) -> (u32, usize, usize, u16, &str) {
    (finding.part, finding.span.start, finding.span.end, finding.detector, finding.entity)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::normalise::MAX_BYTES;
    use super::*;

    fn scanner() -> Scanner {
        let spec = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
        let checksum = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
        Scanner::new(&[
            spec("identifier", DetectorKind::Checksum(checksum)),
            spec("contact", DetectorKind::Pattern(PatternSet::Contact)),
            spec("secret", DetectorKind::Pattern(PatternSet::Secrets)),
            spec("label", DetectorKind::Pattern(PatternSet::DocumentLabels)),
        ])
    }

    fn user(text: &str) -> Part<'_> {
        Part { source: Source::User, text: text.into() }
    }

    fn truths(scan: &Scan) -> Vec<Truth> {
        scan.results.iter().map(|r| r.truth).collect()
    }

    #[test]
    fn each_detector_has_its_verdict_and_findings_name_detector_and_part() {
        let scan = scanner().scan(&[user("hello"), user("CONFIDENTIAL 4111111111111111")]);
        assert_eq!(truths(&scan), [Truth::True, Truth::False, Truth::False, Truth::True]);
        let places: Vec<_> = scan.findings.iter().map(|f| (f.detector, f.part, f.span.clone())).collect();
        assert_eq!(places, [(3, 1, 0..12), (0, 1, 13..29)]);
    }

    #[test]
    fn a_part_too_long_to_look_at_makes_false_unknown_and_leaves_true() {
        let long = "x".repeat(MAX_BYTES + 1);
        let scan = scanner().scan(&[user(&long), user("4111111111111111")]);
        assert_eq!(truths(&scan), [Truth::True, Truth::Unknown, Truth::Unknown, Truth::Unknown]);
        let grows = "\u{FDFA}".repeat(MAX_BYTES / 20);
        assert_eq!(truths(&scanner().scan(&[user(&grows)]))[0], Truth::Unknown);
    }

    #[test]
    fn two_detectors_of_one_kind_both_report() {
        let spec = |name: &str| DetectorSpec {
            name: name.to_owned(),
            kind: DetectorKind::Checksum(vec![Recognizer::PanLuhn]),
        };
        let scan = Scanner::new(&[spec("a"), spec("b")]).scan(&[user("4111111111111111")]);
        assert_eq!((truths(&scan), scan.findings.len()), (vec![Truth::True; 2], 2));
    }

    #[test]
    fn inline_media_is_passed_over_but_links_are_scanned() {
        let media = |text: String| scanner().scan(&[Part { source: Source::Media, text: text.into() }]);
        let data = "4111111111111111".repeat(40);
        assert_eq!(media(format!("data:image/png;base64,{data}")).findings.len(), 0);
        assert_eq!(media(format!("data:text/plain,{data} a@b.com")).results[1].truth, Truth::True);
        assert_eq!(media(format!("data:image/png;base64,{data}!a@b.com")).results[1].truth, Truth::True);
        assert_eq!(media("https://example.com/?to=jane@example.com".to_owned()).results[1].truth, Truth::True);
    }

    #[test]
    fn findings_are_bounded_and_verdicts_are_not() {
        let many = format!("{} CONFIDENTIAL", "a@b.com ".repeat(MAX_FINDINGS + 10));
        let scan = scanner().scan(&[user(&many)]);
        assert_eq!((scan.findings.len(), scan.truncated), (MAX_FINDINGS, true));
        assert_eq!(scan.results[3].truth, Truth::True);
    }

    #[test]
    fn texts_that_repeat_an_anchor_are_scanned_to_the_end() {
        for unit in [
            "1 ",
            "@",
            "eyJ",
            "a:",
            "://",
            "-----BEGIN PRIVATE KEY-----",
            "password=",
            "4111 1111 ",
            "DE89",
            "\u{E0041}",
            ":AA",
        ] {
            let text = unit.repeat((256 << 10) / unit.len());
            scanner().scan(&[user(&text)]);
        }
    }

    /// Text in which findings are likely.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "\\PC{0,12}",
            "[0-9 .@:+-]{1,20}",
            Just("4111 1111 1111 1111".to_owned()),
            Just("jane@example.com".to_owned()),
            Just("536-22-8714".to_owned()),
            Just("CONFIDENTIAL".to_owned()),
            Just("４１１１\u{200B}１１１１１１１１１１１１".to_owned()),
            Just("password: hunter22".to_owned()),
            Just("\u{E0041}\u{E0040}é".to_owned()),
        ];
        proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join(" "))
    }

    proptest! {
        #[test]
        fn spans_are_whole_characters_inside_their_part(text in text()) {
            for finding in scanner().scan(&[user(&text)]).findings {
                prop_assert!(text.get(finding.span.clone()).is_some_and(|t| !t.is_empty()), "{finding:?}");
            }
        }

        #[test]
        fn another_part_removes_no_finding(a in text(), b in text()) {
            let alone = scanner().scan(&[user(&a)]);
            let both = scanner().scan(&[user(&a), user(&b)]);
            prop_assert!(alone.findings.iter().all(|f| both.findings.contains(f)));
            for (alone, both) in alone.results.iter().zip(&both.results) {
                prop_assert!(!alone.truth.is_true() || both.truth.is_true());
            }
        }

        #[test]
        fn any_string_is_scanned(text in any::<String>()) {
            scanner().scan(&[user(&text)]);
        }
    }
}
