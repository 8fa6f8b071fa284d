//! Syntax tree to checked condition: names, types, polarity.

use super::eval::{Condition, DestinationCondition, Op};
use super::parse::{Ast, AstKind, ExprError, Literal, Relation, TextTest};
use super::text::Matcher;
use crate::classify::Truth;
use crate::policy::Destination;
use crate::policy::vocabulary::{Slot, Trust, Type, Vocabulary};
use crate::yaml::did_you_mean;

/// What applying a rule does, which decides where `class` and `unknown.*` may stand in its condition.
///
/// Both grow when a detector fails. A rule that restricts may only apply more often as they grow, one that widens only
/// less often; else a dead detector could open a door, and the fail-closed theorem would not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Guards, classify rules, `deny`, budget steps.
    Restricts,
    /// Baselines, declassify rules, `only`.
    Widens,
    /// Routes: they choose among what is permitted.
    Chooses,
}

/// What an expression may use.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Names of facts.
    pub vocabulary: &'a Vocabulary,
    /// Names of classes, lowest first.
    pub classes: &'a [String],
    /// What applying the rule does.
    pub direction: Direction,
    /// Whether `class` may be used: not where the class is still being found.
    pub class_known: bool,
    /// Whether facts that a client asserts may be used.
    pub client_facts: bool,
    /// All destinations, for the vocabulary of `dest.*`; none where `dest.*` may not be used.
    pub destinations: &'a [Destination],
}

/// Checks an expression over facts alone.
pub fn check(ast: &Ast, context: &Context<'_>) -> Result<Condition, ExprError> {
    Checker { context, destination: None, ops: Vec::new() }.finish(ast)
}

/// Checks an expression that may use `dest.*`, once for each destination.
pub fn check_for_destinations(ast: &Ast, context: &Context<'_>) -> Result<DestinationCondition, ExprError> {
    let each = context
        .destinations
        .iter()
        .map(|destination| Checker { context, destination: Some(destination), ops: Vec::new() }.finish(ast));
    Ok(DestinationCondition::new(each.collect::<Result<_, _>>()?))
}

pub(super) struct Checker<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) destination: Option<&'a Destination>,
    ops: Vec<Op>,
}

