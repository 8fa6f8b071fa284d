use std::fs;

use super::*;

use super::support::{GgufFile, VOCABULARY};

fn read(bytes: &[u8]) -> Result<Gguf, String> {
    Gguf::read(bytes, bytes.len() as u64).map_err(|error| error.to_string())
}

fn header(version: u32, tensors: u64, entries: u64) -> Vec<u8> {
    [b"GGUF".as_slice(), &version.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes()].concat()
}

/// What is said of a model that was changed.
fn refusal(change: impl FnOnce(&mut GgufFile)) -> String {
    let mut file = GgufFile::llama();
    change(&mut file);
    read(&file.bytes()).unwrap_err()
}

#[test]
fn what_is_no_model_file_is_told_in_words() {
    let open = |path: &str| Gguf::open(Path::new(path)).unwrap_err().to_string();
    assert_eq!((open("/nowhere/model.gguf").as_str(), open("/").as_str()), ("does not exist", "is not a file"));
    for not_gguf in [b"".as_slice(), b"GG", b"<!doctype html><title>Not Found</title>", b"PK\x03\x04 and more bytes"] {
        assert_eq!(read(not_gguf).unwrap_err(), "is not a GGUF model file");
    }
    for damaged in [b"GGUF\x03\x00".to_vec(), header(3, 1 << 40, 0), header(3, u64::MAX, u64::MAX), header(3, 0, 0)] {
        assert!(read(&damaged).unwrap_err().starts_with("is incomplete or damaged: "));
    }
    assert_eq!(read(&header(9, 0, 0)).unwrap_err(), "has GGUF version 9; versions 2 and 3 can be read");
}

#[test]
fn a_whole_model_says_what_it_is_and_what_it_takes() {
    let bytes = GgufFile::llama().bytes();
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), &bytes).unwrap();
    let gguf = Gguf::open(file.path()).unwrap();
    assert_eq!((gguf.architecture.as_str(), gguf.layers(), gguf.context()), ("llama", 2, 256));
    assert_eq!((gguf.vocabulary(), gguf.tensors.len()), (VOCABULARY, 3 + 2 * 9));
    // Two layers of 32 numbers for keys and for values, two bytes each.
    assert_eq!(gguf.cache_per_token(), 2 * (32 + 32) * 2);
    assert!(gguf.weights() < bytes.len() as u64 && gguf.weights() > bytes.len() as u64 * 9 / 10);
    assert_eq!(read(&GgufFile::bloom().bytes()).unwrap().architecture, "bloom");
    assert!(gguf.template().is_some_and(|template| template.contains("<|im_start|>assistant")));
}

#[test]
fn every_tensor_belongs_to_a_layer_or_to_one_of_the_ends() {
    for file in [GgufFile::llama(), GgufFile::bloom(), GgufFile::bert()] {
        let gguf = read(&file.bytes()).unwrap();
        let parts = [Part::Input, Part::Layer(0), Part::Layer(1), Part::Output].map(|part| gguf.weights_of(part));
        assert_eq!(parts.iter().sum::<u64>(), gguf.weights(), "{}", gguf.architecture);
        assert!(parts[1] > 0 && parts[1] == parts[2], "{parts:?}");
        // None of them uses the input's weights for the output: two have their own, one has no output.
        assert_eq!((gguf.tied_weights(), parts[3] > 0), (0, !gguf.embeds()));
        assert_eq!(gguf.cache_at(0) + gguf.cache_at(1), gguf.cache_per_token());
    }
    let mut tied = read(&GgufFile::llama().bytes()).unwrap();
    tied.tensors.retain(|tensor| tensor.name != "output.weight");
    assert_eq!(tied.tied_weights(), tied.weights_of(Part::Input));
}

