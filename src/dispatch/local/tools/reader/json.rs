//! Calls that are written as JSON.

use super::Head;

/// How far a JSON value has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    begun: bool,
}

impl Value {
    /// Where the value ends in `text`, which goes on with it.
    pub(super) fn end_in(&mut self, text: &str) -> Option<usize> {
        for (at, byte) in text.bytes().enumerate() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                if !self.in_string && self.depth == 0 {
                    return Some(at + 1);
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' | b',' | b' ' | b'\n' if self.depth == 0 && self.begun => return Some(at),
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
            self.begun = true;
        }
        None
    }
}

/// Reads `{"name": "…", "arguments": `, however it is spaced, also as the first of a list.
pub(super) fn head(text: &str) -> Head {
    let mut rest = text.trim_start_matches([' ', '\n', '\t', '\r', '[', ',']);
    for expected in ["{", "\"name\"", ":"] {
        match next(rest, expected) {
            Some(Ok(after)) => rest = after,
            Some(Err(())) => return Head::Odd,
            None => return Head::Unfinished,
        }
    }
    if rest.is_empty() {
        return Head::Unfinished;
    }
    let mut string = Value::default();
    if !rest.starts_with('"') {
        return Head::Odd;
    }
    let Some(end) = string.end_in(rest) else { return Head::Unfinished };
    let Ok(name) = serde_json::from_str::<String>(&rest[..end]) else { return Head::Odd };
    rest = match next(&rest[end..], ",") {
        Some(Ok(after)) => after,
        Some(Err(())) => return Head::Odd,
        None => return Head::Unfinished,
    };
    let keys = ["\"arguments\"", "\"parameters\""];
    let found = keys.map(|key| next(rest, key));
    rest = match found {
        [Some(Ok(after)), _] | [_, Some(Ok(after))] => after,
        [None, _] | [_, None] => return Head::Unfinished,
        _ => return Head::Odd,
    };
    match next(rest, ":") {
        Some(Ok("")) | None => Head::Unfinished,
        Some(Ok(after)) => Head::Named(name, text.len() - after.len()),
        Some(Err(())) => Head::Odd,
    }
}

/// What follows `expected` and the blanks after it; an error for something else, `None` where more must come.
fn next<'a>(text: &'a str, expected: &str) -> Option<Result<&'a str, ()>> {
    let text = text.trim_start();
    match text.strip_prefix(expected) {
        Some(after) => Some(Ok(after.trim_start())),
        None if expected.starts_with(text) => None,
        None => Some(Err(())),
    }
}
