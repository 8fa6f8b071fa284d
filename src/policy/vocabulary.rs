//! The closed vocabulary: every name an expression may use, with its type and its slot in [`Facts`].

use std::collections::HashMap;

use crate::classify::Truth;

/// Index of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot(pub u16);

/// What values a fact can have.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// True or false.
    Bool,
    /// A number.
    Number,
    /// One of these words.
    Word(Vec<String>),
}

impl Type {
    /// The type's name in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bool => "a truth value",
            Self::Number => "a number",
            Self::Word(_) => "a word",
        }
    }
}

/// A fact's value for one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Fact {
    /// Not known: restricting rules about it apply, widening ones do not.
    #[default]
    Unknown,
    /// For [`Type::Bool`].
    Bool(bool),
    /// For [`Type::Number`].
    Number(f64),
    /// For [`Type::Word`]: index into its words.
    Word(u16),
}

impl From<Truth> for Fact {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::Bool(true),
            Truth::False => Self::Bool(false),
            Truth::Unknown => Self::Unknown,
        }
    }
}

/// Who vouches for a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The operator or ajar itself.
    Operator,
    /// The client says so: may restrict or choose, never widen.
    Client,
}

/// One name of the vocabulary.
#[derive(Clone, Debug)]
pub struct Term {
    /// Its dotted name.
    pub name: String,
    /// Its type.
    pub kind: Type,
    /// Its value when nobody sets it.
    pub default: Fact,
    /// Who vouches for it.
    pub trust: Trust,
    /// Whether it is one of `unknown.*`: it grows when detectors fail, so it may stand only where that restricts.
    pub grows_with_unknown: bool,
}

/// All names, with their slots.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    terms: Vec<Term>,
    slots: HashMap<String, Slot>,
}

impl Vocabulary {
    /// The most terms: as many as a slot can tell apart.
    pub const MAX: usize = 1 << 16;

    /// Adds a term; `false` when the name is taken.
    pub fn add(&mut self, term: Term) -> bool {
        if self.slots.contains_key(&term.name) {
            return false;
        }
        // The loader refuses more than [`Self::MAX`] terms.
        self.slots.insert(term.name.clone(), Slot(self.terms.len() as u16));
        self.terms.push(term);
        true
    }

    /// The slot of `name`.
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.slots.get(name).copied()
    }

    /// The term in `slot`.
    pub fn term(&self, slot: Slot) -> &Term {
        &self.terms[usize::from(slot.0)]
    }

    /// Every name, for suggestions.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.terms.iter().map(|t| t.name.as_str())
    }

    /// Facts in which everything has its default.
    pub fn facts(&self) -> Facts {
        Facts { values: self.terms.iter().map(|t| t.default).collect() }
    }

    /// The value `word` of the term in `slot`; a word outside its vocabulary is unknown.
    pub fn word(&self, slot: Slot, word: &str) -> Fact {
        match &self.term(slot).kind {
            Type::Word(words) => words.iter().position(|w| w == word).map_or(Fact::Unknown, |i| Fact::Word(i as u16)),
            Type::Number => word.parse().map_or(Fact::Unknown, Fact::Number),
            Type::Bool => match word {
                "true" => Fact::Bool(true),
                "false" => Fact::Bool(false),
                _ => Fact::Unknown,
            },
        }
    }
}

/// The facts of one request, by slot.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    values: Vec<Fact>,
}

impl Facts {
    /// The value in `slot`.
    pub fn get(&self, slot: Slot) -> Fact {
        self.values[usize::from(slot.0)]
    }

    /// Sets the value in `slot`.
    pub fn set(&mut self, slot: Slot, value: Fact) {
        self.values[usize::from(slot.0)] = value;
    }

    /// The number in `slot`, if it is one and known.
    pub fn number(&self, slot: Slot) -> Option<f64> {
        match self.get(slot) {
            Fact::Number(number) => Some(number),
            Fact::Unknown | Fact::Bool(_) | Fact::Word(_) => None,
        }
    }
}
