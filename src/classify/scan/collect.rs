//! What was found in the parts, put together: a verdict for each detector, and findings in order.

use std::collections::BTreeSet;

use super::Scan;
use crate::classify::decode::Encoding;
use crate::classify::languages::Foreign;
use crate::classify::read::{MAX_FINDINGS, Reading, Seen};
use crate::classify::signals::Entity;
use crate::classify::{DetectorResult, Finding, Strength, Truth};

/// Puts together what was found in all parts.
pub(super) struct Collector {
    found: Vec<bool>,
    /// What could not be told of some text, by detector.
    unsure: Vec<bool>,
    findings: Vec<Finding>,
    truncated: bool,
    /// Something could not be looked at.
    pub(super) blind: bool,
    pub(super) uninspectable: bool,
    /// It was stopped before all was looked at.
    pub(super) stopped: bool,
    /// Findings that hold only if the request speaks of such things.
    pub(super) in_context: Vec<Finding>,
}

impl Collector {
    pub(super) fn new(detectors: usize) -> Self {
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
    pub(super) fn is_stopped(&mut self, go_on: &dyn Fn() -> bool) -> bool {
        self.stopped |= !go_on();
        self.blind |= self.stopped;
        self.uninspectable |= self.stopped;
        self.stopped
    }

    pub(super) fn add_part(&mut self, part: u32, reading: &Reading) {
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

    pub(super) fn add_foreign(&mut self, part: u32, foreign: &[Foreign]) {
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

    pub(super) fn add(&mut self, part: u32, seen: &Seen) {
        self.found[usize::from(seen.detector)] = true;
        self.findings.push(finding(part, seen));
        // Now and then what was found twice makes room.
        if self.findings.len() >= 2 * MAX_FINDINGS {
            self.tidy();
        }
    }

    pub(super) fn accept_context(&mut self, spoken: &BTreeSet<Entity>) {
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

    pub(super) fn finish(mut self) -> Scan {
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
