//! Pseudonyms in an answer become what they stand for, as the answer comes.
//!
//! Only what the request's own body held is put back: a pseudonym of another request, conversation or tenant is just a
//! word here. Text is held back only while it may be the beginning of a pseudonym, so at most the longest one less a
//! byte.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use zeroize::Zeroizing;

use super::replace::{key_span, nested, quoted};
use super::token::is_tag_shaped;
use super::vault::Entry;
use crate::chat::Json;
use crate::chat::json::Value;

/// Longest word that is looked at for the form of a tag; bytes.
const LONGEST_WORD: usize = 64;

/// Puts back what was replaced in one request's body.
pub struct Restorer {
    automaton: AhoCorasick,
    pieces: Vec<Piece>,
    /// All pseudonyms in small letters, in order.
    beginnings: Vec<String>,
    longest: usize,
}

struct Piece {
    token: String,
    original: Zeroizing<String>,
}

/// How an original is written where it is put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// As a piece of a string of JSON: the text around it is JSON.
    Json,
}

/// What became of the pseudonyms in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Those that were put back.
    pub restored: u32,
    /// Words that look like tags and stand for nothing here: the model made them up, or spoiled them.
    pub unrestored: u32,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.restored += other.restored;
        self.unrestored += other.unrestored;
    }
}

/// One text of an answer on its way: what is held back of it.
#[derive(Default)]
pub struct Flow {
    held: String,
    word: String,
}

impl Flow {
    /// Whether something is held back.
    pub fn holds(&self) -> bool {
        !self.held.is_empty()
    }
}

impl Restorer {
    /// For the pseudonyms that stand in a body; `None` if there are none.
    pub fn new(used: Vec<Arc<Entry>>) -> Option<Self> {
        let pieces: Vec<Piece> = used.iter().flat_map(|entry| pieces(entry)).collect();
        let longest = pieces.iter().map(|piece| piece.token.len()).max()?;
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostLongest);
        let automaton = builder.build(pieces.iter().map(|piece| &piece.token)).ok()?;
        let mut beginnings: Vec<String> = pieces.iter().map(|piece| piece.token.to_ascii_lowercase()).collect();
        beginnings.sort_unstable();
        Some(Self { automaton, pieces, beginnings, longest })
    }

    /// Longest pseudonym; bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Adds `text` to a flow and returns what of it can go on.
    pub fn push(&self, flow: &mut Flow, text: &str, form: Form, tally: &mut Tally) -> String {
        flow.held.push_str(text);
        let mut out = String::with_capacity(flow.held.len());
        let held = std::mem::take(&mut flow.held);
        let (mut from, mut safe) = (0, self.safe(&held, 0));
        for hit in self.automaton.find_iter(&held) {
            if hit.start() >= safe {
                break;
            }
            self.pass(flow, &held[from..hit.start()], &mut out, tally);
            let piece = &self.pieces[hit.pattern().as_usize()];
            out.push_str(&written(&piece.said(&held[hit.range()]), form));
            tally.restored += 1;
            flow.word.clear();
            from = hit.end();
            safe = safe.max(self.safe(&held, from));
        }
        self.pass(flow, &held[from..safe], &mut out, tally);
        flow.held.push_str(&held[safe..]);
        out
    }

    /// Ends a flow and returns what was held back.
    pub fn finish(&self, flow: &mut Flow, form: Form, tally: &mut Tally) -> String {
        let held = std::mem::take(&mut flow.held);
        let mut out = String::with_capacity(held.len());
        let mut from = 0;
        for hit in self.automaton.find_iter(&held) {
            self.pass(flow, &held[from..hit.start()], &mut out, tally);
            out.push_str(&written(&self.pieces[hit.pattern().as_usize()].said(&held[hit.range()]), form));
            tally.restored += 1;
            flow.word.clear();
            from = hit.end();
        }
        self.pass(flow, &held[from..], &mut out, tally);
        end_word(flow, tally);
        out
    }

    /// A whole text.
    pub fn whole(&self, text: &str, form: Form, tally: &mut Tally) -> String {
        let mut flow = Flow { held: text.to_owned(), word: String::new() };
        self.finish(&mut flow, form, tally)
    }

    /// A whole text that is JSON, if it is: what is put back is escaped as deep as it stands.
    pub fn whole_json(&self, text: &str, tally: &mut Tally) -> String {
        match nested(text) {
            None => self.whole(text, Form::Json, tally),
            Some(json) => {
                let mut out = String::with_capacity(text.len());
                let mut from = 0;
                each_string(text, &json, &mut |span, inner| {
                    let restored = if nested(inner).is_some() {
                        self.whole_json(inner, tally)
                    } else {
                        self.whole(inner, Form::Plain, tally)
                    };
                    if restored != inner {
                        out.push_str(&text[from..span.start]);
                        out.push_str(&quoted(&restored));
                        from = span.end;
                    }
                });
                out + &text[from..]
            }
        }
    }

    /// Up to where, from `from` on, nothing can be the beginning of a pseudonym that is not all there.
    fn safe(&self, text: &str, from: usize) -> usize {
        let tail = text.len().saturating_sub(self.longest - 1).max(from);
        let start = text.ceil_char_boundary(tail);
        let lower = text[start..].to_ascii_lowercase();
        let begins = |rest: &str| {
            let at = self.beginnings.partition_point(|token| token.as_str() < rest);
            let longer = |token: &String| token.len() > rest.len() && token.starts_with(rest);
            // One that is all there sorts before those that it begins.
            self.beginnings[at..].iter().take(2).any(longer)
        };
        let mut places = lower.char_indices().map(|(at, _)| at);
        places.find(|at| begins(&lower[*at..])).map_or(text.len(), |at| start + at)
    }

    /// Text that is no pseudonym goes on; words in it that look like one are counted.
    fn pass(&self, flow: &mut Flow, text: &str, out: &mut String, tally: &mut Tally) {
        out.push_str(text);
        for c in text.chars() {
            if !c.is_ascii_alphanumeric() && c != '_' {
                end_word(flow, tally);
            } else if flow.word.len() < LONGEST_WORD {
                flow.word.push(c);
            }
        }
    }
}

