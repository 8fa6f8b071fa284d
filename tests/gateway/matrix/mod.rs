//! Every client's dialect before every provider's: golden files of what the provider gets and what the client gets, of each
//! pair one, to be read as somebody would who knows both formats.

pub mod requests;
mod shown;

use ajar::dialect::Dialect;

use self::requests::{Feature, path, request};
use self::shown::Page;
use crate::harness::{Gateway, Setup};
use crate::sim::{Answer, Fault, Script, Sim};

const CLIENTS: [Dialect; 3] = [Dialect::Chat, Dialect::Responses, Dialect::Messages];

/// What the model says to which prompt.
fn script() -> Script {
    let calls = ["Ulm", "Oslo"].map(|city| ("weather".to_owned(), format!("{{\"city\":\"{city}\"}}")));
    let thought = Answer::Thought { thought: "hm, a river".to_owned(), text: "It is one.".to_owned() };
    Script::text("a river 語")
        .when("weather", Answer::ToolCalls(calls.into()))
        .when("Name a city", Answer::Text("{\"name\":\"Ulm\"}".to_owned()))
        .when("Think", thought)
}

fn script_of(feature: Feature, wire: &str) -> Script {
    // The events until something is said.
    let after = match wire {
        "openai-responses" => 5,
        "anthropic" => 4,
        "openai" => 2,
        _ => 1,
    };
    match feature {
        Feature::Error => script().fault(Fault::Status { status: 400, retry_after: None }),
        Feature::BrokenStream => script().fault(Fault::ErrorEvent { after }),
        _ => script(),
    }
}

/// All that a client of `dialect` and a provider that speaks `wire` say to each other.
async fn page(dialect: Dialect, wire: &str, model: &str) -> String {
    let (far, home) = (Sim::start(script()), Sim::start(Script::text("home")));
    // What cannot be said is told, since nobody else may answer.
    let setup = Setup::new().policy("candidates: [far, home]", "candidates: [far]").policy("gpt-4o-mini", model);
    let gateway = setup.provider_speaking("far", &far, wire).provider("home", &home).start().await;
    let mut page = Page::default();
    for feature in Feature::ALL {
        far.set_script(script_of(feature, wire));
        let seen = far.requests().len();
        page.section(feature.name());
        ask(&gateway, dialect, feature, "far", &[], &mut page, |page| {
            far.requests().iter().skip(seen).for_each(|received| page.received(received));
        })
        .await;
    }
    page.text()
}

async fn ask(
    gateway: &Gateway,
    dialect: Dialect,
    feature: Feature,
    model: &str,
    headers: &[(&str, &str)],
    page: &mut Page,
    received: impl FnOnce(&mut Page),
) {
    let reply = gateway.ask_at(path(dialect), &request(dialect, feature, model), headers).await;
    received(page);
    page.answered(&reply);
}

fn client(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Chat => "chat",
        Dialect::Responses => "responses",
        Dialect::Messages => "messages",
        Dialect::Completions | Dialect::Embeddings | Dialect::Moderations => {
            unreachable!("the matrix is of conversations")
        }
    }
}

/// Compares the pages of all clients with their golden files.
async fn clients_before(wire: &str, model: &str) {
    for dialect in CLIENTS {
        let page = page(dialect, wire, model).await;
        insta::assert_snapshot!(format!("{}_to_{wire}", client(dialect)), page);
    }
}

#[tokio::test]
async fn clients_before_openais_chat_completions() {
    clients_before("openai", "qwen3-32b").await;
}

#[tokio::test]
async fn clients_before_openais_responses() {
    clients_before("openai-responses", "gpt-5-mini").await;
}

#[tokio::test]
async fn clients_before_anthropic() {
    clients_before("anthropic", "claude-sonnet-4-6").await;
}

#[tokio::test]
async fn clients_before_gemini() {
    clients_before("gemini", "gemini-2.5-flash").await;
}

#[cfg(feature = "llama")]
#[tokio::test(flavor = "multi_thread")]
async fn clients_before_the_embedded_model() {
    let closed = Sim::start(Script::text("closed"));
    let gateway = crate::local::gateway(&closed, "context: 1024, sequences: 1").await;
    for dialect in CLIENTS {
        let mut page = Page::default();
        // It is no provider that could fail; and it does not think, but answers at length and by chance.
        let left_out = |feature: &Feature| {
            use Feature::{BrokenStream, Error, Reasoning, StreamedReasoning};
            matches!(feature, Error | BrokenStream | Reasoning | StreamedReasoning)
        };
        for feature in Feature::ALL.into_iter().filter(|feature| !left_out(feature)) {
            page.section(feature.name());
            ask(&gateway, dialect, feature, "local", &crate::local::AT_HOME, &mut page, |_| ()).await;
        }
        insta::assert_snapshot!(format!("{}_to_embedded", client(dialect)), page.text());
    }
    assert_eq!(closed.counts().requests, 0);
}
