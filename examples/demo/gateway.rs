//! The `ajar` binary as a child process.

use std::{
    env,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A gateway that runs as long as this value lives.
pub struct Gateway {
    /// Where applications connect.
    pub data: SocketAddr,
    /// Where operators connect.
    pub operator: SocketAddr,
    child: Child,
}

impl Gateway {
    /// Starts `ajar serve` and waits until it listens.
    ///
    /// # Errors
    /// What it said when it did not start.
    pub fn start(binary: &Path, config: &Path, overrides: &[(String, String)], simulated: bool) -> Result<Self> {
        let mut command = Command::new(binary);
        command.args(["serve", "--json-logs", "--config"]).arg(config);
        for (path, value) in overrides {
            command.arg("--set").arg(format!("{path}={value}"));
        }
        if simulated {
            command.env("OPENAI_API_KEY", "simulated");
        }
        let spawned = command.env_remove("RUST_LOG").stdin(Stdio::null()).stderr(Stdio::piped()).spawn();
        let mut child = spawned.with_context(|| format!("cannot start `{}`", binary.display()))?;
        let stderr = child.stderr.take().context("the gateway has no standard error")?;
        match addresses(stderr) {
            Ok((data, operator)) => Ok(Self { data, operator, child }),
            Err(error) => {
                // It may have ended by itself, which is the usual reason to be here.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }
}

/// Killed, not asked: what it recorded is on disk already, and a demo should not outlive its output.
impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary of the profile that this example was built with.
///
/// # Errors
/// It is not there; the message says how to build it.
pub fn binary() -> Result<PathBuf> {
    let own = env::current_exe().context("cannot tell where this program is")?;
    let folder = own.parent().and_then(Path::parent).context("not run from a target folder")?;
    let binary = folder.join("ajar");
    if binary.is_file() {
        return Ok(relative(binary));
    }
    let flag = if cfg!(debug_assertions) { "" } else { " --release" };
    bail!("there is no `{}`; run `cargo build{flag}` first, or `make demo`, which does", binary.display())
}

/// The path as one would type it here.
fn relative(path: PathBuf) -> PathBuf {
    let here = env::current_dir().ok();
    here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)).unwrap_or(path)
}

/// Reads the log until it tells the addresses, and goes on to read it, so that the gateway never waits for a reader.
fn addresses(stderr: ChildStderr) -> Result<(SocketAddr, SocketAddr)> {
    let mut lines = BufReader::new(stderr).lines();
    let mut said = String::new();
    while let Some(Ok(line)) = lines.next() {
        if let Some(found) = serving(&line) {
            thread::spawn(move || lines.for_each(drop));
            return Ok(found);
        }
        said += &format!("\n  {line}");
    }
    bail!("the gateway did not start; it said:{said}")
}

fn serving(line: &str) -> Option<(SocketAddr, SocketAddr)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let address = |key| line["fields"][key].as_str()?.parse().ok();
    (line["fields"]["message"] == "Serving.").then_some(())?;
    Some((address("applications")?, address("operators")?))
}
