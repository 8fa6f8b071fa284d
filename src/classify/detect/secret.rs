//! Secrets: private-key blocks, JSON web tokens, the vendors' keys, credentials in URLs and headers, and values that
//! look random beside a name that says they are secret.
//!
//! One automaton finds the anchors, in any case; a rule then looks at what stands around the anchor. What is written as a placeholder (`your-api-key`, `xxxx`, `${TOKEN}`) is not a secret.

use std::ops::Range;

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::entropy::{entropy, is_placeholder};
use super::vendors::{Alphabet, FORMATS, Format};
use super::{Hit, word_at, word_before};

/// Finds secrets in folded text.
#[derive(Debug)]
pub struct Secrets {
    anchors: Option<AhoCorasick>,
}

/// Anchors beside the vendors' prefixes, in the order of [`Secrets::at_prefix`].
const STRUCTURES: [&str; 4] = ["-----BEGIN ", "eyJ", "://", ":AA"];

/// What a name beside a value says about it, with the rule for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    /// A password: short and memorable ones count too.
    Password,
    /// A key or token: long and random.
    Key,
    /// A service whose keys have no shape of their own: long, random, and written as an assignment.
    Service,
    /// The scheme of an `Authorization` header.
    Scheme,
}

const NAMES: &[(Name, &[&str])] = &[
    (Name::Password, &["password", "passwd", "passphrase", "passcode", "pwd"]),
    (
        Name::Key,
        &[
            "secret",
            "token",
            "apikey",
            "api_key",
            "api-key",
            "api key",
            "access_key",
            "access-key",
            "accesskey",
            "private_key",
            "privatekey",
            "encryption_key",
            "encryptionkey",
            "signing_key",
            "auth_key",
            "authkey",
            "account_key",
            "accountkey",
            "master_key",
            "credential",
        ],
    ),
    (
        Name::Service,
        &[
            "adobe",
            "airtable",
            "algolia",
            "artifactory",
            "asana",
            "atlassian",
            "bintray",
            "bitbucket",
            "bittrex",
            "cloudflare",
            "codecov",
            "coinbase",
            "confluent",
            "contentful",
            "datadog",
            "discord",
            "droneci",
            "dropbox",
            "etsy",
            "fastly",
            "finicity",
            "finnhub",
            "flickr",
            "freshbooks",
            "gitter",
            "heroku",
            "hubspot",
            "intercom",
            "jfrog",
            "kraken",
            "kucoin",
            "launchdarkly",
            "linkedin",
            "lob",
            "looker",
            "mailchimp",
            "mailgun",
            "messagebird",
            "netlify",
            "nytimes",
            "okta",
            "plaid",
            "rapidapi",
            "sendbird",
            "sentry",
            "snyk",
            "squarespace",
            "sumo",
            "travis",
            "trello",
            "twitch",
            "twitter",
            "yandex",
            "zendesk",
            "cohere",
            "privateai",
        ],
    ),
    (Name::Scheme, &["bearer", "basic"]),
];

impl Default for Secrets {
    fn default() -> Self {
        let names = NAMES.iter().flat_map(|(_, words)| words.iter().copied());
        let anchors = FORMATS.iter().map(|f| f.prefix).chain(STRUCTURES).chain(names);
        let mut builder = AhoCorasickBuilder::new();
        builder.ascii_case_insensitive(true).match_kind(MatchKind::Standard).kind(Some(AhoCorasickKind::DFA));
        Self { anchors: builder.build(anchors).ok() }
    }
}

impl Secrets {
    /// Whether the automaton could be built; if not, every text is unknown.
    pub fn is_ready(&self) -> bool {
        self.anchors.is_some()
    }

    /// Calls `found` for every secret in `text`; of those that end in one place by a rule of one kind, for the first.
    ///
    /// Without `names`, only for those with a form of their own: what looks random beside a name says nothing where the
    /// text was turned.
    pub fn find(&self, text: &str, names: bool, mut found: impl FnMut(Hit)) {
        let bytes = text.as_bytes();
        let (mut after_prefix, mut after_name) = (0, 0);
        for anchor in self.anchors.iter().flat_map(|a| a.find_overlapping_iter(bytes)) {
            let (pattern, span) = (anchor.pattern().as_usize(), anchor.start()..anchor.end());
            let (hit, seen) = match pattern.checked_sub(FORMATS.len() + STRUCTURES.len()) {
                None => (at_prefix(bytes, pattern, span, names), &mut after_prefix),
                Some(name) if names => (at_name(bytes, name_of(name), span), &mut after_name),
                Some(_) => continue,
            };
            if let Some(hit) = hit.filter(|hit| hit.span.end > *seen) {
                *seen = hit.span.end;
                found(hit);
            }
        }
    }
}

