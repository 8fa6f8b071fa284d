//! Hits and near-misses of each recogniser, as a request would carry them. Keys are put together here, so that no
//! whole one stands in the source.

use super::super::scan::{DetectorKind, DetectorSpec, PatternSet, Recognizer, Scanner};
use crate::chat::{Part, Source};

/// What the detector finds in one user message: the recogniser's name and the text found.
fn found(kind: DetectorKind, text: &str) -> Vec<(&'static str, String)> {
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

/// Characters of the alphabet without order; the same for the same length.
fn scramble(alphabet: &[u8], length: usize) -> String {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 33) as usize)
    };
    let mut state = length as u64;
    std::iter::from_fn(|| step(&mut state)).take(length).map(|n| char::from(alphabet[n % alphabet.len()])).collect()
}

fn random(length: usize) -> String {
    scramble(b"aZ3kQ9mX2vB7nC5tR8wL4jH6gF1dS0pYuEoI", length)
}

fn hex(length: usize) -> String {
    scramble(b"3f9a1c7e0b5d8264", length)
}

fn secrets(text: &str) -> Vec<(&'static str, String)> {
    found(DetectorKind::Pattern(PatternSet::Secrets), text)
}

#[test]
fn vendor_keys_have_their_prefix_alphabet_and_length() {
    for (entity, prefix, body) in [
        ("anthropic_key", "sk-ant-api03-", random(93)),
        ("aws_access_key", "AKIA", random(16).to_ascii_uppercase()),
        ("github_token", "ghp_", random(36)),
        ("github_token", "github_pat_", random(82)),
        ("gitlab_token", "glpat-", random(20)),
        ("google_api_key", "AIza", random(35)),
        ("groq_key", "gsk_", random(52)),
        ("huggingface_token", "hf_", random(34)),
        ("npm_token", "npm_", random(36)),
        ("openai_key", "sk-", random(48)),
        ("openai_key", "sk-proj-", random(80)),
        ("pypi_token", "pypi-AgEIcHlwaS5vcmc", random(80)),
        ("sendgrid_key", "SG.", format!("{}.{}", random(22), random(43))),
        ("shopify_key", "shpat_", hex(32)),
        ("slack_token", "xoxb-", format!("2{}-{}", "1904857".repeat(2), random(24))),
        ("stripe_key", "sk_live_", random(24)),
        ("twilio_key", "SK", hex(32)),
    ] {
        let key = format!("{prefix}{body}");
        assert_eq!(secrets(&format!("use {key} please")), [(entity, key.clone())], "{prefix}");
        assert_eq!(secrets(&format!("x{key}")), [], "{prefix} inside a word");
        let blank = format!("{prefix}{}", "x".repeat(body.len()));
        assert_eq!(secrets(&blank), [], "{prefix} with a placeholder");
        assert_eq!(secrets(&key[..prefix.len() + 6]), [], "{prefix} cut short");
    }
}

#[test]
fn private_key_blocks_have_content() {
    let label = ["PRIVATE", "KEY"].join(" ");
    let body = random(64);
    let block = format!("-----BEGIN RSA {label}-----\n{body}\n{body}\n-----END RSA {label}-----");
    assert_eq!(secrets(&format!("here:\n{block}\nthanks")), [("private_key", block.clone())]);
    assert_eq!(secrets(&block.replace('\n', "\\n"))[0].0, "private_key");
    assert_eq!(secrets(&block[..90])[0].0, "private_key", "cut off");
    let encrypted = block.replacen(&body, &format!("Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00FF\n\n{body}"), 1);
    assert_eq!(secrets(&encrypted)[0].0, "private_key");
    assert_eq!(secrets(&format!("-----BEGIN {label}-----\nanything\n-----END {label}-----")), []);
    assert_eq!(secrets(&block.replace("RSA PRIVATE", "PUBLIC")), []);
}

