//! The key formats of the major vendors: a prefix nobody else writes, an alphabet, a length.

use Alphabet::{Alnum, Base64, Dotted, Hex, Letters, Upper, Url};

use std::ops::Range;

use super::super::{Hit, word_at, word_before};
use super::random::looks_random;
use crate::classify::signals::Entity;

/// One key format.
#[derive(Debug)]
pub struct Format {
    /// The recogniser's name.
    pub entity: Entity,
    /// How it begins, as written.
    pub prefix: &'static str,
    /// What follows the prefix.
    pub alphabet: Alphabet,
    /// Fewest and most bytes after the prefix.
    pub length: (usize, usize),
}

/// The characters of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// Letters and digits, perhaps without a digit.
    Letters,
    /// Letters and digits.
    Alnum,
    /// Capitals and digits.
    Upper,
    /// Hexadecimal digits.
    Hex,
    /// Letters, digits, `_`, `-`.
    Url,
    /// Letters, digits, `_`, `-`, `.`.
    Dotted,
    /// Letters, digits, `+`, `/`, `=`, `_`, `-`, `.`.
    Base64,
}

impl Alphabet {
    /// Whether the byte belongs to it.
    pub fn has(self, byte: u8) -> bool {
        match self {
            Letters | Alnum => byte.is_ascii_alphanumeric(),
            Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Hex => byte.is_ascii_hexdigit(),
            Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'_' | b'-' | b'.'),
        }
    }

    /// Whether a key in it practically always has a digit, so that one without is a word.
    pub fn wants_digit(self) -> bool {
        self != Letters
    }
}

const fn key(entity: Entity, prefix: &'static str, alphabet: Alphabet, min: usize, max: usize) -> Format {
    Format { entity, prefix, alphabet, length: (min, max) }
}

/// Longest key of an open-ended format; bytes.
const LONG: usize = 400;

