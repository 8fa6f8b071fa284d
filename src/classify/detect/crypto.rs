//! Addresses of crypto currencies: bitcoin's with their checksums, ethereum's by their form.

use sha2::{Digest, Sha256};

use super::{Candidate, Hit, Named, word_at, word_before};

/// Words beside which an address in one case is an ethereum address; hashes look alike.
pub const ETH_WORDS: [&str; 9] =
    ["eth", "ethereum", "wallet", "address", "erc20", "erc-20", "metamask", "usdt", "send to"];

/// Longest bitcoin address (BIP 173): letters and digits.
const MAX_BTC: usize = 90;

/// The bitcoin address in which a digit stands at `digit`: base58check (`1…`, `3…`) or bech32 (`bc1…`, BIP 173 and 350).
pub fn btc_address(text: &[u8], digit: usize) -> Option<Hit> {
    let segwit = digit.checked_sub(2).filter(|at| text[*at..digit].eq_ignore_ascii_case(b"bc"));
    let start = segwit.unwrap_or(digit);
    if word_before(text, start) {
        return None;
    }
    let length = text[start..].iter().take(MAX_BTC + 1).take_while(|b| b.is_ascii_alphanumeric()).count();
    let address = &text[start..start + length];
    let valid = if segwit.is_some() { is_bech32(address) } else { is_base58check(address) };
    (valid && !word_at(text, start + length)).then(|| Hit::new("btc_address", start..start + length))
}

/// Version, 20 bytes, and the first 4 of their double SHA-256, in base 58.
fn is_base58check(address: &[u8]) -> bool {
    if !(26..=35).contains(&address.len()) || !matches!(address[0], b'1' | b'3') {
        return false;
    }
    let mut bytes = [0_u8; 25];
    for character in address {
        let Some(mut carry) = base58(*character) else { return false };
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let check = Sha256::digest(Sha256::digest(&bytes[..21]));
    matches!(bytes[0], 0 | 5) && check[..4] == bytes[21..]
}

fn base58(character: u8) -> Option<u32> {
    let place = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz".iter().position(|c| *c == character);
    place.map(|at| at as u32)
}

/// The polynomial checksum of BIP 173 (bech32) or BIP 350 (bech32m), for the main network.
fn is_bech32(address: &[u8]) -> bool {
    let lower = address.to_ascii_lowercase();
    if !(14..=MAX_BTC).contains(&address.len()) || !lower.starts_with(b"bc1") {
        return false;
    }
    // The human-readable part `bc` spreads to these values.
    let mut sum = [3, 3, 0, 2, 3].into_iter().fold(1, bech32_step);
    for character in &lower[3..] {
        let value = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l".iter().position(|c| c == character);
        let Some(value) = value else { return false };
        sum = bech32_step(sum, value as u32);
    }
    matches!(sum, 1 | 0x2bc8_30a3)
}

fn bech32_step(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let shifted = (sum & 0x1ff_ffff) << 5 ^ value;
    (0..5).filter(|i| top >> i & 1 == 1).fold(shifted, |sum, i| sum ^ GENERATOR[i])
}

/// The ethereum address whose `0x` begins at `start`: 40 hexadecimal digits, in mixed case (EIP-55) or named.
pub fn eth_address(text: &[u8], start: usize, named: &Named<'_>) -> Option<Candidate> {
    let end = start + 42;
    let digits = text.get(start + 2..end)?;
    let shaped = matches!(text[start + 1], b'x' | b'X') && digits.iter().all(u8::is_ascii_hexdigit);
    if text[start] != b'0' || !shaped || word_before(text, start) || word_at(text, end) {
        return None;
    }
    let mixed = digits.iter().any(u8::is_ascii_uppercase) && digits.iter().any(u8::is_ascii_lowercase);
    let hit = Hit::new("eth_address", start..end);
    (mixed || named(&(start..end), &ETH_WORDS)).then_some(Candidate::Certain(hit))
}

#[cfg(test)]
mod tests {
    use super::super::is_named;
    use super::*;

    #[test]
    fn published_bitcoin_addresses_pass_and_changed_ones_fail() {
        for address in [
            "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        ] {
            let digit = address.find(|c: char| c.is_ascii_digit()).unwrap();
            assert_eq!(btc_address(address.as_bytes(), digit).map(|hit| hit.span), Some(0..address.len()));
            let changed = address.replacen('5', "6", 1).replacen('7', "8", 1);
            assert_eq!(btc_address(changed.as_bytes(), digit), None, "{changed}");
        }
    }

    #[test]
    fn ethereum_addresses_are_in_mixed_case_or_named() {
        let mixed = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed";
        let lower = mixed.to_lowercase();
        let found = |text: &str, start| {
            let text = text.as_bytes();
            eth_address(text, start, &|span, words| is_named(text, span, words)).is_some()
        };
        assert!(found(mixed, 0) && !found(&lower, 0));
        assert!(found(&format!("wallet {lower}"), 7));
        assert!(!found(&format!("{mixed}0"), 0));
    }
}
