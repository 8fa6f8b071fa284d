//! Strict JSON with positions: what was classified is what is sent.
//!
//! Two parsers that disagree about one body are a hole: a guard reads the first `model`, the provider the last. So a
//! body is refused here when any reader could read it differently (a duplicate key after unescaping, a lone surrogate,
//! invalid UTF-8, anything after the value), and numbers keep the digits the client wrote.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;

use jiter::{Jiter, JiterError, JsonType, Peek};

use super::Text;

/// Deepest nesting accepted: real requests stay below 20, and a recursive walk must not exhaust the stack.
pub const MAX_DEPTH: usize = 64;

/// Most values in one body: a body of `0,0,0,…` takes thirty times its size in memory once it is a tree.
pub const MAX_VALUES: usize = 1_000_000;

/// A JSON value and where it stands in the body.
#[derive(Clone, PartialEq)]
pub struct Json<'a> {
    /// Byte range of the value in the body, quotes and brackets included.
    pub span: Range<usize>,
    /// The value.
    pub value: Value<'a>,
}

/// The value itself.
#[derive(Clone, PartialEq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as the client wrote it.
    Number(&'a str),
    /// A string, unescaped; borrowed where nothing was escaped.
    String(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object, in the client's order, without duplicate keys.
    Object(Vec<Member<'a>>),
}

/// A key and its value.
#[derive(Clone, PartialEq)]
pub struct Member<'a> {
    /// The key, unescaped.
    pub key: Cow<'a, str>,
    /// The value.
    pub value: Json<'a>,
}

/// Why a body is no acceptable JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not UTF-8.
    #[error("the body is not valid UTF-8 (byte {0})")]
    Utf8(usize),
    /// Not JSON.
    #[error("the body is not valid JSON: {what} at line {line} column {column}")]
    Syntax {
        /// What is wrong.
        what: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Two values for one key: readers differ in which they take.
    #[error("the key `{}` appears twice in one object", .0.expose())]
    DuplicateKey(Text),
    /// Nested too deep.
    #[error("the body is nested deeper than {MAX_DEPTH} levels")]
    TooDeep,
    /// Too many values.
    #[error("the body has more than {MAX_VALUES} values")]
    TooMany,
}

impl<'a> Json<'a> {
    /// Parses `body` completely.
    pub fn parse(body: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(body).map_err(|e| JsonError::Utf8(e.valid_up_to()))?;
        let mut reader = Reader { text, jiter: Jiter::new(body), values: 0 };
        let peek = reader.jiter.peek().map_err(|e| reader.syntax(&e))?;
        let json = reader.value(peek, 0)?;
        reader.jiter.finish().map_err(|e| reader.syntax(&e))?;
        Ok(json)
    }

    /// The value of `key`, where this is an object that has it.
    pub fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.as_object()?.iter().find(|m| m.key == key).map(|m| &m.value)
    }

    /// The members, where this is an object.
    pub fn as_object(&self) -> Option<&[Member<'a>]> {
        match &self.value {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements, where this is an array.
    pub fn as_array(&self) -> Option<&[Json<'a>]> {
        match &self.value {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, where this is a string.
    pub fn as_str(&self) -> Option<&str> {
        match &self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The flag, where this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(flag) => Some(flag),
            _ => None,
        }
    }

    /// The number, where this is one; digits beyond a double's are lost here, and only here.
    pub fn as_f64(&self) -> Option<f64> {
        match self.value {
            Value::Number(digits) => digits.parse().ok().filter(|n: &f64| n.is_finite()),
            _ => None,
        }
    }

    /// The number, where this is one without fraction or exponent that fits.
    pub fn as_i64(&self) -> Option<i64> {
        match self.value {
            Value::Number(digits) => digits.parse().ok(),
            _ => None,
        }
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// What it is, with its article: for messages such as "must be a string, not an array".
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }

    /// Whether both say the same, wherever they stand in their bodies.
    pub fn same_value(&self, other: &Json<'_>) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Number(a), Value::Number(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_value(b)),
            (Value::Object(a), Value::Object(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && a.value.same_value(&b.value))
            }
            (
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_),
                _,
            ) => false,
        }
    }
}

/// Shows the shape, never the content: a body is prompt text.
impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Json({} at {:?})", self.kind(), self.span)
    }
}

struct Reader<'a> {
    text: &'a str,
    jiter: Jiter<'a>,
    values: usize,
}

