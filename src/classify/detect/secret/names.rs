//! Names beside which a value is a secret.

/// What a name beside a value says about it, with the rule for the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// A password: short and memorable ones count too.
    Password,
    /// A key or token: long and random.
    Key,
    /// A service whose keys have no shape of their own: long, random, and written as an assignment.
    Service,
}

/// The names, in small letters.
pub const NAMES: &[(Name, &[&str])] = &[
    (
        Name::Password,
        &[
            "password",
            "passwd",
            "passphrase",
            "passcode",
            "pwd",
            "passwort",
            "kennwort",
            "contrasena",
            "mot de passe",
            "wachtwoord",
            "senha",
        ],
    ),
    (
        Name::Key,
        &[
            "secret",
            "token",
            "apikey",
            "api_key",
            "api-key",
            "api key",
            "access_key",
            "access-key",
            "accesskey",
            "private_key",
            "privatekey",
            "encryption_key",
            "encryptionkey",
            "signing_key",
            "auth_key",
            "authkey",
            "account_key",
            "accountkey",
            "master_key",
            "credential",
            "access key",
            "secret key",
            "private key",
            "private-key",
            "signing key",
            "signing-key",
            "encryption key",
            "encryption-key",
            "license key",
            "licence key",
        ],
    ),
    (
        Name::Service,
        &[
            "adobe",
            "airtable",
            "algolia",
            "artifactory",
            "asana",
            "atlassian",
            "bintray",
            "bitbucket",
            "bittrex",
            "cloudflare",
            "codecov",
            "coinbase",
            "confluent",
            "contentful",
            "datadog",
            "discord",
            "droneci",
            "dropbox",
            "etsy",
            "fastly",
            "finicity",
            "finnhub",
            "flickr",
            "freshbooks",
            "gitter",
            "heroku",
            "hubspot",
            "intercom",
            "jfrog",
            "kraken",
            "kucoin",
            "launchdarkly",
            "linkedin",
            "lob",
            "looker",
            "mailchimp",
            "mailgun",
            "messagebird",
            "message_bird",
            "message-bird",
            "netlify",
            "nytimes",
            "newyorktimes",
            "new_york_times",
            "new-york-times",
            "okta",
            "plaid",
            "rapidapi",
            "sendbird",
            "sentry",
            "snyk",
            "squarespace",
            "sumo",
            "travis",
            "trello",
            "twitch",
            "twitter",
            "yandex",
            "zendesk",
            "cohere",
            "privateai",
            "private_ai",
            "private-ai",
            "contribsys",
        ],
    ),
];

/// What the name at this place of [`NAMES`] says.
pub fn name_of(mut place: usize) -> Name {
    for (name, words) in NAMES {
        if place < words.len() {
            return *name;
        }
        place -= words.len();
    }
    Name::Service
}
