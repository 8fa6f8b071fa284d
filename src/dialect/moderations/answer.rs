//! What a provider answers: its bytes pass.

use serde::Deserialize;
use serde::de::IgnoredAny;

/// Whether `body` is a list of verdicts.
pub fn is_one(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Wire {
        #[expect(dead_code, reason = "it must be there")]
        results: Vec<IgnoredAny>,
    }
    serde_json::from_slice::<Wire>(body).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_verdicts_is_known_by_its_results() {
        assert!(is_one(br#"{"id":"modr-1","model":"m","results":[{"flagged":false}]}"#));
        assert!(!is_one(br#"{"error":{}}"#) && !is_one(b"<html>") && !is_one(br#"{"results":1}"#));
    }
}
