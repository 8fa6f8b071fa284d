//! Hits and near-misses. Keys are put together here, so that no whole one stands in the source.

use super::super::tests::found;
use crate::classify::{DetectorKind, PatternSet};

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
