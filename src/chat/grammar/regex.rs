//! Grammars as regular expressions say them, which are read by `regex-syntax`.

use std::str;

use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassAscii, ClassAsciiKind, ClassBracketed, ClassPerl, ClassPerlKind, ClassSet,
    ClassSetItem, ErrorKind, Flag, FlagsItemKind, Position, RepetitionKind, RepetitionRange, Span,
};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::{Expression, Grammar, GrammarError};

/// Most bytes of an expression.
const MAX_BYTES: usize = 16 << 10;
/// Deepest that groups, sets and repetitions may stand in each other.
const MAX_DEPTH: u32 = 64;
/// Most times that something may be asked to repeat.
const MAX_TIMES: u32 = 2000;
/// Most sets of characters that are named by Unicode's words: each may be hundreds of ranges.
const MAX_NAMED: usize = 64;

/// Reads a regular expression, which is to match a whole text. `\d`, `\w` and `\s` stand for characters of ASCII.
///
/// # Errors
/// The first mistake in it.
pub fn read(text: &str) -> Result<Grammar, GrammarError> {
    if text.len() > MAX_BYTES {
        return Err(GrammarError { line: 1, column: 1, what: "a regular expression has at most 16 KiB" });
    }
    let mut parser = ast::parse::ParserBuilder::new().nest_limit(MAX_DEPTH).build();
    let mut tree = parser.parse(text).map_err(|error| wrong(error.span(), mistake(error.kind())))?;
    Plain::default().tree(&mut tree, Place { first: true, last: true })?;
    let meaning = TranslatorBuilder::new().build().translate(text, &tree);
    let meaning = meaning.map_err(|error| wrong(error.span(), "this is no set of characters"))?;
    let root = expression(&meaning).ok_or_else(|| wrong(tree.span(), "a part of it can be no text"))?;
    Ok(Grammar { rules: vec![root], root: 0 })
}

fn wrong(span: &Span, what: &'static str) -> GrammarError {
    let Position { line, column, .. } = span.start;
    GrammarError { line, column, what }
}

fn mistake(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::UnsupportedLookAround => "nothing can look ahead or behind here",
        ErrorKind::UnsupportedBackreference => "nothing can refer back here",
        ErrorKind::GroupUnclosed => "this group is not closed",
        ErrorKind::GroupUnopened => "no group is open here",
        ErrorKind::ClassUnclosed => "this set of characters is not closed",
        ErrorKind::ClassRangeInvalid => "this range of characters ends before it begins",
        ErrorKind::RepetitionMissing => "nothing stands here that could repeat",
        ErrorKind::RepetitionCountInvalid => "this repeats at least as often as not at most",
        ErrorKind::NestLimitExceeded(_) => "groups may stand in groups at most 64 times",
        ErrorKind::EscapeUnrecognized | ErrorKind::EscapeUnexpectedEof => "this stands for no character",
        _ => "this is not to be understood",
    }
}

/// Where something stands in the whole expression.
#[derive(Clone, Copy)]
struct Place {
    /// Whether nothing stands before it.
    first: bool,
    /// Whether nothing stands behind it.
    last: bool,
}

const WITHIN: Place = Place { first: false, last: false };

/// Makes an expression plain: without anchors at its ends, and with the classes of ASCII. What cannot be is refused.
#[derive(Default)]
struct Plain {
    /// How many sets were named by Unicode's words.
    named: usize,
}

