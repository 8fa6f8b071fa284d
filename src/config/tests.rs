use std::time::Duration;

use super::*;
use crate::chat::Priority;

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
fn operators_pages_are_on_this_host_unless_the_configuration_says_that_the_network_keeps_others_out() {
    let read = |more: &[(&str, &str)]| {
        let flags: Vec<_> = more.iter().map(|(path, value)| (format!("server.{path}"), (*value).to_owned())).collect();
        load(MINIMAL, &flags)
    };
    for elsewhere in ["0.0.0.0:8081", "[::]:8081", "192.0.2.1:8081"] {
        let refusal = read(&[("operator", elsewhere)]).unwrap_err().to_string();
        assert!(refusal.contains("`operator_exposed: true`") && refusal.contains(elsewhere), "{refusal}");
        assert!(read(&[("operator", elsewhere), ("operator_exposed", "true")]).unwrap().server.operator_exposed);
    }
    assert!(!read(&[("operator", "[::1]:8081")]).unwrap().server.operator_exposed);
}

#[test]
fn a_key_is_of_normal_priority_unless_it_says_otherwise() {
    let read = |more: &str| {
        let hash = format!("hmac-sha256:{}", "0".repeat(64));
        let text = format!("{MINIMAL}keys: [{{ name: a, hash: '{hash}'{more} }}]");
        load(&text, &Vec::new()).map(|config| config.keys[0].priority)
    };
    assert_eq!(read("").unwrap(), Priority::Normal);
    assert_eq!(read(", priority: high").unwrap(), Priority::High);
    assert_eq!(read(", priority: low").unwrap(), Priority::Low);
    let refusal = read(", priority: urgent").unwrap_err().to_string();
    assert!(refusal.contains("`high`") && refusal.contains("`normal`") && refusal.contains("`low`"), "{refusal}");
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
fn the_devices_and_hashes_of_a_model_are_read_and_what_is_neither_is_told() {
    let read = |more: &str| {
        let text = format!("{MINIMAL}local: {{ a: {{ model: m{more} }} }}");
        load(&text, &Vec::new()).map(|config| config.local[0].clone()).map_err(|problems| problems.to_string())
    };
    let hash = "0aF".repeat(21) + "b";
    let model = read(&format!(", devices: [Vulkan1, CUDA0], sha256: {hash}, template_sha256: {hash}")).unwrap();
    assert_eq!((model.gpu_layers, model.devices), (None, vec!["Vulkan1".to_owned(), "CUDA0".to_owned()]));
    let lower = Some(hash.to_lowercase());
    assert_eq!((&model.sha256, &model.template_sha256), (&lower, &lower));
    for (more, told) in [
        (", devices: [CUDA0, CUDA0]", "`CUDA0` is listed twice"),
        (", sha256: abc", "64 hexadecimal digits"),
        (&format!(", template_sha256: {}", hash.replace('b', "g")), "64 hexadecimal digits"),
    ] {
        assert!(read(more).unwrap_err().contains(told), "{more}");
    }
}

fn with_credential(credential: &str) -> Result<Vec<Credential>, Problems> {
    let provider = format!("{{ dialect: openai, base_url: 'https://h/v1/', credential: {credential} }}");
    let config = load(&format!("{MINIMAL}providers: {{ x: {provider} }}"), &Vec::new())?;
    assert_eq!(config.providers[0].base_url, "https://h/v1");
    Ok(config.providers[0].credentials.clone())
}

#[test]
fn a_credential_that_is_not_there_is_no_mistake_and_says_why() {
    let read = with_credential("{ env: AJAR_TEST_UNSET }").unwrap()[0].read();
    assert_eq!(read.unwrap_err(), "the environment variable `AJAR_TEST_UNSET` is not set");
}

#[test]
fn a_credential_is_one_place_or_a_list_of_several() {
    let (env, file) = (Credential::Env("A".to_owned()), Credential::File("b".into()));
    assert_eq!(with_credential("{ env: A }").unwrap(), std::slice::from_ref(&env));
    assert_eq!(with_credential("[{ env: A }, { file: b }]").unwrap(), [env, file]);
    let told = |credential| with_credential(credential).unwrap_err().to_string();
    assert!(told("[{ env: A }, { env: A }]").contains("the environment variable `A` is listed twice"));
    assert!(told("[]").contains("an empty list is no credential"));
    assert!(told("[{ env: A, file: b }]").contains("never write it here"));
}

#[test]
fn azure_is_told_by_its_version_or_by_its_path_and_others_have_none() {
    let provider = |fields: &str| {
        let config = load(&format!("{MINIMAL}providers: {{ x: {{ {fields} }} }}"), &Vec::new())?;
        Ok::<_, Problems>(config.providers[0].clone())
    };
    let new = provider("dialect: azure-openai, base_url: 'https://n.openai.azure.com/openai/v1'").unwrap();
    assert_eq!(
        (new.credential_header, new.cap_field, &new.api_version),
        ("api-key", CapField::MaxCompletionTokens, &None)
    );
    let old = "dialect: azure-openai, base_url: 'https://n.openai.azure.com/openai'";
    let version = provider(&format!("{old}, api_version: 2024-10-21")).unwrap().api_version;
    assert_eq!(version, Some(ApiVersion { name: "2024-10-21".to_owned(), deployments: true }));
    for (wrong, told) in [
        (old, "needs an `api_version`"),
        ("dialect: openai, base_url: 'https://h/v1', api_version: 2024-10-21", "with `dialect: azure-openai` only"),
        ("dialect: azure-openai, base_url: 'https://h/openai', api_version: 'a&b'", "expected a version"),
    ] {
        let error = provider(wrong).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_a_provider_takes_is_known_by_its_url() {
    for (url, cap, options) in [
        ("https://api.openai.com/v1", CapField::MaxCompletionTokens, true),
        ("https://api.mistral.ai/v1", CapField::MaxTokens, false),
        ("http://10.0.0.7:8000/v1", CapField::MaxTokens, true),
    ] {
        let config =
            load(&format!("{MINIMAL}providers: {{ x: {{ dialect: openai, base_url: '{url}' }} }}"), &Vec::new());
        let provider = &config.unwrap().providers[0];
        assert_eq!((provider.cap_field, provider.stream_options), (cap, options), "{url}");
    }
}
