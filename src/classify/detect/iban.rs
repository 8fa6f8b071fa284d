//! International bank account numbers.

use super::{Hit, word_at, word_before};

/// The account number whose country code begins at `start`.
pub fn iban_at(text: &[u8], start: usize) -> Option<Hit> {
    let country = [text.get(start)?.to_ascii_uppercase(), text.get(start + 1)?.to_ascii_uppercase()];
    if !country.iter().all(u8::is_ascii_uppercase) {
        return None;
    }
    let length = length_of(country)?;
    if word_before(text, start) {
        return None;
    }
    let (compact, end) = compact(text, start, length)?;
    (!word_at(text, end) && mod97(&compact) == 1).then(|| Hit::new("iban", start..end))
}

/// The next `length` letters and digits in capitals, over single spaces and dashes, and where they end.
fn compact(text: &[u8], start: usize, length: usize) -> Option<(Vec<u8>, usize)> {
    let mut compact = Vec::with_capacity(length);
    let mut at = start;
    while compact.len() < length {
        let byte = *text.get(at)?;
        let separates = matches!(byte, b' ' | b'-' | b'.') && text[at - 1].is_ascii_alphanumeric();
        if byte.is_ascii_alphanumeric() {
            compact.push(byte.to_ascii_uppercase());
        } else if !separates || compact.is_empty() {
            return None;
        }
        at += 1;
    }
    let digits = compact[2].is_ascii_digit() && compact[3].is_ascii_digit();
    digits.then_some((compact, at))
}

/// The remainder by 97 of the number, check digits moved to the end and letters read as 10 to 35 (ISO 7064).
fn mod97(compact: &[u8]) -> u32 {
    let (head, account) = compact.split_at(4);
    account.iter().chain(head).fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        _ => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
    })
}

/// How long a country's numbers are (SWIFT IBAN registry, release 98).
fn length_of(country: [u8; 2]) -> Option<usize> {
    let lengths = LENGTHS.as_bytes().chunks_exact(5);
    let row = lengths.into_iter().find(|row| row[..2] == country)?;
    Some(usize::from(row[2] - b'0') * 10 + usize::from(row[3] - b'0'))
}

const LENGTHS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 \
DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 \
KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 \
PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30 ";