impl Plain {
    fn tree(&mut self, tree: &mut Ast, place: Place) -> Result<(), GrammarError> {
        match tree {
            Ast::Empty(_) | Ast::Literal(_) | Ast::Dot(_) => Ok(()),
            Ast::Flags(set) => flags(&set.flags),
            Ast::Assertion(assertion) => {
                let is_told = match assertion.kind {
                    AssertionKind::StartLine | AssertionKind::StartText => place.first,
                    AssertionKind::EndLine | AssertionKind::EndText => place.last,
                    _ => false,
                };
                if !is_told {
                    return Err(wrong(
                        &assertion.span,
                        "only `^` at the beginning and `$` at the end can be asked for",
                    ));
                }
                *tree = Ast::empty(assertion.span);
                Ok(())
            }
            Ast::ClassUnicode(class) => self.name(&class.span),
            Ast::ClassPerl(class) => {
                let kind = ClassSet::Item(ClassSetItem::Ascii(ascii(class)));
                *tree = Ast::class_bracketed(ClassBracketed { span: class.span, negated: false, kind });
                Ok(())
            }
            Ast::ClassBracketed(class) => self.set(&mut class.kind),
            Ast::Repetition(repetition) => {
                let most = match &repetition.op.kind {
                    RepetitionKind::Range(
                        RepetitionRange::Exactly(most)
                        | RepetitionRange::AtLeast(most)
                        | RepetitionRange::Bounded(_, most),
                    ) => *most,
                    _ => 0,
                };
                if most > MAX_TIMES {
                    return Err(wrong(&repetition.op.span, "a number of times is one from 0 to 2000"));
                }
                self.tree(&mut repetition.ast, WITHIN)
            }
            Ast::Group(group) => {
                group.flags().map_or(Ok(()), flags)?;
                self.tree(&mut group.ast, place)
            }
            Ast::Alternation(choices) => choices.asts.iter_mut().try_for_each(|choice| self.tree(choice, place)),
            Ast::Concat(items) => {
                let last = items.asts.len().saturating_sub(1);
                items.asts.iter_mut().enumerate().try_for_each(|(at, item)| {
                    self.tree(item, Place { first: place.first && at == 0, last: place.last && at == last })
                })
            }
        }
    }

    fn set(&mut self, set: &mut ClassSet) -> Result<(), GrammarError> {
        match set {
            ClassSet::Item(item) => self.item(item),
            ClassSet::BinaryOp(both) => {
                self.set(&mut both.lhs)?;
                self.set(&mut both.rhs)
            }
        }
    }

    fn item(&mut self, item: &mut ClassSetItem) -> Result<(), GrammarError> {
        match item {
            ClassSetItem::Empty(_) | ClassSetItem::Literal(_) | ClassSetItem::Range(_) | ClassSetItem::Ascii(_) => {
                Ok(())
            }
            ClassSetItem::Unicode(class) => self.name(&class.span),
            ClassSetItem::Perl(class) => {
                *item = ClassSetItem::Ascii(ascii(class));
                Ok(())
            }
            ClassSetItem::Bracketed(class) => self.set(&mut class.kind),
            ClassSetItem::Union(union) => union.items.iter_mut().try_for_each(|item| self.item(item)),
        }
    }

    fn name(&mut self, span: &Span) -> Result<(), GrammarError> {
        self.named += 1;
        if self.named > MAX_NAMED {
            return Err(wrong(span, "at most 64 sets may be named as this one is"));
        }
        Ok(())
    }
}

/// To fold the case of large sets takes long.
fn flags(flags: &ast::Flags) -> Result<(), GrammarError> {
    let folds = flags.items.iter().find(|item| item.kind == FlagsItemKind::Flag(Flag::CaseInsensitive));
    folds.map_or(Ok(()), |flag| Err(wrong(&flag.span, "letters of either case are written as [Aa] here")))
}

fn ascii(class: &ClassPerl) -> ClassAscii {
    let kind = match class.kind {
        ClassPerlKind::Digit => ClassAsciiKind::Digit,
        ClassPerlKind::Space => ClassAsciiKind::Space,
        ClassPerlKind::Word => ClassAsciiKind::Word,
    };
    ClassAscii { span: class.span, kind, negated: class.negated }
}

