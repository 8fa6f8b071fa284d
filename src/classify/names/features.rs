//! What the model sees of a token: itself, its form, its neighbours, and which word lists they are on.
//!
//! Every feature is a number: a hash of a template and of what fills it. The same code serves fitting and use.

use super::lexicon::{Lexicon, List};
use super::tokens::Token;

/// Features of one token.
pub const COUNT: usize = 40;

/// The features of a token; 0 stands for none.
pub type Features = [u64; COUNT];

/// How far back a cue such as "lives at" is heard, in tokens.
const CUE_REACH: usize = 8;

/// Tokens with what features are made of.
#[derive(Debug, Default)]
pub struct Seen {
    words: Vec<Word>,
}

/// What is looked at of one token.
#[derive(Clone, Copy, Debug)]
struct Word {
    /// Of the word in small letters, digits as 0.
    hash: u64,
    shape: u64,
    lists: u16,
    prefixes: [u64; 2],
    suffixes: [u64; 4],
    spaced: bool,
    breaks: u8,
    is_word: bool,
    is_number: bool,
    starts_sentence: bool,
    /// The word before the last colon or equals sign of the line.
    key: u64,
    /// Which cues were heard in the last [`CUE_REACH`] tokens.
    cues: u16,
}

/// Stands before the first and after the last token.
const NOWHERE: Word = Word {
    hash: 1,
    shape: 1,
    lists: 0,
    prefixes: [0; 2],
    suffixes: [0; 4],
    spaced: true,
    breaks: 2,
    is_word: false,
    is_number: false,
    starts_sentence: true,
    key: 0,
    cues: 0,
};

impl Seen {
    /// Looks at `tokens` of `text`.
    pub fn new(text: &str, tokens: &[Token], lexicon: &Lexicon) -> Self {
        let mut words: Vec<Word> = tokens.iter().map(|token| look(text, token, lexicon)).collect();
        mark_starts(text, tokens, &mut words);
        mark_keys(text, tokens, &mut words);
        mark_cues(&mut words);
        Self { words }
    }

    fn word(&self, at: isize) -> &Word {
        usize::try_from(at).ok().and_then(|at| self.words.get(at)).unwrap_or(&NOWHERE)
    }

    /// The features of the token with index `at`.
    pub fn features(&self, at: usize) -> Features {
        let i = at as isize;
        let [b2, b1, w, a1, a2] = [-2, -1, 0, 1, 2].map(|by| self.word(i + by));
        let line = u64::from(w.breaks) << 8 | u64::from(a1.breaks) << 4 | u64::from(w.starts_sentence);
        let lists = |w: &Word| u64::from(w.lists) | 1 << 20;
        let form = w.shape ^ (u64::from(w.lists) << 32);
        let values: Features = [
            w.hash,
            w.shape,
            w.prefixes[0],
            w.prefixes[1],
            w.suffixes[0],
            w.suffixes[1],
            w.suffixes[2],
            w.suffixes[3],
            b1.hash,
            a1.hash,
            b2.hash,
            a2.hash,
            join(b1.hash, w.hash),
            join(w.hash, a1.hash),
            join(b2.hash, b1.hash),
            join(a1.hash, a2.hash),
            join(b1.hash, form),
            join(form, a1.hash),
            join(join(b1.shape, w.shape), a1.shape),
            join(join(b2.shape, b1.shape), w.shape),
            join(join(w.shape, a1.shape), a2.shape),
            lists(w),
            join(form, line),
            join(lists(b1), lists(w)),
            join(lists(w), lists(a1)),
            join(join(lists(b1), lists(w)), lists(a1)),
            join(lists(b2), lists(w)),
            join(lists(w), lists(a2)),
            join(w.shape, line),
            some(w.key, join(w.key, 1)),
            some(w.key, join(w.key, form)),
            join(u64::from(w.cues), form),
            join(u64::from(w.cues), join(lists(b1), form)),
            join(b1.hash, join(b2.hash, form)),
            join(w.shape, join(u64::from(w.spaced), u64::from(a1.spaced))),
            join(join(b2.shape, join(b1.shape, w.shape)), join(a1.shape, a2.shape)),
            join(self.lists_around(i, -3), form),
            join(self.lists_around(i, 3), form),
            join(w.suffixes[1], w.shape),
            join(u64::from(w.cues), w.hash),
        ];
        std::array::from_fn(|template| finish(template, values[template]))
    }

    /// The lists of the tokens one to three before, or after.
    fn lists_around(&self, at: isize, reach: isize) -> u64 {
        (1..=reach.abs()).map(|by| self.word(at + by * reach.signum()).lists).fold(0, |all, lists| all | lists).into()
    }

    /// Whether the token may be part of a name as far as its form goes: it has a capital or a digit, or no case at all.
    pub fn stands_out(&self, at: usize) -> bool {
        self.words[at].shape != LOWER
    }

    /// Whether the token's word is common in small letters.
    pub fn is_common(&self, at: usize) -> bool {
        self.words[at].lists & List::Common.bit() != 0
    }
}

fn some(present: u64, value: u64) -> u64 {
    if present == 0 { 0 } else { value }
}

/// Tells templates apart; 0 stays 0.
fn finish(template: usize, value: u64) -> u64 {
    if value == 0 { 0 } else { mix(value ^ (template as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)) | 1 }
}