#[test]
fn numbers_that_no_model_has_are_refused_by_name() {
    let refused = [
        refusal(|file| file.number("llama.block_count", 0)),
        refusal(|file| file.number("llama.embedding_length", u32::MAX)),
        refusal(|file| file.text("llama.context_length", "256")),
        refusal(|file| file.number("llama.attention.head_count", 64)),
        refusal(|file| file.number("llama.attention.head_count_kv", 3)),
        refusal(|file| file.number("tokenizer.ggml.eos_token_id", VOCABULARY as u32)),
        refusal(|file| file.texts("tokenizer.ggml.tokens", &["a".to_owned()])),
        refusal(|file| file.text("tokenizer.ggml.tokens", "a b c")),
        refusal(|file| file.text("general.architecture", "../llama")),
        refusal(|file| file.number("split.count", 3)),
        refusal(|file| file.number("general.alignment", 48)),
        refusal(|file| file.entry("general.quantized", 7, &[2])),
        refusal(|file| file.entry("general.odd", 99, &[])),
        refusal(|file| file.entry("general.nested", 9, &[9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0])),
        refusal(|file| file.tensor("token_embd.weight", &[32])),
        refusal(|file| file.tensor("odd", &[])),
        refusal(|file| file.tensor("odd", &[0, 32])),
    ];
    insta::assert_snapshot!(refused.join("\n"));
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = GgufFile::bloom().bytes();
    let description = bytes.len() - read(&bytes).unwrap().weights() as usize;
    for end in (0..bytes.len()).filter(|end| *end <= description + 64 || end % 4099 == 0) {
        assert!(read(&bytes[..end]).is_err(), "cut at {end} of {}", bytes.len());
    }
}

#[test]
fn lengths_that_overflow_are_refused() {
    let bytes = GgufFile::llama().bytes();
    let description = bytes.len() - read(&bytes).unwrap().weights() as usize;
    // Whatever eight bytes of the description are replaced, reading ends soon and well.
    for at in 4..description - 8 {
        let mut changed = bytes.clone();
        changed[at..at + 8].copy_from_slice(&u64::MAX.to_le_bytes());
        let _ = read(&changed);
    }
    let shape = bytes.windows(8).rposition(|window| window == 64_u64.to_le_bytes()).unwrap();
    let mut changed = bytes;
    changed[shape..shape + 8].copy_from_slice(&(1_u64 << 62).to_le_bytes());
    assert!(read(&changed).unwrap_err().contains("impossible shape"));
}

#[test]
fn a_list_with_negative_numbers_is_read_to_its_end() {
    let mut file = GgufFile::llama();
    let numbers: Vec<u8> = [-1_i32, 5, 7].iter().flat_map(|number| number.to_le_bytes()).collect();
    file.entry("general.offsets", 9, &[&5_u32.to_le_bytes()[..], &3_u64.to_le_bytes(), &numbers].concat());
    file.number("general.behind", 1);
    assert_eq!(read(&file.bytes()).unwrap().architecture, "llama");
}

#[test]
fn a_model_that_pools_embeds_and_one_that_ranks_is_refused() {
    let bytes = GgufFile::bert().bytes();
    assert!(Gguf::read(&bytes[..], bytes.len() as u64).unwrap().embeds());
    let bytes = GgufFile::bloom().bytes();
    assert!(!Gguf::read(&bytes[..], bytes.len() as u64).unwrap().embeds());
    let mut ranker = GgufFile::bert();
    ranker.number("bert.pooling_type", 4);
    let bytes = ranker.bytes();
    let refusal = Gguf::read(&bytes[..], bytes.len() as u64).unwrap_err().to_string();
    assert!(refusal.contains("ranks texts"), "{refusal}");
}

#[test]
fn an_adapter_that_does_not_fit_its_model_is_refused_with_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = GgufFile::llama().bytes();
    let model = Gguf::read(&bytes[..], bytes.len() as u64).unwrap();
    let check = |file: GgufFile| {
        let path = folder.path().join("adapter.gguf");
        fs::write(&path, file.bytes()).unwrap();
        model.check_adapter(&path).map_err(|error| error.to_string())
    };
    assert_eq!(check(GgufFile::lora(1)), Ok(()));
    let changed = |change: &dyn Fn(&mut GgufFile)| {
        let mut file = GgufFile::lora(1);
        change(&mut file);
        check(file).unwrap_err()
    };
    let halves = |file: &mut GgufFile, name: &str, from: u64| {
        file.tensor(&format!("{name}.lora_a"), &[from, 4]);
        file.tensor(&format!("{name}.lora_b"), &[4, 32]);
    };
    for (refusal, why) in [
        (check(GgufFile::llama()).unwrap_err(), "is no LoRA adapter"),
        (changed(&|file| file.text("general.architecture", "bloom")), "of kind `bloom`"),
        (changed(&|file| file.tensor("blk.0.attn_k.weight.lora_a", &[32, 4])), "lacks its other half"),
        (changed(&|file| halves(file, "blk.0.attn_k.weight", 64)), "does not fit"),
        (changed(&|file| halves(file, "blk.9.attn_k.weight", 32)), "no tensor `blk.9"),
        (changed(&|file| file.float("adapter.lora.alpha", f32::NAN)), "`adapter.lora.alpha`"),
    ] {
        assert!(refusal.contains(why), "{refusal}");
    }
}
