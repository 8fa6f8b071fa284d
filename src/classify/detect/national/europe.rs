//! European identifiers.

use super::Shape::{Digits, Mixed};
use super::checks::{is_date, is_uniform, luhn, mod11_10, number, weighted};
use super::{National, fits, values};

/// The table; sources are the issuers' own descriptions and, for check digits, the European Commission's "TIN algorithms".
pub const TABLE: &[National] = &[
    National {
        name: "at_svnr",
        shapes: &[Digits(&[10], at_svnr)],
        strong: false,
        forms: &[],
        words: &["svnr", "sozialversicherungsnummer", "versicherungsnummer", "sv nummer", "sv-nummer"],
    },
    National {
        name: "be_national_number",
        shapes: &[Digits(&[11], be_national_number)],
        strong: true,
        forms: &["99.99.99-999.99"],
        words: &["rijksregisternummer", "registre national", "national number", "niss", "insz"],
    },
    National {
        name: "bg_egn",
        shapes: &[Digits(&[10], bg_egn)],
        strong: false,
        forms: &[],
        words: &["egn", "edinen grazhdanski nomer", "bulgarian id"],
    },
    National {
        name: "ch_ahv",
        shapes: &[Digits(&[13], ch_ahv)],
        strong: true,
        forms: &["999.9999.9999.99"],
        words: &["ahv", "avs", "oasi"],
    },
    National {
        name: "cz_rodne_cislo",
        shapes: &[Digits(&[10], cz_rodne_cislo)],
        strong: false,
        forms: &["999999/9999"],
        words: &["rodne cislo", "birth number", "rc", "r.c"],
    },
    National {
        name: "de_steuer_id",
        shapes: &[Digits(&[11], de_steuer_id)],
        strong: true,
        forms: &["99 999 999 999"],
        words: &["steuer-id", "steuer id", "steuerid", "steueridentifikationsnummer", "idnr", "tin", "tax id"],
    },
    National {
        name: "ee_isikukood",
        shapes: &[Digits(&[11], baltic)],
        strong: false,
        forms: &[],
        words: &["isikukood", "asmens kodas", "personal code", "ik"],
    },
    National {
        name: "es_dni",
        shapes: &[Mixed(9, es_dni)],
        strong: true,
        forms: &[],
        words: &["dni", "nif", "documento nacional"],
    },
    National { name: "es_nie", shapes: &[Mixed(9, es_nie)], strong: true, forms: &[], words: &["nie", "extranjero"] },
    National {
        name: "fi_hetu",
        shapes: &[Digits(&[10], fi_hetu_figures), Mixed(10, fi_hetu), Mixed(11, fi_hetu_of_a_century)],
        strong: false,
        forms: &["999999-9999", "999999+9999", "999999-999A", "999999+999A", "999999A9999", "999999A999A"],
        words: &["hetu", "henkilotunnus", "personal identity code", "finnish id"],
    },
    National {
        name: "fr_nir",
        shapes: &[Digits(&[15], fr_nir_figures), Mixed(15, fr_nir)],
        strong: true,
        forms: &["9 99 99 99 999 999 99"],
        words: &["nir", "securite sociale", "insee", "numero de secu"],
    },
    National {
        name: "gr_amka",
        shapes: &[Digits(&[11], gr_amka)],
        strong: false,
        forms: &[],
        words: &["amka", "greek social security"],
    },
    National {
        name: "hr_oib",
        shapes: &[Digits(&[11], hr_oib)],
        strong: false,
        forms: &[],
        words: &["oib", "osobni identifikacijski broj"],
    },
    National {
        name: "ie_pps",
        shapes: &[Mixed(8, ie_pps), Mixed(9, ie_pps)],
        strong: false,
        forms: &[],
        words: &["pps", "ppsn", "personal public service"],
    },
    National {
        name: "it_codice_fiscale",
        shapes: &[Mixed(16, it_codice_fiscale)],
        strong: true,
        forms: &[],
        words: &["codice fiscale", "fiscal code", "cf"],
    },
    National {
        name: "nl_bsn",
        shapes: &[Digits(&[9], nl_bsn)],
        strong: false,
        forms: &[],
        words: &["bsn", "burgerservicenummer", "sofinummer", "sofi"],
    },
    National {
        name: "no_fodselsnummer",
        shapes: &[Digits(&[11], no_fodselsnummer)],
        strong: true,
        forms: &["999999 99999"],
        words: &["fodselsnummer", "personnummer", "fnr", "norwegian id"],
    },
    National { name: "pl_pesel", shapes: &[Digits(&[11], pl_pesel)], strong: false, forms: &[], words: &["pesel"] },
    National {
        name: "pt_nif",
        shapes: &[Digits(&[9], pt_nif)],
        strong: false,
        forms: &[],
        words: &["nif", "contribuinte", "numero fiscal"],
    },
    National {
        name: "ro_cnp",
        shapes: &[Digits(&[13], ro_cnp)],
        strong: true,
        forms: &[],
        words: &["cnp", "cod numeric personal"],
    },
    National {
        name: "se_personnummer",
        shapes: &[Digits(&[10, 12], se_personnummer)],
        strong: false,
        forms: &["999999-9999", "999999+9999", "99999999-9999"],
        words: &["personnummer", "personal number", "samordningsnummer", "pnr", "swedish id"],
    },
    National {
        name: "uk_nhs",
        shapes: &[Digits(&[10], uk_nhs)],
        strong: false,
        forms: &[],
        words: &["nhs", "national health service"],
    },
    National {
        name: "uk_nino",
        shapes: &[Mixed(9, uk_nino)],
        strong: true,
        forms: &[],
        words: &["nino", "national insurance", "ni number", "ni no"],
    },
];

