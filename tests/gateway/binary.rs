//! The real binary in a process of its own.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};

/// The command `ajar ARGS`, in `folder`, with nothing of this process's environment that would configure it.
pub fn ajar(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ajar"));
    command.args(args).current_dir(folder).env_clear().env("RUST_LOG", "info");
    command
}

/// Runs it to its end.
pub fn run(folder: &Path, args: &[&str]) -> Output {
    ajar(folder, args).output().expect("the binary runs")
}

/// What a successful command printed.
pub fn printed(folder: &Path, args: &[&str]) -> String {
    let output = run(folder, args);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// A serving process; killed when dropped.
pub struct Served {
    pub data: SocketAddr,
    pub operator: SocketAddr,
    pub child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl Served {
    /// Starts `ajar serve --config FILE` and reads from its log where it listens.
    pub fn start(config: &Path) -> Self {
        let folder = config.parent().expect("a file in a folder");
        let args = ["serve", "--json-logs", "--config", config.to_str().unwrap()];
        let mut child = ajar(folder, &args).stderr(Stdio::piped()).spawn().expect("the binary starts");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let serving = lines.by_ref().map(Result::unwrap).find(|line| line.contains("Serving."));
        let serving: serde_json::Value = serde_json::from_str(&serving.expect("it serves")).unwrap();
        let address = |name: &str| serving["fields"][name].as_str().unwrap().parse().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let served = Self { data: address("applications"), operator: address("operators"), child, log: log.clone() };
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| log.lock().unwrap().push(line)));
        served
    }

    /// Whether a line of its log since it serves has all of `pieces`.
    pub fn logged(&self, pieces: &[&str]) -> bool {
        self.log.lock().unwrap().iter().any(|line| pieces.iter().all(|piece| line.contains(piece)))
    }

    /// Sends it a signal.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.expect("`kill` runs").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