impl Checker<'_> {
    fn finish(mut self, ast: &Ast) -> Result<Condition, ExprError> {
        let root = self.truth(ast, true)?;
        if usize::from(root) + 1 != self.ops.len() {
            // Folding left the result elsewhere than last.
            let op = self.ops[usize::from(root)];
            self.ops.push(op);
        }
        if let Some(Op::Constant(value)) = self.ops.last() {
            return Ok(Condition::constant(*value));
        }
        Ok(Condition { ops: self.ops.into() })
    }

    /// Compiles a truth value; `positive` is whether an even number of negations stands around it.
    fn truth(&mut self, ast: &Ast, positive: bool) -> Result<u16, ExprError> {
        match &ast.kind {
            AstKind::Or(a, b) => {
                let (a, b) = (self.truth(a, positive)?, self.truth(b, positive)?);
                Ok(self.or(a, b))
            }
            AstKind::And(a, b) => {
                let (a, b) = (self.truth(a, positive)?, self.truth(b, positive)?);
                Ok(self.and(a, b))
            }
            AstKind::Not(a) => {
                let a = self.truth(a, !positive)?;
                Ok(self.not(a))
            }
            AstKind::Compare(relation, a, b) => self.compare(*relation, a, b, positive),
            AstKind::In(a, items) => self.is_in(a, items, positive),
            AstKind::Test(test, a, b) => self.test(*test, a, b, positive),
            AstKind::Name(name) => self.flag(name, ast, positive),
            AstKind::Literal(Literal::Bool(value)) => Ok(self.push(Op::Constant((*value).into()))),
            AstKind::Literal(_) => Err(error(ast, "expected a condition, found a plain value".into())),
        }
    }

    fn flag(&mut self, name: &str, ast: &Ast, positive: bool) -> Result<u16, ExprError> {
        if name == "class" || name.starts_with("dest.") {
            return Err(error(ast, format!("`{name}` needs a comparison, as in `{name} == \"…\"`")));
        }
        let slot = self.slot(name, ast, positive)?;
        match &self.context.vocabulary.term(slot).kind {
            Type::Bool => Ok(self.push(Op::Bool(slot))),
            Type::Number => Err(error(ast, format!("`{name}` is a number; compare it, as in `{name} >= 1`"))),
            Type::Word(words) => {
                let word = words.first().map_or("", String::as_str);
                Err(error(ast, format!("`{name}` is a word; compare it, as in `{name} == \"{word}\"`")))
            }
        }
    }

    fn compare(&mut self, relation: Relation, a: &Ast, b: &Ast, positive: bool) -> Result<u16, ExprError> {
        match (&a.kind, &b.kind) {
            (AstKind::Name(left), AstKind::Name(right)) if left == "class" => {
                self.class(relation, right, a, b, positive)
            }
            (AstKind::Name(left), AstKind::Name(right)) if right == "class" => {
                self.class(relation.flipped(), left, b, a, positive)
            }
            (AstKind::Name(left), AstKind::Name(right)) => self.two_names(relation, (left, a), (right, b), positive),
            (AstKind::Name(name), AstKind::Literal(value)) => self.against(name, a, relation, value, b, positive),
            (AstKind::Literal(value), AstKind::Name(name)) => {
                self.against(name, b, relation.flipped(), value, a, positive)
            }
            _ => Err(error(b, "a comparison needs a name on one side and a literal on the other".into())),
        }
    }

    fn two_names(
        &mut self,
        relation: Relation,
        (left, at_left): (&str, &Ast),
        (right, at_right): (&str, &Ast),
        positive: bool,
    ) -> Result<u16, ExprError> {
        match (left.strip_prefix("dest."), right.strip_prefix("dest.")) {
            (Some(property), None) => self.destination_and_fact(property, at_left, relation, right, at_right, positive),
            (None, Some(property)) => {
                self.destination_and_fact(property, at_right, relation.flipped(), left, at_left, positive)
            }
            _ => Err(error(
                at_right,
                format!(
                    "two names cannot be compared unless one is `dest.*`; if `{right}` is a text, write it in quotes"
                ),
            )),
        }
    }

    fn against(
        &mut self,
        name: &str,
        at_name: &Ast,
        relation: Relation,
        value: &Literal,
        at_value: &Ast,
        positive: bool,
    ) -> Result<u16, ExprError> {
        if name == "class" {
            let class = self.context.classes.last().map_or("", String::as_str);
            return Err(error(at_value, format!("write a class without quotes, as in `class >= {class}`")));
        }
        if let Some(property) = name.strip_prefix("dest.") {
            return self.destination_against(property, at_name, relation, value, at_value);
        }
        let slot = self.slot(name, at_name, positive)?;
        match (&self.context.vocabulary.term(slot).kind, value) {
            (Type::Number, Literal::Number(bound)) => Ok(self.push(Op::Number(slot, relation, *bound))),
            (Type::Bool, Literal::Bool(wanted)) if matches!(relation, Relation::Eq | Relation::Ne) => {
                let op = self.push(Op::Bool(slot));
                Ok(if *wanted == (relation == Relation::Eq) { op } else { self.not(op) })
            }
            (Type::Word(words), Literal::Text(word)) if matches!(relation, Relation::Eq | Relation::Ne) => {
                if !words.contains(word) {
                    let hint = did_you_mean(word, words.iter().map(String::as_str));
                    return Err(error(at_value, format!("`{name}` is never `{word}`{hint}")));
                }
                Ok(self.push(Op::Word(slot, mask_of(words, relation, |known| known == word))))
            }
            (Type::Word(_), Literal::Text(_)) => {
                Err(error(at_value, format!("`{name}` is a word: compare it with `==`, `!=` or `in`")))
            }
            (kind, _) => {
                let way_out = match kind {
                    Type::Number => "compare it with one, without quotes",
                    Type::Word(_) => "compare it with one in quotes",
                    Type::Bool => "it stands alone, or behind a `!`",
                };
                Err(error(at_value, format!("`{name}` is {}; {way_out}", kind.name())))
            }
        }
    }

    fn test(&mut self, test: TextTest, a: &Ast, argument: &Ast, positive: bool) -> Result<u16, ExprError> {
        let AstKind::Name(name) = &a.kind else {
            return Err(error(a, "expected a name here".into()));
        };
        let matcher = Matcher::new(test, argument)?;
        if let Some(property) = name.strip_prefix("dest.") {
            return self.destination_text(property, a, &matcher, argument);
        }
        if name == "class" {
            return Err(error(a, "`class` is no text; compare it, as in `class >= confidential`".into()));
        }
        let slot = self.slot(name, a, positive)?;
        match &self.context.vocabulary.term(slot).kind {
            Type::Word(words) if words.iter().any(|word| matcher.holds(word)) => {
                Ok(self.push(Op::Word(slot, mask_of(words, Relation::Eq, |word| matcher.holds(word)))))
            }
            Type::Word(words) => {
                let words = words.join("`, `");
                Err(error(argument, format!("no value of `{name}` {}; they are `{words}`", matcher.asked())))
            }
            kind => Err(error(a, format!("`{name}` is {}, and only words can be asked for their text", kind.name()))),
        }
    }

    fn is_in(&mut self, a: &Ast, items: &[Ast], positive: bool) -> Result<u16, ExprError> {
        let AstKind::Name(name) = &a.kind else {
            return Err(error(a, "expected a name before `in`".into()));
        };
        let mut any = self.push(Op::Constant(Truth::False));
        for item in items {
            let one = match (&item.kind, name.as_str()) {
                (AstKind::Name(class), "class") => self.class(Relation::Eq, class, a, item, positive)?,
                (AstKind::Literal(value), _) => self.against(name, a, Relation::Eq, value, item, positive)?,
                _ => return Err(error(item, "a list holds literals only".into())),
            };
            any = self.or(any, one);
        }
        Ok(any)
    }

    fn class(
        &mut self,
        relation: Relation,
        class: &str,
        at: &Ast,
        at_class: &Ast,
        positive: bool,
    ) -> Result<u16, ExprError> {
        if !self.context.class_known {
            return Err(error(at, "`class` is not known yet here: these rules are what decides it".into()));
        }
        let classes = self.context.classes;
        let Some(index) = classes.iter().position(|c| c == class) else {
            let hint = did_you_mean(class, classes.iter().map(String::as_str));
            return Err(error(at_class, format!("unknown class `{class}`{hint}")));
        };
        let fits = match relation {
            Relation::Ge | Relation::Gt => self.may_grow(positive),
            Relation::Le | Relation::Lt => self.may_grow(!positive),
            Relation::Eq | Relation::Ne => self.context.direction == Direction::Chooses,
        };
        if !fits {
            let way_out = match self.context.direction {
                Direction::Restricts => "write `class >= …`",
                Direction::Widens | Direction::Chooses => "write `class <= …`",
            };
            return Err(coded(at, "E012", format!("as the class rises this condition would open a door; {way_out}")));
        }
        // At most 64 classes are accepted.
        Ok(self.push(Op::Class(relation, index as u8)))
    }

    pub(super) fn slot(&self, name: &str, at: &Ast, positive: bool) -> Result<Slot, ExprError> {
        let vocabulary = self.context.vocabulary;
        let Some(slot) = vocabulary.slot(name) else {
            let hint = did_you_mean(name, vocabulary.names());
            return Err(error(at, format!("unknown name `{name}`{hint}")));
        };
        let term = vocabulary.term(slot);
        if term.trust == Trust::Client && !self.context.client_facts {
            return Err(coded(
                at,
                "E010",
                format!("`{name}` is what a client says of itself; it cannot widen anything, a `key.…` attribute can"),
            ));
        }
        if term.grows_with_unknown && !self.may_grow(positive) {
            let way_out = if positive { "put a `!` before it" } else { "leave out the `!` before it" };
            let message = format!("a failing detector would open a door through `{name}` here; {way_out}");
            return Err(coded(at, "E012", message));
        }
        Ok(slot)
    }

    fn may_grow(&self, positive: bool) -> bool {
        match self.context.direction {
            Direction::Restricts => positive,
            Direction::Widens => !positive,
            Direction::Chooses => true,
        }
    }

    pub(super) fn push(&mut self, op: Op) -> u16 {
        self.ops.push(op);
        // An expression of at most 4096 bytes has fewer than 65,536 steps.
        (self.ops.len() - 1) as u16
    }

    fn constant(&self, at: u16) -> Option<Truth> {
        match self.ops[usize::from(at)] {
            Op::Constant(value) => Some(value),
            _ => None,
        }
    }

    fn not(&mut self, a: u16) -> u16 {
        match self.constant(a) {
            Some(value) => self.push(Op::Constant(!value)),
            None => self.push(Op::Not(a)),
        }
    }

    fn and(&mut self, a: u16, b: u16) -> u16 {
        match (self.constant(a), self.constant(b)) {
            (Some(Truth::False), _) | (_, Some(Truth::True)) => a,
            (Some(Truth::True), _) | (_, Some(Truth::False)) => b,
            _ => self.push(Op::And(a, b)),
        }
    }

    fn or(&mut self, a: u16, b: u16) -> u16 {
        match (self.constant(a), self.constant(b)) {
            (Some(Truth::True), _) | (_, Some(Truth::False)) => a,
            (Some(Truth::False), _) | (_, Some(Truth::True)) => b,
            _ => self.push(Op::Or(a, b)),
        }
    }
}

/// The words for which `is` holds, or for `!=` does not.
pub(super) fn mask_of(words: &[String], relation: Relation, is: impl Fn(&str) -> bool) -> u64 {
    let wanted = relation == Relation::Eq;
    let held = words.iter().enumerate().filter(|(_, word)| is(word) == wanted);
    // At most 64 words are accepted.
    held.fold(0, |mask, (i, _)| mask | (1 << i))
}

pub(super) fn error(ast: &Ast, message: String) -> ExprError {
    ExprError::new(ast.span.start, message)
}

fn coded(ast: &Ast, code: &'static str, message: String) -> ExprError {
    ExprError { code, ..error(ast, message) }
}
