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

/// Whether it is written to stand for a secret: `xxxx`, `your-api-key-here`, `<token>`, `${TOKEN}`, alphabets.
pub fn is_placeholder(value: &[u8]) -> bool {
    let lower = value.to_ascii_lowercase();
    let says_so = |word: &&str| lower.windows(word.len()).any(|w| w == word.as_bytes());
    PLACEHOLDER_WORDS.iter().any(says_so)
        || REFERENCE_STARTS.iter().any(|s| lower.starts_with(s.as_bytes()))
        || is_sequence(&lower)
}

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
