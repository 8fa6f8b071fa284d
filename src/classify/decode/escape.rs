//! Characters written as references: HTML entities, URL, JSON and program escapes, quoted-printable.

use super::super::mapped::Mapped;
use super::windows::{View, Windows};
use super::{Encoding, bytes};

/// How near to each other the characters of quoted-printable text are written so; bytes.
const NEAR: usize = 12;

/// Fewest figures of a number that may be somebody's.
const FEWEST_FIGURES: usize = 7;

/// The text around references with those resolved; `None` where there are none.
pub fn view(text: &str, starts: &[usize]) -> Option<View> {
    let found: Vec<(usize, usize, Vec<u8>)> = runs(text.as_bytes(), starts);
    if found.is_empty() {
        return None;
    }
    let mut windows = Windows::new(text);
    for (start, end, decoded) in found {
        windows.replace(start..end, |made: &mut Mapped| bytes::push(made, &decoded, start..end));
    }
    Some(windows.finish(Encoding::Escape))
}

/// Whether some reference can be resolved.
pub fn refers(text: &str, starts: &[usize]) -> bool {
    !runs(text.as_bytes(), starts).is_empty()
}

/// Neighbouring references, resolved together: they may spell one character.
fn runs(text: &[u8], starts: &[usize]) -> Vec<(usize, usize, Vec<u8>)> {
    let mut runs: Vec<(usize, usize, Vec<u8>)> = Vec::new();
    let mut after = 0;
    for start in starts {
        if *start < after {
            continue;
        }
        let Some((length, decoded)) = reference(&text[*start..]) else { continue };
        after = start + length;
        match runs.last_mut() {
            Some((_, end, run)) if *end == *start => {
                *end = after;
                run.extend(decoded);
            }
            _ => runs.push((*start, after, decoded)),
        }
    }
    drop_assignments(text, &mut runs);
    join_surrogates(&mut runs);
    runs
}

/// `status=200` is no quoted-printable text, in which letters and figures stand as they are or are all written so.
fn drop_assignments(text: &[u8], runs: &mut Vec<(usize, usize, Vec<u8>)>) {
    let starts: Vec<usize> = runs.iter().map(|(start, ..)| *start).collect();
    let alone = |at: usize, start: usize| {
        let near =
            |other: Option<&usize>| other.is_some_and(|other| other.abs_diff(start) <= NEAR && text[*other] == b'=');
        !near(at.checked_sub(1).and_then(|before| starts.get(before))) && !near(starts.get(at + 1))
    };
    let mut at = 0;
    runs.retain(|(start, end, decoded)| {
        at += 1;
        let figures = text[start + 1..].iter().take(FEWEST_FIGURES).take_while(|b| b.is_ascii_digit()).count();
        let plain = matches!(decoded[..], [b' ' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z']);
        let short = (2..FEWEST_FIGURES).contains(&figures) && end - start == 3;
        !(text[*start] == b'=' && plain && short && alone(at - 1, *start))
    });
}

/// UTF-16 halves that [`unicode`] left as three bytes each become the character that they spell.
fn join_surrogates(runs: &mut [(usize, usize, Vec<u8>)]) {
    for (_, _, run) in runs {
        let mut at = 0;
        while at + 6 <= run.len() {
            if let (Some(high), Some(low)) = (half(&run[at..], 0xD800), half(&run[at + 3..], 0xDC00))
                && let Some(c) = char::from_u32(0x10000 + (high << 10) + low)
            {
                run.splice(at..at + 6, c.to_string().into_bytes());
            }
            at += 1;
        }
    }
}

/// Ten bits of a surrogate in its generalised UTF-8 form.
fn half(bytes: &[u8], base: u32) -> Option<u32> {
    let [0xED, second, third, ..] = bytes else { return None };
    let code = 0xD000 | (u32::from(*second) & 0x3F) << 6 | u32::from(*third) & 0x3F;
    code.checked_sub(base).filter(|bits| *bits < 0x400)
}

/// The reference that the text begins with: its length and what it stands for.
fn reference(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    match text[0] {
        b'&' => entity(text),
        b'%' => hex_byte(text, 1).map(|byte| (3, vec![byte])),
        b'=' if text.get(1) == Some(&b'\n') => Some((2, Vec::new())),
        b'=' if text.starts_with(b"=\r\n") => Some((3, Vec::new())),
        b'=' => {
            hex_byte(text, 1).filter(|_| !text[1..3].iter().any(u8::is_ascii_lowercase)).map(|byte| (3, vec![byte]))
        }
        _ => backslash(text),
    }
}

fn hex_byte(text: &[u8], at: usize) -> Option<u8> {
    let pair = text.get(at..at + 2)?;
    Some(nibble(pair[0])? << 4 | nibble(pair[1])?)
}

fn nibble(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|value| value as u8)
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let text =
        std::str::from_utf8(digits).ok().filter(|t| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric()));
    u32::from_str_radix(text?, radix).ok()
}

