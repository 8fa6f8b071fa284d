//! Originals in a request's body become pseudonyms: in every string and key, and in JSON that stands in strings.
//!
//! Only the string tokens that change are written anew; every other byte of the client's stays. [`verify`] proves the
//! result: it shares no code with [`replace`].

use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};

use super::kind::Kind;
use super::vault::{Entry, Full};
use crate::chat::Json;
use crate::chat::json::{Member, Value};
use crate::classify::{DetectorKind, DetectorSpec, Scanner};
use crate::policy::Style;

/// How deep JSON may stand in strings of JSON in strings; below that it is text.
const MAX_NESTED: usize = 8;

/// Finds originals, wherever they stand.
pub struct Search {
    automaton: Option<AhoCorasick>,
    kinds: Vec<Kind>,
    /// The same originals as a dictionary: also folded, linked in other ways, encoded, or across parts.
    pub dictionary: Scanner,
}

impl Search {
    /// What finds these texts, in any case.
    pub fn new<'e>(originals: impl Iterator<Item = (Kind, &'e str)>) -> Self {
        let mut texts: Vec<(String, Kind)> = Vec::new();
        let mut words = Vec::new();
        for (kind, original) in originals {
            words.push(original.to_owned());
            // The automaton folds ASCII only.
            texts.extend([original.to_owned(), original.to_lowercase(), original.to_uppercase()].map(|t| (t, kind)));
        }
        words.sort_unstable();
        words.dedup();
        texts.sort_unstable();
        texts.dedup_by(|a, b| a.0 == b.0);
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard);
        let automaton = builder.build(texts.iter().map(|(text, _)| text)).ok();
        let kind = DetectorKind::Dictionary { words, as_written: false };
        let dictionary = Scanner::forgetful(&[DetectorSpec { name: "original".to_owned(), kind }]);
        Self { automaton, kinds: texts.into_iter().map(|(_, kind)| kind).collect(), dictionary }
    }

    /// Whether the originals could be compiled at all.
    pub fn is_ready(&self) -> bool {
        self.automaton.is_some()
    }

    /// Where originals stand in `text`, in order; those that overlap are one.
    fn find(&self, text: &str) -> Vec<(Range<usize>, Kind)> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let hits = automaton.find_overlapping_iter(text);
        let hits = hits.map(|hit| (hit.start()..hit.end(), self.kinds[hit.pattern().as_usize()]));
        let mut hits: Vec<_> = hits.filter(|(span, _)| stands_alone(text, span)).collect();
        hits.sort_unstable_by_key(|(span, _)| (span.start, std::cmp::Reverse(span.end)));
        let mut merged: Vec<(Range<usize>, Kind)> = Vec::new();
        for (span, kind) in hits {
            match merged.last_mut() {
                Some((last, _)) if span.start < last.end => last.end = last.end.max(span.end),
                _ => merged.push((span, kind)),
            }
        }
        merged
    }
}

/// Whether what stands there is a whole word, or long enough not to be part of another.
fn stands_alone(text: &str, span: &Range<usize>) -> bool {
    let inside = &text[span.clone()];
    let digits = inside.bytes().filter(u8::is_ascii_digit).count();
    if inside.contains('@') || inside.len() >= 8 && digits >= 4 {
        return true;
    }
    let in_a_word = |c: Option<char>| c.is_some_and(|c| c < '\u{2E80}' && c.is_alphanumeric());
    let mut before = text[..span.start].chars().rev();
    let (last, one_more) = (before.next(), before.next());
    // The letter of `\n` in program text is no letter of the next word.
    let runs_in = in_a_word(last) && one_more != Some('\\') && in_a_word(inside.chars().next());
    let runs_on = in_a_word(text[span.end..].chars().next()) && in_a_word(inside.chars().next_back());
    !runs_in && !runs_on
}

/// A body with pseudonyms.
pub struct Replaced {
    /// The bytes.
    pub body: Vec<u8>,
    /// The pseudonyms in it, each once.
    pub used: Vec<Arc<Entry>>,
    /// How many originals were replaced.
    pub count: u32,
}

/// Gives the pseudonym for what stands in the body, in a style.
pub type Issue<'i> = dyn FnMut(Style, Kind, &str) -> Result<Arc<Entry>, Full> + 'i;

/// Replaces everything that `search` finds in the strings and keys of `body`, which is `json`. Keys and names get tags:
/// most providers take nothing else there. Numbers stay.
///
/// # Errors
/// [`Full`], when there is no pseudonym for something.
pub fn replace(
    body: &str,
    json: &Json<'_>,
    search: &Search,
    style: Style,
    issue: &mut Issue<'_>,
) -> Result<Replaced, Full> {
    let mut writer = Writer { search, issue, used: Vec::new(), count: 0 };
    let replaced = writer.json(body, json, style, 0)?;
    let body = replaced.unwrap_or_else(|| body.to_owned()).into_bytes();
    Ok(Replaced { body, used: writer.used, count: writer.count })
}