/// Every string of a document, keys too, with its place.
fn each_string(document: &str, json: &Json<'_>, visit: &mut dyn FnMut(Range<usize>, &str)) {
    match &json.value {
        Value::String(text) => visit(json.span.clone(), text),
        Value::Array(items) => items.iter().for_each(|item| each_string(document, item, visit)),
        Value::Object(members) => {
            let mut after = json.span.start;
            for member in members {
                visit(key_span(document, after..member.value.span.start), &member.key);
                after = member.value.span.end;
                each_string(document, &member.value, visit);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn end_word(flow: &mut Flow, tally: &mut Tally) {
    tally.unrestored += u32::from(is_tag_shaped(&flow.word));
    flow.word.clear();
}

/// The pseudonym, and for one of several words each end of it alone: models call people by one name.
fn pieces(entry: &Entry) -> Vec<Piece> {
    let piece =
        |token: &str, original: &str| Piece { token: token.to_owned(), original: Zeroizing::new(original.to_owned()) };
    let mut pieces = vec![piece(&entry.token, entry.original())];
    if let (Some((first, last)), Some((given, family))) =
        (entry.token.split_once(' '), entry.original().rsplit_once(char::is_whitespace))
    {
        pieces.extend([piece(first, given.trim()), piece(last, family)]);
    }
    pieces
}

impl Piece {
    /// The original, in capitals or in small letters where the model wrote the pseudonym so and it was not so before.
    fn said(&self, as_written: &str) -> Cow<'_, str> {
        let is = |case: fn(&str) -> String| as_written != self.token && as_written == case(&self.token);
        if is(str::to_ascii_uppercase) {
            Cow::Owned(self.original.to_uppercase())
        } else if is(str::to_ascii_lowercase) {
            Cow::Owned(self.original.to_lowercase())
        } else {
            Cow::Borrowed(&self.original)
        }
    }
}

fn written(original: &str, form: Form) -> Cow<'_, str> {
    match form {
        Form::Plain => Cow::Borrowed(original),
        Form::Json => {
            let quoted = quoted(original);
            Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
        }
    }
}
