//! A small application: sends a prompt and reads the answer.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result, bail};

/// The longest that one answer may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// The longest that the model may take to load.
const LOADING: Duration = Duration::from_secs(120);
/// Between two looks at `/readyz`.
const POLL: Duration = Duration::from_millis(100);

#[expect(clippy::disallowed_types, reason = "an application's client, outside the gateway")]
pub struct Client(reqwest::Client);

impl Client {
    /// # Errors
    /// There can be no client.
    #[expect(clippy::disallowed_types, reason = "an application's client, outside the gateway")]
    pub fn new() -> Result<Self> {
        // reqwest wants a TLS implementation also where nothing is encrypted; a second installation changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Ok(Self(reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?))
    }

    /// Waits until the model is loaded.
    ///
    /// # Errors
    /// It does not happen in two minutes, or nobody listens.
    pub async fn until_ready(&self, operator: SocketAddr) -> Result<()> {
        let ready = async {
            loop {
                if self.0.get(format!("http://{operator}/readyz")).send().await?.status().is_success() {
                    return Ok(());
                }
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::time::timeout(LOADING, ready).await.context("the model did not load in two minutes")?
    }

    /// Sends a request, reads all of the answer, and returns the request's id.
    ///
    /// # Errors
    /// There is no whole answer, or it has no id.
    pub async fn ask(&self, data: SocketAddr, body: String) -> Result<String> {
        let url = format!("http://{data}/v1/chat/completions");
        let response = self.0.post(url).header("content-type", "application/json").body(body).send().await?;
        let id = response.headers().get("x-ajar-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
        let status = response.status();
        let answer = response.bytes().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!("{status}: {}", std::str::from_utf8(&answer).unwrap_or("not UTF-8").trim());
        }
        id.context("the answer has no `x-ajar-id`")
    }
}
