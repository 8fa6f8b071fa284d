//! Providers: whom to call, and how.

use std::time::Duration;

use super::credential::credentials;
use super::read::replace;
use super::{Provider, Timeouts};
use crate::dialect::Wire;
use crate::dialect::edit::CapField;
use crate::yaml::{Fields, Node, Problems};

const WIRES: [(&str, Wire); 4] = [
    ("openai", Wire::Chat),
    ("openai-responses", Wire::Responses),
    ("anthropic", Wire::Messages),
    ("gemini", Wire::Gemini),
];

pub(super) fn provider(name: &str, fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Provider> {
    let wire = fields.required("dialect", problems).and_then(|n| n.one_of(&WIRES, problems));
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
    let credential_header = credential_header.or(wire.map(Wire::credential_header));
    let timeouts = timeouts(fields.optional("timeouts"), problems);
    let base_url = base_url?;
    let cap_field = cap_field.unwrap_or_else(|| usual_cap_field(&base_url));
    Some(Provider {
        name: name.to_owned(),
        wire: wire?,
        base_url,
        credentials: credentials?,
        credential_header: credential_header?,
        cap_field,
        timeouts,
    })
}

/// OpenAI's own models take the current name only; most other servers know the older one.
fn usual_cap_field(base_url: &str) -> CapField {
    if base_url.contains("openai.com") || base_url.contains("openai.azure.com") {
        CapField::MaxCompletionTokens
    } else {
        CapField::MaxTokens
    }
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
