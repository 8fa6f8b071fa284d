//! Labels that do not stand in the text: a header of the request, an attribute of the key.

use std::collections::BTreeMap;

use super::vocabulary::{Fact, Type, Vocabulary};
use crate::classify::Truth;

/// What a label says where it says nothing.
const NO_LABEL: &str = "none";

/// A detector that also goes by what stands beside the text. It can only add a finding: nobody can label one away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// Index of the detector.
    pub detector: usize,
    /// Finds something where the client sends this header and does not say `none`.
    pub header: Option<String>,
    /// Finds something where the key has this attribute and it is not `none`.
    pub key: Option<String>,
}

impl Label {
    /// What it says of a request whose headers of that name hold `said`, from a key with these attributes.
    pub fn truth<'a>(
        &self,
        vocabulary: &Vocabulary,
        said: impl IntoIterator<Item = &'a str>,
        attributes: &BTreeMap<String, String>,
    ) -> Truth {
        let header: Truth = said.into_iter().any(|word| word != NO_LABEL).into();
        let key = self.key.as_ref().map_or(Truth::False, |name| match attributes.get(name) {
            Some(word) => (word != NO_LABEL).into(),
            None => usual(vocabulary, name),
        });
        header | key
    }
}

/// A key without the attribute: its default, and unknown where it has none.
fn usual(vocabulary: &Vocabulary, name: &str) -> Truth {
    let Some(slot) = vocabulary.slot(&format!("key.{name}")) else { return Truth::Unknown };
    let term = vocabulary.term(slot);
    match (term.default, &term.kind) {
        (Fact::Word(word), Type::Word(words)) => (words[usize::from(word)] != NO_LABEL).into(),
        _ => Truth::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::vocabulary::{Term, Trust};

    fn vocabulary(default: Fact) -> Vocabulary {
        let mut vocabulary = Vocabulary::default();
        let kind = Type::Word(vec!["none".into(), "phi".into()]);
        let trust = Trust::Operator;
        vocabulary.add(Term { name: "key.data".into(), kind, default, trust, grows_with_unknown: false });
        vocabulary
    }

    #[test]
    fn a_header_raises_unless_it_says_none_and_one_of_several_is_enough() {
        let label = Label { detector: 0, header: Some("x-label".into()), key: None };
        let said =
            |words: &[&'static str]| label.truth(&Vocabulary::default(), words.iter().copied(), &BTreeMap::new());
        assert_eq!(said(&[]), Truth::False);
        assert_eq!(said(&["none"]), Truth::False);
        assert_eq!(said(&["private"]), Truth::True);
        assert_eq!(said(&["none", "private"]), Truth::True);
        assert_eq!(said(&[""]), Truth::True);
    }

    #[test]
    fn a_key_without_the_attribute_has_its_default_and_else_is_unknown() {
        let label = Label { detector: 0, header: None, key: Some("data".into()) };
        let on = |vocabulary: &Vocabulary, word: Option<&str>| {
            let attributes = word.map(|word| ("data".to_owned(), word.to_owned())).into_iter().collect();
            label.truth(vocabulary, [], &attributes)
        };
        assert_eq!(on(&vocabulary(Fact::Word(0)), Some("phi")), Truth::True);
        assert_eq!(on(&vocabulary(Fact::Word(0)), None), Truth::False);
        assert_eq!(on(&vocabulary(Fact::Word(1)), None), Truth::True);
        assert_eq!(on(&vocabulary(Fact::Unknown), None), Truth::Unknown);
    }
}
