//! The bytes of a GGUF file, up to its weights.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::tensor::block;
use super::{Gguf, GgufError, Tensor, Value};

/// The least that a tensor's description takes: name length, dimensions, one dimension, type, offset.
const TENSOR_MIN: u64 = 8 + 4 + 8 + 4 + 8;
/// The least that a metadata entry takes: key length, type, one byte.
const ENTRY_MIN: u64 = 8 + 4 + 1;
/// Longest name of a tensor, and most dimensions (`GGML_MAX_NAME`, `GGML_MAX_DIMS`).
const NAME_MAX: u64 = 63;
const DIMENSIONS_MAX: u32 = 4;
/// Longest key that the format allows.
const KEY_MAX: u64 = 65_535;
/// Longest text that is kept: a chat template.
const TEXT_MAX: u64 = 1 << 20;
/// Arrays of whole numbers up to this length are kept: one number for each layer.
const KEPT_MAX: u64 = 4096;
/// Most tensors and entries; the largest models have a few thousand.
const MANY: u64 = 1 << 17;

const BOOL: u32 = 7;
const STRING: u32 = 8;
const ARRAY: u32 = 9;

fn damaged<T>(what: impl Into<String>) -> Result<T, GgufError> {
    Err(GgufError::Damaged(what.into()))
}

/// Reads a file of `length` bytes.
pub(super) fn file(from: impl Read, length: u64) -> Result<Gguf, GgufError> {
    let mut bytes = Bytes { from, at: 0, length };
    bytes.magic()?;
    let version = bytes.u32()?;
    if !(2..=3).contains(&version) {
        return Err(GgufError::Version(version));
    }
    let (tensors, entries) = (bytes.u64()?, bytes.u64()?);
    let least = tensors.saturating_mul(TENSOR_MIN).saturating_add(entries.saturating_mul(ENTRY_MIN));
    if least > bytes.left() || tensors.max(entries) > MANY {
        return damaged("it is too short for what its header says");
    }
    let values = metadata(&mut bytes, entries)?;
    let Some(Value::Text(architecture)) = values.get("general.architecture") else {
        return damaged("it does not name its architecture");
    };
    let architecture = architecture.clone();
    let tensors = (0..tensors).map(|_| tensor(&mut bytes)).collect::<Result<Vec<_>, _>>()?;
    let gguf = Gguf { architecture, tensors, values };
    let begin = bytes.at.checked_next_multiple_of(alignment(&gguf)?).unwrap_or(u64::MAX);
    lie_within(&gguf, length.saturating_sub(begin))?;
    Ok(gguf)
}

fn metadata(bytes: &mut Bytes<impl Read>, entries: u64) -> Result<BTreeMap<String, Value>, GgufError> {
    let mut values = BTreeMap::new();
    for _ in 0..entries {
        let key = bytes.text(KEY_MAX)?;
        let kind = bytes.u32()?;
        let value = if kind == ARRAY { array(bytes)? } else { scalar(bytes, kind)? };
        if values.insert(key.clone(), value).is_some() {
            return damaged(format!("`{key}` comes twice"));
        }
    }
    Ok(values)
}

fn scalar(bytes: &mut Bytes<impl Read>, kind: u32) -> Result<Value, GgufError> {
    Ok(match kind {
        0 => Value::Unsigned(u64::from(u8::from_le_bytes(bytes.take()?))),
        1 => Value::Signed(i64::from(i8::from_le_bytes(bytes.take()?))),
        2 => Value::Unsigned(u64::from(u16::from_le_bytes(bytes.take()?))),
        3 => Value::Signed(i64::from(i16::from_le_bytes(bytes.take()?))),
        4 => Value::Unsigned(u64::from(bytes.u32()?)),
        5 => Value::Signed(i64::from(i32::from_le_bytes(bytes.take()?))),
        6 => Value::Float(f64::from(f32::from_le_bytes(bytes.take()?))),
        BOOL => match bytes.take::<1>()? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return damaged("a yes-or-no is neither"),
        },
        STRING => Value::Text(bytes.text(TEXT_MAX)?),
        10 => Value::Unsigned(bytes.u64()?),
        11 => Value::Signed(i64::from_le_bytes(bytes.take()?)),
        12 => Value::Float(f64::from_le_bytes(bytes.take()?)),
        _ => return damaged(format!("a value has the unknown type {kind}")),
    })
}

/// Bytes of a scalar of fixed size.
fn width(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | BOOL => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        _ => return None,
    })
}

