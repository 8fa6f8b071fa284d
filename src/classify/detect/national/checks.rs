//! The arithmetic that national identifiers share. Digits are values from 0 to 9, not characters.

/// The sum of digits times weights.
pub fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(d, w)| u32::from(*d) * w).sum()
}

/// The number that the digits spell.
pub fn number(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value, d| value * 10 + u64::from(*d))
}

/// The Luhn check digit (ISO/IEC 7812-1, annex B).
pub fn luhn(digits: &[u8]) -> bool {
    let doubled = |(i, d): (usize, &u8)| {
        let value = u32::from(*d) << (i % 2);
        if value > 9 { value - 9 } else { value }
    };
    digits.iter().rev().enumerate().map(doubled).sum::<u32>().is_multiple_of(10)
}

/// The check digit of ISO 7064, MOD 11,10.
pub fn mod11_10(digits: &[u8]) -> bool {
    let Some((check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10, |product, d| {
        let sum = (u32::from(*d) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*check)
}

/// The check digit of Verhoeff's scheme (J. Verhoeff, "Error Detecting Decimal Codes", 1969).
pub fn verhoeff(digits: &[u8]) -> bool {
    digits.iter().rev().enumerate().fold(0, |sum, (i, d)| dihedral(sum, PERMUTED[i % 8][usize::from(*d)])) == 0
}

/// The digits, permuted as often as their place says.
const PERMUTED: [[u8; 10]; 8] = {
    const PERMUTE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let mut table = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]; 8];
    let mut row = 1;
    while row < 8 {
        let mut digit = 0;
        while digit < 10 {
            table[row][digit] = PERMUTE[table[row - 1][digit] as usize];
            digit += 1;
        }
        row += 1;
    }
    table
};

/// The product of two elements of the dihedral group of order 10.
fn dihedral(a: u8, b: u8) -> u8 {
    match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => (a + b - 5) % 5 + 5,
        (false, true) => (a - 5 + 5 - b) % 5 + 5,
        (false, false) => (a + 5 - b) % 5,
    }
}

/// Whether month and day exist, as two digits each; the year is not looked at.
pub fn is_date(month: &[u8], day: &[u8]) -> bool {
    let day = number(day);
    match number(month) {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => (1..=31).contains(&day),
        4 | 6 | 9 | 11 => (1..=30).contains(&day),
        2 => (1..=29).contains(&day),
        _ => false,
    }
}

/// Whether all digits are the same, as in a filled-in form.
pub fn is_uniform(digits: &[u8]) -> bool {
    digits.iter().all(|d| *d == digits[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digits(text: &str) -> Vec<u8> {
        text.bytes().map(|b| b - b'0').collect()
    }

    #[test]
    fn published_numbers_pass_and_any_changed_digit_fails() {
        let checks: [(super::super::Check, &str); 3] = [(luhn, "79927398713"), (mod11_10, "07945"), (verhoeff, "2363")];
        for (valid, text) in checks {
            assert!(valid(&digits(text)), "{text}");
            for at in 0..text.len() {
                let mut changed = digits(text);
                changed[at] = (changed[at] + 1) % 10;
                assert!(!valid(&changed), "{text} at {at}");
            }
        }
    }

    #[test]
    fn dates_have_their_months_days() {
        let date = |month: &str, day: &str| is_date(&digits(month), &digits(day));
        assert!(date("02", "29") && date("12", "31"));
        assert!(!date("02", "30") && !date("13", "01") && !date("00", "10") && !date("04", "31") && !date("05", "00"));
    }
}
