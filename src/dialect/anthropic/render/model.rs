//! What models of this dialect take, which their names tell.

/// What a model takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// Claude without thinking.
    Plain,
    /// Claude up to 4.5, and whatever else speaks the dialect: thinks by budget.
    Budgets,
    /// Claude 4.6: thinks by budget or as it sees fit.
    Both,
    /// Claude from 4.7 on: thinks as it sees fit, and samples as it likes.
    Adapts,
}

impl Model {
    /// By `name`, as the API or a cloud writes it.
    pub fn named(name: &str) -> Self {
        let Some((_, rest)) = name.split_once("claude-") else { return Self::Budgets };
        let has = |parts: &[&str]| parts.iter().any(|part| rest.contains(part));
        match () {
            () if has(&["3-7", "-4-0", "-4-1", "-4-5", "-4-20", "-4@20"]) => Self::Budgets,
            () if rest.starts_with(['2', '3', 'i']) => Self::Plain,
            () if has(&["-4-6"]) => Self::Both,
            () => Self::Adapts,
        }
    }

    /// Whether it takes a temperature and the like.
    pub fn samples(self) -> bool {
        self != Self::Adapts
    }

    /// Whether it takes a budget of tokens to think.
    pub fn takes_budget(self) -> bool {
        matches!(self, Self::Budgets | Self::Both)
    }

    /// Whether it can be left to itself how much to think.
    pub fn adapts(self) -> bool {
        matches!(self, Self::Both | Self::Adapts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_what_models_take() {
        for (name, model) in [
            ("claude-3-5-sonnet-20241022", Model::Plain),
            ("claude-3-haiku-20240307", Model::Plain),
            ("claude-3-7-sonnet-latest", Model::Budgets),
            ("claude-sonnet-4-20250514", Model::Budgets),
            ("claude-opus-4@20250514", Model::Budgets),
            ("anthropic.claude-opus-4-1-20250805-v1:0", Model::Budgets),
            ("claude-haiku-4-5", Model::Budgets),
            ("kimi-k2", Model::Budgets),
            ("claude-sonnet-4-6", Model::Both),
            ("claude-opus-4-7", Model::Adapts),
            ("claude-sonnet-5-5", Model::Adapts),
            ("claude-something-new", Model::Adapts),
        ] {
            assert_eq!(Model::named(name), model, "{name}");
        }
    }
}
