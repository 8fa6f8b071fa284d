use std::time::Duration;

use super::*;

fn load(text: &str, overrides: &Overrides) -> Result<Config, Problems> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ajar.yaml");
    std::fs::write(&file, text).unwrap();
    Config::load(&file, overrides)
}

const MINIMAL: &str = "server: { listen: 127.0.0.1:0, operator: 127.0.0.1:0 }\npolicies: p\n";

#[test]
fn the_shipped_configuration_is_valid() {
    let config = Config::load(Path::new("config/ajar.yaml"), &Vec::new()).unwrap();
    assert_eq!(config.server.body, 32 << 20);
    assert_eq!(config.models.alias("gpt-4o"), Some("auto"));
    assert!(config.anonymous.loopback);
}

#[test]
fn flags_override_the_file() {
    let flags = vec![("record.commit_interval".to_owned(), "20ms".to_owned())];
    assert_eq!(load(MINIMAL, &flags).unwrap().record.commit_interval, Duration::from_millis(20));
}

#[test]
fn a_wrong_flag_is_named_as_the_place() {
    let flags = vec![("server.listen".to_owned(), "nowhere".to_owned())];
    let error = load(MINIMAL, &flags).unwrap_err().to_string();
    assert_eq!(error, "flag for `server.listen`: expected an address such as `127.0.0.1:8080`, found `nowhere`");
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place_and_a_way_out() {
    let text = "\
server: { listen: 127.0.0.1:1, operator: 127.0.0.1:1, limits: { boddy: 1 MiB, drain: soon } }
policies: p
providers:
  openai: { dialect: opnai, base_url: ftp://x, credential: { env: A, file: B } }
keys:
  - { name: a, hash: sha1 }
headers: { key.app: x-app }
";
    let shown = load(text, &Vec::new()).unwrap_err().to_string();
    let lines: Vec<&str> = shown.lines().map(|l| l.split_once("ajar.yaml:").unwrap().1).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn a_model_is_loaded_at_the_start_or_on_demand_and_unloaded_only_where_it_can_come_back() {
    let read = |more: &str| {
        let text = format!("{MINIMAL}local: {{ a: {{ model: m{more} }} }}");
        load(&text, &Vec::new()).map(|config| (config.local[0].on_demand, config.local[0].idle_unload))
    };
    assert_eq!(read("").unwrap(), (false, None));
    assert_eq!(read(", load: on_demand").unwrap(), (true, None));
    assert_eq!(read(", load: on_demand, idle_unload: 10m").unwrap(), (true, Some(Duration::from_secs(600))));
    let refusal = read(", idle_unload: 10m").unwrap_err().to_string();
    assert!(refusal.contains("`load: on_demand`"), "{refusal}");
}

#[test]
fn a_credential_that_is_not_there_makes_the_provider_unavailable_and_is_no_mistake() {
    let text = format!(
        "{MINIMAL}providers: {{ x: {{ dialect: openai, base_url: 'https://h/v1/', credential: {{ env: AJAR_TEST_UNSET }} }} }}"
    );
    let config = load(&text, &Vec::new()).unwrap();
    assert_eq!(config.providers[0].base_url, "https://h/v1");
    assert!(matches!(&config.providers[0].credential, Credential::Missing(why) if why.contains("AJAR_TEST_UNSET")));
}
