//! Answers, whole or in deltas, in no provider's words.

use std::fmt;

use super::Text;
use super::request::{Thought, ToolCall};

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    /// One per `n`.
    pub choices: Vec<Choice>,
    /// Token counts.
    pub usage: Usage,
}

impl Reply {
    /// Adds what a step of a stream says.
    pub fn add(&mut self, delta: Delta) {
        match delta {
            Delta::Text { index, text, logprobs } => {
                let choice = self.choice(index);
                choice.text.push_str(text.expose());
                choice.logprobs.extend(logprobs);
            }
            Delta::Refusal { index, text } => self.choice(index).refusal.push_str(text.expose()),
            Delta::Thought { index, text } => self.choice(index).thought().text.push_str(text.expose()),
            Delta::Sealed { index, seal, id } => {
                let thought = self.choice(index).thought();
                thought.seal = Some(seal);
                thought.id = id;
            }
            Delta::Call { index, id, name, .. } => {
                self.choice(index).tool_calls.push(ToolCall { id, name, arguments: Text::default() });
            }
            Delta::Arguments { index, call, text } => {
                if let Some(call) = self.choice(index).tool_calls.get_mut(call as usize) {
                    call.arguments.push_str(text.expose());
                }
            }
            Delta::Finish { index, reason } => self.choice(index).finish = reason,
            Delta::Usage(usage) => self.usage = usage,
        }
    }

    /// The choice, made where it has not begun.
    fn choice(&mut self, index: u32) -> &mut Choice {
        let index = index as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }
}

impl Choice {
    /// The thought that has not been sealed yet.
    fn thought(&mut self) -> &mut Thought {
        if self.thoughts.last().is_none_or(|thought| thought.seal.is_some()) {
            self.thoughts.push(Thought::default());
        }
        let last = self.thoughts.len() - 1;
        &mut self.thoughts[last]
    }
}

/// One of the answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Choice {
    /// What it thought before, where it tells.
    pub thoughts: Vec<Thought>,
    /// What the model said.
    pub text: Text,
    /// Why it would not answer, in its words.
    pub refusal: Text,
    /// How likely each token of the text was, where asked for.
    pub logprobs: Vec<TokenLogprob>,
    /// Tools it wants called.
    pub tool_calls: Vec<ToolCall>,
    /// Why it stopped.
    pub finish: FinishReason,
}

/// A step of a streamed answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Delta {
    /// More text of choice `index`; always whole UTF-8 characters, never empty.
    Text {
        /// Which choice.
        index: u32,
        /// The new text.
        text: Text,
        /// How likely its tokens were, where asked for.
        logprobs: Vec<TokenLogprob>,
    },
    /// More of a refusal.
    Refusal {
        /// Which choice.
        index: u32,
        /// The new text.
        text: Text,
    },
    /// More of a thought.
    Thought {
        /// Which choice.
        index: u32,
        /// The new text.
        text: Text,
    },
    /// A thought is whole, and this is its seal; where no text came, the thought is the seal alone.
    Sealed {
        /// Which choice.
        index: u32,
        /// [`Thought::seal`]
        seal: Text,
        /// [`Thought::id`]
        id: Option<Text>,
    },
    /// A tool call begins; its arguments follow.
    Call {
        /// Which choice.
        index: u32,
        /// Which of the choice's calls, from 0.
        call: u32,
        /// The call's id.
        id: String,
        /// The tool's name.
        name: String,
    },
    /// More of a call's arguments.
    Arguments {
        /// Which choice.
        index: u32,
        /// Which of the choice's calls.
        call: u32,
        /// The new text: a piece of JSON.
        text: Text,
    },
    /// Choice `index` has ended.
    Finish {
        /// Which choice.
        index: u32,
        /// Why.
        reason: FinishReason,
    },
    /// The token counts; the last delta of a complete answer.
    Usage(Usage),
}

impl Delta {
    /// How many characters of an answer it carries: for counting where no usage is reported.
    pub fn chars(&self) -> u64 {
        let count = |text: &str| text.chars().count() as u64;
        match self {
            Self::Text { text, .. }
            | Self::Refusal { text, .. }
            | Self::Thought { text, .. }
            | Self::Arguments { text, .. } => count(text.expose()),
            Self::Call { name, .. } => count(name),
            Self::Sealed { .. } | Self::Finish { .. } | Self::Usage(_) => 0,
        }
    }
}

/// How likely a token was, and what else could have stood in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// The token that was chosen.
    pub token: LikelyToken,
    /// The most likely ones, most likely first; as many as were asked for.
    pub top: Vec<LikelyToken>,
}

