//! What a request needs a destination to be able to do.

use std::fmt;

/// Something that not every destination can do. A destination that cannot is taken out of the choice: nothing of a
/// request is dropped in silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Images in the conversation.
    Image,
    /// Audio in the conversation.
    Audio,
    /// Files in the conversation.
    File,
    /// Tools offered, called or answered.
    Tools,
    /// Tools that take free text, or that the provider runs.
    CustomTools,
    /// The deprecated `functions` and `function_call`.
    LegacyFunctions,
    /// `response_format` of type `json_object`.
    JsonObject,
    /// `response_format` of type `json_schema`.
    JsonSchema,
    /// An answer by a grammar.
    Grammar,
    /// The form of the answer in a field that only vLLM or llama.cpp's server knows, where `response_format` says the same.
    ServerForm,
    /// Log-probabilities.
    Logprobs,
    /// More than one choice.
    SeveralChoices,
    /// Biased tokens; their ids are one model's.
    LogitBias,
    /// A streamed answer.
    Stream,
    /// A spoken answer.
    AudioOutput,
    /// A stated reasoning effort.
    ReasoningEffort,
    /// A stated verbosity.
    Verbosity,
    /// Web search by the provider.
    WebSearch,
    /// A predicted output.
    Prediction,
    /// The answer kept by the provider.
    Store,
    /// Text after the answer, between which and the prompt it is to stand.
    Suffix,
    /// More drafts than answers.
    BestOf,
    /// Log-probabilities of the prompt as well.
    PromptLogprobs,
    /// Vectors of so many numbers.
    Dimensions,
    /// A field the dialect does not know: only a destination of the same dialect can be given it.
    UnknownFields,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Self; 25] = [
        Self::Image,
        Self::Audio,
        Self::File,
        Self::Tools,
        Self::CustomTools,
        Self::LegacyFunctions,
        Self::JsonObject,
        Self::JsonSchema,
        Self::Grammar,
        Self::ServerForm,
        Self::Logprobs,
        Self::SeveralChoices,
        Self::LogitBias,
        Self::Stream,
        Self::AudioOutput,
        Self::ReasoningEffort,
        Self::Verbosity,
        Self::WebSearch,
        Self::Prediction,
        Self::Store,
        Self::Suffix,
        Self::BestOf,
        Self::PromptLogprobs,
        Self::Dimensions,
        Self::UnknownFields,
    ];

    /// The name used in configuration, records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::File => "file",
            Self::Tools => "tools",
            Self::CustomTools => "custom_tools",
            Self::LegacyFunctions => "functions",
            Self::JsonObject => "json_object",
            Self::JsonSchema => "json_schema",
            Self::Grammar => "grammar",
            Self::ServerForm => "server_form",
            Self::Logprobs => "logprobs",
            Self::SeveralChoices => "several_choices",
            Self::LogitBias => "logit_bias",
            Self::Stream => "stream",
            Self::AudioOutput => "audio_output",
            Self::ReasoningEffort => "reasoning_effort",
            Self::Verbosity => "verbosity",
            Self::WebSearch => "web_search",
            Self::Prediction => "prediction",
            Self::Store => "store",
            Self::Suffix => "suffix",
            Self::BestOf => "best_of",
            Self::PromptLogprobs => "prompt_logprobs",
            Self::Dimensions => "dimensions",
            Self::UnknownFields => "unknown_fields",
        }
    }

    fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// A set of features.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Uses(u32);

impl Uses {
    /// Everything: what a destination of the same dialect can be given.
    pub fn all() -> Self {
        Feature::ALL.into_iter().collect()
    }

    /// Adds `feature`.
    pub fn insert(&mut self, feature: Feature) {
        self.0 |= feature.bit();
    }

    /// The set without `feature`.
    pub fn without(self, feature: Feature) -> Self {
        Self(self.0 & !feature.bit())
    }

    /// Whether `feature` is in the set.
    pub fn contains(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// What is in this set and not in `capabilities`.
    pub fn missing_from(self, capabilities: Self) -> Self {
        Self(self.0 & !capabilities.0)
    }

    /// Whether nothing is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The features in the set.
    pub fn iter(self) -> impl Iterator<Item = Feature> {
        Feature::ALL.into_iter().filter(move |feature| self.contains(*feature))
    }
}

impl FromIterator<Feature> for Uses {
    fn from_iter<I: IntoIterator<Item = Feature>>(features: I) -> Self {
        Self(features.into_iter().fold(0, |bits, feature| bits | feature.bit()))
    }
}

impl fmt::Debug for Uses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Feature::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_destination_lacks_is_the_difference_and_all_lacks_nothing() {
        let uses: Uses = [Feature::Tools, Feature::Stream].into_iter().collect();
        let missing = uses.missing_from([Feature::Stream].into_iter().collect());
        assert_eq!(missing.iter().collect::<Vec<_>>(), [Feature::Tools]);
        assert!(uses.missing_from(Uses::all()).is_empty());
        assert_eq!(Uses::all().iter().count(), Feature::ALL.len());
    }
}
