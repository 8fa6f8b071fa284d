//! Whether a model thinks before it answers, and what its chat template is told of that.

use crate::chat::request::{Effort, Reasoning};

/// What a model's chat template knows of thinking.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Thinking {
    /// Whether the model thinks.
    pub thinks: bool,
    /// Whether it can be told not to.
    pub has_switch: bool,
    /// Whether it can be told how hard.
    pub has_effort: bool,
}

/// What a template is told.
#[cfg(any(feature = "llama", test))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether the model is to think.
    pub(super) enabled: Option<bool>,
    /// How hard.
    pub(super) effort: Option<&'static str>,
}

impl Thinking {
    /// Whether what is asked for is more than a hint that such a model follows.
    pub(super) fn ignores(self, reasoning: Reasoning) -> bool {
        match reasoning {
            Reasoning::Off => self.thinks && !self.has_switch,
            Reasoning::Effort(Effort::Minimal) => self.thinks && !self.has_switch && !self.has_effort,
            Reasoning::Effort(_) | Reasoning::Budget(_) => !self.thinks,
            // As much as it sees fit may be nothing.
            Reasoning::Adaptive => false,
        }
    }
}

#[cfg(any(feature = "llama", test))]
impl Told {
    /// What `reasoning` says in the words of templates. Models whose templates know steps know three.
    pub(super) fn of(reasoning: Option<Reasoning>) -> Self {
        let Some(reasoning) = reasoning else { return Self::default() };
        let is_off = matches!(reasoning, Reasoning::Off | Reasoning::Effort(Effort::Minimal));
        let effort = match reasoning {
            Reasoning::Adaptive => None,
            Reasoning::Off | Reasoning::Effort(Effort::Minimal | Effort::Low) | Reasoning::Budget(..2048) => {
                Some("low")
            }
            Reasoning::Effort(Effort::Medium) | Reasoning::Budget(..16_384) => Some("medium"),
            Reasoning::Effort(Effort::High | Effort::Max) | Reasoning::Budget(_) => Some("high"),
        };
        Self { enabled: Some(!is_off), effort }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Thinking = Thinking { thinks: false, has_switch: false, has_effort: false };
    const ALWAYS: Thinking = Thinking { thinks: true, ..NONE };
    const SWITCH: Thinking = Thinking { has_switch: true, ..ALWAYS };
    const STEPS: Thinking = Thinking { has_effort: true, ..ALWAYS };

    #[test]
    fn what_a_model_cannot_be_told_is_told_to_the_client() {
        for (reasoning, ignored_by) in [
            (Reasoning::Off, [false, true, false, true]),
            (Reasoning::Effort(Effort::Minimal), [false, true, false, false]),
            (Reasoning::Effort(Effort::High), [true, false, false, false]),
            (Reasoning::Budget(4096), [true, false, false, false]),
            (Reasoning::Adaptive, [false; 4]),
        ] {
            let ignored = [NONE, ALWAYS, SWITCH, STEPS].map(|model| model.ignores(reasoning));
            assert_eq!(ignored, ignored_by, "{reasoning:?}");
        }
    }

    #[test]
    fn templates_are_told_the_nearest_of_their_steps() {
        let told = |reasoning| {
            let Told { enabled, effort } = Told::of(Some(reasoning));
            (enabled, effort)
        };
        assert_eq!(Told::of(None), Told::default());
        assert_eq!(told(Reasoning::Off), (Some(false), Some("low")));
        assert_eq!(told(Reasoning::Effort(Effort::Minimal)), (Some(false), Some("low")));
        assert_eq!(told(Reasoning::Effort(Effort::Max)), (Some(true), Some("high")));
        assert_eq!(told(Reasoning::Budget(2048)), (Some(true), Some("medium")));
        assert_eq!(told(Reasoning::Adaptive), (Some(true), None));
    }
}
