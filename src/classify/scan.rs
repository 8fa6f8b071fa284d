//! Runs the detectors of a policy set over the parts of a request.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::decode::Encoding;
pub use super::detect::{PatternSet, Recognizer};
use super::joints::{Joint, joints};
use super::languages::{Foreign, Language};
use super::look::Detectors;
use super::memo::Memo;
use super::models::Models;
use super::normalise::Normalised;
pub use super::read::MAX_FINDINGS;
use super::read::{Reading, Seen, read};
use super::signals::Entity;
use super::{DetectorResult, Finding, Strength, Truth};
use crate::chat::{Part, Source};

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
    /// An organisation's names: of customers, projects, products.
    Dictionary {
        /// The names.
        words: Vec<String>,
        /// Whether a name matches only in the case in which it is written here.
        as_written: bool,
    },
    /// Prose in any other language than these.
    Language {
        /// The languages that people use here.
        usual: Vec<Language>,
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
            Self::Checksum(_) | Self::Pattern(_) | Self::Label { .. } | Self::Dictionary { .. } => {
                Strength::Deterministic
            }
            Self::Language { .. } | Self::Model(_) | Self::External { .. } => Strength::Statistical,
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
    /// Whether the request holds what no detector can look into: media, or a long stretch that says nothing readable.
    pub uninspectable: bool,
    /// Whether it was stopped before all was looked at.
    pub stopped: bool,
}

/// The detectors of a policy set, compiled, with a memory for texts they have seen.
#[derive(Debug)]
pub struct Scanner {
    count: usize,
    detectors: Detectors,
    memo: Option<Memo>,
    models: Models,
    /// Detectors that nothing here can run: what they would find is unknown.
    absent: Vec<u16>,
}

impl Scanner {
    /// Compiles the detectors.
    pub fn new(specs: &[DetectorSpec]) -> Self {
        Self { memo: Memo::new(), ..Self::forgetful(specs) }
    }

    /// Compiles the detectors, and remembers no text that they have seen: for those that do not live long.
    pub fn forgetful(specs: &[DetectorSpec]) -> Self {
        let mut models = Models::default();
        let mut absent = Vec::new();
        for (index, spec) in (0..=u16::MAX).zip(specs) {
            match &spec.kind {
                DetectorKind::Model(spec) if models.add(index, spec) => {}
                DetectorKind::Model(_) | DetectorKind::External { .. } => absent.push(index),
                _ => {}
            }
        }
        Self { count: specs.len(), detectors: Detectors::new(specs), memo: None, models, absent }
    }