fn utf8(code: u32) -> Option<Vec<u8>> {
    Some(char::from_u32(code)?.to_string().into_bytes())
}

/// `&#52;`, `&#x34;`, `&amp;`; the semicolon may be missing after figures.
fn entity(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    const NAMED: [(&[u8], u8); 9] = [
        (b"&amp;", b'&'),
        (b"&lt;", b'<'),
        (b"&gt;", b'>'),
        (b"&quot;", b'"'),
        (b"&apos;", b'\''),
        (b"&nbsp;", b' '),
        (b"&commat;", b'@'),
        (b"&period;", b'.'),
        (b"&num;", b'#'),
    ];
    if let Some((name, byte)) = NAMED.iter().find(|(name, _)| text.starts_with(name)) {
        return Some((name.len(), vec![*byte]));
    }
    let body = text.strip_prefix(b"&#")?;
    let (radix, head) = if matches!(body.first(), Some(b'x' | b'X')) { (16, 1) } else { (10, 0) };
    let digits = body[head..].iter().take(8).take_while(|b| char::from(**b).is_digit(radix)).count();
    let code = number(&body[head..head + digits], radix)?;
    let semicolon = usize::from(body.get(head + digits) == Some(&b';'));
    Some((2 + head + digits + semicolon, utf8(code)?))
}

/// `\u0034`, `\u{34}`, `\U00000034`, `\x34`, `\064`.
fn backslash(text: &[u8]) -> Option<(usize, Vec<u8>)> {
    match text.get(1)? {
        b'u' if text.get(2) == Some(&b'{') => {
            let digits = text[3..].iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
            let code = number(&text[3..3 + digits], 16)?;
            (text.get(3 + digits) == Some(&b'}')).then_some((4 + digits, utf8(code)?))
        }
        b'u' => unicode(number(text.get(2..6)?, 16)?),
        b'U' => Some((10, utf8(number(text.get(2..10)?, 16)?)?)),
        b'x' => hex_byte(text, 2).map(|byte| (4, vec![byte])),
        b'0'..=b'3' => {
            let digits = text.get(1..4).filter(|d| d.iter().all(|b| matches!(b, b'0'..=b'7')))?;
            number(digits, 8).map(|byte| (4, vec![byte as u8]))
        }
        _ => None,
    }
}

fn unicode(unit: u32) -> Option<(usize, Vec<u8>)> {
    let bytes = utf8(unit).unwrap_or_else(|| {
        // A surrogate, in the form that WTF-8 gives it; its other half follows.
        vec![0xED, 0x80 | (unit >> 6 & 0x3F) as u8, 0x80 | (unit & 0x3F) as u8]
    });
    Some((6, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(text: &str) -> String {
        let starts: Vec<usize> = (0..text.len()).filter(|i| b"&%\\=".contains(&text.as_bytes()[*i])).collect();
        view(text, &starts).map(|view| view.made.text().to_owned()).unwrap_or_default()
    }

    #[test]
    fn references_of_each_kind_are_resolved_in_place() {
        for text in [
            "x &#52;&#49; y",
            "x &#x34;&#x31 y",
            "x %34%31 y",
            r"x \u0034\u0031 y",
            r"x \x34\x31 y",
            r"x \064\061 y",
            r"x \u{34}\U00000031 y",
            "x =34=31 y",
            "x =34=\n=31 y",
        ] {
            assert!(decoded(text).contains("x 41 y"), "{text}");
        }
        assert!(decoded("%F0%9F%99%82%EF%BC%94").contains("🙂４"));
        assert!(decoded(r"\ud83d\ude42\u0021").contains("🙂!"));
        assert_eq!(decoded("100%, a=b & c \\n"), "");
    }
}
