//! Section `destinations`.

use super::header::class;
use super::sections::Sections;
use super::{Loader, Prices};
use crate::chat::{Task, Tasks};
use crate::govern::Price;
use crate::policy::set::{Boundary, Class, Destination, DestinationSet, Store};
use crate::yaml::{Fields, Node, Problems};

impl Loader<'_> {
    pub(super) fn destinations(&mut self, sections: &Sections<'_>, prices: Prices<'_>) {
        for node in &sections.destinations {
            for (key, value) in node.map(self.problems).unwrap_or_default() {
                let name = key.scalar().unwrap_or_default();
                if self.set.destination_named(name).is_some() {
                    self.problems.add(&key.place, format!("the destination `{name}` is defined twice"));
                } else if self.set.destinations.len() == DestinationSet::MAX {
                    self.problems.add(&key.place, format!("a set has at most {} destinations", DestinationSet::MAX));
                } else if let Some(destination) = self.destination(name, value, prices) {
                    self.set.destinations.push(destination);
                }
            }
        }
    }

    fn destination(&mut self, name: &str, node: &Node, prices: Prices<'_>) -> Option<Destination> {
        let problems = &mut *self.problems;
        let mut fields = Fields::of(node, "a destination", problems)?;
        let via = fields.required("via", problems).and_then(|n| n.text(problems));
        let boundary = fields
            .required("boundary", problems)
            .and_then(|n| n.one_of(&[("host", Boundary::Host), ("external", Boundary::External)], problems));
        let is_sink = via.is_some_and(|via| via.starts_with("sink/"));
        let model = match is_sink {
            true => None,
            false => fields.required("model", problems).and_then(|n| n.text(problems)),
        };
        let serves = match is_sink {
            true => Tasks::default(),
            false => serves(fields.optional("serves"), problems),
        };
        let accepts = fields.optional("accepts").and_then(|n| class(&self.set.classes, n, problems));
        let mut word = |key| fields.optional(key).and_then(|n| n.text(problems)).map(str::to_owned);
        let (region, tier, retention) = (word("region"), word("tier"), word("retention"));
        let (training, subprocessor) = (word("training"), word("subprocessor"));
        let zone = fields.optional("zone");
        let context = fields.optional("context").and_then(|n| n.whole(problems)).and_then(|n| u32::try_from(n).ok());
        let stated = price(&mut fields, problems);
        let store = fields
            .optional("store")
            .and_then(|n| n.one_of(&[("features", Store::Features), ("text", Store::Text)], problems));
        let scope = fields.optional("scope");
        if let Some(scope) = scope {
            scope.one_of(&[("key", ())], problems);
        }
        let sampled = fields.optional("sampled").and_then(|n| n.flag(problems)).unwrap_or(false);
        fields.finish(problems);

        if boundary == Some(Boundary::External) && (accepts.is_none() || region.is_none()) {
            let message = format!("`{name}` is external: it must say what it `accepts` and its `region`");
            problems.add_coded(&node.place, "E004", message);
        }
        // What is missing was reported; the destination stays known, so that what names it is not reported as well.
        let boundary = boundary.unwrap_or(Boundary::External);
        let via = via.unwrap_or_default();
        let zone = zone_of(name, boundary, zone, problems);
        let top = Class(self.set.classes.len().saturating_sub(1) as u8);
        let model = model.unwrap_or_default();
        let price = stated.or_else(|| if via == "embedded" || is_sink { Some(Price::FREE) } else { prices(model) });
        Some(Destination {
            place: node.place.clone(),
            name: name.to_owned(),
            via: via.to_owned(),
            model: model.to_owned(),
            boundary,
            serves,
            accepts: accepts.unwrap_or(top),
            region,
            tier,
            zone,
            retention,
            training,
            subprocessor,
            context,
            price,
            store: store.unwrap_or_default(),
            cache_sampled: sampled,
        })
    }
}

/// What a model can be asked for: chat, if nothing else is said.
fn serves(stated: Option<&Node>, problems: &mut Problems) -> Tasks {
    let Some(node) = stated else { return Tasks::from_iter([Task::Chat]) };
    let Some(items) = node.list(problems) else { return Tasks::default() };
    if items.is_empty() {
        problems
            .add(&node.place, "it serves nothing; name what it can be asked for, or drop `serves`, which is `[chat]`");
    }
    items.iter().filter_map(|item| item.one_of(&Task::ALL, problems)).collect()
}

/// What is inside lies in a zone that the operator trusts, this host if nothing else is said; what is outside in none.
fn zone_of(name: &str, boundary: Boundary, stated: Option<&Node>, problems: &mut Problems) -> Option<String> {
    match (boundary, stated) {
        (Boundary::Host, stated) => Some(stated.and_then(Node::scalar).unwrap_or("host").to_owned()),
        (Boundary::External, Some(node)) => {
            problems.add(
                &node.place,
                format!(
                    "`{name}` is external and so in no zone: a zone is a place you trust; say `boundary: host` if that is \
                     so, or drop `zone`"
                ),
            );
            None
        }
        (Boundary::External, None) => None,
    }
}

/// `price: {input, output, cached_input}` in dollars per million tokens, or `usd_per_1k` for one flat price.
fn price(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Price> {
    let flat = fields.optional("usd_per_1k");
    let detailed = fields.optional("price");
    if let (Some(node), Some(_)) = (flat, detailed) {
        problems.add(&node.place, "`usd_per_1k` and `price` exclude each other");
    }
    if let Some(node) = flat {
        let per_million = node.number(problems)? * 1000.0;
        return checked(node, Price::from_usd_per_million(per_million, per_million, None), problems);
    }
    let node = detailed?;
    let mut fields = Fields::of(node, "a price", problems)?;
    let input = fields.required("input", problems).and_then(|n| n.number(problems));
    let output = fields.required("output", problems).and_then(|n| n.number(problems));
    let cached = fields.optional("cached_input").and_then(|n| n.number(problems));
    fields.finish(problems);
    checked(node, Price::from_usd_per_million(input?, output?, cached), problems)
}

fn checked(node: &Node, price: Option<Price>, problems: &mut Problems) -> Option<Price> {
    if price.is_none() {
        problems.add(&node.place, "a price is not negative");
    }
    price
}