    /// Looks at every part, with models too, for however long they take.
    pub fn scan(&self, parts: &[Part<'_>]) -> Scan {
        let mut scan = self.scan_exact("", parts);
        self.recognise(parts, &mut scan, &|| true);
        scan
    }

    /// What is known of a request at which nobody looked: nothing.
    pub fn unknown(&self) -> Scan {
        let results = vec![DetectorResult { truth: Truth::Unknown }; self.count];
        Scan { results, uninspectable: true, stopped: true, ..Scan::default() }
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

    /// The first half of a scan: every detector but the models, whose verdicts are *unknown*, over every part, and over
    /// what the ends of neighbouring parts make together.
    ///
    /// `scope` is a tenant: what is remembered of its texts speeds up nobody else's. A part too long to look at, or with
    /// more layers of encoding than the budget allows, makes every detector that found nothing *unknown*. Inline base64
    /// data of media is not looked into and changes no verdict: that is for guards on `uses.image`,
    /// `uses.uninspectable` and their like to judge.
    pub fn scan_exact(&self, scope: &str, parts: &[Part<'_>]) -> Scan {
        self.scan_exact_while(scope, parts, &|| true)
    }

    /// As [`Self::scan_exact`], for as long as `go_on` says so, which is asked a few times for each part. A detector that
    /// found nothing until then is *unknown*.
    pub fn scan_exact_while(&self, scope: &str, parts: &[Part<'_>], go_on: &dyn Fn() -> bool) -> Scan {
        let mut collector = Collector::new(self.count);
        collector.blind = !self.detectors.are_ready();
        for (index, part) in (0..=u32::MAX).zip(parts) {
            if collector.is_stopped(go_on) {
                break;
            }
            collector.uninspectable |= part.source == Source::Media;
            if !is_inline_media(part) {
                let reading = self.reading(scope, &part.text, go_on);
                collector.add_part(index, &reading);
                if is_spoken(part.source) {
                    collector.add_foreign(index, &reading.foreign);
                }
            }
        }
        for joint in joints(parts) {
            if collector.is_stopped(go_on) {
                break;
            }
            self.scan_joint(scope, &joint, go_on, &mut collector);
            if let Some(spaced) = joint.spaced() {
                self.scan_joint(scope, &spaced, go_on, &mut collector);
            }
        }
        if !collector.in_context.is_empty() && !collector.stopped {
            collector.accept_context(&self.spoken_of(parts));
        }
        let mut scan = collector.finish();
        for detector in &self.absent {
            scan.results[usize::from(*detector)].truth = Truth::Unknown;
        }
        self.models.leave_out(&mut scan);
        scan
    }

    fn scan_joint(&self, scope: &str, joint: &Joint, go_on: &dyn Fn() -> bool, collector: &mut Collector) {
        let reading = self.reading(scope, &joint.text, go_on);
        // Of findings that were left out nobody knows whether they lie across parts.
        collector.blind |= reading.blind || reading.truncated;
        collector.stopped |= reading.stopped;
        for seen in &reading.seen {
            if let Some((part, span)) = joint.place(&seen.span) {
                collector.add(part, &Seen { span, encoding: Encoding::Split, ..seen.clone() });
            }
        }
    }

    fn reading(&self, scope: &str, text: &str, go_on: &dyn Fn() -> bool) -> Arc<Reading> {
        let read = || read(&self.detectors, text, go_on);
        self.memo.as_ref().map_or_else(|| Arc::new(read()), |memo| memo.reading(scope, text, read))
    }

    fn spoken_of(&self, parts: &[Part<'_>]) -> BTreeSet<Entity> {
        let mut spoken = BTreeSet::new();
        for text in parts.iter().filter_map(|part| Normalised::new(&part.text)) {
            self.detectors.contexts(text.text(), |entity| {
                spoken.insert(entity);
            });
        }
        spoken
    }
}

/// Where people, documents and models speak. What programs say to each other is in English, or in nothing.
fn is_spoken(source: Source) -> bool {
    matches!(source, Source::System | Source::User | Source::Assistant | Source::ToolArguments | Source::ToolResult)
}

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

/// Puts together what was found in all parts.
struct Collector {
    found: Vec<bool>,
    /// What could not be told of some text, by detector.
    unsure: Vec<bool>,
    findings: Vec<Finding>,
    truncated: bool,
    /// Something could not be looked at.
    blind: bool,
    uninspectable: bool,
    /// It was stopped before all was looked at.
    stopped: bool,
    /// Findings that hold only if the request speaks of such things.
    in_context: Vec<Finding>,
}

impl Collector {
    fn new(detectors: usize) -> Self {
        Self {
            found: vec![false; detectors],
            unsure: vec![false; detectors],
            findings: Vec::new(),
            truncated: false,
            blind: false,
            uninspectable: false,
            stopped: false,
            in_context: Vec::new(),
        }
    }

    /// Whether to look no further; then what was not found is unknown.
    fn is_stopped(&mut self, go_on: &dyn Fn() -> bool) -> bool {
        self.stopped |= !go_on();
        self.blind |= self.stopped;
        self.uninspectable |= self.stopped;
        self.stopped
    }

    fn add_part(&mut self, part: u32, reading: &Reading) {
        self.blind |= reading.blind;
        self.stopped |= reading.stopped;
        self.uninspectable |= reading.opaque || reading.blind;
        self.truncated |= reading.truncated;
        for detector in &reading.found {
            self.found[usize::from(*detector)] = true;
        }
        for seen in &reading.seen {
            self.add(part, seen);
        }
        let room = MAX_FINDINGS - self.in_context.len();
        // What is left out might have counted, had the request spoken of it.
        self.blind |= reading.in_context.len() > room;
        self.in_context.extend(reading.in_context.iter().take(room).map(|seen| finding(part, seen)));
    }

    fn add_foreign(&mut self, part: u32, foreign: &[Foreign]) {
        for Foreign { detector, truth, code, span } in foreign {
            if !truth.is_true() {
                self.unsure[usize::from(*detector)] = true;
                continue;
            }
            let seen = Seen { detector: *detector, entity: code, span: span.clone(), encoding: Encoding::Plain };
            self.found[usize::from(*detector)] = true;
            self.findings.push(Finding { strength: Strength::Statistical, ..finding(part, &seen) });
        }
    }

    fn add(&mut self, part: u32, seen: &Seen) {
        self.found[usize::from(seen.detector)] = true;
        self.findings.push(finding(part, seen));
        // Now and then what was found twice makes room.
        if self.findings.len() >= 2 * MAX_FINDINGS {
            self.tidy();
        }
    }

    fn accept_context(&mut self, spoken: &BTreeSet<Entity>) {
        for finding in std::mem::take(&mut self.in_context) {
            if spoken.contains(finding.entity) {
                self.found[usize::from(finding.detector)] = true;
                self.findings.push(finding);
            }
        }
    }

    /// In order, each once, in the plainest form in which it was seen.
    fn tidy(&mut self) {
        self.findings.sort_by(|a, b| order(a).cmp(&order(b)));
        self.findings.dedup_by(|a, b| same(a, b));
        self.truncated |= self.findings.len() > MAX_FINDINGS;
        self.findings.truncate(MAX_FINDINGS);
    }

    fn finish(mut self) -> Scan {
        self.tidy();
        let verdict = |(found, unsure): (bool, bool)| match (found, unsure || self.blind) {
            (true, _) => DetectorResult { truth: Truth::True },
            (false, true) => DetectorResult { truth: Truth::Unknown },
            (false, false) => DetectorResult { truth: Truth::False },
        };
        Scan {
            results: self.found.into_iter().zip(self.unsure).map(verdict).collect(),
            findings: self.findings,
            truncated: self.truncated,
            uninspectable: self.uninspectable,
            stopped: self.stopped,
        }
    }
}

fn finding(part: u32, seen: &Seen) -> Finding {
    Finding {
        detector: seen.detector,
        entity: seen.entity,
        part,
        span: seen.span.clone(),
        strength: Strength::Deterministic,
        encoding: seen.encoding,
    }
}

fn order(finding: &Finding) -> (u32, usize, usize, u16, &str, Encoding) {
    (finding.part, finding.span.start, finding.span.end, finding.detector, finding.entity, finding.encoding)
}

fn same(a: &Finding, b: &Finding) -> bool {
    (a.part, a.detector, a.entity, &a.span) == (b.part, b.detector, b.entity, &b.span)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use proptest::prelude::*;

    use super::super::normalise::MAX_BYTES;
    use super::*;

    #[test]
    fn prose_in_another_language_is_found_where_people_speak_and_not_in_schemas_or_names() {
        let usual = Language::parse("en").into_iter().collect();
        let kind = DetectorKind::Language { usual };
        let scanner = Scanner::new(&[DetectorSpec { name: "foreign".to_owned(), kind }]);
        let text = "Le comit\u{e9} a d\u{e9}cid\u{e9} que le vieux pont serait r\u{e9}par\u{e9} d'abord et que la route pouvait attendre.";
        let scan = |source| scanner.scan(&[Part { source, text: text.into() }]);
        for source in [Source::System, Source::User, Source::Assistant, Source::ToolResult] {
            let scan = scan(source);
            assert_eq!(scan.results[0].truth, Truth::True, "{source:?}");
            let [found] = &scan.findings[..] else { panic!("{:?}", scan.findings) };
            assert_eq!(
                (found.entity, found.strength, found.span.clone()),
                ("fr", Strength::Statistical, 0..text.len())
            );
        }
        for source in [Source::ToolDefinition, Source::Name, Source::Metadata, Source::Unknown] {
            assert_eq!(scan(source).results[0].truth, Truth::False, "{source:?}");
        }
        // Read across the joint of two parts, which tells nothing of a language.
        let parts = ["The committee decided", text].map(|text| Part { source: Source::Metadata, text: text.into() });
        assert_eq!(scanner.scan(&parts).results[0].truth, Truth::False);
    }

    #[test]
    fn candidates_beyond_what_is_kept_are_unknown_and_not_absent() {
        let checksum = |name: &str, recognizer: &str| {
            let kind = DetectorKind::Checksum(Recognizer::parse(recognizer).into_iter().collect());
            DetectorSpec { name: name.to_owned(), kind }
        };
        let scanner = Scanner::new(&[checksum("dutch", "nl_bsn"), checksum("brazilian", "br_cpf")]);
        let user = |text: &'static str| Part { source: Source::User, text: text.into() };
        let mut parts = vec![user("what follows are a cpf and others")];
        parts.extend((0..MAX_FINDINGS).map(|_| user("111222333")));
        parts.push(user("52998224725"));
        assert_ne!(scanner.scan(&parts).results[1].truth, Truth::False);
    }

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
        assert!(scan.uninspectable);
        let grows = "\u{FDFA}".repeat(MAX_BYTES / 20);
        assert_eq!(truths(&scanner().scan(&[user(&grows)]))[0], Truth::Unknown);
    }

    #[test]
    fn what_was_not_found_before_a_scan_was_stopped_is_unknown_and_is_not_remembered() {
        let long = format!("{} jane@example.com", "The committee met on Tuesday. ".repeat(10));
        let parts = [user("4111111111111111"), user(&long)];
        let scanner = scanner();
        for asked in 0..12 {
            let left = std::cell::Cell::new(asked);
            let scan = scanner.scan_exact_while("", &parts, &|| left.replace(left.get().max(1) - 1) > 0);
            assert!(
                !scan.stopped || scan.uninspectable && scan.results.iter().all(|r| r.truth.is_possible()),
                "{asked}"
            );
        }
        assert!(scanner.scan_exact_while("", &parts, &|| false).stopped);
        let whole = scanner.scan_exact("", &parts);
        assert_eq!(truths(&whole), [Truth::True, Truth::True, Truth::False, Truth::False]);
        assert!(!whole.stopped);
    }

    #[test]
    fn what_a_detector_saw_through_is_said() {
        let scan = scanner().scan(&[user("see NDExMTExMTExMTExMTExMQ== please")]);
        let finding = &scan.findings[0];
        assert_eq!((finding.entity, finding.encoding, finding.span.clone()), ("card", Encoding::Base64, 4..26));
    }

    #[test]
    fn long_text_that_says_nothing_readable_is_uninspectable_and_prose_is_not() {
        let random: String =
            (0_u64..600).map(|n| char::from(b"Zq7wYx"[(n.wrapping_mul(n * 7 + 3) % 6) as usize])).collect();
        assert!(scanner().scan(&[user(&random)]).uninspectable);
        let mut archive = vec![0; 6_000];
        blake3::Hasher::new().finalize_xof().fill(&mut archive);
        assert!(scanner().scan(&[user(&format!("an archive: {}", BASE64_STANDARD.encode(&archive)))]).uninspectable);
        assert!(scanner().scan(&[user(&hex::encode(&archive))]).uninspectable);
        let letter = BASE64_STANDARD.encode("The committee met on Tuesday. ".repeat(40));
        assert!(!scanner().scan(&[user(&letter)]).uninspectable, "it can be read");
        assert!(!scanner().scan(&[user(&"The committee met on Tuesday. ".repeat(40))]).uninspectable);
        assert!(
            scanner().scan(&[Part { source: Source::Media, text: "https://example.com/x.png".into() }]).uninspectable
        );
    }

    #[test]
    fn a_conversation_read_again_says_the_same() {
        let long = format!("{} card 4111111111111111", "The committee met on Tuesday. ".repeat(10));
        let parts = [user(&long), user("hello")];
        let scanner = scanner();
        assert_eq!(scanner.scan(&parts), scanner.scan(&parts));
        assert_eq!(scanner.scan_exact("a", &parts), scanner.scan_exact("b", &parts));
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
        fn what_is_remembered_is_what_would_be_found_again(a in text(), b in text()) {
            let long = "The committee met on Tuesday. ".repeat(5);
            let (before, after) = (format!("{a} {long}"), format!("{long}{b}"));
            let parts = [user(&a), user(&b), user(&before), user(&after)];
            let (scanner, forgetful) = (scanner(), Scanner { memo: None, ..scanner() });
            let fresh = forgetful.scan(&parts);
            prop_assert_eq!(&scanner.scan(&parts), &fresh);
            prop_assert_eq!(&scanner.scan(&parts), &fresh, "from memory");
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
