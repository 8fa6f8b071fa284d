//! `ajar evaluate` and `ajar fit`

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;

use crate::analyze::{detectors, difficulty};

/// Where the labelled data is.
#[derive(clap::Args)]
pub(super) struct Data {
    /// The folder of the labelled data.
    #[arg(long, env = "AJAR_DATA", value_name = "FOLDER")]
    data: PathBuf,
}

#[derive(clap::Subcommand)]
pub(super) enum Subject {
    /// Precision and recall of the detectors.
    Detectors(Data),
    /// How well the difficulty model ranks and calibrates, on rows it was not fitted on, beside prompt length.
    Difficulty(Data),
}

#[derive(clap::Args)]
pub(super) struct FitArgs {
    #[command(flatten)]
    data: Data,
    /// Where to write the fitted model.
    #[arg(long, default_value = "src/classify/difficulty.bin", value_name = "FILE")]
    out: PathBuf,
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
pub(super) fn run(subject: &Subject) -> Result<ExitCode> {
    let report = match subject {
        Subject::Detectors(args) => detectors::evaluate(&args.data)?,
        Subject::Difficulty(args) => difficulty::evaluate(&args.data)?,
    };
    print!("{report}");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn fit(args: &FitArgs) -> Result<ExitCode> {
    difficulty::fit(&args.data.data, &args.out)?;
    Ok(ExitCode::SUCCESS)
}
