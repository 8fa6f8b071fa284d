//! How random a string looks.

/// Shannon entropy of the bytes, in bits a byte.
pub fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text {
        counts[usize::from(*byte)] += 1;
    }
    let length = text.len() as f64;
    let terms = counts.iter().filter(|n| **n > 0).map(|n| f64::from(*n) / length);
    -terms.map(|p| p * p.log2()).sum::<f64>()
}

/// Entropy that random keys of the length practically always reach.
pub fn looks_random(body: &[u8], wants_digit: bool) -> bool {
    let enough = if body.len() < 20 { 2.3 } else { 2.8 };
    (!wants_digit || body.iter().any(u8::is_ascii_digit) || is_irregular(body))
        && entropy(body) >= enough
        && !is_placeholder(body)
}

/// Small and capital letters as no word has them: three places at least where one case stands alone or capitals meet.
fn is_irregular(body: &[u8]) -> bool {
    let odd = |w: &[u8]| {
        let upper = |i: usize| w[i].is_ascii_uppercase();
        let lower = |i: usize| w[i].is_ascii_lowercase();
        upper(0) && lower(1) && upper(2) || lower(0) && upper(1) && upper(2) || upper(0) && upper(1) && lower(2)
    };
    body.len() >= 16 && body.windows(3).filter(|w| odd(w)).count() >= 3
}

/// Whether it is written to stand for a secret: `xxxx`, `your-api-key-here`, `<token>`, `${TOKEN}`, alphabets.
pub fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let says_so = |word: &&str| lower.windows(word.len()).any(|w| w == word.as_bytes());
    PLACEHOLDER_WORDS.iter().any(says_so)
        || REFERENCE_STARTS.iter().any(|s| lower.starts_with(s.as_bytes()))
        || lower.ends_with(b"here")
        || is_sequence(&lower)
        || lower.len() >= LONG && longest_count(&lower) >= 9
}

/// Random values of this length do not count up by chance; passwords are shorter.
const LONG: usize = 20;

const PLACEHOLDER_WORDS: [&str; 22] = [
    "example",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your",
    "xxxx",
    "****",
    "....",
    "####",
    "0000000",
    "dummy",
    "redacted",
    "insert",
    "replace",
    "sample",
    "here>",
    "todo",
    "_here",
    "-here",
    "fake",
    "abc123xyz",
];

const REFERENCE_STARTS: [&str; 11] =
    ["${", "$(", "{{", "<", "process.env", "os.environ", "os.getenv", "env.", "env(", "getenv", "secrets."];

/// Six or more neighbours that count up, such as `123456` or `abcdef`, making up most of it; or one character only.
fn is_sequence(value: &[u8]) -> bool {
    let steps = value.windows(2).filter(|pair| pair[1] == pair[0] || pair[1] == pair[0].wrapping_add(1)).count();
    value.len() > 1 && steps * 10 >= (value.len() - 1) * 7
}

/// The most neighbours that count up, zero after nine.
fn longest_count(value: &[u8]) -> usize {
    let follows = |pair: &[u8]| pair[1] == pair[0].wrapping_add(1) || pair == b"90";
    let (mut longest, mut run) = (0, 0);
    for pair in value.windows(2) {
        run = if follows(pair) { run + 1 } else { 0 };
        longest = longest.max(run + 1);
    }
    longest
}
