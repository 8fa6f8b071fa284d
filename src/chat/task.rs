//! What is wanted of a model.

use std::fmt;

/// What a request wants of a model, and what a destination serves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Task {
    /// The next message of a conversation.
    #[default]
    Chat,
    /// What comes after a text that is no conversation.
    Completions,
    /// Texts as vectors.
    Embeddings,
    /// What is wrong with texts and images.
    Moderations,
}

impl Task {
    /// All, with their words.
    pub const ALL: [(&'static str, Self); 4] = [
        ("chat", Self::Chat),
        ("completions", Self::Completions),
        ("embeddings", Self::Embeddings),
        ("moderations", Self::Moderations),
    ];

    /// The word used in policies, records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Completions => "completions",
            Self::Embeddings => "embeddings",
            Self::Moderations => "moderations",
        }
    }

    /// The task of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, task)| task)
    }

    /// Whether the answer is text that a model makes, token by token; the others cost what is read only, and the same
    /// request has the same answer.
    pub fn generates(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

/// A set of tasks.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tasks(u8);

impl Tasks {
    /// Adds `task`.
    pub fn insert(&mut self, task: Task) {
        self.0 |= 1 << task as u8;
    }

    /// Whether `task` is in it.
    pub fn contains(self, task: Task) -> bool {
        self.0 & (1 << task as u8) != 0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Task> for Tasks {
    fn from_iter<I: IntoIterator<Item = Task>>(tasks: I) -> Self {
        let mut set = Self::default();
        tasks.into_iter().for_each(|task| set.insert(task));
        set
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tasks = Task::ALL.into_iter().filter(|(_, task)| self.contains(*task));
        f.debug_set().entries(tasks.map(|(name, _)| name)).finish()
    }
}
