//! Hits and near-misses of each recogniser, as a request would carry them.

use super::super::scan::{DetectorKind, DetectorSpec, Scanner};
use super::{PatternSet, Recognizer};
use crate::chat::{Part, Source};

/// What the detector finds in one user message: the recogniser's name and the text found.
pub(super) fn found(kind: DetectorKind, text: &str) -> Vec<(&'static str, String)> {
    let scanner = Scanner::new(&[DetectorSpec { name: "d".to_owned(), kind }]);
    let scan = scanner.scan(&[Part { source: Source::User, text: text.into() }]);
    assert_eq!(scan.results[0].truth.is_true(), !scan.findings.is_empty(), "{text}");
    scan.findings.iter().map(|f| (f.entity, text[f.span.clone()].to_owned())).collect()
}

fn checksum(recognizer: Recognizer, text: &str) -> Vec<(&'static str, String)> {
    found(DetectorKind::Checksum(vec![recognizer]), text)
}

/// Every text in `hits` yields just the entity and its expected text; none in `misses` yields anything.
fn check(
    detect: impl Fn(&str) -> Vec<(&'static str, String)>,
    entity: &'static str,
    hits: &[(&str, &str)],
    misses: &[&str],
) {
    for (text, expected) in hits {
        assert_eq!(detect(text), [(entity, (*expected).to_owned())], "{text:?}");
    }
    for text in misses {
        assert_eq!(detect(text), [], "{text:?}");
    }
}

#[test]
fn cards_need_an_issuer_a_length_and_a_check_digit() {
    check(
        |text| checksum(Recognizer::PanLuhn, text),
        "card",
        &[
            ("my card is 4111111111111111.", "4111111111111111"),
            ("4111111111111111", "4111111111111111"),
            ("4111 1111 1111 1111", "4111 1111 1111 1111"),
            ("4111-1111-1111-1111 exp 12/29", "4111-1111-1111-1111"),
            ("4111.1111.1111.1111", "4111.1111.1111.1111"),
            ("4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"),
            ("amex 3782 822463 10005", "3782 822463 10005"),
            ("mastercard 5555555555554444", "5555555555554444"),
            ("2-series 2223003122003222", "2223003122003222"),
            ("discover 6011111111111117", "6011111111111117"),
            ("diners 30569309025904", "30569309025904"),
            ("jcb 3530111333300000", "3530111333300000"),
            ("{\"pan\":\"4111111111111111\"}", "4111111111111111"),
            ("card no 4111 1111 1111 1111 2", "4111 1111 1111 1111"),
            ("４１１１ １１１１ １１１１ １１１１", "４１１１ １１１１ １１１１ １１１１"),
            ("٤١١١١١١١١١١١١١١١", "٤١١١١١١١١١١١١١١١"),
            ("4111\u{200B}1111\u{AD}1111\u{2060}1111", "4111\u{200B}1111\u{AD}1111\u{2060}1111"),
            ("4111–1111–1111–1111", "4111–1111–1111–1111"),
        ],
        &[
            "4111111111111112",
            "1234567812345670",
            "9999999999999995",
            "411111111111",
            "pi is 3.141592653589793",
            "0.4111111111111111",
            "a4111111111111111f",
            "4000000000000000",
            "41111111111111111111111111111111111111111",
            "order 2023 10 12 0034 5566",
        ],
    );
}

#[test]
fn two_cards_are_two_findings() {
    let found = checksum(Recognizer::PanLuhn, "4111 1111 1111 1111 and 5555 5555 5555 4444");
    assert_eq!(found.len(), 2);
}

#[test]
fn ibans_need_a_country_its_length_and_check_digits() {
    check(
        |text| checksum(Recognizer::IbanMod97, text),
        "iban",
        &[
            ("pay to GB82WEST12345698765432", "GB82WEST12345698765432"),
            ("DE89 3704 0044 0532 0130 00", "DE89 3704 0044 0532 0130 00"),
            ("nl91abna0417164300", "nl91abna0417164300"),
            ("FR14 2004 1010 0505 0001 3M02 606, thanks", "FR14 2004 1010 0505 0001 3M02 606"),
            ("NO93-8601-1117-947", "NO93-8601-1117-947"),
            ("ＤＥ89370400440532013000", "ＤＥ89370400440532013000"),
        ],
        &[
            "GB83WEST12345698765432",
            "DE8937040044053201300",
            "ZZ89370400440532013000",
            "XDE89370400440532013000",
            "DE89370400440532013000X",
            "in DE 89 cases of 370400440532013000",
        ],
    );
}

#[test]
fn social_security_numbers_are_issued_and_written_or_named() {
    check(
        |text| checksum(Recognizer::UsSsn, text),
        "us_ssn",
        &[
            ("it is 536-22-8714.", "536-22-8714"),
            ("123-45-6789", "123-45-6789"),
            ("SSN: 536228714", "536228714"),
            ("my social security number: 536228714", "536228714"),
            ("536228714 is my SSN", "536228714"),
            ("{\"ssn\": 536228714}", "536228714"),
            ("SSN 536 22 8714", "536 22 8714"),
            ("ssn 536228714 (2 of 3)", "536228714"),
            ("ssn 536 22 8714 2 children", "536 22 8714"),
            ("536‑22‑8714", "536‑22‑8714"),
            ("５３６-２２-８７１４", "５３６-２２-８７１４"),
        ],
        &[
            "000-22-8714",
            "666-22-8714",
            "936-22-8714",
            "536-00-8714",
            "536-22-0000",
            "536-22-87145",
            "1536-22-8714",
            "item 536228714 is out of stock",
            "536-228-714",
            "536-22 8714",
            "A536-22-8714",
        ],
    );
}

#[test]
fn a_bare_number_is_a_social_security_number_where_the_request_speaks_of_them() {
    let specs = [DetectorSpec { name: "id".to_owned(), kind: DetectorKind::Checksum(vec![Recognizer::UsSsn]) }];
    let part = |text: &'static str| Part { source: Source::User, text: text.into() };
    let scanner = Scanner::new(&specs);
    assert!(scanner.scan(&[part("ssn"), part("536228714")]).results[0].truth.is_true());
    assert!(scanner.scan(&[part("536228714"), part("x"), part("Whose SSN is this?")]).results[0].truth.is_true());
    assert!(!scanner.scan(&[part("seed"), part("536228714")]).results[0].truth.is_true());
}

fn contact(text: &str) -> Vec<(&'static str, String)> {
    found(DetectorKind::Pattern(PatternSet::Contact), text)
}

#[test]
fn email_addresses_have_a_domain() {
    check(
        contact,
        "email",
        &[
            ("write to jane.doe+x@example.co.uk.", "jane.doe+x@example.co.uk"),
            ("<a@b.io>", "a@b.io"),
            ("mailto:bob_1@mail.example.com?subject=x", "bob_1@mail.example.com"),
            ("请联系jane@example.com谢谢", "jane@example.com"),
            ("jürgen@example.de", "jürgen@example.de"),
            ("ｊａｎｅ＠example．com", "ｊａｎｅ＠example．com"),
            ("jane\u{200B}@example.com", "jane\u{200B}@example.com"),
            ("{\"to\":\"jane\\u0040example.com\"}", "jane\\u0040example.com"),
            ("?to=jane%40example.com", "jane%40example.com"),
        ],
        &[
            "@property def x",
            "user@localhost",
            "lodash@4.17.21",
            "git@github.com:a/b.git",
            "icon@2x.png",
            "a @ b.com",
            "@media (max-width: 3em)",
            "x@.com",
        ],
    );
}

#[test]
fn telephone_numbers_are_written_as_such_or_named() {
    check(
        contact,
        "phone",
        &[
            ("+14155550123", "+14155550123"),
            ("+44 20 7946 0958", "+44 20 7946 0958"),
            ("+49 (0)30 901820", "+49 (0)30 901820"),
            ("(415) 555-0123", "(415) 555-0123"),
            ("415-555-0123", "415-555-0123"),
            ("415.555.0123", "415.555.0123"),
            ("1-415-555-0123", "1-415-555-0123"),
            ("0044 20 7946 0958", "0044 20 7946 0958"),
            ("079 4650 2145", "079 4650 2145"),
            ("(11) 4706-6184", "(11) 4706-6184"),
            ("tel: 5550123", "5550123"),
            ("call 9469 9966", "9469 9966"),
            ("phone 415 555 0123", "415 555 0123"),
            ("9885 1152-Office", "9885 1152"),
            ("2546712361 fax\n1 Long Lane", "2546712361"),
            ("24 428557 office, Nicosia", "24 428557"),
            ("you can call 33 93 31", "33 93 31"),
            ("+１ ４１５ ５５５ ０１２３", "+１ ４１５ ５５５ ０１２３"),
        ],
        &[
            "5550123",
            "1234567890",
            "2024-10-12 10:30",
            "12/10/2024",
            "3.141592653",
            "version 1.2.3-4567890",
            "100 200 3000",
            "f(1+12345678)",
            "call 1234567 times",
            "2500000 mobile users",
            "12 500 000 office buildings",
            "1234567 office",
            "pay 33 93 31",
            "call on 12-10-24",
            "his number is 081-80-5372",
            "1,000,000",
            "id_415-555-0123x",
            "sum: 1234567 + 7654321",
        ],
    );
}

#[test]
fn ip_addresses_are_of_hosts() {
    check(
        contact,
        "ip",
        &[
            ("ping 203.0.113.7 now", "203.0.113.7"),
            ("10.0.12.40:8080", "10.0.12.40"),
            ("http://192.168.0.17/x", "192.168.0.17"),
            ("2001:db8:85a3::8a2e:370:7334", "2001:db8:85a3::8a2e:370:7334"),
            ("host fe80::1ff:fe23:4567:890a.", "fe80::1ff:fe23:4567:890a"),
            ("4f8a:c99e:dc86:faf9:5988:5f63:375e:8a2a", "4f8a:c99e:dc86:faf9:5988:5f63:375e:8a2a"),
        ],
        &[
            "127.0.0.1",
            "0.0.0.0",
            "255.255.255.0",
            "1.2.3.4",
            "version 10.20.30.40",
            "v10.20.30.40",
            "10.20.30.40-beta",
            "256.1.1.300",
            "10.20.30.40.50",
            "std::net::Ipv4Addr",
            "a::b",
            "at 10:20:30",
            "::1",
        ],
    );
}

#[test]
fn labels_match_as_written_and_alone_on_their_line_in_any_case() {
    let label = |words: &[&str], text: &str| {
        found(DetectorKind::Label { words: words.iter().map(|w| (*w).to_owned()).collect() }, text).len()
    };
    for (word, text, count) in [
        ("CONFIDENTIAL", "CONFIDENTIAL: the plan", 1),
        ("CONFIDENTIAL", "The plan\n  Confidential\nfor the board", 1),
        ("CONFIDENTIAL", "[confidential]\nthe plan", 1),
        ("CONFIDENTIAL", "keep it confidential please", 0),
        ("CONFIDENTIAL", "NONCONFIDENTIAL", 0),
        ("CONFIDENTIAL", "ＣＯＮＦＩＤＥＮＴＩＡＬ plan", 1),
        ("CONFIDENTIAL", "CON\u{200B}FIDENTIAL plan", 1),
        ("project falcon", "about Project Falcon today", 1),
        ("Vertraulich", "Vertraulich: Plan", 1),
        ("streng geheim", "STRENG GEHEIM und anderes", 1),
        ("機密", "これは 機密 です", 1),
    ] {
        assert_eq!(label(&[word], text), count, "{word} in {text:?}");
    }
    assert_eq!(label(&["A-SECRET", "SECRET"], "A-SECRET"), 2);
    assert_eq!(label(&["", " "], "anything"), 0);
    assert_eq!(found(DetectorKind::Pattern(PatternSet::DocumentLabels), "TLP:RED report").len(), 1);
}

#[test]
fn every_name_parses() {
    assert!(Recognizer::NAMES.iter().all(|name| Recognizer::parse(name).is_some()));
    assert!(PatternSet::NAMES.iter().all(|name| PatternSet::parse(name).is_some()));
    assert!(Recognizer::parse("pan").is_none() && PatternSet::parse("secrets").is_none());
}
