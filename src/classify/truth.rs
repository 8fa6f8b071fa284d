//! Kleene's strong three-valued logic.

use std::ops::{BitAnd, BitOr, Not};

/// True, false, or not known. A detector that failed, timed out or could not look is `Unknown`, and unknown restricts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Truth {
    /// Certainly so.
    True,
    /// Certainly not so.
    False,
    /// Could be either.
    #[default]
    Unknown,
}

impl Truth {
    /// Whether it is certainly so: what a rule that widens needs in order to apply.
    pub fn is_true(self) -> bool {
        self == Self::True
    }

    /// Whether it may be so: what makes a rule that restricts apply.
    pub fn is_possible(self) -> bool {
        self != Self::False
    }

    /// The name used in policies, records and explanations.
    pub fn name(self) -> &'static str {
        match self {
            Self::True => "true",
            Self::False => "false",
            Self::Unknown => "unknown",
        }
    }
}

impl From<bool> for Truth {
    fn from(known: bool) -> Self {
        if known { Self::True } else { Self::False }
    }
}

impl Not for Truth {
    type Output = Self;
    fn not(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
        }
    }
}

impl BitAnd for Truth {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, Self::True) => Self::True,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
        }
    }
}

impl BitOr for Truth {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        !(!self & !other)
    }
}

#[cfg(test)]
mod tests {
    use super::Truth::{self, False, True, Unknown};

    const ALL: [Truth; 3] = [True, False, Unknown];

    #[test]
    fn the_tables_are_kleenes() {
        let table = |operator: fn(Truth, Truth) -> Truth| ALL.map(|a| ALL.map(|b| operator(a, b)));
        let and = [[True, False, Unknown], [False, False, False], [Unknown, False, Unknown]];
        assert_eq!(table(|a, b| a & b), and);
        assert_eq!(table(|a, b| a | b), [[True, True, True], [True, False, Unknown], [True, Unknown, Unknown]]);
        assert_eq!(ALL.map(|a| !a), [False, True, Unknown]);
    }

    #[test]
    fn only_what_is_certainly_true_is_true_and_only_what_is_certainly_false_is_impossible() {
        assert_eq!(ALL.map(Truth::is_true), [true, false, false]);
        assert_eq!(ALL.map(Truth::is_possible), [true, false, true]);
        assert_eq!([true, false].map(Truth::from), [True, False]);
        assert_eq!(ALL.map(Truth::name), ["true", "false", "unknown"], "records and policies know the words");
    }

    #[test]
    fn a_definite_result_under_unknown_holds_for_every_value_of_it() {
        for a in ALL {
            for known in [True, False] {
                if (a & Unknown) != Unknown {
                    assert_eq!(a & Unknown, a & known);
                }
                if (a | Unknown) != Unknown {
                    assert_eq!(a | Unknown, a | known);
                }
            }
        }
    }

    #[test]
    fn and_and_or_are_commutative_associative_and_idempotent() {
        for a in ALL {
            assert_eq!((a & a, a | a), (a, a));
            for b in ALL {
                assert_eq!((a & b, a | b), (b & a, b | a));
                for c in ALL {
                    assert_eq!((a & b) & c, a & (b & c));
                    assert_eq!((a | b) | c, a | (b | c));
                }
            }
        }
    }
}
