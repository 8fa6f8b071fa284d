//! Runs the detectors of a policy set over the parts of a request.

mod collect;
mod spec;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub use self::spec::{DetectorKind, DetectorSpec, ModelSpec};

use self::collect::Collector;
use super::decode::Encoding;
use super::joints::{Joint, joints};
use super::look::Detectors;
use super::memo::Memo;
use super::models::Models;
use super::normalise::Normalised;
pub use super::read::MAX_FINDINGS;
use super::read::{Reading, Seen, read};
use super::signals::Entity;
use super::{DetectorResult, Finding, Truth};
use crate::chat::{Part, Source};

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
