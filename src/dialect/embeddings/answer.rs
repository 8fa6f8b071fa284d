//! What a provider answers: its bytes pass, and the count of tokens is read.

use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::chat::Usage;
use crate::dialect::openai::usage::WireUsage;

/// The counts in a list of vectors, where it has any; `None` where it is no such list.
pub fn observe(body: &[u8]) -> Option<Option<Usage>> {
    #[derive(Deserialize)]
    struct Wire {
        #[expect(dead_code, reason = "it must be there")]
        data: Vec<Vector>,
        usage: Option<WireUsage>,
    }
    #[derive(Deserialize)]
    struct Vector {
        #[expect(dead_code, reason = "it must be there")]
        embedding: IgnoredAny,
    }
    let wire: Wire = serde_json::from_slice(body).ok()?;
    Some(wire.usage.and_then(WireUsage::counted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_vectors_gives_its_tokens_and_anything_else_is_none() {
        let of = |body: &str| observe(body.as_bytes());
        let list = r#"{"object":"list","data":[{"index":0,"embedding":[0.5,-1e-3]},{"embedding":"AAAA"}]"#;
        let usage = Some(Some(Usage { input: 7, cache_untold: true, ..Usage::default() }));
        assert_eq!(of(&format!("{list},\"usage\":{{\"prompt_tokens\":7,\"total_tokens\":7}}}}")), usage);
        assert_eq!([of(&format!("{list}}}")), of(&format!("{list},\"usage\":null}}"))], [Some(None), Some(None)]);
        assert_eq!([of("{}"), of("<html>"), of(r#"{"data":[{"id":1}]}"#), of(r#"{"choices":[]}"#)], [None; 4]);
    }
}