fn name_of(mut pattern: usize) -> Name {
    for (name, words) in NAMES {
        if pattern < words.len() {
            return *name;
        }
        pattern -= words.len();
    }
    Name::Service
}

fn at_prefix(text: &[u8], pattern: usize, anchor: Range<usize>, names: bool) -> Option<Hit> {
    match pattern.checked_sub(FORMATS.len()) {
        None => vendor_key(text, &FORMATS[pattern], anchor),
        Some(0) => private_key(text, anchor),
        Some(1) => jwt(text, anchor.start),
        Some(2) => names.then(|| url_password(text, anchor.end)).flatten(),
        _ => telegram_token(text, anchor.start),
    }
}

// === Structures ===

fn vendor_key(text: &[u8], format: &Format, anchor: Range<usize>) -> Option<Hit> {
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
    ((min..=max).contains(&body.len()) && !word_at(text, end) && random)
        .then(|| Hit::new(format.entity, anchor.start..end))
}

/// Entropy that random keys of the length practically always reach.
fn looks_random(body: &[u8], wants_digit: bool) -> bool {
    let enough = if body.len() < 20 { 2.3 } else { 2.8 };
    (!wants_digit || body.iter().any(u8::is_ascii_digit)) && entropy(body) >= enough && !is_placeholder(body)
}

/// A PEM block (RFC 7468) of a private key, with at least one line of content. The end line may be missing.
fn private_key(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let label_end = find(text, anchor.end, 40, b"-----")?;
    if !text[anchor.end..label_end].windows(11).any(|w| w == b"PRIVATE KEY") {
        return None;
    }
    let body = label_end + 5;
    // The content has no row of dashes, so the next one is the end line, if there is one.
    let dashes = find(text, body, 16 << 10, b"-----");
    let closing = dashes.filter(|at| text[*at..].starts_with(b"-----END "));
    let end = closing.and_then(|at| find(text, at + 9, 40, b"-----")).map(|at| at + 5);
    let window = &text[body..text.len().min(dashes.unwrap_or(body + 64)).min(body + 64)];
    let content = window.iter().filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=')).count();
    let end = end.unwrap_or(body + window.len());
    // The whole block may be on one line, its line breaks written as `\n`.
    (content >= 24).then(|| Hit::new("private_key", anchor.start..end))
}

fn find(text: &[u8], from: usize, reach: usize, what: &[u8]) -> Option<usize> {
    let window = &text[from..text.len().min(from + reach + what.len())];
    window.windows(what.len()).position(|w| w == what).map(|at| from + at)
}

/// A JSON web token (RFC 7519, compact form): the header decodes to an object that names an algorithm.
fn jwt(text: &[u8], start: usize) -> Option<Hit> {
    if word_before(text, start) || !text[start..].starts_with(b"eyJ") {
        return None;
    }
    let length = text[start..].iter().take(16 << 10).take_while(|b| Alphabet::Dotted.has(**b)).count();
    let token = &text[start..start + length];
    let mut pieces = token.split(|b| *b == b'.');
    let (header, claims) = (pieces.next()?, pieces.next()?);
    let header = URL_SAFE_NO_PAD.decode(header).ok()?;
    let names_algorithm = header.starts_with(b"{") && header.windows(5).any(|w| w == b"\"alg\"");
    (names_algorithm && claims.len() >= 8).then(|| Hit::new("jwt", start..start + length))
}

/// `scheme://user:password@host`; `start` is after the slashes.
fn url_password(text: &[u8], start: usize) -> Option<Hit> {
    let ends = |b: &&u8| !b.is_ascii_whitespace() && !matches!(b, b'/' | b'"' | b'\'' | b'<' | b'>' | b'`');
    let authority = &text[start..start + text[start..].iter().take(320).take_while(ends).count()];
    let at = authority.iter().rposition(|b| *b == b'@')?;
    let colon = authority[..at].iter().position(|b| *b == b':')?;
    let password = &authority[colon + 1..at];
    let stands_for = [&b"password"[..], b"pass", b"passwd", b"pwd", b"pw", b"secret"].contains(&password);
    let hosted = authority.get(at + 1).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'[');
    let real = !password.is_empty() && !stands_for && !is_placeholder(password) && hosted;
    real.then(|| Hit::new("url_password", start + colon + 1..start + at))
}

