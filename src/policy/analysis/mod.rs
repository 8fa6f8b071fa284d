//! Analysis of whole policies: what holds for every request that could ever come.
//!
//! [`prove`] shows that invariants hold, [`diff`] what a change of policies changes, [`lint`] what in a set has no
//! effect, and [`mutate`] what its tests would not notice. All four ask the same question: is there a request for which
//! these formulas are true? The answer is a [`Witness`], the request that differs least from a harmless one, and
//! `decide` is asked about it before it is shown to anybody.

mod definitions;
mod diff;
mod encode;
mod formula;
mod lint;
mod mutate;
mod prove;
mod space;
mod witness;

use std::iter::repeat_n;

pub use self::diff::{Change, diff};
pub use self::lint::lint;
pub use self::mutate::{Fate, Mutant, mutate};
pub use self::prove::{Refutation, prove, refutations};
pub use self::witness::{Value, Witness};

use self::encode::{Encoded, Encoder, Kleene};
use self::formula::{Formula, Formulas};
use self::space::{CONVERSATION, Input, Space};
use self::witness::{Search, smallest};
use super::expr::Condition;
use super::{DestinationId, PolicySet};

/// How many differing facts are counted when the smallest request is looked for.
const MAX_COUNTED: usize = 8;

/// Some sets, over the requests that any of them can tell apart.
struct Analysis<'a> {
    sets: Vec<&'a PolicySet>,
    formulas: Formulas,
    space: Space,
    encoded: Vec<Encoded>,
    more_than: Vec<Formula>,
}

impl<'a> Analysis<'a> {
    fn of(sets: &[&'a PolicySet]) -> Self {
        let mut formulas = Formulas::new();
        let space = Space::over(sets, &mut formulas);
        let encoded = sets.iter().map(|set| Encoder::new(set, &space, &mut formulas).encode()).collect();
        // A request that shows something by itself is easier to try than one of a conversation: that counts twice.
        let weight = |input: &Input| if input.name == CONVERSATION { 2 } else { 1 };
        let deviations: Vec<Formula> =
            space.inputs.iter().flat_map(|input| repeat_n(input.deviates(), weight(input))).collect();
        let more_than = formulas.more_than(&deviations, MAX_COUNTED);
        Self { sets: sets.to_vec(), formulas, space, encoded, more_than }
    }

    /// Whether `id` of the set with this index may receive the request.
    fn permitted(&self, set: usize, id: DestinationId) -> Formula {
        self.encoded[set].permitted[usize::from(id.0)]
    }

    /// A condition of the set with this index.
    fn condition(&mut self, set: usize, condition: &Condition) -> Kleene {
        Encoder::after(&self.encoded[set], self.sets[set], &self.space, &mut self.formulas).condition(condition)
    }

    /// The smallest request that makes all of `wanted` true.
    fn find(&mut self, wanted: &[Formula]) -> Search {
        smallest(&mut self.formulas, &self.space, &self.more_than, wanted)
    }
}
