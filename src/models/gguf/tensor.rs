//! The tensors' descriptions.

/// One tensor as the file describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name, as in `blk.0.attn_q.weight`.
    pub name: String,
    /// Numbers in each dimension, the innermost first.
    pub shape: Vec<u64>,
    /// Where it begins, counted from the beginning of the data.
    pub offset: u64,
    /// How many bytes it takes.
    pub bytes: u64,
}

/// Which part of a model a tensor belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Tokens to numbers.
    Input,
    /// The layer with this number, from 0.
    Layer(u64),
    /// Numbers to the likelihood of tokens, and what no layer has for itself.
    Output,
}

impl Tensor {
    /// Where it belongs, as its name says.
    pub fn part(&self) -> Part {
        let number = self.name.split_once("blk.").and_then(|(_, rest)| rest.split_once('.'));
        match number.and_then(|(number, _)| number.parse().ok()) {
            Some(layer) => Part::Layer(layer),
            None if ["token_", "position_", "per_layer_token_"].iter().any(|of| self.name.starts_with(of)) => {
                Part::Input
            }
            None => Part::Output,
        }
    }
}

/// Numbers in a block and bytes of a block, of a type of `ggml.h`; `None` where there is no such type.
pub(super) fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 | 20 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 | 21 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 | 35 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        39 => (32, 17),
        40 => (64, 36),
        41 => (128, 18),
        42 => (64, 18),
        _ => return None,
    })
}
