//! What counts as the same request.

use crate::chat::json::{Json, Value};
use crate::policy::Class;

/// Identifies an answer: BLAKE3 over everything that may change it or decide who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheKey([u8; 32]);

/// What stands beside the request in the key.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Whose answer: never shared across tenants.
    pub tenant: &'a str,
    /// The class it was produced under: an answer never serves a lower context.
    pub class: Class,
    /// Who answered.
    pub destination: &'a str,
    /// Digest of the policy parts that decide what may be stored, for whom, and by which transforms.
    pub policy: &'a str,
    /// The client's dialect, since the stored bytes are in it.
    pub dialect: &'static str,
    /// The client's own key for it; empty where it gives none.
    pub named: &'a str,
}

impl CacheKey {
    /// The key of a request body in a scope. Order of keys and white space do not matter; everything else does, unknown
    /// fields and `stream` included.
    pub fn new(scope: &Scope<'_>, body: &Json<'_>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let Scope { tenant, class, destination, policy, dialect, named } = scope;
        for field in [tenant, destination, policy, dialect, named] {
            text(&mut hasher, field);
        }
        hasher.update(&[class.0]);
        value(&mut hasher, body);
        Self(*hasher.finalize().as_bytes())
    }
}

/// Every value starts with its kind and carries its length, so that no two different bodies are written alike.
fn value(hasher: &mut blake3::Hasher, json: &Json<'_>) {
    match &json.value {
        Value::Null => drop(hasher.update(b"0")),
        Value::Bool(flag) => drop(hasher.update(if *flag { b"t" } else { b"f" })),
        Value::Number(digits) => {
            hasher.update(b"n");
            text(hasher, digits);
        }
        Value::String(string) => {
            hasher.update(b"s");
            text(hasher, string);
        }
        Value::Array(items) => {
            hasher.update(b"a").update(&(items.len() as u64).to_le_bytes());
            items.iter().for_each(|item| value(hasher, item));
        }
        Value::Object(members) => {
            hasher.update(b"o").update(&(members.len() as u64).to_le_bytes());
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.key.cmp(&b.key));
            for member in sorted {
                text(hasher, &member.key);
                value(hasher, &member.value);
            }
        }
    }
}

fn text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
}

/// What a client's `Cache-Control` asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheControl {
    /// `no-store`: neither look up nor keep.
    pub no_store: bool,
    /// `no-cache`: do not look up, but keep.
    pub no_cache: bool,
}

impl CacheControl {
    /// Reads the header's value.
    pub fn parse(header: &str) -> Self {
        let has = |directive: &str| header.split(',').any(|d| d.trim().eq_ignore_ascii_case(directive));
        Self { no_store: has("no-store"), no_cache: has("no-cache") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCOPE: Scope<'_> =
        Scope { tenant: "a", class: Class(1), destination: "gpt", policy: "p", dialect: "openai-chat", named: "" };

    fn key(scope: &Scope<'_>, body: &str) -> CacheKey {
        CacheKey::new(scope, &Json::parse(body.as_bytes()).unwrap())
    }

    #[test]
    fn white_space_and_the_order_of_keys_do_not_matter() {
        assert_eq!(key(&SCOPE, r#"{"a":1,"b":"x"}"#), key(&SCOPE, "{ \"b\": \"x\",\n \"a\": 1 }"));
    }

    #[test]
    fn each_dimension_alone_makes_another_key() {
        let body = r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"temperature":0}"#;
        let base = key(&SCOPE, body);
        for scope in [
            Scope { tenant: "b", ..SCOPE },
            Scope { class: Class(2), ..SCOPE },
            Scope { destination: "local", ..SCOPE },
            Scope { policy: "q", ..SCOPE },
            Scope { dialect: "other", ..SCOPE },
            Scope { named: "k", ..SCOPE },
        ] {
            assert_ne!(key(&scope, body), base, "{scope:?}");
        }
        for other in [
            body.replace("hi", "hI"),
            body.replace("user", "system"),
            body.replace(":0}", ":0,\"stream\":true}"),
            body.replace(":0}", ":0.0}"),
            body.replace(":0}", ":0,\"vendor_field\":null}"),
        ] {
            assert_ne!(key(&SCOPE, &other), base, "{other}");
        }
    }

    #[test]
    fn lengths_keep_neighbours_apart() {
        assert_ne!(key(&SCOPE, r#"["ab","c"]"#), key(&SCOPE, r#"["a","bc"]"#));
        assert_ne!(key(&SCOPE, r#"[["a"],"b"]"#), key(&SCOPE, r#"[["a","b"]]"#));
    }

    #[test]
    fn reads_cache_control() {
        assert_eq!(CacheControl::parse("max-age=0, No-Store"), CacheControl { no_store: true, no_cache: false });
        assert_eq!(CacheControl::parse("no-cache"), CacheControl { no_store: false, no_cache: true });
        assert_eq!(CacheControl::parse(""), CacheControl::default());
    }
}
