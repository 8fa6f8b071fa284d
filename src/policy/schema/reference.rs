//! The reference of the language as Markdown, printed from the schema and from the constants that the loader knows.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::json_schema;
use crate::policy::Destination;
use crate::policy::expr::TextTest;
use crate::policy::facts::{LOCAL, USES};

/// The sections in the order in which a reader meets them.
pub const SECTIONS: [&str; 22] = [
    "ajar",
    "name",
    "authority",
    "classes",
    "sealed",
    "default_class",
    "attributes",
    "detectors",
    "baseline",
    "classify",
    "conversations",
    "destinations",
    "prices",
    "declassify",
    "guards",
    "budgets",
    "routes",
    "estimators",
    "affinity",
    "rollout",
    "invariants",
    "tests",
];

/// Section by section, every key with its values and meaning.
pub fn reference() -> String {
    let schema = json_schema();
    let mut page = Page { definitions: &schema["$defs"], text: String::new() };
    page.line("# Reference of the policy language");
    page.line("");
    page.line("Printed by `ajar policy schema --markdown` from the types of the language. Keys not listed are errors.");
    page.line(
        "[policies.md](policies.md) is the guide; `ajar policy schema` prints the same as JSON Schema, for editors.",
    );
    page.line("");
    page.line("## A file");
    page.line("");
    page.properties(&schema, &SECTIONS);
    page.line("## Sections");
    page.line("");
    for section in SECTIONS {
        page.section(section, &schema["properties"][section]);
    }
    page.text += &vocabulary();
    page.text
}

struct Page<'a> {
    definitions: &'a Value,
    text: String,
}

