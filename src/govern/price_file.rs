//! A price list of one's own, as a policy set may name it: a small YAML (or JSON) file.
//!
//! ```yaml
//! source: our contract of October
//! date: 2026-10-01
//! models:                       # USD per million tokens
//!   gpt-4o-mini: { input: 0.15, output: 0.60, cached_input: 0.075, context: 128000, max_output: 16384 }
//! ```
//!
//! `cache_write`, `audio_input` and `audio_output` may be stated as well; what is not costs as much as plain input, or output.

use super::prices::Amounts;
use super::{Price, PriceList};
use crate::yaml::{Fields, Node, Problems, parse};

impl PriceList {
    /// Reads a list; `file` is its name in messages. Models are named as policies' destinations name them.
    ///
    /// # Errors
    /// Every mistake at once, with its place.
    pub fn from_yaml(file: &str, text: &str) -> Result<Self, Problems> {
        let root = parse(file, text)?;
        let mut problems = Problems::new();
        let list = read(&root, &mut problems).unwrap_or_default();
        problems.or_ok(list)
    }
}

fn read(root: &Node, problems: &mut Problems) -> Option<PriceList> {
    let mut fields = Fields::of(root, "a price file", problems)?;
    let mut text = |key, problems: &mut Problems| {
        fields.required(key, problems).and_then(|n| n.text(problems)).unwrap_or_default().to_owned()
    };
    let (source, date) = (text("source", problems), text("date", problems));
    let mut list = PriceList::default();
    (list.source, list.date) = (source, date);
    let models = fields.required("models", problems).and_then(|n| n.map(problems)).unwrap_or_default();
    fields.finish(problems);
    for (key, value) in models {
        if let Some(price) = price(value, problems) {
            list.insert(key.scalar().unwrap_or_default(), price);
        }
    }
    Some(list)
}

fn price(node: &Node, problems: &mut Problems) -> Option<Price> {
    let mut fields = Fields::of(node, "a price", problems)?;
    let input = fields.required("input", problems).and_then(|n| n.number(problems));
    let output = fields.required("output", problems).and_then(|n| n.number(problems));
    let mut stated = |key| fields.optional(key).and_then(|n| n.number(problems));
    let (cached_input, cache_write) = (stated("cached_input"), stated("cache_write"));
    let (audio_input, audio_output) = (stated("audio_input"), stated("audio_output"));
    let context = fields.optional("context").and_then(|n| n.whole(problems));
    let max_output = fields.optional("max_output").and_then(|n| n.whole(problems));
    fields.finish(problems);
    let amounts = Amounts { input: input?, output: output?, cached_input, cache_write, audio_input, audio_output };
    let Some(mut price) = Price::of(&amounts) else {
        problems.add(&node.place, "a price is not negative");
        return None;
    };
    (price.context, price.max_output) = (context, max_output);
    Some(price)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{MicroUsd, Usage};

    const LIST: &str = "source: a contract\ndate: 2026-10-01\nmodels:\n  m: { input: 1, output: 2.5, context: 1000 }\n";

    #[test]
    fn a_file_of_ones_own_says_what_its_models_cost_and_no_other_does() {
        let list = PriceList::from_yaml("p.yaml", LIST).unwrap();
        let price = list.price("m").unwrap();
        assert_eq!(price.worst_case(10, 10), MicroUsd(35));
        assert_eq!((price.context, list.price("gpt-4o-mini")), (Some(1000), None));
        assert_eq!((list.source.as_str(), list.date.as_str()), ("a contract", "2026-10-01"));
        let json = r#"{"source": "s", "date": "d", "models": {"m": {"input": 1, "output": 2.5}}}"#;
        assert!(PriceList::from_yaml("p.json", json).unwrap().price("m").is_some());
        let sound = LIST.replace("input: 1,", "input: 1, cache_write: 2, audio_input: 10, audio_output: 20,");
        let price = PriceList::from_yaml("p.yaml", &sound).unwrap().price("m").unwrap();
        let used = Usage { input: 3, output: 1, cache_write: 1, audio_input: 1, audio_output: 1, ..Usage::default() };
        assert_eq!(price.cost(used), MicroUsd(1 + 2 + 10 + 20));
    }

    #[test]
    fn every_mistake_in_a_price_file_is_told_with_its_place() {
        let text = LIST.replace("input: 1", "input: -1").replace("date", "dated") + "  n: { input: 1 }\n";
        let told = PriceList::from_yaml("p.yaml", &text).unwrap_err().to_string();
        assert_eq!(
            told,
            "p.yaml:1:1: `date` is missing in a price file\n\
             p.yaml:2:1: E001: unknown key `dated` in a price file; did you mean `date`?\n\
             p.yaml:4:6: a price is not negative\n\
             p.yaml:5:6: `output` is missing in a price"
        );
    }
}
