//! Word lists: which of sixteen lists a word is on.

/// A list of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// Given names.
    First,
    /// Family names.
    Last,
    /// Words of cities' names.
    City,
    /// Words of countries' names.
    Country,
    /// "street", "rue".
    Street,
    /// "-strasse", "-gatan".
    StreetEnding,
    /// "apt", "box".
    Unit,
    /// "ltd", "university".
    Organisation,
    /// "mr", "dr".
    Title,
    /// Conditions, medicines, treatments.
    Health,
    /// Months and days of the week.
    Month,
    /// Words that are common in small letters.
    Common,
    /// Words before an address.
    AddressCue,
    /// Words before a date of birth.
    BirthCue,
    /// Words before a name.
    NameCue,
    /// Words before a matter of health.
    HealthCue,
}

impl List {
    /// The lists of cues.
    pub const CUES: [Self; 4] = [Self::AddressCue, Self::BirthCue, Self::NameCue, Self::HealthCue];

    /// Its bit in a set of lists.
    pub fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A hash table from words to the lists they are on.
///
/// Words are known by 32 bits of their hash: one word in about 200,000 is taken for another.
#[derive(Clone, Debug, Default)]
pub struct Lexicon {
    /// A power of two of slots, at most half of them full; an empty slot has no lists.
    slots: Vec<(u32, u16)>,
}

impl Lexicon {
    /// A lexicon of the given entries: the low half of a word's hash, and its lists.
    pub fn new(entries: &[(u32, u16)]) -> Self {
        let size = (entries.len() * 2 + 2).next_power_of_two();
        let mut slots = vec![(0, 0); size];
        for (key, lists) in entries.iter().filter(|(_, lists)| *lists != 0) {
            let mut at = *key as usize & (size - 1);
            while slots[at].1 != 0 {
                at = (at + 1) & (size - 1);
            }
            slots[at] = (*key, *lists);
        }
        Self { slots }
    }

    /// The lists that the word with this hash is on, as a set of bits.
    pub fn lists(&self, hash: u64) -> u16 {
        let Some(mask) = self.slots.len().checked_sub(1) else { return 0 };
        let key = hash as u32;
        let mut at = key as usize & mask;
        loop {
            match self.slots[at] {
                (_, 0) => return 0,
                (found, lists) if found == key => return lists,
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// The entries, by key.
    pub fn entries(&self) -> Vec<(u32, u16)> {
        let mut entries: Vec<_> = self.slots.iter().copied().filter(|(_, lists)| *lists != 0).collect();
        entries.sort_unstable();
        entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_there_and_nothing_else() {
        let entries: Vec<(u32, u16)> = (1..500).map(|i| (i * 64, (i % 7 + 1) as u16)).collect();
        let lexicon = Lexicon::new(&entries);
        assert!(entries.iter().all(|(key, lists)| lexicon.lists(u64::from(*key)) == *lists));
        assert_eq!((lexicon.lists(63), Lexicon::default().lists(64)), (0, 0));
        assert_eq!(lexicon.entries(), entries);
    }
}
