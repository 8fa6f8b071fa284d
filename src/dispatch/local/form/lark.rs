//! Grammars in Lark's notation, which `llguidance` reads.
//!
//! What follows no rule that leads back to itself is regular, and becomes a terminal: that is matched by an automaton
//! and not by the parser, without which no token could be drawn in time. A terminal takes as much as it can, so
//! neighbours become one.

use std::fmt::Write;
use std::ops::RangeInclusive;

use crate::chat::grammar::{Expression, Grammar};

/// The rules of `grammar`, of which `start` is the one that an answer is.
pub(super) fn rules(grammar: &Grammar, start: &str) -> String {
    let rules: Vec<Expression> =
        grammar.rules().iter().enumerate().map(|(number, rule)| without_recursion(number, rule)).collect();
    let regular = regular(&rules);
    let mut writer = Writer { rules: &rules, regular: &regular, terminals: 0, out: String::new() };
    writer.write(grammar.root(), start)
}

/// Which rules lead to none that leads back to itself.
fn regular(rules: &[Expression]) -> Vec<bool> {
    let mut regular = vec![false; rules.len()];
    loop {
        let now: Vec<bool> = rules.iter().map(|rule| is_regular(rule, &regular)).collect();
        if now == regular {
            return regular;
        }
        regular = now;
    }
}

fn is_regular(expression: &Expression, regular: &[bool]) -> bool {
    match expression {
        Expression::Sequence(items) | Expression::Choice(items) => items.iter().all(|item| is_regular(item, regular)),
        Expression::Repeat { item, .. } => is_regular(item, regular),
        Expression::Text(_) | Expression::Class { .. } => true,
        Expression::Rule(number) => regular[*number],
    }
}

/// A rule that comes back to itself only at the ends of its choices, `digits ::= [0-9] | [0-9] digits`, repeats something.
fn without_recursion(number: usize, rule: &Expression) -> Expression {
    let Expression::Choice(choices) = rule else { return rule.clone() };
    let is_itself = |item: &Expression| *item == Expression::Rule(number);
    let (mut ends, mut behind, mut before) = (Vec::new(), Vec::new(), Vec::new());
    for choice in choices {
        match choice {
            Expression::Sequence(items) if items.last().is_some_and(is_itself) => {
                before.push(Expression::Sequence(items[..items.len() - 1].to_vec()));
            }
            Expression::Sequence(items) if items.first().is_some_and(is_itself) => {
                behind.push(Expression::Sequence(items[1..].to_vec()));
            }
            other => ends.push(other.clone()),
        }
    }
    let again =
        |steps: Vec<Expression>| Expression::Repeat { item: Box::new(Expression::Choice(steps)), least: 0, most: None };
    if ends.iter().chain(&before).chain(&behind).any(|part| mentions(part, number)) {
        return rule.clone();
    }
    match (before.is_empty(), behind.is_empty()) {
        (false, true) => Expression::Sequence(vec![again(before), Expression::Choice(ends)]),
        (true, false) => Expression::Sequence(vec![Expression::Choice(ends), again(behind)]),
        _ => rule.clone(),
    }
}

fn mentions(expression: &Expression, number: usize) -> bool {
    match expression {
        Expression::Sequence(items) | Expression::Choice(items) => items.iter().any(|item| mentions(item, number)),
        Expression::Repeat { item, .. } => mentions(item, number),
        Expression::Text(_) | Expression::Class { .. } => false,
        Expression::Rule(other) => *other == number,
    }
}

struct Writer<'a> {
    rules: &'a [Expression],
    regular: &'a [bool],
    /// How many terminals have names of their own.
    terminals: usize,
    out: String,
}