impl<'a> Reader<'a> {
    fn value(&mut self, peek: Peek, depth: usize) -> Result<Json<'a>, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err(JsonError::TooMany);
        }
        let start = self.jiter.current_index();
        let value = match peek {
            Peek::Null => self.jiter.known_null().map(|()| Value::Null).map_err(|e| self.syntax(&e))?,
            Peek::True | Peek::False => self.jiter.known_bool(peek).map(Value::Bool).map_err(|e| self.syntax(&e))?,
            Peek::String => Value::String(self.string(start)?),
            Peek::Array => self.array(depth)?,
            Peek::Object => self.object(depth)?,
            _ => self.number(peek, start)?,
        };
        Ok(Json { span: start..self.jiter.current_index(), value })
    }

    fn number(&mut self, peek: Peek, start: usize) -> Result<Value<'a>, JsonError> {
        match self.jiter.known_number_bytes(peek) {
            Ok(_) => Ok(Value::Number(&self.text[start..self.jiter.current_index()])),
            Err(e) => Err(self.syntax(&e)),
        }
    }

    fn string(&mut self, start: usize) -> Result<Cow<'a, str>, JsonError> {
        let text = self.text.as_bytes();
        let owned = match self.jiter.known_str() {
            Ok(unescaped) => {
                // No escape: the same bytes stand in the body, followed by the closing quote.
                let end = start + 1 + unescaped.len();
                let verbatim = text.get(start + 1..end) == Some(unescaped.as_bytes()) && text.get(end) == Some(&b'"');
                (!verbatim).then(|| unescaped.to_owned())
            }
            Err(e) => return Err(self.syntax(&e)),
        };
        Ok(match owned {
            Some(unescaped) => Cow::Owned(unescaped),
            None => Cow::Borrowed(&self.text[start + 1..self.jiter.current_index() - 1]),
        })
    }

    fn array(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        let mut items = Vec::new();
        let mut next = self.jiter.known_array().map_err(|e| self.syntax(&e))?;
        while let Some(peek) = next {
            items.push(self.value(peek, depth + 1)?);
            next = self.jiter.array_step().map_err(|e| self.syntax(&e))?;
        }
        Ok(Value::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Value<'a>, JsonError> {
        let mut members: Vec<Member<'a>> = Vec::new();
        let mut seen = Seen::default();
        let mut next = self.jiter.known_object().map(|k| k.map(str::to_owned)).map_err(|e| self.syntax(&e))?;
        while let Some(key) = next {
            if !seen.insert(&members, &key) {
                return Err(JsonError::DuplicateKey(key.into()));
            }
            let peek = self.jiter.peek().map_err(|e| self.syntax(&e))?;
            let value = self.value(peek, depth + 1)?;
            members.push(Member { key: Cow::Owned(key), value });
            next = self.jiter.next_key().map(|k| k.map(str::to_owned)).map_err(|e| self.syntax(&e))?;
        }
        Ok(Value::Object(members))
    }

    fn syntax(&self, error: &JiterError) -> JsonError {
        let at = error.get_position(&self.jiter);
        let what = match &error.error_type {
            jiter::JiterErrorType::JsonError(kind) => kind.to_string(),
            jiter::JiterErrorType::WrongType { expected, .. } => format!("expected {}", type_name(expected)),
        };
        JsonError::Syntax { what, line: at.line, column: at.column }
    }
}

fn type_name(expected: &JsonType) -> String {
    expected.to_string()
}

/// Finds duplicate keys: by comparing while there are few, by hashing when a hostile body has many.
#[derive(Default)]
struct Seen(Option<HashSet<String>>);

impl Seen {
    const FEW: usize = 24;

