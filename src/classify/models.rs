//! Detectors that are models: what a policy declares of them, and their turn after the deterministic ones.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::names::{self, Found, Recogniser, Stopped, Thresholds};
use super::normalise::Normalised;
use super::scan::{MAX_FINDINGS, ModelSpec, Scan};
use super::{Encoding, Finding, Strength, Truth};
use crate::chat::Part;

/// How long models may take for a request where no policy says.
const DEADLINE: Duration = Duration::from_millis(250);

/// The detectors that are models.
#[derive(Debug, Default)]
pub struct Models {
    /// By index of the detector, what it looks for.
    wanted: Vec<(u16, Thresholds)>,
    deadline: Option<Duration>,
}

impl Models {
    /// Adds a detector; false if there is no such model, or it recognises no such entity.
    pub fn add(&mut self, detector: u16, spec: &ModelSpec) -> bool {
        let thresholds = Thresholds::parse(&spec.thresholds).filter(|_| spec.model == names::NAME);
        self.wanted.extend(thresholds.map(|thresholds| (detector, thresholds)));
        // Unfolded now, so that no request waits for it.
        Recogniser::embedded();
        let deadline = spec.deadline.unwrap_or(DEADLINE);
        self.deadline = Some(self.deadline.map_or(deadline, |known| known.min(deadline)));
        thresholds.is_some()
    }

    /// Their indices.
    pub fn detectors(&self) -> impl Iterator<Item = u16> {
        self.wanted.iter().map(|(detector, _)| *detector)
    }

    /// How long all of them may take; `None` if there are none.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline.filter(|_| !self.wanted.is_empty())
    }

    /// Says of every model's detector that it has not looked.
    pub fn leave_out(&self, scan: &mut Scan) {
        self.wanted.iter().for_each(|(detector, _)| scan.results[usize::from(*detector)].truth = Truth::Unknown);
    }

    /// Looks at the parts, and puts verdicts and findings into `scan`.
    ///
    /// `go_on` is asked before each few KiB. Where it says no, where a part is too long to look at, or where the
    /// recogniser breaks, what was found counts, and a detector that found nothing is *unknown*.
    pub fn look<'p>(
        &self,
        parts: impl Iterator<Item = (u32, &'p Part<'p>)>,
        scan: &mut Scan,
        go_on: &dyn Fn() -> bool,
    ) {
        let Some(lowest) = self.wanted.iter().map(|(_, thresholds)| *thresholds).reduce(Thresholds::or) else { return };
        let mut blind = false;
        let mut seen = vec![false; self.wanted.len()];
        for (index, part) in parts {
            let Some(found) = look_at(&part.text, &lowest, go_on) else {
                blind = true;
                continue;
            };
            for (i, (detector, thresholds)) in self.wanted.iter().enumerate() {
                for found in found.iter().filter(|found| found.score >= thresholds.of(found.entity)) {
                    seen[i] = true;
                    add(scan, *detector, index, found);
                }
            }
        }
        let unseen = if blind { Truth::Unknown } else { Truth::False };
        for ((detector, _), seen) in self.wanted.iter().zip(seen) {
            scan.results[usize::from(*detector)].truth = if seen { Truth::True } else { unseen };
        }
        scan.findings.sort_by_key(|f| (f.part, f.span.start, f.span.end, f.detector, f.entity));
    }
}

/// What is in a text, by place in the text as it was sent; `None` if it could not be looked at to its end.
fn look_at(text: &str, thresholds: &Thresholds, go_on: &dyn Fn() -> bool) -> Option<Vec<Found>> {
    let folded = Normalised::new(text)?;
    let find = || Recogniser::embedded().find(folded.text(), thresholds, go_on);
    // A broken recogniser is no reason to let a text pass, and none to drop the request.
    let found = catch_unwind(AssertUnwindSafe(find)).unwrap_or(Err(Stopped)).ok()?;
    Some(found.into_iter().map(|found| Found { span: folded.original(found.span), ..found }).collect())
}

