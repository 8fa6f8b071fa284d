use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

use super::*;
use crate::classify::Strength;
use crate::classify::detect::{PatternSet, Recognizer};
use crate::classify::languages::Language;
use crate::classify::normalise::MAX_BYTES;

#[test]
fn prose_in_another_language_is_found_where_people_speak_and_not_in_schemas_or_names() {
    let usual = Language::parse("en").into_iter().collect();
    let kind = DetectorKind::Language { usual };
    let scanner = Scanner::new(&[DetectorSpec { name: "foreign".to_owned(), kind }]);
    let text = "Le comit\u{e9} a d\u{e9}cid\u{e9} que le vieux pont serait r\u{e9}par\u{e9} d'abord et que la route pouvait attendre.";
    let scan = |source| scanner.scan(&[Part { source, text: text.into() }]);
    for source in [Source::System, Source::User, Source::Assistant, Source::ToolResult] {
        let scan = scan(source);
        assert_eq!(scan.results[0].truth, Truth::True, "{source:?}");
        let [found] = &scan.findings[..] else { panic!("{:?}", scan.findings) };
        assert_eq!((found.entity, found.strength, found.span.clone()), ("fr", Strength::Statistical, 0..text.len()));
    }
    for source in [Source::ToolDefinition, Source::Name, Source::Metadata, Source::Unknown] {
        assert_eq!(scan(source).results[0].truth, Truth::False, "{source:?}");
    }
    // Read across the joint of two parts, which tells nothing of a language.
    let parts = ["The committee decided", text].map(|text| Part { source: Source::Metadata, text: text.into() });
    assert_eq!(scanner.scan(&parts).results[0].truth, Truth::False);
}

#[test]
fn candidates_beyond_what_is_kept_are_unknown_and_not_absent() {
    let checksum = |name: &str, recognizer: &str| {
        let kind = DetectorKind::Checksum(Recognizer::parse(recognizer).into_iter().collect());
        DetectorSpec { name: name.to_owned(), kind }
    };
    let scanner = Scanner::new(&[checksum("dutch", "nl_bsn"), checksum("brazilian", "br_cpf")]);
    let user = |text: &'static str| Part { source: Source::User, text: text.into() };
    let mut parts = vec![user("what follows are a cpf and others")];
    parts.extend((0..MAX_FINDINGS).map(|_| user("111222333")));
    parts.push(user("52998224725"));
    assert_ne!(scanner.scan(&parts).results[1].truth, Truth::False);
}

fn scanner() -> Scanner {
    let spec = |name: &str, kind| DetectorSpec { name: name.to_owned(), kind };
    let checksum = Recognizer::NAMES.iter().filter_map(|name| Recognizer::parse(name)).collect();
    Scanner::new(&[
        spec("identifier", DetectorKind::Checksum(checksum)),
        spec("contact", DetectorKind::Pattern(PatternSet::Contact)),
        spec("secret", DetectorKind::Pattern(PatternSet::Secrets)),
        spec("label", DetectorKind::Pattern(PatternSet::DocumentLabels)),
    ])
}

fn user(text: &str) -> Part<'_> {
    Part { source: Source::User, text: text.into() }
}

fn truths(scan: &Scan) -> Vec<Truth> {
    scan.results.iter().map(|r| r.truth).collect()
}

#[test]
fn each_detector_has_its_verdict_and_findings_name_detector_and_part() {
    let scan = scanner().scan(&[user("hello"), user("CONFIDENTIAL 4111111111111111")]);
    assert_eq!(truths(&scan), [Truth::True, Truth::False, Truth::False, Truth::True]);
    let places: Vec<_> = scan.findings.iter().map(|f| (f.detector, f.part, f.span.clone())).collect();
    assert_eq!(places, [(3, 1, 0..12), (0, 1, 13..29)]);
}

#[test]
fn a_part_too_long_to_look_at_makes_false_unknown_and_leaves_true() {
    let long = "x".repeat(MAX_BYTES + 1);
    let scan = scanner().scan(&[user(&long), user("4111111111111111")]);
    assert_eq!(truths(&scan), [Truth::True, Truth::Unknown, Truth::Unknown, Truth::Unknown]);
    assert!(scan.uninspectable);
    let grows = "\u{FDFA}".repeat(MAX_BYTES / 20);
    assert_eq!(truths(&scanner().scan(&[user(&grows)]))[0], Truth::Unknown);
}

#[test]
fn what_was_not_found_before_a_scan_was_stopped_is_unknown_and_is_not_remembered() {
    let long = format!("{} jane@example.com", "The committee met on Tuesday. ".repeat(10));
    let parts = [user("4111111111111111"), user(&long)];
    let scanner = scanner();
    for asked in 0..12 {
        let left = std::cell::Cell::new(asked);
        let scan = scanner.scan_exact_while("", &parts, &|| left.replace(left.get().max(1) - 1) > 0);
        assert!(!scan.stopped || scan.uninspectable && scan.results.iter().all(|r| r.truth.is_possible()), "{asked}");
    }
    assert!(scanner.scan_exact_while("", &parts, &|| false).stopped);
    let whole = scanner.scan_exact("", &parts);
    assert_eq!(truths(&whole), [Truth::True, Truth::True, Truth::False, Truth::False]);
    assert!(!whole.stopped);
}

#[test]
fn what_a_detector_saw_through_is_said() {
    let scan = scanner().scan(&[user("see NDExMTExMTExMTExMTExMQ== please")]);
    let finding = &scan.findings[0];
    assert_eq!((finding.entity, finding.encoding, finding.span.clone()), ("card", Encoding::Base64, 4..26));
}

