//! What a GGUF file says it holds, read before llama.cpp sees it.
//!
//! A model file from the internet is untrusted input to a large C++ program. Whatever can be checked without that
//! program is checked here: that every length lies within the file, that every tensor has its bytes, and that the
//! numbers a tokenizer or an attention head is made of can be true. The format is that of
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>, versions 2 and 3, little-endian.

mod adapter;
mod plausible;
mod read;
mod tensor;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

pub use tensor::{Part, Tensor};

/// A model file's description: everything but the weights.
#[derive(Debug)]
pub struct Gguf {
    /// Which kind of model, as in `llama`, `bloom`.
    pub architecture: String,
    /// The tensors, in the file's order.
    pub tensors: Vec<Tensor>,
    values: BTreeMap<String, Value>,
}

/// A file that can be read, and its length.
fn open(path: &Path) -> Result<(BufReader<File>, u64), GgufError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => GgufError::Missing,
        _ => GgufError::Unreadable(error),
    };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(GgufError::NotAFile);
    }
    Ok((BufReader::new(file), metadata.len()))
}

/// A value of the metadata. Of arrays only what is asked for is kept.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// Whole numbers, few enough to be one for each layer.
    Numbers(Vec<u64>),
    /// Anything else: how many, of which type.
    Array {
        kind: u32,
        length: u64,
    },
}

impl Value {
    /// A whole number that is not negative.
    fn whole(&self) -> Option<u64> {
        match self {
            Self::Unsigned(number) => Some(*number),
            Self::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }
}

/// Why a file must not be loaded: to be read after its name.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// There is none.
    #[error("does not exist")]
    Missing,
    /// It is a folder or a device.
    #[error("is not a file")]
    NotAFile,
    /// The system does not give it.
    #[error("cannot be read ({0})")]
    Unreadable(io::Error),
    /// It is something else.
    #[error("is not a GGUF model file")]
    NotGguf,
    /// It is older or newer.
    #[error("has GGUF version {0}; versions 2 and 3 can be read")]
    Version(u32),
    /// It ends too early, or says what its bytes cannot hold.
    #[error("is incomplete or damaged: {0}")]
    Damaged(String),
    /// It is whole, and no model can be so.
    #[error("describes no model that can be run: {0}")]
    Implausible(String),
}

impl Gguf {
    /// Reads and checks the file at `path`. Blocking; the weights are not read.
    ///
    /// # Errors
    /// See [`GgufError`].
    pub fn open(path: &Path) -> Result<Self, GgufError> {
        let (file, length) = open(path)?;
        Self::read(file, length)
    }

    /// Reads and checks the file at `path` as a LoRA adapter of this model. Blocking; the weights are not read.
    ///
    /// # Errors
    /// See [`GgufError`].
    pub fn check_adapter(&self, path: &Path) -> Result<(), GgufError> {
        let (file, length) = open(path)?;
        adapter::check(&read::file(file, length)?, self)
    }

    /// Reads and checks a file of `length` bytes.
    ///
    /// # Errors
    /// See [`GgufError`].
    pub fn read(from: impl Read, length: u64) -> Result<Self, GgufError> {
        let gguf = read::file(from, length)?;
        plausible::check(&gguf)?;
        Ok(gguf)
    }

    /// Bytes of all tensors.
    pub fn weights(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }

    /// How many layers it has.
    pub fn layers(&self) -> u64 {
        self.own("block_count").unwrap_or(0)
    }

    /// Tokens that it was trained to see at once.
    pub fn context(&self) -> u64 {
        self.own("context_length").unwrap_or(0)
    }

    /// How many tokens its vocabulary has.
    pub fn vocabulary(&self) -> u64 {
        self.length("tokenizer.ggml.tokens").unwrap_or(0)
    }

    /// Whether it turns texts into vectors, and answers nothing.
    pub fn embeds(&self) -> bool {
        self.own("pooling_type").is_some_and(|pooling| pooling > 0)
    }

    /// Bytes of the tensors of `part`.
    pub fn weights_of(&self, part: Part) -> u64 {
        self.tensors.iter().filter(|tensor| tensor.part() == part).map(|tensor| tensor.bytes).sum()
    }

    /// Bytes of the output's weights that it shares with the input: 0 where it has its own.
    pub fn tied_weights(&self) -> u64 {
        let bytes = |name: &str| self.tensors.iter().find(|tensor| tensor.name == name).map(|tensor| tensor.bytes);
        if self.embeds() || bytes("output.weight").is_some() { 0 } else { bytes("token_embd.weight").unwrap_or(0) }
    }

    /// Bytes of keys and values that each token of context takes, at two bytes a number, as far as the file says:
    /// for architectures that keep other state this is an upper estimate.
    pub fn cache_per_token(&self) -> u64 {
        (0..self.layers()).map(|layer| self.cache_at(layer)).fold(0, u64::saturating_add)
    }

    /// What `layer` takes of [`Gguf::cache_per_token`].
    pub fn cache_at(&self, layer: u64) -> u64 {
        let width = self.own("embedding_length").unwrap_or(0);
        let heads = self.at_layer("attention.head_count", layer).unwrap_or(1).max(1);
        let shared = self.at_layer("attention.head_count_kv", layer).unwrap_or(heads);
        let each = |key| self.own(key).unwrap_or(width / heads);
        let numbers = each("attention.key_length").saturating_add(each("attention.value_length"));
        shared.saturating_mul(numbers).saturating_mul(2)
    }

    /// The chat template, a program that writes conversations as the model reads them.
    pub fn template(&self) -> Option<&str> {
        match self.values.get("tokenizer.chat_template")? {
            Value::Text(template) => Some(template),
            _ => None,
        }
    }

    /// A number under the architecture's name.
    fn own(&self, key: &str) -> Option<u64> {
        self.number(&format!("{}.{key}", self.architecture))
    }

    /// A number that may differ from layer to layer.
    fn at_layer(&self, key: &str, layer: u64) -> Option<u64> {
        match self.values.get(&format!("{}.{key}", self.architecture))? {
            Value::Numbers(numbers) => numbers.get(usize::try_from(layer).ok()?).copied(),
            Value::Unsigned(number) => Some(*number),
            _ => None,
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.values.get(key)?.whole()
    }

    fn length(&self, key: &str) -> Option<u64> {
        match self.values.get(key)? {
            Value::Numbers(numbers) => Some(numbers.len() as u64),
            Value::Array { length, .. } => Some(*length),
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "../../../tests/support/gguf.rs"]
#[allow(dead_code, reason = "each that includes it uses a part of it")]
pub(crate) mod support;
#[cfg(test)]
mod tests;
