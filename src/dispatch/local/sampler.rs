//! The OpenAI API's sampling parameters as a chain of llama.cpp's samplers.

use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

use crate::chat::request::Sampling;

/// Where the client leaves it open: small quantised models wander at the API's usual 1.
const DEFAULT_TEMPERATURE: f64 = 0.8;

/// llama.cpp's sentinel for "take any seed".
const ANY_SEED: u32 = u32::MAX;

/// The sampler of the answer number `choice`, from 0, of at most `cap` tokens.
///
/// Penalties count what was generated, not the prompt. Temperature 0 is greedy. A client that gives neither
/// `top_p` nor `top_k` gets llama.cpp's usual cuts (40 candidates, 0.95 of the mass, a twentieth of the best); one that does
/// gets exactly that.
pub(super) fn sampler(sampling: &Sampling, choice: u32, cap: usize, vocabulary: i32) -> LlamaSampler {
    let mut chain = Vec::new();
    let biases = biases(sampling, vocabulary);
    if !biases.is_empty() {
        chain.push(LlamaSampler::logit_bias(vocabulary, &biases));
    }
    let presence = sampling.presence_penalty.unwrap_or(0.0) as f32;
    let frequency = sampling.frequency_penalty.unwrap_or(0.0) as f32;
    if presence != 0.0 || frequency != 0.0 {
        let window = i32::try_from(cap).unwrap_or(i32::MAX);
        chain.push(LlamaSampler::penalties(vocabulary, window, 1.0, frequency, presence));
    }
    let temperature = sampling.temperature.unwrap_or(DEFAULT_TEMPERATURE);
    if temperature <= 0.0 {
        chain.push(LlamaSampler::greedy());
    } else {
        chain.extend(cuts(sampling));
        chain.extend([LlamaSampler::temp(temperature as f32), LlamaSampler::dist(seed(sampling.seed, choice))]);
    }
    LlamaSampler::chain(chain, true)
}

/// What leaves unlikely tokens out.
fn cuts(sampling: &Sampling) -> Vec<LlamaSampler> {
    if sampling.top_k.is_none() && sampling.top_p.is_none() {
        return vec![LlamaSampler::top_k(40), LlamaSampler::top_p(0.95, 1), LlamaSampler::min_p(0.05, 1)];
    }
    let candidates = sampling.top_k.map(|top_k| LlamaSampler::top_k(i32::try_from(top_k).unwrap_or(i32::MAX)));
    let mass = sampling.top_p.filter(|mass| *mass < 1.0).map(|mass| LlamaSampler::top_p(mass as f32, 1));
    candidates.into_iter().chain(mass).collect()
}

fn biases(sampling: &Sampling, vocabulary: i32) -> Vec<LlamaLogitBias> {
    let known = |&(token, bias): &(u32, f64)| {
        let token = i32::try_from(token).ok().filter(|&token| token < vocabulary)?;
        Some(LlamaLogitBias::new(LlamaToken(token), bias as f32))
    };
    sampling.logit_bias.iter().filter_map(known).collect()
}

/// The client's seed folded to 32 bits, another for each choice, or a random one.
fn seed(given: Option<i64>, choice: u32) -> u32 {
    let folded = match given {
        Some(seed) => ((seed as u32) ^ ((seed >> 32) as u32)).wrapping_add(choice),
        // Without a source of randomness llama.cpp finds its own.
        None => getrandom::u32().unwrap_or(ANY_SEED),
    };
    if given.is_some() && folded == ANY_SEED { ANY_SEED - 1 } else { folded }
}

#[cfg(test)]
mod tests {
    use super::{ANY_SEED, sampler, seed};
    use crate::chat::request::Sampling;

    #[test]
    fn a_given_seed_is_never_llama_cpps_sentinel_for_any() {
        assert_eq!((seed(Some(7), 0), seed(Some(7), 0), seed(Some(7), 2)), (7, 7, 9));
        assert_ne!(seed(Some(1 << 32), 0), seed(Some(0), 0));
        for sentinel in [i64::from(ANY_SEED), i64::from(ANY_SEED) << 32] {
            assert_ne!(seed(Some(sentinel), 0), ANY_SEED);
        }
    }

    #[test]
    fn the_chain_holds_what_the_request_asks_for_and_no_more() {
        let chain = |sampling: Sampling| format!("{:?}", sampler(&sampling, 0, 10, 100));
        let usual = chain(Sampling::default());
        for part in ["top-k", "top-p", "min-p", "temp", "dist"] {
            assert!(usual.contains(part), "{part} in {usual}");
        }
        assert!(!usual.contains("penalties") && !usual.contains("logit-bias"), "{usual}");
        let exact = chain(Sampling { top_p: Some(1.0), temperature: Some(1.0), ..Sampling::default() });
        assert!(!exact.contains("top-") && !exact.contains("min-p") && exact.contains("dist"), "{exact}");
        let few = chain(Sampling { top_k: Some(3), ..Sampling::default() });
        assert!(few.contains("top-k") && !few.contains("top-p") && !few.contains("min-p"), "{few}");
        let greedy = chain(Sampling { temperature: Some(0.0), presence_penalty: Some(1.0), ..Sampling::default() });
        assert!(greedy.contains("penalties") && greedy.contains("greedy") && !greedy.contains("dist"), "{greedy}");
        let biased = chain(Sampling { logit_bias: vec![(3, 1.0), (100, 1.0)], ..Sampling::default() });
        assert!(biased.contains("logit-bias"), "{biased}");
    }
}
