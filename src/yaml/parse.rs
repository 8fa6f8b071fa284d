//! Text to tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};

use super::{Node, Place, Problem, Problems, Shape};

/// Larger files are no policy or configuration a person wrote.
const MAX_BYTES: usize = 1 << 20;
/// Deeper nesting is none either.
const MAX_DEPTH: usize = 24;

/// Parses one YAML document. Anchors, aliases, merge keys, tags, duplicate keys and further documents are refused:
/// each lets a reader overlook what a file says.
pub fn parse(file: &str, text: &str) -> Result<Node, Problems> {
    let origin: Arc<str> = file.into();
    if text.len() > MAX_BYTES {
        return Err(one(Place::whole(origin), format!("larger than {MAX_BYTES} bytes")));
    }
    let mut builder = Builder { origin, events: Parser::new_from_str(text) };
    builder.document().map_err(|problem| {
        let mut problems = Problems::new();
        problems.add(&problem.place, problem.message);
        problems
    })
}

fn one(place: Place, message: String) -> Problems {
    let mut problems = Problems::new();
    problems.add(&place, message);
    problems
}

struct Builder<'i> {
    origin: Arc<str>,
    events: Parser<'i, StrInput<'i>>,
}

impl<'i> Builder<'i> {
    fn document(&mut self) -> Result<Node, Problem> {
        let mut root = Node { place: Place::whole(self.origin.clone()), shape: Shape::Null };
        let mut documents = 0;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => return Ok(root),
                Event::DocumentStart(_) if documents == 1 => {
                    return Err(self.problem(&span, "a second document starts here; use one file a document"));
                }
                Event::DocumentStart(_) => {
                    documents = 1;
                    let (event, span) = self.next()?;
                    root = self.node(event, &span, 0)?;
                }
                _ => {}
            }
        }
    }

    fn node(&mut self, event: Event<'i>, span: &Span, depth: usize) -> Result<Node, Problem> {
        if depth > MAX_DEPTH {
            return Err(self.problem(span, &format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let place = self.place(span);
        let shape = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some())?;
                scalar(text, style)
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some())?;
                self.list(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(span, anchor, tag.is_some())?;
                self.map(depth)?
            }
            Event::Alias(_) => return Err(self.problem(span, "aliases (`*name`) are not allowed; write the value out")),
            _ => return Err(self.problem(span, "expected a value")),
        };
        Ok(Node { place, shape })
    }

    fn list(&mut self, depth: usize) -> Result<Shape, Problem> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Shape::List(items));
            }
            items.push(self.node(event, &span, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<Shape, Problem> {
        let mut entries: Vec<(Node, Node)> = Vec::new();
        let mut known: HashMap<String, Place> = HashMap::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Shape::Map(entries));
            }
            let key = self.node(event, &span, depth + 1)?;
            self.check_key(&key, &mut known, &span)?;
            let (event, span) = self.next()?;
            let value = self.node(event, &span, depth + 1)?;
            entries.push((key, value));
        }
    }

    fn check_key(&self, key: &Node, known: &mut HashMap<String, Place>, span: &Span) -> Result<(), Problem> {
        let Some(name) = key.scalar() else {
            return Err(self.problem(span, &format!("a key must be a word, found {}", key.kind())));
        };
        if name == "<<" {
            return Err(self.problem(span, "merge keys (`<<`) are not allowed; write the entries out"));
        }
        match known.insert(name.to_owned(), key.place.clone()) {
            Some(earlier) => Err(self.problem(span, &format!("the key `{name}` is already set at {earlier}"))),
            None => Ok(()),
        }
    }

    fn refuse_extras(&self, span: &Span, anchor: usize, tagged: bool) -> Result<(), Problem> {
        if anchor > 0 {
            return Err(self.problem(span, "anchors (`&name`) are not allowed; write the value out"));
        }
        if tagged {
            return Err(self.problem(span, "tags (`!name`) are not allowed; a text that begins with `!` needs quotes"));
        }
        Ok(())
    }

    fn next(&mut self) -> Result<(Event<'i>, Span), Problem> {
        match self.events.next_event() {
            Some(Ok(next)) => Ok(next),
            Some(Err(error)) => {
                let at = error.marker();
                Err(Problem {
                    place: self.at(at.line(), at.col()),
                    code: None,
                    message: format!("not valid YAML: {}{}", error.info(), way_out(error.info())),
                })
            }
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn problem(&self, span: &Span, message: &str) -> Problem {
        Problem { place: self.place(span), code: None, message: message.to_owned() }
    }

    fn place(&self, span: &Span) -> Place {
        self.at(span.start.line(), span.start.col())
    }

    fn at(&self, line: usize, column: usize) -> Place {
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { origin: self.origin.clone(), at: Some((narrow(line), narrow(column + 1))) }
    }
}

/// What usually lies behind a complaint of the YAML scanner.
fn way_out(info: &str) -> &'static str {
    const WAYS: [(&str, &str); 8] = [
        ("tabs", "; indent with spaces"),
        ("flow ", "; close the bracket or brace, and quote a text that has brackets, braces, commas or quotes in it"),
        ("trailing content", "; quote the whole text: '…'"),
        ("quoted scalar", "; the quote that opens before is not closed"),
        ("unknown anchor", "; aliases (`*name`) are not allowed, write the value out"),
        ("simple key", "; a key, here or on the line before, needs a colon and a space after it"),
        ("block mapping", "; is this line indented as those around it?"),
        ("block collection", "; is this line indented as those around it?"),
    ];
    WAYS.iter().find(|(part, _)| info.contains(part)).map_or("", |(_, way)| way)
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle) -> Shape {
    let plain = style == ScalarStyle::Plain;
    if plain && matches!(text.as_ref(), "" | "~" | "null") {
        return Shape::Null;
    }
    Shape::Scalar { text: text.into_owned(), plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        parse("p.yaml", text).expect_err("accepted").to_string()
    }

    #[test]
    fn every_value_knows_its_line_and_column() {
        let root = parse("p.yaml", "a: 1\nb:\n  - x\n  - { c: 'two words' }\n").unwrap();
        let mut problems = Problems::new();
        let b = &root.map(&mut problems).unwrap()[1].1;
        let item = &b.list(&mut problems).unwrap()[1];
        let c = &item.map(&mut problems).unwrap()[0].1;
        assert_eq!(c.place.to_string(), "p.yaml:4:10");
        assert_eq!(c.scalar(), Some("two words"));
        assert!(problems.is_empty());
    }

    #[test]
    fn yes_and_on_stay_words_and_only_true_and_false_are_flags() {
        let root = parse("p.yaml", "[on, yes, true, false]").unwrap();
        let mut problems = Problems::new();
        let flags: Vec<_> = root.list(&mut problems).unwrap().to_vec();
        let flags: Vec<_> = flags.iter().map(|n| n.flag(&mut problems)).collect();
        assert_eq!(flags, [None, None, Some(true), Some(false)]);
        assert_eq!(problems.len(), 2);
    }

    #[test]
    fn a_map_as_large_as_a_file_may_be_is_read_in_no_time() {
        let text: String = (0..60_000).map(|i| format!("k{i}: 1\n")).collect();
        let begun = std::time::Instant::now();
        assert!(parse("p.yaml", &text).is_ok());
        assert!(begun.elapsed().as_secs() < 10, "took {:?}", begun.elapsed());
    }

    #[test]
    fn refuses_everything_that_hides_what_a_file_says() {
        assert_eq!(refusal("a: &x 1\nb: *x"), "p.yaml:1:4: anchors (`&name`) are not allowed; write the value out");
        assert_eq!(
            refusal("a: !!str 1"),
            "p.yaml:1:4: tags (`!name`) are not allowed; a text that begins with `!` needs quotes"
        );
        assert_eq!(refusal("a: 1\na: 2"), "p.yaml:2:1: the key `a` is already set at p.yaml:1:1");
        assert_eq!(refusal("<<: {}"), "p.yaml:1:1: merge keys (`<<`) are not allowed; write the entries out");
        assert!(refusal("a: 1\n---\nb: 2").contains("second document"));
        assert!(refusal("a: [1").contains("not valid YAML"));
        assert!(refusal(&"[".repeat(100)).contains("nested deeper"));
    }
}