fn add(scan: &mut Scan, detector: u16, part: u32, found: &Found) {
    if scan.findings.len() >= MAX_FINDINGS {
        scan.truncated = true;
        return;
    }
    let (entity, span) = (found.entity.name(), found.span.clone());
    let (strength, encoding) = (Strength::Statistical, Encoding::Plain);
    scan.findings.push(Finding { detector, entity, part, span, strength, encoding });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chat::Source;
    use crate::classify::{DetectorKind, DetectorSpec, Recognizer, Scanner};

    fn model(name: &str, model: &str, thresholds: &[(&str, f64)]) -> DetectorSpec {
        let thresholds = thresholds.iter().map(|(entity, t)| ((*entity).to_owned(), *t)).collect();
        let kind = DetectorKind::Model(ModelSpec { model: model.to_owned(), thresholds, deadline: None });
        DetectorSpec { name: name.to_owned(), kind }
    }

    fn scanner() -> Scanner {
        let card = DetectorKind::Checksum(vec![Recognizer::PanLuhn]);
        Scanner::new(&[
            DetectorSpec { name: "card".to_owned(), kind: card },
            model("person", "names@1", &[("PERSON", 0.5)]),
            model("address", "names@1", &[("ADDRESS", 0.5)]),
        ])
    }

    fn user(text: &str) -> Part<'_> {
        Part { source: Source::User, text: text.into() }
    }

    fn truths(scan: &Scan) -> Vec<Truth> {
        scan.results.iter().map(|result| result.truth).collect()
    }

    const LETTER: &str =
        "Please send it to Maria Gonzalez, 12 Oak Street, Springfield, IL 62704. Card 4111111111111111.";

    #[test]
    fn each_detector_sees_its_own_entities_and_says_how_sure_it_is() {
        let scan = scanner().scan(&[user("hello there"), user(LETTER)]);
        assert_eq!(truths(&scan), [Truth::True; 3]);
        let of = |detector: u16| scan.findings.iter().find(|f| f.detector == detector).unwrap();
        assert_eq!((&LETTER[of(1).span.clone()], of(1).strength), ("Maria Gonzalez", Strength::Statistical));
        assert!(LETTER[of(2).span.clone()].starts_with("12 Oak Street"));
        assert_eq!((of(2).part, of(2).entity, of(0).strength), (1, "address", Strength::Deterministic));
        assert_eq!(truths(&scanner().scan(&[user("how do I sort a list?")])), [Truth::False; 3]);
    }

    #[test]
    fn until_they_have_looked_models_know_nothing() {
        let mut scan = scanner().scan_exact("", &[user(LETTER)]);
        assert_eq!(truths(&scan), [Truth::True, Truth::Unknown, Truth::Unknown]);
        scanner().recognise(&[user(LETTER)], &mut scan, &|| true);
        assert_eq!(scan, scanner().scan(&[user(LETTER)]));
    }

    #[test]
    fn at_the_deadline_what_was_not_found_is_unknown_and_what_was_found_stays() {
        let calls = std::cell::Cell::new(0);
        let once = || calls.replace(calls.get() + 1) < 1;
        let mut scan = scanner().scan_exact("", &[]);
        scanner().recognise(&[user("I am Maria Gonzalez."), user("12 Oak Street")], &mut scan, &once);
        assert_eq!(truths(&scan), [Truth::False, Truth::True, Truth::Unknown]);
    }

    #[test]
    fn a_recogniser_that_breaks_leaves_unknown_and_the_rest_works() {
        let mut scan = scanner().scan_exact("", &[user(LETTER)]);
        scanner().recognise(&[user(LETTER)], &mut scan, &|| panic!("injected"));
        assert_eq!(truths(&scan), [Truth::True, Truth::Unknown, Truth::Unknown]);
        assert_eq!(scan.findings.len(), 1);
    }

    #[test]
    fn what_no_model_here_can_do_is_unknown() {
        let specs = [model("a", "names@2", &[]), model("b", "names@1", &[("PET", 0.5)]), model("c", "names@1", &[])];
        let scanner = Scanner::new(&specs);
        assert_eq!(truths(&scanner.scan(&[user("hello")])), [Truth::Unknown, Truth::Unknown, Truth::False]);
        assert!(scanner.models_deadline().is_some());
    }

    #[test]
    fn without_a_model_there_is_nothing_to_wait_for() {
        assert_eq!(Scanner::new(&[]).models_deadline(), None);
    }

    #[test]
    fn findings_are_bounded_and_verdicts_are_not() {
        let many =
            format!("{} I live at 12 Oak Street, Springfield, IL 62704.", "Ask Maria Gonzalez.\n".repeat(MAX_FINDINGS));
        let scan = scanner().scan(&[user(&many)]);
        assert!(scan.truncated && scan.findings.len() == MAX_FINDINGS);
        assert_eq!(truths(&scan), [Truth::False, Truth::True, Truth::True]);
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at_and_spans_are_whole_characters(text in "(\\PC|[A-Z][a-z]{2,8}|[0-9]{1,5}|[ \n,.'-]){0,60}") {
            let part = user(&text);
            for finding in scanner().scan(std::slice::from_ref(&part)).findings {
                prop_assert!(text.get(finding.span.clone()).is_some_and(|t| !t.is_empty()), "{finding:?}");
            }
        }
    }
}