/// All formats, as the vendors document them; where two share a beginning, any that fits counts.
pub const FORMATS: &[Format] = &[
    key("1password_token", "ops_ey", Base64, 200, LONG),
    key("adafruit_key", "aio_", Alnum, 28, 28),
    key("adobe_key", "p8e-", Alnum, 32, 32),
    key("age_key", "AGE-SECRET-KEY-1", Upper, 58, 58),
    key("alibaba_key", "LTAI", Alnum, 12, 26),
    key("anthropic_key", "sk-ant-", Url, 24, LONG),
    key("artifactory_key", "AKCp", Alnum, 60, 80),
    key("artifactory_key", "cmVmd", Alnum, 59, 59),
    key("atlassian_key", "ATCTT3", Base64, 100, LONG),
    key("atlassian_key", "ATATT3", Base64, 100, LONG),
    key("authress_key", "authress_", Base64, 24, LONG),
    key("aws_access_key", "ABIA", Upper, 16, 16),
    key("aws_access_key", "AKIA", Upper, 16, 16),
    key("aws_access_key", "A3T", Upper, 17, 17),
    key("aws_access_key", "ACCA", Upper, 16, 16),
    key("aws_access_key", "ASIA", Upper, 16, 16),
    key("aws_bedrock_key", "bedrock-api-key-", Base64, 20, LONG),
    key("aws_bedrock_key", "ABSK", Base64, 100, LONG),
    key("bitbucket_key", "ATBB", Base64, 28, 40),
    key("clojars_key", "CLOJARS_", Alnum, 60, 60),
    key("contentful_key", "CFPAT-", Url, 43, 43),
    key("databricks_key", "dapi", Url, 32, 36),
    key("digitalocean_key", "dop_v1_", Hex, 64, 64),
    key("digitalocean_key", "doo_v1_", Hex, 64, 64),
    key("digitalocean_key", "dor_v1_", Hex, 64, 64),
    key("discord_webhook", "discord.com/api/webhooks/", Base64, 70, 110),
    key("docker_token", "dckr_pat_", Url, 27, 36),
    key("docker_token", "dckr_oat_", Url, 27, 40),
    key("doppler_key", "dp.st.", Dotted, 40, 60),
    key("doppler_key", "dp.pt.", Alnum, 40, 48),
    key("dynatrace_key", "dt0c01.", Dotted, 80, 100),
    key("easypost_key", "EZAK", Alnum, 54, 54),
    key("easypost_key", "EZTK", Alnum, 54, 54),
    key("facebook_key", "EAAM", Alnum, 80, LONG),
    key("facebook_key", "EAAC", Alnum, 80, LONG),
    key("figma_token", "figd_", Url, 38, 48),
    key("flutterwave_key", "FLWPUBK_TEST-", Url, 30, 40),
    key("flutterwave_key", "FLWSECK_TEST-", Url, 12, 40),
    key("fly_token", "fm2_", Base64, 80, LONG),
    key("fly_token", "fo1_", Url, 43, 43),
    key("github_token", "ghu_", Alnum, 36, 251),
    key("github_token", "gho_", Alnum, 36, 251),
    key("github_token", "github_pat_", Url, 60, 251),
    key("github_token", "ghp_", Alnum, 36, 251),
    key("github_token", "ghs_", Alnum, 36, 251),
    key("github_token", "ghr_", Alnum, 36, 251),
    key("gitlab_token", "glrtr-", Dotted, 20, 320),
    key("gitlab_token", "gloas-", Url, 64, 64),
    key("gitlab_token", "glrt-", Dotted, 20, 320),
    key("gitlab_token", "glagent-", Url, 50, 64),
    key("gitlab_token", "glpat-", Dotted, 20, 320),
    key("gitlab_token", "glimt-", Url, 25, 64),
    key("gitlab_token", "glcbt-", Url, 20, 64),
    key("gitlab_token", "GR1348941", Url, 20, 20),
    key("gitlab_token", "glsoat-", Url, 20, 64),
    key("gitlab_token", "glffct-", Url, 20, 64),
    key("gitlab_token", "gldt-", Url, 20, 64),
    key("gitlab_token", "_gitlab_session=", Alnum, 32, 32),
    key("gitlab_token", "glft-", Url, 20, 64),
    key("gitlab_token", "glptt-", Hex, 40, 40),
    key("gocardless_key", "live_", Base64, 40, 40),
    key("google_api_key", "AIza", Url, 35, 35),
    key("google_oauth", "ya29.", Url, 40, LONG),
    key("google_oauth", "GOCSPX-", Url, 28, 28),
    key("grafana_key", "glc_", Base64, 32, LONG),
    key("grafana_key", "eyJrIjoi", Base64, 60, LONG),
    key("grafana_key", "glsa_", Url, 41, 41),
    key("groq_key", "gsk_", Alnum, 48, 56),
    key("harness_key", "pat.", Dotted, 60, 80),
    key("harness_key", "sat.", Dotted, 60, 80),
    key("hashicorp_vault_token", "hvb.", Url, 90, LONG),
    key("hashicorp_vault_token", "hvs.", Url, 90, LONG),
    key("heroku_key", "HRKU-AA", Url, 58, 58),
    key("huggingface_token", "hf_", Letters, 34, 40),
    key("huggingface_token", "api_org_", Letters, 34, 34),
    key("infracost_key", "ico-", Alnum, 32, 32),
    key("langsmith_key", "lsv2_", Url, 40, 60),
    key("linear_key", "lin_api_", Alnum, 40, 40),
    key("mailgun_key", "key-", Hex, 32, 32),
    key("mailgun_key", "pubkey-", Hex, 32, 32),
    key("mapbox_key", "pk.", Dotted, 80, 120),
    key("mapbox_key", "sk.ey", Dotted, 80, 120),
    key("netlify_token", "nfp_", Alnum, 40, 40),
    key("new_relic_key", "NRII-", Url, 32, 32),
    key("new_relic_key", "NRJS-", Hex, 19, 19),
    key("new_relic_key", "NRAK-", Alnum, 27, 27),
    key("notion_key", "secret_", Alnum, 43, 43),
    key("notion_key", "ntn_", Alnum, 40, 50),
    key("npm_token", "npm_", Alnum, 36, 36),
    key("nvidia_key", "nvapi-", Url, 60, 80),
    key("openai_key", "sk-svcacct-", Url, 40, LONG),
    key("openai_key", "sk-", Alnum, 32, 64),
    key("openai_key", "sk-proj-", Url, 40, LONG),
    key("openai_key", "sk-admin-", Url, 40, LONG),
    key("openrouter_key", "sk-or-v1-", Hex, 64, 64),
    key("openshift_token", "sha256~", Url, 43, 43),
    key("perplexity_key", "pplx-", Alnum, 48, 48),
    key("pinecone_key", "pcsk_", Url, 60, 80),
    key("plaid_key", "access-development-", Url, 36, 36),
    key("plaid_key", "access-sandbox-", Url, 36, 36),
    key("plaid_key", "access-production-", Url, 36, 36),
    key("planetscale_key", "pscale_tkn_", Base64, 32, 64),
    key("planetscale_key", "pscale_oauth_", Base64, 32, 64),
    key("planetscale_key", "pscale_pw_", Base64, 32, 64),
    key("posthog_key", "phx_", Alnum, 40, 50),
    key("postman_key", "PMAK-", Url, 59, 59),
    key("prefect_key", "pnu_", Alnum, 36, 36),
    key("pulumi_key", "pul-", Hex, 40, 40),
    key("pypi_token", "pypi-AgENdGVzdC5weXBp", Url, 50, LONG),
    key("pypi_token", "pypi-AgEIcHlwaS5vcmc", Url, 50, LONG),
    key("readme_key", "rdme_", Alnum, 70, 70),
    key("replicate_key", "r8_", Alnum, 37, 40),
    key("rubygems_key", "rubygems_", Hex, 48, 48),
    key("runpod_key", "rpa_", Alnum, 40, 50),
    key("scalingo_key", "tk-us-", Url, 48, 48),
    key("sendgrid_key", "SG.", Dotted, 66, 66),
    key("sendinblue_key", "xkeysib-", Url, 81, 81),
    key("sentry_token", "sntryu_", Hex, 64, 64),
    key("sentry_token", "sntrys_", Base64, 60, LONG),
    key("settlemint_key", "sm_pat_", Alnum, 16, 16),
    key("settlemint_key", "sm_sat_", Alnum, 16, 16),
    key("settlemint_key", "sm_aat_", Alnum, 16, 16),
    key("shippo_key", "shippo_live_", Hex, 40, 40),
    key("shippo_key", "shippo_test_", Hex, 40, 40),
    key("shopify_key", "shpss_", Hex, 32, 32),
    key("shopify_key", "shpca_", Hex, 32, 32),
    key("shopify_key", "shpat_", Hex, 32, 32),
    key("shopify_key", "shppa_", Hex, 32, 32),
    key("slack_token", "xoxo-", Url, 24, LONG),
    key("slack_token", "xoxr-", Url, 24, LONG),
    key("slack_token", "xoxe.xoxp-", Url, 24, LONG),
    key("slack_token", "xoxs-", Url, 24, LONG),
    key("slack_token", "xoxp-", Url, 24, LONG),
    key("slack_token", "xoxe-", Url, 24, LONG),
    key("slack_token", "xoxe.xoxb-", Url, 24, LONG),
    key("slack_token", "xoxa-", Url, 24, LONG),
    key("slack_token", "xapp-", Url, 40, LONG),
    key("slack_token", "xoxb-", Url, 24, LONG),
    key("slack_webhook", "hooks.slack.com/services/", Base64, 40, 60),
    key("sourcegraph_token", "sgp_", Alnum, 40, 40),
    key("square_key", "sq0atp-", Url, 22, 60),
    key("square_key", "sq0csp-", Url, 22, 60),
    key("square_key", "EAAA", Url, 42, 60),
    key("stripe_key", "rk_test_", Alnum, 16, 120),
    key("stripe_key", "rk_live_", Alnum, 16, 120),
    key("stripe_key", "whsec_", Alnum, 32, 64),
    key("stripe_key", "sk_test_", Alnum, 16, 120),
    key("stripe_key", "sk_live_", Alnum, 16, 120),
    key("supabase_key", "sbp_", Hex, 40, 40),
    key("supabase_key", "sb_secret_", Url, 22, 50),
    key("tailscale_key", "tskey-", Url, 24, 80),
    key("tavily_key", "tvly-", Url, 24, 60),
    key("teams_webhook", "webhook.office.com/webhookb2/", Base64, 36, LONG),
    key("twilio_key", "AC", Hex, 32, 32),
    key("twilio_key", "SK", Hex, 32, 32),
    key("xai_key", "xai-", Alnum, 80, 80),
    key("yandex_key", "t1.", Base64, 100, 200),
    key("yandex_key", "AQVN", Url, 35, 38),
];

