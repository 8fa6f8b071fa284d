//! Grammars as llama.cpp writes them: GBNF.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use super::{Expression, Grammar};

/// Most bytes of a grammar.
const MAX_BYTES: usize = 64 << 10;
/// Deepest that groups may stand in groups.
const MAX_DEPTH: usize = 64;
/// Most times that something may be asked to repeat, as at llama.cpp.
const MAX_TIMES: u32 = 2000;
/// Most rules.
const MAX_RULES: usize = 1000;
/// The rule that an answer is.
const ROOT: &str = "root";

/// What is wrong with a grammar, and where. It quotes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {what}")]
pub struct GrammarError {
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// What.
    pub what: &'static str,
}

/// Reads a grammar in GBNF.
///
/// # Errors
/// The first mistake in it.
pub fn read(text: &str) -> Result<Grammar, GrammarError> {
    let mut parser = Parser { text, at: 0, depth: 0, names: HashMap::new(), rules: Vec::new() };
    if text.len() > MAX_BYTES {
        return Err(parser.wrong(0, "a grammar has at most 64 KiB"));
    }
    parser.skip(true);
    while parser.peek().is_some() {
        parser.rule()?;
        parser.skip(true);
    }
    parser.finish()
}

struct Parser<'a> {
    text: &'a str,
    /// Which byte is next.
    at: usize,
    depth: usize,
    names: HashMap<&'a str, usize>,
    rules: Vec<Named>,
}

/// A rule that was named.
struct Named {
    /// Where first.
    at: usize,
    meaning: Option<Expression>,
}

impl<'a> Parser<'a> {
    fn finish(self) -> Result<Grammar, GrammarError> {
        let root = self.names.get(ROOT).copied().filter(|root| self.rules[*root].meaning.is_some());
        let root = root.ok_or_else(|| self.wrong(self.text.len(), "the rule `root` is missing"))?;
        let mut rules = Vec::with_capacity(self.rules.len());
        for rule in &self.rules {
            rules.push(rule.meaning.clone().ok_or_else(|| self.wrong(rule.at, "this rule is nowhere defined"))?);
        }
        let grammar = Grammar { rules, root };
        match grammar.endings().iter().position(|ends| !ends) {
            Some(rule) => Err(self.wrong(self.rules[rule].at, "what this rule says can never end")),
            None => Ok(grammar),
        }
    }

    fn wrong(&self, at: usize, what: &'static str) -> GrammarError {
        let before = &self.text[..at];
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        GrammarError { line, column, what }
    }

    fn fail<T>(&self, what: &'static str) -> Result<T, GrammarError> {
        Err(self.wrong(self.at, what))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, expected: &str) -> bool {
        let is_there = self.text[self.at..].starts_with(expected);
        self.at += if is_there { expected.len() } else { 0 };
        is_there
    }

