//! Large public files to disk, resumable: models from their hub.
//!
//! No prompt passes here, so there is no permit; but the rules of egress hold: no redirect to anything but HTTPS, no
//! retries and no proxy behind the caller's back, and no URL in an error, since a redirect's may be signed.

use std::error::Error;
use std::io::{ErrorKind, SeekFrom};
use std::path::Path;
use std::time::Duration;

use reqwest::header::{CONTENT_RANGE, RANGE};
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::fs::{File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use super::tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest silence in the middle of a download.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// Hubs send one or two: to their content network.
const MAX_REDIRECTS: usize = 5;

/// Fetches files.
pub struct Downloader {
    client: Client,
}

/// Why a file could not be fetched. What has come stays on disk, and the next try goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// No connection, a broken one, or a refused redirect.
    #[error("the download failed: {0}")]
    Transport(String),
    /// The server answered something else than the file.
    #[error("the server answered {0}")]
    Status(u16),
    /// The server's file is not as long as it should be.
    #[error("the server's file has {found} bytes, expected {expected}")]
    Length {
        /// Bytes the server has, or at least has.
        found: u64,
        /// Bytes there should be.
        expected: u64,
    },
    /// The connection ended early.
    #[error("the download ended after {found}{} bytes; run it again to go on from there", of(*expected))]
    Incomplete {
        /// Bytes on disk.
        found: u64,
        /// Bytes there should be, where that is known.
        expected: Option<u64>,
    },
    /// The disk.
    #[error("the download could not be written: {0}")]
    Disk(#[from] std::io::Error),
}

fn of(expected: Option<u64>) -> String {
    expected.map_or(String::new(), |expected| format!(" of {expected}"))
}

impl Downloader {
    /// A client that speaks HTTPS only.
    ///
    /// # Errors
    /// [`DownloadError::Transport`] when the machine's trusted certificates cannot be read.
    pub fn new() -> Result<Self, DownloadError> {
        Self::build(true)
    }

    /// As [`Downloader::new`], but for a first URL on the loopback without TLS.
    #[cfg(test)]
    pub(crate) fn for_loopback() -> Result<Self, DownloadError> {
        Self::build(false)
    }

    fn build(https_only: bool) -> Result<Self, DownloadError> {
        tls::use_ring();
        let client = Client::builder()
            .https_only(https_only)
            .redirect(redirect::Policy::custom(follow))
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .user_agent(concat!("ajar/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(transport)?;
        Ok(Self { client })
    }

    /// Completes the file `part` to the `expected` bytes of `url`, going on after what is there already. `None` expects as
    /// many as the server says. `progress` is told how many bytes are on disk, and how many there will be.
    ///
    /// # Errors
    /// See [`DownloadError`]. Whether the content is right is the caller's to check.
    pub async fn resume(
        &self,
        url: &str,
        part: &Path,
        expected: Option<u64>,
        progress: impl Fn(u64, Option<u64>),
    ) -> Result<(), DownloadError> {
        let mut have = length(part).await?;
        if expected == Some(have) {
            progress(have, expected);
            return Ok(());
        }
        if expected.is_some_and(|expected| have > expected) {
            have = 0;
        }
        let mut response = self.request(url, have).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE && expected.is_none() && have > 0 {
            if unsatisfied(&response) == Some(have) {
                progress(have, Some(have));
                return Ok(());
            }
            // What is here is longer than the file: of another.
            have = 0;
            response = self.request(url, have).await?;
        }
        let (start, expected) = extent(&response, have, expected)?;
        let mut file = OpenOptions::new().create(true).write(true).truncate(false).open(part).await?;
        file.set_len(start).await?;
        file.seek(SeekFrom::Start(start)).await?;
        copy(response, file, start, expected, progress).await
    }

    async fn request(&self, url: &str, have: u64) -> Result<Response, DownloadError> {
        let mut request = self.client.get(url);
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        request.send().await.map_err(transport)
    }
}

async fn length(part: &Path) -> Result<u64, DownloadError> {
    match tokio::fs::metadata(part).await {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Where in the file the response's body begins (at `have` if the server goes on from there, else at its start), and how
/// long the file is.
fn extent(response: &Response, have: u64, expected: Option<u64>) -> Result<(u64, Option<u64>), DownloadError> {
    let (start, total) = match response.status() {
        StatusCode::OK => (0, response.content_length()),
        StatusCode::PARTIAL_CONTENT => match range(response).and_then(content_range) {
            Some((start, total)) if start == have => (start, Some(total)),
            _ => return Err(DownloadError::Transport("the server sent another range than asked for".to_owned())),
        },
        status => return Err(DownloadError::Status(status.as_u16())),
    };
    match (total, expected) {
        (Some(found), Some(expected)) if found != expected => Err(DownloadError::Length { found, expected }),
        _ => Ok((start, expected.or(total))),
    }
}

fn range(response: &Response) -> Option<&str> {
    response.headers().get(CONTENT_RANGE)?.to_str().ok()
}

/// The length of a file that ends before what was asked for, of `bytes */TOTAL`.
fn unsatisfied(response: &Response) -> Option<u64> {
    range(response)?.strip_prefix("bytes */")?.parse().ok()
}

/// Start and total of `bytes START-END/TOTAL`.
fn content_range(value: &str) -> Option<(u64, u64)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let (start, _end) = range.split_once('-')?;
    Some((start.parse().ok()?, total.parse().ok()?))
}

/// Appends the body to `file`, never beyond `expected`.
async fn copy(
    mut response: Response,
    file: File,
    start: u64,
    expected: Option<u64>,
    progress: impl Fn(u64, Option<u64>),
) -> Result<(), DownloadError> {
    let mut file = BufWriter::with_capacity(1 << 20, file);
    let mut found = start;
    let ended = loop {
        progress(found, expected);
        match (response.chunk().await, expected) {
            (Ok(Some(chunk)), Some(expected)) if found + chunk.len() as u64 > expected => {
                break Err(DownloadError::Length { found: found + chunk.len() as u64, expected });
            }
            (Ok(Some(chunk)), _) => {
                file.write_all(&chunk).await?;
                found += chunk.len() as u64;
            }
            (Ok(None), expected) if expected.is_none_or(|expected| found == expected) => break Ok(()),
            (Ok(None), _) => break Err(DownloadError::Incomplete { found, expected }),
            // What has come is worth keeping: told apart from a connection that never was.
            (Err(_), _) if found > start => break Err(DownloadError::Incomplete { found, expected }),
            (Err(error), _) => break Err(transport(error)),
        }
    };
    file.flush().await?;
    file.get_ref().sync_all().await?;
    ended
}

fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    if attempt.url().scheme() != "https" {
        attempt.error("a redirect leaves HTTPS")
    } else if attempt.previous().len() > MAX_REDIRECTS {
        attempt.error("too many redirects")
    } else {
        attempt.follow()
    }
}

/// The error with its causes, which say what happened, and without the URL.
fn transport(error: reqwest::Error) -> DownloadError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    DownloadError::Transport(text)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::fs;
    use std::sync::{Arc, Mutex};

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::{DownloadError, Downloader, content_range};

    /// Serves one connection per scripted answer, then closes; remembers what it was asked.
    pub(crate) struct Server {
        pub(crate) url: String,
        asked: Arc<Mutex<Vec<String>>>,
    }

    impl Server {
        pub(crate) async fn answering(answers: Vec<Vec<u8>>) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}/model.gguf", listener.local_addr().unwrap());
            let asked = Arc::new(Mutex::new(Vec::new()));
            let log = Arc::clone(&asked);
            tokio::spawn(async move {
                for answer in answers {
                    let (mut connection, _) = listener.accept().await.unwrap();
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(connection.read_u8().await.unwrap());
                    }
                    log.lock().unwrap().push(String::from_utf8(request).unwrap());
                    connection.write_all(&answer).await.unwrap();
                }
            });
            Self { url, asked }
        }

        /// The paths that were asked for.
        pub(crate) fn paths(&self) -> Vec<String> {
            let path = |request: &String| request.split(' ').nth(1).unwrap_or_default().to_owned();
            self.asked.lock().unwrap().iter().map(path).collect()
        }

        fn ranges(&self) -> Vec<Option<String>> {
            let range =
                |request: &String| request.lines().find_map(|line| line.strip_prefix("range: ").map(str::to_owned));
            self.asked.lock().unwrap().iter().map(range).collect()
        }
    }

    /// An HTTP answer that announces `length` bytes and closes after `body`.
    pub(crate) fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n");
        [head.as_bytes(), body].concat()
    }

    async fn resume(
        server: &Server,
        part: &std::path::Path,
        expected: impl Into<Option<u64>>,
    ) -> Result<(), DownloadError> {
        Downloader::for_loopback().unwrap().resume(&server.url, part, expected.into(), |_, _| {}).await
    }

    #[tokio::test]
    async fn a_broken_download_goes_on_where_it_ended() {
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let server = Server::answering(vec![answer("200 OK", "", 10, b"0123"), rest]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        let broken = resume(&server, &part, 10).await;
        assert!(matches!(broken, Err(DownloadError::Incomplete { found: 4, expected: Some(10) })), "{broken:?}");
        resume(&server, &part, 10).await.unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"0123456789");
        assert_eq!(server.ranges(), [None, Some("bytes=4-".to_owned())]);
        // Complete: no third request.
        resume(&server, &part, 10).await.unwrap();
    }

    #[tokio::test]
    async fn a_server_without_ranges_starts_again() {
        let server = Server::answering(vec![answer("200 OK", "", 5, b"fresh")]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        fs::write(&part, "old").unwrap();
        resume(&server, &part, 5).await.unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"fresh");
    }

    #[tokio::test]
    async fn a_file_of_unknown_length_is_as_long_as_the_server_says_and_goes_on_where_it_ended() {
        let rest = answer("206 Partial Content", "content-range: bytes 4-9/10\r\n", 6, b"456789");
        let end = answer("416 Range Not Satisfiable", "content-range: bytes */10\r\n", 0, b"");
        let server = Server::answering(vec![answer("200 OK", "", 10, b"0123"), rest, end]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        let broken = resume(&server, &part, None).await.unwrap_err();
        assert_eq!(broken.to_string(), "the download ended after 4 of 10 bytes; run it again to go on from there");
        resume(&server, &part, None).await.unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"0123456789");
        // Complete, which only the server knows.
        resume(&server, &part, None).await.unwrap();
        let ranges = [None, Some("bytes=4-".to_owned()), Some("bytes=10-".to_owned())];
        assert_eq!(server.ranges(), ranges);
    }

    #[tokio::test]
    async fn what_is_longer_than_a_file_of_unknown_length_is_no_part_of_it() {
        let end = answer("416 Range Not Satisfiable", "content-range: bytes */5\r\n", 0, b"");
        let server = Server::answering(vec![end, answer("200 OK", "", 5, b"fresh")]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        fs::write(&part, "something else").unwrap();
        resume(&server, &part, None).await.unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"fresh");
    }

    #[tokio::test]
    async fn a_server_that_tells_no_length_is_read_to_its_end() {
        let body = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n5\r\nabcde\r\n";
        let server = Server::answering(vec![body.to_vec(), [body, b"0\r\n\r\n".as_slice()].concat()]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        let broken = resume(&server, &part, None).await;
        assert!(matches!(broken, Err(DownloadError::Incomplete { found: 5, expected: None })), "{broken:?}");
        resume(&server, &part, None).await.unwrap();
        assert_eq!(fs::read(&part).unwrap(), b"abcde");
    }

    #[tokio::test]
    async fn a_file_of_another_length_is_refused_before_it_is_fetched() {
        let wrong_range = answer("206 Partial Content", "content-range: bytes 3-8/9\r\n", 6, b"345678");
        let server = Server::answering(vec![answer("200 OK", "", 7, b"1234567"), wrong_range]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("model.part");
        let refused = resume(&server, &part, 5).await;
        assert!(matches!(refused, Err(DownloadError::Length { found: 7, expected: 5 })), "{refused:?}");
        fs::write(&part, "012").unwrap();
        let refused = resume(&server, &part, 5).await;
        assert!(matches!(refused, Err(DownloadError::Length { found: 9, expected: 5 })), "{refused:?}");
        assert_eq!(fs::read(&part).unwrap(), b"012");
    }

    #[tokio::test]
    async fn a_redirect_away_from_https_is_refused_and_no_url_is_told() {
        let target = Server::answering(vec![answer("200 OK", "", 5, b"abcde")]).await;
        let location = format!("location: {}?signature=secret\r\n", target.url);
        let server = Server::answering(vec![answer("302 Found", &location, 0, b"")]).await;
        let folder = tempfile::tempdir().unwrap();
        let error = resume(&server, &folder.path().join("part"), 5).await.unwrap_err().to_string();
        assert!(error.contains("a redirect leaves HTTPS"), "{error}");
        assert!(!error.contains("secret") && !error.contains("127.0.0.1"), "{error}");
        assert!(target.ranges().is_empty(), "nobody asked the target");
    }

    #[tokio::test]
    async fn an_answer_that_is_not_the_file_is_an_error() {
        let server = Server::answering(vec![answer("404 Not Found", "", 5, b"abcde")]).await;
        let folder = tempfile::tempdir().unwrap();
        let part = folder.path().join("part");
        let error = resume(&server, &part, 5).await;
        assert!(matches!(error, Err(DownloadError::Status(404))), "{error:?}");
        assert!(!part.exists());
    }

    #[tokio::test]
    async fn without_tls_nothing_is_fetched() {
        let server = Server::answering(vec![answer("200 OK", "", 5, b"abcde")]).await;
        let folder = tempfile::tempdir().unwrap();
        let strict = Downloader::new().unwrap();
        let error = strict.resume(&server.url, &folder.path().join("part"), Some(5), |_, _| {}).await;
        assert!(matches!(error, Err(DownloadError::Transport(_))), "{error:?}");
        assert!(server.ranges().is_empty());
    }

    #[test]
    fn content_ranges_are_read_and_nonsense_is_not() {
        assert_eq!(content_range("bytes 4-9/10"), Some((4, 10)));
        for nonsense in ["", "bytes */10", "bytes 4-9/*", "4-9/10"] {
            assert_eq!(content_range(nonsense), None, "{nonsense}");
        }
    }
}
