//! The form of an answer as a grammar.

mod gbnf;
mod regex;

use std::fmt;
use std::ops::RangeInclusive;

pub use gbnf::{GrammarError, read};
pub use regex::read as read_regex;

/// A grammar without context: each rule is there, and each can end.
#[derive(Clone, PartialEq)]
pub struct Grammar {
    rules: Vec<Expression>,
    root: usize,
}

/// What a text may be. No `Debug`: it holds what a client wrote.
#[derive(Clone, PartialEq)]
pub enum Expression {
    /// One after the other.
    Sequence(Vec<Self>),
    /// Any one of these.
    Choice(Vec<Self>),
    /// The same again and again.
    Repeat {
        /// What.
        item: Box<Self>,
        /// How often at least.
        least: u32,
        /// How often at most; `None` is without end.
        most: Option<u32>,
    },
    /// These characters.
    Text(String),
    /// One character, in one of the ranges, or in none of them where `negated`.
    Class {
        /// The ranges.
        ranges: Vec<RangeInclusive<char>>,
        /// Whether it is any other character.
        negated: bool,
    },
    /// What the rule of this number says.
    Rule(usize),
}

/// Shows how large it is.
impl fmt::Debug for Grammar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Grammar({} rules)", self.rules.len())
    }
}

impl Grammar {
    /// Exactly one of `texts`.
    pub fn one_of(texts: Vec<String>) -> Self {
        Self { rules: vec![Expression::Choice(texts.into_iter().map(Expression::Text).collect())], root: 0 }
    }

    /// The rules, by their numbers.
    pub fn rules(&self) -> &[Expression] {
        &self.rules
    }

    /// The rule that an answer is.
    pub fn root(&self) -> usize {
        self.root
    }

    /// All texts that it spells out.
    pub fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        self.rules.iter().for_each(|rule| rule.add_texts(&mut texts));
        texts
    }

    /// Which rules can end.
    fn endings(&self) -> Vec<bool> {
        let mut ends = vec![false; self.rules.len()];
        loop {
            let now: Vec<bool> = self.rules.iter().map(|rule| rule.ends(&ends)).collect();
            if now == ends {
                return ends;
            }
            ends = now;
        }
    }
}

impl Expression {
    /// Whether it ends, where the rules do of which that is known.
    fn ends(&self, known: &[bool]) -> bool {
        match self {
            Self::Sequence(items) => items.iter().all(|item| item.ends(known)),
            Self::Choice(items) => items.iter().any(|item| item.ends(known)),
            Self::Repeat { item, least, .. } => *least == 0 || item.ends(known),
            Self::Text(_) | Self::Class { .. } => true,
            Self::Rule(number) => known[*number],
        }
    }

    fn add_texts<'a>(&'a self, texts: &mut Vec<&'a str>) {
        match self {
            Self::Sequence(items) | Self::Choice(items) => items.iter().for_each(|item| item.add_texts(texts)),
            Self::Repeat { item, .. } => item.add_texts(texts),
            Self::Text(text) => texts.push(text),
            Self::Class { .. } | Self::Rule(_) => {}
        }
    }
}