fn at_svnr(d: &[u8]) -> bool {
    let without_check: Vec<u8> = d[..3].iter().chain(&d[4..]).copied().collect();
    let sum = weighted(&without_check, &[3, 7, 9, 5, 8, 4, 2, 1, 6]) % 11;
    d[0] != 0 && sum == u32::from(d[3]) && is_date(&d[6..8], &d[4..6])
}

/// Two digits of 97 less the rest, for births in the last century and, with a 2 before them, in this.
fn be_national_number(d: &[u8]) -> bool {
    let check = number(&d[9..]);
    let born = number(&d[..9]);
    is_date(&d[2..4], &d[4..6]) && [born, 2_000_000_000 + born].iter().any(|n| 97 - n % 97 == check)
}

fn bg_egn(d: &[u8]) -> bool {
    let month = number(&d[2..4]) % 20;
    let month = [(month / 10) as u8, (month % 10) as u8];
    let sum = weighted(&d[..9], &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    number(&d[2..4]) <= 52 && is_date(&month, &d[4..6]) && sum == u32::from(d[9])
}

/// The EAN-13 check digit, behind the number of the country.
fn ch_ahv(d: &[u8]) -> bool {
    d.starts_with(&[7, 5, 6]) && weighted(d, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

fn cz_rodne_cislo(d: &[u8]) -> bool {
    let month = number(&d[2..4]) % 50 % 20;
    let check = number(&d[..9]) % 11 % 10;
    is_date(&[(month / 10) as u8, (month % 10) as u8], &d[4..6]) && check == u64::from(d[9])
}

/// Of the first ten digits exactly one stands two or three times.
fn de_steuer_id(d: &[u8]) -> bool {
    let mut counts = [0_u8; 10];
    d[..10].iter().for_each(|digit| counts[usize::from(*digit)] += 1);
    let repeated = counts.iter().filter(|n| **n > 1).count();
    let tripled = counts.iter().all(|n| *n <= 3);
    d[0] != 0 && repeated == 1 && tripled && mod11_10(d)
}

/// The personal codes of Estonia and Lithuania.
fn baltic(d: &[u8]) -> bool {
    let first = weighted(&d[..10], &[1, 2, 3, 4, 5, 6, 7, 8, 9, 1]) % 11;
    let second = weighted(&d[..10], &[3, 4, 5, 6, 7, 8, 9, 1, 2, 3]) % 11 % 10;
    let check = if first == 10 { second } else { first };
    (1..=8).contains(&d[0]) && is_date(&d[3..5], &d[5..7]) && check == u32::from(d[10])
}

const ES_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn es_letter(figures: &[u8], letter: u8) -> bool {
    values::<8>(figures).is_some_and(|d| ES_LETTERS[number(&d) as usize % 23] == letter)
}

fn es_dni(text: &[u8]) -> bool {
    es_letter(&text[..8], text[8])
}

fn es_nie(text: &[u8]) -> bool {
    let Some(first) = [b'X', b'Y', b'Z'].iter().position(|l| *l == text[0]) else { return false };
    let mut figures = [0; 8];
    figures.copy_from_slice(&text[..8]);
    figures[0] = b'0' + first as u8;
    es_letter(&figures, text[8])
}

const FI_MARKS: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";

fn fi_mark(d: &[u8], mark: u8) -> bool {
    is_date(&d[2..4], &d[..2]) && FI_MARKS[number(d) as usize % 31] == mark
}

fn fi_hetu_figures(d: &[u8]) -> bool {
    fi_mark(&d[..9], b'0' + d[9])
}

fn fi_hetu(text: &[u8]) -> bool {
    values::<9>(&text[..9]).is_some_and(|d| text[9].is_ascii_uppercase() && fi_mark(&d, text[9]))
}

/// With a letter for the century, as for those born in this one.
fn fi_hetu_of_a_century(text: &[u8]) -> bool {
    let mut without = [0; 10];
    without[..6].copy_from_slice(&text[..6]);
    without[6..].copy_from_slice(&text[7..11]);
    matches!(text[6], b'A'..=b'F' | b'U'..=b'Y') && values::<9>(&without[..9]).is_some_and(|d| fi_mark(&d, without[9]))
}

/// Sex, year, month, place, order, and 97 less the rest by 97.
fn fr_nir_figures(d: &[u8]) -> bool {
    let month = number(&d[3..5]);
    let known = matches!(month, 1..=12 | 20..=42 | 50..=99);
    matches!(d[0], 1..=4 | 7 | 8) && known && 97 - number(&d[..13]) % 97 == number(&d[13..])
}

/// Born in Corsica: `2A` counts as 19, `2B` as 18.
fn fr_nir(text: &[u8]) -> bool {
    let mut figures = [0; 15];
    figures.copy_from_slice(text);
    match &text[5..7] {
        b"2A" => figures[5..7].copy_from_slice(b"19"),
        b"2B" => figures[5..7].copy_from_slice(b"18"),
        _ => return false,
    }
    values::<15>(&figures).is_some_and(|d| fr_nir_figures(&d))
}

fn gr_amka(d: &[u8]) -> bool {
    is_date(&d[2..4], &d[..2]) && luhn(d)
}

fn hr_oib(d: &[u8]) -> bool {
    mod11_10(d) && !is_uniform(d)
}

fn ie_pps(text: &[u8]) -> bool {
    let Some(d) = values::<7>(&text[..7]) else { return false };
    let second = text.get(8).map_or(0, |letter| u32::from(letter.saturating_sub(b'@')));
    let letters = text[7..].iter().all(u8::is_ascii_uppercase);
    let sum = weighted(&d, &[8, 7, 6, 5, 4, 3, 2]) + 9 * second;
    letters && b"WABCDEFGHIJKLMNOPQRSTUV"[sum as usize % 23] == text[7]
}

/// Values of the characters at odd places, by figure and by letter (Decreto ministeriale 23 dicembre 1976).
const IT_ODD: [u32; 26] =
    [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];

fn it_codice_fiscale(text: &[u8]) -> bool {
    let value = |b: u8| u32::from(if b.is_ascii_digit() { b - b'0' } else { b - b'A' });
    let sum: u32 = text[..15]
        .iter()
        .enumerate()
        .map(|(i, b)| if i % 2 == 0 { IT_ODD[value(*b) as usize] } else { value(*b) })
        .sum();
    let month = b"ABCDEHLMPRST".contains(&text[8]);
    // Figures may be replaced by letters where two people would share a code, hence the open places.
    fits(text, "AAAAAA??A??A???A")
        && month
        && text[6..8].iter().chain(&text[9..11]).any(u8::is_ascii_digit)
        && u32::from(text[15] - b'A') == sum % 26
}

/// The "eleven test".
fn nl_bsn(d: &[u8]) -> bool {
    let sum = weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    !is_uniform(d) && sum > 0 && sum % 11 == u32::from(d[8])
}

fn no_fodselsnummer(d: &[u8]) -> bool {
    let first = weighted(&d[..10], &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weighted(d, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    // A D number has 4 added to its first digit.
    let day = [d[0] % 4, d[1]];
    is_date(&d[2..4], &day) && first.is_multiple_of(11) && second.is_multiple_of(11)
}

fn pl_pesel(d: &[u8]) -> bool {
    let month = [d[2] % 2, d[3]];
    is_date(&month, &d[4..6]) && weighted(d, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)
}

fn pt_nif(d: &[u8]) -> bool {
    let sum = weighted(&d[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    matches!(d[0], 1..=3 | 5..=9) && (11 - sum % 11) % 11 % 10 == u32::from(d[8])
}

fn ro_cnp(d: &[u8]) -> bool {
    let sum = weighted(&d[..12], &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11;
    let check = if sum == 10 { 1 } else { sum };
    (1..=9).contains(&d[0]) && is_date(&d[3..5], &d[5..7]) && number(&d[7..9]) <= 52 && check == u32::from(d[12])
}

fn se_personnummer(d: &[u8]) -> bool {
    let d = &d[d.len() - 10..];
    // A coordination number has 60 added to its day.
    let day = [d[4] % 6, d[5]];
    is_date(&d[2..4], &day) && luhn(d)
}

fn uk_nhs(d: &[u8]) -> bool {
    let rest = weighted(&d[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    !is_uniform(d) && (11 - rest) % 11 == u32::from(d[9]) && rest != 1
}

/// No check digit, but prefixes that are never issued (HMRC, NIM39110).
fn uk_nino(text: &[u8]) -> bool {
    let never = [*b"BG", *b"GB", *b"KN", *b"NK", *b"NT", *b"TN", *b"ZZ"].iter().any(|prefix| text.starts_with(prefix));
    let letters = !b"DFIQUV".contains(&text[0]) && !b"DFIQUVO".contains(&text[1]);
    fits(text, "AA999999A") && letters && !never && matches!(text[8], b'A'..=b'D')
}
