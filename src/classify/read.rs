//! One text, in every form that it may have: folded, with look-alikes replaced, and with encodings undone.

use std::ops::Range;

use super::decode::{Encoding, decode, skeleton};
use super::detect::{Candidate, Hit};
use super::languages::Foreign;
use super::look::{Detectors, Lens};
use super::mapped::Mapped;
use super::normalise::Normalised;
use super::signals::Entity;

/// How many layers of encoding are undone.
const DEPTH: u8 = 2;

/// How many bytes decoded views of a text may have, beside [`BUDGET_SHARE`] times its own.
const BUDGET: usize = 64 << 10;
const BUDGET_SHARE: usize = 16;

/// Most findings of one text.
pub const MAX_FINDINGS: usize = 256;

/// What was found in one text; no text itself.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Detectors that found something.
    pub found: Vec<u16>,
    /// What they found, at most [`MAX_FINDINGS`].
    pub seen: Vec<Seen>,
    /// What counts only if the request speaks of it, at most [`MAX_FINDINGS`].
    pub in_context: Vec<Seen>,
    /// Findings were left out.
    pub truncated: bool,
    /// Not all could be looked at.
    pub blind: bool,
    /// A long stretch says nothing that could be read.
    pub opaque: bool,
    /// What is, or may be, in another language than it should.
    pub foreign: Vec<Foreign>,
}

/// One finding in one text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The detector.
    pub detector: u16,
    /// What it is.
    pub entity: Entity,
    /// Where, in bytes of the text.
    pub span: Range<usize>,
    /// The outermost layer that had to be undone.
    pub encoding: Encoding,
}

/// Reads a text.
pub fn read(detectors: &Detectors, text: &str) -> Reading {
    let reading = read_within(detectors, text, BUDGET + BUDGET_SHARE * text.len());
    Reading { foreign: detectors.foreign(text), ..reading }
}

/// Reads a text whose decoded views may have so many bytes.
fn read_within(detectors: &Detectors, text: &str, budget: usize) -> Reading {
    let mut reader = Reader { detectors, budget, reading: Reading::default() };
    let form = Form { outermost: Encoding::Plain, last: Encoding::Plain, lens: Lens::Whole };
    reader.read(text, None, DEPTH, form);
    reader.reading
}

struct Reader<'d> {
    detectors: &'d Detectors,
    budget: usize,
    reading: Reading,
}

/// What was done to a text to read it.
#[derive(Clone, Copy)]
struct Form {
    /// The outermost layer that was undone.
    outermost: Encoding,
    /// The innermost so far.
    last: Encoding,
    lens: Lens,
}

/// The way from a text back to the one that was sent.
struct Trail<'t> {
    way: Way<'t>,
    up: Option<&'t Trail<'t>>,
}

enum Way<'t> {
    Folded(&'t Normalised<'t>),
    Skeleton(&'t Mapped),
    View(&'t Mapped),
}

impl Trail<'_> {
    fn original(&self, span: Range<usize>) -> Range<usize> {
        let above = match self.way {
            Way::Folded(text) => text.original(span),
            Way::Skeleton(made) | Way::View(made) => made.original(span),
        };
        self.up.map_or(above.clone(), |up| up.original(above))
    }
}