impl Writer<'_> {
    fn write(&mut self, root: usize, start: &str) -> String {
        let first = self.name(root);
        let _ = writeln!(self.out, "{start}: {first}");
        let (mut due, mut seen) = (vec![root], vec![false; self.rules.len()]);
        while let Some(number) = due.pop() {
            if std::mem::replace(&mut seen[number], true) {
                continue;
            }
            let rule = &self.rules[number];
            let body = if self.regular[number] { self.terminal(rule) } else { self.rule(rule) };
            let name = self.name(number);
            let _ = writeln!(self.out, "{name}: {body}");
            follow(rule, &mut due);
        }
        std::mem::take(&mut self.out)
    }

    fn name(&self, number: usize) -> String {
        let letter = if self.regular[number] { 'R' } else { 'r' };
        format!("{letter}{number}")
    }

    /// What stands in a rule: neighbours that are regular are one terminal.
    fn rule(&mut self, expression: &Expression) -> String {
        if is_regular(expression, self.regular) {
            return self.named(std::slice::from_ref(expression));
        }
        match expression {
            Expression::Sequence(items) => {
                let regular = self.regular;
                let alike = |a: &Expression, b: &Expression| is_regular(a, regular) && is_regular(b, regular);
                let write = |stretch: &[Expression]| match stretch {
                    [item] if !is_regular(item, regular) => self.rule(item),
                    stretch => self.named(stretch),
                };
                let written: Vec<String> = items.chunk_by(alike).map(write).collect();
                format!("({})", written.join(" "))
            }
            Expression::Choice(items) => {
                let written: Vec<String> = items.iter().map(|item| self.rule(item)).collect();
                format!("({})", written.join(" | "))
            }
            Expression::Repeat { item, least, most } => self.rule(item) + &times(*least, *most),
            Expression::Rule(number) => self.name(*number),
            Expression::Text(_) | Expression::Class { .. } => self.terminal(expression),
        }
    }

    /// A terminal of its own for regular neighbours.
    fn named(&mut self, items: &[Expression]) -> String {
        if let [Expression::Rule(number)] = items {
            return self.name(*number);
        }
        let body: Vec<String> = items.iter().map(|item| self.terminal(item)).collect();
        let name = format!("T{}", self.terminals);
        self.terminals += 1;
        let _ = writeln!(self.out, "{name}: {}", body.join(" "));
        name
    }

    /// What stands in a terminal.
    fn terminal(&self, expression: &Expression) -> String {
        let all = |items: &[Expression]| items.iter().map(|item| self.terminal(item)).collect::<Vec<_>>();
        match expression {
            Expression::Sequence(items) if items.is_empty() => "\"\"".to_owned(),
            Expression::Sequence(items) => format!("({})", all(items).join(" ")),
            Expression::Choice(items) => format!("({})", all(items).join(" | ")),
            Expression::Repeat { item, least, most } => self.terminal(item) + &times(*least, *most),
            Expression::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Expression::Class { ranges, negated } => class(ranges, *negated),
            Expression::Rule(number) => self.name(*number),
        }
    }
}

/// Adds the rules that `expression` names to `due`.
fn follow(expression: &Expression, due: &mut Vec<usize>) {
    match expression {
        Expression::Sequence(items) | Expression::Choice(items) => items.iter().for_each(|item| follow(item, due)),
        Expression::Repeat { item, .. } => follow(item, due),
        Expression::Text(_) | Expression::Class { .. } => {}
        Expression::Rule(number) => due.push(*number),
    }
}

fn times(least: u32, most: Option<u32>) -> String {
    match (least, most) {
        (0, None) => "*".to_owned(),
        (1, None) => "+".to_owned(),
        (0, Some(1)) => "?".to_owned(),
        (least, None) => format!("{{{least},}}"),
        (least, Some(most)) => format!("{{{least},{most}}}"),
    }
}

/// A set of characters as a regular expression.
fn class(ranges: &[RangeInclusive<char>], negated: bool) -> String {
    if ranges.is_empty() {
        return "/(?s:.)/".to_owned();
    }
    let code = |c: &char| format!("\\x{{{:x}}}", u32::from(*c));
    let ranges: String = ranges.iter().map(|range| format!("{}-{}", code(range.start()), code(range.end()))).collect();
    format!("/[{}{ranges}]/", if negated { "^" } else { "" })
}

#[cfg(test)]
mod tests;