/// A token, and the logarithm of its probability.
#[derive(Clone, PartialEq)]
pub struct LikelyToken {
    /// Its bytes, which need not be whole characters.
    pub bytes: Vec<u8>,
    /// Natural logarithm, at most 0.
    pub logprob: f32,
}

/// Without the token.
impl fmt::Debug for LikelyToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LikelyToken({} bytes, {})", self.bytes.len(), self.logprob)
    }
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FinishReason {
    /// The model was done, or a stop string came.
    #[default]
    Stop,
    /// The token cap or the context's end was reached.
    Length,
    /// The model asks for tools.
    ToolCalls,
    /// The provider withheld content.
    ContentFilter,
}

impl FinishReason {
    /// OpenAI's word for it, also used in records.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
        }
    }
}

/// Texts as vectors, in their order.
#[derive(Clone, Default, PartialEq)]
pub struct Embedded {
    /// One for each text.
    pub vectors: Vec<Vec<f32>>,
    /// Token counts, where they are told; nothing was generated.
    pub usage: Option<Usage>,
}

/// Shows how many; a vector says much of its text.
impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedded({} vectors, {:?})", self.vectors.len(), self.usage)
    }
}

/// Token counts of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Prompt tokens, those read from a cache included.
    pub input: u64,
    /// Generated tokens, reasoning included.
    pub output: u64,
    /// Prompt tokens that were read from the provider's or the engine's prefix cache.
    pub cached_input: u64,
    /// Whether the provider says nothing of its cache: then `cached_input` is unknown, and counts as none.
    pub cache_untold: bool,
    /// Prompt tokens that were written to the provider's cache, which some charge more for.
    pub cache_write: u64,
    /// Generated tokens that were thought and not said, where the provider tells.
    pub reasoning: u64,
    /// Prompt tokens that are sound, where the provider tells them apart; none of them is cached.
    pub audio_input: u64,
    /// Generated tokens that are sound.
    pub audio_output: u64,
    /// What a predicted answer was worth, where there was one and it is told.
    pub predicted: Option<Predicted>,
}

/// How many tokens of a predicted answer were computed ahead, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Predicted {
    /// Those that are part of the answer: steps saved.
    pub accepted: u64,
    /// Those that were thrown away; they are not part of the output.
    pub rejected: u64,
}

/// How sure a model was of a token, by itself alone: before biases, penalties, temperature, cuts and forms.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Certainty {
    /// The natural logarithm of the token's probability.
    pub logprob: f64,
    /// The entropy of the distribution that it was drawn from, in nats: 0 where the model is sure.
    pub entropy: f64,
    /// How much more probable the likeliest token was than the next, 0 to 1.
    pub margin: f64,
}

/// How sure a model was of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Confidence {
    /// Of its first token.
    pub first: Certainty,
    /// The mean logarithm of its tokens' probabilities, of all choices where there are several.
    pub mean_logprob: f64,
    /// The mean entropy of what they were drawn from, in nats.
    pub mean_entropy: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_adds_up_to_the_whole_answer() {
        let text = |text: &str| Delta::Text { index: 1, text: text.into(), logprobs: Vec::new() };
        let thought = |text: &str| Delta::Thought { index: 1, text: text.into() };
        let sealed = |seal: &str| Delta::Sealed { index: 1, seal: seal.into(), id: None };
        let arguments = |text: &str| Delta::Arguments { index: 1, call: 0, text: text.into() };
        let usage = Usage { input: 3, output: 9, ..Usage::default() };
        let mut reply = Reply::default();
        for delta in [
            thought("h"),
            thought("m"),
            sealed("s1"),
            sealed("s2"),
            text("a"),
            text("b"),
            Delta::Refusal { index: 0, text: "no".into() },
            Delta::Call { index: 1, call: 0, id: "c".to_owned(), name: "f".to_owned() },
            arguments("{"),
            arguments("}"),
            Delta::Arguments { index: 1, call: 7, text: "of a call that never began".into() },
            Delta::Finish { index: 1, reason: FinishReason::ToolCalls },
            Delta::Usage(usage),
        ] {
            reply.add(delta);
        }
        let thought = |text: &str, seal: &str| Thought { text: text.into(), seal: Some(seal.into()), id: None };
        let second = Choice {
            thoughts: vec![thought("hm", "s1"), thought("", "s2")],
            text: "ab".into(),
            tool_calls: vec![ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: "{}".into() }],
            finish: FinishReason::ToolCalls,
            ..Choice::default()
        };
        let first = Choice { refusal: "no".into(), ..Choice::default() };
        assert_eq!(reply, Reply { choices: vec![first, second], usage });
    }
}
