//! What a chat template knows of thinking, and what it is told of that.

use std::path::Path;

use super::Thinking;
use super::template::ChatTemplate;
use super::tools::Thoughts;
use crate::chat::request::{Effort, Reasoning};
use crate::models::gguf::Gguf;

/// What a template is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// Whether the model is to think.
    pub(super) enabled: Option<bool>,
    /// How hard.
    pub(super) effort: Option<&'static str>,
}

impl Thinking {
    /// What `template`, which was read from `source`, knows.
    pub(super) fn of(source: &str, template: &ChatTemplate) -> Self {
        let has_switch = template.knows("enable_thinking") || template.knows("thinking");
        let has_effort = template.knows("reasoning_effort");
        Self { thinks: Thoughts::of(source).is_some() || has_switch || has_effort, has_switch, has_effort }
    }

    /// What the model file at `path` says of itself; `None` where it cannot be read, which loading it tells in words, and
    /// of a model that does not answer. Blocking; the weights are not read.
    pub(super) fn foretold(path: &Path) -> Option<Self> {
        let gguf = Gguf::open(path).ok().filter(|gguf| !gguf.embeds())?;
        let source = gguf.template()?;
        let template = ChatTemplate::new(source.to_owned(), String::new(), String::new()).ok()?;
        Some(Self::of(source, &template))
    }
}

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
