//! How long texts take.

use std::hint::black_box;
use std::time::Instant;

/// Sizes of the texts that are timed, in characters. English has about 4.4 a token of the usual vocabularies.
pub const SIZES: [(&str, usize); 3] = [("200 tokens", 880), ("4 KiB", 4096), ("64 KiB", 65_536)];

/// Milliseconds for texts of `size` characters made of `documents`: the median, and the 99th of 100.
pub fn milliseconds(documents: &[String], size: usize, mut look: impl FnMut(&str)) -> [f64; 2] {
    let all: Vec<char> = documents.iter().flat_map(|text| text.chars().chain("\n\n".chars())).collect();
    let texts: Vec<String> = all.chunks(size).take(40).map(|chunk| chunk.iter().collect()).collect();
    let mut times: Vec<f64> = Vec::new();
    for text in texts.iter().cycle().take(400) {
        let start = Instant::now();
        look(black_box(text));
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    [50, 99].map(|share| times.get(times.len() * share / 100).copied().unwrap_or_default())
}