#[test]
fn long_text_that_says_nothing_readable_is_uninspectable_and_prose_is_not() {
    let random: String =
        (0_u64..600).map(|n| char::from(b"Zq7wYx"[(n.wrapping_mul(n * 7 + 3) % 6) as usize])).collect();
    assert!(scanner().scan(&[user(&random)]).uninspectable);
    let mut archive = vec![0; 6_000];
    blake3::Hasher::new().finalize_xof().fill(&mut archive);
    assert!(scanner().scan(&[user(&format!("an archive: {}", BASE64_STANDARD.encode(&archive)))]).uninspectable);
    assert!(scanner().scan(&[user(&hex::encode(&archive))]).uninspectable);
    let letter = BASE64_STANDARD.encode("The committee met on Tuesday. ".repeat(40));
    assert!(!scanner().scan(&[user(&letter)]).uninspectable, "it can be read");
    assert!(!scanner().scan(&[user(&"The committee met on Tuesday. ".repeat(40))]).uninspectable);
    assert!(scanner().scan(&[Part { source: Source::Media, text: "https://example.com/x.png".into() }]).uninspectable);
}

#[test]
fn a_conversation_read_again_says_the_same() {
    let long = format!("{} card 4111111111111111", "The committee met on Tuesday. ".repeat(10));
    let parts = [user(&long), user("hello")];
    let scanner = scanner();
    assert_eq!(scanner.scan(&parts), scanner.scan(&parts));
    assert_eq!(scanner.scan_exact("a", &parts), scanner.scan_exact("b", &parts));
}

#[test]
fn two_detectors_of_one_kind_both_report() {
    let spec =
        |name: &str| DetectorSpec { name: name.to_owned(), kind: DetectorKind::Checksum(vec![Recognizer::PanLuhn]) };
    let scan = Scanner::new(&[spec("a"), spec("b")]).scan(&[user("4111111111111111")]);
    assert_eq!((truths(&scan), scan.findings.len()), (vec![Truth::True; 2], 2));
}

#[test]
fn inline_media_is_passed_over_but_links_are_scanned() {
    let media = |text: String| scanner().scan(&[Part { source: Source::Media, text: text.into() }]);
    let data = "4111111111111111".repeat(40);
    assert_eq!(media(format!("data:image/png;base64,{data}")).findings.len(), 0);
    assert_eq!(media(format!("data:text/plain,{data} a@b.com")).results[1].truth, Truth::True);
    assert_eq!(media(format!("data:image/png;base64,{data}!a@b.com")).results[1].truth, Truth::True);
    assert_eq!(media("https://example.com/?to=jane@example.com".to_owned()).results[1].truth, Truth::True);
}

#[test]
fn findings_are_bounded_and_verdicts_are_not() {
    let many = format!("{} CONFIDENTIAL", "a@b.com ".repeat(MAX_FINDINGS + 10));
    let scan = scanner().scan(&[user(&many)]);
    assert_eq!((scan.findings.len(), scan.truncated), (MAX_FINDINGS, true));
    assert_eq!(scan.results[3].truth, Truth::True);
}

#[test]
fn texts_that_repeat_an_anchor_are_scanned_to_the_end() {
    for unit in [
        "1 ",
        "@",
        "eyJ",
        "a:",
        "://",
        "-----BEGIN PRIVATE KEY-----",
        "password=",
        "4111 1111 ",
        "DE89",
        "\u{E0041}",
        ":AA",
    ] {
        let text = unit.repeat((256 << 10) / unit.len());
        scanner().scan(&[user(&text)]);
    }
}

/// Text in which findings are likely.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,12}",
        "[0-9 .@:+-]{1,20}",
        Just("4111 1111 1111 1111".to_owned()),
        Just("jane@example.com".to_owned()),
        Just("536-22-8714".to_owned()),
        Just("CONFIDENTIAL".to_owned()),
        Just("４１１１\u{200B}１１１１１１１１１１１１".to_owned()),
        Just("password: hunter22".to_owned()),
        Just("\u{E0041}\u{E0040}é".to_owned()),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| pieces.join(" "))
}

proptest! {
    #[test]
    fn spans_are_whole_characters_inside_their_part(text in text()) {
        for finding in scanner().scan(&[user(&text)]).findings {
            prop_assert!(text.get(finding.span.clone()).is_some_and(|t| !t.is_empty()), "{finding:?}");
        }
    }

    #[test]
    fn what_is_remembered_is_what_would_be_found_again(a in text(), b in text()) {
        let long = "The committee met on Tuesday. ".repeat(5);
        let (before, after) = (format!("{a} {long}"), format!("{long}{b}"));
        let parts = [user(&a), user(&b), user(&before), user(&after)];
        let (scanner, forgetful) = (scanner(), Scanner { memo: None, ..scanner() });
        let fresh = forgetful.scan(&parts);
        prop_assert_eq!(&scanner.scan(&parts), &fresh);
        prop_assert_eq!(&scanner.scan(&parts), &fresh, "from memory");
    }

    #[test]
    fn another_part_removes_no_finding(a in text(), b in text()) {
        let alone = scanner().scan(&[user(&a)]);
        let both = scanner().scan(&[user(&a), user(&b)]);
        prop_assert!(alone.findings.iter().all(|f| both.findings.contains(f)));
        for (alone, both) in alone.results.iter().zip(&both.results) {
            prop_assert!(!alone.truth.is_true() || both.truth.is_true());
        }
    }

    #[test]
    fn any_string_is_scanned(text in any::<String>()) {
        scanner().scan(&[user(&text)]);
    }
}
