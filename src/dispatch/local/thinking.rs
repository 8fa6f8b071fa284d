//! Whether a model thinks before it answers.

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

#[cfg(test)]
mod tests {
    use super::super::told::Told;
    use super::*;
    use crate::chat::ChatRequest;
    use crate::dispatch::local::{Engine, EngineConfig, EngineState, Load};
    use crate::models::gguf::support::GgufFile;

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

    /// An engine that nobody has asked yet, of a model with this chat template.
    fn unasked(template: Option<&str>) -> Engine {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model.gguf");
        if let Some(template) = template {
            let mut file = GgufFile::llama();
            file.text("tokenizer.chat_template", template);
            std::fs::write(&model, file.bytes()).unwrap();
        }
        Engine::load(EngineConfig { load: Load::OnDemand { idle: None }, ..EngineConfig::trial(model) })
    }

    #[test]
    fn what_a_model_on_demand_knows_of_thinking_is_known_before_it_is_loaded() {
        let words = "{{ messages[-1].content }}";
        for (more, thinking, ignored) in [
            ("", NONE, vec!["reasoning_effort"]),
            ("<think>\n", ALWAYS, Vec::new()),
            ("{% if enable_thinking %}<think>{% endif %}", SWITCH, Vec::new()),
            ("{{ reasoning_effort }}", STEPS, Vec::new()),
        ] {
            let engine = unasked(Some(&format!("{words}{more}")));
            assert_eq!(engine.thinking(), Some(thinking), "{more}");
            let reasoning = Some(Reasoning::Effort(Effort::High));
            assert_eq!(engine.unheard(&ChatRequest { reasoning, ..ChatRequest::default() }), ignored, "{more}");
            assert_eq!(engine.facts().state, EngineState::Unloaded, "{more}");
        }
        for nothing in [None, Some("{% if %}")] {
            assert_eq!(unasked(nothing).thinking(), None, "{nothing:?}");
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
