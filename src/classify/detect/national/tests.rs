//! Published examples of every identifier, their near misses, and what surrounds them.

use super::*;
use crate::chat::{Part, Source};
use crate::classify::{DetectorKind, DetectorSpec, Recognizer, Scanner};

fn scanner(name: &str) -> Scanner {
    let kind = DetectorKind::Checksum(vec![Recognizer::parse(name).unwrap()]);
    Scanner::new(&[DetectorSpec { name: "d".to_owned(), kind }])
}

fn finds(scanner: &Scanner, text: &str) -> bool {
    scanner.scan(&[Part { source: Source::User, text: text.into() }]).results[0].truth.is_true()
}

/// Numbers published as examples by the issuers or in descriptions of the algorithms.
const EXAMPLES: &[(&str, &[&str])] = &[
    ("at_svnr", &["1237010180"]),
    ("be_national_number", &["85.07.30-033.28", "85073003328"]),
    ("bg_egn", &["7523169263"]),
    ("ch_ahv", &["756.9217.0769.85", "7569217076985"]),
    ("cz_rodne_cislo", &["710319/2745"]),
    ("de_steuer_id", &["86095742719", "36 574 261 809"]),
    ("ee_isikukood", &["36805280109", "33309240064"]),
    ("es_dni", &["12345678Z", "12345678-Z"]),
    ("es_nie", &["X1234567L", "X-1234567-L"]),
    ("fi_hetu", &["131052-308T"]),
    ("fr_nir", &["255081416802538", "2 55 08 14 168 025 38"]),
    ("gr_amka", &["01013099997"]),
    ("hr_oib", &["33392005961"]),
    ("ie_pps", &["6433435F", "6433435OA"]),
    ("it_codice_fiscale", &["RSSMRA85T10A562S", "RSS MRA 85T10 A562S"]),
    ("nl_bsn", &["111222333"]),
    ("no_fodselsnummer", &["15108695088"]),
    ("pl_pesel", &["44051401359"]),
    ("pt_nif", &["501964843"]),
    ("ro_cnp", &["1630615123457"]),
    ("se_personnummer", &["811218-9876", "19811218-9876"]),
    ("uk_nhs", &["943 476 5919", "9434765919"]),
    ("uk_nino", &["AB123456C", "AB 12 34 56 C"]),
    ("ar_cuit", &["20-05536168-2"]),
    ("br_cnpj", &["11.222.333/0001-81"]),
    ("br_cpf", &["529.982.247-25", "390.533.447-05"]),
    ("ca_sin", &["046-454-286", "130692544"]),
    ("cl_rut", &["76.086.428-5"]),
    ("mx_curp", &["BOXW310820HNERXN09"]),
    ("us_itin", &["912-90-3456"]),
    ("au_medicare", &["2123 45670 1"]),
    ("au_tfn", &["123456782", "123 456 782"]),
    ("cn_resident_id", &["360426199101010071", "11010519491231002X"]),
    ("il_id", &["039337423"]),
    ("in_aadhaar", &["2341 2341 2346"]),
    ("in_pan", &["ACUPA7085R"]),
    ("jp_my_number", &["123456789018"]),
    ("kr_rrn", &["971013-9019902"]),
    ("sg_nric", &["S1234567D"]),
    ("th_id", &["1-2345-45678-78-1"]),
    ("tr_kimlik", &["17291716060"]),
    ("za_id", &["7503305044089"]),
];

#[test]
fn published_examples_are_found_beside_a_word_that_names_them() {
    let named: Vec<&str> = EXAMPLES.iter().map(|(name, _)| *name).collect();
    assert!(all().all(|national| named.contains(&national.name)), "every identifier has an example");
    for (name, examples) in EXAMPLES {
        let scanner = scanner(name);
        let word = all().find(|national| national.name == *name).unwrap().words[0];
        for example in *examples {
            assert!(finds(&scanner, &format!("my {word} is {example}, thanks")), "{name} {example}");
            assert!(finds(&scanner, &format!("{{\"{word}\": \"{example}\"}}")), "{name} {example} in JSON");
            assert!(!finds(&scanner, &format!("{word} xx{example}")), "{name} {example} inside a word");
            assert!(!finds(&scanner, &format!("{word} {example}77")), "{name} {example} with another figure");
        }
    }
}

#[test]
fn without_a_word_only_strong_or_formal_numbers_are_found() {
    for (name, examples) in EXAMPLES {
        let national = all().find(|national| national.name == *name).unwrap();
        let scanner = scanner(name);
        for example in *examples {
            let formal = national.is_formal(example.as_bytes());
            let text = format!("item {example} is out of stock");
            assert_eq!(finds(&scanner, &text), national.strong || formal, "{name} {example}");
        }
    }
}

#[test]
fn a_changed_figure_is_no_longer_one() {
    for (name, examples) in EXAMPLES {
        // These have no check digit.
        if ["uk_nino", "in_pan", "us_itin", "kr_rrn"].contains(name) {
            continue;
        }
        let scanner = scanner(name);
        let word = all().find(|national| national.name == *name).unwrap().words[0];
        let wrong = examples[0].bytes().enumerate().filter(|(_, b)| b.is_ascii_digit()).filter(|(at, byte)| {
            let mut changed = examples[0].as_bytes().to_vec();
            changed[*at] = b'0' + (byte - b'0' + 1) % 10;
            finds(&scanner, &format!("{word} {}", String::from_utf8(changed).unwrap()))
        });
        // A figure outside the check, a check that two figures fulfil, or one that the number from back to front does.
        assert!(wrong.count() * 3 <= examples[0].len(), "{name}");
    }
}

#[test]
fn a_bare_number_counts_where_the_request_speaks_of_it() {
    let scanner = scanner("nl_bsn");
    let part = |text: &'static str| Part { source: Source::User, text: text.into() };
    assert!(scanner.scan(&[part("what is this BSN?"), part("111222333")]).results[0].truth.is_true());
    assert!(!scanner.scan(&[part("what is this?"), part("111222333")]).results[0].truth.is_true());
}