    fn insert(&mut self, members: &[Member<'_>], key: &str) -> bool {
        if members.len() < Self::FEW {
            return members.iter().all(|m| m.key != key);
        }
        let seen = self.0.get_or_insert_with(|| members.iter().map(|m| m.key.to_string()).collect());
        seen.insert(key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(body: &str) -> Result<Json<'_>, JsonError> {
        Json::parse(body.as_bytes())
    }

    #[test]
    fn spans_cut_out_exactly_the_value() {
        let body = r#" {"model" : "gpt-4o", "n":[1, -2.50e3 ,null],"o":{}} "#;
        let json = parse(body).unwrap();
        assert_eq!(&body[json.get("model").unwrap().span.clone()], "\"gpt-4o\"");
        let n = json.get("n").unwrap();
        assert_eq!(&body[n.span.clone()], "[1, -2.50e3 ,null]");
        assert_eq!(&body[n.as_array().unwrap()[1].span.clone()], "-2.50e3");
        assert_eq!(&body[json.get("o").unwrap().span.clone()], "{}");
    }

    #[test]
    fn strings_without_escapes_are_borrowed_and_others_unescaped() {
        let json = parse(r#"["plain é", "tab\t", "\ud83d\ude00", "a\"", "\\\\"]"#).unwrap();
        let items = json.as_array().unwrap();
        assert!(matches!(items[0].value, Value::String(Cow::Borrowed("plain é"))));
        assert_eq!(items[1].as_str(), Some("tab\t"));
        assert_eq!(items[2].as_str(), Some("😀"));
        assert_eq!(items[3].as_str(), Some("a\""));
        assert_eq!(items[4].as_str(), Some("\\\\"));
    }

    #[test]
    fn numbers_keep_the_digits_the_client_wrote() {
        let json = parse("[12345678901234567890123, 1.10, 4e2]").unwrap();
        let digits: Vec<_> = json.as_array().unwrap().iter().map(|n| n.value.clone()).collect();
        assert!(digits == [Value::Number("12345678901234567890123"), Value::Number("1.10"), Value::Number("4e2")]);
    }

    #[test]
    fn refuses_a_duplicate_key_even_when_one_is_escaped() {
        assert_eq!(parse(r#"{"a":1,"\u0061":2}"#), Err(JsonError::DuplicateKey("a".into())));
    }

    #[test]
    fn refuses_a_duplicate_among_very_many_keys() {
        let many: Vec<String> = (0..5000).map(|i| format!("\"k{i}\":0")).collect();
        assert!(parse(&format!("{{{}}}", many.join(","))).is_ok());
        assert_eq!(parse(&format!("{{{},\"k4321\":0}}", many.join(","))), Err(JsonError::DuplicateKey("k4321".into())));
    }

    #[test]
    fn refuses_what_two_readers_could_read_differently() {
        for body in [
            r#"{"a":1} {"b":2}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\udc00x"}"#,
            r#"{"a":NaN}"#,
            r#"{"a":Infinity}"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            r#"{'a':1}"#,
            "{\"a\":\"\u{1}\"}",
            "",
            "\u{feff}{}",
            "// c\n{}",
        ] {
            assert!(matches!(parse(body), Err(JsonError::Syntax { .. })), "accepted {body:?}");
        }
        assert_eq!(Json::parse(b"{\"a\":\"\xff\"}"), Err(JsonError::Utf8(6)));
    }

    #[test]
    fn refuses_deep_nesting_without_recursing_into_it() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(parse(&deep), Err(JsonError::TooDeep));
    }

    #[test]
    fn refuses_a_body_that_is_small_in_bytes_and_huge_in_values() {
        let many = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(parse(&many), Err(JsonError::TooMany));
    }

    #[test]
    fn syntax_errors_say_where() {
        let error = parse("{\n  \"a\": 01 }").unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }

    proptest! {
        #[test]
        fn agrees_with_serde_json_on_every_valid_document(value in any_json()) {
            let body = serde_json::to_string(&value).unwrap();
            let ours = Json::parse(body.as_bytes()).unwrap();
            prop_assert!(same(&ours, &value));
        }

        #[test]
        fn never_panics_and_accepts_nothing_that_serde_json_refuses(body in "[\\[\\]{}:,\"a0-9.\\\\ue+-]{0,40}") {
            if Json::parse(body.as_bytes()).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok());
            }
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,12}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
                prop::collection::btree_map(".{0,6}", inner, 0..6)
                    .prop_map(|m| serde_json::Value::Object(m.into_iter().collect())),
            ]
        })
    }

    fn same(ours: &Json<'_>, theirs: &serde_json::Value) -> bool {
        match theirs {
            serde_json::Value::Null => ours.is_null(),
            serde_json::Value::Bool(b) => ours.as_bool() == Some(*b),
            serde_json::Value::Number(n) => ours.as_i64() == n.as_i64(),
            serde_json::Value::String(s) => ours.as_str() == Some(s),
            serde_json::Value::Array(items) => {
                ours.as_array().is_some_and(|a| a.len() == items.len() && a.iter().zip(items).all(|(a, b)| same(a, b)))
            }
            serde_json::Value::Object(map) => ours
                .as_object()
                .is_some_and(|o| o.len() == map.len() && o.iter().all(|m| same(&m.value, &map[m.key.as_ref()]))),
        }
    }
}
