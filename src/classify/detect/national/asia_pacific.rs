//! Identifiers of Asia, Africa and the Pacific.

use super::Shape::{Digits, Mixed};
use super::checks::{is_date, is_uniform, luhn, number, verhoeff, weighted};
use super::{National, fits, values};

/// The table.
pub const TABLE: &[National] = &[
    National {
        name: "au_medicare",
        shapes: &[Digits(&[10, 11], au_medicare)],
        strong: false,
        forms: &[],
        words: &["medicare"],
    },
    National {
        name: "au_tfn",
        shapes: &[Digits(&[9], au_tfn)],
        strong: false,
        forms: &[],
        words: &["tfn", "tax file"],
    },
    National {
        name: "cn_resident_id",
        shapes: &[Digits(&[18], cn_resident_id_figures), Mixed(18, cn_resident_id)],
        strong: true,
        forms: &[],
        words: &["resident id", "identity card", "shenfenzheng", "id card"],
    },
    National {
        name: "il_id",
        shapes: &[Digits(&[9], il_id)],
        strong: false,
        forms: &[],
        words: &["teudat zehut", "israeli id", "mispar zehut"],
    },
    National {
        name: "in_aadhaar",
        shapes: &[Digits(&[12], in_aadhaar)],
        strong: false,
        forms: &[],
        words: &["aadhaar", "aadhar", "uidai", "uid"],
    },
    National {
        name: "in_pan",
        shapes: &[Mixed(10, in_pan)],
        strong: false,
        forms: &[],
        words: &["pan", "permanent account", "income tax"],
    },
    National {
        name: "jp_my_number",
        shapes: &[Digits(&[12], jp_my_number)],
        strong: false,
        forms: &[],
        words: &["my number", "mynumber", "kojin bango"],
    },
    National {
        name: "kr_rrn",
        shapes: &[Digits(&[13], kr_rrn)],
        strong: false,
        forms: &["999999-9999999"],
        words: &["rrn", "resident registration", "jumin"],
    },
    National { name: "sg_nric", shapes: &[Mixed(9, sg_nric)], strong: true, forms: &[], words: &["nric", "fin"] },
    National {
        name: "th_id",
        shapes: &[Digits(&[13], th_id)],
        strong: false,
        forms: &["9-9999-99999-99-9", "9 9999 99999 99 9"],
        words: &["thai id", "thai national id", "national id", "id card"],
    },
    National {
        name: "tr_kimlik",
        shapes: &[Digits(&[11], tr_kimlik)],
        strong: false,
        forms: &[],
        words: &["kimlik", "tckn", "tc no", "turkish id"],
    },
    National {
        name: "za_id",
        shapes: &[Digits(&[13], za_id)],
        strong: true,
        forms: &["999999 9999 999"],
        words: &["south african id", "id number", "rsa id"],
    },
];

fn au_medicare(d: &[u8]) -> bool {
    (2..=6).contains(&d[0]) && weighted(&d[..8], &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == u32::from(d[8])
}

fn au_tfn(d: &[u8]) -> bool {
    !is_uniform(d) && weighted(d, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

const CN_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];

/// Region, date of birth, order, and the mark of ISO 7064, MOD 11-2.
fn cn_marked(d: &[u8], mark: u8) -> bool {
    let year = number(&d[6..10]);
    let born = (1900..=2099).contains(&year) && is_date(&d[10..12], &d[12..14]);
    d[0] != 0 && born && b"10X98765432"[weighted(d, &CN_WEIGHTS) as usize % 11] == mark
}

fn cn_resident_id_figures(d: &[u8]) -> bool {
    cn_marked(&d[..17], b'0' + d[17])
}

fn cn_resident_id(text: &[u8]) -> bool {
    text[17] == b'X' && values::<17>(&text[..17]).is_some_and(|d| cn_marked(&d, b'X'))
}

fn il_id(d: &[u8]) -> bool {
    !is_uniform(d) && luhn(d)
}

fn in_aadhaar(d: &[u8]) -> bool {
    d[0] >= 2 && verhoeff(d)
}

/// No check digit; the fourth letter says what kind of taxpayer it is.
fn in_pan(text: &[u8]) -> bool {
    fits(text, "AAAAA9999A") && b"ABCFGHJLPT".contains(&text[3])
}

fn jp_my_number(d: &[u8]) -> bool {
    let rest = weighted(&d[..11], &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest <= 1 { 0 } else { 11 - rest };
    !is_uniform(d) && check == u32::from(d[11])
}

fn kr_rrn(d: &[u8]) -> bool {
    let check = (11 - weighted(&d[..12], &[2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5]) % 11) % 10;
    // Numbers given out since October 2020 are random after the sex.
    is_date(&d[2..4], &d[4..6]) && (check == u32::from(d[12]) || matches!(d[6], 3 | 4 | 7 | 8) && number(&d[..2]) >= 20)
}

fn sg_nric(text: &[u8]) -> bool {
    let Some(d) = values::<7>(&text[1..8]) else { return false };
    let sum = weighted(&d, &[2, 7, 6, 5, 4, 3, 2]) as usize;
    let mark = match text[0] {
        b'S' => b"JZIHGFEDCBA"[sum % 11],
        b'T' => b"JZIHGFEDCBA"[(sum + 4) % 11],
        b'F' => b"XWUTRQPNMLK"[sum % 11],
        b'G' => b"XWUTRQPNMLK"[(sum + 4) % 11],
        b'M' => b"XWUTRQPNJLK"[(sum + 3) % 11],
        _ => return false,
    };
    mark == text[8]
}

fn th_id(d: &[u8]) -> bool {
    let sum = weighted(&d[..12], &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    d[0] != 0 && (11 - sum % 11) % 10 == u32::from(d[12])
}

fn tr_kimlik(d: &[u8]) -> bool {
    let odd: u32 = d[..9].iter().step_by(2).map(|d| u32::from(*d)).sum();
    let even: u32 = d[1..8].iter().step_by(2).map(|d| u32::from(*d)).sum();
    let all: u32 = d[..10].iter().map(|d| u32::from(*d)).sum();
    d[0] != 0 && (7 * odd + 9 * even) % 10 == u32::from(d[9]) && all % 10 == u32::from(d[10])
}

fn za_id(d: &[u8]) -> bool {
    is_date(&d[2..4], &d[4..6]) && d[10] <= 2 && luhn(d)
}
