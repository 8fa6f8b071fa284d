//! `ajar models`

mod pull;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, anyhow, bail};
use bytesize::ByteSize;
use comfy_table::{LineStyle, Table, presets};

use self::pull::Wanted;
use crate::dispatch::local::{Adapter, Engine, EngineConfig, devices, speed, try_apart, try_here};
use crate::models::gguf::Gguf;
use crate::models::{self, DEFAULT_FOLDER, Entry, catalogue, sha256, template_sha256};
use crate::yaml::did_you_mean;

/// What a GPU does of it.
#[derive(clap::Args)]
pub(super) struct Gpu {
    /// How many layers to put on GPUs, or as many as fit.
    #[arg(long, value_name = "N|auto", value_parser = layers)]
    gpu_layers: Option<Layers>,
    /// A GPU to use, by its name of `ajar models devices`; may be given several times.
    #[arg(long = "device", value_name = "NAME")]
    devices: Vec<String>,
}

/// How many layers; `None` is as many as fit.
#[derive(Clone, Copy)]
struct Layers(Option<u32>);

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
        #[command(flatten)]
        wanted: Wanted,
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
        #[command(flatten)]
        gpu: Gpu,
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
        #[command(flatten)]
        gpu: Gpu,
    },
    /// The GPUs that this build can use here, and what is free on them.
    Devices,
}

/// What is measured, and how.
struct Measures {
    at_once: Vec<u32>,
    prompt: u32,
    answer: u32,
    threads: Option<u32>,
    gpu: Gpu,
}

pub(super) async fn run(action: Action) -> Result<ExitCode> {
    let out = &mut std::io::stdout();
    match action {
        Action::List(folder) => writeln!(out, "{}", list(&folder.dir))?,
        Action::Pull { folder, wanted } => {
            let path = pull::run(&folder.dir, wanted).await?;
            writeln!(out, "{}: {} bytes, verified", path.display(), std::fs::metadata(&path)?.len())?;
        }
        Action::Verify { folder, name } => {
            let entry = find(&name)?;
            let path = models::path(&folder.dir, entry);
            models::verify(&path, &entry.pin())?;
            writeln!(out, "{}: verified, SHA-256 {}", path.display(), entry.sha256)?;
        }
        Action::Check { file, adapter, gpu, here } => {
            let config = trial(file, adapter, gpu);
            if here {
                try_here(config).await?;
            } else {
                writeln!(out, "{}", check(&config)?)?;
            }
        }
        Action::Bench { folder, model, at_once, prompt, answer, threads, gpu } => {
            let file = match models::find(&model) {
                Some(entry) => models::path(&folder.dir, entry),
                None => model.into(),
            };
            let measures = Measures { at_once, prompt, answer, threads, gpu };
            writeln!(out, "{}", bench(file, &measures).await?)?;
        }
        Action::Devices => writeln!(out, "{}", list_devices()?)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn bench(file: PathBuf, measures: &Measures) -> Result<Table> {
    let Measures { at_once, prompt, answer, threads, gpu } = measures;
    let sequences = at_once.iter().copied().max().unwrap_or(1);
    // Room for the chat template's own words.
    let context = prompt.saturating_add(*answer).saturating_add(256);
    let config = EngineConfig::bench(file, sequences, context, *threads, std::env::current_exe()?);
    let gpu_layers = gpu.gpu_layers.map_or(config.gpu_layers, |Layers(layers)| layers);
    let engine = Engine::load(EngineConfig { gpu_layers, devices: gpu.devices.clone(), ..config });
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

/// The least that is needed to try `file` with `adapters`: without a GPU, unless one is asked for.
fn trial(file: PathBuf, adapters: Vec<PathBuf>, gpu: Gpu) -> EngineConfig {
    let adapter = |file: PathBuf| Adapter { name: file.display().to_string(), file, scale: 1.0 };
    let config = EngineConfig::trial(file);
    EngineConfig {
        adapters: adapters.into_iter().map(adapter).collect(),
        gpu_layers: gpu.gpu_layers.map_or(config.gpu_layers, |Layers(layers)| layers),
        devices: gpu.devices,
        ..config
    }
}

fn check(config: &EngineConfig) -> Result<String> {
    let file = &config.model;
    let gguf = Gguf::open(file).map_err(|fault| anyhow!("the model file `{}` {fault}", file.display()))?;
    for Adapter { file, .. } in &config.adapters {
        gguf.check_adapter(file).map_err(|fault| anyhow!("the adapter `{}` {fault}", file.display()))?;
    }
    try_apart(&std::env::current_exe()?, config)?;
    let (architecture, layers, context, vocabulary) =
        (&gguf.architecture, gguf.layers(), gguf.context(), gguf.vocabulary());
    let [weights, cache] = [gguf.weights(), gguf.cache_per_token()].map(ByteSize);
    let does = if gguf.embeds() { "embeds" } else { "answers" };
    let hash = sha256(file)?;
    let template = template_sha256(&gguf).map(|hash| format!("\ntemplate_sha256: {hash}")).unwrap_or_default();
    Ok(format!(
        "{}: {architecture}, {layers} layers, context of {context} tokens, vocabulary of {vocabulary}, {weights} of weights, \
         {cache} for each token of context; loads and {does}\nsha256: {hash}{template}",
        file.display()
    ))
}

fn list_devices() -> Result<String> {
    let devices = devices()?;
    if devices.is_empty() {
        return Ok("none: builds with `cuda`, `vulkan` or `metal` use the GPUs that their drivers show".to_owned());
    }
    let mut table = plain_table();
    table.set_header(["name", "what it is", "reached through", "free", "of"]);
    for device in devices {
        let [free, total] = [device.free, device.total].map(|bytes| ByteSize(bytes).to_string());
        table.add_row([device.name, device.description, device.backend, free, total]);
    }
    Ok(table.to_string())
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

fn layers(text: &str) -> Result<Layers> {
    if text == "auto" {
        return Ok(Layers(None));
    }
    match text.parse() {
        Ok(layers) => Ok(Layers(Some(layers))),
        Err(_) => bail!("expected a number, or `auto` for as many as fit"),
    }
}
