//! Makes labelled documents from our own templates: letters, forms, chats, notes, code.

use std::ops::Range;

use super::corpus::{Document, Known, whole};
use super::random::Random;
use super::values::Values;
use super::words::Words;
use crate::classify::names::Entity;

/// The templates, a line each: `{person}` and its like are filled and labelled, `{{` is a brace, `\n` a line break.
const TEMPLATES: [&str; 7] = [
    include_str!("templates/support.txt"),
    include_str!("templates/mail.txt"),
    include_str!("templates/form.txt"),
    include_str!("templates/medical.txt"),
    include_str!("templates/chat.txt"),
    include_str!("templates/prose.txt"),
    include_str!("templates/plain.txt"),
];

/// Every template, in order.
pub fn templates() -> Vec<&'static str> {
    TEMPLATES.iter().flat_map(|file| file.lines()).filter(|line| !line.is_empty()).collect()
}

/// `copies` documents of each template.
pub fn documents(words: &Words, templates: &[&str], copies: usize, seed: u64) -> Vec<Document> {
    let mut values = Values::new(words, Random::new(seed));
    let mut documents = Vec::with_capacity(templates.len() * copies);
    for template in templates {
        for _ in 0..copies {
            let document = fill(template, &mut values);
            documents.push(recased(document, values.random()));
        }
    }
    documents
}

/// Fills one template.
fn fill(template: &str, values: &mut Values<'_>) -> Document {
    let mut text = String::new();
    let mut spans: Vec<(Range<usize>, Entity)> = Vec::new();
    let template = template.replace("\\n", "\n").replace("{{", "\u{1}").replace("}}", "\u{2}");
    let mut rest = template.as_str();
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let (slot, after) = after.split_once('}').unwrap_or((after, ""));
        let (value, entity) = values.of(slot);
        let start = text.len();
        text.push_str(&value);
        spans.extend(entity.map(|entity| (start..text.len(), entity)));
        rest = after;
    }
    text.push_str(rest);
    // The stand-ins are as long as the braces they stand for.
    let text = text.replace('\u{1}', "{").replace('\u{2}', "}");
    let spans = whole(&text, spans);
    Document { text, spans, known: Known::All }
}

/// People write in small letters, and sometimes shout.
fn recased(document: Document, random: &mut Random) -> Document {
    let changed = match random.below(100) {
        0..12 => document.text.to_lowercase(),
        12..15 => document.text.to_uppercase(),
        _ => return document,
    };
    // Where a letter changes its length the labels would no longer fit.
    if changed.len() == document.text.len() { Document { text: changed, ..document } } else { document }
}