impl<'a> Page<'a> {
    fn line(&mut self, line: &str) {
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// A section that is more than a word or a list of words, and the maps inside it.
    fn section(&mut self, name: &str, property: &'a Value) {
        let mut maps = Vec::new();
        self.maps(name, property, &mut maps);
        for (i, (name, map)) in maps.into_iter().enumerate() {
            let heading = if i == 0 { "###" } else { "####" };
            self.line(&format!("{heading} `{name}`"));
            self.line("");
            self.line(&described(map));
            self.line("");
            match map["oneOf"].as_array() {
                Some(variants) => variants.iter().for_each(|variant| self.variant(variant)),
                None => self.properties(map, &[]),
            }
        }
    }

    /// One kind of a map that comes in several.
    fn variant(&mut self, variant: &'a Value) {
        let kind = variant["properties"]["kind"]["const"].as_str().unwrap_or_default();
        self.line(&format!("**`kind: {kind}`** {}", described(variant)));
        self.line("");
        self.properties(variant, &[]);
    }

    fn properties(&mut self, map: &Value, order: &[&str]) {
        let empty = Map::new();
        let properties = map["properties"].as_object().unwrap_or(&empty);
        let required: Vec<&str> = map["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut keys: Vec<&str> = properties.keys().map(String::as_str).filter(|key| *key != "kind").collect();
        let place = |key: &str| order.iter().position(|k| *k == key).unwrap_or(usize::MAX);
        let asked = |key: &str| required.iter().position(|k| *k == key).unwrap_or(usize::MAX);
        keys.sort_by_key(|key| (place(key), asked(key), (*key).to_owned()));
        self.line("| Key | Value | Meaning |");
        self.line("|---|---|---|");
        for key in keys {
            let mark = if required.contains(&key) { ", required" } else { "" };
            let (value, meaning) = (self.value(&properties[key]), described(&properties[key]));
            self.line(&format!("| `{key}`{mark} | {value} | {meaning} |"));
        }
        self.line("");
    }

    /// The maps with keys of their own that `schema` leads to, each once, with the key that leads there.
    fn maps(&self, name: &str, schema: &'a Value, found: &mut Vec<(String, &'a Value)>) {
        let schema = self.resolve(schema);
        let inner = [&schema["items"], &schema["additionalProperties"]].into_iter();
        for inner in inner.chain(schema["anyOf"].as_array().into_iter().flatten()).filter(|inner| inner.is_object()) {
            self.maps(name, inner, found);
        }
        let variants = schema["oneOf"].as_array().into_iter().flatten();
        let has_keys = schema["properties"].is_object() || variants.clone().any(|v| v["properties"].is_object());
        if !has_keys || found.iter().any(|(_, known)| std::ptr::eq(*known, schema)) {
            return;
        }
        found.push((name.to_owned(), schema));
        for map in std::iter::once(schema).chain(variants) {
            for (key, property) in map["properties"].as_object().into_iter().flatten() {
                self.maps(key, property, found);
            }
        }
    }

    fn resolve(&self, schema: &'a Value) -> &'a Value {
        match name_of(schema) {
            Some(name) => &self.definitions[name],
            None => schema,
        }
    }

    /// What a value may be, in words.
    fn value(&self, schema: &Value) -> String {
        match name_of(schema) {
            Some("Condition") => return "condition".to_owned(),
            Some("Dollars") => return "amount, as `25 USD`".to_owned(),
            Some("Span") => return "time, as `200ms`".to_owned(),
            Some(name) => return self.value(&self.definitions[name]),
            None => {}
        }
        let words = words_of(schema);
        if !words.is_empty() {
            return words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        }
        if let Some(options) = schema["anyOf"].as_array() {
            return options.iter().map(|option| self.value(option)).collect::<Vec<_>>().join(" or ");
        }
        match schema["type"].as_str() {
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("number") => "number".to_owned(),
            Some("boolean") => "`true` or `false`".to_owned(),
            Some("array") => format!("list: {}", self.value(&schema["items"])),
            Some("object") if schema["additionalProperties"].is_object() => {
                format!("by name: {}", self.value(&schema["additionalProperties"]))
            }
            _ => "map, see below".to_owned(),
        }
    }
}

fn name_of(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// The words that a value is one of.
fn words_of(schema: &Value) -> Vec<&str> {
    let listed = schema["enum"].as_array().into_iter().flatten();
    let documented = schema["oneOf"].as_array().into_iter().flatten().map(|option| &option["const"]);
    listed.chain(documented).chain([&schema["const"]]).filter_map(Value::as_str).collect()
}

fn described(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().replace('|', "\\|")
}

fn vocabulary() -> String {
    let list = |prefix: &str, names: &[&str]| {
        names.iter().map(|name| format!("`{prefix}{name}`")).collect::<Vec<_>>().join(", ")
    };
    let tests = TextTest::ALL.map(|(name, _)| name);
    let mut text = String::from("## Conditions\n\n");
    // Writing to a String cannot fail.
    let _ = write!(
        text,
        "`||`, `&&`, `!`, `==`, `!=`, `<`, `<=`, `>`, `>=`, `in […]`, parentheses; texts in `\"…\"` or `'…'` (raw, as in \
         `r\"\\d+\"`, where there is a backslash), numbers, `true`, `false`; and {}, each with a text in parentheses, on words and \
         on `dest.*`. `matches` finds a regular expression anywhere in the text, in linear time. A comparison has a literal on \
         one side, or `dest.*` on one and a word on the other. Logic is three-valued: unknown stays unknown unless the rest \
         decides.\n\n\
         | Name | Value |\n|---|---|\n\
         | `class` | in `guards`, `declassify`, `routes` and `invariants`, without quotes: `class >= confidential` |\n\
         | `finding.<detector>` | whether it found something |\n\
         | `unknown.<detector>`, `unknown.any` | whether it, or any, could not look |\n\
         | `key.*`, `client.*`, `request.*`, `agent.*` | the set's `attributes` |\n\
         | {} | whether the request uses it; `uses.uninspectable` is content that no detector can look into: media, or a long \
         stretch that says nothing readable (an archive, something encrypted) |\n\
         | `tokens.input`, `tokens.max_output` | the prompt, estimated from above; the cap the client asked for |\n\
         | `est.gain` | how much better a closed model is expected to do, −1 to 1; may be unknown |\n\
         | `budget.<id>` | used share of a budget: 1 is all of it |\n\
         | {} | the first embedded destination's engine |\n\
         | {} | in `only`, `deny` and `invariants`: the destination's own. What it does not state equals nothing |\n",
        list("", &tests),
        list("uses.", &USES),
        list("local.", &LOCAL),
        list("dest.", &Destination::PROPERTIES),
    );
    text
}
