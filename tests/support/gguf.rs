//! Writes model files small enough for tests: real architectures, random weights, a vocabulary of single bytes.

/// A file as it is put together.
#[derive(Default)]
pub struct GgufFile {
    entries: Vec<Vec<u8>>,
    tensors: Vec<(String, Vec<u64>)>,
    random: u64,
}

const CONTEXT: u32 = 256;
const WIDTH: u64 = 32;
const HIDDEN: u64 = 64;
const RANK: u64 = 4;
const LAYERS: u64 = 2;
const HEADS: u32 = 2;
const ALIGNMENT: usize = 32;

impl GgufFile {
    /// A model of LLaMA's architecture.
    pub fn llama() -> Self {
        let mut file = Self::of("llama", "default");
        file.float("llama.attention.layer_norm_rms_epsilon", 1e-5);
        file.number("llama.rope.dimension_count", WIDTH as u32 / HEADS);
        file.tensor("token_embd.weight", &[WIDTH, VOCABULARY]);
        file.tensor("output_norm.weight", &[WIDTH]);
        file.tensor("output.weight", &[WIDTH, VOCABULARY]);
        for layer in 0..LAYERS {
            for name in ["attn_norm", "ffn_norm"] {
                file.tensor(&format!("blk.{layer}.{name}.weight"), &[WIDTH]);
            }
            for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
                file.tensor(&format!("blk.{layer}.{name}.weight"), &[WIDTH, WIDTH]);
            }
            file.tensor(&format!("blk.{layer}.ffn_gate.weight"), &[WIDTH, HIDDEN]);
            file.tensor(&format!("blk.{layer}.ffn_up.weight"), &[WIDTH, HIDDEN]);
            file.tensor(&format!("blk.{layer}.ffn_down.weight"), &[HIDDEN, WIDTH]);
        }
        file
    }

    /// A model of BLOOM's architecture.
    pub fn bloom() -> Self {
        let mut file = Self::of("bloom", "bloom");
        file.float("bloom.attention.layer_norm_epsilon", 1e-5);
        file.tensor("token_embd.weight", &[WIDTH, VOCABULARY]);
        file.tensor("output.weight", &[WIDTH, VOCABULARY]);
        for name in ["token_embd_norm", "output_norm"] {
            file.both(name, WIDTH, None);
        }
        for layer in 0..LAYERS {
            for name in ["attn_norm", "ffn_norm"] {
                file.both(&format!("blk.{layer}.{name}"), WIDTH, None);
            }
            file.both(&format!("blk.{layer}.attn_qkv"), 3 * WIDTH, Some(WIDTH));
            file.both(&format!("blk.{layer}.attn_output"), WIDTH, Some(WIDTH));
            file.both(&format!("blk.{layer}.ffn_up"), 4 * WIDTH, Some(WIDTH));
            file.both(&format!("blk.{layer}.ffn_down"), WIDTH, Some(4 * WIDTH));
        }
        file
    }

    /// A model of BERT's architecture, which turns texts into vectors: the mean over their tokens.
    pub fn bert() -> Self {
        let mut file = Self::of("bert", "default");
        file.float("bert.attention.layer_norm_epsilon", 1e-5);
        file.entry("bert.attention.causal", 7, &[0]);
        file.number("bert.pooling_type", 1);
        file.number("tokenizer.ggml.token_type_count", 1);
        file.tensor("token_embd.weight", &[WIDTH, VOCABULARY]);
        file.tensor("token_types.weight", &[WIDTH, 1]);
        file.tensor("position_embd.weight", &[WIDTH, CONTEXT.into()]);
        file.both("token_embd_norm", WIDTH, None);
        for layer in 0..LAYERS {
            for name in ["attn_q", "attn_k", "attn_v", "attn_output"] {
                file.both(&format!("blk.{layer}.{name}"), WIDTH, Some(WIDTH));
            }
            for name in ["attn_output_norm", "layer_output_norm"] {
                file.both(&format!("blk.{layer}.{name}"), WIDTH, None);
            }
            file.both(&format!("blk.{layer}.ffn_up"), HIDDEN, Some(WIDTH));
            file.both(&format!("blk.{layer}.ffn_down"), WIDTH, Some(HIDDEN));
        }
        file
    }

    /// A LoRA adapter of [`Self::llama`]; another `random` is another one.
    pub fn lora(random: u64) -> Self {
        let mut file = Self { random, ..Self::default() };
        file.text("general.architecture", "llama");
        file.text("general.type", "adapter");
        file.text("adapter.type", "lora");
        file.float("adapter.lora.alpha", 2.0 * RANK as f32);
        for layer in 0..LAYERS {
            for (name, from, to) in [("attn_q", WIDTH, WIDTH), ("attn_v", WIDTH, WIDTH), ("ffn_down", HIDDEN, WIDTH)] {
                file.tensor(&format!("blk.{layer}.{name}.weight.lora_a"), &[from, RANK]);
                file.tensor(&format!("blk.{layer}.{name}.weight.lora_b"), &[RANK, to]);
            }
        }
        file
    }

    fn of(architecture: &str, splitting: &str) -> Self {
        let mut file = Self { random: 1, ..Self::default() };
        file.text("general.architecture", architecture);
        let hidden = if architecture == "bloom" { 4 * WIDTH } else { HIDDEN } as u32;
        for (key, number) in [
            ("context_length", CONTEXT),
            ("embedding_length", WIDTH as u32),
            ("feed_forward_length", hidden),
            ("block_count", LAYERS as u32),
            ("attention.head_count", HEADS),
            ("attention.head_count_kv", HEADS),
        ] {
            file.number(&format!("{architecture}.{key}"), number);
        }
        file.vocabulary(splitting);
        file
    }

    /// Every byte, in the letters that GPT-2 gives them, one merge, and two control tokens.
    fn vocabulary(&mut self, splitting: &str) {
        self.text("tokenizer.ggml.model", "gpt2");
        self.text("tokenizer.ggml.pre", splitting);
        self.tokens("<|im_start|>", 3);
        self.texts("tokenizer.ggml.merges", &["h e".to_owned()]);
        self.number("tokenizer.ggml.bos_token_id", 257);
        self.number("tokenizer.ggml.eos_token_id", 258);
        self.text(
            "tokenizer.chat_template",
            "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}\
             {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        );
    }

    /// Has `marker` among the tokens, as one that llama.cpp finds in any text, in place of the one that begins.
    pub fn marker(&mut self, marker: &str) {
        self.tokens(marker, 4);
    }

    fn tokens(&mut self, begin: &str, kind: i32) {
        let mut tokens: Vec<String> = letters().iter().map(char::to_string).collect();
        tokens.extend(["he", begin, "<|im_end|>"].map(str::to_owned));
        assert_eq!(tokens.len() as u64, VOCABULARY);
        let kinds = (0..VOCABULARY - 2).map(|_| 1).chain([kind, 3]).flat_map(i32::to_le_bytes);
        let kinds: Vec<u8> = kinds.collect();
        self.texts("tokenizer.ggml.tokens", &tokens);
        self.entry(
            "tokenizer.ggml.token_type",
            9,
            &[&5_u32.to_le_bytes()[..], &VOCABULARY.to_le_bytes(), &kinds].concat(),
        );
    }

    /// Adds a metadata entry that is a whole number.
    pub fn number(&mut self, key: &str, number: u32) {
        self.entry(key, 4, &number.to_le_bytes());
    }

    /// Adds a metadata entry that is a number.
    pub fn float(&mut self, key: &str, number: f32) {
        self.entry(key, 6, &number.to_le_bytes());
    }

    /// Adds a metadata entry that is a text.
    pub fn text(&mut self, key: &str, text: &str) {
        self.entry(key, 8, &string(text));
    }

    /// Adds a metadata entry that is a list of texts.
    pub fn texts(&mut self, key: &str, texts: &[String]) {
        let strings: Vec<u8> = texts.iter().flat_map(|text| string(text)).collect();
        self.entry(key, 9, &[&8_u32.to_le_bytes()[..], &(texts.len() as u64).to_le_bytes(), &strings].concat());
    }

    /// Adds a metadata entry, in place of one of the same key.
    pub fn entry(&mut self, key: &str, kind: u32, value: &[u8]) {
        let key = string(key);
        self.entries.retain(|entry| !entry.starts_with(&key));
        self.entries.push([&key[..], &kind.to_le_bytes(), value].concat());
    }

    /// Adds a tensor of 32-bit numbers.
    pub fn tensor(&mut self, name: &str, shape: &[u64]) {
        self.tensors.push((name.to_owned(), shape.to_vec()));
    }

    fn both(&mut self, name: &str, width: u64, from: Option<u64>) {
        let shape: Vec<u64> = from.into_iter().chain([width]).collect();
        self.tensor(&format!("{name}.weight"), &shape);
        self.tensor(&format!("{name}.bias"), &[width]);
    }

    /// The file's bytes.
    pub fn bytes(mut self) -> Vec<u8> {
        let mut file = Vec::from(*b"GGUF");
        file.extend(3_u32.to_le_bytes());
        file.extend((self.tensors.len() as u64).to_le_bytes());
        file.extend((self.entries.len() as u64).to_le_bytes());
        file.extend(self.entries.concat());
        let mut data = Vec::new();
        for (name, shape) in std::mem::take(&mut self.tensors) {
            file.extend(string(&name));
            file.extend((shape.len() as u32).to_le_bytes());
            file.extend(shape.iter().flat_map(|dimension| dimension.to_le_bytes()));
            file.extend(0_u32.to_le_bytes());
            file.extend((data.len() as u64).to_le_bytes());
            let weights: Vec<u8> = (0..shape.iter().product()).flat_map(|_: u64| self.weight().to_le_bytes()).collect();
            data.extend(weights);
            data.resize(data.len().next_multiple_of(ALIGNMENT), 0);
        }
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        file.extend(data);
        file
    }

    /// Between -0.5 and 0.5.
    fn weight(&mut self) -> f32 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f32 / (1_u64 << 24) as f32 - 0.5
    }
}

/// Tokens of each of these models.
pub const VOCABULARY: u64 = 259;

fn string(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}

/// A printable letter for each byte: those that print stand for themselves.
fn letters() -> Vec<char> {
    let prints = |byte: &u32| matches!(byte, 0x21..=0x7E | 0xA1..=0xAC | 0xAE..=0xFF);
    let mut others = 0x100..;
    let letter = |byte: u32| if prints(&byte) { Some(byte) } else { others.next() };
    (0..256).filter_map(letter).filter_map(char::from_u32).collect()
}
