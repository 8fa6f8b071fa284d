//! What pseudonyms look like.
//!
//! Each is drawn from a keyed hash of what it stands for, so that a conversation gives the same one every time and nobody
//! without the key can tell what it hides. All of one kind and style have the same length, so none begins another.

use super::kind::Kind;
use crate::policy::Style;

/// Symbols of a tag: Crockford's base 32, of which no two look alike.
const SYMBOLS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Symbols after a tag's word: five that all spellings of a value share, and one that tells them apart.
pub const TAG_SYMBOLS: usize = 6;

/// What a pseudonym is drawn from.
pub struct Seed<'a> {
    /// The conversation's key.
    pub key: &'a [u8; 32],
    /// What kind of thing it stands for.
    pub kind: Kind,
    /// The text it stands for.
    pub original: &'a str,
    /// Which attempt this is, where earlier ones gave something that was taken.
    pub attempt: u32,
}

/// A pseudonym. A kind without a safe range to draw from has tags in either style.
pub fn draw(style: Style, seed: &Seed<'_>) -> String {
    match style {
        Style::Tag => tag(seed),
        Style::Surrogate => surrogate(seed).unwrap_or_else(|| tag(seed)),
    }
}

/// Whether `word` ends like a tag, in whatever case.
pub fn is_tag_shaped(word: &str) -> bool {
    let Some((kind, symbols)) = word.rsplit_once('_') else { return false };
    let known = |known: Kind| {
        let at = kind.len().checked_sub(known.word().len());
        at.and_then(|at| kind.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(known.word()))
    };
    let of_a_tag = |b: u8| SYMBOLS.contains(&b.to_ascii_uppercase());
    symbols.len() == TAG_SYMBOLS && symbols.bytes().all(of_a_tag) && Kind::ALL.into_iter().any(known)
}

fn tag(seed: &Seed<'_>) -> String {
    // A first collision changes the last symbol, and only the 32nd the ones before.
    let stem = seed.bytes("stem", &normalised(seed.original), seed.attempt / 32);
    let spelling = seed.bytes("spelling", seed.original, seed.attempt);
    let symbols = stem[..TAG_SYMBOLS - 1].iter().chain(&spelling[..1]);
    let symbols: String = symbols.map(|byte| char::from(SYMBOLS[usize::from(byte % 32)])).collect();
    format!("{}_{symbols}", seed.kind.word())
}

