//! Recognising by rules and word lists alone: what the model is compared with.

use crate::classify::names::features::hash;
use crate::classify::names::lexicon::{Lexicon, List};
use crate::classify::names::tokens::{Token, tokenize};
use crate::classify::names::{Entity, Found};
use crate::classify::normalise::Normalised;

/// Finds given names followed by capitalised words, and streets with numbers.
pub struct Rules {
    /// The lists.
    pub lexicon: Lexicon,
}

impl Rules {
    /// What the rules find.
    pub fn find(&self, text: &str) -> Vec<Found> {
        let Some(folded) = Normalised::new(text) else { return Vec::new() };
        let text = folded.text();
        let mut tokens = Vec::new();
        tokenize(text, &mut tokens);
        let words: Vec<&str> = tokens.iter().map(|token| &text[token.start..token.end]).collect();
        let lists: Vec<u16> = words.iter().map(|word| self.lexicon.lists(hash(word))).collect();
        let (mut found, mut at) = (Vec::new(), 0);
        while at < words.len() {
            let person = person(&words, &lists, at).map(|end| (Entity::Person, at, end));
            let address = || address(&words, &lists, at).map(|(start, end)| (Entity::Address, start, end));
            match address().or(person) {
                Some((entity, start, end)) => {
                    found.push(found_at(&folded, &tokens, entity, start, end));
                    at = end;
                }
                None => at += 1,
            }
        }
        found
    }
}

fn found_at(folded: &Normalised<'_>, tokens: &[Token], entity: Entity, start: usize, end: usize) -> Found {
    let span = folded.original(tokens[start].start..tokens[end - 1].end);
    Found { entity, span, score: 1.0 }
}

fn on(lists: u16, list: List) -> bool {
    lists & list.bit() != 0
}

fn is_capitalised(word: &str) -> bool {
    word.starts_with(char::is_uppercase)
}

/// A given name with a capital that is no common word, and the capitalised words after it; or those after a title.
fn person(words: &[&str], lists: &[u16], at: usize) -> Option<usize> {
    let named = is_capitalised(words[at]) && on(lists[at], List::First) && !on(lists[at], List::Common);
    let after = at + 1 + usize::from(words.get(at + 1) == Some(&"."));
    let titled = on(lists[at], List::Title) && words.get(after).is_some_and(|word| is_capitalised(word));
    let mut end = if titled { after + 1 } else { at + 1 };
    while end < words.len() && is_capitalised(words[end]) {
        end += 1;
    }
    (named || titled).then_some(end)
}

/// A street word within three words of a number, with what stands between and the capitalised words around.
fn address(words: &[&str], lists: &[u16], at: usize) -> Option<(usize, usize)> {
    let is_number = |at: usize| words.get(at).is_some_and(|word| word.starts_with(char::is_numeric));
    let is_street =
        |at: usize| lists.get(at).is_some_and(|lists| on(*lists, List::Street) || on(*lists, List::StreetEnding));
    let capital = |at: usize| words.get(at).is_some_and(|word| is_capitalised(word));
    let number_first = is_number(at) && (1..=3).any(|by| is_street(at + by) && (1..=by).all(|i| capital(at + i)));
    let street_first = is_street(at) && capital(at) && (1..=3).any(|by| is_number(at + by));
    (number_first || street_first).then(|| {
        let mut end = at + 1;
        while end < words.len()
            && end < at + 12
            && (capital(end) || is_number(end) || matches!(words[end], "," | "." | "-"))
        {
            end += 1;
        }
        (at, end)
    })
}
