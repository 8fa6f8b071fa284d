//! Standard output, for commands whose exit code says something.

use std::io::{self, ErrorKind, Write, stdout};

/// Standard output. Where nobody reads on, as in `ajar audit verify | head -1`, the rest goes nowhere: the exit code stays
/// what the command has found.
pub(super) struct Out;

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match stdout().write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match stdout().flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}
