//! Letters of other scripts that look like Latin ones (a subset of Unicode's `confusables.txt`, UTS #39): the skeleton
//! of a text in which they stand.

use super::super::mapped::Mapped;

/// The text with look-alikes replaced; `None` where it has none.
pub fn skeleton(text: &str) -> Option<Mapped> {
    if text.is_ascii() || !text.chars().any(|c| latin(c).is_some()) {
        return None;
    }
    let mut made = Mapped::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        match latin(c) {
            Some(plain) => made.replace([plain], at, c.len_utf8()),
            None => made.copy(&text[at..at + c.len_utf8()], at),
        }
    }
    Some(made)
}

/// The Latin letter or figure that looks the same.
fn latin(c: char) -> Option<char> {
    if c.is_ascii() {
        return None;
    }
    if let Some(letter) = enclosed(c) {
        return Some(letter);
    }
    let place = PAIRS.partition_point(|(other, _)| *other < c);
    PAIRS.get(place).filter(|(other, _)| *other == c).map(|(_, plain)| *plain)
}

/// Letters in filled circles and squares, and the regional ones that flags are made of: they do not decompose.
fn enclosed(c: char) -> Option<char> {
    let first = [0x1F150, 0x1F170, 0x1F1E6].into_iter().find(|first| (*first..first + 26).contains(&(c as u32)))?;
    char::from_u32(u32::from('A') + c as u32 - first)
}

/// Ordered by the look-alike.
const PAIRS: &[(char, char)] = &[
    ('\u{0131}', 'i'), // Latin, without dot
    ('\u{0142}', 'l'),
    ('\u{0180}', 'b'),
    ('\u{01C3}', '!'),
    ('\u{0251}', 'a'),
    ('\u{0261}', 'g'),
    ('\u{0262}', 'G'),
    ('\u{0269}', 'i'),
    ('\u{026A}', 'I'),
    ('\u{0274}', 'N'),
    ('\u{0280}', 'R'),
    ('\u{028B}', 'v'),
    ('\u{028F}', 'Y'),
    ('\u{0299}', 'B'),
    ('\u{029C}', 'H'),
    ('\u{029F}', 'L'),
    ('\u{037F}', 'J'), // Greek
    ('\u{0391}', 'A'),
    ('\u{0392}', 'B'),
    ('\u{0395}', 'E'),
    ('\u{0396}', 'Z'),
    ('\u{0397}', 'H'),
    ('\u{0399}', 'I'),
    ('\u{039A}', 'K'),
    ('\u{039C}', 'M'),
    ('\u{039D}', 'N'),
    ('\u{039F}', 'O'),
    ('\u{03A1}', 'P'),
    ('\u{03A4}', 'T'),
    ('\u{03A5}', 'Y'),
    ('\u{03A7}', 'X'),
    ('\u{03B1}', 'a'),
    ('\u{03B3}', 'y'),
    ('\u{03B5}', 'e'),
    ('\u{03B7}', 'n'),
    ('\u{03B9}', 'i'),
    ('\u{03BA}', 'k'),
    ('\u{03BD}', 'v'),
    ('\u{03BF}', 'o'),
    ('\u{03C1}', 'p'),
    ('\u{03C3}', 'o'),
    ('\u{03C4}', 't'),
    ('\u{03C5}', 'u'),
    ('\u{03C7}', 'x'),
    ('\u{03C9}', 'w'),
    ('\u{03F2}', 'c'),
    ('\u{03F3}', 'j'),
    ('\u{03F9}', 'C'),
    ('\u{0405}', 'S'), // Cyrillic
    ('\u{0406}', 'I'),
    ('\u{0408}', 'J'),
    ('\u{0410}', 'A'),
    ('\u{0412}', 'B'),
    ('\u{0413}', 'r'),
    ('\u{0415}', 'E'),
    ('\u{0417}', '3'),
    ('\u{041A}', 'K'),
    ('\u{041C}', 'M'),
    ('\u{041D}', 'H'),
    ('\u{041E}', 'O'),
    ('\u{0420}', 'P'),
    ('\u{0421}', 'C'),
    ('\u{0422}', 'T'),
    ('\u{0423}', 'Y'),
    ('\u{0425}', 'X'),
    ('\u{042C}', 'b'),
    ('\u{0430}', 'a'),
    ('\u{0433}', 'r'),
    ('\u{0435}', 'e'),
    ('\u{043A}', 'k'),
    ('\u{043E}', 'o'),
    ('\u{043F}', 'n'),
    ('\u{0440}', 'p'),
    ('\u{0441}', 'c'),
    ('\u{0442}', 't'),
    ('\u{0443}', 'y'),
    ('\u{0445}', 'x'),
    ('\u{044C}', 'b'),
    ('\u{0455}', 's'),
    ('\u{0456}', 'i'),
    ('\u{0458}', 'j'),
    ('\u{0461}', 'w'),
    ('\u{0475}', 'v'),
    ('\u{04AE}', 'Y'),
    ('\u{04AF}', 'y'),
    ('\u{04BB}', 'h'),
    ('\u{04C0}', 'I'),
    ('\u{04CF}', 'l'),
    ('\u{0501}', 'd'),
    ('\u{050C}', 'G'),
    ('\u{051B}', 'q'),
    ('\u{051C}', 'W'),
    ('\u{051D}', 'w'),
    ('\u{0555}', 'O'), // Armenian
    ('\u{0561}', 'w'),
    ('\u{0563}', 'q'),
    ('\u{0566}', 'q'),
    ('\u{0570}', 'h'),
    ('\u{0575}', 'j'),
    ('\u{0578}', 'n'),
    ('\u{057D}', 'u'),
    ('\u{0581}', 'g'),
    ('\u{0582}', 'i'),
    ('\u{0584}', 'f'),
    ('\u{0585}', 'o'),
    ('\u{13A0}', 'D'), // Cherokee
    ('\u{13A1}', 'R'),
    ('\u{13A2}', 'T'),
    ('\u{13AA}', 'A'),
    ('\u{13AB}', 'J'),
    ('\u{13AC}', 'E'),
    ('\u{13B3}', 'W'),
    ('\u{13B7}', 'M'),
    ('\u{13BB}', 'H'),
    ('\u{13C0}', 'G'),
    ('\u{13C3}', 'Z'),
    ('\u{13D2}', 'R'),
    ('\u{13D9}', 'V'),
    ('\u{13DA}', 'S'),
    ('\u{13DE}', 'L'),
    ('\u{13DF}', 'C'),
    ('\u{13E2}', 'P'),
    ('\u{13E6}', 'K'),
    ('\u{13F4}', 'B'),
    ('\u{1D04}', 'c'), // Latin small capitals
    ('\u{1D05}', 'D'),
    ('\u{1D07}', 'E'),
    ('\u{1D0A}', 'J'),
    ('\u{1D0B}', 'K'),
    ('\u{1D0D}', 'M'),
    ('\u{1D0F}', 'o'),
    ('\u{1D18}', 'P'),
    ('\u{1D1B}', 'T'),
    ('\u{1D1C}', 'u'),
    ('\u{1D20}', 'v'),
    ('\u{1D21}', 'w'),
    ('\u{1D22}', 'z'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order() {
        assert!(PAIRS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn look_alikes_read_as_latin_and_lead_back() {
        let made = skeleton("x ΑСМЕ 🅰").unwrap();
        assert_eq!(made.text(), "x ACME A");
        assert_eq!(made.original(2..6), 2..10);
        assert!(skeleton("plain").is_none() && skeleton("日本").is_none());
    }
}
