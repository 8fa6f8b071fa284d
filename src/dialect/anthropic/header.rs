//! What clients of this dialect say in headers, and what of it a provider of the same dialect is told.

use http::HeaderMap;

use crate::chat::Text;

/// The header that names the version of the API.
pub const VERSION: &str = "anthropic-version";

/// The header that names features in the making.
pub const BETA: &str = "anthropic-beta";

/// The versions there are, the one that is asked for where a client names none of them first.
const VERSIONS: [&str; 2] = ["2023-06-01", "2026-10-21"];

/// Longest list of features that is sent on, in bytes.
const MAX: usize = 1024;

/// What a client says.
#[derive(Clone, Debug, Default)]
pub struct Said {
    version: Option<&'static str>,
    /// All lists of features, as one; what is no text is left out, and makes the list none that may leave.
    pub betas: Option<Text>,
}

impl Said {
    /// What `headers` say.
    pub fn of(headers: &HeaderMap) -> Self {
        let asked = headers.get(VERSION).and_then(|value| value.to_str().ok());
        let lists: Vec<_> = headers.get_all(BETA).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        Self {
            version: VERSIONS.into_iter().find(|version| asked == Some(version)),
            betas: (!lists.is_empty()).then(|| lists.join(",").into()),
        }
    }

    /// Without the features.
    pub fn without_betas(&self) -> Self {
        Self { betas: None, ..self.clone() }
    }

    /// The version to ask for: a client's own is one that it can read.
    pub fn version(&self) -> &'static str {
        self.version.unwrap_or(VERSIONS[0])
    }

    /// The features to ask for: only a list of names may leave, `[a-z0-9-]+` with commas between.
    pub fn plain_betas(&self) -> Option<&str> {
        self.betas.as_ref().map(Text::expose).filter(|list| is_plain(list))
    }
}

fn is_plain(list: &str) -> bool {
    let plain = |name: &str| !name.is_empty() && name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'));
    list.len() <= MAX && list.split(',').all(|name| plain(name.trim_matches(' ')))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn only_names_of_features_are_plain() {
        for list in ["a", "context-1m-2025-08-07", "a-1,b-2", "a, b"] {
            assert!(is_plain(list), "{list}");
        }
        let long = "a".repeat(MAX + 1);
        for list in ["", ",", "a,", "a b", "A", "a@b.c", "a_b", "é", "a\tb", &long] {
            assert!(!is_plain(list), "{list}");
        }
    }

    #[test]
    fn a_known_version_is_the_clients_and_what_is_no_text_makes_no_list() {
        let of = |version: &'static str, betas: &[&[u8]]| {
            let mut headers = HeaderMap::new();
            headers.insert(VERSION, HeaderValue::from_static(version));
            for list in betas {
                headers.append(BETA, HeaderValue::from_bytes(list).unwrap());
            }
            let said = Said::of(&headers);
            (said.version(), said.plain_betas().map(str::to_owned))
        };
        assert_eq!(of("2026-10-21", &[b"a", b"b,c"]), ("2026-10-21", Some("a,b,c".to_owned())));
        assert_eq!(of("2023-06-01", &[]), ("2023-06-01", None));
        assert_eq!(of("tomorrow", &[b"a", b"\xff"]), ("2023-06-01", None));
    }
}
