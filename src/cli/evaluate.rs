//! `ajar evaluate` and `ajar fit`

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use super::Out;
use crate::analyze::{Report, detectors, difficulty, names};

/// Where the labelled data is.
#[derive(clap::Args)]
pub(super) struct Data {
    /// The folder of the labelled data.
    #[arg(long, env = "AJAR_DATA", value_name = "FOLDER")]
    data: PathBuf,
}

#[derive(clap::Subcommand)]
pub(super) enum Subject {
    /// How well identifiers, contact data and secrets are found.
    Detectors(DetectorArgs),
    /// How well the difficulty model ranks and calibrates, on rows it was not fitted on, beside prompt length.
    Difficulty(Data),
    /// How well names, addresses, dates of birth and health terms are recognised, on templates that nothing was fitted on.
    Names(NamesArgs),
}

#[derive(clap::Args)]
pub(super) struct DetectorArgs {
    #[command(flatten)]
    data: Data,
    /// What Presidio found in the same texts: the output of `scripts/presidio-findings.py`.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
}

#[derive(clap::Args)]
pub(super) struct NamesArgs {
    #[command(flatten)]
    data: Data,
    /// Another model than the one that ships.
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// What Presidio found in the same texts: the output of `scripts/presidio-findings.py`.
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Fit this many models, each without a part of the templates, and measure them on all documents.
    #[arg(long, value_name = "PARTS", value_parser = clap::value_parser!(u64).range(2..), conflicts_with = "model")]
    folds: Option<u64>,
    /// Fit and measure other ways of recognising too.
    #[arg(long, conflicts_with_all = ["model", "beside", "folds"])]
    frontier: bool,
}

#[derive(clap::Subcommand)]
pub(super) enum Fit {
    /// The difficulty model, on routing data.
    Difficulty {
        #[command(flatten)]
        data: Data,
        /// Where to write it.
        #[arg(long, default_value = "src/classify/difficulty.bin", value_name = "FILE")]
        out: PathBuf,
    },
    /// The recogniser of names, on labelled text, ordinary prompts, and documents of its own making.
    Names {
        #[command(flatten)]
        data: Data,
        /// Where to write it.
        #[arg(long, default_value = "src/classify/names/names.bin", value_name = "FILE")]
        out: PathBuf,
    },
}

pub(super) fn run(subject: &Subject) -> Result<ExitCode> {
    let report = match subject {
        Subject::Detectors(args) => detectors::evaluate(&args.data.data, args.beside.as_deref())?,
        Subject::Difficulty(args) => difficulty::evaluate(&args.data)?,
        Subject::Names(args) => evaluate_names(args)?,
    };
    write!(Out, "{report}")?;
    Ok(ExitCode::SUCCESS)
}

fn evaluate_names(args: &NamesArgs) -> Result<Report> {
    let (data, beside) = (&args.data.data, args.beside.as_deref());
    Ok(match args.folds {
        _ if args.frontier => names::evaluate_frontier(data)?,
        Some(folds) => names::evaluate_folds(data, folds, beside)?,
        None => names::evaluate(data, args.model.as_deref(), beside)?,
    })
}

pub(super) fn fit(model: &Fit) -> Result<ExitCode> {
    match model {
        Fit::Difficulty { data, out } => difficulty::fit(&data.data, out)?,
        Fit::Names { data, out } => names::fit(&data.data, out)?,
    }
    Ok(ExitCode::SUCCESS)
}