/// `None` where a part of it can be no text.
fn expression(meaning: &Hir) -> Option<Expression> {
    Some(match meaning.kind() {
        HirKind::Empty => Expression::Sequence(Vec::new()),
        HirKind::Literal(literal) => Expression::Text(str::from_utf8(&literal.0).ok()?.to_owned()),
        HirKind::Class(class) => {
            let ranges: Vec<_> = match class {
                Class::Unicode(class) => class.iter().map(|range| range.start()..=range.end()).collect(),
                Class::Bytes(class) => class.iter().map(|range| range.start().into()..=range.end().into()).collect(),
            };
            if ranges.is_empty() {
                return None;
            }
            Expression::Class { ranges, negated: false }
        }
        // Anchors are gone.
        HirKind::Look(_) => return None,
        HirKind::Repetition(repetition) => {
            let item = Box::new(expression(&repetition.sub)?);
            Expression::Repeat { item, least: repetition.min, most: repetition.max }
        }
        HirKind::Capture(capture) => expression(&capture.sub)?,
        HirKind::Concat(items) => joined(items.iter().map(expression).collect::<Option<_>>()?),
        HirKind::Alternation(items) => Expression::Choice(items.iter().map(expression).collect::<Option<_>>()?),
    })
}

/// One after the other; texts that meet are one.
fn joined(items: Vec<Expression>) -> Expression {
    let mut all: Vec<Expression> = Vec::with_capacity(items.len());
    for item in items {
        let inner = match item {
            Expression::Sequence(inner) => inner,
            other => vec![other],
        };
        for item in inner {
            match (all.last_mut(), item) {
                (Some(Expression::Text(before)), Expression::Text(text)) => before.push_str(&text),
                (_, item) => all.push(item),
            }
        }
    }
    Expression::Sequence(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(expression: &str) -> Vec<String> {
        read(expression).unwrap().texts().into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn what_it_spells_is_told_however_it_is_written() {
        for spelt in ["4111", r"\x34\u0031\u{31}1", "[4][1](1)(?:1)", "(?x) 4 1 11 # a comment", "^(4111)$", "4{1}111"]
        {
            assert_eq!(texts(spelt), ["4111"], "{spelt}");
        }
        assert_eq!(texts("(yes|no) [a-z]+"), ["yes", "no", " "]);
    }

    #[test]
    fn classes_are_those_of_ascii_and_a_point_is_any_character_of_a_line() {
        let same = |a: &str, b: &str| assert!(read(a).unwrap() == read(b).unwrap(), "{a} is {b}");
        same(r"\d[\d.]", "[0-9][0-9.]");
        same(r"\w", "[A-Za-z0-9_]");
        same(r"\s", r"[ \t\n\r\x0b\x0c]");
        same(r"\D", "[^0-9]");
        same(".", r"[^\n]");
        same("^a|b$", "[ab]");
    }

    #[test]
    fn a_mistake_is_told_by_its_place() {
        let told = |expression: &str| read(expression).unwrap_err().to_string();
        let long = "a".repeat(MAX_BYTES + 1);
        let deep = format!("{}a{}", "(".repeat(99), ")".repeat(99));
        let named = r"\pL".repeat(MAX_NAMED + 1);
        let all = [
            "a(b",
            "a)",
            "[a",
            "a**{",
            "*a",
            "a{3,2}",
            "a{2001}",
            r"a\q",
            "[z-a]",
            r"(?=a)b",
            r"(a)\1",
            r"a\b",
            "a^b",
            "a$b",
            "(?i)a",
            "(?i:a)",
            r"\p{Nothing}",
            "[a&&b]",
            "(?-u:\\xFF)",
            &long,
            &deep,
            &named,
        ];
        let lines: Vec<_> = all.map(|wrong| format!("{:.24}: {}", wrong, told(wrong))).into_iter().collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_read_or_refused(text in r"[\\()\[\]{}|?*+^$.,:&a-c0-9pdswDWL=<!-]{0,40}") {
            let _ = read(&text);
        }
    }
}
