//! Identifiers of the Americas. The US social security number has a file of its own.

use super::Shape::{Digits, Mixed};
use super::checks::{is_date, is_uniform, luhn, number, weighted};
use super::{National, fits, values};

/// The table.
pub const TABLE: &[National] = &[
    National {
        name: "ar_cuit",
        shapes: &[Digits(&[11], ar_cuit)],
        strong: false,
        forms: &["99-99999999-9"],
        words: &["cuit", "cuil"],
    },
    National {
        name: "br_cnpj",
        shapes: &[Digits(&[14], br_cnpj)],
        strong: false,
        forms: &["99.999.999/9999-99"],
        words: &["cnpj"],
    },
    National {
        name: "br_cpf",
        shapes: &[Digits(&[11], br_cpf)],
        strong: false,
        forms: &["999.999.999-99"],
        words: &["cpf", "cadastro de pessoas"],
    },
    National {
        name: "ca_sin",
        shapes: &[Digits(&[9], ca_sin)],
        strong: false,
        forms: &[],
        words: &["sin", "social insurance", "assurance sociale", "nas"],
    },
    National {
        name: "cl_rut",
        shapes: &[Digits(&[8, 9], cl_rut_figures), Mixed(8, cl_rut), Mixed(9, cl_rut)],
        strong: false,
        forms: &["99.999.999-9", "9.999.999-9"],
        words: &["rut", "run", "rol unico"],
    },
    National { name: "mx_curp", shapes: &[Mixed(18, mx_curp)], strong: true, forms: &[], words: &["curp"] },
    National {
        name: "us_driver_license",
        shapes: &[
            Digits(&[8, 9, 10, 12], us_license_number),
            Mixed(8, us_license),
            Mixed(9, us_license),
            Mixed(10, us_license),
            Mixed(12, us_license),
            Mixed(13, us_license),
            Mixed(15, us_license),
        ],
        strong: false,
        forms: &[],
        words: &[
            "driver license",
            "drivers license",
            "driver's license",
            "driver licence",
            "drivers licence",
            "driver's licence",
            "driver_license",
            "driving license",
            "driving licence",
        ],
    },
    National {
        name: "us_itin",
        shapes: &[Digits(&[9], us_itin)],
        strong: false,
        forms: &["999-99-9999"],
        words: &["itin", "taxpayer", "tax id"],
    },
];

fn ar_cuit(d: &[u8]) -> bool {
    let kind = matches!(number(&d[..2]), 20 | 23 | 24 | 25 | 26 | 27 | 30 | 33 | 34);
    kind && (11 - weighted(&d[..10], &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11) % 11 == u32::from(d[10])
}

/// One of Brazil's check digits.
fn br_check(sum: u32) -> u32 {
    (11 - sum % 11) % 11 % 10
}

fn br_cnpj(d: &[u8]) -> bool {
    let first = br_check(weighted(&d[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = br_check(weighted(&d[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]));
    !is_uniform(d) && [u32::from(d[12]), u32::from(d[13])] == [first, second]
}

fn br_cpf(d: &[u8]) -> bool {
    let first = br_check(weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]));
    let second = br_check(weighted(&d[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]));
    !is_uniform(d) && [u32::from(d[9]), u32::from(d[10])] == [first, second]
}

fn ca_sin(d: &[u8]) -> bool {
    !matches!(d[0], 0 | 8) && luhn(d)
}

/// The mark of a Chilean number: 0 to 9, or 10 for `K`.
fn cl_mark(d: &[u8]) -> u32 {
    let sum: u32 = d.iter().rev().zip([2, 3, 4, 5, 6, 7].into_iter().cycle()).map(|(d, w)| u32::from(*d) * w).sum();
    (11 - sum % 11) % 11
}

fn cl_rut_figures(d: &[u8]) -> bool {
    let (body, check) = d.split_at(d.len() - 1);
    d[0] != 0 && cl_mark(body) == u32::from(check[0])
}

fn cl_rut(text: &[u8]) -> bool {
    let (body, mark) = text.split_at(text.len() - 1);
    let body: Vec<u8> = body.iter().filter(|b| b.is_ascii_digit()).map(|b| b - b'0').collect();
    mark == b"K" && body.len() + 1 == text.len() && cl_mark(&body) == 10
}

const MX_ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Letters of the name, date of birth, sex, state, consonants of the name, and a weighted sum (the letter Ñ counts).
fn mx_curp(text: &[u8]) -> bool {
    let value = |b: &u8| {
        let at = MX_ALPHABET.iter().position(|c| c == b).unwrap_or(0) as u32;
        if *b > b'N' { at + 1 } else { at }
    };
    let sum: u32 = text[..17].iter().zip((2..=18).rev()).map(|(b, weight)| value(b) * weight).sum();
    let date = values::<6>(&text[4..10]).is_some_and(|d| is_date(&d[2..4], &d[4..6]));
    let check = (10 - sum % 10) % 10;
    fits(text, "AAAA999999AAAAAA?9")
        && matches!(text[10], b'H' | b'M' | b'X')
        && date
        && u32::from(text[17] - b'0') == check
}

/// The states' numbers have no check digit in common; those of figures only are told by the words beside them.
fn us_license_number(d: &[u8]) -> bool {
    !is_uniform(d)
}

/// A letter and 7 to 14 figures, as most states that use letters do, or Washington's and Oregon's older mixtures.
fn us_license(text: &[u8]) -> bool {
    const FORMS: [&str; 7] =
        ["A9999999", "A99999999", "A999999999", "A99999999999", "A999999999999", "A99999999999999", "AA999999A"];
    FORMS.iter().any(|form| fits(text, form))
}

/// Of the form of a social security number, beginning with 9, in the groups that the IRS uses for it.
fn us_itin(d: &[u8]) -> bool {
    d[0] == 9 && matches!(number(&d[3..5]), 50..=65 | 70..=88 | 90..=92 | 94..=99)
}
