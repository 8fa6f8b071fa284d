//! The word lists that documents are made of and that the lexicon starts from. They are our own.

use std::collections::BTreeMap;

use crate::classify::names::features::hash;
use crate::classify::names::lexicon::List;
use crate::classify::normalise::fold;

/// The lists, as written in `words/`.
pub struct Words {
    /// Given names.
    pub first: Vec<&'static str>,
    /// Family names.
    pub last: Vec<&'static str>,
    /// Cities.
    pub cities: Vec<&'static str>,
    /// Countries.
    pub countries: Vec<&'static str>,
    /// Organisations' names, without what says so.
    pub organisations: Vec<&'static str>,
    /// What follows an organisation's name.
    pub tails: Vec<&'static str>,
    /// Conditions, medicines, treatments.
    pub health: Vec<&'static str>,
    /// What people do.
    pub jobs: Vec<&'static str>,
}

impl Words {
    /// Reads the lists.
    pub fn new() -> Self {
        Self {
            first: include_str!("words/first.txt").split_whitespace().collect(),
            last: include_str!("words/last.txt").split_whitespace().collect(),
            cities: phrases(include_str!("words/city.txt")),
            countries: phrases(include_str!("words/country.txt")),
            organisations: phrases(include_str!("words/orgname.txt")),
            tails: phrases(include_str!("words/orgtail.txt")),
            health: phrases(include_str!("words/health.txt")),
            jobs: phrases(include_str!("words/job.txt")),
        }
    }

    /// The lists each word is on, by the low half of its hash; `common` are words known to be common in small letters.
    pub fn lexicon(&self, common: &[String]) -> Vec<(u32, u16)> {
        let mut lists: BTreeMap<u32, u16> = BTreeMap::new();
        let mut put = |words: &str, list: List| {
            for word in fold(words).split(|c: char| !c.is_alphanumeric()).filter(|word| word.chars().count() > 1) {
                *lists.entry(hash(word) as u32).or_default() |= list.bit();
            }
        };
        self.first.iter().for_each(|word| put(word, List::First));
        self.last.iter().for_each(|word| put(word, List::Last));
        self.cities.iter().for_each(|word| put(word, List::City));
        self.countries.iter().for_each(|word| put(word, List::Country));
        let rare = |word: &&str| !common.iter().any(|known| known.eq_ignore_ascii_case(word));
        self.health.iter().flat_map(|phrase| phrase.split(' ')).filter(rare).for_each(|word| put(word, List::Health));
        put(include_str!("words/street.txt"), List::Street);
        put(STREET_ENDINGS, List::StreetEnding);
        put(include_str!("words/unit.txt"), List::Unit);
        put(include_str!("words/org.txt"), List::Organisation);
        put(include_str!("words/title.txt"), List::Title);
        put(MONTHS, List::Month);
        common.iter().for_each(|word| put(word, List::Common));
        for (cue, words) in include_str!("words/cue.txt").lines().filter_map(|line| line.split_once(": ")) {
            let list = match cue {
                "address" => List::AddressCue,
                "birth" => List::BirthCue,
                "name" => List::NameCue,
                _ => List::HealthCue,
            };
            put(words, list);
        }
        lists.into_iter().collect()
    }
}

fn phrases(text: &'static str) -> Vec<&'static str> {
    text.split(['|', '\n']).filter(|phrase| !phrase.is_empty()).collect()
}

/// Endings by which a single word is a street.
const STREET_ENDINGS: &str = "strasse straße weg gasse allee platz ring ufer damm steig straat laan plein gracht kade dreef \
    singel gatan vagen gata torg gränd stigen vej vejen gade vaenget veien gate katu tie kuja polku street road utca ulice";

/// Months and days of the week, in several languages.
pub const MONTHS: &str = "january february march april may june july august september october november december jan feb mar \
    apr jun jul aug sep sept oct nov dec monday tuesday wednesday thursday friday saturday sunday januar februar märz mai \
    juni juli oktober dezember janvier février mars avril juin juillet août septembre octobre novembre décembre enero \
    febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre gennaio febbraio aprile maggio \
    giugno luglio settembre ottobre dicembre januari februari maart mei augustus";
