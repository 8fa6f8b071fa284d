//! IP addresses of hosts. Loopback, unspecified and netmask addresses are nobody's and are left out.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Hit, is_word, mentions, word_at, word_before};

/// Words after which four numbers are a version.
const VERSION_WORDS: [&str; 8] = ["version", "ver", "v", "release", "build", "rev", "section", "chapter"];

/// How far before an address such a word may stand; bytes.
const VERSION_REACH: usize = 12;

/// Longest textual IPv6 address, with an embedded IPv4 address; bytes.
const MAX_IPV6: usize = 45;

/// The IPv4 address that begins with the digit at `start`.
pub fn ipv4_in(text: &[u8], start: usize) -> Option<Hit> {
    if word_before(text, start) || start > 0 && matches!(text[start - 1], b'.' | b'-') {
        return None;
    }
    let length = text[start..].iter().take(16).take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let written = std::str::from_utf8(&text[start..start + length]).ok()?.trim_end_matches('.');
    let end = start + written.len();
    let address: Ipv4Addr = written.parse().ok()?;
    let suffix = text.get(end) == Some(&b'-') && text.get(end + 1).is_some_and(u8::is_ascii_alphanumeric);
    let version = suffix || mentions(paragraph(&text[..start]), &VERSION_WORDS);
    (is_a_hosts_v4(address) && !version && !word_at(text, end)).then(|| Hit::new("ip", start..end))
}

/// The end of the last paragraph, as far as a word may stand before a version.
fn paragraph(text: &[u8]) -> &[u8] {
    let near = &text[text.len().saturating_sub(VERSION_REACH)..];
    let breaks = near.windows(2).rposition(|pair| pair == b"\n\n" || pair == b"\n\r");
    &near[breaks.map_or(0, |at| at + 2)..]
}

fn is_a_hosts_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let netmask = octets[0] == 255 || octets[0] == 0;
    // 1.2.3.4 is far more often a section or version number than somebody's address.
    let outline = octets.iter().all(|octet| *octet < 10);
    !address.is_loopback() && !netmask && !outline
}

/// The IPv6 address around the colon at `at`, or where its text ends so that the search can go on there.
pub fn ipv6_around(text: &[u8], at: usize) -> (Option<Hit>, usize) {
    let belongs = |b: &&u8| b.is_ascii_hexdigit() || **b == b':';
    let back = text[..at].iter().rev().take(5).take_while(|b| b.is_ascii_hexdigit()).count();
    let start = at - back;
    let length = text[start..].iter().take(MAX_IPV6 + 1).take_while(|b| belongs(b) || **b == b'.').count();
    let end = start + length;
    let written = std::str::from_utf8(&text[start..end]).unwrap_or_default().trim_end_matches(['.', ':']);
    let bounded = !(start > 0 && (is_word(text[start - 1]) || text[start - 1] == b':')) && !word_at(text, end);
    let address = written.parse::<Ipv6Addr>().ok().filter(|a| bounded && is_a_hosts_v6(*a));
    (address.map(|_| Hit::new("ip", start..start + written.len())), end.max(at + 1))
}

fn is_a_hosts_v6(address: Ipv6Addr) -> bool {
    // Two groups around `::` are what paths of program text look like.
    let spelled = address.segments().iter().filter(|s| **s != 0).count();
    !address.is_loopback() && !address.is_unspecified() && spelled >= 3
}