    /// Skips blanks and comments, and ends of lines where they mean nothing.
    fn skip(&mut self, lines: bool) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' => self.at += 1,
                '\r' | '\n' if lines => self.at += 1,
                '#' => self.at += self.text[self.at..].find('\n').unwrap_or(self.text.len() - self.at),
                _ => return,
            }
        }
    }

    fn rule(&mut self) -> Result<(), GrammarError> {
        let at = self.at;
        let number = self.name()?;
        self.skip(false);
        if !self.take("::=") {
            return self.fail("`::=` must follow the name of a rule");
        }
        self.skip(true);
        let meaning = self.choice(false)?;
        self.skip(false);
        if !matches!(self.peek(), None | Some('\r' | '\n')) {
            return self.fail("this is no part of a rule");
        }
        if self.rules[number].meaning.replace(meaning).is_some() {
            return Err(self.wrong(at, "this rule is defined twice"));
        }
        Ok(())
    }

    /// The number of the rule that is named here.
    fn name(&mut self) -> Result<usize, GrammarError> {
        let at = self.at;
        let length = self.text[at..].find(|c| !is_of_name(c)).unwrap_or(self.text.len() - at);
        if length == 0 {
            return self.fail("a rule begins with its name");
        }
        self.at += length;
        let number = *self.names.entry(&self.text[at..self.at]).or_insert(self.rules.len());
        if number == self.rules.len() {
            if number == MAX_RULES {
                return Err(self.wrong(at, "a grammar has at most 1000 rules"));
            }
            self.rules.push(Named { at, meaning: None });
        }
        Ok(number)
    }

    fn choice(&mut self, nested: bool) -> Result<Expression, GrammarError> {
        let mut items = vec![self.sequence(nested)?];
        loop {
            let at = self.at;
            // Also where the next line goes on with it.
            self.skip(true);
            if !self.take("|") {
                self.at = at;
                return Ok(single(items, Expression::Choice));
            }
            self.skip(true);
            items.push(self.sequence(nested)?);
        }
    }

    fn sequence(&mut self, nested: bool) -> Result<Expression, GrammarError> {
        let mut items = Vec::new();
        loop {
            self.skip(nested);
            let item = match self.peek() {
                Some('"') => self.literal()?,
                Some('[') => self.class()?,
                Some('(') => self.group()?,
                Some('.') => {
                    self.at += 1;
                    Expression::Class { ranges: Vec::new(), negated: true }
                }
                Some('<' | '!') => return self.fail("tokens cannot be named here: write their text"),
                Some(next) if is_of_name(next) => Expression::Rule(self.name()?),
                _ => return Ok(single(items, Expression::Sequence)),
            };
            items.push(self.repeated(item, nested)?);
        }
    }

    fn group(&mut self) -> Result<Expression, GrammarError> {
        let at = self.at;
        self.at += 1;
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("groups may stand in groups at most 64 times");
        }
        self.skip(true);
        let inside = self.choice(true)?;
        self.skip(true);
        if !self.take(")") {
            return Err(self.wrong(at, "this group is not closed"));
        }
        self.depth -= 1;
        Ok(inside)
    }

    /// `item`, as often as is said behind it.
    fn repeated(&mut self, item: Expression, nested: bool) -> Result<Expression, GrammarError> {
        let at = self.at;
        self.skip(nested);
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => return self.counted(item, nested),
            _ => {
                self.at = at;
                return Ok(item);
            }
        };
        self.at += 1;
        self.again(Expression::Repeat { item: Box::new(item), least, most }, nested)
    }

    fn counted(&mut self, item: Expression, nested: bool) -> Result<Expression, GrammarError> {
        let at = self.at;
        self.at += 1;
        self.skip(nested);
        let least = self.times()?;
        self.skip(nested);
        let most = if self.take(",") {
            self.skip(nested);
            if self.peek() == Some('}') { None } else { Some(self.times()?) }
        } else {
            Some(least)
        };
        self.skip(nested);
        if !self.take("}") {
            return self.fail("times to repeat are written as {2}, {2,} or {2,4}");
        }
        if most.is_some_and(|most| most < least) {
            return Err(self.wrong(at, "this repeats at least as often as not at most"));
        }
        self.again(Expression::Repeat { item: Box::new(item), least, most }, nested)
    }

    /// What is repeated may be repeated.
    fn again(&mut self, item: Expression, nested: bool) -> Result<Expression, GrammarError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return self.fail("something is repeated in itself at most 64 times");
        }
        let repeated = self.repeated(item, nested);
        self.depth -= 1;
        repeated
    }

    fn times(&mut self) -> Result<u32, GrammarError> {
        let digits = self.text[self.at..].bytes().take_while(u8::is_ascii_digit).count();
        let times = self.text[self.at..self.at + digits].parse().ok().filter(|times| *times <= MAX_TIMES);
        let times = times.ok_or_else(|| self.wrong(self.at, "a number of times is one from 0 to 2000"))?;
        self.at += digits;
        Ok(times)
    }

    fn literal(&mut self) -> Result<Expression, GrammarError> {
        let at = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.wrong(at, "this text is not closed")),
                Some('"') => {
                    self.at += 1;
                    return Ok(Expression::Text(text));
                }
                Some(_) => text.push(self.character()?),
            }
        }
    }

    fn class(&mut self) -> Result<Expression, GrammarError> {
        let at = self.at;
        self.at += 1;
        let negated = self.take("^");
        let mut ranges: Vec<RangeInclusive<char>> = Vec::new();
        while !self.take("]") {
            if self.peek().is_none() {
                return Err(self.wrong(at, "this set of characters is not closed"));
            }
            let first = self.character()?;
            let behind = self.text[self.at..].strip_prefix('-');
            let is_range = behind.is_some_and(|behind| !behind.is_empty() && !behind.starts_with(']'));
            let last = if is_range {
                self.at += 1;
                self.character()?
            } else {
                first
            };
            if last < first {
                return self.fail("this range of characters ends before it begins");
            }
            ranges.push(first..=last);
        }
        if ranges.is_empty() && !negated {
            return Err(self.wrong(at, "this set holds no character"));
        }
        Ok(Expression::Class { ranges, negated })
    }

    /// A character, perhaps escaped.
    fn character(&mut self) -> Result<char, GrammarError> {
        let at = self.at;
        let unknown = |parser: &Self| parser.wrong(at, "this stands for no character");
        match self.next() {
            Some('\\') => match self.next() {
                Some('x') => self.code(2, at),
                Some('u') => self.code(4, at),
                Some('U') => self.code(8, at),
                Some('t') => Ok('\t'),
                Some('r') => Ok('\r'),
                Some('n') => Ok('\n'),
                Some(other) if other.is_ascii_punctuation() => Ok(other),
                _ => Err(unknown(self)),
            },
            Some(plain) => Ok(plain),
            None => Err(unknown(self)),
        }
    }

    fn code(&mut self, digits: usize, at: usize) -> Result<char, GrammarError> {
        let code = self.text.get(self.at..self.at + digits).filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let found = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        self.at += if found.is_some() { digits } else { 0 };
        found.ok_or_else(|| self.wrong(at, "this stands for no character"))
    }
}

fn is_of_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '_'
}

/// The only one of `items`, or all of them together.
fn single(mut items: Vec<Expression>, together: fn(Vec<Expression>) -> Expression) -> Expression {
    match items.len() {
        1 => items.swap_remove(0),
        _ => together(items),
    }
}

#[cfg(test)]
mod tests;