/// A Telegram bot's token: the bot's number, a colon, `AA` and 33 characters.
fn telegram_token(text: &[u8], colon: usize) -> Option<Hit> {
    let digits = text[..colon].iter().rev().take(11).take_while(|b| b.is_ascii_digit()).count();
    let length = text[colon + 1..].iter().take(36).take_while(|b| Alphabet::Url.has(**b)).count();
    let start = colon - digits;
    let fits =
        text[colon..].starts_with(b":AA") && (8..=10).contains(&digits) && length == 35 && !word_before(text, start);
    (fits && looks_random(&text[colon + 1..colon + 1 + length], true))
        .then(|| Hit::new("telegram_token", start..colon + 1 + length))
}

// === Values beside a name ===

fn at_name(text: &[u8], name: Name, anchor: Range<usize>) -> Option<Hit> {
    if name == Name::Scheme {
        return authorization(text, anchor);
    }
    let named_end = identifier_end(text, anchor.end);
    if is_public(&text[identifier_start(text, anchor.start)..named_end]) {
        return None;
    }
    let (value, assigned) = value_after(text, named_end)?;
    let bytes = &text[value.clone()];
    let quoted = is_quoted(text, &value);
    let secret = match name {
        Name::Password => is_password(bytes, quoted, assigned),
        Name::Key | Name::Service => is_key(bytes, name),
        Name::Scheme => false,
    };
    let entity = if name == Name::Password { "password" } else { "secret_value" };
    (secret && !is_placeholder(bytes) && !is_reference(bytes)).then(|| Hit::new(entity, value))
}

fn authorization(text: &[u8], anchor: Range<usize>) -> Option<Hit> {
    let blanks = text[anchor.end..].iter().take(4).take_while(|b| **b == b' ').count();
    if word_before(text, anchor.start) || blanks == 0 {
        return None;
    }
    let start = anchor.end + blanks;
    let in_alphabet = |b: &&u8| Alphabet::Base64.has(**b) || **b == b'~';
    let length = text[start..].iter().take(4096).take_while(in_alphabet).count();
    let value = &text[start..start + length];
    let basic = text[anchor.start..anchor.end].eq_ignore_ascii_case(b"basic");
    let secret = if basic {
        length >= 8 && STANDARD.decode(value).is_ok_and(|pair| pair.contains(&b':') && pair.is_ascii())
    } else {
        length >= 20 && looks_random(value, true)
    };
    secret.then(|| Hit::new("authorization", start..start + length))
}

/// Longest identifier around a name; bytes.
const MAX_IDENTIFIER: usize = 40;