/// Two hashes as one; the order counts.
fn join(a: u64, b: u64) -> u64 {
    mix(a.rotate_left(23) ^ b.wrapping_mul(0xC2B2_AE3D_27D4_EB4F))
}

/// Spreads a hash over all bits (the finaliser of MurmurHash3).
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

/// The hash of a word in small letters (FNV-1a, RFC 9923); digits count as 0.
pub fn hash(word: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325;
    let mut add = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    for c in word.chars() {
        if c.is_ascii() {
            let byte = c.to_ascii_lowercase() as u8;
            add(if byte.is_ascii_digit() { b'0' } else { byte });
        } else {
            let mut buffer = [0; 4];
            c.to_lowercase().for_each(|c| c.encode_utf8(&mut buffer).bytes().for_each(&mut add));
        }
    }
    mix(hash)
}

fn look(text: &str, token: &Token, lexicon: &Lexicon) -> Word {
    let word = &text[token.start..token.end];
    let is_word = word.starts_with(char::is_alphabetic);
    let is_number = word.starts_with(char::is_numeric);
    let hash = hash(word);
    let (prefixes, suffixes) = if is_word { affixes(word) } else { Default::default() };
    let known = if is_word { lexicon.lists(hash) } else { 0 };
    let by_suffix = if is_word { street_by_suffix(word, lexicon) } else { 0 };
    Word {
        hash,
        shape: shape(word),
        lists: known | by_suffix,
        prefixes,
        suffixes,
        spaced: token.spaced,
        breaks: token.breaks,
        is_word,
        is_number,
        starts_sentence: false,
        key: 0,
        cues: 0,
    }
}

/// Hashes of the first 2 and 3 and of the last 2, 3, 4 and 5 characters, where the word has as many and one more.
fn affixes(word: &str) -> ([u64; 2], [u64; 4]) {
    let count = word.chars().count();
    let cut = |n: usize| word.char_indices().nth(n).map_or(word.len(), |(at, _)| at);
    let prefix = |n: usize| if count > n { hash(&word[..cut(n)]) } else { 0 };
    let suffix = |n: usize| if count > n { hash(&word[cut(count - n)..]) } else { 0 };
    ([2, 3].map(prefix), [2, 3, 4, 5].map(suffix))
}

/// Germanic street names are one word: "Hauptstrasse", "Kungsgatan".
fn street_by_suffix(word: &str, lexicon: &Lexicon) -> u16 {
    let count = word.chars().count();
    let cut = |n: usize| word.char_indices().nth(count - n).map_or(0, |(at, _)| at);
    let ends = |n: &usize| lexicon.lists(hash(&word[cut(*n)..])) & List::StreetEnding.bit() != 0;
    if (3..=9).filter(|n| n + 2 < count).any(|n| ends(&n)) { List::StreetEnding.bit() } else { 0 }
}

/// The shape of a word in small letters.
const LOWER: u64 = b'x' as u64;

/// The form of a token: `Xx` for "Paris", `X` for "NATO", `d5` for "12345"; a sign is its own form.
fn shape(word: &str) -> u64 {
    let mut shape = 0_u64;
    let mut last = 0_u8;
    let mut digits = 0_u64;
    let count = word.chars().count();
    for c in word.chars() {
        let class = match c {
            _ if c.is_numeric() => b'd',
            _ if c.is_lowercase() => b'x',
            _ if c.is_uppercase() => b'X',
            _ if c.is_alphabetic() => b'o',
            _ if c.is_ascii() => c as u8,
            _ => b'?',
        };
        digits += u64::from(class == b'd');
        // Short mixed tokens such as "SW1A" keep every character: they may be postcodes.
        if class != last || (count <= 4 && digits > 0) {
            shape = shape << 8 | u64::from(class);
            last = class;
        }
    }
    shape | digits.min(9) << 56
}

fn mark_starts(text: &str, tokens: &[Token], words: &mut [Word]) {
    let mut starts = true;
    for (word, token) in words.iter_mut().zip(tokens) {
        word.starts_sentence = starts || token.breaks > 0;
        let ends = matches!(&text[token.start..token.end], "." | "!" | "?" | ":" | "\"" | "-" | "*" | ">");
        starts = ends || (word.starts_sentence && !word.is_word && !word.is_number);
    }
}

/// Finds for each token the word before the last colon or equals sign of its line: what a form or a data format calls it.
fn mark_keys(text: &str, tokens: &[Token], words: &mut [Word]) {
    let (mut key, mut last_word) = (0, 0);
    for (word, token) in words.iter_mut().zip(tokens) {
        if token.breaks > 0 {
            // An address goes on over lines below its key; after an empty line nothing does.
            key = if token.breaks > 1 { 0 } else { mix(key) & !0xFF };
            last_word = 0;
        }
        match &text[token.start..token.end] {
            ":" | "=" => key = if last_word == 0 { key } else { last_word },
            _ if word.is_word => last_word = word.hash,
            _ => {}
        }
        word.key = key;
    }
}

fn mark_cues(words: &mut [Word]) {
    let cue = List::CUES.iter().fold(0, |all, list| all | list.bit());
    for at in 0..words.len() {
        let heard = words[at.saturating_sub(CUE_REACH)..at].iter().fold(0, |all, word| all | (word.lists & cue));
        words[at].cues = heard;
    }
}
