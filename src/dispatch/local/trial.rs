//! A model file is loaded in a process of its own first: what llama.cpp cannot bear takes that process down, not this.
//!
//! llama.cpp ends the process where an assertion fails, and its readers of model files have had memory errors. A file
//! whose hash is in the catalogue is known; any other is tried: loaded, and asked for a few tokens.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use futures_util::StreamExt;

use super::{Engine, EngineConfig, EngineError, Job, Sharing, Turn};
use crate::chat::Priority;
use crate::chat::request::{ChatRequest, Content, Message};
use crate::models::gguf::Gguf;

/// How long a trial may take: a large file on a slow disk is read in minutes.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often it is looked after.
const GLANCE: Duration = Duration::from_millis(5);
/// Tokens that are asked for.
const TOKENS: u32 = 4;
/// What of a trial's words is kept.
const WORDS: u64 = 4096;

/// The arguments under which ajar tries the file that follows, in its own process.
pub const ARGUMENTS: [&str; 3] = ["models", "check", "--here"];

/// Has `program`, which is ajar, try the model of `config` with its adapters, on the devices that it names. Blocking.
///
/// # Errors
/// [`EngineError::Model`], with what is wrong with the file.
pub fn try_apart(program: &Path, config: &EngineConfig) -> Result<(), EngineError> {
    let mut command = Command::new(program);
    command.args(ARGUMENTS).arg(&config.model);
    for adapter in &config.adapters {
        command.arg("--adapter").arg(&adapter.file);
    }
    command.arg("--gpu-layers").arg(config.gpu_layers.map_or("auto".to_owned(), |layers| layers.to_string()));
    for device in &config.devices {
        command.arg("--device").arg(device);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let tried = match command.spawn() {
        Ok(child) => wait(child, PATIENCE),
        Err(error) => Err(Fault::Untried(error)),
    };
    tried.map_err(|fault| match fault {
        Fault::Refused(words) => EngineError::Model(words),
        fault => EngineError::Model(format!("the model file `{}` {fault}", config.model.display())),
    })
}

/// Why a file is not loaded, to be read after its name.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// In the trial's own words, which are a sentence.
    #[error("is refused: {0}")]
    Refused(String),
    #[error("brings llama.cpp down ({0}): it is damaged, or made to")]
    Deadly(ExitStatus),
    #[error("did not load within {} s", .0.as_secs())]
    Slow(Duration),
    #[error("cannot be tried in a process of its own ({0})")]
    Untried(#[from] std::io::Error),
}

fn wait(mut child: Child, patience: Duration) -> Result<(), Fault> {
    let stderr = child.stderr.take();
    let words = thread::spawn(move || {
        let mut words = String::new();
        if let Some(mut stderr) = stderr {
            // Words that are no text are worth nothing; the rest is read so that whoever writes is not held up.
            let _ = stderr.by_ref().take(WORDS).read_to_string(&mut words);
            let _ = std::io::copy(&mut stderr, &mut std::io::sink());
        }
        words
    });
    let status = ended(&mut child, patience);
    let words = words.join().unwrap_or_default();
    match status? {
        status if status.success() => Ok(()),
        status if status.code() == Some(1) => Err(Fault::Refused(last_line(&words))),
        status => Err(Fault::Deadly(status)),
    }
}

fn ended(child: &mut Child, patience: Duration) -> Result<ExitStatus, Fault> {
    let until = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() > until {
            child.kill()?;
            child.wait()?;
            return Err(Fault::Slow(patience));
        }
        thread::sleep(GLANCE);
    }
}

fn last_line(words: &str) -> String {
    words.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("cannot be loaded").trim().to_owned()
}

/// Loads the model of `config` in this process and asks it for a few tokens, or a vector; and each of its adapters.
///
/// # Errors
/// Why it does not answer.
pub async fn try_here(config: EngineConfig) -> Result<(), EngineError> {
    let (file, names) = (config.model.clone(), config.adapters.iter().map(|a| a.name.clone()).collect::<Vec<_>>());
    let engine = Engine::load(config);
    engine.ready().await?;
    if Gguf::open(&file).is_ok_and(|gguf| gguf.embeds()) {
        let turn = Turn { tenant: "trial".into(), priority: Priority::default() };
        engine.embed(vec!["Hello".into()], turn, Instant::now() + PATIENCE).await?;
    } else {
        answer(&engine).await?;
        for adapted in names.iter().filter_map(|name| engine.with_adapter(name)) {
            answer(&adapted).await?;
        }
    }
    engine.shutdown();
    engine.stopped().await;
    Ok(())
}

async fn answer(engine: &Engine) -> Result<(), EngineError> {
    let hello = Message { content: vec![Content::Text("Hello".into())], ..Message::default() };
    let request = ChatRequest { messages: vec![hello], ..ChatRequest::default() };
    let sharing = Sharing { tenant: "trial".into(), class: "trial".into() };
    let job = Job {
        request: Arc::new(request),
        max_output: TOKENS,
        deadline: Instant::now() + PATIENCE,
        sharing,
        priority: Priority::default(),
    };
    let mut deltas = engine.generate(job)?;
    while let Some(delta) = deltas.next().await {
        delta?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tried(script: &str, patience: Duration) -> Result<(), String> {
        let mut command = Command::new("sh");
        let child = command.args(["-c", script]).stderr(Stdio::piped()).spawn().unwrap();
        wait(child, patience).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_trial_that_dies_or_hangs_refuses_the_file_and_one_that_ends_well_admits_it() {
        let long = Duration::from_secs(30);
        assert_eq!(tried("exit 0", long), Ok(()));
        assert_eq!(
            tried("echo loading >&2; echo has no chat template >&2; exit 1", long),
            Err("is refused: has no chat template".to_owned())
        );
        let crash = tried("kill -ABRT $$", long).unwrap_err();
        assert!(crash.contains("brings llama.cpp down") && crash.contains('6'), "{crash}");
        assert_eq!(tried("exec sleep 20", Duration::from_millis(20)), Err("did not load within 0 s".to_owned()));
        // More words than are kept do not hold it up.
        assert_eq!(tried("yes | head -c 1000000 >&2", long), Ok(()));
    }
}