fn in_identifier(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

fn identifier_start(text: &[u8], at: usize) -> usize {
    at - text[..at].iter().rev().take(MAX_IDENTIFIER).take_while(|b| in_identifier(b)).count()
}

fn identifier_end(text: &[u8], at: usize) -> usize {
    at + text[at..].iter().take(MAX_IDENTIFIER).take_while(|b| in_identifier(b) && **b != b'-').count()
}

/// A name that says the value is not the secret itself.
fn is_public(identifier: &[u8]) -> bool {
    const ENDINGS: [&str; 26] = [
        "id", "ids", "name", "names", "url", "uri", "path", "file", "dir", "length", "len", "size", "type", "version",
        "hash", "count", "limit", "audience", "issuer", "expiry", "expires", "field", "label", "tokens", "policy",
        "ref",
    ];
    const WITHIN: [&str; 5] = ["public", "csrf", "xsrf", "max_token", "accessor"];
    let lower = identifier.to_ascii_lowercase();
    ENDINGS.iter().any(|e| lower.ends_with(e.as_bytes()))
        || WITHIN.iter().any(|word| lower.windows(word.len()).any(|w| w == word.as_bytes()))
}

/// The value that is assigned after a name, and whether by a sign rather than by the word "is".
fn value_after(text: &[u8], name_end: usize) -> Option<(Range<usize>, bool)> {
    let skip = |from: usize, most: usize, of: &[u8]| {
        from + text[from..].iter().take(most).take_while(|b| of.contains(b)).count()
    };
    let sign = skip(name_end, 4, b" \t\n\"'`])");
    let sign_end = skip(sign, 3, b"=>:,|?");
    let assigned = sign_end > sign;
    let start = if assigned {
        skip(sign_end, 5, b" \t\n\"'`=")
    } else {
        let is =
            text[sign..].strip_prefix(b"is").filter(|rest| rest.first().is_some_and(|b| matches!(b, b' ' | b':')))?;
        skip(text.len() - is.len(), 4, b" :\"'`")
    };
    let quote = start.checked_sub(1).map(|at| text[at]).filter(|b| matches!(b, b'"' | b'\'' | b'`'));
    let ends = |b: &&u8| match quote {
        Some(quote) => **b != quote && !b.is_ascii_whitespace(),
        None => !b.is_ascii_whitespace() && !matches!(b, b'"' | b'\'' | b'`' | b',' | b';' | b'<' | b'>'),
    };
    let length = text[start..].iter().take(256).take_while(ends).count();
    let value = trim_sentence(&text[start..start + length], quote.is_some());
    (length > 0).then(|| (start..start + value, assigned))
}

/// The length without the full stop or bracket that ends a sentence.
fn trim_sentence(value: &[u8], quoted: bool) -> usize {
    let ends = |b: &u8| matches!(b, b'.' | b')' | b']' | b'}' | b':' | b'?');
    if quoted { value.len() } else { value.iter().rposition(|b| !ends(b)).map_or(0, |last| last + 1) }
}

/// Between two quotation marks of one kind.
fn is_quoted(text: &[u8], value: &Range<usize>) -> bool {
    let before = value.start.checked_sub(1).map(|at| text[at]);
    before.is_some_and(|quote| matches!(quote, b'"' | b'\'' | b'`') && text.get(value.end) == Some(&quote))
}

/// A password: quoted, or with letters and figures or signs mixed.
fn is_password(value: &[u8], quoted: bool, assigned: bool) -> bool {
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let mixed = has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit);
    let signs = has(|b| matches!(b, b'!' | b'@' | b'#' | b'$' | b'%' | b'^' | b'&' | b'*' | b'+' | b'?' | b'~'));
    let word = value.to_ascii_lowercase();
    let says_itself =
        ["pass", "pwd", "secret", "string", "required", "invalid", "missing", "null", "none", "false", "true"]
            .iter()
            .any(|w| word.windows(w.len()).any(|x| x == w.as_bytes()));
    let literal = quoted && assigned && value.len() >= 8;
    (6..=128).contains(&value.len())
        && entropy(value) >= 2.0
        && (mixed || signs && has(u8::is_ascii_alphabetic) || literal && !says_itself)
}

/// A key: long, of key characters, letters and figures mixed, random.
fn is_key(value: &[u8], name: Name) -> bool {
    let (min, bits) = if name == Name::Service { (15, 3.0) } else { (16, 3.2) };
    let has = |test: fn(&u8) -> bool| value.iter().any(test);
    let clean = value.iter().all(|b| Alphabet::Base64.has(*b) || matches!(b, b'~' | b':' | b'$' | b'!' | b'%'));
    value.len() >= min && clean && has(u8::is_ascii_alphabetic) && has(u8::is_ascii_digit) && entropy(value) >= bits
}

/// Program text or a place rather than a value: calls, members, paths, URLs, files.
fn is_reference(value: &[u8]) -> bool {
    const FILES: [&str; 12] =
        [".pem", ".cer", ".crt", ".key", ".json", ".yaml", ".yml", ".txt", ".xml", ".properties", ".p12", ".js"];
    let contains = |what: &[u8]| value.windows(what.len()).any(|w| w == what);
    let dotted =
        value.split(|b| *b == b'.').all(|piece| piece.first().is_some_and(u8::is_ascii_alphabetic)) && contains(b".");
    let call = contains(b"(") || contains(b"{") || contains(b"::");
    call || dotted && !value.iter().any(|b| b"!@#$%^&*".contains(b)) && value.len() < 40
        || contains(b"://")
        || value.starts_with(b"/")
        || value.starts_with(b"./")
        || FILES.iter().any(|end| value.ends_with(end.as_bytes()))
}