fn array(bytes: &mut Bytes<impl Read>) -> Result<Value, GgufError> {
    let (kind, length) = (bytes.u32()?, bytes.u64()?);
    if kind == STRING {
        for _ in 0..length {
            let text = bytes.u64()?;
            bytes.skip(text)?;
        }
        return Ok(Value::Array { kind, length });
    }
    let Some(width) = width(kind) else { return damaged(format!("an array has elements of type {kind}")) };
    if matches!(kind, 4 | 5) && length <= KEPT_MAX {
        // All are read, whatever they are: what follows begins behind the last.
        let values = (0..length).map(|_| scalar(bytes, kind)).collect::<Result<Vec<_>, _>>()?;
        let numbers: Option<Vec<u64>> = values.iter().map(Value::whole).collect();
        return Ok(numbers.map_or(Value::Array { kind, length }, Value::Numbers));
    }
    bytes.skip(length.saturating_mul(width))?;
    Ok(Value::Array { kind, length })
}

fn tensor(bytes: &mut Bytes<impl Read>) -> Result<Tensor, GgufError> {
    let name = bytes.text(NAME_MAX)?;
    let dimensions = bytes.u32()?;
    if !(1..=DIMENSIONS_MAX).contains(&dimensions) {
        return damaged(format!("tensor `{name}` has {dimensions} dimensions"));
    }
    let shape = (0..dimensions).map(|_| bytes.u64()).collect::<Result<Vec<_>, _>>()?;
    let (kind, offset) = (bytes.u32()?, bytes.u64()?);
    let Some((numbers, size)) = block(kind) else {
        return damaged(format!("tensor `{name}` has the unknown type {kind}"));
    };
    let count = shape.iter().try_fold(1_u64, |n, dimension| n.checked_mul(*dimension)).filter(|n| *n > 0);
    let bytes = count.and_then(|n| (n / numbers).checked_mul(size)).filter(|bytes| i64::try_from(*bytes).is_ok());
    match bytes {
        Some(bytes) if shape[0].is_multiple_of(numbers) => Ok(Tensor { name, shape, offset, bytes }),
        _ => damaged(format!("tensor `{name}` has an impossible shape")),
    }
}

fn alignment(gguf: &Gguf) -> Result<u64, GgufError> {
    match gguf.values.get("general.alignment") {
        None => Ok(32),
        Some(Value::Unsigned(alignment)) if alignment.is_power_of_two() && *alignment <= 1 << 20 => Ok(*alignment),
        Some(_) => damaged("its alignment is no power of two"),
    }
}

/// Every tensor has a name of its own and lies within the data.
fn lie_within(gguf: &Gguf, data: u64) -> Result<(), GgufError> {
    let alignment = alignment(gguf)?;
    let mut names = BTreeSet::new();
    for Tensor { name, offset, bytes, .. } in &gguf.tensors {
        if !names.insert(name) {
            return damaged(format!("tensor `{name}` comes twice"));
        }
        if !offset.is_multiple_of(alignment) {
            return damaged(format!("tensor `{name}` does not begin where a tensor may"));
        }
        if offset.checked_add(*bytes).is_none_or(|end| end > data) {
            return damaged(format!("tensor `{name}` lies beyond the end of the file"));
        }
    }
    Ok(())
}

/// A reader that knows how much is left, so that no length is believed that the file cannot hold.
struct Bytes<R> {
    from: R,
    at: u64,
    length: u64,
}

impl<R: Read> Bytes<R> {
    fn left(&self) -> u64 {
        self.length - self.at
    }

    /// Claims the next `count` bytes.
    fn claim(&mut self, count: u64) -> Result<(), GgufError> {
        if count > self.left() {
            return damaged("it ends in the middle of its description");
        }
        self.at += count;
        Ok(())
    }

    fn magic(&mut self) -> Result<(), GgufError> {
        match self.take::<4>() {
            Ok(magic) if magic == *b"GGUF" => Ok(()),
            Ok(_) | Err(GgufError::Damaged(_)) => Err(GgufError::NotGguf),
            Err(error) => Err(error),
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], GgufError> {
        self.claim(N as u64)?;
        let mut taken = [0; N];
        self.from.read_exact(&mut taken).map_err(GgufError::Unreadable)?;
        Ok(taken)
    }

    fn u32(&mut self) -> Result<u32, GgufError> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, GgufError> {
        self.take().map(u64::from_le_bytes)
    }

    fn text(&mut self, longest: u64) -> Result<String, GgufError> {
        let length = self.u64()?;
        if length > longest {
            return damaged(format!("a text of {length} bytes stands where {longest} may"));
        }
        self.claim(length)?;
        let mut text = Vec::new();
        let read = self.from.by_ref().take(length).read_to_end(&mut text).map_err(GgufError::Unreadable)?;
        if read as u64 != length {
            return damaged("it ends in the middle of its description");
        }
        String::from_utf8(text).or_else(|_| damaged("a text is no UTF-8"))
    }

    fn skip(&mut self, count: u64) -> Result<(), GgufError> {
        self.claim(count)?;
        let skipped = std::io::copy(&mut self.from.by_ref().take(count), &mut std::io::sink());
        match skipped.map_err(GgufError::Unreadable)? == count {
            true => Ok(()),
            false => damaged("it ends in the middle of its description"),
        }
    }
}
