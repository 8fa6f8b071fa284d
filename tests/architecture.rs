//! What may stand where: the walls between modules, read off the sources.

use std::path::{Path, PathBuf};

use ajar::audit::Entered;
use ajar::policy::{Grant, Permit};

/// Every source file under `folder` with its lines of code, numbered: no comments, no tests.
fn sources(folder: &str) -> Vec<(PathBuf, Vec<(usize, String)>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder exists") {
            let path = entry.expect("its entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
                let lines = code(&std::fs::read_to_string(&path).expect("sources are UTF-8"));
                files.push((path.strip_prefix(root).expect("it is below the root").to_owned(), lines));
            }
        }
    }
    assert!(!files.is_empty(), "{folder} has no sources");
    files
}

fn code(text: &str) -> Vec<(usize, String)> {
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..tests].lines().enumerate().map(|(i, line)| (i + 1, line.trim().to_owned()));
    lines.filter(|(_, line)| !line.starts_with("//")).collect()
}

/// Fails with every place outside `allowed` where a line of `folder` contains one of `words`.
fn assert_absent(folder: &str, words: &[&str], allowed: &[&str]) {
    let mut found = Vec::new();
    for (path, lines) in sources(folder) {
        if allowed.iter().any(|allowed| path.starts_with(allowed)) {
            continue;
        }
        for (number, line) in lines {
            found.extend(
                words.iter().filter(|w| line.contains(*w)).map(|w| format!("{}:{number}: {w}", path.display())),
            );
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn only_egress_has_an_http_client() {
    let clients = ["reqwest", "hyper_util::client", "hyper::client", "TcpStream::connect", "TcpSocket"];
    let names = ["lookup_host", "ToSocketAddrs", "to_socket_addrs"];
    assert_absent("src", &clients, &["src/egress"]);
    assert_absent("src", &names, &["src/egress"]);
    assert_absent("src", &["UdpSocket", "UnixStream", "UnixDatagram"], &[]);
    // A child could send anything anywhere: one fetches a model's file, and one is ajar itself and is given a file's name.
    let children = ["src/models/registry.rs", "src/dispatch/local/trial.rs"];
    assert_absent("src", &["Command::new", "process::Command"], &children);
    // Accepted connections, and no others.
    assert_absent("src", &["TcpStream", "socket2"], &["src/serve/listener.rs", "src/serve/socket.rs"]);
}

#[test]
fn what_is_sent_has_been_entered_in_the_ledger() {
    // The type says so: `send` takes what only the ledger makes. Here, that nobody takes it apart on the way.
    assert_absent("src", &["into_permit"], &["src/audit/ledger.rs", "src/egress/client.rs"]);
    assert_absent("src", &["Grant::new"], &["src/policy/decision.rs", "src/policy/permit.rs"]);
}

/// Types whose derived `Debug` shows them are no place for bytes of requests and answers.
#[test]
fn what_holds_bytes_derives_no_debug() {
    let mut found = Vec::new();
    for (path, lines) in sources("src") {
        let mut derives = false;
        for (number, line) in lines {
            if line.starts_with("#[derive(") {
                derives = line.contains("Debug");
            } else if line == "}" {
                derives = false;
            } else if derives && [": Bytes", ": BytesMut", "<Bytes>", "(Bytes"].iter().any(|held| line.contains(held)) {
                found.push(format!("{}:{number}: {line}", path.display()));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn llama_cpp_stays_in_its_folder() {
    assert_absent("src", &["llama_cpp"], &["src/dispatch/local"]);
}

#[test]
fn the_pure_modules_do_no_io_and_read_no_clock() {
    let words = [
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "std::env",
        "std::process",
        "tokio",
        "async fn",
        "SystemTime",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
        "thread::sleep",
    ];
    for folder in ["src/chat", "src/classify", "src/policy", "src/transform"] {
        assert_absent(folder, &words, &[]);
        // A permit says when it lapses; whoever uses it brings the time.
        assert_absent(folder, &["Instant"], &["src/policy/permit.rs"]);
    }
}

#[test]
fn the_pure_modules_know_nobody_above_them() {
    let above = [
        "crate::serve",
        "crate::pipeline",
        "crate::dispatch",
        "crate::egress",
        "crate::record",
        "crate::cache",
        "crate::app",
        "crate::config",
        "crate::cli",
    ];
    for folder in ["src/chat", "src/classify", "src/policy"] {
        assert_absent(folder, &above, &[]);
    }
    assert_absent("src/chat", &["crate::classify", "crate::policy", "crate::govern"], &[]);
    assert_absent("src/classify", &["crate::policy", "crate::govern"], &[]);
}

#[test]
fn the_library_prints_nothing_but_what_commands_answer() {
    assert_absent("src", &["println!", "print!(", "dbg!("], &["src/cli"]);
}

/// Does not compile for a type that is `Clone`: then two implementations fit.
trait AmbiguousIfClone<Which> {
    fn is_not_clone() {}
}
struct IsClone;
impl<T> AmbiguousIfClone<()> for T {}
impl<T: Clone> AmbiguousIfClone<IsClone> for T {}

#[test]
fn the_right_to_send_cannot_be_copied() {
    <Grant as AmbiguousIfClone<_>>::is_not_clone();
    <Permit as AmbiguousIfClone<_>>::is_not_clone();
    <Entered as AmbiguousIfClone<_>>::is_not_clone();
}
