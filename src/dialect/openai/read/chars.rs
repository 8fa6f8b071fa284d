//! How much text a value holds.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The number of characters of all text in a value, counted without keeping it.
///
/// Content is a string, or (with some vendors) an array of typed parts; a tool call's text is its name and arguments.
#[derive(Default)]
pub(super) struct Chars(pub(super) u64);

impl<'de> Deserialize<'de> for Chars {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountChars).map(Self)
    }
}

struct CountChars;

impl<'de> Visitor<'de> for CountChars {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("content")
    }

    fn visit_str<E>(self, text: &str) -> Result<u64, E> {
        Ok(text.chars().count() as u64)
    }

    fn visit_unit<E>(self) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_bool<E>(self, _: bool) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_u64<E>(self, _: u64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_i64<E>(self, _: i64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_f64<E>(self, _: f64) -> Result<u64, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(Chars(chars)) = items.next_element()? {
            sum += chars;
        }
        Ok(sum)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<u64, A::Error> {
        let mut sum = 0;
        while let Some(key) = members.next_key::<Cow<'_, str>>()? {
            match key.as_ref() {
                "text" | "thinking" | "name" | "arguments" | "function" => sum += members.next_value::<Chars>()?.0,
                _ => drop(members.next_value::<IgnoredAny>()?),
            }
        }
        Ok(sum)
    }
}
