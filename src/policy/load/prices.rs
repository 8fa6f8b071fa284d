//! Section `prices`: where the price of a model comes from, and that one without a price is an error.

use super::sections::Sections;
use super::{Loader, Source};
use crate::yaml::{Fields, Node, Place, Problems, parse};

/// A file of prices that a set names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceFile {
    /// Where it is named.
    pub place: Place,
    /// Its path, relative to the set's folder.
    pub path: String,
}

/// The price file that these files name, if any: it has to be read before the set can be loaded. Mistakes are left to
/// [`super::load`].
pub fn price_file(sources: &[Source]) -> Option<PriceFile> {
    let mut ignored = Problems::new();
    let policies = sources.iter().filter(|source| !source.is_word_list());
    let roots: Vec<Node> = policies.filter_map(|source| parse(&source.file, &source.text).ok()).collect();
    let sections = Sections::collect(&roots, &mut ignored);
    prices(sections.prices?, &mut ignored)
}

impl Loader<'_> {
    pub(super) fn prices(&mut self, sections: &Sections<'_>) {
        if let Some(node) = sections.prices {
            prices(node, self.problems);
        }
        for destination in self.set.destinations.iter().filter(|d| d.is_model() && d.price.is_none()) {
            let message = format!(
                "the price of `{}` (model `{}`) is unknown, so it could never be called; state one as `price: {{ input, \
                 output }}`, in USD per million tokens",
                destination.name, destination.model
            );
            self.problems.add_coded(&destination.place, "E008", message);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum From {
    Catalogue,
    Pinned,
}

fn prices(node: &Node, problems: &mut Problems) -> Option<PriceFile> {
    let mut fields = Fields::of(node, "`prices`", problems)?;
    let choices = [("catalogue", From::Catalogue), ("pinned", From::Pinned)];
    let source = fields.required("source", problems).and_then(|n| n.one_of(&choices, problems));
    let file = fields.optional("file");
    if let Some(unknown) = fields.optional("unknown_price") {
        unknown.one_of(&[("deny", ())], problems);
    }
    fields.finish(problems);
    match (source?, file) {
        (From::Pinned, Some(file)) => {
            Some(PriceFile { place: file.place.clone(), path: file.text(problems)?.to_owned() })
        }
        (From::Pinned, None) => {
            problems.add(&node.place, "pinned prices need a `file`, as in `file: prices/2026-10.yaml`");
            None
        }
        (From::Catalogue, Some(file)) => {
            problems.add(&file.place, "the catalogue has no `file`; a file of your own is `source: pinned`");
            None
        }
        (From::Catalogue, None) => None,
    }
}