struct Writer<'w, 'i> {
    search: &'w Search,
    issue: &'w mut Issue<'i>,
    used: Vec<Arc<Entry>>,
    count: u32,
}

impl Writer<'_, '_> {
    /// The document with its strings replaced; `None` where nothing was.
    fn json(&mut self, document: &str, json: &Json<'_>, style: Style, depth: usize) -> Result<Option<String>, Full> {
        let mut edits = Vec::new();
        self.value(document, json, style, depth, &mut edits)?;
        if edits.is_empty() {
            return Ok(None);
        }
        let mut written = String::with_capacity(document.len() + 64);
        let mut from = 0;
        for (span, text) in edits {
            written.push_str(&document[from..span.start]);
            written.push_str(&quoted(&text));
            from = span.end;
        }
        written.push_str(&document[from..]);
        Ok(Some(written))
    }

    fn value(
        &mut self,
        document: &str,
        json: &Json<'_>,
        style: Style,
        depth: usize,
        edits: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), Full> {
        match &json.value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => {
                let replaced = self.text(text, style, depth)?;
                edits.extend(replaced.map(|text| (json.span.clone(), text)));
            }
            Value::Array(items) => {
                for item in items {
                    self.value(document, item, style, depth, edits)?;
                }
            }
            Value::Object(members) => {
                let mut after = json.span.start;
                for Member { key, value } in members {
                    let span = key_span(document, after..value.span.start);
                    after = value.span.end;
                    let replaced = self.plain(key, Style::Tag)?;
                    edits.extend(replaced.map(|text| (span, text)));
                    let style = if key == "name" { Style::Tag } else { style };
                    self.value(document, value, style, depth, edits)?;
                }
            }
        }
        Ok(())
    }

    /// JSON in a string stays JSON.
    fn text(&mut self, text: &str, style: Style, depth: usize) -> Result<Option<String>, Full> {
        match nested(text).filter(|_| depth < MAX_NESTED) {
            Some(json) => self.json(text, &json, style, depth + 1),
            None => self.plain(text, style),
        }
    }

    fn plain(&mut self, text: &str, style: Style) -> Result<Option<String>, Full> {
        let found = self.search.find(text);
        if found.is_empty() {
            return Ok(None);
        }
        let mut written = String::with_capacity(text.len() + 32);
        let mut from = 0;
        for (span, kind) in found {
            let entry = (self.issue)(style, kind, &text[span.clone()])?;
            written.push_str(&text[from..span.start]);
            written.push_str(&entry.token);
            from = span.end;
            self.count += 1;
            if !self.used.iter().any(|used| used.token == entry.token) {
                self.used.push(entry);
            }
        }
        written.push_str(&text[from..]);
        Ok(Some(written))
    }
}

/// The JSON object or array that a text is, if it is one.
pub fn nested(text: &str) -> Option<Json<'_>> {
    if !text.trim_ascii_start().starts_with(['{', '[']) {
        return None;
    }
    Json::parse(text.as_bytes()).ok()
}

/// Where the key stands, quotes included: `between` the value before it and its own there is no other quote.
pub fn key_span(document: &str, between: Range<usize>) -> Range<usize> {
    let text = &document[between.clone()];
    let start = text.find('"').unwrap_or(0);
    let end = text.rfind('"').map_or(text.len(), |at| at + 1);
    between.start + start..between.start + end
}

/// The text as a string of JSON.
pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whether `replaced` says what `original` says, but for pseudonyms of `used` in place of what they stand for.
pub fn verify(original: &Json<'_>, replaced: &Json<'_>, used: &[Arc<Entry>]) -> bool {
    let tokens = AhoCorasick::new(used.iter().map(|entry| &entry.token));
    tokens.is_ok_and(|tokens| Proof { tokens, used }.same(original, replaced))
}

struct Proof<'u> {
    tokens: AhoCorasick,
    used: &'u [Arc<Entry>],
}

impl Proof<'_> {
    fn same(&self, original: &Json<'_>, replaced: &Json<'_>) -> bool {
        match (&original.value, &replaced.value) {
            (Value::String(a), Value::String(b)) => self.same_text(a, b),
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.same(a, b)),
            (Value::Object(a), Value::Object(b)) => {
                let same = |(a, b): (&Member<'_>, &Member<'_>)| {
                    self.same_text(&a.key, &b.key) && self.same(&a.value, &b.value)
                };
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            _ => original.same_value(replaced),
        }
    }

    fn same_text(&self, original: &str, replaced: &str) -> bool {
        if original == replaced && !self.tokens.is_match(replaced) {
            return true;
        }
        // JSON that was written anew may escape in other ways, so there the values count.
        match (nested(original), nested(replaced)) {
            (Some(original), Some(replaced)) => self.same(&original, &replaced),
            _ => self.put_back(replaced) == original,
        }
    }

    fn put_back(&self, text: &str) -> String {
        let mut whole = String::with_capacity(text.len());
        self.tokens.replace_all_with(text, &mut whole, |hit, _, whole| {
            whole.push_str(self.used[hit.pattern().as_usize()].original());
            true
        });
        whole
    }
}
