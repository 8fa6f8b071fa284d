//! A look at a model file before llama.cpp sees it: the common mistakes deserve better words than a null pointer.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// `GGUF`, version, tensor count, metadata count.
const HEADER: usize = 24;

/// The least that a tensor's description takes: name length, dimensions, one dimension, type, offset.
const TENSOR_MIN: u64 = 8 + 4 + 8 + 4 + 8;

/// The least that a metadata entry takes: key length, type, one byte.
const ENTRY_MIN: u64 = 8 + 4 + 1;

/// Checks that `path` is a GGUF file whose header can be true.
///
/// # Errors
/// What is wrong with it, to be read after the file's name.
pub(super) fn check(path: &Path) -> Result<(), String> {
    let describe = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "does not exist".to_owned(),
        _ => format!("cannot be read ({error})"),
    };
    let mut file = File::open(path).map_err(describe)?;
    let metadata = file.metadata().map_err(describe)?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut header = [0; HEADER];
    let read = read_up_to(&mut file, &mut header).map_err(describe)?;
    if read < 4 || header[..4] != *b"GGUF" {
        return Err("is not a GGUF model file".to_owned());
    }
    let version = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let number = |at: usize| header[at..at + 8].iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte));
    let needed = number(8).saturating_mul(TENSOR_MIN).saturating_add(number(16).saturating_mul(ENTRY_MIN));
    if read < HEADER || needed > metadata.len() {
        return Err("is incomplete or damaged".to_owned());
    }
    if !(2..=3).contains(&version) {
        return Err(format!("has GGUF version {version}; versions 2 and 3 can be read"));
    }
    Ok(())
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read(&mut buffer[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::check;

    fn checked(bytes: &[u8]) -> Result<(), String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), bytes).unwrap();
        check(file.path())
    }

    fn header(version: u32, tensors: u64, entries: u64) -> Vec<u8> {
        [b"GGUF".as_slice(), &version.to_le_bytes(), &tensors.to_le_bytes(), &entries.to_le_bytes()].concat()
    }

    #[test]
    fn every_usual_mistake_has_its_words() {
        assert_eq!(check(Path::new("/nowhere/model.gguf")), Err("does not exist".to_owned()));
        assert_eq!(check(Path::new("/")), Err("is not a file".to_owned()));
        for not_gguf in
            [b"".as_slice(), b"GG", b"<!doctype html><title>Not Found</title>", b"PK\x03\x04 and more bytes"]
        {
            assert_eq!(checked(not_gguf), Err("is not a GGUF model file".to_owned()));
        }
        for damaged in [b"GGUF\x03\x00".to_vec(), header(3, 1 << 40, 0), header(3, u64::MAX, u64::MAX)] {
            assert_eq!(checked(&damaged), Err("is incomplete or damaged".to_owned()));
        }
        assert_eq!(checked(&header(9, 0, 0)), Err("has GGUF version 9; versions 2 and 3 can be read".to_owned()));
        assert_eq!(checked(&header(3, 0, 0)), Ok(()));
    }
}