#[test]
fn web_tokens_decode_to_a_header() {
    use base64::Engine as _;
    let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let token = format!("{}.{}.{}", encode(r#"{"alg":"HS256","typ":"JWT"}"#), encode(r#"{"sub":"17"}"#), random(43));
    assert_eq!(secrets(&format!("cookie {token}")), [("jwt", token.clone())]);
    assert_eq!(secrets(&format!("{}.{}", encode(r#"{"name":"x"}"#), encode(r#"{"sub":"17"}"#))), []);
    assert_eq!(secrets("eyJust.some.words"), []);
}

#[test]
fn credentials_in_urls_and_headers() {
    let password = ["s3cr", "3t-pw9"].concat();
    assert_eq!(secrets(&format!("postgres://app:{password}@db.internal:5432/x")), [("url_password", password.clone())]);
    let token = random(40);
    assert_eq!(secrets(&format!("curl -H 'Authorization: Bearer {token}'")), [("authorization", token)]);
    assert_eq!(secrets("Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l")[0].0, "authorization");
    for miss in [
        "postgres://app:password@localhost/x",
        "postgres://app:${PW}@db/x",
        "http://a.b:80/c@d",
        "the bearer of this letter is my friend",
        "Basic information about the company",
        "Authorization: Bearer YOUR_TOKEN_GOES_HERE_123",
    ] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn values_beside_a_name_look_random_or_are_passwords() {
    let (key, password) = (random(32), ["Tr0ub4", "dor&3"].concat());
    for (text, entity, value) in [
        (format!("api_key = \"{key}\""), "secret_value", &key),
        (format!("API-KEY: {key}"), "secret_value", &key),
        (format!("export CLIENT_SECRET={key}"), "secret_value", &key),
        (format!("{{\"access_token\": \"{key}\"}}"), "secret_value", &key),
        (format!("algolia => {key}"), "secret_value", &key),
        (format!("password: {password}"), "password", &password),
        (format!("my password is {password}."), "password", &password),
        (format!("PGPASSWORD='{password}' psql"), "password", &password),
    ] {
        assert_eq!(secrets(&text), [(entity, value.clone())], "{text}");
    }
    for miss in [
        "password = os.environ[\"PW\"]",
        "password: str",
        "password = getpass()",
        "\"password\": \"your-password\"",
        "api_key: <API_KEY>",
        "api_key = \"xxxxxxxxxxxxxxxxxxxxxxxx\"",
        "token = tokenizer.next_token()",
        "max_tokens: 4096",
        "the secret is that nobody knows",
        "public_key = \"9Cnzj4p4WGeKLs1Pt8QuKUpRKfFLfRYC9AIKjbJTWit\"",
        "secret_name = my-app-prod-db-2024-secret",
        "access_token_url='https://example.org/oauth2/token1'",
        "token_file: /etc/keys/token1.pem",
        "forgot your password? click here",
        "secrets: ${{ secrets.TOKEN_2024_ABCDEFGH }}",
    ] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn keys_may_lack_figures_where_no_word_is_written_so() {
    let key = ["glpat-UDpsJwXo", "ZdTEBmhyxnax"].concat();
    assert_eq!(secrets(&format!("use {key}")), [("gitlab_token", key)]);
    for miss in ["glpat-PutYourAccessTokenInHere", "sm_pat_ThisIsSomeToken"] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn a_web_token_that_cannot_be_read_still_has_its_form() {
    let token = format!("ey{}.ey{}.{}", random(40), random(50), random(43));
    assert_eq!(secrets(&format!("cookie {token}")), [("jwt", token)]);
    assert_eq!(secrets("they.eyes.key and money.eyebrows"), []);
}

#[test]
fn headers_carry_credentials_of_any_scheme() {
    let token = random(40);
    for header in ["Authorization: Token ", "authorization: ", "\"Authorization\": \"ApiKey ", "Authorization:\tBasic "]
    {
        assert_eq!(secrets(&format!("-H '{header}{token}'")), [("authorization", token.clone())], "{header}");
    }
    for miss in [
        "Authorization: Token $TOKEN",
        "Authorization: Bearer {token}",
        "Authorization: Bearer <your-token-1234567890>",
        "the authorization of 20240101 expenses: none",
        "Authorization: Digest username=\"Mufasa\", realm=\"x\"",
        "authorization: required since version 2.14.1",
    ] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn commands_carry_passwords_in_short_options() {
    let password = ["Tr0ub4", "dor3x"].concat();
    for command in [
        format!("curl -s -u admin:{password} https://db.internal/x"),
        format!("curl --user 'admin:{password}' https://db.internal/x"),
        format!("mysql -h db -u root -p{password} shop"),
        format!("mysqldump -uroot -p'{password}' shop"),
        format!("sshpass -p {password} ssh root@host"),
        format!("redis-cli -h cache -a {password} ping"),
        format!("tool --password {password} run"),
    ] {
        assert_eq!(secrets(&command), [("password", password.clone())], "{command}");
    }
    for miss in [
        "curl -u $USER:$PASSWORD https://db.internal/x",
        "curl -u admin https://db.internal/x",
        "curl -u user:password https://db.internal/x",
        "mysql -u root -p shop2024",
        "mysql -u root -port 3306",
        "sshpass -p \"$PW2024\" ssh root@host",
        "tool --password-file /etc/tool2024",
    ] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn what_only_resembles_a_secret_is_none() {
    for miss in [
        "request id 5f0c6a3e-9b1d-4c7e-8a52-3d9e1b7f6c04",
        "git checkout 9fceb02d0ae598e95dc970b74767f19372d61af8",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "order 2024-10-12-00017 of 3 items",
        "pandas 2.2.3, torch==2.4.1+cu121, v1.28.0-rc.1",
        "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "api_key = \"<YOUR_KEY>\"",
        "API_KEY=123456789012345678901234567890ab",
        "vaultForSecrets: cmp2-prod-1208358310",
        "token: jackson-databind-0.11.2",
        "http://assets.example.org/box.ico-7a388b69018576d24b59331fd60aab0c.png",
        "xoxb-572370529330-573807301142-####################",
        "secret = os.environ.get(\"S3CR3T_0F_MINE_2024\")",
        "password: ********",
    ] {
        assert_eq!(secrets(miss), [], "{miss}");
    }
}

#[test]
fn a_value_may_stand_in_an_aligned_column() {
    let key = random(32);
    assert_eq!(secrets(&format!("'secret_key'            =>       '{key}',")), [("secret_value", key.clone())]);
    assert_eq!(secrets(&format!("secret_key                   {key}")), []);
    let signs = ["sk_PDI4#$i1,Wlgg", "O%R:,=Rm=gFR8q"].concat();
    assert_eq!(secrets(&format!("secret_key => '{signs}'")), [("secret_value", signs)]);
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
