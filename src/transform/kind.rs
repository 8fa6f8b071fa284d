//! What kind of thing a pseudonym stands for: a model should know that much.

/// What kind of thing was replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A person's name.
    Person,
    /// A postal address.
    Address,
    /// Another place.
    Place,
    /// An organisation.
    Organisation,
    /// A date of birth.
    Date,
    /// A health term.
    Health,
    /// An e-mail address.
    Email,
    /// A phone number.
    Phone,
    /// An IP address.
    Ip,
    /// A network card's address.
    Mac,
    /// A payment card.
    Card,
    /// A bank account.
    Account,
    /// A word of an organisation's dictionary.
    Name,
    /// A document's marking.
    Label,
    /// A national identifier, a secret, and whatever else detectors find.
    Value,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Person,
        Self::Address,
        Self::Place,
        Self::Organisation,
        Self::Date,
        Self::Health,
        Self::Email,
        Self::Phone,
        Self::Ip,
        Self::Mac,
        Self::Card,
        Self::Account,
        Self::Name,
        Self::Label,
        Self::Value,
    ];

    /// The kind of what a recogniser calls `entity`.
    pub fn of(entity: &str) -> Self {
        match entity {
            "person" => Self::Person,
            "address" => Self::Address,
            "location" => Self::Place,
            "organisation" => Self::Organisation,
            "date_of_birth" => Self::Date,
            "health" => Self::Health,
            "email" => Self::Email,
            "phone" => Self::Phone,
            "ip" => Self::Ip,
            "mac" => Self::Mac,
            "card" => Self::Card,
            "iban" => Self::Account,
            "dictionary" => Self::Name,
            "label" => Self::Label,
            _ => Self::Value,
        }
    }

    /// The word at the beginning of its tags.
    pub fn word(self) -> &'static str {
        match self {
            Self::Person => "PERSON",
            Self::Address => "ADDRESS",
            Self::Place => "PLACE",
            Self::Organisation => "ORG",
            Self::Date => "DATE",
            Self::Health => "HEALTH",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Ip => "IP",
            Self::Mac => "MAC",
            Self::Card => "CARD",
            Self::Account => "ACCOUNT",
            Self::Name => "NAME",
            Self::Label => "LABEL",
            Self::Value => "VALUE",
        }
    }
}