impl Reader<'_> {
    fn read(&mut self, text: &str, up: Option<&Trail<'_>>, depth: u8, form: Form) {
        let Some(folded) = Normalised::new(text) else {
            self.reading.blind = true;
            return;
        };
        let trail = Trail { way: Way::Folded(&folded), up };
        self.look(folded.text(), &trail, depth, form);
        if let Some(made) = skeleton(folded.text()) {
            let trail = Trail { way: Way::Skeleton(&made), up: Some(&trail) };
            self.look(made.text(), &trail, depth, form);
        }
    }

    fn look(&mut self, text: &str, trail: &Trail<'_>, depth: u8, form: Form) {
        let detectors = self.detectors;
        detectors.look(text, form.lens, &mut |detector, candidate| {
            let (Candidate::Certain(hit) | Candidate::InContext(hit)) = &candidate;
            let turned = matches!(form.last, Encoding::Reversed | Encoding::Rot13);
            let by_chance = turned && !is_turned(trail, &hit.span, form.last);
            if !by_chance && !is_copied(trail, &hit.span) {
                self.keep(detector, &candidate, trail.original(hit.span.clone()), form.outermost);
            }
        });
        if depth > 0 {
            self.decode(text, trail, depth, form);
        }
    }

    fn decode(&mut self, text: &str, trail: &Trail<'_>, depth: u8, form: Form) {
        let turned = matches!(form.last, Encoding::Reversed | Encoding::Rot13).then_some(form.last);
        let decoded = decode(text, turned, self.detectors);
        self.reading.opaque |= decoded.opaque;
        for view in &decoded.views {
            let size = view.made.text().len();
            if size > self.budget {
                self.reading.blind = true;
                return;
            }
            self.budget -= size;
            let lens = match view.encoding {
                _ if form.lens == Lens::Turned => Lens::Turned,
                Encoding::Reversed | Encoding::Rot13 => Lens::Turned,
                _ if view.loose => Lens::Loose,
                _ => Lens::Whole,
            };
            let outermost = if form.outermost == Encoding::Plain { view.encoding } else { form.outermost };
            let trail = Trail { way: Way::View(&view.made), up: Some(trail) };
            let depth = if view.may_go_on { depth - 1 } else { 0 };
            self.read(view.made.text(), Some(&trail), depth, Form { outermost, last: view.encoding, lens });
        }
    }

    fn keep(&mut self, detector: u16, candidate: &Candidate, span: Range<usize>, encoding: Encoding) {
        let (certain, Hit { entity, .. }) = match candidate {
            Candidate::Certain(hit) => (true, hit),
            Candidate::InContext(hit) => (false, hit),
        };
        if certain && !self.reading.found.contains(&detector) {
            self.reading.found.push(detector);
        }
        let list = if certain { &mut self.reading.seen } else { &mut self.reading.in_context };
        if list.len() < MAX_FINDINGS {
            list.push(Seen { detector, entity, span, encoding });
        } else {
            self.reading.truncated |= certain;
            self.reading.blind |= !certain;
        }
    }
}

/// Whether a hit lies in text that was only copied into some view: it was looked at before, with all that surrounds it.
fn is_copied(trail: &Trail<'_>, span: &Range<usize>) -> bool {
    let (copied, above) = match trail.way {
        Way::View(made) => (made.is_copied(span), made.original(span.clone())),
        // Here what stands around it reads differently.
        Way::Skeleton(made) => (false, made.original(span.clone())),
        Way::Folded(text) => (false, text.original(span.clone())),
    };
    copied || trail.up.is_some_and(|up| is_copied(up, &above))
}

/// Whether nothing of a hit was only copied into the view in which it was found, and turning it made a difference:
/// ROT13 leaves figures alone.
fn is_turned(trail: &Trail<'_>, span: &Range<usize>, encoding: Encoding) -> bool {
    let above = match trail.way {
        Way::View(made) => {
            let letters = || made.text()[span.clone()].bytes().any(|b| b.is_ascii_alphabetic());
            return made.is_replaced(span) && (encoding == Encoding::Reversed || letters());
        }
        Way::Folded(text) => text.original(span.clone()),
        Way::Skeleton(made) => made.original(span.clone()),
    };
    trail.up.is_none_or(|up| is_turned(up, &above, encoding))
}

#[cfg(test)]
mod tests {
    use super::super::scan::{DetectorKind, DetectorSpec};
    use super::super::{PatternSet, Recognizer};
    use super::*;

    fn detectors() -> Detectors {
        let spec = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
        Detectors::new(&[
            spec("card", DetectorKind::Checksum(vec![Recognizer::PanLuhn])),
            spec("contact", DetectorKind::Pattern(PatternSet::Contact)),
        ])
    }

    #[test]
    fn where_the_budget_for_decoded_text_ends_not_all_was_looked_at() {
        // The card's number in base64, in base64.
        let text = "see VGtSRmVFMVVSWGhOVkVWNFRWUkZlRTFVUlhoTlVUMDk= please";
        assert!(!read_within(&detectors(), text, 4096).blind);
        assert!(read_within(&detectors(), text, 16).blind);
        assert!(!read_within(&detectors(), "see you on Tuesday", 0).blind, "there is nothing to decode");
    }
}
