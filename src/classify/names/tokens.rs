//! Cuts folded text into words, numbers and signs.

/// The longest run that counts as one token, in bytes; a longer one is cut.
const MAX_TOKEN: usize = 64;

/// A run of letters and digits, or one other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    /// Where it starts, in bytes.
    pub start: usize,
    /// Where it ends.
    pub end: usize,
    /// Whether white space stands before it.
    pub spaced: bool,
    /// Line breaks before it, at most 2.
    pub breaks: u8,
}

/// Appends the tokens of `text` to `tokens`.
pub fn tokenize(text: &str, tokens: &mut Vec<Token>) {
    let (mut at, mut spaced, mut breaks) = (0, false, 0_u8);
    while let Some(first) = text[at..].chars().next() {
        let length = first.len_utf8();
        if first.is_whitespace() {
            spaced = true;
            breaks = (breaks + u8::from(first == '\n')).min(2);
            at += length;
            continue;
        }
        let end = if first.is_alphanumeric() { run_end(text, at) } else { at + length };
        tokens.push(Token { start: at, end, spaced, breaks });
        (at, spaced, breaks) = (end, false, 0);
    }
}

/// Where the run of letters and digits that starts at `start` ends.
fn run_end(text: &str, start: usize) -> usize {
    let within = |c: char| c.is_alphanumeric();
    let mut end = start;
    for (at, c) in text[start..].char_indices() {
        if !within(c) || at + c.len_utf8() > MAX_TOKEN {
            break;
        }
        end = start + at + c.len_utf8();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_numbers_and_signs_are_tokens_and_breaks_are_counted() {
        let text = "O'Neil, 12b\n\n\nMain St.";
        let mut tokens = Vec::new();
        tokenize(text, &mut tokens);
        let words: Vec<&str> = tokens.iter().map(|t| &text[t.start..t.end]).collect();
        assert_eq!(words, ["O", "'", "Neil", ",", "12b", "Main", "St", "."]);
        assert_eq!(tokens.iter().map(|t| t.breaks).collect::<Vec<_>>(), [0, 0, 0, 0, 0, 2, 0, 0]);
        assert_eq!(tokens.iter().filter(|t| t.spaced).count(), 3);
    }

    #[test]
    fn a_long_run_is_cut_at_whole_characters() {
        let text = "é".repeat(100);
        let mut tokens = Vec::new();
        tokenize(&text, &mut tokens);
        assert!(tokens.iter().all(|t| text.get(t.start..t.end).is_some() && t.end - t.start <= MAX_TOKEN));
        assert_eq!(tokens.last().map(|t| t.end), Some(text.len()));
    }
}