/// The key whose prefix is at `anchor`.
pub fn vendor_key(text: &[u8], format: &Format, anchor: Range<usize>) -> Option<Hit> {
    if word_before(text, anchor.start) || text[anchor.clone()] != *format.prefix.as_bytes() {
        return None;
    }
    let (min, max) = format.length;
    let rest = &text[anchor.end..];
    let length = rest.iter().take(max + 1).take_while(|b| format.alphabet.has(**b)).count();
    let body = rest[..length].trim_ascii_end();
    let body = body.strip_suffix(b".").unwrap_or(body);
    let end = anchor.end + body.len();
    let random = looks_random(body, format.alphabet.wants_digit());
    ((min..=max).contains(&body.len())
        && !word_at(text, end)
        && random
        && !is_masked(text, end)
        && !is_file_name(text, anchor.start, end))
    .then(|| Hit::new(format.entity, anchor.start..end))
}

/// Whether the rest is blacked out: `xoxp-572370529330-####`.
fn is_masked(text: &[u8], end: usize) -> bool {
    [&b"###"[..], b"***", b"...", "…".as_bytes(), "•".as_bytes()].iter().any(|mask| text[end..].starts_with(mask))
}

/// Part of a file's name: `video.ico-7a388b69018576d2.png`.
fn is_file_name(text: &[u8], start: usize, end: usize) -> bool {
    let extension = text.get(end) == Some(&b'.') && text.get(end + 1).is_some_and(u8::is_ascii_alphabetic);
    extension && start >= 2 && text[start - 1] == b'.' && word_before(text, start - 1)
}
