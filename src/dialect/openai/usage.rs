//! Token counts as vendors report them.

use serde::Deserialize;
use serde::de::Deserializer;

use crate::chat::Usage;

/// Groq's own, at a stream's end.
#[derive(Deserialize)]
pub(super) struct WireGroq {
    #[serde(default)]
    pub(super) usage: Option<WireUsage>,
}

/// `usage`.
#[derive(Deserialize)]
pub(in crate::dialect) struct WireUsage {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Option<WireDetails>,
    #[serde(default)]
    completion_tokens_details: Option<WireOutputDetails>,
    /// DeepSeek's field.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
}

#[derive(Deserialize)]
struct WireDetails {
    #[serde(default)]
    cached_tokens: Count,
    #[serde(default)]
    cache_write_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

#[derive(Deserialize)]
struct WireOutputDetails {
    #[serde(default)]
    reasoning_tokens: Count,
    #[serde(default)]
    audio_tokens: Count,
}

impl WireUsage {
    /// `None` where neither count is there.
    pub(in crate::dialect) fn counted(self) -> Option<Usage> {
        if self.prompt_tokens.0.is_none() && self.completion_tokens.0.is_none() {
            return None;
        }
        let (input, output) = (self.prompt_tokens_details.as_ref(), self.completion_tokens_details.as_ref());
        let of_input = |count: fn(&WireDetails) -> Count| input.and_then(|details| count(details).0);
        let of_output = |count: fn(&WireOutputDetails) -> Count| output.and_then(|details| count(details).0);
        let cached = of_input(|d| d.cached_tokens).or(self.prompt_cache_hit_tokens.0);
        Some(Usage {
            input: self.prompt_tokens.0.unwrap_or(0),
            output: self.completion_tokens.0.unwrap_or(0),
            cached_input: cached.unwrap_or(0),
            cache_untold: cached.is_none(),
            cache_write: of_input(|d| d.cache_write_tokens).unwrap_or(0),
            reasoning: of_output(|d| d.reasoning_tokens).unwrap_or(0),
            audio_input: of_input(|d| d.audio_tokens).unwrap_or(0),
            audio_output: of_output(|d| d.audio_tokens).unwrap_or(0),
            // Who speaks this dialect gets the provider's own bytes.
            predicted: None,
        })
    }
}

/// A count that a vendor may also send as null or as a float.
#[derive(Clone, Copy, Default)]
struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = Option::<serde_json::Number>::deserialize(deserializer)?;
        // `as` saturates: a negative count is 0.
        Ok(Self(number.and_then(|n| n.as_u64().or(n.as_f64().map(|f| f as u64)))))
    }
}
