//! Ways to write a text so that a person or a model can still read it.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// An encoding by its name.
pub struct Encoder {
    pub name: &'static str,
    pub encode: fn(&str) -> String,
}

macro_rules! encoders {
    ($($name:literal => $encode:expr),* $(,)?) => { &[$(Encoder { name: $name, encode: $encode }),*] };
}

/// All of them.
pub const ALL: &[Encoder] = encoders! {
    "plain" => str::to_owned,
    "full width" => |t| map(t, |c| shift(c, '!'..='~', '！')),
    "mathematical" => |t| map(t, mathematical),
    "struck through" => |t| after_each(t, '\u{336}'),
    "zero width" => |t| after_each(t, '\u{200B}'),
    "variation selectors" => |t| after_each(t, '\u{FE0F}'),
    "soft hyphens" => |t| after_each(t, '\u{AD}'),
    "tag characters" => |t| map(t, |c| shift(c, ' '..='~', '\u{E0020}')),
    "bidirectional override" => |t| format!("\u{202E}{}\u{202C}", reversed(t)),
    "Cyrillic and Greek look-alikes" => |t| map(t, look_alike),
    "Arabic digits" => |t| map(t, |c| shift(c, '0'..='9', '٠')),
    "Devanagari digits" => |t| map(t, |c| shift(c, '0'..='9', '०')),
    "dashes" => |t| t.replace('-', "–").replace(' ', "\u{A0}"),
    "decimal entities" => |t| each(t, |c| format!("&#{};", c as u32)),
    "hexadecimal entities" => |t| each(t, |c| format!("&#x{:x};", c as u32)),
    "JSON escapes" => |t| t.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect(),
    "byte escapes" => |t| t.bytes().map(|b| format!("\\x{b:02x}")).collect(),
    "percent" => |t| t.bytes().map(|b| format!("%{b:02X}")).collect(),
    "quoted-printable" => |t| t.bytes().map(|b| format!("={b:02X}")).collect(),
    "base64" => |t| STANDARD.encode(t),
    "base64 for URLs" => |t| URL_SAFE_NO_PAD.encode(t),
    "base64 after one letter" => |t| format!("q{}", STANDARD.encode(t)),
    "base64 after two letters" => |t| format!("qZ{}", STANDARD.encode(t)),
    "base64 after three letters" => |t| format!("qZ7{}", STANDARD.encode(t)),
    "base64 in lines of 76" => |t| wrapped(&STANDARD.encode(t), 76),
    "base64 in lines of 16" => |t| wrapped(&STANDARD.encode(t), 16),
    "base32" => base32,
    "base32 in small letters" => |t| base32(t).to_lowercase().replace('=', ""),
    "hexadecimal" => |t| hex::encode(t),
    "hexadecimal capitals" => |t| hex::encode_upper(t),
    "hexadecimal with spaces" => |t| pairs(t, " "),
    "hexadecimal with colons" => |t| pairs(t, ":"),
    "hexadecimal with dashes" => |t| pairs(t, "-"),
    "hexadecimal array" => |t| pairs(t, ", 0x").replacen("", "0x", 1),
    "ROT13" => |t| map(t, rot13),
    "from back to front" => reversed,
    "spread by spaces" => |t| spread(t, " "),
    "spread by line breaks" => |t| spread(t, "\n"),
    "spread by dots" => |t| spread(t, "."),
    "spread by asterisks" => |t| spread(t, "*"),
    "spread by commas" => |t| spread(t, ", "),
    "spread by dashes" => |t| spread(t, "-"),
    "spelled" => |t| spelled(t, &["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]),
    "spelled in German" => |t| spelled(t, &["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"]),
};

fn map(text: &str, f: fn(char) -> char) -> String {
    text.chars().map(f).collect()
}

fn each(text: &str, f: impl Fn(char) -> String) -> String {
    text.chars().map(f).collect()
}

fn shift(c: char, from: std::ops::RangeInclusive<char>, to: char) -> char {
    if from.contains(&c) { char::from_u32(to as u32 + c as u32 - *from.start() as u32).unwrap() } else { c }
}

fn mathematical(c: char) -> char {
    match c {
        'a'..='z' => shift(c, 'a'..='z', '𝐚'),
        'A'..='Z' => shift(c, 'A'..='Z', '𝐀'),
        _ => shift(c, '0'..='9', '𝟎'),
    }
}

fn look_alike(c: char) -> char {
    const PAIRS: [(char, char); 24] = [
        ('A', 'А'),
        ('B', 'В'),
        ('C', 'С'),
        ('E', 'Ε'),
        ('H', 'Н'),
        ('I', 'І'),
        ('J', 'Ј'),
        ('K', 'Κ'),
        ('M', 'М'),
        ('N', 'Ν'),
        ('O', 'О'),
        ('P', 'Ρ'),
        ('S', 'Ѕ'),
        ('T', 'Τ'),
        ('X', 'Х'),
        ('a', 'а'),
        ('c', 'с'),
        ('e', 'е'),
        ('i', 'і'),
        ('j', 'ј'),
        ('o', 'ο'),
        ('p', 'р'),
        ('s', 'ѕ'),
        ('x', 'х'),
    ];
    PAIRS.iter().find(|(plain, _)| *plain == c).map_or(c, |(_, other)| *other)
}

fn after_each(text: &str, mark: char) -> String {
    text.chars().flat_map(|c| [c, mark]).collect()
}

fn reversed(text: &str) -> String {
    text.chars().rev().collect()
}

fn rot13(c: char) -> char {
    match c {
        'a'..='m' | 'A'..='M' => char::from(c as u8 + 13),
        'n'..='z' | 'N'..='Z' => char::from(c as u8 - 13),
        _ => c,
    }
}

fn wrapped(text: &str, width: usize) -> String {
    text.as_bytes().chunks(width).map(|line| str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\n")
}

fn pairs(text: &str, separator: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(separator)
}

fn spread(text: &str, separator: &str) -> String {
    text.chars().map(String::from).collect::<Vec<_>>().join(separator)
}

fn base32(text: &str) -> String {
    let mut coded = String::new();
    for chunk in text.as_bytes().chunks(5) {
        let mut bytes = [0; 8];
        bytes[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(bytes);
        let characters = (chunk.len() * 8).div_ceil(5);
        for i in 0..8 {
            let value = (bits >> (35 - 5 * i) & 31) as usize;
            coded.push(if i < characters { char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[value]) } else { '=' });
        }
    }
    coded
}

/// Every figure as a word; what stands between words keeps its place.
fn spelled(text: &str, words: &[&str; 10]) -> String {
    let mut said = String::new();
    for c in text.chars() {
        match c.to_digit(10) {
            Some(figure) => {
                if said.chars().next_back().is_some_and(char::is_alphanumeric) {
                    said.push(' ');
                }
                said.push_str(words[figure as usize]);
                said.push(' ');
            }
            None => said.push(c),
        }
    }
    said.trim_end().to_owned()
}