/// Spellings of one value are alike in this: case, spaces and signs do not count.
fn normalised(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Something of the same form from a range that is reserved for examples.
fn surrogate(seed: &Seed<'_>) -> Option<String> {
    let bytes = seed.bytes("surrogate", seed.original, seed.attempt);
    let number = |from: usize, below: u64| u64::from_le_bytes(take(&bytes, from)) % below;
    Some(match seed.kind {
        Kind::Person if seed.original.contains(char::is_whitespace) => {
            format!("{} {}", invented_name(&bytes[..8]), invented_name(&bytes[8..16]))
        }
        Kind::Person => invented_name(&bytes[..8]),
        // RFC 2606.
        Kind::Email => {
            let symbols = bytes[..8].iter().map(|byte| char::from(SYMBOLS[usize::from(byte % 32)]));
            format!("{}@example.com", symbols.collect::<String>().to_ascii_lowercase())
        }
        // 555-0100 to 555-0199 belong to nobody in any area of the North American plan.
        Kind::Phone => format!("+1-{}-555-01{:02}", 200 + number(0, 800), number(8, 100)),
        // RFC 3849 and RFC 5737; last figures of one length.
        Kind::Ip if seed.original.contains(':') => {
            let groups: Vec<String> = bytes.chunks_exact(2).take(6).map(hex::encode).collect();
            format!("2001:0db8:{}", groups.join(":"))
        }
        Kind::Ip => {
            let network = ["192.0.2", "198.51.100", "203.0.113"][number(0, 3) as usize];
            format!("{network}.{}", 100 + number(8, 155))
        }
        // RFC 7042.
        Kind::Mac => format!("00:00:5e:00:53:{:02x}", bytes[0]),
        // A range that payment providers keep for tests.
        Kind::Card => {
            let digits = format!("400000{:09}", number(0, 1_000_000_000));
            format!("{digits}{}", luhn_digit(&digits))
        }
        Kind::Address
        | Kind::Place
        | Kind::Organisation
        | Kind::Date
        | Kind::Health
        | Kind::Account
        | Kind::Name
        | Kind::Label
        | Kind::Value => return None,
    })
}

/// A name of seven letters that nobody has and that is no word of a language we know of.
fn invented_name(bytes: &[u8]) -> String {
    const BEGIN: &[u8] = b"bdfgklmnprstvz";
    const VOWEL: &[u8] = b"aeiou";
    const END: &[u8] = b"kxzrn";
    let letters = [BEGIN, VOWEL, BEGIN, VOWEL, BEGIN, VOWEL, END];
    let picked =
        letters.iter().zip(bytes).map(|(letters, byte)| char::from(letters[usize::from(*byte) % letters.len()]));
    let mut name: String = picked.collect();
    name[..1].make_ascii_uppercase();
    name
}

/// The digit that makes the number valid by Luhn's formula.
fn luhn_digit(digits: &str) -> u32 {
    let figures = digits.chars().rev().filter_map(|c| c.to_digit(10)).enumerate();
    let sum: u32 = figures.map(|(i, d)| if i % 2 == 0 { d * 2 / 10 + d * 2 % 10 } else { d }).sum();
    (10 - sum % 10) % 10
}

fn take(bytes: &[u8; 32], from: usize) -> [u8; 8] {
    let mut taken = [0; 8];
    taken.copy_from_slice(&bytes[from..from + 8]);
    taken
}

impl Seed<'_> {
    fn bytes(&self, purpose: &str, text: &str, attempt: u32) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new_keyed(self.key);
        // Lengths are hashed too, so that no two different seeds hash alike.
        for piece in [purpose.as_bytes(), self.kind.word().as_bytes(), text.as_bytes(), &attempt.to_le_bytes()] {
            hasher.update(&(piece.len() as u64).to_le_bytes()).update(piece);
        }
        *hasher.finalize().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(style: Style, kind: Kind, original: &str) -> String {
        draw(style, &Seed { key: &[7; 32], kind, original, attempt: 0 })
    }

    #[test]
    fn spellings_of_a_value_share_all_but_the_last_symbol_of_their_tags() {
        let tags = ["Maria Gonzalez", "MARIA GONZALEZ", "maria-gonzalez"].map(|o| drawn(Style::Tag, Kind::Person, o));
        let stem = |tag: &str| tag[..tag.len() - 1].to_owned();
        assert!(tags.iter().all(|tag| stem(tag) == stem(&tags[0])), "{tags:?}");
        assert_ne!(stem(&drawn(Style::Tag, Kind::Person, "Mario Gonzalez")), stem(&tags[0]));
        assert!(tags.iter().all(|tag| is_tag_shaped(tag) && is_tag_shaped(&tag.to_lowercase())));
        assert!(!is_tag_shaped("PERSON_7KQ2M") && !is_tag_shaped("SOMEONE_7KQ2M4") && !is_tag_shaped("PERSON_7KQ2MU"));
    }

    #[test]
    fn surrogates_are_of_the_same_form_and_of_nobody() {
        let forms = [
            (Kind::Person, "Maria Gonzalez", r"^[A-Z][a-z]{6} [A-Z][a-z]{6}$"),
            (Kind::Person, "Maria", r"^[A-Z][a-z]{6}$"),
            (Kind::Email, "maria@corp.com", r"^[0-9a-z]{8}@example\.com$"),
            (Kind::Phone, "+49 30 901820", r"^\+1-[2-9]\d\d-555-01\d\d$"),
            (Kind::Ip, "10.1.2.3", r"^(192\.0\.2|198\.51\.100|203\.0\.113)\.\d{3}$"),
            (Kind::Ip, "fe80::1", r"^2001:0db8(:[0-9a-f]{4}){6}$"),
            (Kind::Mac, "a4:83:e7:01:02:03", r"^00:00:5e:00:53:[0-9a-f]{2}$"),
            (Kind::Card, "4111111111111111", r"^400000\d{10}$"),
            (Kind::Date, "12/03/1980", r"^DATE_[0-9A-Z]{6}$"),
        ];
        for (kind, original, form) in forms {
            let surrogate = drawn(Style::Surrogate, kind, original);
            assert!(regex::Regex::new(form).unwrap().is_match(&surrogate), "{surrogate}");
        }
        assert_eq!(luhn_digit("411111111111111"), 1);
    }
}
