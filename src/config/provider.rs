//! Providers: whom to call, and how.

use std::time::Duration;

use super::credential::credentials;
use super::read::replace;
use super::{ApiVersion, Provider, Timeouts};
use crate::dialect::Wire;
use crate::dialect::edit::CapField;
use crate::yaml::{Fields, Node, Place, Problems};

/// What providers speak, and whether it is Azure's way of that.
const DIALECTS: [(&str, (Wire, bool)); 5] = [
    ("openai", (Wire::Chat, false)),
    ("openai-responses", (Wire::Responses, false)),
    ("anthropic", (Wire::Messages, false)),
    ("gemini", (Wire::Gemini, false)),
    ("azure-openai", (Wire::Chat, true)),
];

pub(super) fn provider(name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Provider> {
    let dialect = fields.required("dialect", problems).and_then(|n| n.one_of(&DIALECTS, problems));
    let base_url = fields.required("base_url", problems).and_then(|n| base_url(n, problems));
    let credentials = match fields.optional("credential") {
        Some(node) => credentials(node, problems),
        None => Some(Vec::new()),
    };
    // The zone is the policy's matter; it may be named here for the reader.
    let _zone = fields.optional("zone").and_then(|n| n.text(problems));
    let fields_of_cap = [("max_completion_tokens", CapField::MaxCompletionTokens), ("max_tokens", CapField::MaxTokens)];
    let cap_field = fields.optional("cap_field").and_then(|n| n.one_of(&fields_of_cap, problems));
    let headers = ["authorization", "api-key", "x-api-key", "x-goog-api-key"].map(|name| (name, name));
    let credential_header = fields.optional("credential_header").and_then(|n| n.one_of(&headers, problems));
    let stream_options = fields.optional("stream_options").and_then(|n| n.flag(problems));
    let grammars = fields.optional("grammars").and_then(|n| n.flag(problems));
    let version = fields.optional("api_version");
    let timeouts = timeouts(fields.optional("timeouts"), problems);
    let ((wire, azure), base_url) = (dialect?, base_url?);
    let api_version = api_version(version, azure, &base_url, fields.place(), problems);
    let usual_header = if azure { "api-key" } else { wire.credential_header() };
    Some(Provider {
        name: name.to_owned(),
        wire,
        cap_field: cap_field.unwrap_or_else(|| usual_cap_field(azure, &base_url)),
        // Mistral refuses them, and tells usage without.
        stream_options: stream_options.unwrap_or(!base_url.contains("mistral.ai")),
        grammars: grammars.unwrap_or(false),
        api_version,
        base_url,
        credentials: credentials?,
        credential_header: credential_header.unwrap_or(usual_header),
        timeouts,
    })
}

/// OpenAI's own models take the current name only; most other servers know the older one.
fn usual_cap_field(azure: bool, base_url: &str) -> CapField {
    if azure || base_url.contains("openai.com") || base_url.contains("openai.azure.com") {
        CapField::MaxCompletionTokens
    } else {
        CapField::MaxTokens
    }
}

/// Azure's version, and whether the path names deployments.
fn api_version(
    node: Option<&Node>,
    azure: bool,
    base_url: &str,
    place: &Place,
    problems: &mut Problems,
) -> Option<ApiVersion> {
    let is_v1 = base_url.ends_with("/v1");
    let Some(node) = node else {
        if azure && !is_v1 {
            let message =
                "Azure's `base_url` ends with `/openai/v1`; one that ends with `/openai` needs an `api_version`";
            problems.add(place, message);
        }
        return None;
    };
    let name = node.text(problems)?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    if !azure || !plain {
        problems.add(&node.place, "expected a version such as `2024-10-21`, with `dialect: azure-openai` only");
        return None;
    }
    Some(ApiVersion { name: name.to_owned(), deployments: !is_v1 })
}

fn base_url(node: &Node, problems: &mut Problems) -> Option<String> {
    let text = node.text(problems)?.trim_end_matches('/');
    let parsed: Option<http::Uri> = text.parse().ok();
    let fits = parsed.as_ref().is_some_and(|uri| {
        let plain = !text.contains(['?', '#', '@']);
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some() && plain
    });
    if !fits {
        problems.add(
            &node.place,
            format!(
                "expected a URL such as `https://api.openai.com/v1`, without user, query or fragment, found `{text}`"
            ),
        );
        return None;
    }
    Some(text.to_owned())
}

fn timeouts(node: Option<&Node>, problems: &mut Problems) -> Timeouts {
    let mut timeouts = Timeouts {
        connect: Duration::from_secs(5),
        first_byte: Duration::from_secs(60),
        idle: Duration::from_secs(30),
        progress: Duration::from_secs(120),
    };
    if let Some(mut fields) = node.and_then(|n| Fields::of(n, "`timeouts`", problems)) {
        replace(&mut timeouts.connect, fields.optional("connect").and_then(|n| n.duration(problems)));
        replace(&mut timeouts.first_byte, fields.optional("first_byte").and_then(|n| n.duration(problems)));
        replace(&mut timeouts.idle, fields.optional("idle").and_then(|n| n.duration(problems)));
        replace(&mut timeouts.progress, fields.optional("progress").and_then(|n| n.duration(problems)));
        fields.finish(problems);
    }
    timeouts
}
